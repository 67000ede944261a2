"""Specs as large as the limits allow: an answer, or the limit's name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import archdsl
from archdsl import pictures
from archdsl.runtime.errors import ArtefactError

BRANCHES = "model m { input 4; add { repeat 3000 { identity } } }"
SCALED = "model m { input 4; affine 0.5 0 -> add { repeat 250 { identity } } }"


def _taps(count: int) -> str:
    steps = [f"conv 4 1x1 -> tap t_{i}" for i in range(count)]
    joined = " ".join(f"@t_{i}" for i in range(count))
    return "\n".join(["model m {", "input 4x8x8", *steps, f"concat {joined}", "}"])


def test_a_sum_of_many_branches() -> None:
    assert torch.equal(archdsl.load(BRANCHES)(torch.ones(2, 4)), torch.full((2, 4), 3000.0))
    x = torch.randn(2, 4)
    expected = half = x * 0.5
    for _ in range(249):
        expected = expected + half
    assert torch.equal(archdsl.load(SCALED)(x), expected)
    better = archdsl.load(BRANCHES, optimize=True)
    assert torch.equal(better(torch.ones(2, 4)), torch.full((2, 4), 3000.0))


@pytest.mark.parametrize("name", ["m.svg", "m.mmd", "m.png"])
def test_a_picture_of_many_skips(name: str, tmp_path: Path) -> None:
    archdsl.export(_taps(300), tmp_path / name)
    assert (tmp_path / name).stat().st_size > 10_000


def test_a_picture_of_what_nothing_bounds(tmp_path: Path) -> None:
    """A long chain of skips is a column with a line beside it, no matter how long."""
    svg = archdsl.draw(_taps(2000))
    width = float(re.findall(r'width="([\d.]+)"', svg)[0])
    assert width < 600 and svg.count("<text") > 4000
    with pytest.raises(ArtefactError, match=r"too large for a PNG[^\n]*\n.*\.svg"):
        archdsl.export(_taps(2000), tmp_path / "m.png")


def test_a_picture_that_is_too_deep_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skips in skips, in blocks in blocks."""
    down = "; ".join(f"conv 4 1x1 -> tap t{i}" for i in range(10))
    up = "; ".join(f"add @t{i}" for i in reversed(range(10)))
    blocks = [f"block b{i}() {{ {down}; b{i - 1}; {up} }}" for i in range(1, 40)]
    text = "\n".join(["block b0() { relu }", *blocks, "model m { input 4x8x8; b39 }"])
    assert archdsl.draw(text, depth=99).count("<text") > 400
    monkeypatch.setattr(pictures, "DEEPEST", 0)  # Python's own limit, which is lower
    with pytest.raises(ArtefactError, match=r"too deep in one another.*\n.*--depth 3"):
        archdsl.draw(text, depth=99)


def test_blocks_nested_without_end() -> None:
    """2^13 instances of 14 blocks: a class each, and none looked at once for every instance."""
    nested = [f"block b{i}() {{ x: b{i - 1}; y: b{i - 1} }}" for i in range(1, 14)]
    spec = "\n".join(["block b0() { conv 4 1x1 -> bn }", *nested, "model m { input 4x2x2; b13 }"])
    source = archdsl.compile(spec)
    assert source.count("class ") == 15
    better = archdsl.compile(spec, optimize=True)
    assert better.count("class ") == 14 and "BatchNorm" not in better.partition("import")[2]
