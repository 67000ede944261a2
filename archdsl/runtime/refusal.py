"""Where a format has no words for a model: the step's place, in one error.

In: a program that could not be written, and what writes one. Out: the error. Exporters tell of
their own nodes, which a spec's author never saw, so each different step is tried alone.
"""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from torch import nn

from archdsl.ir.graph import Graph, Item, Node, Program
from archdsl.ir.walk import graphs
from archdsl.ops.shape import Reshape, Slice
from archdsl.ops.table import Op, Shape
from archdsl.runtime.errors import ExportError
from archdsl.runtime.module import build
from archdsl.text import shape_text

Writer = Callable[[Program, nn.Module, Path], None]
#: what may help, by what a step is part of
ALONE = "write it another way (other numbers, an operator before it), or compile to {other}"


def refusal(program: Program, format: str, write: Writer) -> ExportError:
    """The first step that cannot be written alone; where each can be, the model is named."""
    other = ".pt2 or .py" if format == "ONNX" else ".py"
    for node in _different(program):
        if _fails(alone(node), write):
            source = node.span.source
            place = f"{source.name}:{source.position(node.span.start)[0]}"
            step = " ".join(node.span.text.split())
            shapes = ", ".join(map(shape_text, node.input_shapes))
            return ExportError(
                f"{place}: {format} cannot say `{step}` on {shapes}\n{ALONE.format(other=other)}"
            )
    source = program.graph.span.source
    place = f"{source.name}:{source.position(program.graph.span.start)[0]}"
    return ExportError(
        f"{place}: {format} can say each step of `{program.name}`, but not all of them together\n"
        f"compile to {other}"
    )


def _different(program: Program) -> Iterator[Node]:
    seen: set[tuple[Op, tuple[Shape, ...]]] = set()
    for graph in graphs(program.graph):
        for item in graph.items:
            if isinstance(item, Node) and (item.op, item.input_shapes) not in seen:
                seen.add((item.op, item.input_shapes))
                yield item


def _fails(program: Program, write: Writer) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        try:
            write(program, build(program), Path(folder, "alone"))
        except Exception:  # of the exporters' own, of one step
            return True
    return False


def alone(step: Node) -> Program:
    """A model of one step; the branches of a join are cut from one input."""
    op, shapes, span = step.op, step.input_shapes, step.span
    given, items = shapes[:1], list[Item]()
    inputs: tuple[int, ...] = (0,)
    if op.arity is None:
        ends = list(itertools.accumulate(map(math.prod, shapes)))
        given = ((ends[-1],),)
        for shape, end in zip(shapes, ends, strict=True):
            cut = Slice(start=end - math.prod(shape), end=end)
            part, key = (math.prod(shape),), str(len(items))
            items.append(Node(key, False, cut, (0,), given, part, span))
            fold, key = Reshape(sizes=shape), str(len(items))
            items.append(Node(key, False, fold, (len(items),), (part,), shape, span))
        inputs = tuple(range(2, len(items) + 1, 2))
    name = None if op.arity is None else step.name
    items.append(Node(name, step.labelled, op, inputs, shapes, step.shape, span))
    last = len(items)
    graph = Graph(
        block=None,
        args=(),
        input_shapes=given,
        items=tuple(items),
        declared=tuple(range(last)),
        outputs=(last,),
        output_shapes=(step.shape,),
        inits=(),
        span=span,
    )
    return Program("alone", graph, (("output", last),), (), "")
