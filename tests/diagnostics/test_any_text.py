"""Whatever the text and the spans: no exception, no control character, one entry each."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from archdsl.diagnostics.formats import FORMATS, to_github, to_json, to_sarif
from archdsl.diagnostics.model import Diagnostic, Fix, Label
from archdsl.diagnostics.render import render
from archdsl.diagnostics.source import Source, Span

from .examples import Odd, Wrong

ANY = st.characters(exclude_categories=[])  # lone surrogates too
TEXTS = st.text(st.one_of(ANY, st.sampled_from("\n\n\r\t ax中\x1b\u0301")), max_size=80)


@st.composite
def diagnostics(draw: st.DrawFn) -> list[Diagnostic]:
    names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    sources = draw(st.lists(st.builds(Source, names, TEXTS), min_size=1, max_size=2))
    offsets = st.integers(-2, 90)
    spans = st.builds(Span, st.sampled_from(sources), offsets, offsets)
    labels = st.lists(st.builds(Label, spans, TEXTS), max_size=4).map(tuple)
    edits = st.lists(st.tuples(spans, TEXTS), max_size=3).map(tuple)
    fixes = st.lists(st.builds(Fix, TEXTS, edits, st.booleans()), max_size=2).map(tuple)
    each = st.builds(
        draw(st.sampled_from([Wrong, Odd])),
        spans,
        TEXTS,
        TEXTS,
        TEXTS,
        TEXTS,
        related=labels,
        fixes=fixes,
    )
    return draw(st.lists(each, max_size=3))


def has_controls(text: str) -> bool:
    return any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in text if c != "\n")


LOOKS = (st.booleans(), st.one_of(st.none(), st.integers(1, 60)))


@settings(max_examples=200, deadline=None)
@given(diagnostics(), *LOOKS)
def test_what_is_shown_is_harmless(
    found: list[Diagnostic], unicode: bool, width: int | None
) -> None:
    for form in ("full", "concise", "github"):
        shown = FORMATS[form](found, color=False, unicode=unicode, width=width)
        assert not has_controls(shown)
        assert form == "github" or unicode or shown.isascii()
        assert form == "full" or shown.count("\n") == len(found)
    painted = render(found, color=True, unicode=unicode, width=width)
    plain = re.sub(r"\x1b\[[\d;]*m", "", painted)
    assert plain.split() == render(found, unicode=unicode, width=width).split()


@settings(max_examples=100, deadline=None)
@given(diagnostics())
def test_machines_get_one_entry_each(found: list[Diagnostic]) -> None:
    document = json.loads(to_json(found))
    assert len(document["diagnostics"]) == len(found)
    assert document["errors"] + document["warnings"] == len(found)
    for entry in document["diagnostics"]:
        assert (
            (1, 1) <= (entry["line"], entry["column"]) <= (entry["end_line"], entry["end_column"])
        )
    assert len(json.loads(to_sarif(found))["runs"][0]["results"]) == len(found)
    assert len(to_github(found).splitlines()) == len(found)


def test_a_line_of_ten_million_characters() -> None:
    source = Source("a.arch", "x" * 10_000_000)
    wide = Wrong(Span(source, 0, len(source.text)), related=(Label(Span(source, 7, 9), "x"),))
    assert len(render([wide, Wrong(Span(source, 5_000_000, 5_000_004))])) < 2_000


def test_the_import_is_cheap() -> None:
    code = (
        "import sys; import archdsl.diagnostics.formats, archdsl.diagnostics.suggest;"
        "print(*{'rich', 'typing_extensions', 'json', 'urllib.parse', 'pathlib', 'shutil', "
        "'difflib', 'lark', 'pydantic', 'torch'} & set(sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == []
