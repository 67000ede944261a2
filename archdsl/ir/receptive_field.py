"""The receptive field of every value: how much of the input's space it can see.

By the usual recurrence over window and step, the widest path counting where paths join (Araujo et
al., Computing Receptive Fields of Convolutional Neural Networks, 2019). The operators say their
windows (`Op.reach`), as they are in evaluation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from archdsl.ir.graph import Graph, Node, Param, Program, Scope

#: for each spatial dimension the size of the field, and how far neighbours are apart in the input;
#: None: all of the input
Field = tuple[tuple[float, float], ...] | None


def fields(program: Program) -> Iterator[Field]:
    """The field of each item, in the order of `Program.walk`."""
    entering: list[Field] = [((1, 1.0),) * (len(s) - 1) for s in program.graph.input_shapes]
    yield from _walk(program.graph, entering, [])


def show(field: Field) -> str:
    """`35x35`, `7xall`; `all`, or nothing where the input has no space."""
    sides = ["all" if size == math.inf else str(size) for size, _ in field or ()]
    return "all" if field is None or (sides and {*sides} == {"all"}) else "x".join(sides)


def _walk(graph: Graph, values: list[Field], leaving: list[Field]) -> Iterator[Field]:
    for item in graph.items:
        inputs = [values[v] for v in item.inputs]
        if isinstance(item, Scope):
            outputs: list[Field] = []
            inner = list(_walk(item.graph, inputs, outputs))
            yield outputs[0]
            yield from inner
            values += outputs
        else:
            values.append(_through(item, inputs))
            yield values[-1]
    leaving += [values[v] for v in graph.outputs]


def _through(item: Node | Param, inputs: list[Field]) -> Field:
    if isinstance(item, Param):
        return ()
    seen, entering = item.op.reach(*item.input_shapes), _widest(inputs)
    if seen is None or entering is None:
        return None
    if not seen:
        return entering
    if len(seen) != len(entering):
        return entering if all(size == 1 for size, _ in seen) else None
    return tuple(
        (_whole(field + (size - 1) * apart), apart * step)
        for (field, apart), (size, step) in zip(entering, seen, strict=True)
    )


def _whole(size: float) -> float:
    return size if size == math.inf else math.ceil(size)


def _widest(inputs: list[Field]) -> Field:
    known = [field for field in inputs if field != ()]
    if any(field is None for field in known):
        return None
    result: Field = known[0] if known else ()
    for field in known[1:]:
        assert result is not None and field is not None
        pairs = zip(result, field, strict=False)
        result = tuple((max(a, c), max(b, d)) for (a, b), (c, d) in pairs)
    return result
