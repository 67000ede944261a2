"""A program fed with another size: what must hold for each of its steps.

In: a program, whose module has been made for the declared size, and the shape that comes in, which
may hold sides that are not known. Out: the shapes of its outputs, and the `Demand`s: for each step
the condition under which it does for this input what it would do in a module made for it. That is:

- what the operator's own shape rule asks for;
- the weights have the shapes that the rule gives for this input;
- the call that the module makes holds no number that would be another;
- the sides that a block's text computes with (`in.h`) are those it was compiled for: the module
  refuses others, and the text could come to another structure.

What runs in training alone is left aside, and so are the text's assertions of shapes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from archdsl.diagnostics.source import Span
from archdsl.ir import expr as e
from archdsl.ir.expr import Cond
from archdsl.ir.graph import Graph, Item, Node, Param, Program, Scope, operand_shapes, side
from archdsl.ops.table import Blame, Op, Shape
from archdsl.sizes.track import Defeat, Known, Outcome, explore
from archdsl.sizes.track import side as tracked_side
from archdsl.text import shape_text

Dims = tuple[Any, ...]  # ints and expressions
LONGEST = 60  # of a step's text


@dataclass(frozen=True)
class Cause:
    """A step of the spec that asks for something, with the calls that lead to it, the outermost
    first. `told`: what is wrong for these inputs; empty: nothing."""

    span: Span
    calls: tuple[Span, ...]
    inputs: tuple[Dims, ...]
    told: Callable[[tuple[Shape, ...]], str]
    step: str = ""

    def __str__(self) -> str:
        """The step, in a line."""
        return self.step or shortened(self.span.text)

    @property
    def spans(self) -> tuple[Span, ...]:
        """Of the step, and of the calls that lead there, from the inside."""
        return (self.span, *reversed(self.calls))

    @property
    def message(self) -> str:
        """What is wrong, where all sizes are known."""
        return self.why(e.At(()))

    def why(self, here: e.At) -> str:
        """What the step says at a place."""
        return self.told(tuple(tuple(map(here, dims)) for dims in self.inputs))


class Varying:
    """For each graph of a program the sides of its first input that may come in otherwise, as far
    as the layers before let other sizes pass."""

    def __init__(self, program: Program) -> None:
        self.program = program

    def __call__(self, graph: Graph) -> set[int]:
        return self._walk.varying.get(graph, set())

    def loose(self, graph: Graph) -> set[tuple[int, int]]:
        """Of the sides that something follows from, those that may be others: (value, place)."""
        return self._walk.loose.get(graph, set())

    @cached_property
    def _walk(self) -> Walk:
        shapes = self.program.graph.input_shapes
        first, *others = (
            tuple(e.Var((number, place), "n") for place in range(len(shape)))
            for number, shape in enumerate(shapes)
        )
        here = {(i, place): n for i, shape in enumerate(shapes) for place, n in enumerate(shape)}
        walk = Walk(self.program, e.At(here))
        walk(first, others)
        return walk


class _Refused(Exception):
    """A step takes nothing."""


@dataclass(frozen=True)
class Demand:
    """A condition that never changes its mind: all of a step's are one."""

    cond: Cond
    cause: Cause


