"""What the source is made of, as data: expressions, the parts of a class, classes.

Text that a spec's author wrote enters only as a literal, or as a `Member`, which is an attribute
only where it is a plain identifier. Classes have no names, arguments and variables at first.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

#: the arguments that need no name where they come first: the channels that come in
CHANNELS, DIM = "in_channels", "dim"


@dataclass(frozen=True, slots=True)
class Lit:
    """A literal. Any two compare equal, so that trees compare equal where they differ only in
    literals: such trees share a class, and the literals become its constructor's arguments.

    `hint`: what to call it then. `silent`: torch's default, need not be written. `role`: torch's
    name for what is no number of channels, such as a stride: equal numbers may mean other things.
    `free`: the model's parameter that it is, and that whoever makes the model may set.
    """

    value: Any = field(compare=False)
    hint: str = field(compare=False, default="value")
    silent: bool = field(compare=False, default=False)
    role: str = field(compare=False, default="")
    free: str = field(compare=False, default="")


class Named(str):
    """A class of torch as the value of a literal: what it makes may be another's argument."""


@dataclass(frozen=True, slots=True)
class Code:
    """Python text of ours."""

    text: str


@dataclass(frozen=True, slots=True)
class Value:
    """A numbered value of the graph, before it has a variable."""

    number: int


@dataclass(frozen=True, slots=True)
class Member:
    """`self.name`."""

    name: str


@dataclass(frozen=True, slots=True)
class Attr:
    """`owner.name`, a name of ours."""

    owner: Expr
    name: str


@dataclass(frozen=True, slots=True)
class Apply:
    """`target(*args, **kwargs)`. `rows`: each argument in a line of its own where one line is too
    short (layers of a Sequential). `item`: which of the results, where there are several.
    `optional`: a layer that is not there where its class is None."""

    target: Expr
    args: tuple[Expr, ...] = ()
    kwargs: tuple[tuple[str, Expr], ...] = ()
    rows: bool = False
    item: int | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Make:
    """An instance of one of the source's own classes; `args` are in the order of its parameters,
    and None where the class takes no such argument after all."""

    cls: ClassDef
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Infix:
    operator: str
    operands: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Many:
    """`[a, b]`, or `(a, b)`."""

    items: tuple[Expr, ...]
    brackets: str = "[]"


@dataclass(frozen=True, slots=True)
class Repeat:
    """`*[item for _ in range(count)]`; not `spread`: the list itself."""

    item: Expr
    count: Expr
    spread: bool = True


@dataclass(frozen=True, slots=True)
class Maybe:
    """A layer of an nn.Sequential that only those instances have for which `flag` is set."""

    flag: Expr
    layer: Expr


Expr = Lit | Code | Value | Member | Attr | Apply | Make | Infix | Many | Repeat | Maybe
LEAVES = (Lit, Code, Value, Member)
Part = TypeVar("Part")


def rewrite(tree: Any, change: Callable[[Any], Any]) -> Any:
    """The tree (a dataclass or a tuple of such) with every leaf changed; leaves are visited in the
    order of evaluation."""
    if isinstance(tree, LEAVES):
        return change(tree)
    if isinstance(tree, tuple):
        return tuple([rewrite(part, change) for part in tree])
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        parts = [rewrite(getattr(tree, f.name), change) for f in dataclasses.fields(tree)]
        return type(tree)(*parts)
    return tree


def found(tree: Any, kind: type[Part]) -> list[Part]:
    """The parts of one kind, in the order of evaluation."""
    parts: list[Part] = []

    def visit(tree: Any) -> None:
        if isinstance(tree, kind):
            parts.append(tree)
        if isinstance(tree, tuple):
            for part in tree:
                visit(part)
        elif dataclasses.is_dataclass(tree):
            for f in dataclasses.fields(tree):
                visit(getattr(tree, f.name))

    visit(tree)
    return parts


# ---- the parts of a class -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Child:
    """`self.name = expr`, a submodule. `flag`: only those instances have it for which it is set."""

    name: str
    expr: Expr
    flag: Expr | None = None


@dataclass(frozen=True, slots=True)
class Own:
    """`self.name = nn.Parameter(tensor)`, or a buffer, and the rule that fills it."""

    name: str
    buffer: bool
    tensor: Expr
    rule: Expr | None


@dataclass(frozen=True, slots=True)
class Step:
    """One call of the forward. `results`: the values it yields. `label`: a person's name for it."""

    expr: Expr
    results: tuple[int, ...]
    label: str | None
    scope: bool
    join: bool
    nonlinear: bool
    training_only: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """Steps that only those instances take for which `flag` is set (`yes`), and those of the others
    (`no`). `results`: the values that leave it; `taken`, `otherwise`: what each is then."""

    flag: Expr
    yes: tuple[Step, ...]
    no: tuple[Step, ...]
    results: tuple[int, ...]
    taken: tuple[Expr, ...]
    otherwise: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Body:
    """`layers`: the arguments of nn.Sequential, where all parts are numbered; else `members`, in
    the order of construction.

    The forward, but where nn.Sequential has it: `steps`, which compute values from `inputs`
    numbered ones, and `outputs`; those at `absent` are None in evaluation.
    """

    layers: tuple[Expr, ...] | None
    members: tuple[Child | Own | Loop, ...]
    steps: tuple[Step | Choice, ...]
    inputs: int
    outputs: tuple[Expr, ...]
    absent: tuple[int, ...]
    inits: tuple[Branch, ...]
    #: of the inputs behind the first, where a person named them
    input_names: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Loop:
    """`count` parts, called `name` and a number from `first`; `item`: how to build the one with the
    number `i`, counted from 0."""

    name: str
    first: int
    item: Expr
    count: Expr


@dataclass(frozen=True, slots=True)
class Fill:
    """One parameter's rule. `optional`: some of the layers do not have that parameter."""

    param: str
    optional: bool
    call: Expr


@dataclass(frozen=True, slots=True)
class Branch:
    """`if test: fills`, for a layer called `m`."""

    test: str
    fills: tuple[Fill, ...]


# ---- classes ------------------------------------------------------------------------------------


@dataclass
class Parameter:
    """A constructor's argument. `default`: what torch takes where nothing is said, a `Lit`.
    `stored`: the forward reads it, as an attribute. `role`: its literals'."""

    name: str
    type: str
    default: Lit | None
    stored: bool
    role: str

    @property
    def plain(self) -> bool:
        """Whether it needs no name where it comes first: the channels that come in."""
        return self.name in (CHANNELS, DIM)


class ClassDef:
    """A class of the source. `family`: the name of the block, or of a group's label without its
    number; `label`: that label, where all of the class's instances have the same."""

    def __init__(self, family: str, body: Body, label: str = "") -> None:
        self.family, self.body, self.label = family, body, label
        self.parameters: list[Parameter] = []
        #: the block's parameters and names for numbers that are the same in all instances
        self.given: dict[str, Any] = {}
        self.name = ""

    def arguments(self, args: Sequence[Expr]) -> Iterator[tuple[str, Expr]]:
        """The arguments of a call: those without a name stand first, and none is left out there."""
        first = True
        for parameter, arg in zip(self.parameters, args, strict=True):
            given = not (isinstance(arg, Lit) and arg.silent)
            first = first and given and parameter.plain
            if given:
                yield ("" if first else f"{parameter.name}="), arg
