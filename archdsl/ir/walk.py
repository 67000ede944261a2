"""Walks over a program's graphs, each once: graphs of equal calls are the same object."""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.ir.graph import Graph, Scope


def graphs(root: Graph) -> Iterator[Graph]:
    """Every different graph, those inside before those around, in the order of construction."""
    seen: set[Graph] = set()

    def visit(graph: Graph) -> Iterator[Graph]:
        if graph in seen:
            return
        seen.add(graph)
        for place in graph.declared:
            item = graph.items[place]
            if isinstance(item, Scope):
                yield from visit(item.graph)
        yield graph

    return visit(root)
