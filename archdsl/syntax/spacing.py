"""Where a space stands between two tokens of one line: the formatter's first half.

In: a file's tokens, as the parser gets them (see lexer.py). Out: for each, whether a space comes
before it. Arithmetic is spaced as in Python: `4 * mid`, but tight where it is an argument or
belongs to a name (`conv (4*mid) 1x1`, `out=4*mid`, `x(n-1)`, `depths[i+1]`); an argument's `/` and
`-` belong to what follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lark import Token

from archdsl.syntax.lexer import CLOSING, OPENING

_ARITHMETIC = {"PLUS", "MINUS", "STAR", "SLASH", "DIVIDE", "INTDIV", "PERCENT"}
_OPERANDS = {
    "NAME",
    "IN",
    "NUMBER",
    "SIZE",
    "BY_NUMBERS",
    "STRING",
    "TRUE",
    "FALSE",
    "NONE",
    "RPAR",
    "RSQB",
}
_NEVER_BEFORE = {"RPAR", "RSQB", "COMMA", "INDEX", "DOT", "COLON", "POWER", "BY", "BY_NUMBERS"}
_NEVER_AFTER = {"LPAR", "LSQB", "INDEX", "DOT", "POWER", "BY", "SIZE_OF"}
_EXPRESSION = {
    "IF",
    "REPEAT",
    "FOR",
    "_WHERE",
    "ASSERT",
}  # what follows, outside brackets, is arithmetic


@dataclass(slots=True)
class _Bracket:
    kind: str
    tight: bool
    value: bool = False  # inside it, after `name=`, where arithmetic is tight


class _State:
    """What the tokens so far say about the next."""

    def __init__(self) -> None:
        self.brackets: list[_Bracket] = []
        self.statement: list[str] = []  # kinds of the statement's tokens so far, bodies left out
        self.expression = False

    @property
    def inside(self) -> _Bracket | None:
        top = self.brackets[-1] if self.brackets else None
        return top if top is not None and top.kind != "LBRACE" else None

    @property
    def tight(self) -> bool:
        return self.inside is not None and (self.inside.tight or self.inside.value)

    def spaced_equals(self) -> bool:
        """`let a = b` and `model a = b` are definitions; every other `=` gives an argument."""
        starts = self.statement[:1]
        return self.inside is None and len(self.statement) == 2 and starts in (["LET"], ["MODEL"])

    def advance(self, kind: str) -> None:
        inside = self.inside
        if kind in OPENING:
            above = self.statement[-1] if self.statement else ""
            argument = inside is None and not self.expression and not _is_parameters(self)
            tight = kind == "INDEX"
            tight |= kind == "LPAR" and above != "FUNC" and (argument or self.tight)
            self.brackets.append(_Bracket(kind, tight))
        elif kind in CLOSING and self.brackets:
            self.brackets.pop()
        elif inside is not None and kind in ("EQUAL", "COMMA"):
            inside.value = kind == "EQUAL"
        if kind in ("_SEPARATOR", "LBRACE", "ARROW"):
            self.statement, self.expression = [], False
            return
        self.statement.append(kind)
        if self.inside is None:
            self.expression |= kind in _EXPRESSION or self.statement[::2] == ["LET", "EQUAL"]


def spaces(tokens: Sequence[Token]) -> list[bool]:
    """For each token, whether a space comes before it where the line goes on."""
    state, found = _State(), []
    before = ""  # the kind of the token before
    joined = False  # that token takes no space after it
    for token in tokens:
        kind = token.type
        prefix = _is_prefix(kind, before, state)
        space = not (joined or kind in _NEVER_BEFORE or before in ("", *_NEVER_AFTER))
        joined = False
        if kind in _ARITHMETIC and not prefix:
            space = space and not state.tight
            joined = state.tight
        elif prefix:
            joined = True
        elif kind == "EQUAL":
            space = space and state.spaced_equals()
            joined = not space
        elif kind == "COLON":
            joined = state.inside is not None
        elif (kind == "LPAR" and (before in ("FUNC", "TIMES_OF") or _is_parameters(state))) or (
            kind == "RBRACE" and before == "LBRACE"
        ):
            space = False
        found.append(space)
        state.advance(kind)
        before = kind
    return found


def _is_prefix(kind: str, before: str, state: _State) -> bool:
    """A `/` that gives a stride, or a `-` that belongs to a number."""
    if kind not in ("SLASH", "MINUS"):
        return False
    arguments = state.inside is None and not state.expression
    return arguments or (kind == "MINUS" and before not in _OPERANDS)


def _is_parameters(state: _State) -> bool:
    return state.inside is None and state.statement in (["BLOCK", "NAME"], ["MODEL", "NAME"])
