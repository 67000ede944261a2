"""A token at which the parser gave up, and what stands around it."""

from __future__ import annotations

from typing import NamedTuple

from lark import Token

from archdsl.diagnostics.source import Source, Span
from archdsl.syntax.lexer import CLOSING, OPENING

#: the kinds of token that begin with a letter
WORDS = frozenset(["NAME", "FUNC", "LABEL", "TIMES_OF"])

Edits = list[tuple[Span, str]]


class Place(NamedTuple):
    """A token and its surroundings."""

    source: Source
    tokens: list[Token]
    at: int

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def kind(self, step: int) -> str:
        """The type of a neighbour."""
        place = self.at + step
        return str(self.tokens[place].type) if 0 <= place < len(self.tokens) else ""

    def near(self, step: int) -> bool:
        """Whether nothing stands between the token and a neighbour."""
        a, b = sorted((self.at, self.at + step))
        return bool(self.kind(step)) and self.tokens[a].end_pos == self.tokens[b].start_pos

    @property
    def first(self) -> int:
        """Where the statement begins."""
        first = self.at
        while first > 0 and self.tokens[first - 1].type not in ("_SEPARATOR", "LBRACE", "RBRACE"):
            first -= 1
        return first

    @property
    def last(self) -> int:
        """The statement's last token, without the braces behind it."""
        last = self.at
        while last + 1 < len(self.tokens) and self.tokens[last + 1].type not in (
            "_SEPARATOR",
            "LBRACE",
            "RBRACE",
        ):
            last += 1
        return last

    @property
    def opening(self) -> int:
        """The bracket that is open here, or the one that is closed right before; -1 for none."""
        depth = 0
        for place in range(self.at - 1, -1, -1):
            kind = self.tokens[place].type
            depth += (kind in CLOSING) - (kind in OPENING)
            if depth < 0 or (depth == 0 and kind in OPENING and self.kind(-1) in CLOSING):
                return place
        return -1

    def is_outside(self) -> bool:
        """Whether it stands outside of all braces."""
        kinds = [t.type for t in self.tokens[: self.at]]
        return kinds.count("LBRACE") == kinds.count("RBRACE")

    def span(self, first: int, last: int) -> Span:
        """From one token to another."""
        start, end = self.tokens[first].start_pos, self.tokens[last].end_pos
        return Span(self.source, start or 0, end or 0)

    def text(self, first: int, last: int) -> str:
        return self.span(first, last).text

    def partner(self, opening: int) -> int:
        """The bracket that closes this one."""
        depth = 0
        for place in range(opening, len(self.tokens)):
            depth += self.tokens[place].type in OPENING
            depth -= self.tokens[place].type in CLOSING
            if depth == 0:
                return place
        return opening
