"""Which value an `@path` names: a tap, an input or a value that the block got; else what a labelled
step gave, and what has a name inside of it.

A value inside a finished block leaves it by one more output of that block's graph, `expose`; inside
a group by the group's builder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from archdsl.checker.build import Builder, Draft, Value
from archdsl.checker.problem import Problem
from archdsl.diagnostics.catalogue import UnknownTap
from archdsl.ir.expose import Unknown, expose
from archdsl.ir.graph import Graph
from archdsl.names.foreign import similar
from archdsl.syntax import tree as t

#: a label stands below
BELOW = "the step of this label runs later, inside an aux output, or not at all"
LATER = (
    "its `tap` runs later, inside an aux output, or not at all; in a loop it is what the round "
    "before left, and must be set before the first"
)


def find(path: str, taps: Mapping[str, Value], builder: Builder) -> Value:
    """The value, as one of the scope where it was computed. Raises `Unknown`."""
    first, *rest = path.split(".")
    value = taps[first] if first in taps else _labelled(first, builder)
    within = first
    for place, name in enumerate(rest):
        draft = value.draft
        if draft is None or value is not draft.outputs[0]:
            raise Unknown(name, within, ())
        if isinstance(draft.content, Graph):
            return _exposed(draft, rest[place:], within)
        if not isinstance(draft.content, Builder):
            raise Unknown(name, within, ())
        inside = draft.content
        value = inside.taps[name] if name in inside.taps else _child(inside, name, within)
        within += "." + name
    return value


def _labelled(name: str, builder: Builder) -> Value:
    """What the step of this label gave, in the scope or in one around it."""
    scope: Builder | None = builder
    names: list[str] = []
    while scope is not None:
        if name in scope.named:
            return scope.named[name]
        with_name = scope.made.get(name)
        if with_name is not None and with_name.outputs:
            return with_name.outputs[0]
        names += scope.made
        scope = scope.parent
    raise Unknown(name, "", names)


def _child(scope: Builder, name: str, within: str) -> Value:
    if name in scope.named:
        return scope.named[name]
    draft = scope.made.get(name)
    if draft is None or not draft.outputs:
        raise Unknown(name, within, (*scope.taps, *scope.made))
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


def problem(use: t.TapUse, name: str, unknown: Unknown, taps: Mapping[str, Value]) -> Problem:
    """What to say of a path that names nothing."""
    names = (*taps, *unknown.names) if not unknown.within else unknown.names
    near = similar(unknown.name, names)
    hint = ""
    if re.search(rf"\btap +{re.escape(unknown.name)}\b", use.span.source.text):
        hint = LATER
    elif re.search(rf"(?<![\w.]){re.escape(unknown.name)} *:", use.span.source.text):
        hint = BELOW
    if unknown.within:
        shown = ", ".join(f"`{n}`" for n in unknown.names[:8])
        hint = f"`@{unknown.within}` has {shown}" if shown else f"`{unknown.within}` has no parts"
    return Problem(UnknownTap(use.span, name, near, hint))
