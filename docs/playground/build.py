"""Build the playground: a folder of plain files that any web server serves.

    python docs/playground/build.py [-o build/playground]
    python -m http.server -d build/playground

Needs node and npm: Pyodide, CodeMirror and esbuild come from npm into `build/npm`. The page asks no
other host for anything. archdsl goes in as it stands in this checkout, with Lark, compiled by
Pyodide's own Python, so that nothing is compiled in the browser.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PYODIDE = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip",
           "pyodide-lock.json")  # fmt: skip
PLAIN = ("index.html", "style.css", "theme.js", "icon.svg")
#: rooms of the package that need more than Lark, or a machine
LEFT_OUT = ("cli", "train", "importer")
GROUPS = {
    "Small": r"lenet5|alexnet|squeezenet.*",
    "ResNet": r"resnet.*|wide_resnet.*|resnext.*",
    "Transformers": r"vit.*|swin.*|maxvit.*",
    "Mobile": r"mobilenet.*|mnasnet.*|shufflenet.*|efficientnet.*",
    "VGG, Inception, DenseNet": r"vgg.*|googlenet|inception.*|densenet.*",
    "ConvNeXt, RegNet": r"convnext.*|regnet.*",
}


def build(out: Path, npm: Path) -> Path:
    """Into `out`, which becomes what this checkout gives and nothing else."""
    install(npm)
    parts = npm / "parts"
    shutil.rmtree(out, ignore_errors=True)
    shutil.rmtree(parts, ignore_errors=True)
    (out / "pyodide").mkdir(parents=True)
    parts.mkdir()
    for name in PYODIDE:
        shutil.copyfile(npm / "node_modules/pyodide" / name, out / "pyodide" / name)
    for name in PLAIN:
        shutil.copyfile(HERE / "src" / name, out / name)
    write_data(parts)
    pack(parts / "plain.zip")
    run("node", HERE / "compile.mjs", npm, parts / "plain.zip", out / "archdsl.zip")
    first = ROOT / "specs/lenet5.arch"
    kept = out / "snapshot.bin.gz"
    run("node", HERE / "snapshot.mjs", npm, out / "archdsl.zip", first, kept)
    bundle(npm, parts, out)
    worker = (HERE / "src/sw.js").read_text(encoding="utf-8")
    (out / "sw.js").write_text(_versioned(worker, out), encoding="utf-8")
    return out


def install(npm: Path) -> None:
    """What package.json asks for, where it is not there yet."""
    npm.mkdir(parents=True, exist_ok=True)
    wanted, there = HERE / "package.json", npm / "package.json"
    if there.exists() and there.read_text() == wanted.read_text():
        return
    shutil.copyfile(wanted, there)
    try:
        run(
            "npm",
            "install",
            "--no-package-lock",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
            cwd=npm,
        )
    except BaseException:
        there.unlink()  # half installed: again next time
        raise


def write_data(parts: Path) -> None:
    """What the page's code reads of archdsl: the highlighter's words, and the shipped specs."""
    from archdsl.editor.patterns import LABEL, PATTERNS

    data = {"words": PATTERNS, "label": LABEL}
    (parts / "patterns.json").write_text(json.dumps(data), encoding="utf-8")
    (parts / "examples.json").write_text(json.dumps([*examples()]), encoding="utf-8")


def examples() -> Iterator[dict[str, str]]:
    """Every shipped spec, group by group; its title is its name."""
    from archdsl.loading import specs_folder

    found = {path.stem: path for path in sorted(specs_folder().glob("*.arch"))}
    for group, pattern in (*GROUPS.items(), ("Others", ".*")):
        for name in [name for name in found if re.fullmatch(pattern, name)]:
            yield _example(name, group, found.pop(name))
    for path in sorted((specs_folder() / "lecture").glob("*.arch")):
        yield _example(f"lecture/{path.stem}", "The lecture", path)


def _example(name: str, group: str, path: Path) -> dict[str, str]:
    text = path.read_text(encoding="utf-8")
    return {"name": name, "group": group, "title": name.rpartition("/")[2], "text": text}


def pack(archive: Path) -> None:
    """archdsl, its specs, the bridge and Lark, as source."""
    lark = importlib.util.find_spec("lark")
    assert lark is not None and lark.origin is not None
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        made.write(HERE / "bridge.py", "bridge.py")
        for path in sorted((ROOT / "archdsl").rglob("*")):
            inside = path.relative_to(ROOT / "archdsl")
            if (
                path.is_file()
                and inside.parts[0] not in LEFT_OUT
                and "__pycache__" not in inside.parts
            ):
                made.write(path, f"archdsl/{inside.as_posix()}")
        for path in sorted((ROOT / "specs").glob("*.arch")):
            made.write(path, f"archdsl/specs/{path.name}")
        for path in sorted(Path(lark.origin).parent.rglob("*")):
            inside = path.relative_to(Path(lark.origin).parent)
            if path.suffix in (".py", ".lark") and inside.parts[0] != "__pyinstaller":
                made.write(path, f"lark/{inside.as_posix()}")


def bundle(npm: Path, parts: Path, out: Path) -> None:
    run(
        npm / "node_modules/.bin/esbuild",
        *(HERE / "src/main.js", HERE / "src/worker.js"),
        "--bundle", "--minify", "--format=esm", "--target=es2022", "--charset=utf8",
        "--log-level=warning", f"--outdir={out}",
        *(f"--alias:{name}={parts / name}" for name in ("patterns.json", "examples.json")),
        env_path=npm / "node_modules",
    )  # fmt: skip


def _versioned(worker: str, out: Path) -> str:
    """The service worker, with the files it keeps and a name for just these."""
    files = sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file())
    total = hashlib.sha256()
    for name in files:
        total.update(name.encode() + b"\0" + (out / name).read_bytes())
    names = ["./", *(f"./{name}" for name in files if name != "index.html")]
    version = f"archdsl-{total.hexdigest()[:12]}"
    return worker.replace("__VERSION__", version).replace("__FILES__", json.dumps(names))


def run(*command: str | Path, cwd: Path | None = None, env_path: Path | None = None) -> None:
    import os

    environment = {**os.environ, **({"NODE_PATH": str(env_path)} if env_path else {})}
    subprocess.run([str(part) for part in command], check=True, cwd=cwd, env=environment)


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the playground.")
    parser.add_argument("-o", "--out", type=Path, default=ROOT / "build/playground")
    parser.add_argument("--npm", type=Path, default=ROOT / "build/npm", help="where npm installs")
    given = parser.parse_args()
    if shutil.which("node") is None or shutil.which("npm") is None:
        sys.exit("needs node and npm, which are not here: install Node.js 20 or later")
    sys.path.insert(0, str(ROOT))
    out = build(given.out.resolve(), given.npm.resolve())
    size = sum(p.stat().st_size for p in out.rglob("*") if p.is_file()) / 1e6
    print(f"{out}: {size:.1f} MB; serve it with `python -m http.server -d {given.out}`")


if __name__ == "__main__":
    main()
