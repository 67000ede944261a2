"""Who makes and who uses each value of a graph, and what may be overwritten."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary

from archdsl.ir.graph import Graph, Item, Node, Scope

#: graph -> the places of its outputs that the scope's user may overwrite
_given: WeakKeyDictionary[Graph, frozenset[int]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Flow:
    """Who makes and who uses each value of a graph."""

    graph: Graph
    outputs: tuple[int, ...]
    #: the model's parameters that may have another value
    settable: frozenset[str] = frozenset()

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

    def inplace(self, node: Node) -> bool:
        """Whether the node overwrites its input: nothing else sees that, nor reads its memory."""
        return node in self._overwriting[1]

    @cached_property
    def given(self) -> frozenset[int]:
        """The places of the outputs that whoever gets them may overwrite."""
        fresh = self._overwriting[0]
        return frozenset(
            place
            for place, value in enumerate(self.outputs)
            if value in fresh and self.uses[value] == 1
        )

    @cached_property
    def _overwriting(self) -> tuple[set[int], set[Node]]:
        """The values that their only user may overwrite, new tensors whose maker's backward does
        not read them; and the nodes that do so."""
        fresh: set[int] = set()
        nodes: set[Node] = set()
        for value, (item, place) in self.makers.items():
            if isinstance(item, Scope):
                if place in _outputs(item.graph):
                    fresh.add(value)
            elif isinstance(item, Node):
                source = item.inputs[0]
                alone = source in fresh and self.uses[source] == 1
                # an in-place dropout draws other numbers on a GPU, and saves little; and what
                # works in place reads its result in the backward, whatever it does else
                if alone and item.op.inplace and item.op.nonlinear:
                    nodes.add(item)
                elif alone if item.op.itself(*item.input_shapes) else item.op.fresh:
                    fresh.add(value)
        return fresh, nodes


def _outputs(graph: Graph) -> frozenset[int]:
    if graph not in _given:
        _given[graph] = Flow(graph, graph.outputs).given
    return _given[graph]
