// The TextMate grammar in VS Code's own engine. `node test/grammar.mjs FILE...` prints, as JSON, every
// word of the files with its scope; without files it tries the grammar on a few lines.
import assert from "node:assert/strict";
import fs from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const oniguruma = require("vscode-oniguruma");
const textmate = require("vscode-textmate");

const wasm = fs.readFileSync(require.resolve("vscode-oniguruma/release/onig.wasm"));
await oniguruma.loadWASM(wasm.buffer.slice(wasm.byteOffset, wasm.byteOffset + wasm.byteLength));
const file = new URL("../syntaxes/archdsl.tmLanguage.json", import.meta.url);
const registry = new textmate.Registry({
  onigLib: Promise.resolve({
    createOnigScanner: (patterns) => new oniguruma.OnigScanner(patterns),
    createOnigString: (text) => new oniguruma.OnigString(text),
  }),
  loadGrammar: async () => textmate.parseRawGrammar(fs.readFileSync(file, "utf8"), "archdsl.json"),
});
const grammar = await registry.loadGrammar("source.arch");

function words(text) {
  let state = textmate.INITIAL;
  return text.split("\n").map((line) => {
    const result = grammar.tokenizeLine(line, state);
    state = result.ruleStack;
    return result.tokens
      .filter((token) => token.scopes.length > 1)
      .map((token) => [token.startIndex, line.slice(token.startIndex, token.endIndex), token.scopes.at(-1)]);
  });
}

const files = process.argv.slice(2);
if (files.length > 0) {
  console.log(JSON.stringify(files.map((name) => words(fs.readFileSync(name, "utf8")))));
} else {
  const scope = (line, word) => words(line)[0].find((found) => found[1] === word)?.[2];
  assert.equal(scope("  conv 64 3x3 pad=1 # x3", "conv"), "support.function.arch");
  assert.equal(scope("  conv 64 3x3 pad=1 # x3", "3x3"), "constant.numeric.arch");
  assert.equal(scope("  conv 64 3x3 pad=1 # x3", "pad"), "variable.parameter.arch");
  assert.equal(scope("  conv 64 3x3 pad=1 # x3", "# x3"), "comment.line.number-sign.arch");
  assert.equal(scope("  block{i+1}: unit 3 x4", "block{i+1}"), "entity.name.label.arch");
  assert.equal(scope("  block{i+1}: unit 3 x4", "x4"), "constant.numeric.arch");
  assert.equal(scope("  let a = xs[i:2]", "i"), "variable.other.arch");
  assert.equal(scope("  residual { conv } shortcut down if in != 3 { }", "shortcut"), "keyword.control.arch");
  assert.equal(scope("  relu -> concat @early", "@early"), "variable.other.tap.arch");
  assert.equal(scope('use "a#b.arch"', '"a#b.arch"'), "string.quoted.double.arch");
  console.log("the grammar is fine");
}
