"""Warnings: what torch takes, and hardly anyone means.

In: a checked program. Out: diagnostics of severity `warning`, each place once. Only what is
certain: a lint says nothing of a design that somebody may want (a linear bottleneck, a bias that
the text asks for by name).
"""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.diagnostics.catalogue import LostBias, MissingNonlinearity
from archdsl.diagnostics.model import Diagnostic, Label
from archdsl.ir.graph import Graph, Item, Node, Program, Scope
from archdsl.ops.table import Shape


def lint(program: Program) -> list[Diagnostic]:
    """Every warning of the program."""
    found: dict[tuple[str, int, int, int], Diagnostic] = {}
    for graph in _graphs(program.graph, set()):
        for warning in _lint(graph):
            at = warning.span
            found.setdefault((warning.code, id(at.source), at.start, at.end), warning)
    return list(found.values())


def _graphs(graph: Graph, seen: set[int]) -> Iterator[Graph]:
    """Each graph once, however often it is called."""
    if id(graph) in seen:
        return
    seen.add(id(graph))
    yield graph
    for item in graph.items:
        if isinstance(item, Scope):
            yield from _graphs(item.graph, seen)


def _lint(graph: Graph) -> Iterator[Diagnostic]:
    sources, uses = _sources(graph)
    for item in graph.items:
        if not isinstance(item, Node) or len(item.inputs) != 1:
            continue
        before = _before(item, sources, uses)
        if before is None:
            continue
        direct = sources[item.inputs[0]] is before
        if item.op.centres and before.op.linear and "bias" in _weights(before):
            if direct and "bias" not in before.span.text:  # where it is written, it is meant
                label = Label(item.span, "takes the mean of each channel away")
                yield LostBias(before.span, before.op.name, item.op.name, related=(label,))
        elif item.op.linear and before.op.linear and (direct or len(item.shape) == 1):
            first, second = _weights(before)["weight"], _weights(item)["weight"]
            # Matrices only. A narrow layer between two wide ones is a bottleneck, not one layer.
            if len(first) == len(second) == 2 and first[0] >= min(first[1], second[0]):
                label = Label(before.span, "its output comes here as it is")
                yield MissingNonlinearity(
                    item.span, item.op.name, first[1], second[0], related=(label,)
                )


def _sources(graph: Graph) -> tuple[dict[int, Item], dict[int, int]]:
    """Which item computes each value, and how often it is used."""
    sources: dict[int, Item] = {}
    uses = dict.fromkeys(graph.outputs, 1)
    number = len(graph.input_shapes)
    for item in graph.items:
        for _ in item.shapes:
            sources[number] = item
            number += 1
        for value in item.inputs:
            uses[value] = uses.get(value, 0) + 1
    return sources, uses


def _before(node: Node, sources: dict[int, Item], uses: dict[int, int]) -> Node | None:
    """The nearest node that feeds this one alone, past those that only scale and shift."""
    while True:
        value = node.inputs[0]
        source = sources.get(value)
        if not isinstance(source, Node) or uses[value] > 1 or source.training_only:
            return None
        passes = source.op.passes and source.input_shapes == (source.shape,)
        if not passes:
            return source
        node = source


def _weights(node: Node) -> dict[str, Shape]:
    return {weight.name: weight.shape for weight in node.weights}
