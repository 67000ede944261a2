"""What a stream can show, and text made fit to be shown.

In: a stream and the environment; untrusted text. Out: yes or no to colour and to Unicode, the
width, text without anything that a terminal would obey, and how many cells of a line it takes.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping
from typing import IO, Literal

ColorChoice = Literal["auto", "always", "never"]

SGR = {
    "error": "1;91",
    "warning": "1;93",
    "note": "1",
    "help": "1;96",
    "gutter": "1;94",
    "title": "1",
    "+": "32",
    "-": "31",
}

# For our own messages only: source text is never rewritten, only escaped.
_SPELT_IN_ASCII = str.maketrans(
    {"×": "x", "–": "-", "—": "-", "…": "...", "→": "->", "≤": "<=", "≥": ">=", "≠": "!="}
)


def use_color(
    stream: IO[str], when: ColorChoice = "auto", env: Mapping[str, str] = os.environ
) -> bool:
    """`--color`, then NO_COLOR, then FORCE_COLOR or CLICOLOR_FORCE, then TERM=dumb, then isatty.

    An empty variable counts as absent (no-color.org), and a forcing one that is `0` as well.
    """
    if when != "auto":
        return when == "always"
    if env.get("NO_COLOR"):
        return False
    if any(env.get(name, "") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    return env.get("TERM") != "dumb" and stream.isatty()


def use_unicode(stream: IO[str]) -> bool:
    """Whether any character can be written to the stream. One without an encoding keeps str."""
    try:
        "…中\U0001f642".encode(getattr(stream, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def width(stream: IO[str], env: Mapping[str, str] = os.environ) -> int | None:
    """Columns of the terminal (COLUMNS wins); None where the stream is not one."""
    if (columns := env.get("COLUMNS", "")).isdecimal() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):
        return None


def escaped(text: str, *, unicode: bool = True) -> str:
    """Text with every character that does not print written as `\\x1b`, `\\u202e` and the like.

    That takes away control and escape sequences, changes of direction, invisible characters, lone
    surrogates; without `unicode`, all that is not ASCII.
    """
    if text.isprintable() and (unicode or text.isascii()):
        return text
    return "".join(c if c.isprintable() and (unicode or c.isascii()) else _escape(c) for c in text)


def typed(name: object) -> str:
    """A path or name as it is typed in a command that is proposed: quoted where the shell wants."""
    from shlex import quote

    return quote(escaped(str(name)))


def message(text: str, *, unicode: bool = True) -> str:
    """`escaped` for a sentence of ours, whose typography has ASCII spellings."""
    return escaped(text if unicode else text.translate(_SPELT_IN_ASCII), unicode=unicode)


def cells(text: str) -> int:
    """Terminal cells of escaped text: 2 for wide characters, 0 for combining ones."""
    return len(text) if text.isascii() else sum(map(_cells_of, text))


def paint(style: str, text: str, color: bool) -> str:
    """Text in one of the styles of `SGR`; an empty style leaves it plain."""
    return f"\x1b[{SGR[style]}m{text}\x1b[0m" if color and style else text


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def _cells_of(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me") or "\u1160" <= char <= "\u11ff":
        return 0  # the range: vowels and final consonants of composed Hangul
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
