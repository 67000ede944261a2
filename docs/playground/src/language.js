// The language's colours: its words come from archdsl.editor.patterns (patterns.json, written by
// the build), as every highlighter's do.

import { HighlightStyle, StreamLanguage, syntaxHighlighting } from "@codemirror/language";
import { tags as t } from "@lezer/highlight";
import patterns from "patterns.json";

const words = Object.entries(patterns.words).map(([kind, text]) => [kind, new RegExp(text, "y")]);
const label = new RegExp(patterns.label, "y");
const ORDER = [...words.slice(0, 3), ["label", label], ...words.slice(3)];

const TAGS = {
  comment: t.lineComment,
  string: t.string,
  tap: t.special(t.variableName),
  argument: t.attributeName,
  label: t.labelName,
  number: t.number,
  keyword: t.keyword,
  constant: t.atom,
  operation: t.function(t.variableName),
  name: t.variableName,
  operator: t.operator,
};

export const arch = StreamLanguage.define({
  name: "arch",
  tokenTable: TAGS,
  startState: () => ({ depth: 0 }),
  copyState: (state) => ({ ...state }),
  token(stream, state) {
    if (stream.eatSpace()) return null;
    for (const [kind, pattern] of ORDER) {
      if (kind === "label" && state.depth) continue; // there `:` belongs to a slice
      pattern.lastIndex = stream.pos;
      const found = pattern.exec(stream.string);
      if (found && found[0]) {
        stream.pos += found[0].length;
        return kind;
      }
    }
    const char = stream.next();
    if (char === "(" || char === "[") state.depth += 1;
    if (char === ")" || char === "]") state.depth = Math.max(0, state.depth - 1);
    return null;
  },
  languageData: {
    commentTokens: { line: "#" },
    closeBrackets: { brackets: ["(", "[", "{", '"'] },
    indentOnInput: /^\s*\}$/,
  },
  indent(state, after, context) {
    const before = context.lineAt(context.pos, -1);
    let depth = 0;
    const text = context.state.doc.sliceString(0, before.from);
    for (const line of text.split("\n")) {
      const plain = line.replace(/#.*|"[^"]*"/g, "");
      for (const char of plain) depth += char === "{" ? 1 : char === "}" ? -1 : 0;
    }
    return Math.max(0, depth - /^\s*\}/.test(after)) * context.unit;
  },
});

const style = HighlightStyle.define([
  { tag: t.lineComment, class: "tok-comment" },
  { tag: t.comment, class: "tok-comment" },
  { tag: t.string, class: "tok-string" },
  { tag: t.special(t.variableName), class: "tok-tap" },
  { tag: t.attributeName, class: "tok-argument" },
  { tag: t.labelName, class: "tok-label" },
  { tag: [t.number, t.atom, t.bool, t.null], class: "tok-number" },
  { tag: [t.keyword, t.controlKeyword, t.definitionKeyword, t.moduleKeyword], class: "tok-keyword" },
  { tag: [t.function(t.variableName), t.function(t.propertyName)], class: "tok-operation" },
  { tag: [t.className, t.definition(t.variableName)], class: "tok-label" },
  { tag: t.self, class: "tok-tap" },
]);

export const colours = syntaxHighlighting(style);
