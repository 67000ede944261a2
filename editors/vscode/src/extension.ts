import * as path from "node:path";
import * as vscode from "vscode";
import { LanguageClient } from "vscode-languageclient/node";

let client: LanguageClient | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  context.subscriptions.push(
    vscode.commands.registerCommand("archdsl.restart", restart),
    vscode.workspace.onDidChangeConfiguration((change) => {
      if (change.affectsConfiguration("archdsl.command")) {
        void restart();
      }
    }),
  );
  await start();
}

export async function deactivate(): Promise<void> {
  await client?.stop();
}

async function restart(): Promise<void> {
  await client?.stop().catch(() => undefined);
  await start();
}

async function start(): Promise<void> {
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath;
  const [program, ...args] = vscode.workspace
    .getConfiguration("archdsl")
    .get<string[]>("command", ["archdsl", "lsp"]);
  // A path with a slash is one in the workspace, a bare name one on the PATH.
  const command = folder && /[\\/]/.test(program) ? path.resolve(folder, program) : program;
  client = new LanguageClient(
    "archdsl",
    "archdsl",
    { command, args, options: { cwd: folder } },
    { documentSelector: [{ language: "arch" }] },
  );
  try {
    await client.start();
  } catch (error) {
    client = undefined;
    const answer = await vscode.window.showErrorMessage(
      `The archdsl language server did not start (${command}): ${String(error)}. ` +
        'Install it with: pip install "archdsl[lsp]"',
      "Open settings",
    );
    if (answer) {
      await vscode.commands.executeCommand("workbench.action.openSettings", "archdsl.command");
    }
  }
}
