"""Offsets into a text, as the language server protocol counts positions.

Lines and characters count from 0; a character is a byte, a UTF-16 unit or a code point, as client
and server have agreed on. Offsets count code points, as everywhere in archdsl.
"""

from __future__ import annotations

from typing import Literal

from archdsl.diagnostics.source import Source

Encoding = Literal["utf-8", "utf-16", "utf-32"]
Position = tuple[int, int]


def position(source: Source, offset: int, encoding: Encoding) -> Position:
    line, column = source.position(min(max(offset, 0), len(source.text)))
    start = source.line_starts[line - 1]
    return line - 1, units(source.text[start : start + column - 1], encoding)


def offset(source: Source, line: int, character: int, encoding: Encoding) -> int:
    """Beyond the end of a line or of the text is its end; inside a character, its start."""
    if line >= len(source.line_starts):
        return len(source.text)
    start = source.line_starts[line]
    text = source.line(line + 1)
    if text.isascii() or encoding == "utf-32":
        return start + min(character, len(text))
    for index, char in enumerate(text):
        character -= units(char, encoding)
        if character < 0:
            return start + index
    return start + len(text)


def units(text: str, encoding: Encoding) -> int:
    """The length of a text."""
    if encoding == "utf-32" or text.isascii():
        return len(text)
    return len(text.encode("utf-8")) if encoding == "utf-8" else len(text.encode("utf-16-le")) // 2
