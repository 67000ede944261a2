// The text: CodeMirror, with what the checker says of it.

import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap, snippet } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { bracketMatching, foldEffect, foldGutter, foldKeymap, foldService, indentOnInput, indentUnit } from "@codemirror/language";
import { lintGutter, lintKeymap, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, searchKeymap } from "@codemirror/search";
import { EditorState, RangeSet, StateEffect, StateField } from "@codemirror/state";
import {
  Decoration, EditorView, WidgetType, crosshairCursor, drawSelection, dropCursor,
  highlightActiveLine, highlightActiveLineGutter, highlightSpecialChars, hoverTooltip, keymap,
  lineNumbers, rectangularSelection, showTooltip,
} from "@codemirror/view";
import { python } from "@codemirror/lang-python";
import { arch, colours } from "./language.js";
import { markdown } from "./markdown.js";

// ---- shapes behind the lines, costs behind the definitions -------------------------------------

class Hint extends WidgetType {
  constructor(text, all, kind) {
    super();
    Object.assign(this, { text, all, kind });
  }
  eq(other) {
    return other.text === this.text && other.all === this.all;
  }
  toDOM() {
    const span = document.createElement("span");
    span.className = `hint ${this.kind}`;
    span.textContent = this.text;
    span.title = this.all;
    span.setAttribute("aria-hidden", "true");
    return span;
  }
}

const setHints = StateEffect.define();
const hints = StateField.define({
  create: () => Decoration.none,
  update(value, tr) {
    for (const effect of tr.effects) if (effect.is(setHints)) return effect.value;
    return value.map(tr.changes);
  },
  provide: (field) => EditorView.decorations.from(field),
});

const setMarked = StateEffect.define();
const marked = StateField.define({
  create: () => Decoration.none,
  update(value, tr) {
    for (const effect of tr.effects) {
      if (!effect.is(setMarked)) continue;
      const lines = new Set();
      for (const [from, to] of effect.value) {
        const end = Math.min(to, tr.state.doc.length);
        for (let at = Math.min(from, end); at <= end; ) {
          const line = tr.state.doc.lineAt(at);
          lines.add(line.from);
          at = line.to + 1;
        }
      }
      const sorted = [...lines].sort((a, b) => a - b);
      return RangeSet.of(sorted.map((at) => Decoration.line({ class: "marked" }).range(at)));
    }
    return tr.docChanged ? Decoration.none : value;
  },
  provide: (field) => EditorView.decorations.from(field),
});

// ---- the editor --------------------------------------------------------------------------------

