"""Positions in the three encodings of the protocol."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archdsl.diagnostics.source import Source
from archdsl.editor.positions import Encoding, offset, position

TEXT = "# é 😀 中x\nab\r\n\n😀"
ENCODINGS: tuple[Encoding, ...] = ("utf-8", "utf-16", "utf-32")


@pytest.mark.parametrize(("encoding", "character"), [("utf-8", 13), ("utf-16", 8), ("utf-32", 7)])
def test_emoji(encoding: Encoding, character: int) -> None:
    assert position(Source("", TEXT), TEXT.index("x"), encoding) == (0, character)
    assert offset(Source("", TEXT), 0, character, encoding) == TEXT.index("x")


@given(st.text("aé😀中\n", max_size=30), st.data())
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_there_and_back(encoding: Encoding, text: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(text)))
    source = Source("", text)
    assert offset(source, *position(source, at, encoding), encoding) == at


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_beyond_the_end(encoding: Encoding) -> None:
    source = Source("", TEXT)
    assert offset(source, 99, 0, encoding) == len(TEXT)
    assert offset(source, 1, 99, encoding) == TEXT.index("\r")
    assert position(source, 999, encoding)[0] == 3
