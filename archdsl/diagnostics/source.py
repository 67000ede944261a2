"""Texts and places in them.

In: a file's text. Out: `Source` and `Span`, the only form in which a place is stored (offsets into
the text, counted in code points). Lines and columns are worked out here, when a person must see
them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

_LINE_END = re.compile(r"\r\n?|\n")


@dataclass(eq=False)
class Source:
    """One file's text under the name that messages show for it."""

    name: str
    text: str

    @cached_property
    def line_starts(self) -> list[int]:
        """A line ends at a line feed, a carriage return, or the two together, as editors see it;
        Python's `splitlines` would end it at a form feed and U+2028 too."""
        return [0, *(end.end() for end in _LINE_END.finditer(self.text))]

    @property
    def lines(self) -> list[str]:
        return [self.line(number) for number in range(1, len(self.line_starts) + 1)]

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both counted from 1, the column in code points."""
        line = bisect_right(self.line_starts, offset) - 1
        return line + 1, offset - self.line_starts[line] + 1

    def line(self, number: int) -> str:
        """The text of a line (from 1), without its line end."""
        start = self.line_starts[number - 1]
        end = self.line_starts[number] if number < len(self.line_starts) else len(self.text)
        return self.text[start:end].rstrip("\r\n")


@dataclass(frozen=True, slots=True)
class Span:
    """The half-open range [start, end) of one source's text."""

    source: Source
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def to(self, other: Span) -> Span:
        """The span from the start of this one to the end of another."""
        return Span(self.source, self.start, max(self.end, other.end))
