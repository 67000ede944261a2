"""The program: a tree of scopes with typed, shape-checked operators. What elaboration produces and
every backend reads.

A `Graph` is one scope of the state_dict's names. Inside it values are numbered: first its inputs,
then what each item computes, in the order of the items (which is the order of execution). Shapes
leave the batch out. Everything is immutable; graphs of equal calls are shared (`is`), so walks may
cache by identity.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from archdsl.diagnostics.source import Span
from archdsl.ir.expr import Cond, Expr, Var, substituted
from archdsl.ops.init import Rule
from archdsl.ops.table import Call, Computed, Op, Shape, Weight

if TYPE_CHECKING:
    from archdsl.sizes import InputSizes


@dataclass(frozen=True, eq=False)
class Node:
    """One operator applied to values of its graph.

    `name`: its key in the scope; a label, or a position ("0", "1", ...) that torch's Sequential
    would give; None for a join, which is no module. `labelled`: a person named it. `free`: the
    operator's arguments that are a parameter of the model, and which. `shares`: its module is that
    of the item of this name before it. `follows`: the arguments that are computed from sides of the
    graph's values, and how: numbers over `side(value, place)`.
    """

    name: str | None
    labelled: bool
    op: Op
    inputs: tuple[int, ...]
    input_shapes: tuple[Shape, ...]
    shape: Shape
    span: Span
    training_only: bool = False
    free: tuple[tuple[str, str], ...] = ()
    shares: bool = False
    follows: tuple[tuple[str, Any], ...] = ()

    @cached_property
    def lowered(self) -> Op:
        """The operator as its call is made: with what follows from sides in its place."""
        return lowered(self.op, self.follows)

    @property
    def sides(self) -> set[tuple[int, int]]:
        """From which sides something follows: (value, place)."""
        return set(_sides(tuple(value for _, value in self.follows)))

    @property
    def weights(self) -> tuple[Weight, ...]:
        return self.op.weights(*self.input_shapes)

    @property
    def params(self) -> int:
        """How many numbers it learns, beside those of a module that it shares."""
        if self.shares:
            return 0
        return sum(weight.size for weight in self.weights if not weight.buffer)

    @property
    def macs(self) -> int:
        return self.op.macs(*self.input_shapes)

    def function(self, *shapes: Shape) -> Call | None:
        """The function that computes it on inputs of these shapes; None: a module must."""
        module = self.name is not None and (self.labelled or self.weights)
        if module and len(self.inputs) == 1 and not self.follows:  # torch's take one tensor alone
            return None
        return self.lowered.function(*shapes) if self.follows else self.op.function(*shapes)

    @property
    def shapes(self) -> tuple[Shape, ...]:
        return (self.shape,)


@dataclass(frozen=True, eq=False)
class Scope:
    """A named part: a block call or a labelled group, applied to values of the graph around it.

    It yields one value for each of `graph.outputs` (more than one where a tap inside it is used
    outside).
    """

    name: str
    labelled: bool
    graph: Graph
    inputs: tuple[int, ...]
    span: Span
    training_only: bool = False
    shares: bool = False

    @property
    def shapes(self) -> tuple[Shape, ...]:
        return self.graph.output_shapes


@dataclass(frozen=True, eq=False)
class Param:
    """A learned parameter or a buffer that the scope itself owns.

    `shape` is torch's, the batch's dimension and all where it has one (`1x197x768`). Its value has
    no batch (`Graph.unbatched`).
    """

    name: str
    shape: Shape
    buffer: bool
    rule: Rule
    span: Span

    @property
    def shapes(self) -> tuple[Shape, ...]:
        return (self.shape,)

    @property
    def inputs(self) -> tuple[int, ...]:
        return ()


Item = Node | Scope | Param


@dataclass(frozen=True, eq=False)
class Init:
    """One `init` rule, as it applies to the graph that holds it (a block's own, or the model's).

    `kind`: the name of an operator, or None where `path` names one layer, relative to the graph.
    `param`: which of the layer's parameters. `rule` may hold `Attribute` values, which stand for
    the torch layer's attributes.
    """

    kind: str | None
    path: str | None
    param: str
    rule: Rule
    span: Span


@dataclass(frozen=True, eq=False)
class Graph:
    """A scope's contents.

    `block`: the name of the block or model whose call this is, None for a labelled group.
    `args`: the block's parameters with their values (ints, floats, strings, tuples, `Callable`s).
    `declared`: the items' indices in the order of their declaration, which is the order of
    construction and of the state_dict; it differs from the order of execution where an aux head is
    declared after its tap. Items that share a module are not among them.
    `reads`: the sides of its first input that its text computes with (`in.h`): what was computed is
    right for these alone.
    `fixed`: as `reads`, the sides of other values: (value, place in its sample's shape).
    `lets`: the names that its text gives to numbers, each with its only value.
    `input_names`: of its inputs behind the first, where it is a block that names them.
    `taps`: the names that its text gives to values, each with the last.
    `bare`: which inputs come in without a batch: parameters of a scope around a labelled group,
    never its first.
    """

    block: str | None
    args: tuple[tuple[str, Any], ...]
    input_shapes: tuple[Shape, ...]
    items: tuple[Item, ...]
    declared: tuple[int, ...]
    outputs: tuple[int, ...]
    output_shapes: tuple[Shape, ...]
    inits: tuple[Init, ...]
    span: Span
    bare: frozenset[int] = frozenset()
    reads: tuple[int, ...] = ()
    fixed: tuple[tuple[int, int], ...] = ()
    lets: tuple[tuple[str, int | float], ...] = ()
    taps: tuple[tuple[str, int], ...] = ()
    input_names: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Graph {self.block or ''} of {len(self.items)} items>"

    @cached_property
    def unbatched(self) -> frozenset[int]:
        """The values that are parameters and have torch's shape, where all others leave the batch
        out. A join that broadcasts takes them as they are, beside a value that has a batch. All
        others take a batch of equal ones: there a parameter has a leading 1, in its place."""
        found = set(self.bare)
        for value, (item, place) in self.sources.items():
            inner = item.graph if isinstance(item, Scope) else None
            if isinstance(item, Param) or (inner and inner.outputs[place] in inner.unbatched):
                found.add(value)
        return frozenset(found)

    def expanded(self, item: Item) -> tuple[bool, ...]:
        """For each of an item's inputs, whether it is a parameter that must get a batch."""
        if isinstance(item, Scope):
            bare = item.graph.bare
            return tuple(
                v in self.unbatched and place not in bare for place, v in enumerate(item.inputs)
            )
        loose = [v in self.unbatched for v in item.inputs]
        if isinstance(item, Node) and item.op.broadcasts and not all(loose):
            return (False,) * len(loose)
        return tuple(loose)

    @cached_property
    def shared(self) -> frozenset[str | None]:
        """The names of the modules that several items run."""
        return frozenset(item.name for item in self.items if getattr(item, "shares", False))

    @cached_property
    def sources(self) -> dict[int, tuple[Item, int]]:
        """Which item computes each value, and as which of its outputs; inputs are no key."""
        made = ((item, number) for item in self.items for number in range(len(item.shapes)))
        return dict(enumerate(made, len(self.input_shapes)))

    @cached_property
    def value_shapes(self) -> tuple[Shape, ...]:
        """By number; those of parameters are torch's."""
        made = (shape for item in self.items for shape in item.shapes)
        return (*self.input_shapes, *made)

    @cached_property
    def uses(self) -> dict[int, int]:
        """How often each value is used."""
        found = dict.fromkeys(self.outputs, 1)
        for item in self.items:
            for value in item.inputs:
                found[value] = found.get(value, 0) + 1
        return found

    @cached_property
    def sizes(self) -> Sizes:
        """Totals of everything inside."""
        total = Sizes()
        for item in self.items:
            if isinstance(item, Scope):
                part = item.graph.sizes
                if item.shares:
                    part = Sizes(part.nodes, 0, part.macs, part.training_macs)
            elif isinstance(item, Param):
                part = Sizes(0, 0, 0, 0) if item.buffer else Sizes(0, _prod(item.shape), 0, 0)
            else:
                part = Sizes(1, item.params, item.macs, 0)
            if item_training_only(item):
                part = Sizes(part.nodes, part.params, 0, part.macs + part.training_macs)
            total += part
        return total


def side(value: int, place: int) -> Expr:
    """A side of a graph's value."""
    made: Expr = Var((value, place), f"{value}.{place}")
    return made


def renumbered(value: Any, numbers: Mapping[int, int]) -> Any:
    """What follows from sides, with other numbers for the values."""
    if isinstance(value, tuple):
        return tuple(renumbered(part, numbers) for part in value)
    if not isinstance(value, Expr):
        return value
    return substituted(value, {side(v, p): side(numbers[v], p) for v, p in value.axes})


def lowered(op: Op, follows: Iterable[tuple[str, Any]]) -> Op:
    """An operator with what its call computes in the place of numbers."""
    return op.replace(**{key: _computed(value) for key, value in follows})


def _sides(value: Any) -> Iterator[tuple[int, int]]:
    if isinstance(value, tuple):
        for part in value:
            yield from _sides(part)
    elif isinstance(value, Expr):
        yield from value.axes


def _computed(value: Any) -> Any:
    """A following argument as a call has it."""
    if isinstance(value, tuple):
        return tuple(map(_computed, value))
    return Computed(value) if isinstance(value, Expr) else value


def item_training_only(item: Item) -> bool:
    return not isinstance(item, Param) and item.training_only


def _prod(shape: Shape) -> int:
    product = 1
    for side in shape:
        product *= side
    return product


@dataclass(frozen=True, slots=True)
class Sizes:
    """Operators, learned parameters, multiply-accumulates a sample in evaluation, and those of the
    parts that run in training alone (aux heads)."""

    nodes: int = 0
    params: int = 0
    macs: int = 0
    training_macs: int = 0

    def __add__(self, other: Sizes) -> Sizes:
        return Sizes(
            self.nodes + other.nodes,
            self.params + other.params,
            self.macs + other.macs,
            self.training_macs + other.training_macs,
        )


@dataclass(frozen=True, slots=True)
class Promise:
    """Which sizes may come in, as the text says behind `where`: a condition over the sides."""

    cond: bool | Cond
    span: Span


@dataclass(frozen=True, eq=False)
class Program:
    """A checked model: the root graph and what the model's text says beyond it.

    `outputs`: the names and value numbers of the outputs, in order; a model without `output` has
    one, named "output". `aux`: the same for the train-only outputs. `settable`: the parameters that
    may have another value in the same graph (`checker/settable.py`), with their values.
    `promise`: the condition behind the input's `where`. `whole`: the places of the inputs whose
    numbers are whole.
    """

    name: str
    graph: Graph
    outputs: tuple[tuple[str, int], ...]
    aux: tuple[tuple[str, int], ...]
    text: str = field(repr=False)
    settable: tuple[tuple[str, int | float], ...] = ()
    promise: Promise | None = None
    whole: frozenset[int] = frozenset()
    #: what a notebook shows: the picture, which the API puts here
    _repr_mimebundle_: ClassVar[Any] = None

    def __repr__(self) -> str:
        return f"<Program {self.name}: {self.params:,} parameters, {self.macs:,} MACs>"

    @property
    def input_shape(self) -> Shape:
        """Of the first input."""
        return self.graph.input_shapes[0]

    @property
    def inputs(self) -> dict[str, Shape]:
        """The shapes of the inputs by their names; one without a name is called "input"."""
        shapes = self.graph.input_shapes
        names = self.graph.input_names or ("input",)
        return dict(zip(names, shapes, strict=True))

    @cached_property
    def values(self) -> tuple[Shape, ...]:
        """The root graph's values' shapes without the batch, by number."""
        loose = self.graph.unbatched
        shapes = enumerate(self.graph.value_shapes)
        return tuple(shape[1:] if value in loose else shape for value, shape in shapes)

    @property
    def output_shapes(self) -> dict[str, Shape]:
        return {name: self.values[value] for name, value in self.outputs}

    @property
    def params(self) -> int:
        """Learned parameters, aux heads included."""
        return self.graph.sizes.params

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one sample in evaluation mode."""
        return self.graph.sizes.macs

    @cached_property
    def sizes(self) -> InputSizes:
        """Which sizes of the input its module takes."""
        from archdsl.sizes import InputSizes  # upwards, but only there

        return InputSizes.of(self)

    def walk(self) -> Iterator[tuple[str, Item]]:
        """Every item with its full dotted name, in order of execution; a join's is its scope's."""
        return _walk(self.graph, "")

    def state(self) -> Iterator[tuple[str, Weight]]:
        """The state_dict's entries, in torch's order: a scope's own parameters, its own buffers,
        then its children in the order of declaration."""
        return _state(self.graph, "")


def operand_shapes(op: Op, shapes: Sequence[Shape], unbatched: Sequence[bool]) -> tuple[Shape, ...]:
    """The shapes that an operator sees, which leave the batch out. Beside values with a batch, a
    parameter is aligned with them as torch does it: from the last dimension."""
    if not op.broadcasts or all(unbatched):
        return tuple(s[loose:] for s, loose in zip(shapes, unbatched, strict=True))
    rank = max(len(s) for s, loose in zip(shapes, unbatched, strict=True) if not loose)
    return tuple(
        _aligned(s, rank) if loose else s for s, loose in zip(shapes, unbatched, strict=True)
    )


def _aligned(shape: Shape, rank: int) -> Shape:
    if len(shape) == rank + 1 and shape[0] == 1:
        return shape[1:]
    return (1,) * (rank - len(shape)) + shape


def _walk(graph: Graph, prefix: str, shares: bool = False) -> Iterator[tuple[str, Item]]:
    for item in graph.items:
        if shares and isinstance(item, (Node, Scope)):
            item = replace(item, shares=True)
        name = prefix + item.name if item.name else prefix.rstrip(".")
        yield name, item
        if isinstance(item, Scope):
            yield from _walk(item.graph, name + ".", item.shares)


def _state(graph: Graph, prefix: str) -> Iterator[tuple[str, Weight]]:
    items = [graph.items[i] for i in graph.declared]
    own = [item for item in items if isinstance(item, Param)]
    for param in sorted(own, key=lambda p: p.buffer):
        yield prefix + param.name, Weight(param.name, param.shape, param.buffer)
    for item in items:
        if isinstance(item, Scope):
            yield from _state(item.graph, f"{prefix}{item.name}.")
        elif isinstance(item, Node):
            for weight in item.weights:
                yield f"{prefix}{item.name}.{weight.name}", weight
