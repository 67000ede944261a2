// Python sources to bytecode, by the very Python that will run them:
//   node compile.mjs NPM_FOLDER SOURCES.zip COMPILED.zip

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [npm, from, to] = process.argv.slice(2);
const folder = join(npm, "node_modules", "pyodide");
const { loadPyodide } = await import(pathToFileURL(join(folder, "pyodide.mjs")).href);
const python = await loadPyodide({ indexURL: folder });
python.unpackArchive(new Uint8Array(readFileSync(from)), "zip", { extractDir: "/sources" });
python.runPython(`
import os, py_compile, zipfile
with zipfile.ZipFile("/compiled.zip", "w", zipfile.ZIP_DEFLATED) as made:
    for folder, _, names in sorted(os.walk("/sources")):
        for name in sorted(names):
            path = os.path.join(folder, name)
            inside = os.path.relpath(path, "/sources")
            if name.endswith(".py"):
                compiled = path + "c"
                py_compile.compile(path, compiled, inside, doraise=True, optimize=0,
                    invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
                if inside.startswith("lark"):  # sourceless: nobody reads it
                    made.write(compiled, inside + "c")
                    continue
                tag = __import__("sys").implementation.cache_tag
                cached = os.path.join(os.path.dirname(inside), "__pycache__", name[:-3] + f".{tag}.pyc")
                made.write(compiled, cached)
            made.write(path, inside)
`);
writeFileSync(to, python.FS.readFile("/compiled.zip"));
