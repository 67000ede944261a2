// Python's memory once archdsl has been used, for a start without importing anything:
//   node snapshot.mjs NPM_FOLDER COMPILED.zip SPEC.arch SNAPSHOT.bin.gz
// `_makeSnapshot` and `_loadSnapshot` are Pyodide's, of just this version: package.json names it.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";

const [npm, from, spec, to] = process.argv.slice(2);
const folder = join(npm, "node_modules", "pyodide");
const { loadPyodide } = await import(pathToFileURL(join(folder, "pyodide.mjs")).href);
const python = await loadPyodide({ indexURL: folder, _makeSnapshot: true });
python.unpackArchive(new Uint8Array(readFileSync(from)), "zip", { extractDir: "/archdsl" });
python.runPython(`
import sys
sys.path.insert(0, "/archdsl")
import bridge
bridge.warm(${JSON.stringify(readFileSync(spec, "utf8"))})
`);
const memory = python.makeMemorySnapshot();
const most = 30 * 2 ** 20 + 4096; // Pyodide's memory before it grows: it takes no larger snapshot
if (memory.length > most) throw new Error(`the snapshot is too large: ${memory.length} bytes`);
writeFileSync(to, gzipSync(memory, { level: 9 }));
