"""Pictures and hover say how sizes follow from those that `where` lets vary."""

from __future__ import annotations

from pathlib import Path

import pytest

import archdsl
from archdsl.diagnostics.source import Source
from archdsl.editor import docs
from archdsl.editor.analysis import Analysis
from archdsl.ir.graph import Program
from archdsl.pipeline import open_spec
from archdsl.sizes.named import named
from archdsl.text import shape_text

U = """block down(out) { maxpool 2x2 -> conv out 3x3 pad=1 }
model u {
  input 1x32x32 where %s
  conv 4 3x3 pad=1 -> tap a
  down 8
  down 8
  upsample size=(@a.h // 2)x(@a.w // 2)
  conv 2 3x3
}
"""


def shapes(program: Program) -> list[str]:
    return [shape_text(shape) for shape in named(program).graph.value_shapes]


@pytest.mark.parametrize(
    ("where", "told"),
    [
        (
            "h % 8 == 0 and w % 4 == 0 and w > 4",
            ["1xHxW", "8xH/2xW/2", "8xH/4xW/4", "2x(H/2 - 2)x(W/2 - 2)"],
        ),
        ("h == w and h % 32 == 0", ["1xHxH", "8xH/2xH/2", "8xH/4xH/4"]),
        ("h >= 8 and w == 32", ["1xHx32", "8x⌊H/2⌋x16", "8x⌊H/4⌋x8"]),
        ("h == 32 and w == 32", ["1x32x32", "8x16x16"]),
        ("h % 32 == 0 and w % 32 == 0 and h <= 640", ["1xHxW", "8xH/4xW/4"]),
    ],
)
def test_sides(where: str, told: list[str]) -> None:
    program = open_spec(U % where).checked()
    found = shapes(program)
    assert all(shape in found for shape in told), found
    assert named(program).graph.value_shapes == program.graph.value_shapes  # as numbers
    assert named(program).params == program.params and named(program).macs == program.macs


def test_without_a_promise_nothing_changes() -> None:
    program = open_spec(U.replace("where %s", "")).checked()
    assert named(program) is program


def test_pictures_and_hover_say_it() -> None:
    text = U % "h % 8 == 0 and w % 8 == 0"
    assert "8×H/4×W/4" in archdsl.draw(text) and "8×8×8" not in archdsl.draw(text)
    assert "8×H/2×W/2" in archdsl.compile(text, "mermaid")
    analysis = Analysis(Source("<text>", text), Path.cwd())
    hints = {shape_text(shape) for row in analysis.hints().values() for shape in row}
    assert {"4xHxW", "8xH/4xW/4"} <= hints
    word = analysis.word(text.index("down 8"))
    assert word is not None and "| 4xHxW | 8xH/2xW/2 |" in docs.flow_page(analysis, word.span)
