// The picture beside the text: drawn by the language server, live; a click on a box shows its lines,
// and the cursor marks its box.

import * as vscode from "vscode";
import { page } from "./page";

/** What the server answers to `archdsl/picture`. */
export interface Picture {
  model: string;
  flow: string;
  params: string;
  macs: string;
  stale: boolean;
  svg?: string;
  boxes?: { at: [number, number, number, number]; lines: [number, number][] }[];
  error?: string;
}

export type Ask = (uri: vscode.Uri, line: number, draw: boolean) => Promise<Picture | null>;

export class PictureView {
  private panel: vscode.WebviewPanel | undefined;
  private shown: vscode.TextEditor | undefined;
  private readonly mark = vscode.window.createTextEditorDecorationType({
    backgroundColor: new vscode.ThemeColor("editor.findMatchHighlightBackground"),
    isWholeLine: true,
  });

  constructor(private readonly ask: Ask) {}

  open(editor: vscode.TextEditor): void {
    this.shown = editor;
    if (this.panel === undefined) {
      const beside = { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true };
      this.panel = vscode.window.createWebviewPanel("archdsl.picture", "Picture", beside, {
        enableScripts: true,
        retainContextWhenHidden: true,
      });
      this.panel.webview.html = page(nonce());
      this.panel.webview.onDidReceiveMessage((message) => this.heard(message));
      this.panel.onDidDispose(() => (this.panel = undefined));
    }
    this.panel.reveal(undefined, true);
    void this.draw();
  }

  /** The text or the cursor has changed. */
  async follow(editor: vscode.TextEditor, changed: boolean): Promise<void> {
    if (this.panel === undefined || !this.panel.visible) return;
    const other = this.shown?.document !== editor.document;
    this.shown = editor;
    if (changed || other) await this.draw();
    this.say({ cursor: editor.selection.active.line });
  }

  dispose(): void {
    this.panel?.dispose();
    this.mark.dispose();
  }

  private async draw(): Promise<void> {
    const editor = this.shown;
    if (editor === undefined || this.panel === undefined) return;
    const found = await this.ask(editor.document.uri, editor.selection.active.line, true);
    if (editor !== this.shown) return;
    if (found !== null) this.panel.title = found.model;
    this.say({ picture: found, cursor: editor.selection.active.line });
  }

  private say(message: unknown): void {
    void this.panel?.webview.postMessage(message);
  }

  private heard(message: { lines?: [number, number][]; ready?: boolean }): void {
    if (message.ready) return void this.draw();
    const editor = vscode.window.visibleTextEditors.find(
      (one) => one.document === this.shown?.document,
    );
    if (editor === undefined || !message.lines?.length) return;
    const ranges = message.lines.map(([first, last]) => new vscode.Range(first, 0, last, 0));
    editor.setDecorations(this.mark, ranges);
    editor.revealRange(ranges[0], vscode.TextEditorRevealType.InCenterIfOutsideViewport);
    setTimeout(() => editor.setDecorations(this.mark, []), 2500);
  }
}

function nonce(): string {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  return Array.from({ length: 32 }, () => letters[Math.floor(Math.random() * 62)]).join("");
}
