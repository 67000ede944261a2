// What archdsl does with a file, run where one sees it: in a terminal.

import * as path from "node:path";
import * as vscode from "vscode";

/** The arguments behind `archdsl`, for a file and what is to be written. */
const RUNS: Record<string, (file: string, stem: string) => string[]> = {
  check: (file) => ["check", file, "--shapes"],
  sizes: (file) => ["sizes", file],
  draw: (file, stem) => ["draw", file, "-o", `${stem}.svg`],
  compile: (file, stem) => ["compile", file, "-o", `${stem}.py`],
  train: (file) => ["train", file],
};

export function registerRuns(program: () => string): vscode.Disposable[] {
  return Object.entries(RUNS).map(([name, words]) =>
    vscode.commands.registerCommand(`archdsl.${name}`, async (uri?: vscode.Uri) => {
      const document = await saved(uri);
      if (document === undefined) return;
      const file = document.uri.fsPath;
      const stem = path.join(path.dirname(file), path.basename(file, ".arch"));
      const terminal =
        vscode.window.terminals.find((one) => one.name === "archdsl" && one.exitStatus === undefined) ??
        vscode.window.createTerminal("archdsl");
      terminal.show(true);
      terminal.sendText([program(), ...words(file, stem)].map(quoted).join(" "));
    }),
  );
}

async function saved(uri?: vscode.Uri): Promise<vscode.TextDocument | undefined> {
  const editor = vscode.window.activeTextEditor;
  const document = uri ? await vscode.workspace.openTextDocument(uri) : editor?.document;
  if (document?.languageId !== "arch" || document.isUntitled) {
    void vscode.window.showInformationMessage("Open a saved .arch file first.");
    return undefined;
  }
  return (await document.save()) ? document : undefined;
}

/** A word as the shell of this machine reads it. */
export function quoted(word: string): string {
  if (/^[\w./:=@+-]+$/.test(word)) return word;
  return process.platform === "win32"
    ? `"${word.replaceAll('"', '""')}"`
    : `'${word.replaceAll("'", "'\\''")}'`;
}