/** `on`: what happens at a change of the text, of the cursor, and at the page's own keys. */
export function makeEditor(parent, text, ask, on) {
  let problems = [];
  const complete = async (context) => {
    const word = context.matchBefore(/@?\w*/);
    const before = context.state.sliceDoc(Math.max(0, context.pos - 1), context.pos);
    if (!context.explicit && word.from === word.to && !/[@=.("]/.test(before)) return null;
    const asked = { kind: "complete", text: context.state.doc.toString(), at: context.pos };
    const found = await ask(asked);
    if (!found || found.error || context.aborted) return null;
    return {
      from: found.from,
      validFor: /^@?\w*$/,
      options: found.options.map((one) => ({
        label: one.label,
        type: one.kind,
        detail: one.detail,
        boost: -10 * one.rank,
        apply: one.snippet ? filled(one.snippet) : undefined,
        info: ["operator", "block", "function"].includes(one.kind)
          ? async () => {
              const page = await ask({ kind: "manual", name: one.label });
              return page?.text ? { dom: markdown(page.text) } : null;
            }
          : undefined,
      })),
    };
  };

  const hover = hoverTooltip(
    async (view, pos) => {
      const found = await ask({ kind: "hover", text: view.state.doc.toString(), at: pos });
      if (!found?.text) return null;
      const dom = markdown(found.text);
      return { pos: found.span[0], end: found.span[1], above: true, create: () => ({ dom }) };
    },
    { hoverTime: 250 },
  );

  const fixHere = (view) => {
    const at = view.state.selection.main.head;
    const line = view.state.doc.lineAt(at);
    const mendable = problems.filter((one) => one.fixes.length && !one.where);
    const here = mendable.filter((one) => one.span[0] <= line.to && one.span[1] >= line.from);
    const next = here[0] ?? mendable.find((one) => one.span[0] >= at) ?? mendable[0];
    if (next) apply(view, next.fixes[0]);
    return true;
  };

  const view = new EditorView({
    parent,
    state: EditorState.create({
      doc: text,
      extensions: [
        lineNumbers(), highlightActiveLineGutter(), highlightSpecialChars(), history(),
        foldGutter({ openText: "⌄", closedText: "›" }), foldService.of(foldable),
        drawSelection(), dropCursor(), indentOnInput(), indentUnit.of("  "),
        bracketMatching(), closeBrackets(), rectangularSelection(), crosshairCursor(),
        highlightActiveLine(), highlightSelectionMatches(),
        autocompletion({ override: [complete], icons: false, activateOnTypingDelay: 60 }),
        arch, colours, hints, marked, hover, lintGutter(), signatures(ask),
        EditorView.contentAttributes.of({ "aria-label": "The spec's text", spellcheck: "false" }),
        keymap.of([
          { key: "Mod-.", run: fixHere },
          { key: "Shift-Alt-f", run: () => (on.format(), true) },
          { key: "Mod-s", run: () => (on.save(), true) },
          ...closeBracketsKeymap, ...defaultKeymap, ...searchKeymap, ...historyKeymap,
          ...foldKeymap, ...completionKeymap, ...lintKeymap, indentWithTab,
        ]),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) on.text();
          else if (update.selectionSet) on.cursor(update.state.selection.main.head);
        }),
      ],
    }),
  });

  return {
    view,
    get text() {
      return view.state.doc.toString();
    },
    set text(value) {
      if (value === this.text) return;
      view.dispatch({ changes: changed(this.text, value) });
    },
    replace(value) {
      view.dispatch({
        changes: { from: 0, to: view.state.doc.length, insert: value },
        selection: { anchor: 0 },
        effects: EditorView.scrollIntoView(0),
      });
    },
    tell(found) {
      problems = found.problems;
      const length = view.state.doc.length;
      const clip = (at) => Math.min(at, length);
      const diagnostics = problems.filter((one) => !one.where).map((one) => ({
        from: clip(one.span[0]),
        to: clip(one.span[1]),
        severity: one.severity,
        source: one.code,
        message: one.message,
        markClass: one.unused ? "unused" : undefined,
        actions: one.fixes.map((fix) => ({ name: fix.title, apply: () => apply(view, fix) })),
      }));
      view.dispatch(setDiagnostics(view.state, diagnostics));
      const ends = found.hints
        .filter((one) => one.line <= view.state.doc.lines)
        .map((one) => [view.state.doc.line(one.line).to, new Hint(one.text, one.all, "shape")]);
      const costs = found.lenses
        .filter(([from]) => from <= length)
        .map(([from, , text]) => [view.state.doc.lineAt(from).to, new Hint(text, text, "lens")]);
      const all = [...ends, ...costs].sort((a, b) => a[0] - b[0]);
      const set = all.map(([at, widget]) => Decoration.widget({ widget, side: 1 }).range(at));
      view.dispatch({ effects: setHints.of(Decoration.set(set, true)) });
    },
    mark(spans, { scroll = false } = {}) {
      const effects = [setMarked.of(spans)];
      if (scroll && spans.length) {
        const line = view.state.doc.lineAt(Math.min(spans[0][0], view.state.doc.length));
        effects.push(EditorView.scrollIntoView(line.from, { yMargin: 60, xMargin: 0 }));
      }
      view.dispatch({ effects });
    },
    go(at) {
      const anchor = Math.min(at, view.state.doc.length);
      view.dispatch({ selection: { anchor }, effects: EditorView.scrollIntoView(anchor, { y: "center" }) });
      view.focus();
    },
    apply: (fix) => apply(view, fix),
  };
}

function apply(view, fix) {
  const changes = fix.edits.map(([from, to, insert]) => ({ from, to, insert }));
  view.dispatch({ changes, userEvent: "input.fix" });
  view.focus();
}

