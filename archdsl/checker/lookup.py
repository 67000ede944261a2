"""Which value an `@path` names: a tap, an input or a value that the block got; else what a labelled
step gave, and what has a name inside of it.

A value inside a finished block leaves it by one more output of that block's graph, `expose`; inside
a group by the group's builder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from archdsl.checker.build import Builder, Draft, Value
from archdsl.checker.values import Problem
from archdsl.diagnostics.catalogue import UnknownTap
from archdsl.ir.graph import Graph, Item, Param, Scope
from archdsl.names.foreign import similar
from archdsl.syntax import tree as t

LATER = (
    "its `tap` runs later, inside an aux output, or not at all; in a loop it is what the round "
    "before left, and must be set before the first"
)


class Unknown(Exception):
    """No value has this name. `names`: those that have one there."""

    def __init__(self, name: str, within: str, names: Iterator[str]) -> None:
        super().__init__()
        self.name, self.within, self.names = name, within, tuple(dict.fromkeys(names))


def find(path: str, taps: Mapping[str, Value], builder: Builder) -> Value:
    """The value, as one of the scope where it was computed. Raises `Unknown`."""
    first, *rest = path.split(".")
    value = taps[first] if first in taps else _labelled(first, builder)
    within = first
    for place, name in enumerate(rest):
        draft = value.draft
        if draft is None or value is not draft.outputs[0]:
            raise Unknown(name, within, iter(()))
        if isinstance(draft.content, Graph):
            return _exposed(draft, rest[place:], within)
        if not isinstance(draft.content, Builder):
            raise Unknown(name, within, iter(()))
        inside = draft.content
        value = inside.taps[name] if name in inside.taps else _child(inside, name, within)
        within += "." + name
    return value


def _labelled(name: str, builder: Builder) -> Value:
    """What the step of this label gave, in the scope or in one around it."""
    scope: Builder | None = builder
    names: list[str] = []
    while scope is not None:
        with_name = scope.made.get(name)
        if with_name is not None and with_name.outputs:
            return with_name.outputs[0]
        names += scope.made
        scope = scope.parent
    raise Unknown(name, "", iter(names))


def _child(scope: Builder, name: str, within: str) -> Value:
    draft = scope.made.get(name)
    if draft is None or not draft.outputs:
        raise Unknown(name, within, iter([*scope.taps, *scope.made]))
    return draft.outputs[0]


def _exposed(draft: Draft, path: list[str], within: str) -> Value:
    """A value of a finished block that is called here."""
    assert isinstance(draft.content, Graph)
    graph, place = expose(draft.content, path, within)
    if graph is not draft.content:
        draft.content = graph
        value = Value(graph.output_shapes[place], draft.span, draft.outputs[0].builder, draft)
        draft.outputs.append(value)
    return draft.outputs[place]


def expose(graph: Graph, path: list[str], within: str = "") -> tuple[Graph, int]:
    """A graph with the value at a path among its outputs, and as which of them. It is the graph
    itself where the value leaves it already."""
    graph, value = _reached(graph, path, within)
    if value in graph.outputs:
        return graph, graph.outputs.index(value)
    outputs = (*graph.outputs, value)
    shapes = (*graph.output_shapes, graph.value_shapes[value])
    return replace(graph, outputs=outputs, output_shapes=shapes), len(graph.outputs)


def _reached(graph: Graph, path: list[str], within: str) -> tuple[Graph, int]:
    """The number of a value at a path, in a graph that it is in."""
    first, *rest = path
    taps = dict(graph.taps)
    if first in taps and not rest:
        return graph, taps[first]
    number = len(graph.input_shapes)
    for place, item in enumerate(graph.items):
        if item.name == first:
            if not rest:
                return graph, number
            if isinstance(item, Scope):
                inner, output = expose(item.graph, rest, f"{within}.{first}")
                if inner is not item.graph:
                    graph = _grown(graph, place, number + output, inner)
                return graph, number + output
        number += len(item.shapes)
    known = iter([*taps, *(item.name for item in graph.items if item.name)])
    raise Unknown(first, within, iter(()) if any(i.name == first for i in graph.items) else known)


def _grown(graph: Graph, place: int, new: int, inner: Graph) -> Graph:
    """The graph with a part that gives one value more, numbered `new`: the later ones move."""

    def moved(value: int) -> int:
        return value + (value >= new)

    def item_of(number: int, item: Item) -> Item:
        if isinstance(item, Param):
            return item
        inputs = tuple(map(moved, item.inputs))
        if number == place and isinstance(item, Scope):
            return replace(item, graph=inner, inputs=inputs)
        return replace(item, inputs=inputs)

    return replace(
        graph,
        items=tuple(item_of(number, item) for number, item in enumerate(graph.items)),
        outputs=tuple(map(moved, graph.outputs)),
        bare=graph.bare,
        taps=tuple((name, moved(value)) for name, value in graph.taps),
    )


def problem(use: t.TapUse, name: str, unknown: Unknown, taps: Mapping[str, Value]) -> Problem:
    """What to say of a path that names nothing."""
    names = (*taps, *unknown.names) if not unknown.within else unknown.names
    near = similar(unknown.name, names)
    hint = ""
    if re.search(rf"\btap +{re.escape(unknown.name)}\b", use.span.source.text):
        hint = LATER
    if unknown.within:
        shown = ", ".join(f"`{n}`" for n in unknown.names[:8])
        hint = f"`@{unknown.within}` has {shown}" if shown else f"`{unknown.within}` has no parts"
    return Problem(UnknownTap(use.span, name, near, hint))
