// The page: the text on the left, what it comes to on the right, and Python behind both.

import examples from "examples.json";
import { makeEditor } from "./editor.js";
import { fragment, opened } from "./link.js";
import * as panels from "./panels.js";
import { Python } from "./python.js";

const { el } = panels;
const $ = (id) => document.getElementById(id);
const PAUSE = 150; // after the last key
const TABS = ["picture", "shapes", "source", "costs", "sizes"];
const FIRST = "resnet50";

const state = { model: "", params: {}, input: "", tab: "picture", example: null, found: null };
const links = []; // what is linked to lines, in the open tab
const to = {
  links, zoom: 0, scale: 1,
  ask: (question) => python.ask(question),
  mark: (spans, how) => {
    if (narrow.matches) tab("text");
    editor.mark(spans, how);
  },
};
const narrow = matchMedia("(max-width: 760px)");

// ---- Python ------------------------------------------------------------------------------------

const python = new Python({
  step: (text) => say("busy", `${text} …`),
  failed: (text) => say("bad", `Python did not start: ${text}`),
  ready: (ms, remembered) => {
    document.documentElement.dataset.ready = String(ms);
    document.documentElement.dataset.remembered = String(remembered);
    check();
  },
});

function say(kind, text) {
  $("status").className = kind;
  $("said").textContent = text;
}

// ---- the text ----------------------------------------------------------------------------------

let editor;
let timer;
let typed = 0;

function changed() {
  typed += 1;
  clearTimeout(timer);
  timer = setTimeout(check, PAUSE);
}

async function check() {
  if (!python.ready) return;
  const asked = typed;
  const { model, params, input } = state;
  const question = { kind: "check", text: editor.text, model, params, input };
  const found = await python.ask(question, { replaces: true });
  if (!found || asked !== typed) return;
  if (found.error) {
    fields(state.found, found.error);
    say("bad", found.error);
    return;
  }
  state.found = found;
  editor.tell(found);
  problems(found);
  models(found);
  fields(found);
  const errors = found.problems.filter((one) => one.severity === "error").length;
  const warnings = found.problems.length - errors;
  const count = (n, word) => (n ? `${n} ${word}${n > 1 ? "s" : ""}` : "");
  const said = [count(errors, "error"), count(warnings, "warning")].filter(Boolean).join(", ");
  say(errors ? "bad" : warnings ? "warned" : "good", said || "no problems");
  const { summary } = found;
  $("facts").replaceChildren(...(summary
    ? [el("span", {}, summary.flow), el("span", {}, el("b", {}, summary.params), " parameters"),
       el("span", {}, el("b", {}, summary.macs), " MACs")]
    : []));
  document.title = summary ? `${summary.name} · archdsl playground` : "archdsl playground";
  remember();
  await fill();
}

function problems({ problems: all }) {
  const box = $("problems");
  box.hidden = !all.length;
  box.replaceChildren(...all.map((one) => {
    const [title, ...more] = one.message.split("\n");
    const place = one.where ? "parameter" : `line ${one.line}`;
    const item = el("div", { class: `problem ${one.severity}`, role: "listitem", tabindex: "0",
      onclick: () => one.where || editor.go(one.span[0]),
      onkeydown: (event) => event.key === "Enter" && event.target === item && !one.where && editor.go(one.span[0]) },
      el("p", {}, el("button", { class: "code", title: `What ${one.code} means`,
        onclick: (event) => (event.stopPropagation(), explain(one.code)) }, one.code), " ", code(title), el("small", {}, ` ${place}`)),
      ...more.filter((text) => !(text.startsWith("help:") && one.fixes.length)).map((text) => el("p", { class: "more" }, code(text))));
    for (const fix of one.fixes)
      item.append(el("button", { class: "fix", onclick: (event) => (event.stopPropagation(), editor.apply(fix)) }, code(fix.title)));
    return item;
  }));
}

async function explain(name) {
  const found = await python.ask({ kind: "explain", code: name });
  if (!found?.text) return;
  $("explained").querySelector("pre").textContent = found.text;
  $("explained").showModal();
}

