"""Edits of whole texts, cut down to the lines that change.

In: a text and what shall be done to it: the one style, every safe fix, another name. Out: the new
text, or why there is none, and the edits that lead to it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import NamedTuple

from archdsl.diagnostics.catalogue import SyntaxProblem
from archdsl.diagnostics.fixes import splice
from archdsl.diagnostics.source import Source, Span
from archdsl.editor.analysis import Analysis
from archdsl.fix import fixed
from archdsl.loading import Files
from archdsl.names.symbols import Occurrence, Symbol
from archdsl.syntax.format import format


class Hunk(NamedTuple):
    """Lines `first` to `last` (from 0; `last` is behind) of a source become another text."""

    span: Span
    text: str
    first: int
    last: int


def hunks(source: Source, text: str) -> list[Hunk]:
    """What turns a source's text into another: a line each where only its spaces change."""
    old, new = _lines(source), _lines(Source(source.name, text))
    starts = [*source.line_starts, len(source.text)]
    before, after = (["".join(line.split()) for line in lines] for lines in (old, new))
    found: list[Hunk] = []
    for tag, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        lines = [(a + i, a + i + 1, c + i, c + i + 1) for i in range(b - a)]
        for first, last, begin, end in lines if tag == "equal" else [(a, b, c, d)]:
            if old[first:last] != new[begin:end]:
                span = Span(source, starts[first], starts[last])
                found.append(Hunk(span, "".join(new[begin:end]), first, last))
    return found


def _lines(source: Source) -> list[str]:
    """With their ends."""
    starts = source.line_starts
    return [source.text[a:b] for a, b in zip(starts, [*starts[1:], len(source.text)], strict=True)]


def styled(source: Source) -> str | None:
    """In the one style, with the line ends that it has; None where it cannot be read."""
    plain = source.text.replace("\r\n", "\n")
    text, _ = format(Source(source.name, plain))
    if text is None or text == plain:
        return text and source.text
    return text.replace("\n", "\r\n") if "\r\n" in source.text else text


def fixed_text(analysis: Analysis) -> str:
    """With every fix that is safe."""
    spec, _ = fixed(replace(analysis.spec, cut=False), lambda _: True)
    return spec.source.text


def renamed(
    project: list[Analysis], symbol: Symbol, new: str, files: Files
) -> tuple[list[Occurrence], str]:
    """Every word that becomes another, or why a symbol cannot have this name: a word would mean
    something else, or nothing."""
    found = {analysis.source.name: analysis.named(symbol) for analysis in project}
    texts = {
        analysis.source.name: splice(
            analysis.source.text,
            [(o.span.start, o.span.end, new) for o in found[analysis.source.name]],
        )
        for analysis in project
    }
    assert symbol.span is not None
    home, start = symbol.span.source, symbol.span.start
    before = sum(o.span.start < start for o in found.get(home.name, ()))
    start += before * (len(new) - len(symbol.name))
    target = symbol._replace(name=new, span=Span(home, start, start + len(new)))
    after = Files({**files.held, **{Path(name): text for name, text in texts.items()}})
    for analysis in project:
        name = analysis.source.name
        uses = name == home.name or Path(home.name) in analysis.spec.loaded.texts
        if not uses:
            continue
        short = Path(name).name
        if _has_syntax_errors(analysis) and re.search(rf"\b{symbol.name}\b", analysis.source.text):
            return [], f"{short} has syntax errors, which come first"
        changed = Analysis(Source(name, texts[name]), analysis.folder, files=after)
        touched = bool(found[name])
        known, wrong = _errors(analysis, touched), _errors(changed, touched)
        if len(wrong) > len(known):
            return [], f"{short}: {next((m for m in wrong if m not in known), wrong[0])}"
        if len(changed.named(target)) != len(found[name]):
            return [], f"in {short} something else is called `{new}`"
    return [occurrence for one in found.values() for occurrence in one], ""


def _errors(analysis: Analysis, touched: bool) -> list[str]:
    """Of its names; where words of it change, of its shapes and labels too."""
    if not touched:
        return [problem.message for problem in analysis.wrong_names]
    return [p.message for p in analysis.problems if p.severity == "error"]


def _has_syntax_errors(analysis: Analysis) -> bool:
    return any(
        isinstance(problem, SyntaxProblem) and problem.span.source is analysis.source
        for problem in analysis.spec.loaded.found
    )
