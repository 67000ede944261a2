"""Where a cursor stands in a text that need not be finished.

In: a text and an offset. Out: the `Place`: the statement so far, what encloses it, and the names in
scope. Reads words, not the grammar, so that it works while a line is being written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

_WORD = re.compile(
    r'#[^\n]*|"[^"\n]*"?|@\w*|->|\*\*|//|[=!<>]=|'
    r"[A-Za-z_]\w*(?:\{[^{}\n:]*\}\w*)*(?=[ \t]*:)|[A-Za-z_]\w*|[0-9][\w.]*|\n|\S"
)
_SIDE = re.compile(r"(?:x(?:[0-9]+|_)?)+")  # of a size whose side before it is computed: `(k)x1`
_PREFIX = re.compile(r"@?[A-Za-z_]\w*$|@$")
_LABEL = re.compile(r"(?:^|[;{]|->)[ \t]*([A-Za-z_]\w*)[ \t]*:", re.MULTILINE)
_DEFINITION = re.compile(r"^[ \t]*(?:model|block)\b", re.MULTILINE)
CLOSING = {")": "(", "]": "[", "}": "{"}


class Word(NamedTuple):
    text: str
    start: int
    end: int


@dataclass(slots=True)
class _Frame:
    """An open bracket: the statement around it, and the names known before it."""

    opening: str
    adjacent: bool
    statement: list[Word]
    names: dict[str, str]
    hidden: int | None  # of a labelled scope: how many labels and taps were known outside of it


@dataclass
class Place:
    """`prefix`: the word being written, which begins at `start`. `statement`: the words before it
    of this step or definition; what brackets and braces hold is one word. `inside`: the innermost
    bracket, `{`, `(`, `[` or nothing. `outer`: the statement around an open `(` or `[`.
    `names`: variables in scope, with what they are. `taps`: what `@` may name: taps, inputs, values
    that the block gets, and labels; `parts`: what a step may run."""

    prefix: str
    start: int
    statement: list[Word] = field(default_factory=list)
    inside: str = ""
    outer: list[Word] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    taps: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    silent: bool = False  # in a comment
    string: bool = False

    @property
    def first(self) -> str:
        return self.statement[0].text if self.statement else ""

    @property
    def last(self) -> str:
        return self.statement[-1].text if self.statement else ""

    @property
    def call(self) -> str:
        """The name before an open bracket that touches it, else the statement's first word."""
        if self.inside == "(" and self.outer:
            return self.outer[-1].text
        return self.first

    def given(self) -> tuple[int, list[str], str]:
        """Of the call being written: how many arguments stand by position, the names of the
        others, and the name whose value comes next."""
        words = [w.text for w in self.statement[0 if self.inside == "(" else 1 :]]
        names = [a for a, b in pairwise(words) if b == "="]
        waiting = words[-2] if len(words) > 1 and words[-1] == "=" else ""
        positional = 0
        for index, word in enumerate(words):
            free = word not in "=,/{}" and not word.startswith(("@", "x("))
            before = words[index - 1] if index else ""
            after = words[index + 1] if index + 1 < len(words) else ""
            positional += free and before not in ("=", "/") and after != "="
        return positional, names, waiting


def place(text: str, offset: int) -> Place:
    """What there is to know of a place."""
    found = _PREFIX.search(text[:offset])
    start = found.start() if found else offset
    cursor = _Cursor()
    word = Word("", 0, 0)
    for match in _WORD.finditer(text, 0, offset):
        word = Word(match[0], match.start(), match.end())
        if word.start >= start or (word.end > start and word.text[0] in '#"'):
            break  # it is being written
        if not word.text.startswith("#"):
            cursor.read(word, text[word.start - 1 : word.start])
    frame = cursor.frames[-1] if cursor.frames else None
    inside, outer = (
        (frame.opening, frame.statement if frame.adjacent else []) if frame else ("", [])
    )
    string = word.text.startswith('"') and not (len(word.text) > 1 and word.text.endswith('"'))
    if string and _in_braces(text[word.start : offset]):
        string, inside, outer = False, "(", []  # a value
    return Place(
        text[start:offset],
        start,
        cursor.statement,
        inside,
        outer,
        cursor.names,
        cursor.taps,
        _labels(text, offset),
        cursor.parts,
        silent=word.text.startswith("#"),
        string=string,
    )


