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
CONTINUES = {"ARROW", "ELSE", "SHORTCUT"}  # a line that starts so continues the line before
WORD_ENDS = {"NAME", "RPAR", "RSQB", "IN"}  # what an index may follow

TAPPED = {"_TAP", "PARAM", "BUFFER", "SHORTCUT"}  # what has a name that is used with `@` only
STEP_FOLLOWS = {"LBRACE", "RBRACE", "ARROW", "COLON", "AUX", "TAP"}

_BY, _BY_NUMBERS = re.compile("(x[0-9]+)*x"), re.compile("(x[0-9]+)+")  # behind a side in brackets


class Refine:
    """Lark's post-lexer hook."""

    always_accept = ("_NEWLINE", "SEMICOLON")

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        brackets: list[str] = []
        separator: Token | None = None
        previous: Token | None = None
        named = False  # the token before is a step's name: `maxpool/2` has a stride
        tokens = _with_next(stream)
        for token, following in tokens:
            kind = token.type
            if kind in ("_NEWLINE", "SEMICOLON"):
                if not (brackets and brackets[-1] != "LBRACE"):
                    separator = separator or token
                continue
            in_brackets = bool(brackets) and brackets[-1] != "LBRACE"
            adjacent = previous is not None and previous.end_pos == token.start_pos
            after_word = adjacent and previous is not None and previous.type in WORD_ENDS
            if kind == "LSQB" and after_word:
                token.type = "INDEX"
            elif adjacent and previous is not None and previous.type in ("RPAR", "RSQB"):
                if _BY_NUMBERS.fullmatch(token):
                    token.type = "BY_NUMBERS"
                elif _BY.fullmatch(token) and _touches(token, following):
                    token.type = "BY"
                elif kind == "SLASH" and not named:
                    token.type = "DIVIDE"
            elif kind == "SLASH" and after_word and not named:
                token.type = "DIVIDE"
            elif kind == "TIMES" and separator is None and previous and previous.type in TAPPED:
                token.type = "NAME"
            elif token[:1].isalpha() or token[:1] == "_":
                _refine_word(token, following, in_brackets)
            if token.type in ("LBRACE", "RBRACE"):  # they end what is not closed
                while brackets and brackets[-1] != "LBRACE":
                    brackets.pop()
            if token.type in OPENING:
                brackets.append(token.type)
            elif token.type in CLOSING and brackets:
                brackets.pop()
            named = separator is not None or previous is None or previous.type in STEP_FOLLOWS
            if separator is not None:
                starts = previous is None or previous.type == "LBRACE"
                if not (starts or token.type in CONTINUES or token.type == "RBRACE"):
                    yield Token(
                        "_SEPARATOR", separator, separator.start_pos, end_pos=separator.end_pos
                    )
                separator = None
            yield token
            previous = token


def _touches(token: Token, following: Token | None) -> bool:
    opens = following is not None and following.type == "LPAR"
    return opens and following is not None and following.start_pos == token.end_pos


def _refine_word(token: Token, following: Token | None, in_brackets: bool) -> None:
    if following is None:
        return
    if following.type == "COLON" and not in_brackets:
        if token.type != "TEMPLATE":
            token.type = "LABEL"
    elif following.type == "LPAR" and following.start_pos == token.end_pos and token.type == "NAME":
        token.type = "TIMES_OF" if token == "x" else "FUNC"


def _with_next(stream: Iterator[Token]) -> Iterator[tuple[Token, Token | None]]:
    held: Token | None = None
    for token in stream:
        if held is not None:
            yield held, token
        held = token
    if held is not None:
        yield held, None
