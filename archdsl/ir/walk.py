"""Walks over a program's graphs, each once: graphs of equal calls are the same object."""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.ir.graph import Graph, Scope


def graphs(root: Graph, *, owned: bool = False) -> Iterator[Graph]:
    """Every different graph, those inside before those around, in the order of construction;
    `owned`: without those whose module another one made."""
    seen: set[Graph] = set()

    def visit(graph: Graph) -> Iterator[Graph]:
        if graph in seen:
            return
        seen.add(graph)
        items = [graph.items[place] for place in graph.declared]
        if not owned:
            items += (item for item in graph.items if getattr(item, "shares", False))
        for item in items:
            if isinstance(item, Scope):
                yield from visit(item.graph)
        yield graph

    return visit(root)
