"""Which streams get colour and Unicode, and how wide text is."""

from __future__ import annotations

import io

import pytest

from archdsl.diagnostics.terminal import (
    ColorChoice,
    cells,
    escaped,
    message,
    use_color,
    use_unicode,
    width,
)


class Stream(io.StringIO):
    def __init__(self, tty: bool) -> None:
        super().__init__()
        self.tty = tty

    def isatty(self) -> bool:
        return self.tty


@pytest.mark.parametrize(
    ("when", "env", "tty", "expected"),
    [
        ("always", {"NO_COLOR": "1", "TERM": "dumb"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": "0"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ("auto", {"FORCE_COLOR": "1"}, False, True),
        ("auto", {"FORCE_COLOR": ""}, False, False),
        ("auto", {"FORCE_COLOR": "0"}, False, False),
        ("auto", {"FORCE_COLOR": "0"}, True, True),
        ("auto", {"CLICOLOR_FORCE": "1"}, False, True),
        ("auto", {"CLICOLOR_FORCE": "0"}, False, False),
        ("auto", {"FORCE_COLOR": "1", "TERM": "dumb"}, False, True),
        ("auto", {"TERM": "dumb"}, True, False),
        ("auto", {"TERM": "xterm-256color"}, True, True),
        ("auto", {"TERM": "xterm-256color"}, False, False),
    ],
)
def test_who_decides_about_colour(
    when: ColorChoice, env: dict[str, str], tty: bool, expected: bool
) -> None:
    assert use_color(Stream(tty), when, env) is expected


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("utf-8", True),
        ("UTF-16-LE", True),
        ("gb18030", True),
        ("ascii", False),
        ("latin-1", False),
        ("cp1252", False),
        ("cp932", False),
    ],
)
def test_unicode_by_encoding(encoding: str, expected: bool) -> None:
    assert use_unicode(io.TextIOWrapper(io.BytesIO(), encoding=encoding)) is expected


def test_a_stream_of_str_takes_everything() -> None:
    assert use_unicode(io.StringIO())


def test_width() -> None:
    assert width(io.StringIO(), {}) is None
    assert width(io.StringIO(), {"COLUMNS": "72"}) == 72
    assert width(io.StringIO(), {"COLUMNS": "0"}) is None
    assert width(io.StringIO(), {"COLUMNS": "wide"}) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("conv 64", 7),
        ("中文", 4),
        ("ｆｕｌｌ", 8),
        ("🙂", 2),
        ("e\u0301", 1),
        ("×–…", 3),
        ("\u1112\u1161\u11ab", 2),  # one Hangul syllable in parts
        ("", 0),
    ],
)
def test_cells(text: str, expected: int) -> None:
    assert cells(text) == expected


@pytest.mark.parametrize(
    ("text", "shown", "in_ascii"),
    [
        ("plain", "plain", "plain"),
        ("a\tb\n", r"a\tb\n", r"a\tb\n"),
        ("\x1b[0m\x7f\x9b", r"\x1b[0m\x7f\x9b", r"\x1b[0m\x7f\x9b"),
        ("\u202e\u2066\u200b\ufeff", r"\u202e\u2066\u200b\ufeff", r"\u202e\u2066\u200b\ufeff"),
        ("\u2028\xa0", r"\u2028\xa0", r"\u2028\xa0"),
        ("\ud800", r"\ud800", r"\ud800"),
        ("é中🙂", "é中🙂", r"\xe9\u4e2d\U0001f642"),
    ],
)
def test_escaped(text: str, shown: str, in_ascii: str) -> None:
    assert escaped(text) == shown
    assert escaped(text, unicode=False) == in_ascii


def test_our_typography_has_ascii_spellings() -> None:
    assert message("3×3 – 1 → …") == "3×3 – 1 → …"
    assert message("3×3 – 1 → …", unicode=False) == "3x3 - 1 -> ..."
