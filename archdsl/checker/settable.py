"""Which parameters of a model may still be set in the emitted source.

A number may be from which nothing is computed: it goes, as it is, into arguments of operators that
pass it on to torch (`Op.free`), and the sizes that follow from it meet no weights and no text that
reads them. The network for another value is then this one with that value in its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from archdsl.checker.values import Setting
from archdsl.ir.graph import Graph, Node, Param, Scope
from archdsl.ir.walk import graphs
from archdsl.names.units import Block
from archdsl.ops.table import Blame, Call, Op, Shape
from archdsl.ops.types import another, is_int
from archdsl.syntax import tree as t
from archdsl.syntax.tree import names_in

MORE = (1, 2, 7)  # how much larger a size is, to see what follows from it
Used = dict[Graph, frozenset[str]]  # the parameters that operators of a graph get


def settings(variables: Mapping[str, Any], model: Block) -> dict[str, Any]:
    """The variables of a model; those that are numbers take note of being computed with, and those
    that another's default reads are."""
    defaults = [param.default for param in model.params if param.default is not None]
    read = {n.name for expr in defaults for n in names_in(expr) if isinstance(n, t.Name)}
    return {
        name: Setting(name, value, computed=name in read)
        if is_int(value) or isinstance(value, float)
        else value
        for name, value in variables.items()
    }


def settable(graph: Graph, variables: Mapping[str, Any]) -> tuple[tuple[str, int | float], ...]:
    """The parameters that may be set, with their values; `variables`: `settings`."""
    used: Used = {}
    for inner in graphs(graph):
        used[inner] = frozenset(_used(inner, used))
    return tuple(
        (known.of, known.value)
        for known in variables.values()
        if isinstance(known, Setting) and not known.computed and known.of in used[graph]
        if all(_shapes(graph, {}, known, more, used) is not None for more in MORE)
    )


def _used(graph: Graph, inside: Used) -> Iterator[str]:
    for item in graph.items:
        if isinstance(item, Node):
            yield from (name for _, name in item.free)
        elif isinstance(item, Scope):
            yield from inside[item.graph]


def _shapes(
    graph: Graph, changed: dict[int, Shape], setting: Setting, more: int, used: Used
) -> dict[int, Shape] | None:
    """The outputs with other shapes where the setting is `more` larger; None where something but
    the shapes would differ. `changed`: the values that have other shapes."""
    count = len(graph.input_shapes)
    for item in graph.items:
        first, count = count, count + len(item.shapes)
        if isinstance(item, Param):
            continue
        others = {place: changed[v] for place, v in enumerate(item.inputs) if v in changed}
        if isinstance(item, Scope):
            if others and item.graph.block is not None:
                return None  # its text may compute with what enters
            if not others and setting.of not in used[item.graph]:
                continue
            inner = _shapes(item.graph, others, setting, more, used)
            if inner is None:
                return None
            changed.update({first + place: shape for place, shape in inner.items()})
            continue
        if not others and not any(name == setting.of for _, name in item.free):
            continue
        shape = _shape(item, others, setting, more)
        if shape is None:
            return None
        if shape != item.shape:
            changed[first] = shape
    return {place: changed[v] for place, v in enumerate(graph.outputs) if v in changed}


def _shape(node: Node, others: dict[int, Shape], setting: Setting, more: int) -> Shape | None:
    """The node's shape with such inputs and such a setting; None where its layer would differ."""
    shapes = tuple(others.get(place, shape) for place, shape in enumerate(node.input_shapes))
    with suppress(Blame):
        if others:
            if node.op.weights(*shapes) != node.weights:
                return None
            if _lowered(node.op, shapes) != _lowered(node.op, node.input_shapes):
                return None
        mine = [field for field, name in node.free if name == setting.of]
        if not all(_passed_on(node.op, field, shapes) for field in mine):
            return None
        if not all(is_int(getattr(node.op, field)) for field in mine):
            return node.op.shape(*shapes)
        return node.op.replace(**{f: getattr(node.op, f) + more for f in mine}).shape(*shapes)
    return None


def _passed_on(op: Op, field: str, shapes: tuple[Shape, ...]) -> bool:
    """Whether nothing but this number differs in the calls for another one."""
    other = another(getattr(op, field))
    for one, two in zip(
        _lowered(op, shapes), _lowered(op.replace(**{field: other}), shapes), strict=True
    ):
        if one is None or two is None:
            if one is not two:
                return False
            continue
        if (one.target, len(one.args)) != (two.target, len(two.args)):
            return False
        both = [*zip(one.args, two.args, strict=True)]
        full = dict(two.full or two.kwargs)
        both += [(value, full.get(key)) for key, value in one.full or one.kwargs]
        if [b for a, b in both if a != b] != [other]:
            return False
    return op.direct(*shapes) is None  # those calls are not looked at


def _lowered(op: Op, shapes: tuple[Shape, ...]) -> tuple[Call | None, ...]:
    """A join is no module."""
    module = None if op.arity is None else op.module(*shapes)
    return module, op.function(*shapes)
