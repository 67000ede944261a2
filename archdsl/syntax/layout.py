"""A file's tokens as nested groups with their comments: what the formatter lays out.

In: a text without syntax errors. Out: a `Group`, the file, whose items are statements. Nothing of
the text is lost but its whitespace: what stands between two tokens is the second one's `Gap`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lark import Token

from archdsl.syntax.lexer import CLOSING, CONTINUES, OPENING
from archdsl.syntax.spacing import spaces

_GAP = re.compile(r"#[^\n]*|\n")


@dataclass(frozen=True, slots=True)
class Comment:
    """`newlines`: how many come before it; 0: it stands behind what came before."""

    text: str
    newlines: int


@dataclass(frozen=True, slots=True)
class Gap:
    """What stands before a token: comments, then so many newlines."""

    comments: tuple[Comment, ...]
    newlines: int

    @property
    def broken(self) -> bool:
        return bool(self.comments or self.newlines)


@dataclass(frozen=True, slots=True)
class Piece:
    """A token. `space`: one comes before it where the line goes on. `resumes`: it may begin a line
    that goes on from the line before."""

    text: str
    kind: str
    space: bool
    gap: Gap
    resumes: bool = False

    @property
    def broken(self) -> bool:
        """It begins a line as it is written, and will again."""
        return bool(self.gap.comments) or (self.resumes and self.gap.newlines > 0)


@dataclass(slots=True)
class Group:
    """Brackets or braces; `items`: the statements of a body, or the elements between commas."""

    open: Piece
    close: Piece
    items: list[Item] = field(default_factory=list)

    @property
    def gap(self) -> Gap:
        return self.open.gap

    @property
    def space(self) -> bool:
        return self.open.space

    @property
    def is_body(self) -> bool:
        return self.open.kind == "LBRACE"

    @property
    def exploded(self) -> bool:
        """Written with its items on lines of their own, or so for a comment's sake."""
        starts = [first(item).gap for item in self.items]
        broken = any(gap.newlines for gap in starts)
        if self.is_body:
            comments = any(gap.comments for gap in (*starts, self.close.gap))
            return comments or broken or self.close.gap.newlines > 0
        gaps = [part.gap for item in self.items for part in item]
        comments = any(gap.comments for gap in (*gaps, self.close.gap))
        return comments or (broken and len(self.items) > 1)


Part = Piece | Group
Item = list[Part]


def first(item: Item) -> Piece:
    part = item[0]
    return part if isinstance(part, Piece) else part.open


def groups(text: str, tokens: Sequence[Token]) -> Group:
    """The file as a group without braces."""
    pieces = list(_pieces(text, tokens))
    whole = Group(Piece("", "LBRACE", False, Gap((), 0)), pieces.pop())
    stack, fresh = [whole], True  # fresh: the next token begins an item
    for piece in pieces:
        if piece.kind == "_SEPARATOR":
            fresh = True
            continue
        if piece.kind in CLOSING:
            stack.pop().close = piece
            fresh = False
            continue
        part: Part = Group(piece, piece) if piece.kind in OPENING else piece
        if fresh and piece.kind != "COMMA":
            stack[-1].items.append([])
        stack[-1].items[-1].append(part)
        fresh = piece.kind == "COMMA" and not stack[-1].is_body
        if isinstance(part, Group):
            stack.append(part)
            fresh = True
    return whole


def _pieces(text: str, tokens: Sequence[Token]) -> Iterator[Piece]:
    at, before = 0, ""
    for token, space in zip(tokens, spaces(tokens), strict=True):
        if token.type == "_SEPARATOR":
            yield Piece("", token.type, False, Gap((), 0))
            continue
        resumes = token.type == "ARROW" or (token.type in CONTINUES and before == "RBRACE")
        yield Piece(str(token), token.type, space, _gap(text[at : token.start_pos]), resumes)
        at, before = token.end_pos or 0, token.type
    yield Piece("", "RBRACE", False, _gap(text[at:]))


def _gap(text: str) -> Gap:
    comments, newlines = [], 0
    for found in _GAP.findall(text):
        if found == "\n":
            newlines += 1
        else:
            comments.append(Comment(_comment(found), newlines))
            newlines = 0
    return Gap(tuple(comments), newlines)


def _comment(text: str) -> str:
    text = text.rstrip()
    return f"# {text[1:]}" if text[1:2].isalnum() else text
