// Python beside the page: loads Pyodide and archdsl, then answers one question after the other.

const began = performance.now();
const say = (step) => postMessage({ step });

async function start() {
  const { loadPyodide } = await import(new URL("pyodide/pyodide.mjs", self.location).href);
  const archive = fetch("archdsl.zip").then((found) => {
    if (!found.ok) throw new Error(`archdsl.zip: ${found.status}`);
    return found.arrayBuffer();
  });
  say("Starting Python");
  const python = await loadPyodide({ indexURL: new URL("pyodide/", self.location).href });
  say("Loading archdsl");
  python.unpackArchive(await archive, "zip", { extractDir: "/archdsl" });
  python.runPython(`
import sys
sys.path.insert(0, "/archdsl")
import bridge
`);
  const answer = python.pyimport("bridge").answer;
  postMessage({ ready: Math.round(performance.now() - began) });
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
