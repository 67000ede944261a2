// Python beside the page: loads Pyodide and archdsl, then answers one question after the other.

const began = performance.now();
const SNAPSHOT = new URL("snapshot.bin.gz", self.location).href;

/** Python's memory with archdsl in it, where the service worker has it: from the second visit on. To
 * start from it takes a third of the time; the first visit would wait longer for it than it saves. */
async function remembered() {
  try {
    const found = await caches.match(SNAPSHOT);
    if (!found) return undefined;
    const plain = found.body.pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(plain).arrayBuffer());
  } catch {
    return undefined; // no caches here: a page that is not secure
  }
}
const say = (step) => postMessage({ step });

async function start() {
  const { loadPyodide } = await import(new URL("pyodide/pyodide.mjs", self.location).href);
  const archive = fetch("archdsl.zip").then((found) => {
    if (!found.ok) throw new Error(`archdsl.zip: ${found.status}`);
    return found.arrayBuffer();
  });
  say("Starting Python");
  const indexURL = new URL("pyodide/", self.location).href;
  const snapshot = await remembered();
  const python = await loadPyodide({ indexURL, _loadSnapshot: snapshot }).catch((error) => {
    if (!snapshot) throw error;
    console.warn("without the snapshot:", error);
    return loadPyodide({ indexURL });
  });
  say("Loading archdsl");
  python.unpackArchive(await archive, "zip", { extractDir: "/archdsl" });
  python.runPython(`
import importlib, sys
if "/archdsl" not in sys.path:
    sys.path.insert(0, "/archdsl")
importlib.invalidate_caches()
import bridge
`);
  const answer = python.pyimport("bridge").answer;
  postMessage({ ready: Math.round(performance.now() - began), remembered: Boolean(snapshot) });
  return answer;
}

const started = start().catch((error) => postMessage({ failed: String(error.message ?? error) }));

onmessage = async ({ data }) => {
  const answer = await started;
  if (!answer) return;
  try {
    postMessage({ id: data.id, answer: JSON.parse(answer(JSON.stringify(data.question))) });
  } catch (error) {
    const lines = String(error.message ?? error).trim().split("\n");
    postMessage({ id: data.id, answer: { error: lines.at(-1), broken: String(error) } });
  }
};
