"""What happens inside a scope: whether anything does, what only passes through, what it ignores."""

from __future__ import annotations

from collections.abc import Hashable

from archdsl.ir.graph import Graph, Node, Param, Scope


class Contents:
    """Answers about graphs, each found once."""

    def __init__(self) -> None:
        self.structures: dict[Graph, Hashable] = {}
        self.kinds: dict[Hashable, int] = {}
        self.kind_of: dict[Graph, int] = {}
        self.passed: dict[Graph, tuple[int | None, ...]] = {}

    def through(self, graph: Graph) -> tuple[int | None, ...]:
        """For each of its outputs the input that it is, where nothing happens to it."""
        if graph not in self.passed:
            values: list[int | None] = list(range(len(graph.input_shapes)))
            for item in graph.items:
                if isinstance(item, Scope):
                    inner = self.through(item.graph)
                    values += [None if v is None else values[item.inputs[v]] for v in inner]
                else:
                    same = isinstance(item, Node) and passes(item)
                    values.append(values[item.inputs[0]] if same else None)
            self.passed[graph] = tuple(values[v] for v in graph.outputs)
        return self.passed[graph]

    def used(self, graph: Graph) -> set[int]:
        """Which of its inputs something happens to; the others it ignores or passes on."""
        if self.hollow(graph):
            return {place for place in self.through(graph) if place is not None}
        origin: list[int | None] = list(range(len(graph.input_shapes)))
        found: set[int | None] = set()
        for item in graph.items:
            given = [origin[v] for v in item.inputs]
            if isinstance(item, Scope):
                through = self.through(item.graph)
                origin += [None if v is None else given[v] for v in through]
                if item.training_only or not self.hollow(item.graph):
                    found |= {given[v] for v in self.used(item.graph)}
            elif isinstance(item, Node) and passes(item):
                origin.append(given[0])
            else:
                origin.append(None)
                found |= set(given)
        return {v for v in found if v is not None}

    def hollow(self, graph: Graph) -> bool:
        """Whether it only passes its inputs on."""
        inside = (i for i in graph.items if not isinstance(i, Node) or not passes(i))
        return all(isinstance(item, Scope) and self.hollow(item.graph) for item in inside)

    def structure(self, graph: Graph) -> Hashable:
        """What a graph does but for the numbers: its operators, and who feeds whom."""
        if graph not in self.structures:
            self.structures[graph] = tuple(
                (
                    self.structure(item.graph) if isinstance(item, Scope) else _kind(item),
                    item.inputs,
                )
                for item in graph.items
            )
        return self.structures[graph]

    def alike(self, graph: Graph) -> int:
        """Equal for graphs that show the same: labels, operators, and who feeds whom."""
        if graph not in self.kind_of:
            items = tuple(
                (
                    getattr(item, "labelled", True) and item.name,
                    self.alike(item.graph) if isinstance(item, Scope) else _shown(item),
                    item.inputs,
                )
                for item in graph.items
            )
            self.kind_of[graph] = self.kinds.setdefault((items, graph.outputs), len(self.kinds))
        return self.kind_of[graph]


def same(node: Node) -> Hashable:
    """Equal for operators that a reader takes for the same: how often dropout strikes grows from
    block to block in many networks."""
    return (node.op.name, passes(node)) if node.op.idle else node.op


def _shown(item: Node | Param) -> Hashable:
    return same(item) if isinstance(item, Node) else (item.name, item.buffer)


def passes(node: Node) -> bool:
    """Whether the node only passes its input on, in training too."""
    shapes = node.input_shapes
    return node.op.itself(*shapes) or (node.op.idle and node.op.saved(*shapes).view)


def _kind(item: Node | Param) -> Hashable:
    return item.op.name if isinstance(item, Node) else item.name
