// The webview's page, in as much of a browser as it needs: it draws, marks, and tells of clicks.
import assert from "node:assert/strict";
import { buildSync } from "esbuild";

const built = buildSync({
  entryPoints: [new URL("../src/page.ts", import.meta.url).pathname],
  bundle: true, write: false, format: "esm", platform: "node",
});
const { page } = await import(`data:text/javascript,${encodeURIComponent(built.outputFiles[0].text)}`);
const html = page("abc");
assert.match(html, /script-src 'nonce-abc'/);
assert.match(html, /default-src 'none'/);
const [, script] = /<script nonce="abc">([^]*)<\/script>/.exec(html);

const told = [];
const element = () => {
  const classes = new Set();
  return {
    attributes: {}, heard: {}, innerHTML: "", textContent: "",
    classList: { toggle: (name, on) => (on ? classes.add(name) : classes.delete(name)), has: (name) => classes.has(name) },
    setAttribute(name, value) { this.attributes[name] = value; },
    addEventListener(name, hear) { this.heard[name] = hear; },
    querySelector: () => ({ append: (rect) => rects.push(rect) }),
  };
};
const rects = [];
const parts = { picture: element(), said: element() };
let hear;
new Function("acquireVsCodeApi", "document", "addEventListener", script)(
  () => ({ postMessage: (message) => told.push(message) }),
  { getElementById: (id) => parts[id], createElementNS: element, body: { className: "vscode-light" } },
  (name, heard) => (hear = heard),
);
assert.deepEqual(told.shift(), { ready: true });
const boxes = [
  { at: [0, 0, 90, 90], lines: [[2, 6]] },
  { at: [5, 5, 20, 20], lines: [[4, 4]] },
];
const svg = "<svg><style>@media (prefers-color-scheme: dark) {}</style></svg>";
hear({ data: { picture: { svg, boxes, stale: false }, cursor: 4 } });
assert.match(parts.picture.innerHTML, /@media not all/);
assert.deepEqual(rects.map((rect) => rect.classList.has("here")), [false, true]); // the innermost
rects[1].heard.click();
assert.deepEqual(told.shift(), { lines: [[4, 4]] });
hear({ data: { cursor: 3 } });
assert.deepEqual(rects.map((rect) => rect.classList.has("here")), [true, false]);
hear({ data: { picture: { stale: true } } });
assert.ok(parts.picture.classList.has("stale") && parts.picture.innerHTML.includes("svg"));
hear({ data: { picture: null } });
assert.match(parts.said.textContent, /no model/);
console.log("the page draws, marks and tells");