class Walk:
    """`demands`: in the order of execution; each is taken for given by those behind it. `fast`:
    ends at the first step that refuses."""

    def __init__(self, program: Program, declared: e.At, fast: bool = False) -> None:
        self.known = Known(declared)
        self.fast = fast
        self.demands: list[Demand] = []
        self.refused: Cause | None = None  # a step that takes nothing
        self.varying: dict[Graph, set[int]] = {}  # the sides of first inputs that are not known
        self.loose: dict[Graph, set[tuple[int, int]]] = {}  # those that are read or followed
        self.seen: dict[Any, list[Dims]] = {}
        self._rules: dict[Any, Outcome] = {}
        self.program = program

    def __call__(self, entering: Dims, others: list[Dims] | None = None) -> list[Dims]:
        """The shapes of the program's outputs. `others`: what comes in behind the first."""
        graph, wanted = self.program.graph, [value for _, value in self.program.outputs]
        try:
            inputs = self._entering(entering) if others is None else [entering, *others]
            values = self._graph(graph, inputs, ())
        except _Refused:
            return []
        return [values[v][v in graph.unbatched :] for v in wanted]

    def _entering(self, first: Dims) -> list[Dims]:
        """Inputs of the first one's size have it always."""
        shapes = self.program.graph.input_shapes
        return [
            (shape[0], *first[1:]) if place and shape[1:] == shapes[0][1:] else dims
            for place, (shape, dims) in enumerate(zip(shapes, (first, *shapes[1:]), strict=True))
        ]

    def _graph(self, graph: Graph, inputs: list[Dims], calls: tuple[Span, ...]) -> list[Dims]:
        """The shapes of the graph's values."""
        key = graph, tuple(inputs)
        if key in self.seen:
            return self.seen[key]
        first = inputs[0]
        unknown = (place for place, n in enumerate(first) if not isinstance(n, int))
        self.varying.setdefault(graph, set()).update(unknown)
        for place in graph.reads:
            wanted = graph.input_shapes[0][place]
            told = _Reads(place, wanted, _side(place, len(first)))
            step = f"{told.name} in {graph.block}"
            cause = Cause(graph.span, calls, (first,), told, step)
            holds = e.equal(first[place], wanted)
            self._ask(holds, cause)
            if self.fast and holds is False:
                raise _Refused
        values = [tuple(map(self.known.side, dims)) for dims in inputs]
        for number in range(len(values)):
            self._fixed(graph, number, values[number], calls)
        for item in graph.items:
            before = len(values)
            if isinstance(item, Param):
                values.append(item.shape)
            elif item.training_only:  # nothing else reads it
                values += item.shapes
            else:
                loose = [v in graph.unbatched for v in item.inputs]
                given = [values[v] for v in item.inputs]
                values += self._item(item, given, loose, calls, _Sides(graph, values))
            for number in range(before, len(values)):
                self._fixed(graph, number, values[number], calls)
        self.seen[key] = values
        return values

    def _fixed(self, graph: Graph, number: int, dims: Dims, calls: tuple[Span, ...]) -> None:
        """The sides of a value that the text computes with."""
        sample = dims[number in graph.unbatched :]
        declared = graph.value_shapes[number][number in graph.unbatched :]
        for place in (place for value, place in graph.fixed if value == number):
            if not isinstance(sample[place], int):
                self.loose.setdefault(graph, set()).add((number, place))
            told = _Reads(place, declared[place], f"side {place} of a value")
            span = graph.sources[number][0].span if number in graph.sources else graph.span
            holds = e.equal(sample[place], declared[place])
            self._ask(holds, Cause(span, calls, (sample,), told))
            if self.fast and holds is False:
                raise _Refused

    def _item(
        self,
        item: Item,
        given: list[Dims],
        loose: list[bool],
        calls: tuple[Span, ...],
        sides: _Sides,
    ) -> list[Dims]:
        if isinstance(item, Scope):
            graph = item.graph
            inner = [
                dims[is_loose and place not in graph.bare :]
                for place, (dims, is_loose) in enumerate(zip(given, loose, strict=True))
            ]
            values = self._graph(graph, inner, (*calls, item.span))
            return [values[v] for v in graph.outputs]
        assert isinstance(item, Node)
        seen = cast("tuple[Dims, ...]", operand_shapes(item.op, given, loose))
        follows = tuple((field, sides.of(value)) for field, value in item.follows)
        if varying := {side for side in item.sides if not isinstance(sides(*side), int)}:
            self.loose.setdefault(sides.graph, set()).update(varying)
        numbers = tuple(number for _, value in follows for number in _flat(value))
        cause = Cause(item.span, calls, (*seen, numbers), _Refuses(item))
        outcome = self._rule(item, (*seen, numbers))
        self._ask(outcome.holds, cause)
        if outcome.holds is False:
            if self.fast:
                raise _Refused
            return [item.shape]
        return [tuple(map(self.known.side, outcome.numbers))]

    def _rule(self, node: Node, seen: tuple[Dims, ...]) -> Outcome:
        """The node's shape, and when it works as it is."""
        made = node.function(*node.input_shapes) is None
        key = node.op, node.follows, node.input_shapes, made, seen
        if key not in self._rules:
            self._rules[key] = self._explored(node, seen)
        return self._rules[key]

    def _explored(self, node: Node, seen: tuple[Dims, ...]) -> Outcome:
        if all(isinstance(n, int) for dims in seen for n in dims):
            if _Refuses(node)(seen):
                return Outcome(False, ())
            shapes, op = _with(node, seen)
            return Outcome(True, op.shape(*shapes))
        tracked = [tuple(map(tracked_side, dims)) for dims in seen]
        try:
            return explore(lambda: _Works(node)(*tracked), Blame, self.known)
        except (Defeat, TypeError, AttributeError):  # what a side cannot do
            return _opaque(node, seen)

    def _ask(self, cond: bool | Cond, cause: Cause) -> None:
        parts = e.conjuncts(cond)
        if parts is None:
            self.refused = self.refused or cause
            return
        for part in parts:
            settled = self.known.settled(part)
            if settled is None:
                self.known.hold(part)
                self.demands.append(Demand(part, cause))
            elif not settled:
                self.refused = self.refused or cause


@dataclass(frozen=True, eq=False)
class _Works:
    """A node's shape rule, which refuses too where the node was made for other inputs."""

    node: Node

    def __call__(self, *seen: Dims) -> Dims:
        node = self.node
        shapes, op = _with(node, seen)
        result = op.shape(*shapes)
        if wrong := made_otherwise(node, shapes):
            raise Blame(None, wrong)
        return result


