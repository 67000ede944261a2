"""Diagnostics as a person reads them in a terminal, in the manner of rustc.

In: diagnostics, any text and any offsets in them. Out: text that holds no character a terminal
would obey besides newlines and, where asked for, our own colours. Spans become lines and columns
here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, islice
from operator import itemgetter

from archdsl.diagnostics import terminal
from archdsl.diagnostics.fixes import Change, changes, edits_of
from archdsl.diagnostics.model import Diagnostic, Fix, Label
from archdsl.diagnostics.source import Source, Span

DEFAULT_WIDTH = 140
_NARROWEST_TEXT = 20
_TAB = "    "
_LONGEST_DIFF = 12


def render(
    diagnostics: Sequence[Diagnostic],
    *,
    color: bool = False,
    unicode: bool = True,
    width: int | None = None,
) -> str:
    """Each diagnostic with the lines it is about, an empty line between two.

    Source lines wider than `width` are cropped around their marks. Without `unicode` all is ASCII.
    """
    writer = _Writer(color, unicode, width or DEFAULT_WIDTH)
    return "\n".join("".join(f"{line}\n" for line in writer.diagnostic(d)) for d in diagnostics)


def extent(span: Span) -> tuple[tuple[int, int], tuple[int, int]]:
    """First position and the one past the last, as (line, column) from 1, of any offsets at all."""
    size = len(span.source.text)
    start = min(max(span.start, 0), size)
    end = min(max(span.end, start), size)
    return span.source.position(start), span.source.position(end)


@dataclass(frozen=True, slots=True)
class _Mark:
    """One underline: the columns [start, end), from 0, of a line."""

    line: int
    start: int
    end: int
    text: str = ""
    style: str = "gutter"

    @property
    def is_primary(self) -> bool:
        return self.style != "gutter"


@dataclass(frozen=True, slots=True)
class _View:
    """The visible part of a line, from column `first` on; column first + i is at `cells[i]`."""

    text: str
    first: int
    cells: list[int]

    def cell(self, column: int) -> int:
        if column < self.first:
            return 0
        return self.cells[min(column - self.first, len(self.cells) - 1)]


def _marks(label: Label, style: str) -> list[_Mark]:
    """A label's underlines: one, or the first and last line of a span of several."""
    source = label.span.source
    (first, start), (last, end) = extent(label.span)
    if last > first and end == 1:  # the line end belongs to the line before
        last, end = last - 1, len(source.line(last - 1)) + 1
    line = source.line(last)
    start, end = min(start - 1, len(source.line(first))), min(end - 1, len(line))
    if first == last:
        return [_Mark(last, start, end, label.text, style)]
    indent = min(len(line) - len(line.lstrip()), max(end - 1, 0))
    opening = _Mark(first, start, len(source.line(first)), "", style)
    return [opening, _Mark(last, indent, end, label.text, style)]


class _Glyphs(dict[str, tuple[str, int]]):
    """How each character of a source line is shown, and in how many cells."""

    def __init__(self, unicode: bool) -> None:
        super().__init__()
        self.unicode = unicode

    def __missing__(self, char: str) -> tuple[str, int]:
        shown = _TAB if char == "\t" else terminal.escaped(char, unicode=self.unicode)
        self[char] = glyph = shown, terminal.cells(shown)
        return glyph