/** Text whose `words` are code. */
function code(text) {
  const parts = text.split(/`([^`]*)`/);
  return el("span", {}, ...parts.map((part, i) => (i % 2 ? el("code", {}, part) : part)));
}

// ---- model and parameters ----------------------------------------------------------------------

function models({ models: names, model }) {
  $("model-pick").hidden = names.length < 2;
  $("model").replaceChildren(...names.map((name) => el("option", { value: name, selected: name === model }, name)));
}

$("model").onchange = (event) => {
  Object.assign(state, { model: event.target.value, params: {}, input: "" });
  check();
};

function fields(found, wrong = "") {
  if (!found) return;
  const box = $("fields");
  const summary = found.summary?.flow.split(" ")[0] ?? "";
  const wanted = [...found.parameters, { name: "input", default: summary, input: true }];
  const names = wanted.map((one) => one.name).join();
  box.hidden = !found.models.length;
  if (box.dataset.names !== names) {
    box.dataset.names = names;
    box.replaceChildren(...wanted.map((one) => {
      const field = el("input", { spellcheck: "false", autocomplete: "off", name: one.name, size: 6 });
      field.oninput = () => {
        const value = field.value.trim();
        if (one.input) state.input = value;
        else if (value) state.params[one.name] = value;
        else delete state.params[one.name];
        fit(field);
        changed();
      };
      return el("label", {}, el("span", {}, one.name), field);
    }));
  }
  for (const one of wanted) {
    const field = box.querySelector(`input[name="${one.name}"]`);
    const value = one.input ? state.input : state.params[one.name] ?? "";
    if (document.activeElement !== field) field.value = value;
    if (one.default && !(one.input && state.input)) field.placeholder = one.default;
    const problem = found.problems.find((p) => p.where === `-p ${one.name}`);
    const said = problem?.message ?? (one.input && state.input ? wrong : "");
    field.setAttribute("aria-invalid", String(Boolean(said)));
    field.title = said;
    fit(field);
  }
}

function fit(field) {
  const text = field.value || field.placeholder;
  field.size = Math.min(18, Math.max(4, text.length));
}

// ---- tabs --------------------------------------------------------------------------------------

async function fill() {
  if (state.tab === "text" || !python.ready) return;
  const panel = $("panel");
  const kind = state.tab;
  const answer = await python.ask({ kind }, { replaces: true });
  if (!answer || kind !== state.tab) return;
  if (answer.error) {
    panel.classList.add("stale");
    if (panel.dataset.tab !== kind || !panel.childElementCount) empty(answer.error);
    return;
  }
  panel.classList.remove("stale");
  links.length = 0;
  const scroll = panel.dataset.tab === kind ? panel.querySelector(".scroll, .cm-scroller")?.scrollTop ?? 0 : 0;
  $("tools").replaceChildren(...panels[kind](panel, answer, to));
  panel.dataset.tab = kind;
  const now = panel.querySelector(".scroll, .cm-scroller");
  if (now && scroll) now.scrollTop = scroll;
  panels.follow(links, editor.view.state.selection.main.head);
}

function empty(text) {
  links.length = 0;
  $("tools").replaceChildren();
  $("panel").dataset.tab = "";
  $("panel").replaceChildren(el("p", { class: "empty" }, `Nothing to show: ${text}.`));
}

function tab(name) {
  state.tab = name;
  document.body.classList.toggle("reading", name === "text");
  for (const button of document.querySelectorAll("[data-tab][role=tab]")) {
    const on = button.dataset.tab === name;
    button.setAttribute("aria-selected", String(on));
    button.tabIndex = on ? 0 : -1;
  }
  $("panel").setAttribute("aria-label", name);
  remember();
  if (name !== "text") fill();
}

document.querySelector(".tabs").addEventListener("click", (event) => {
  const name = event.target.closest("[role=tab]")?.dataset.tab;
  if (name) tab(name);
});
document.querySelector(".tabs").addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step || event.target.getAttribute("role") !== "tab") return;
  const shown = [...document.querySelectorAll("[role=tab]")].filter((one) => one.offsetParent);
  const next = shown[(shown.indexOf(event.target) + step + shown.length) % shown.length];
  tab(next.dataset.tab);
  next.focus();
});
addEventListener("keydown", (event) => {
  if (event.key === "F1") {
    event.preventDefault();
    $("keys").showModal();
  } else if (event.altKey && !event.ctrlKey && /^Digit[1-5]$/.test(event.code)) {
    event.preventDefault();
    tab(TABS[event.code.at(-1) - 1]);
  }
});
narrow.addEventListener("change", () => state.tab === "text" && !narrow.matches && tab("picture"));

// ---- the address, examples ---------------------------------------------------------------------

let writing;

/** Keeps the address true to the text, without a step in the browser's history. */
function remember() {
  clearTimeout(writing);
  writing = setTimeout(async () => {
    const made = await fragment({ ...state, text: editor.text, tab: state.tab === "text" ? "" : state.tab }, state.example);
    if (made === location.hash) return;
    history.replaceState(null, "", made);
  }, 400);
}

function show(given) {
  const { text, model = "", params = {}, input = "", example = null } = given;
  Object.assign(state, { model, params, input, example });
  $("examples").value = example?.name ?? "";
  if (TABS.includes(given.tab)) tab(given.tab);
  to.zoom = 0;
  editor.replace(text);
  check();
}

const groups = Map.groupBy ? Map.groupBy(examples, (one) => one.group) : grouped(examples);
function grouped(all) {
  const found = new Map();
  for (const one of all) found.set(one.group, [...(found.get(one.group) ?? []), one]);
  return found;
}
$("examples").append(
  el("option", { value: "", disabled: true, hidden: true }, "Examples"),
  ...[...groups].map(([group, all]) => el("optgroup", { label: group },
    ...all.map((one) => el("option", { value: one.name }, one.title)))),
);
$("examples").onchange = (event) => {
  const example = examples.find((one) => one.name === event.target.value);
  show({ text: example.text, example });
};

addEventListener("hashchange", async (event) => {
  clearTimeout(writing);
  try {
    const given = await opened(new URL(event.newURL).hash, examples);
    if (given) show(given);
  } catch (error) {
    say("bad", error.message);
  }
});

// ---- buttons -----------------------------------------------------------------------------------

async function whole(kind) {
  const found = await python.ask({ kind, text: editor.text });
  if (found?.error) say("bad", found.error);
  else if (found) editor.text = found.text;
}
$("format").onclick = () => whole("format");

$("share").onclick = async () => {
  const button = $("share");
  const made = await fragment({ ...state, text: editor.text }, state.example);
  history.replaceState(null, "", made);
  try {
    await navigator.clipboard.writeText(location.href);
    button.textContent = "Link copied";
  } catch {
    button.textContent = "See the address";
  }
  setTimeout(() => (button.textContent = "Share"), 1800);
};

async function download(kind) {
  const ending = { arch: "arch", python: "py", svg: "svg", costs: "csv" }[kind];
  const name = state.found?.summary?.name ?? "network";
  let text = editor.text;
  if (kind !== "arch") {
    const found = await python.ask({ kind: "file", to: kind });
    if (!found || found.error) return say("bad", found?.error ?? "nothing to write");
    text = found.text;
  }
  const link = el("a", { href: URL.createObjectURL(new Blob([text])), download: `${name}.${ending}` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 5000);
}
$("download").addEventListener("click", (event) => {
  const kind = event.target.closest("[data-to]")?.dataset.to;
  if (!kind) return;
  $("download").open = false;
  download(kind);
});
document.addEventListener("click", (event) => {
  if (!$("download").contains(event.target)) $("download").open = false;
});
$("download").addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  $("download").open = false;
  $("download").querySelector("summary").focus();
});

$("help").onclick = () => $("keys").showModal();

$("theme").onclick = () => {
  const dark = document.documentElement.dataset.theme !== "dark";
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  try {
    localStorage.setItem("archdsl-theme", dark ? "dark" : "light");
  } catch {}
  if (state.tab === "picture") fill();
};

// ---- the divider -------------------------------------------------------------------------------

const divider = $("divider");
const split = (share) => {
  const kept = Math.min(0.8, Math.max(0.2, share));
  document.body.style.setProperty("--left", `${100 * kept}%`);
  divider.setAttribute("aria-valuenow", Math.round(100 * kept));
};
divider.onpointerdown = (event) => {
  divider.setPointerCapture(event.pointerId);
  divider.onpointermove = (moved) => split(moved.clientX / innerWidth);
};
divider.onpointerup = () => (divider.onpointermove = null);
divider.onkeydown = (event) => {
  const step = { ArrowLeft: -0.03, ArrowRight: 0.03 }[event.key];
  if (step) split(divider.getBoundingClientRect().x / innerWidth + step);
};

// ---- start -------------------------------------------------------------------------------------

async function start() {
  let given = null;
  let wrong = "";
  try {
    given = await opened(location.hash, examples);
  } catch (error) {
    wrong = error.message;
  }
  const example = examples.find((one) => one.name === FIRST) ?? examples[0];
  given ??= { text: example.text, example };
  editor = makeEditor($("editor"), given.text, (question, replaces) =>
    python.ready ? python.ask(question, { replaces: Boolean(replaces) }) : Promise.resolve(null), {
    text: changed,
    cursor: (at) => {
      const node = panels.follow(links, at);
      if (node && state.tab !== "source") node.scrollIntoView({ block: "nearest", inline: "nearest" });
    },
    format: () => whole("format"),
    save: () => download("arch"),
  });
  tab(TABS.includes(given.tab) ? given.tab : narrow.matches ? "text" : "picture");
  show(given);
  if (wrong) say("bad", wrong);
  $("panel").replaceChildren(el("p", { class: "empty" }, "Starting Python in this page …"));
  if ("serviceWorker" in navigator && location.protocol !== "file:")
    navigator.serviceWorker.register("sw.js").catch((error) => console.warn("not offline:", error));
}

start();
