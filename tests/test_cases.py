"""The language by example: every .arch file in tests/cases, with marks in its comments.

`#: 16x16x16` at a line's end: the shape that flows out of the last step that ends on this line (of
several, separated by spaces, where it runs several times). `#! E0301`: a diagnostic with this code
whose primary span starts on this line; `#! E0301 E0302` two. All must be marked. `#@ name` on a
line of its own: state_dict keys, in order, which is all of them. A case that fails has its whole
report beside it, as NAME.err; `pytest --update-goldens` rewrites these. `#? -p classes=3` or
`#? --input 3x8x8` at the beginning: given from outside. `.bytes` files are written as they are.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from archdsl.diagnostics.formats import summary
from archdsl.diagnostics.model import Diagnostic, subclasses
from archdsl.diagnostics.render import render
from archdsl.diagnostics.select import codes
from archdsl.ir.graph import Program
from archdsl.ir.limits import Limits
from archdsl.pipeline import Spec, open_spec

CASES = Path(__file__).parent / "cases"
FILES = sorted(p for p in CASES.rglob("*.arch") if "used" not in p.parts)
IDS = [str(p.relative_to(CASES).with_suffix("")) for p in FILES]
MARK = re.compile(r"#([:!])(.*?)(?=#[:!]|$)")


def check(path: Path) -> Spec:
    """The case, checked with what its first lines ask for."""
    text = path.read_bytes().decode("utf-8", "replace")
    options = " ".join(re.findall(r"^#\? ([^#\n]*)", text, re.MULTILINE)).split()
    params, size, model, limits = {}, None, "", {}
    for flag, value in zip(options[::2], options[1::2], strict=True):
        name, _, rest = value.partition("=")
        if flag == "-p":
            params[name] = rest
        elif flag == "--input":
            size = tuple(map(int, value.split("x")))
        elif flag == "--limit":
            limits[name] = int(rest)
        elif flag == "--model":
            model = f":{value}"
        else:
            raise ValueError(flag)
    return open_spec(f"{path}{model}", params=params, input=size, limits=Limits(**limits))


def marks(path: Path, kind: str) -> Counter[tuple[int, str]]:
    """(line, word) of every mark of a kind."""
    found: Counter[tuple[int, str]] = Counter()
    text = path.read_bytes().decode("utf-8", "replace")
    for number, line in enumerate(text.split("\n"), 1):
        for mark, words in MARK.findall(line):
            if mark == kind:
                found.update((number, word) for word in words.split())
    return found


def shapes(program: Program) -> dict[int, list[str]]:
    """The shapes that leave the last step of each line."""
    last: dict[int, tuple[tuple[int, int], list[str]]] = {}
    source = program.graph.span.source
    for _, item in program.walk():
        if item.span.source is not source:
            continue
        line = source.position(item.span.end)[0]
        shape = "x".join(map(str, item.shapes[0]))
        place = item.span.end, -item.span.start  # the outermost of those that end last
        before, known = last.get(line, ((-1, 0), []))
        if place > before:
            last[line] = place, [shape]
        elif place == before:
            known.append(shape)
    return {line: found for line, (_, found) in last.items()}


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_marks(path: Path) -> None:
    """Exactly the diagnostics and the shapes that the comments say."""
    spec = check(path)
    here = [d for d in spec.diagnostics if d.span.source.name == str(path)]
    found = Counter((d.span.source.position(d.span.start)[0], d.code) for d in here)
    expected = marks(path, "!")
    assert found == expected, report(spec, path)
    flowing = marks(path, ":")
    if spec.program is not None:
        flows = shapes(spec.program)
        for (line, shape), count in flowing.items():
            assert flows.get(line, []).count(shape) == count, (line, flows.get(line))
    assert expected or flowing, "a case without marks tests nothing"
    assert (spec.program is None) == any(d.severity == "error" for d in spec.diagnostics)
    failing = any(code.startswith("E") for _, code in expected)
    assert not (failing and flowing), "a failing case has no shapes"


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_keys(path: Path) -> None:
    """The state_dict's keys, where a case states them."""
    stated = re.findall(r"^#@ (.*)$", path.read_bytes().decode("utf-8", "replace"), re.MULTILINE)
    if stated:
        keys = [name for name, _ in check(path).checked().state()]
        assert keys == " ".join(stated).split()


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_golden(path: Path, pytestconfig: pytest.Config) -> None:
    """The whole report, word for word."""
    golden, spec = path.with_suffix(".err"), check(path)
    shown = report(spec, path) if spec.diagnostics else ""
    if pytestconfig.getoption("--update-goldens"):
        golden.unlink(missing_ok=True)
        if shown:
            golden.write_text(shown, encoding="utf-8")
    assert shown == (golden.read_text(encoding="utf-8") if golden.exists() else "")


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_in_the_order_of_the_text(path: Path) -> None:
    found = check(path).diagnostics
    places = [d.span.start for d in found if d.span.source.name == str(path)]
    assert places == sorted(places)
    assert len({(d.code, d.span) for d in found}) == len(found), "a cause reported twice"


def report(spec: Spec, path: Path) -> str:
    """What `archdsl check` prints, with paths as seen from the case's folder."""
    text = render(spec.diagnostics) + "\n" + summary(spec.diagnostics) + "\n"
    return text.replace(f"{path.parent}/", "").replace(str(path), path.name)


def test_every_code_has_a_case() -> None:
    shown = "".join(p.read_text(encoding="utf-8") for p in CASES.rglob("*.err"))
    assert (
        codes().keys() - set(re.findall(r"^(?:error|warning)\[(\w+)\]", shown, re.MULTILINE))
        == set()
    )


def test_no_golden_is_left_over() -> None:
    alone = [p for p in CASES.rglob("*.err") if not p.with_suffix(".arch").exists()]
    assert not alone


def test_codes_and_slugs_are_unique() -> None:
    found = [c for c in subclasses(Diagnostic) if c.__module__.startswith("archdsl.")]
    assert len({c.code for c in found}) == len({c.slug for c in found}) == len(found)


def test_newcomers_are_told_what_to_write() -> None:
    """Every mistake of a newcomer gets a help line with something to write in it."""
    for path in sorted((CASES / "newcomer").glob("*.arch")):
        for found in check(path).diagnostics:
            assert any("`" in text for text in found.helps), (path.name, found.message)
