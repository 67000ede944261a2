import * as path from "node:path";
import * as vscode from "vscode";
import { LanguageClient } from "vscode-languageclient/node";
import { registerRuns } from "./commands";
import { type Picture, PictureView } from "./picture";

const PAUSE = 200; // after the last key or step of the cursor

let client: LanguageClient | undefined;
let timer: NodeJS.Timeout | undefined;
let changed = false;
const view = new PictureView(ask);
const status = vscode.window.createStatusBarItem(vscode.StatusBarAlignment.Right, 90);

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  status.command = "archdsl.picture";
  context.subscriptions.push(
    view,
    status,
    ...registerRuns(() => command()[0]),
    vscode.commands.registerCommand("archdsl.restart", restart),
    vscode.commands.registerCommand("archdsl.picture", () => {
      const editor = vscode.window.activeTextEditor;
      if (editor?.document.languageId === "arch") view.open(editor);
    }),
    vscode.workspace.onDidChangeConfiguration((change) => {
      if (change.affectsConfiguration("archdsl.command")) void restart();
    }),
    vscode.workspace.onDidChangeTextDocument((change) => {
      if (change.document === vscode.window.activeTextEditor?.document) later(true);
    }),
    vscode.window.onDidChangeActiveTextEditor(() => later(false)),
    vscode.window.onDidChangeTextEditorSelection(() => later(false)),
  );
  await start();
  later(false);
}

export async function deactivate(): Promise<void> {
  await client?.stop();
}

async function restart(): Promise<void> {
  await client?.stop().catch(() => undefined);
  await start();
}

/** The status line and the picture follow the text, once it rests. */
function later(text: boolean): void {
  changed ||= text;
  clearTimeout(timer);
  timer = setTimeout(() => void follow(), PAUSE);
}

async function follow(): Promise<void> {
  const editor = vscode.window.activeTextEditor;
  if (editor?.document.languageId !== "arch") {
    status.hide();
    return;
  }
  const text = changed;
  changed = false;
  const found = await ask(editor.document.uri, editor.selection.active.line, false);
  if (found === null) status.hide();
  else {
    status.text = `$(circuit-board) ${found.params} parameters · ${found.macs} MACs`;
    status.tooltip = `${found.model}: ${found.flow}. Click for the picture.`;
    status.show();
  }
  await view.follow(editor, text);
}

async function ask(uri: vscode.Uri, line: number, draw: boolean): Promise<Picture | null> {
  if (!client?.isRunning()) return null;
  const params = { uri: client.code2ProtocolConverter.asUri(uri), line, draw };
  return client.sendRequest<Picture | null>("archdsl/picture", params).catch(() => null);
}

/** How to start the server: a path with a slash is one in the workspace, a bare name on the PATH. */
function command(): [string, string[]] {
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath;
  const [program, ...args] = vscode.workspace
    .getConfiguration("archdsl")
    .get<string[]>("command", ["archdsl", "lsp"]);
  return [folder && /[\\/]/.test(program) ? path.resolve(folder, program) : program, args];
}

async function start(): Promise<void> {
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath;
  const [program, args] = command();
  client = new LanguageClient(
    "archdsl",
    "archdsl",
    { command: program, args, options: { cwd: folder } },
    { documentSelector: [{ language: "arch" }] },
  );
  try {
    await client.start();
  } catch (error) {
    client = undefined;
    const answer = await vscode.window.showErrorMessage(
      `The archdsl language server did not start (${program}): ${String(error)}. ` +
        'Install it with: pip install "archdsl[lsp]"',
      "Open settings",
    );
    if (answer) {
      await vscode.commands.executeCommand("workbench.action.openSettings", "archdsl.command");
    }
  }
}
