"""The shape of a text: its outline, what can be folded, and what each word is, for colours.

Works on the words alone, so that it goes on while the text is broken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from archdsl.diagnostics.catalogue import TooLong
from archdsl.diagnostics.source import Source, Span
from archdsl.editor.analysis import Analysis
from archdsl.editor.patterns import LABEL, PATTERNS
from archdsl.syntax import tree as t

Colour = Literal[
    "keyword", "function", "type", "parameter", "variable", "number", "string", "comment",
    "operator", "property", "label", "tap", "enumMember",
]  # fmt: skip

_COLOURS: dict[str, Colour] = {
    "block": "type", "model": "type", "parameter": "parameter", "variable": "variable",
    "tap": "tap", "label": "label", "operator": "function", "argument": "property",
    "word": "enumMember", "function": "function", "rule": "function", "file": "string",
}  # fmt: skip
_WORD = re.compile(
    "|".join(
        f"(?P<{k}>{p})"
        for k, p in {
            **{k: PATTERNS[k] for k in ("comment", "string", "tap")},
            "label": LABEL,
            **{k: PATTERNS[k] for k in ("number", "keyword", "constant", "name")},
            "bracket": r"[(){}\[\]]",
        }.items()
    )
)


_HEAD = re.compile(r"^(model|block)[ \t]+([A-Za-z_]\w*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Entry:
    """A definition, or a labelled part of it."""

    name: str
    kind: Literal["model", "block", "part"]
    span: Span
    name_span: Span
    detail: str = ""
    parts: list[Entry] = field(default_factory=list)


def outline(analysis: Analysis) -> list[Entry]:
    """The definitions of a text with their labelled parts."""
    unit = analysis.unit
    if unit is None:
        return []
    found = [_entry(tree) for tree in unit.file.definitions]
    for problem in analysis.problems:
        if isinstance(problem, TooLong) and problem.span.source is analysis.source:
            found += _beyond(analysis.source, problem.span.start)
    return found


def _beyond(source: Source, start: int) -> Iterator[Entry]:
    """The definitions behind the words that are read of a text that is too long."""
    for head in _HEAD.finditer(source.text, start):
        name = Span(source, *head.span(2))
        kind: Literal["model", "block"] = "block" if head[1] == "block" else "model"
        yield Entry(head[2], kind, Span(source, *head.span()), name)


def _entry(tree: t.Definition) -> Entry:
    kind: Literal["model", "block"] = "block" if isinstance(tree, t.Block) else "model"
    if isinstance(tree, t.Alias):
        return Entry(tree.name, kind, tree.span, tree.name_span, f"= {tree.base}")
    assert isinstance(tree, (t.Block, t.Model))
    detail = ", ".join(p.span.text for p in tree.params)
    entry = Entry(tree.name, kind, tree.span, tree.name_span, f"({detail})")
    entry.parts.extend(_parts(tree.body))
    return entry


def _parts(part: object) -> Iterator[Entry]:
    if isinstance(part, tuple):
        for item in part:
            yield from _parts(item)
    elif isinstance(part, t.Flow) and part.label is not None:
        step = part.step
        detail = step.name if isinstance(step, t.Call) else ""
        entry = Entry(part.label.span.text, "part", part.span, part.label.span, detail)
        entry.parts.extend(_parts(step))
        yield entry
    elif isinstance(part, t.Tree) and not isinstance(part, t.Expr):
        for name in part.fields:
            if "span" not in name:
                yield from _parts(getattr(part, name))


def around(analysis: Analysis, offset: int) -> list[Span]:
    """What a place stands in, from the inside outwards: its word, step, body and so on."""
    source = analysis.source
    word = analysis.word(offset)
    parts = t.parts(analysis.unit.file) if analysis.unit is not None else ()
    spans = [part.span for part in parts]
    spans = [s for s in spans if s.start <= offset <= s.end and s.end > s.start]
    spans += [word.span] if word is not None else []
    spans.append(Span(source, 0, len(source.text)))
    found: list[Span] = []
    for span in sorted(spans, key=lambda s: s.end - s.start):
        inside = not found or (span.start <= found[-1].start and found[-1].end <= span.end)
        if inside and (not found or (span.start, span.end) != (found[-1].start, found[-1].end)):
            found.append(span)
    return found


def foldable(source: Source) -> list[tuple[int, int, bool]]:
    """First and last line (from 0) of what can be folded, and whether it is a comment."""
    found: list[tuple[int, int, bool]] = []
    opened: list[int] = []
    for match in _WORD.finditer(source.text):
        if match[0] in ("{", "(", "["):
            opened.append(source.position(match.start())[0] - 1)
        elif match[0] in ("}", ")", "]") and opened:
            first, last = opened.pop(), source.position(match.start())[0] - 1
            if last > first:
                found.append((first, last - 1, False))
    start = -1
    for number, line in enumerate([*source.lines, ""]):
        if line.lstrip().startswith("#"):
            start = number if start < 0 else start
        else:
            if 0 <= start < number - 1:
                found.append((start, number - 1, True))
            start = -1
    return sorted(set(found))


def colours(analysis: Analysis) -> list[tuple[int, int, Colour, bool]]:
    """Start, end and colour of each word, and whether it is defined there; in order."""
    known = {(o.span.start, o.span.end): o for o in analysis.words}
    found: list[tuple[int, int, Colour, bool]] = []
    brackets: list[str] = []
    for match in _WORD.finditer(analysis.source.text):
        kind, text = match.lastgroup or "", match[0]
        start, end = match.span()
        if kind == "bracket":
            if text in "([{":
                brackets.append(text)
            elif brackets:
                brackets.pop()
            continue
        if kind == "label" and brackets and brackets[-1] != "{":  # a slice
            kind = "name"
        occurrence = known.get((start, end)) or known.get((start + 1, end))
        defines = occurrence is not None and occurrence.defines
        if kind in ("name", "keyword") and occurrence is not None:
            found.append((start, end, _COLOURS[occurrence.symbol.kind], defines))
        elif kind != "name":
            found.append((start, end, "keyword" if kind == "constant" else _PLAIN[kind], defines))
    return found


_PLAIN: dict[str, Colour] = {
    "comment": "comment", "string": "string", "tap": "tap", "label": "label", "number": "number",
    "keyword": "keyword",
}  # fmt: skip
