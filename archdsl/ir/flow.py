"""Who makes and who uses each value of a graph, and what may be overwritten."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from archdsl.ir.graph import Graph, Item, Node, Scope


@dataclass(frozen=True)
class Flow:
    """Who makes and who uses each value of a graph."""

    graph: Graph
    outputs: tuple[int, ...]

    @cached_property
    def makers(self) -> dict[int, tuple[Item, int]]:
        """value -> the item, and which of its results."""
        number, made = len(self.graph.input_shapes), {}
        for item in self.graph.items:
            for place in range(len(item.shapes)):
                made[number] = (item, place)
                number += 1
        return made

    @cached_property
    def uses(self) -> dict[int, int]:
        counts: dict[int, int] = {}
        for value in (*(v for item in self.graph.items for v in item.inputs), *self.outputs):
            counts[value] = counts.get(value, 0) + 1
        return counts

    def fresh(self, value: int) -> bool:
        """Whether its only user may overwrite it: a new tensor whose maker's backward does not
        read it."""
        if self.uses.get(value, 0) != 1 or value not in self.makers:
            return False
        item, place = self.makers[value]
        if isinstance(item, Scope):
            inner = Flow(item.graph, item.graph.outputs)
            return inner.fresh(item.graph.outputs[place])
        # an activation that works in place reads its result in the backward, whatever it does else
        return isinstance(item, Node) and item.op.fresh and not self.inplace(item)

    def inplace(self, node: Node) -> bool:
        """Activations alone: an in-place dropout draws other numbers on a GPU, and saves little."""
        return node.op.inplace and node.op.nonlinear and self.fresh(node.inputs[0])