class _Sides:
    """The sides of a graph's values, as far as they are computed."""

    def __init__(self, graph: Graph, values: list[Dims]) -> None:
        self.graph, self.values = graph, values

    def __call__(self, value: int, place: int) -> Any:
        return self.values[value][place + (value in self.graph.unbatched)]

    def of(self, part: Any) -> Any:
        """An argument that follows, for what came in."""
        if isinstance(part, tuple):
            return tuple(map(self.of, part))
        sides = getattr(part, "axes", ())
        return e.substituted(part, {side(*where): self(*where) for where in sides})


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, tuple):
        for part in value:
            yield from _flat(part)
    else:
        yield value


def _with(node: Node, seen: Sequence[Dims]) -> tuple[tuple[Dims, ...], Op]:
    """What is behind the shapes of the inputs are the numbers that follow, for these."""
    *shapes, numbers = seen
    left = iter(numbers)

    def filled(value: Any) -> Any:
        return tuple(map(filled, value)) if isinstance(value, tuple) else next(left)

    values = {field: filled(value) for field, value in node.follows}
    for field, value in values.items():
        least = getattr(node.op.args[field].type, "min", -math.inf)
        if any(number < least for number in _flat(value)):
            raise Blame(field, f"`{field}` would be below {least}")
    return tuple(shapes), node.op.replace(**values) if values else node.op


def made_otherwise(node: Node, shapes: Sequence[Dims]) -> str:
    """What a module for these inputs would have that the node's has not."""
    for own, other in zip(node.weights, node.op.weights(*shapes), strict=True):
        if own.shape != other.shape:
            both = shape_text(own.shape), shape_text(other.shape)
            return f"its `{own.name}` is {both[0]}, and {both[1]} would be needed"
    if not node.op.binds:
        return ""
    declared, needed = _call(node, node.input_shapes), _call(node, shapes)
    for mine, others in zip(declared, needed, strict=True):
        if not _same(mine, others):
            return f"it was compiled with {_shown(mine)}, and {_shown(others)} would be needed"
    return ""


def _call(node: Node, shapes: Sequence[Dims]) -> tuple[Any, ...]:
    """The arguments of the call that the module makes, or of its part's constructor."""
    made = node.function(*shapes) or node.op.module(*shapes)
    return *made.args, *(value for _, value in made.full or made.kwargs)


def _same(mine: Any, other: Any) -> bool:
    if isinstance(mine, tuple) and isinstance(other, tuple) and len(mine) == len(other):
        return all(map(_same, mine, other))
    return bool(mine == other)


def _shown(value: Any) -> str:
    return shape_text(value) if isinstance(value, tuple) else str(value)


class _Refuses:
    """What a node says to inputs of known shapes."""

    def __init__(self, node: Node) -> None:
        self.node = node

    def __call__(self, seen: tuple[Shape, ...]) -> str:
        try:
            shapes, op = _with(self.node, seen)
            op.shape(*shapes)
        except Blame as blame:
            return blame.message
        return made_otherwise(self.node, shapes)


@dataclass(frozen=True)
class _Reads:
    """A block that computes with a side of what comes in."""

    place: int
    wanted: int
    name: str

    def __call__(self, shapes: tuple[Shape, ...]) -> str:
        if shapes[0][self.place] == self.wanted:
            return ""
        return (
            f"it computes with `{self.name}`, which was {self.wanted} when it was compiled and is "
            f"{shapes[0][self.place]} here"
        )


def _side(place: int, rank: int) -> str:
    """How a text calls it."""
    named = {rank - 2: "in.h", rank - 1: "in.w"} if rank > 2 else {}
    return named.get(place, f"in[{place}]")


def shortened(text: str) -> str:
    """The text of a step as far as it stands on one line."""
    line = " ".join(text.splitlines()[0].split()) if text.strip() else "a step"
    line += " ... }" if line.endswith("{") else ""
    return line if len(line) <= LONGEST else line[: LONGEST - 3] + "..."


@dataclass(frozen=True)
class _Opaque:
    """A rule that defeats the tracking: place by place, what it gives for these numbers."""

    node: Node
    ranks: tuple[int, ...]
    place: int | None  # of the output's sides; None: whether it gives any

    def __call__(self, *numbers: int) -> int:
        shapes, rest = [], numbers
        for rank in self.ranks:
            shapes.append(rest[:rank])
            rest = rest[rank:]
        works = all(side > 0 for dims in shapes[:-1] for side in dims) and not _Refuses(self.node)(
            tuple(shapes)
        )
        if self.place is None:
            return works
        if not works:
            return 1
        given, op = _with(self.node, tuple(shapes))
        return op.shape(*given)[self.place]


def _opaque(node: Node, seen: tuple[Dims, ...]) -> Outcome:
    ranks, flat = tuple(map(len, seen)), [n for dims in seen for n in dims]
    numbers = tuple(e.Call(_Opaque(node, ranks, place), *flat) for place in range(len(node.shape)))
    return Outcome(e.Holds(_Opaque(node, ranks, None), *flat), numbers)
