// The page in the webview. It knows nothing of VS Code but the messages, so that a test can open it
// in any browser.

export function page(nonce: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-${nonce}'">
<style>
  body { margin: 0; padding: 12px; display: grid; place-items: safe center; min-height: 95vh; }
  #picture { max-width: 100%; transition: opacity .2s; }
  #picture svg { max-width: 100%; height: auto; display: block; }
  .stale { opacity: .45; }
  .area { fill: transparent; stroke: transparent; stroke-width: 2; cursor: pointer; outline: none; }
  .area:hover, .area:focus-visible { stroke: var(--vscode-focusBorder, #3778c2); }
  .area.here { stroke: var(--vscode-focusBorder, #3778c2); stroke-width: 2.5; }
  #said { color: var(--vscode-descriptionForeground, #888); font-family: var(--vscode-font-family); }
</style>
</head>
<body>
<div id="picture"></div><p id="said">Waiting for the language server …</p>
<script nonce="${nonce}">
const host = acquireVsCodeApi();
const place = document.getElementById("picture");
const said = document.getElementById("said");
const MEDIA = "@media (prefers-color-scheme: dark)";
let areas = [];
function draw(found) {
  said.textContent = found === null ? "There is no model without errors yet." : found.error ?? "";
  place.classList.toggle("stale", found === null || found.stale);
  if (!found || !found.svg) return;
  const dark = !/vscode-(light|high-contrast-light)/.test(document.body.className);
  place.innerHTML = found.svg.replace(MEDIA, dark ? "@media all" : "@media not all");
  areas = found.boxes.map(({ at, lines }) => {
    const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    ["x", "y", "width", "height"].forEach((name, i) => rect.setAttribute(name, at[i]));
    rect.setAttribute("rx", 6);
    rect.setAttribute("class", "area");
    rect.setAttribute("tabindex", 0);
    rect.setAttribute("role", "button");
    const show = () => host.postMessage({ lines });
    rect.addEventListener("click", show);
    rect.addEventListener("keydown", (event) => event.key === "Enter" && show());
    place.querySelector("svg").append(rect);
    return { rect, lines };
  });
}
function mark(line) {
  const length = (lines) => Math.min(...lines.map(([a, b]) => b - a));
  const inside = areas.filter(({ lines }) => lines.some(([a, b]) => a <= line && line <= b));
  const least = Math.min(...inside.map(({ lines }) => length(lines)));
  for (const area of areas)
    area.rect.classList.toggle("here", inside.includes(area) && length(area.lines) === least);
}
addEventListener("message", ({ data }) => {
  if (data.picture !== undefined) draw(data.picture);
  if (data.cursor !== undefined) mark(data.cursor);
});
host.postMessage({ ready: true });
</script>
</body>
</html>`;
}
