"""How deep a picture opens the blocks, where nobody says."""

from __future__ import annotations

from archdsl.ir.graph import Program, Scope
from archdsl.pictures.scene import Flow, scene
from archdsl.pictures.structure import count, structure

COMFORTABLE = 28  # boxes that a picture has at most


def opened(program: Program, depth: int | None = None) -> Flow:
    """The scene at a depth; None: as deep as the picture stays readable."""
    if depth is not None:
        return scene(program, depth)
    best = scene(program, 0)
    if not any(isinstance(item, Scope) for item in program.graph.items):
        return best  # there is nothing to open
    for deeper in range(1, 6):
        flow = scene(program, deeper)
        if len(flow.elements) == len(best.elements) and not any(e.open for e in flow.elements):
            return best
        if boxes(flow) > COMFORTABLE:
            break
        best = flow
    return best


def boxes(flow: Flow) -> int:
    """How many boxes one sees: equal neighbours are drawn once."""
    return count(structure(flow))
