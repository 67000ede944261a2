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


@dataclass
class Place:
    """`prefix`: the word being written, which begins at `start`. `statement`: the words before it
    of this step or definition; what brackets and braces hold is one word. `inside`: the innermost
    bracket, `{`, `(`, `[` or nothing. `outer`: the statement around an open `(` or `[`.
    `names`: variables in scope, with what they are."""

    prefix: str
    start: int
    statement: list[Word] = field(default_factory=list)
    inside: str = ""
    outer: list[Word] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    taps: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
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
    head = text[:offset]
    found = _PREFIX.search(head)
    start = found.start() if found else offset
    frames: list[_Frame] = []
    statement: list[Word] = []
    names: dict[str, str] = {}
    taps: list[str] = []
    silent = string = False
    for match in _WORD.finditer(text, 0, offset):
        word = Word(match[0], match.start(), match.end())
        if word.end > start:
            silent = word.text.startswith("#")
            string = word.text.startswith('"')
            if silent or string or word.start >= start:
                break
        silent = word.text.startswith("#") and word.end == offset
        if word.text.startswith("#"):
            continue
        if word.text.startswith('"') and not (len(word.text) > 1 and word.text.endswith('"')):
            string = word.end == offset
        body = not frames or frames[-1].opening == "{"
        if word.text in "([{":
            adjacent = bool(statement) and statement[-1].end == word.start and word.text != "{"
            frames.append(_Frame(word.text, adjacent, statement, names))
            statement, names = [], dict(names)
        elif word.text in CLOSING:
            while frames and frames[-1].opening != CLOSING[word.text]:
                frames.pop()
            if frames:
                frame = frames.pop()
                statement = list(frame.statement)
                header = not frames and statement and statement[0].text in ("block", "model")
                if not (header and word.text == ")"):
                    names = frame.names
                if word.text == "}" and not frames:
                    names, taps = {}, []
                if frame.adjacent:
                    statement[-1] = Word(statement[-1].text, statement[-1].start, word.end)
                else:
                    statement.append(Word(frame.opening, word.start, word.end))
        elif text[word.start - 1 : word.start] in (")", "]") and _SIDE.fullmatch(word.text):
            if statement:
                statement[-1] = statement[-1]._replace(end=word.end)
        elif body and word.text in (";", "\n", "->"):
            statement = []
        elif word.text == "\n":
            continue
        elif body and word.text == ":":
            statement = []
        else:
            _declare(word.text, statement, frames, names, taps)
            statement.append(word)
    inside = frames[-1].opening if frames else ""
    outer = frames[-1].statement if frames and frames[-1].adjacent else []
    if string and _in_braces(text[word.start : offset]):
        string, inside, outer = False, "(", []  # a value
    labels = _labels(text, offset)
    prefix = head[start:]
    return Place(prefix, start, statement, inside, outer, names, taps, labels, silent, string)


def _in_braces(text: str) -> bool:
    """Whether an expression stands at the end of the beginning of a string."""
    text = re.sub(r"\{\{|\}\}", "", text)
    return text.rfind("{") > text.rfind("}")


def _declare(
    word: str, statement: list[Word], frames: list[_Frame], names: dict[str, str], taps: list[str]
) -> None:
    """Note a name that a word makes known."""
    if not word.isidentifier():
        return
    before = statement[-1].text if statement else ""
    # of a loop, or in a list: `[f for v in xs]`
    behind = [w.text for w in statement]
    behind = behind[len(behind) - behind[::-1].index("for") :] if "for" in behind else ["in"]
    loop = "in" not in behind and word != "in"
    if before in ("let", "as") or loop:
        names[word] = "variable"
    elif before in ("tap", "param", "buffer"):
        taps.append(word)
    elif len(frames) == 1 and frames[0].opening == "(" and before in ("", ","):
        around = frames[0].statement
        if around and around[0].text in ("block", "model"):
            names[word] = "parameter"


def _labels(text: str, offset: int) -> list[str]:
    """The labels of the definition around a place."""
    starts = [m.start() for m in _DEFINITION.finditer(text)]
    begin = max((s for s in starts if s <= offset), default=0)
    end = min((s for s in starts if s > offset), default=len(text))
    return list(dict.fromkeys(m[1] for m in _LABEL.finditer(text, begin, end)))
