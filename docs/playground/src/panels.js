// The right side: picture, shapes, Python, costs, sizes. Each panel fills an element with an answer.

import { makeReader } from "./editor.js";

export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "class") made.className = value;
    else if (value !== false && value != null) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

const covers = (spans, at) => spans.some(([from, to]) => from <= at && at <= to);
const size = (spans) => Math.min(...spans.map(([from, to]) => to - from));

/** Something that one clicks, or walks to by keyboard, to see its lines; and that shows itself
 * marked where the cursor stands in its lines. */
function linked(node, spans, to) {
  if (!spans.length) return;
  node.tabIndex = 0;
  node.classList.add("linked");
  const mark = () => to.mark(spans, { scroll: true });
  node.addEventListener("click", mark);
  node.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      mark();
    }
  });
  to.links.push({ node, spans });
}

/** The innermost of what the cursor stands in. */
export function follow(links, at) {
  const inside = links.filter((link) => covers(link.spans, at));
  const least = Math.min(...inside.map((link) => size(link.spans)));
  for (const { node, spans } of links)
    node.classList.toggle("here", covers(spans, at) && size(spans) === least);
  return inside.find((link) => size(link.spans) === least)?.node;
}

// ---- picture -----------------------------------------------------------------------------------

const SVG = "http://www.w3.org/2000/svg";
const MEDIA = "@media (prefers-color-scheme: dark)";

export function picture(panel, { svg, boxes }, to) {
  const kept = panel.querySelector(".canvas");
  const scroll = kept ? [kept.scrollLeft, kept.scrollTop] : [0, 0];
  const canvas = el("div", { class: "canvas" });
  const dark = document.documentElement.dataset.theme === "dark";
  canvas.innerHTML = svg.replace(MEDIA, dark ? "@media all" : "@media not all");
  const drawn = canvas.querySelector("svg");
  for (const box of boxes) {
    const [x, y, width, height] = box.at;
    const rect = document.createElementNS(SVG, "rect");
    for (const [name, value] of Object.entries({ x, y, width, height, rx: 6, class: "area" }))
      rect.setAttribute(name, value);
    rect.setAttribute("role", "button");
    rect.setAttribute("aria-label", "show its lines");
    drawn.append(rect);
    linked(rect, box.spans, to);
  }
  const natural = Number(drawn.getAttribute("width"));
  const tall = Number(drawn.getAttribute("height"));
  const scaled = () => {
    if (!canvas.clientWidth) return; // replaced by a newer one
    const room = canvas.clientWidth - 32;
    const fit = Math.min(room / natural, Math.max(0.35, (canvas.clientHeight - 32) / tall), 1.25);
    const scale = to.zoom === 0 ? Math.max(fit, Math.min(0.62, room / natural)) : to.zoom;
    drawn.setAttribute("width", natural * scale);
    drawn.setAttribute("height", tall * scale);
    to.scale = scale;
  };
  panel.replaceChildren(canvas);
  scaled();
  new ResizeObserver(scaled).observe(canvas);
  canvas.scrollTo(...scroll);
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    to.zoom = Math.min(3, Math.max(0.2, to.scale * (event.deltaY < 0 ? 1.12 : 1 / 1.12)));
    scaled();
  }, { passive: false });
  const zoom = (factor) => () => {
    to.zoom = factor ? Math.min(3, Math.max(0.2, to.scale * factor)) : 0;
    scaled();
  };
  return [
    el("button", { title: "Smaller", onclick: zoom(1 / 1.25) }, "−"),
    el("button", { title: "As large as fits", onclick: zoom(0) }, "Fit"),
    el("button", { title: "Larger", onclick: zoom(1.25) }, "+"),
  ];
}

// ---- shapes ------------------------------------------------------------------------------------

export function shapes(panel, answer, to) {
  const head = ["layer", "operator", "output", "sees", "params", "MACs"];
  const right = (index) => (index > 3 ? { class: "number" } : {});
  const body = el("tbody", {}, row(["input", "", answer.input, "", "", ""], "muted"));
  for (const { cells, spans } of answer.rows) {
    const line = row(cells);
    linked(line, spans, to);
    body.append(line);
  }
  function row(cells, kind = "") {
    return el("tr", { class: kind }, ...cells.map((cell, i) => el("td", right(i), cell)));
  }
  const [params, macs] = answer.exact.map((n) => n.toLocaleString("en"));
  const foot = el("tfoot", {}, row([answer.name, "", "", "", params, macs]));
  const table = el("table", { class: "shapes" },
    el("thead", {}, el("tr", {}, ...head.map((word, i) => el("th", { scope: "col", ...right(i) }, word)))),
    body, foot);
  panel.replaceChildren(el("div", { class: "scroll" }, table));
  return [];
}

// ---- Python ------------------------------------------------------------------------------------

export function source(panel, { text }) {
  const box = el("div", { class: "reader" });
  panel.replaceChildren(box);
  makeReader(box, text);
  const copy = async (event) => {
    await navigator.clipboard.writeText(text);
    event.target.textContent = "Copied";
    setTimeout(() => (event.target.textContent = "Copy"), 1500);
  };
  return [el("button", { title: "Copy the source", onclick: copy }, "Copy")];
}

