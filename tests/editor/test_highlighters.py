"""All highlighters see the same words in the shipped specs, and those that the parser sees."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pygments.token import Error

from archdsl.diagnostics.source import Source
from archdsl.editor.analysis import Analysis
from archdsl.editor.outline import colours
from archdsl.editor.patterns import SCOPES, textmate
from archdsl.editor.pygments import KINDS, ArchLexer
from archdsl.loading import PACKAGE, specs_folder
from archdsl.syntax.grammar import grammar
from archdsl.syntax.language import CONSTANTS, KEYWORDS

EXTENSION = Path(__file__).parents[2] / "editors" / "vscode"
SPECS = [*sorted(specs_folder().rglob("*.arch")), PACKAGE / "prelude" / "prelude.arch"]
Words = dict[int, tuple[str, str]]  # offset -> the word and its kind
PLAIN = {"name", "argument", "operation"}  # only the language server tells names apart


def merged(words: Iterator[tuple[int, str, str]]) -> Words:
    return {
        at: (text, "name" if kind in PLAIN else kind)
        for at, text, kind in words
        if kind != "operator"
    }


def by_lark(text: str) -> Words:
    kinds = {"STRING": "string", "TAP": "tap", "NUMBER": "number", "SIZE": "number"}
    kinds |= {"TIMES": "number", "LABEL": "label", "TEMPLATE": "label"}
    kinds |= {"SIZE_OF": "number", "BY": "number", "BY_NUMBERS": "number"}
    kinds |= {"TRUE": "constant", "FALSE": "constant", "NONE": "constant"}

    def words() -> Iterator[tuple[int, str, str]]:
        end = 0
        for token in grammar().lex(text):
            for comment in re.finditer(r"#[^\n]*", text[end : token.start_pos]):
                yield end + comment.start(), comment[0], "comment"
            if token.type != "_SEPARATOR":
                end = token.end_pos or 0
                word = re.match(r"\w", token) is not None
                kind = kinds.get(token.type, "keyword" if word else "operator")
                kind = "name" if token.type in ("NAME", "FUNC", "TIMES_OF") else kind
                yield token.start_pos or 0, str(token), kind
        for comment in re.finditer(r"#[^\n]*", text[end:]):
            yield end + comment.start(), comment[0], "comment"

    return merged(words())


def by_pygments(text: str) -> Words:
    names = {kind: name for name, kind in KINDS.items()}
    found = ArchLexer().get_tokens_unprocessed(text)
    return merged((at, word, names[kind]) for at, kind, word in found if kind in names)


def by_textmate(text: str) -> Words:
    """TextMate's own algorithm: the earliest match counts, of equally early ones the first."""
    rules = textmate()
    names = {f"{scope}.arch": kind for kind, scope in SCOPES.items()}

    def flat(patterns: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for pattern in patterns:
            if "include" in pattern:
                yield from flat(rules["repository"][pattern["include"][1:]]["patterns"])
            else:
                yield pattern

    def words() -> Iterator[tuple[int, str, str]]:
        stack: list[tuple[str | None, list[dict[str, Any]]]] = [(None, [*flat(rules["patterns"])])]
        at = 0
        while at < len(text):
            end, patterns = stack[-1]
            tried = [(end, None)] if end else []
            tried += [(p.get("match") or p["begin"], p) for p in patterns]
            found = [(m.start(), i, m, p) for i, (r, p) in enumerate(tried)
                     if (m := re.compile(r).search(text, at))]  # fmt: skip
            if not found:
                return
            _, _, match, pattern = min(found, key=lambda f: f[:2])
            at = match.end()
            if pattern is None:
                stack.pop()
            elif "begin" in pattern:
                stack.append((pattern["end"], [*flat(pattern["patterns"])]))
            else:
                yield match.start(), match[0], names[pattern["name"]]

    return merged(words())


def by_server(text: str, path: Path) -> Words:
    plain = {"comment", "string", "tap", "number", "label"}
    analysis = Analysis(Source(str(path), text), path.parent)

    def words() -> Iterator[tuple[int, str, str]]:
        for start, end, colour, _ in colours(analysis):
            word = text[start:end]
            kind = colour if colour in plain else "name"
            if colour == "keyword" or word == "in":
                kind = "constant" if word in CONSTANTS else "keyword"
            yield start, word, kind

    return merged(words())


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_highlighters_agree(path: Path) -> None:
    agree(path.read_text(encoding="utf-8"), path)


SIZES = ["(k)x1", "1x(k)", "(k)x(k)x3", "2x3x(k)x4x5x(k)", "(f(k))x(k//2)", "k[0]x3", "(k) x3"]


def sized(size: str) -> str:
    return f"block b(k=3) {{\n  part: conv 8 {size} pad=(k//2)x0 x(k-1) -> tap x1\n}}\n"


@pytest.mark.parametrize("size", SIZES)
def test_highlighters_agree_on_computed_sizes(size: str) -> None:
    text = sized(size)
    assert all(kind is not Error for kind, _ in ArchLexer().get_tokens(text))
    agree(text, Path("/nowhere/b.arch"))


def agree(text: str, path: Path) -> None:
    expected = by_lark(text)
    assert by_pygments(text) == expected
    assert by_textmate(text) == expected
    served = by_server(text, path)
    for at, (word, kind) in served.items():
        known_word, known = expected[at]
        label = kind == "label" and known == "name"  # `shortcut down`, `declare fc`
        tap = kind == "tap" and known == "name"  # `tap early`
        assert word == known_word and (kind == known or label or tap), (path, at, word, kind, known)
    missing = expected.keys() - served.keys()
    assert all(expected[at][1] == "name" for at in missing)


def test_no_text_is_an_error_to_pygments() -> None:
    for path in SPECS:
        text = path.read_text(encoding="utf-8")
        assert all(kind is not Error for kind, _ in ArchLexer().get_tokens(text)), path


def test_keywords_are_the_grammars() -> None:
    words = {d.pattern.value for d in grammar().terminals if d.pattern.type == "str"}
    assert {w for w in words if w.isalpha()} == {*KEYWORDS, *CONSTANTS}


def test_the_textmate_grammar_is_current() -> None:
    path = EXTENSION / "syntaxes" / "archdsl.tmLanguage.json"
    saved = json.loads(path.read_text(encoding="utf-8"))
    assert saved == textmate(), f"run: python -m archdsl.editor.patterns {path}"


def test_linguist_would_take_the_grammar() -> None:
    """Its expressions look back a fixed way only, as PCRE (and Python) want it; its keys are
    TextMate's; its includes are there."""
    grammar = textmate()
    assert {*grammar} <= {"$schema", "name", "scopeName", "fileTypes", "patterns", "repository"}

    def rules(found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for rule in found:
            yield rule
            yield from rules(rule.get("patterns", []))

    sections = [grammar["patterns"], *(s["patterns"] for s in grammar["repository"].values())]
    for rule in (rule for section in sections for rule in rules(section)):
        assert {*rule} <= {"name", "match", "begin", "end", "patterns", "include"}
        for key in ("match", "begin", "end"):
            re.compile(rule.get(key, ""))
        if "include" in rule:
            assert rule["include"].removeprefix("#") in grammar["repository"]
    entry = yaml.safe_load((EXTENSION.parent / "linguist/languages.yml").read_text())["archdsl"]
    assert entry["tm_scope"] == grammar["scopeName"]
    assert [one.removeprefix(".") for one in entry["extensions"]] == grammar["fileTypes"]


@pytest.mark.skipif(
    not (EXTENSION / "node_modules").is_dir() or not shutil.which("node"),
    reason="needs node, and npm ci in editors/vscode",
)
def test_vscode_sees_the_same_words(tmp_path: Path) -> None:
    sizes = tmp_path / "sizes.arch"
    sizes.write_text("".join(map(sized, SIZES)), encoding="utf-8")
    paths = [*SPECS, sizes]
    script = ["node", str(EXTENSION / "test" / "grammar.mjs")]
    result = subprocess.run([*script, *map(str, paths)], capture_output=True, check=True, text=True)
    names = {f"{scope}.arch": kind for kind, scope in SCOPES.items()}
    for path, lines in zip(paths, json.loads(result.stdout), strict=True):
        text = path.read_text(encoding="utf-8")
        starts = Source("", text).line_starts
        words = (
            (starts[number] + column, word, names[scope])
            for number, line in enumerate(lines)
            for column, word, scope in line
            if scope in names
        )
        assert merged(words) == by_lark(text), path