/** The language server's snippets in CodeMirror's words: `$0` is a field too, the last one. */
const filled = (text) =>
  snippet(text.replace(/\$(\d)/g, "$${$1:}").replace(/\$\{0:/g, "${9:").replace(/\{(\d):\}/g, "{}"));

/** Only what differs, so that the cursor stays where it is. */
function changed(old, text) {
  let head = 0;
  while (head < old.length && head < text.length && old[head] === text[head]) head += 1;
  let tail = 0;
  const most = Math.min(old.length, text.length) - head;
  while (tail < most && old[old.length - 1 - tail] === text[text.length - 1 - tail]) tail += 1;
  return { from: head, to: old.length - tail, insert: text.slice(head, text.length - tail) };
}

/** From an open brace to the one that closes it. */
function foldable(state, from, to) {
  const open = state.sliceDoc(from, to).replace(/#.*/, "").lastIndexOf("{");
  if (open < 0) return null;
  let depth = 0;
  const text = state.doc.sliceString(from + open, state.doc.length);
  for (const found of text.matchAll(/#.*|"[^"\n]*"|[{}]/g)) {
    depth += found[0] === "{" ? 1 : found[0] === "}" ? -1 : 0;
    if (depth) continue;
    const end = from + open + found.index;
    return end > to ? { from: from + open + 1, to: end } : null;
  }
  return null;
}

/** The signature of the call around the cursor, while one types in it. */
function signatures(ask) {
  const show = StateEffect.define();
  const field = StateField.define({
    create: () => null,
    update(value, tr) {
      for (const effect of tr.effects) if (effect.is(show)) return effect.value;
      return tr.docChanged && value ? { ...value, pos: tr.changes.mapPos(value.pos) } : value;
    },
    provide: (f) => showTooltip.from(f),
  });
  let asked = 0;
  const listen = EditorView.updateListener.of(async (update) => {
    if (!update.docChanged && !update.selectionSet) return;
    const { state } = update;
    const at = state.selection.main.head;
    const mine = ++asked;
    const typed = update.transactions.some((tr) => tr.isUserEvent("input.type"));
    const open = state.field(field);
    if (!typed && !open) return;
    const found = await ask({ kind: "signature", text: state.doc.toString(), at }, true);
    if (mine !== asked || found === null) return;
    const hidden = !found.label || !found.parts?.length || !update.view.hasFocus;
    const value = hidden ? null : { pos: at, above: true, create: () => ({ dom: signature(found) }) };
    if (value || update.view.state.field(field)) update.view.dispatch({ effects: show.of(value) });
  });
  const close = keymap.of([
    {
      key: "Escape",
      run(view) {
        if (!view.state.field(field)) return false;
        view.dispatch({ effects: show.of(null) });
        return true;
      },
    },
  ]);
  return [field, listen, close];
}

function signature({ label, parts, active }) {
  const dom = document.createElement("div");
  dom.className = "signature";
  const code = dom.appendChild(document.createElement("code"));
  const name = label.split(" ")[0];
  code.append(name);
  parts.forEach((part, index) => {
    code.append(" ");
    const span = code.appendChild(document.createElement(index === active ? "b" : "span"));
    span.textContent = part.text;
  });
  if (parts[active]?.doc) dom.append(markdown(parts[active].doc));
  return dom;
}

/** Source that one reads: the emitted Python. */
export function makeReader(parent, text) {
  const view = new EditorView({
    parent,
    state: EditorState.create({
      doc: text,
      extensions: [
        lineNumbers(), foldGutter({ openText: "⌄", closedText: "›" }), python(), colours,
        drawSelection(), highlightSelectionMatches(), EditorState.readOnly.of(true),
        keymap.of([...defaultKeymap, ...searchKeymap, ...foldKeymap]),
        EditorView.contentAttributes.of({ "aria-label": "Python source", tabindex: "0" }),
      ],
    }),
  });
  const docstring = /^"""[^\n]*\n[^]*?\n(?="""\n)/.exec(text); // it holds the spec again
  const first = view.state.doc.line(1).to;
  if (docstring) view.dispatch({ effects: foldEffect.of({ from: first, to: docstring[0].length }) });
  return view;
}
