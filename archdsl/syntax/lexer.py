"""Tokens, refined by their neighbours.

In: Lark's tokens of a text. Out: the tokens that the grammar is written over (its head lists them).
Whitespace decides only here: `f(x)` is a call, `conv f (x)` has two arguments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lark import Token

OPENING = {"LPAR", "LSQB", "INDEX", "LBRACE"}
CLOSING = {"RPAR", "RSQB", "RBRACE"}
LINE_ENDS = {"_NEWLINE", "SEMICOLON"}
CONTINUES = {"ARROW", "ELSE", "SHORTCUT"}  # a line that starts so continues the line before
WORD_ENDS = {"NAME", "RPAR", "RSQB", "IN", "TAP"}  # what an index may follow

TAPPED = {"_TAP", "PARAM", "BUFFER", "SHORTCUT"}  # what has a name that is used with `@` only
STEP_FOLLOWS = {"LBRACE", "RBRACE", "ARROW", "COLON", "AUX", "TAP"}

# behind a side in brackets; `_` is any side
_BY, _BY_NUMBERS = re.compile("(x([0-9]+|_))*x"), re.compile("(x([0-9]+|_))+")
_ANY, _ANY_OF = re.compile("_(x([0-9]+|_))+"), re.compile("_(x([0-9]+|_))*x")


class Refine:
    """Lark's post-lexer hook."""

    always_accept = ("_NEWLINE", "SEMICOLON")

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        return separated(retyped(stream))


def separated(stream: Iterator[Token]) -> Iterator[Token]:
    """One `_SEPARATOR` for each run of line ends and `;` that ends a statement; the others go."""
    brackets, separator, previous = _Brackets(), None, None
    for token in stream:
        if token.type in LINE_ENDS:
            if not brackets.inside:
                separator = separator or token
            continue
        brackets.see(token.type)
        starts = previous is None or previous.type == "LBRACE"
        continues = token.type in CONTINUES or token.type == "RBRACE"
        if separator is not None and not (starts or continues):
            yield Token("_SEPARATOR", separator, separator.start_pos, end_pos=separator.end_pos)
        separator, previous = None, token
        yield token


def retyped(stream: Iterator[Token]) -> Iterator[Token]:
    """The tokens with the types that their neighbours give them."""
    brackets, fresh = _Brackets(), False  # behind a line's end
    previous: Token | None = None
    named = False  # the token before is a step's name: `maxpool/2` has a stride
    given = False  # the statement is an `input` with something behind it
    for token, following in _with_next(stream):
        if token.type in LINE_ENDS:
            fresh = fresh or not brackets.inside
            yield token
            continue
        if token.type == "TIMES" and not fresh and previous and previous.type in TAPPED:
            kind = "NAME"
        elif token == "where" and given and not fresh and not brackets.inside:
            kind = "_WHERE"
        elif token == "int" and given and not fresh and not brackets.inside and _last(following):
            kind = "WHOLE"
        elif token[:1].isalpha() or token[:1] == "_":
            kind = _word(token, following, previous, in_brackets=brackets.inside)
        else:
            kind = _sign(token, previous, named=named)
        refined = token if kind == token.type else token.update(type=kind)
        brackets.see(kind)
        named = fresh or previous is None or previous.type in STEP_FOLLOWS
        given = (given and not fresh) or (previous is not None and previous.type == "INPUT")
        fresh, previous = False, refined
        yield refined


def _last(following: Token | None) -> bool:
    """Whether nothing but a `where` follows in the statement."""
    return following is None or following.type in (*LINE_ENDS, "RBRACE") or following == "where"


def _sign(token: Token, previous: Token | None, *, named: bool) -> str:
    if previous is None or previous.end_pos != token.start_pos or previous.type not in WORD_ENDS:
        return token.type
    if token.type == "SLASH" and not named:
        return "DIVIDE"
    return "INDEX" if token.type == "LSQB" else token.type


def _word(
    token: Token, following: Token | None, previous: Token | None, *, in_brackets: bool
) -> str:
    if previous and previous.end_pos == token.start_pos and previous.type in ("RPAR", "RSQB"):
        if _BY_NUMBERS.fullmatch(token):
            return "BY_NUMBERS"
        return "BY" if _BY.fullmatch(token) and _touches(token, following) else token.type
    if previous and previous.type == "ASSERT" and _ANY.fullmatch(token):
        return "SIZE"
    if previous and previous.type == "ASSERT" and _ANY_OF.fullmatch(token):
        return "SIZE_OF" if _touches(token, following) else token.type
    if following is None:
        return token.type
    if following.type == "COLON" and not in_brackets:
        return token.type if token.type == "TEMPLATE" else "LABEL"
    if token == "here" and following.type == "DOT" and following.start_pos == token.end_pos:
        return "HERE"
    if token.type == "NAME" and _touches(token, following):
        return "TIMES_OF" if token == "x" else "FUNC"
    return token.type


class _Brackets:
    """Which brackets are open; a brace ends those that are not closed."""

    def __init__(self) -> None:
        self.open: list[str] = []

    @property
    def inside(self) -> bool:
        """Whether the innermost is round or square."""
        return bool(self.open) and self.open[-1] != "LBRACE"

    def see(self, kind: str) -> None:
        while kind in ("LBRACE", "RBRACE") and self.inside:
            self.open.pop()
        if kind in OPENING:
            self.open.append(kind)
        elif kind in CLOSING and self.open:
            self.open.pop()


def _touches(token: Token, following: Token | None) -> bool:
    opens = following is not None and following.type == "LPAR"
    return opens and following is not None and following.start_pos == token.end_pos


def _with_next(stream: Iterator[Token]) -> Iterator[tuple[Token, Token | None]]:
    held: Token | None = None
    for token in stream:
        if held is not None:
            yield held, token
        held = token
    if held is not None:
        yield held, None
