"""Whatever the text: diagnostics and nothing else, with spans inside of it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import archdsl
from archdsl.diagnostics.formats import FORMATS
from archdsl.diagnostics.model import Diagnostic
from archdsl.diagnostics.source import Source
from archdsl.fix import fixed
from archdsl.pipeline import Spec, open_spec, specs_folder

CASES = Path(__file__).parents[1] / "cases"
# ARCHDSL_TEXT_EXAMPLES=20000 for a thorough, random run
EXAMPLES = os.environ.get("ARCHDSL_TEXT_EXAMPLES")
PROFILE = settings(
    max_examples=int(EXAMPLES or 100),
    derandomize=EXAMPLES is None,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
SHIPPED = [p.read_text(encoding="utf-8") for p in sorted(specs_folder().glob("*.arch"))]
SMALL = [text for text in SHIPPED if len(text) < 2500]
MISTAKEN = [path.read_text() for path in sorted((CASES / "newcomer").glob("*.arch"))]
TOKEN = re.compile(r"\w+|\s+|[^\w\s]")
WORDS = [
    "model",
    "block",
    "use",
    "input",
    "let",
    "init",
    "param",
    "buffer",
    "output",
    "assert",
    "residual",
    "shortcut",
    "repeat",
    "for",
    "in",
    "if",
    "else",
    "tap",
    "aux",
    "as",
    "declare",
    "concat",
    "add",
    "mul",
    "conv",
    "bn",
    "relu",
    "linear",
    "gap",
    "flatten",
    "maxpool",
    "x3",
    "3x3",
    "3",
    "0",
    "-1",
    "1e9",
    "99999999999",
    "true",
    "none",
    "not",
    "and",
    "or",
    "->",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    ":",
    ";",
    ",",
    "=",
    "==",
    "<",
    "+",
    "-",
    "*",
    "/",
    "//",
    "%",
    "**",
    "@",
    "@a",
    "a",
    "b",
    "m",
    '"a"',
    '"resnet50.arch"',
    "in.h",
    "in[0]",
    "f(",
    "a[",
    "x(",
    "a{i}:",
    "a:",
    "#",
    "\n",
    "$",
    "\x00",
    "é",
    "中",
    "\u202e",
]


def looked_at(text: str) -> list[Diagnostic]:
    """Everything that a person may ask of a text, with what must hold of every answer."""
    report = archdsl.check(text + "\n")
    for found in report.diagnostics:
        size = len(found.span.source.text)
        for span in (found.span, *(label.span for label in found.related)):
            assert 0 <= span.start <= span.end <= len(span.source.text), (found, size)
        assert found.message and "{" + "}" not in found.message
    for form in FORMATS.values():
        form(report.diagnostics)
    assert str(report)
    assert (report.program is None) == bool(report.errors)
    return list(report.diagnostics)


@PROFILE
@given(st.text(st.characters(exclude_categories=[]), max_size=200))
@example("\ufeffmodel m { input 1; relu }")
@example('use "\0.arch"')
@example('use "' + "a" * 5000 + '.arch"')
@example('use "\ud800.arch"')
@example('model m { input 1; "\ud800": relu }')
def test_any_text(text: str) -> None:
    looked_at(text)


@PROFILE
@given(st.lists(st.sampled_from(WORDS), max_size=60))
def test_any_words(words: list[str]) -> None:
    looked_at(" ".join(words))


@PROFILE
@given(st.lists(st.sampled_from(WORDS), max_size=40))
def test_any_words_in_a_model(words: list[str]) -> None:
    looked_at("block b(a, n=1) { relu }\nmodel m(a=1) { input 3x8x8\n" + " ".join(words) + "\n}")


@PROFILE
@given(st.binary(max_size=200) | st.text(max_size=50).map(lambda t: t.encode("utf-16")))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = _file(tmp_path_factory, data)
    spec = open_spec(path)
    assert spec.diagnostics or spec.program is not None
    for form in FORMATS.values():
        form(spec.diagnostics)


def _file(factory: pytest.TempPathFactory, data: bytes) -> Path:
    path = factory.getbasetemp() / "any.arch"
    path.write_bytes(data)
    return path


@st.composite
def mutated(draw: st.DrawFn, texts: list[str] = SMALL) -> str:
    """A text with a few characters, tokens or lines taken out, put in, doubled, swapped."""
    text = draw(st.sampled_from(texts))
    for _ in range(draw(st.integers(1, 4))):
        unit = draw(st.sampled_from(["characters", "tokens", "lines"]))
        parts = {
            "characters": list(text),
            "tokens": TOKEN.findall(text),
            "lines": text.splitlines(keepends=True),
        }[unit]
        if not parts:
            return text
        at = draw(st.integers(0, len(parts) - 1))
        other = draw(st.sampled_from(parts) | st.sampled_from(WORDS))
        match draw(st.sampled_from(["delete", "insert", "replace", "double", "swap", "cut"])):
            case "delete":
                del parts[at]
            case "insert":
                parts.insert(at, other)
            case "replace":
                parts[at] = other
            case "double":
                parts.insert(at, parts[at])
            case "swap":
                parts[at], parts[-at] = parts[-at], parts[at]
            case "cut":
                del parts[at:]
        text = "".join(parts)
    return text


@PROFILE
@given(mutated())
def test_mutations_of_shipped_specs(text: str) -> None:
    looked_at(text)


@PROFILE
@given(mutated())
def test_one_cause_few_errors(text: str) -> None:
    """Each place once for each code."""
    found = looked_at(text)
    assert len({(d.code, d.span) for d in found}) == len(found)


@PROFILE
@given(mutated(MISTAKEN + SMALL))
def test_mending_ends(text: str) -> None:
    """Safe fixes settle, and break nothing that was well."""
    before = Spec(Source("<text>", text), CASES)
    after, _ = fixed(before, lambda _: True)
    assert fixed(after, lambda _: True)[1] == []
    assert after.program is not None or before.program is None
