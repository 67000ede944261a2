"""The laws of the house: imports point downwards, the front end is light, facts stand once."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import archdsl
from archdsl.diagnostics.model import Diagnostic
from archdsl.diagnostics.select import codes
from archdsl.ops import TABLE
from archdsl.syntax.grammar import FOLDER, tables

PACKAGE = Path(archdsl.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

#: a part may import those in the groups before its own, and itself
ORDER = (
    ("_version", "text", "files"),
    ("__init__",),
    ("diagnostics",),
    ("syntax", "ops"),
    ("names", "ir"),
    ("checker",),
    ("sizes",),
    ("loading",),
    ("pipeline",),
    ("emit", "reports"),
    ("runtime",),
    ("pictures",),
    ("artefacts", "explain", "fix", "importer", "new"),
    ("api",),
    ("train", "editor"),
    ("cli", "notebook"),
    ("__main__",),
)
#: a program knows its sizes: looked up when one asks for it
EXCEPT = {("ir", "sizes")}
#: circles of files that are still to be opened, by the rooms they stand in
CIRCLES = [["ir", "sizes"]]
RANK = {part: rank for rank, group in enumerate(ORDER) for part in group}


def part_of(path: Path) -> str:
    inside = path.relative_to(PACKAGE).parts
    return inside[0].removesuffix(".py")


def name_of(path: Path) -> str:
    inside = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(inside).removesuffix(".__init__")


NAMES = {name_of(path): path for path in MODULES}


@cache
def imported(path: Path) -> set[str]:
    """The modules of the package that a module imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in NAMES else node.module for name in inner}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & NAMES.keys() - {name_of(path)}


def imports(path: Path) -> set[str]:
    """The parts of the package that a module imports; the package itself is its roof, the API."""
    return {[*name.split("."), "api"][1] for name in imported(path)}


def circles() -> list[set[str]]:
    """Files that import each other, directly or through others: strongly connected parts."""
    follow = {name: imported(path) for name, path in NAMES.items() if name != "archdsl"}
    reach: dict[str, set[str]] = {}
    for start in follow:
        open_, seen = [start], set[str]()
        while open_:
            for name in follow.get(open_.pop(), set()) - seen:
                seen.add(name)
                open_.append(name)
        reach[start] = seen
    parts = {frozenset(b for b in reach[a] if a in reach.get(b, ())) for a in reach}
    return [set(part) for part in parts if len(part) > 1]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_downwards(path: Path) -> None:
    part = part_of(path)
    if part == "__init__":  # the public names are looked up when they are asked for
        return
    others = {p for p in imports(path) if p != part and (part, p) not in EXCEPT}
    upward = {p for p in others if RANK[p] >= RANK[part]}
    assert not upward, f"{path.name} of {part} imports {sorted(upward)}"


def test_no_files_import_each_other() -> None:
    rooms = [{name.split(".")[1] for name in circle} for circle in circles()]
    assert sorted(map(sorted, rooms)) == CIRCLES


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_modules_say_what_they_are(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree) or not tree.body or path.name == "__main__.py"


@pytest.mark.parametrize(
    "code",
    [
        "import archdsl; assert archdsl.check('resnet50').ok",
        "import archdsl; assert archdsl.check('model m { input 3 }').ok",
        "import sys; sys.argv = ['archdsl', 'check', 'resnet50']\n"
        "from archdsl.cli.app import main\ntry: main()\nexcept SystemExit as e: assert not e.code",
    ],
)
def test_checking_is_light(code: str) -> None:
    heavy = "{'torch', 'torchvision', 'numpy', 'rich', 'pydantic', 'yaml', 'matplotlib', 'pygls'}"
    code += f"\nimport sys; assert not {heavy} & sys.modules.keys(), {heavy} & sys.modules.keys()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_grammar_has_no_operator_names() -> None:
    text = (FOLDER / "grammar.lark").read_text(encoding="utf-8")
    words = set(re.findall(r'"(\w+)"', "\n".join(s.partition("//")[0] for s in text.splitlines())))
    assert words and not words & set(TABLE)


def test_grammar_tables_are_current() -> None:
    text = (FOLDER / "grammar.lark").read_text(encoding="utf-8")
    saved = json.loads((FOLDER / "grammar.json").read_text(encoding="utf-8"))
    checksum = json.loads(tables(text))["made_of"][1]
    assert saved["made_of"][1] == checksum, "run: python -m archdsl.syntax.grammar"


def test_messages_stand_in_the_catalogue() -> None:
    """A title that is one hole says that the text stands elsewhere: with an operator, no more."""
    holes = {d.code for d in _all_diagnostics() if re.fullmatch(r"\{\w+\}", d.title)}
    assert holes == {"E0201", "E0202", "E0301"}
    assert all(d.title or d.__subclasses__() for d in _all_diagnostics())


def _all_diagnostics() -> list[type[Diagnostic]]:
    found = list(codes().values())
    for entry in found:
        found += entry.__subclasses__()
    return found
