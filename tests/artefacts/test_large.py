"""Specs as large as the limits allow: an answer, or the limit's name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import archdsl
from archdsl.backends import diagram
from archdsl.backends.errors import ArtefactError

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


@pytest.mark.parametrize("name", ["m.svg", "m.mmd"])
def test_a_picture_of_many_skips(name: str, tmp_path: Path) -> None:
    archdsl.export(_taps(300), tmp_path / name)
    assert (tmp_path / name).stat().st_size > 10_000


def test_a_picture_that_is_too_deep_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagram, "DEEPEST", 0)  # Python's own limit, which is lower
    with pytest.raises(ArtefactError, match="too many of its values skip over others"):
        archdsl.draw(_taps(500))
