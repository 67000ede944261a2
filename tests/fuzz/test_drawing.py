"""Pictures of random specs: their edges are the program's. `python -m tests.fuzz.drawing 3000`."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from archdsl.ir.graph import Program
from archdsl.pictures.depth import opened
from archdsl.pictures.scene import Edge, Flow
from tests.fuzz import drawing
from tests.fuzz.drawing import Weaver, verdict
from tests.fuzz.lines import Wrong

Change = Callable[[Flow], Flow]
CHUNK = 20


@pytest.mark.parametrize("first", range(0, 120, CHUNK))
def test_edges_are_the_programs(first: int) -> None:
    results = [drawing.judged(seed) for seed in range(first, first + CHUNK)]
    assert not [what for _, what in results if what]
    assert sum(result == "right" for result, _ in results) > CHUNK // 2


@pytest.mark.slow
@pytest.mark.parametrize("first", range(100_000, 103_000, 500))
def test_edges_of_many(first: int) -> None:
    assert not [what for seed in range(first, first + 500) if (what := drawing.judged(seed)[1])]


def test_specs_have_what_may_go_wrong() -> None:
    words = " ".join(Weaver(random.Random(seed)).spec() for seed in range(60)).split()
    parts = "tap residual shortcut repeat param buffer aux output chunk"
    assert set(parts.split()) - {"shortcut"} <= set(words)


SPEC = """model m {
  input 4x3x3
  a: { conv 4 1x1 -> tap t -> maxpool 1 }
  residual { conv 4 3x3 pad=1 -> relu }
  add @t
}"""


def _without(flow: Flow) -> Flow:
    return replace(flow, edges=flow.edges[:-2] + flow.edges[-1:])


def _moved(flow: Flow) -> Flow:
    """An edge that begins one box too early."""
    last = flow.edges[-2]
    return replace(flow, edges=(*flow.edges[:-2], Edge(last.source - 1, last.target, last.shape)))


@pytest.mark.parametrize("change", [_without, _moved])
def test_finds_a_wrong_edge(change: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    assert verdict(SPEC) == "right"

    def wrong(program: Program, depth: int) -> Flow:
        return change(opened(program, depth))

    monkeypatch.setattr(drawing, "opened", wrong)
    with pytest.raises(Wrong):
        verdict(SPEC)
