"""Fixes put into the text.

In: diagnostics with offsets into a source. Out: the text with their safe fixes applied, for
`check --fix`, or the lines that a fix changes, to be shown. Fixes that would write over each other
wait: the next check proposes them anew.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from archdsl.diagnostics.model import Diagnostic, Fix
from archdsl.diagnostics.source import Source

Edit = tuple[int, int, str]
"""Replace the characters [start, end) by a text."""


@dataclass(frozen=True, slots=True)
class Change:
    """A line of a diff, `-` with its old number or `+` with its new; it differs from `focus` on."""

    number: int
    sign: str
    text: str
    focus: int


def apply(
    text: str, diagnostics: Iterable[Diagnostic], source: Source
) -> tuple[str, list[Diagnostic]]:
    """The text of `source` with safe fixes applied, and the diagnostics that they mend."""
    edits, mended = choose(diagnostics, source)
    return splice(text, edits), mended


def choose(
    diagnostics: Iterable[Diagnostic], source: Source
) -> tuple[list[Edit], list[Diagnostic]]:
    """The edits of the fixes that can be applied together, in order of place, and what they mend.

    The first safe fix of each diagnostic counts; a fix is taken whole or not at all.
    """
    taken: list[Edit] = []
    mended: list[Diagnostic] = []
    for diagnostic in diagnostics:
        fix = next((fix for fix in diagnostic.fixes if fix.safe), None)
        edits = edits_of(fix, source) if fix else None
        if edits and all(_is_free(edit, taken) for edit in edits):
            for edit in edits:
                insort(taken, edit)
            mended.append(diagnostic)
    return taken, mended


def edits_of(fix: Fix, source: Source) -> list[Edit] | None:
    """A fix's edits in order of place; None if one is elsewhere or two overlap."""
    edits = sorted((span.start, span.end, text) for span, text in fix.edits)
    here = all(span.source is source for span, _ in fix.edits)
    valid = all(0 <= start <= end <= len(source.text) for start, end, _ in edits)
    apart = not any(_overlap(a, b) for a, b in pairwise(edits))
    return edits if here and valid and apart else None


def splice(text: str, edits: Sequence[Edit]) -> str:
    """Text with ordered edits that do not overlap put in."""
    at = 0
    parts: list[str] = []
    for start, end, new in edits:
        parts += text[at:start], new
        at = end
    return "".join((*parts, text[at:]))


def changes(source: Source, edits: Sequence[Edit]) -> Iterator[Change]:
    """What ordered edits do to whole lines. Edits of neighbouring lines are shown together."""
    shift, rest = 0, list(edits)
    while rest:
        first = last = source.position(rest[0][0])[0]
        together = 0
        while together < len(rest) and source.position(rest[together][0])[0] <= last + 1:
            last = source.position(rest[together][1])[0]
            together += 1
        begin = source.line_starts[first - 1]
        end = [*source.line_starts[last : last + 1], len(source.text)][0]
        old = source.text[begin:end]
        new = splice(old, [(a - begin, b - begin, text) for a, b, text in rest[:together]])
        yield from _line_diff(old, new, first, shift)
        shift += new.count("\n") - old.count("\n")
        rest = rest[together:]


def _line_diff(old: str, new: str, number: int, shift: int) -> Iterator[Change]:
    before, after = old.split("\n"), new.split("\n")
    head = _common(before, after)
    tail = _common(before[head:][::-1], after[head:][::-1])
    gone, come = before[head : len(before) - tail], after[head : len(after) - tail]
    focus = [_common(a, b) for a, b in zip(gone, come, strict=False)]
    for sign, lines, start in (("-", gone, number + head), ("+", come, number + head + shift)):
        for i, line in enumerate(lines):
            shown = line.rstrip("\r")
            yield Change(start + i, sign, shown, min(focus[i], len(shown)) if i < len(focus) else 0)


def _common(a: Sequence[str], b: Sequence[str]) -> int:
    """How many elements from the first on are the same in both."""
    pairs = enumerate(zip(a, b, strict=False))
    return next((i for i, (x, y) in pairs if x != y), min(len(a), len(b)))


def _is_free(edit: Edit, taken: Sequence[Edit]) -> bool:
    at = bisect_left(taken, edit[:2], key=lambda other: other[:2])
    return not any(_overlap(edit, other) for other in taken[max(0, at - 1) : at + 1])


def _overlap(a: Edit, b: Edit) -> bool:
    # Edits may touch, but two insertions in one place have no order of their own.
    return (a[0] < b[1] and b[0] < a[1]) or a[:2] == b[:2]
