"""The steps whose values are read nowhere.

A part reads what enters it where a step inside does, or where it passes it on; of a part with
several results each counts by itself. Only the last of the steps that lead nowhere is named, and of
the rounds of a loop the last.
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostics.source import Span
from archdsl.ir.graph import Graph, Item, Param, Program, Scope


def unread(program: Program) -> Iterator[tuple[Span, Item]]:
    """Each place once, where no run of it is read."""
    found = _Reading()
    found.inputs(program.graph, frozenset(range(len(program.graph.outputs))))
    for span, item in reversed(found.unread.items()):
        if span not in found.read:
            yield span, item


class _Reading:
    def __init__(self) -> None:
        self.read: set[Span] = set()
        self.unread: dict[Span, Item] = {}
        self.seen: dict[tuple[Graph, frozenset[int]], frozenset[int]] = {}

    def inputs(self, graph: Graph, wanted: frozenset[int]) -> frozenset[int]:
        """Which inputs of a graph are read, where these of its outputs are."""
        if (graph, wanted) not in self.seen:
            self.seen[graph, wanted] = self._inputs(graph, wanted)
        return self.seen[graph, wanted]

    def _inputs(self, graph: Graph, wanted: frozenset[int]) -> frozenset[int]:
        values = {graph.outputs[place] for place in wanted}
        end, later = len(graph.value_shapes), set[Span]()
        for item in reversed(graph.items):
            end -= len(item.shapes)
            if isinstance(item, Param):
                continue
            results = {place for place in range(len(item.shapes)) if end + place in values}
            if item.span in later:
                pass
            elif results:
                self.read.add(item.span)
            elif not item.training_only:
                self.unread[item.span] = item
            later.add(item.span)
            if isinstance(item, Scope):
                # one that is named itself is not looked into
                all_of_them = range(len(item.shapes))
                inside = self.inputs(item.graph, frozenset(results or all_of_them))
                values.update(item.inputs[place] for place in inside)
            else:
                values.update(item.inputs, (value for value, _ in item.sides))
        return frozenset(value for value in values if value < len(graph.input_shapes))