class _Cursor:
    """What is open behind the words read so far, and what they made known."""

    def __init__(self) -> None:
        self.frames: list[_Frame] = []
        self.statement: list[Word] = []
        self.names: dict[str, str] = {}
        self.taps: list[str] = []
        self.parts: list[str] = []
        self.labelled = False  # this step has a label

    def read(self, word: Word, before: str) -> None:
        """`before`: the character in front of it."""
        body = not self.frames or self.frames[-1].opening == "{"
        if word.text in CLOSING.values():
            self._open(word)
        elif word.text in CLOSING:
            self._close(word)
        elif before in (")", "]") and _SIDE.fullmatch(word.text):
            if self.statement:
                self.statement[-1] = self.statement[-1]._replace(end=word.end)
        elif body and word.text in (";", "\n", "->", ":"):
            self.labelled = word.text == ":" and self._label()
            self.statement = []
        elif word.text != "\n":
            self._declare(word.text)
            self.statement.append(word)

    def _label(self) -> bool:
        """Note the label, of a step or of a part, that a colon ends."""
        first, last = self.statement[0].text if self.statement else "", self.statement[-1:]
        if not last or not last[0].text.isidentifier():
            return bool(last)
        (self.parts if first == "part" else self.taps).append(last[0].text)
        return True

    def _open(self, word: Word) -> None:
        touches = bool(self.statement) and self.statement[-1].end == word.start
        adjacent = touches and word.text != "{"
        hidden = len(self.taps) if self.labelled and word.text == "{" else None
        self.frames.append(_Frame(word.text, adjacent, self.statement, self.names, hidden))
        self.statement, self.names = [], dict(self.names)

    def _close(self, word: Word) -> None:
        while self.frames and self.frames[-1].opening != CLOSING[word.text]:
            self.frames.pop()
        if not self.frames:
            return
        frame = self.frames.pop()
        self.statement = list(frame.statement)
        if not (word.text == ")" and self._in_header()):  # whose names hold in the body
            self.names = frame.names
        if word.text == "}" and not self.frames:
            self.names, self.taps, self.parts = {}, [], []
        elif frame.hidden is not None:
            del self.taps[frame.hidden :]
        if frame.adjacent:
            self.statement[-1] = self.statement[-1]._replace(end=word.end)
        else:
            self.statement.append(Word(frame.opening, word.start, word.end))

    def _in_header(self) -> bool:
        first = self.statement[0].text if self.statement else ""
        return not self.frames and first in ("block", "model")

    def _among_parameters(self) -> bool:
        """Whether a definition's parameters are being read."""
        around = self.frames[0].statement if len(self.frames) == 1 else []
        first = around[0].text if around else ""
        return first in ("block", "model") and self.frames[0].opening == "("

    def _declare(self, word: str) -> None:
        """Note a name that a word makes known."""
        behind = [w.text for w in self.statement]
        before = behind[-1] if behind else ""
        header = self._among_parameters() and before in ("", ",")
        if header and word.startswith("@"):
            self.taps.append(word[1:])
        if not word.isidentifier():
            return
        # of a loop, or in a list: `[f for v in xs]`
        loop = behind[len(behind) - behind[::-1].index("for") :] if "for" in behind else ["in"]
        if before in ("let", "as") or ("in" not in loop and word != "in"):
            self.names[word] = "variable"
        elif before in ("tap", "param", "buffer") or behind == ["input"]:
            self.taps.append(word)
        elif header:
            self.names[word] = "parameter"


def _in_braces(text: str) -> bool:
    """Whether an expression stands at the end of the beginning of a string."""
    text = re.sub(r"\{\{|\}\}", "", text)
    return text.rfind("{") > text.rfind("}")


def _labels(text: str, offset: int) -> list[str]:
    """The labels of the definition around a place."""
    starts = [m.start() for m in _DEFINITION.finditer(text)]
    begin = max((s for s in starts if s <= offset), default=0)
    end = min((s for s in starts if s > offset), default=len(text))
    return list(dict.fromkeys(m[1] for m in _LABEL.finditer(text, begin, end)))