class _Writer:
    def __init__(self, color: bool, unicode: bool, width: int) -> None:
        self.color, self.unicode, self.width = color, unicode, width
        self.ellipsis = "…" if unicode else "..."
        self.glyphs = _Glyphs(unicode)
        self.gutter = 1

    def diagnostic(self, diagnostic: Diagnostic) -> Iterator[str]:
        severity, primary = diagnostic.severity, diagnostic.primary
        sections: dict[Source, list[_Mark]] = {}
        heads: dict[Source, Label] = {}
        for label in (primary, *diagnostic.related):
            source = label.span.source
            heads.setdefault(source, label)
            style = severity if label is primary else "gutter"
            sections.setdefault(source, []).extend(_marks(label, style))
        diffs = [(fix, self._diff(fix)) for fix in diagnostic.fixes]
        numbers = [mark.line for marks in sections.values() for mark in marks]
        numbers += [change.number for _, diff in diffs for change in diff]
        self.gutter = len(str(max(numbers)))

        code = f"[{diagnostic.code}]" if diagnostic.code else ""
        title = self.paint("title", f": {self.message(diagnostic.message)}")
        yield self.paint(severity, f"{severity}{code}") + title
        for source, marks in sections.items():
            elsewhere = source is not primary.span.source
            if elsewhere:
                yield self.bar()
            yield self._place(":::" if elsewhere else "-->", heads[source].span)
            if source.text or any(mark.text for mark in marks):
                yield from self._snippet(source, marks)
        yield from self._remarks(diagnostic)
        for fix, diff in diffs:
            yield from self._fix(fix, diff, primary.span.source)

    def _place(self, arrow: str, span: Span) -> str:
        line, column = extent(span)[0]
        name = terminal.escaped(span.source.name, unicode=self.unicode)
        return f"{' ' * self.gutter}{self.paint('gutter', arrow)} {name}:{line}:{column}"

    def _snippet(self, source: Source, marks: Sequence[_Mark]) -> Iterator[str]:
        yield self.bar()
        previous = 0
        in_order = sorted(marks, key=lambda mark: mark.line)
        for number, group in groupby(in_order, key=lambda mark: mark.line):
            if previous and number == previous + 2:
                yield self.bar(number - 1, self._view(source.line(number - 1), []).text)
            elif previous and number > previous + 2:
                yield self.paint("gutter", "...")
            yield from self._line(source.line(number), list(group))
            previous = number

    def _line(self, line: str, marks: Sequence[_Mark]) -> Iterator[str]:
        """A source line, its underlines, and the labels that do not fit behind them."""
        view = self._view(line, marks)
        yield self.bar(marks[0].line, view.text)
        spots = []
        for mark in sorted(marks, key=lambda mark: mark.is_primary):  # the primary is drawn over
            start = view.cell(mark.start)
            spots.append((max(view.cell(mark.end), start + 1), start, mark))
        row: dict[int, tuple[str, str]] = {}
        for end, start, mark in spots:
            row |= dict.fromkeys(range(start, end), ("^" if mark.is_primary else "-", mark.style))
        hanging = [spot for spot in spots if spot[2].text]
        last = max(hanging, key=lambda spot: (spot[:2], spot[2].is_primary), default=None)
        if last and last[0] == max(spots, key=itemgetter(0))[0]:
            hanging.remove(last)
            row[last[0] + 1] = (self.message(last[2].text), last[2].style)
        yield self.bar(None, self._row(row))
        yield from self._hanging(sorted(hanging, key=itemgetter(1)))

    def _hanging(self, spots: list[tuple[int, int, _Mark]]) -> Iterator[str]:
        connectors = {start: ("|", mark.style) for _, start, mark in spots}
        if spots:
            yield self.bar(None, self._row(connectors))
        while spots:
            _, column, mark = spots.pop()
            left = {at: connector for at, connector in connectors.items() if at < column}
            yield self.bar(None, self._row({**left, column: (self.message(mark.text), mark.style)}))

    def _row(self, at: dict[int, tuple[str, str]]) -> str:
        """Texts at their cells, neighbours of one style painted as one."""
        runs, end = [], 0
        for column, (text, style) in sorted(at.items()):
            runs += [("", " " * (column - end))] if column > end else []
            runs.append((style, text))
            end = column + len(text)
        groups = groupby(runs, key=itemgetter(0))
        return "".join(self.paint(style, "".join(text for _, text in run)) for style, run in groups)

    def _remarks(self, diagnostic: Diagnostic) -> Iterator[str]:
        titles = {fix.title for fix in diagnostic.fixes}
        remarks = [("note", text) for text in diagnostic.notes]
        remarks += [("help", text) for text in diagnostic.helps if text not in titles]
        if remarks or titles:
            yield self.bar()
        for kind, text in remarks:
            first, *more = text.split("\n")
            lead = f"{' ' * self.gutter} {self.paint('gutter', '=')} {self.paint(kind, kind)}: "
            yield lead + self.message(first)
            for line in more:
                yield " " * (self.gutter + len(f" = {kind}: ")) + self.message(line)

    def _diff(self, fix: Fix) -> list[Change]:
        source = fix.edits[0][0].source if fix.edits else None
        edits = edits_of(fix, source) if source else None
        return [*islice(changes(source, edits), _LONGEST_DIFF + 1)] if source and edits else []

    def _fix(self, fix: Fix, diff: Sequence[Change], shown: Source) -> Iterator[str]:
        yield f"{self.paint('help', 'help')}: {self.message(fix.title)}"
        if diff and fix.edits[0][0].source is not shown:
            yield self._place("-->", fix.edits[0][0])
        for change in diff[:_LONGEST_DIFF]:
            view = self._view(change.text, [_Mark(0, change.focus, change.focus)])
            number = self.paint("gutter", str(change.number).rjust(self.gutter))
            yield f"{number} {self.paint(change.sign, f'{change.sign} {view.text}')}".rstrip()
        if len(diff) > _LONGEST_DIFF:
            yield self.paint("gutter", "...")

    def _view(self, line: str, marks: Sequence[_Mark]) -> _View:
        first, last = self._bounds(line, marks)
        shown = [self.glyphs[char] for char in line[first:last]]
        left = self.ellipsis if first else ""
        right = self.ellipsis if last < len(line) else ""
        text = left + "".join(piece for piece, _ in shown) + right
        return _View(text, first, [*accumulate((size for _, size in shown), initial=len(left))])

    def _bounds(self, line: str, marks: Sequence[_Mark]) -> tuple[int, int]:
        """The columns [first, last) to show: all, or as many around the marks as there is room for.

        Grows from the primary mark: to the right end of the marks, to their left, then both ways.
        The work is bounded by the width, whatever the length of the line.
        """
        room = max(self.width - self.gutter - 3, _NARROWEST_TEXT)
        if len(line) <= room and sum(self.glyphs[char][1] for char in line) <= room:
            return 0, len(line)
        room -= 2 * len(self.ellipsis)
        leftmost = min((mark.start for mark in marks), default=0)
        rightmost = max((mark.end for mark in marks), default=0)
        focus = next((mark.start for mark in marks if mark.is_primary), leftmost)
        leftmost = max(leftmost, focus - room // 2)
        rightmost = min(rightmost, focus + room // 2)
        first = last = focus
        while first > 0 or last < len(line):
            missing = last < rightmost or (
                first <= leftmost and last - rightmost <= leftmost - first
            )
            to_right = last < len(line) and (first == 0 or missing)
            char = line[last if to_right else first - 1]
            room -= max(self.glyphs[char][1], 1)  # so that stacked accents end somewhere
            if room < 0:
                break
            first, last = (first, last + 1) if to_right else (first - 1, last)
        return first, last

    def bar(self, number: int | None = None, text: str = "") -> str:
        lead = self.paint("gutter", f"{'' if number is None else number:>{self.gutter}} |")
        return f"{lead} {text}".rstrip()

    def message(self, text: str) -> str:
        return terminal.message(text, unicode=self.unicode)

    def paint(self, style: str, text: str) -> str:
        return terminal.paint(style, text, self.color)