// ---- costs -------------------------------------------------------------------------------------

const ROWS = 14; // more are opened by hand

export function costs(panel, { rows, params, macs }, to) {
  const open = new Set();
  let shown = rows.length;
  for (;;) {
    const closed = visible(rows, open).filter((r) => r.inner.length && !open.has(r.name));
    const share = (r) => r.macs / (macs || 1) + r.params / (params || 1);
    const next = closed.sort((a, b) => share(b) - share(a))[0];
    if (!next || shown + next.inner.length > ROWS || share(next) < 0.8) break;
    open.add(next.name);
    shown += next.inner.length;
  }
  const list = el("div", { class: "costs", role: "table", "aria-label": "Costs by stage" });
  const draw = () => {
    to.links.length = 0;
    const all = visible(rows, open);
    const most = (key) => Math.max(1, ...all.filter((r) => !open.has(r.name)).map((r) => r[key]));
    const largest = { params: most("params"), macs: most("macs") };
    list.replaceChildren(
      el("div", { class: "cost head", role: "row" }, el("span", {}, "stage"),
        el("span", {}, `parameters · ${params.toLocaleString("en")}`),
        el("span", {}, `MACs · ${macs.toLocaleString("en")}`)),
      ...all.map((one) => line(one, largest)),
    );
  };
  const line = (one, largest) => {
    const depth = one.name.split(".").length - 1;
    const isOpen = open.has(one.name);
    const turn = () => {
      isOpen ? open.delete(one.name) : open.add(one.name);
      draw();
    };
    const arrow = one.inner.length
      ? el("button", { class: "turn", "aria-expanded": String(isOpen), "aria-label": `open ${one.name}`,
          onclick: (event) => (event.stopPropagation(), turn()) }, isOpen ? "⌄" : "›")
      : el("span", { class: "turn" });
    const name = one.name.split(".").at(-1) || one.what;
    const title = el("span", { class: "name", style: `padding-left:${depth * 16}px` }, arrow,
      el("b", {}, name), el("small", {}, [one.what === name ? "" : one.what, one.training ? "in training alone" : ""].filter(Boolean).join(" · ")));
    const made = el("div", { class: `cost${isOpen ? " open" : ""}`, role: "row" }, title,
      bar("params", one.params, params, largest.params), bar("macs", one.macs, macs, largest.macs));
    linked(made, one.spans, to);
    return made;
  };
  const bar = (kind, value, total, most) => {
    const width = Math.min(100, (100 * value) / most).toFixed(2);
    const share = total ? (100 * value) / total : 0;
    const said = value ? `${short(value)} · ${share < 0.1 ? "<0.1" : share < 1 ? share.toFixed(1) : Math.round(share)} %` : "";
    return el("span", { class: "track", title: `${value.toLocaleString("en")}` },
      el("i", { class: kind, hidden: !value, style: `width:${width}%` }), el("em", {}, said));
  };
  draw();
  panel.replaceChildren(el("div", { class: "scroll" }, list));
  return [];
}

function visible(rows, open) {
  return rows.flatMap((one) => (open.has(one.name) ? [one, ...visible(one.inner, open)] : [one]));
}

function short(value) {
  for (const [unit, size] of [["G", 1e9], ["M", 1e6], ["k", 1e3]])
    if (value >= size) return `${(value / size).toPrecision(3)}${unit}`;
  return String(value);
}

// ---- sizes -------------------------------------------------------------------------------------

export function sizes(panel, found, to) {
  const parts = [el("h2", {}, "Which inputs it takes"), el("p", { class: "takes" }, found.takes)];
  if (!found.exact)
    parts.push(el("p", { class: "muted" }, "It may take more: not every rule could be followed."));
  if (found.smallest && found.reasons.length)
    parts.push(el("p", {}, "Smallest: ", el("b", {}, found.smallest)));
  if (found.reasons.length) {
    parts.push(el("h3", {}, "Why"));
    for (const reason of found.reasons) {
      const card = el("div", { class: "reason" }, el("code", {}, reason.clause),
        el("span", {}, "from ", el("code", {}, reason.step)), el("small", {}, reason.why));
      linked(card, reason.spans, to);
      parts.push(card);
    }
  }
  if (found.letters.length) {
    const said = el("p", { class: "said", "aria-live": "polite" });
    const field = el("input", { value: found.declared.join("x"), "aria-label": "A size to try", spellcheck: "false" });
    const attempt = async (event) => {
      event?.preventDefault();
      const { at, error } = (await to.ask({ kind: "sizes", at: field.value })) ?? {};
      const text = error ?? at?.text ?? "";
      said.replaceChildren(el("b", { class: at?.taken ? "yes" : "no" }, at?.taken ? "yes" : "no"), ` ${text}`);
      if (at?.spans.length) to.mark(at.spans, { scroll: true });
    };
    parts.push(el("h3", {}, "Try one"), el("form", { class: "try", onsubmit: attempt }, field,
      el("button", {}, "Feed it")), said);
  }
  panel.replaceChildren(el("div", { class: "scroll" }, el("div", { class: "sizes" }, ...parts)));
  return [];
}
