"""A program whose sides say how they follow from those that may vary: `H/4`.

In: a program whose text promises sizes. Out: the same, for people to look at: its shapes are the
numbers of the declared size, which are written as what they are for every size that is promised.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import prod
from typing import Any

from archdsl.ir import expr as e
from archdsl.ir.graph import Graph, Item, Node, Program, Scope
from archdsl.ops.table import Shape
from archdsl.sizes.course import Sizes
from archdsl.sizes.promise import allowed
from archdsl.sizes.walk import Walk
from archdsl.sizes.words import show


class Side(int):
    """A side with its text."""

    text: str

    def __new__(cls, number: int, text: str) -> Side:
        made = super().__new__(cls, number)
        made.text = text
        return made

    def __str__(self) -> str:
        return self.text


def named(program: Program) -> Program:
    """The very program where nothing may vary."""
    found = allowed(program) if program.promise is not None and len(program.inputs) == 1 else None
    if found is None:
        return program
    sizes, (box, equal) = program.sizes, found
    steps = [_step(own, side) for own, side in zip(box, sizes.declared, strict=True)]
    entering, here = list[Any](program.input_shape), list[int]()
    for place, (axis, letter, side, step) in enumerate(
        zip(sizes.axes, sizes.letters, sizes.declared, steps, strict=True)
    ):
        here.append(side // max(step, 1))
        if step:
            first = 0 if equal else place
            letter = sizes.letters[first]
            of = e.Var(first, letter if step == 1 else f"{letter}/{step}")
            entering[axis] = e.mul(step, of)
    walk = Walk(program, e.At(tuple(here)))
    walk(tuple(entering))
    values = {graph: dims for (graph, _), dims in reversed(walk.seen.items())}
    return replace(program, graph=_Named(values, steps, e.At(tuple(here))).graph(program.graph))


def _step(sizes: Sizes, declared: int) -> int:
    """What all members are multiples of; 0: the declared size alone."""
    members = [h for h in range(1, len(sizes.early) + 2 * len(sizes.cycle) + 1) if h in sizes]
    if members == [declared]:
        return 0
    step = members[1] - members[0] if len(members) > 1 else 1
    return step if all(h % step == 0 for h in members) else 1


class _Named:
    def __init__(self, values: dict[Graph, Any], steps: list[int], here: e.At) -> None:
        self.values, self.steps, self.here = values, steps, here
        self.done: dict[Graph, Graph] = {}

    def graph(self, graph: Graph) -> Graph:
        if graph not in self.done:
            self.done[graph] = self._made(graph)
        return self.done[graph]

    def _made(self, graph: Graph) -> Graph:
        if graph not in self.values:
            return graph
        shapes = [self._shape(dims) for dims in self.values[graph]]
        count, items = len(graph.input_shapes), list[Item]()
        number = count
        for item in graph.items:
            if isinstance(item, Scope):
                item = replace(item, graph=self.graph(item.graph))
            elif isinstance(item, Node):
                given = tuple(
                    shapes[v] if len(own) == len(shapes[v]) else own
                    for v, own in zip(item.inputs, item.input_shapes, strict=True)
                )
                item = replace(item, shape=shapes[number], input_shapes=given)
            items.append(item)
            number += len(item.shapes)
        return replace(
            graph,
            items=tuple(items),
            input_shapes=tuple(shapes[:count]),
            output_shapes=tuple(shapes[value] for value in graph.outputs),
        )

    def _shape(self, dims: Any) -> Shape:
        texts = (None if isinstance(n, int) else self._text(n) for n in dims)
        return tuple(
            n if text is None else Side(self.here(n), f"({text})" if " " in text else text)
            for n, text in zip(dims, texts, strict=True)
        )

    def _text(self, value: e.Expr) -> str:
        """A multiple of sides as a fraction of them, and what is added; others as they are."""
        terms, constant = e.split(value)
        if len(terms) > 1:
            return show(value)
        ((term, factor),) = terms.items()
        factors = term.parts if isinstance(term, e.Mul) else (term,)
        if not all(isinstance(part, e.Var) for part in factors):
            return show(value)
        steps = prod(max(self.steps[part.parts[0]], 1) for part in factors)
        share = Fraction(factor, steps)
        text = "·".join(str(part.parts[1]).partition("/")[0] for part in factors)
        text = f"{share.numerator if share.numerator != 1 else ''}{text}"
        text += f"/{share.denominator}" if share.denominator != 1 else ""
        return text + (f" {'+' if constant > 0 else '-'} {abs(constant)}" if constant else "")
