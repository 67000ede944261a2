"""What a spec's text is made of, between graphs and text: a body is a list of pieces.

Pieces are changed in place while the text is found: labels and taps get names, what differs between
two modules of one class becomes an expression of the block's parameters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from archdsl.importer.capture import Value
from archdsl.ops.join import Add
from archdsl.ops.table import Op, Shape

Body = list["Piece"]


@dataclass(frozen=True)
class Expr:
    """The text of an expression, in the place of a value."""

    text: str


@dataclass(eq=False)
class Piece:
    """`names`: the path of the module from the scope that the piece stands in; empty for what is no
    module. `label`: what is written before it. `value`: what it gives."""

    names: tuple[str, ...] = ()
    label: str | None = None
    value: Value | None = None
    positional: bool = False  # its position gives it its name
    aux: Use | None = None  # it runs in training alone, on this value


@dataclass(eq=False)
class Step(Piece):
    """An operator: `args` are its fields that are not default. `rank`: of the space it works on."""

    op: Op = field(default_factory=Op)
    args: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[Shape, ...] = ()
    stateful: bool = False
    path: str = ""


@dataclass(eq=False)
class Scope(Piece):
    """A module's own body. `cls`: its class, where it may become a block."""

    body: Body = field(default_factory=list)
    module: nn.Module | None = None
    path: str = ""
    source: Value | None = None
    alone: bool = False  # one value goes in, one comes out
    declare: tuple[str, ...] = ()


@dataclass(eq=False)
class Use(Piece):
    """`@name`: an earlier value, a parameter."""

    used: Value | None = None
    name: str = ""


@dataclass(eq=False)
class Tap(Piece):
    name: str = ""


@dataclass(eq=False)
class Join(Piece):
    """Branches on the value that flows; an empty one is the value itself. `present`, `condition`:
    which modules have it, where the others have its longest branch alone."""

    op: Op = field(default_factory=Op)
    args: dict[str, Any] = field(default_factory=dict)
    branches: list[Body] = field(default_factory=list)
    present: tuple[bool, ...] = ()
    condition: str = ""
    exact: bool = False  # the order of the branches is kept, though the sum is the same
    inputs: tuple[Shape, ...] = ()

    @property
    def sorts(self) -> bool:
        """Whether its branches may stand in another order."""
        return self.op.broadcasts and not self.op.ordered and not self.exact

    @property
    def residual(self) -> bool:
        """Whether it is written so: one of two branches is what flows in, of the same shape."""
        if not isinstance(self.op, Add) or len(self.branches) != 2 or len(set(self.inputs)) > 1:
            return False
        first, second = self.branches
        main = first or second
        plain = bool(main) and not isinstance(main[0], (Use, Tap))
        return plain and not (first and second) and bool(first or not self.exact)

    @property
    def with_taps(self) -> bool:
        """Whether it is what flows in with tapped values, `add @a @b`."""
        first, *others = self.branches
        return not first and all(len(b) == 1 and isinstance(b[0], Use) for b in others)


@dataclass(eq=False)
class Param(Piece):
    """A parameter or buffer of the scope."""

    shape: tuple[Any, ...] = ()
    buffer: bool = False
    rule: str = "zeros"


@dataclass(eq=False)
class BlockCall(Piece):
    """A call of a block that several modules share."""

    block: str = ""
    args: dict[str, Any] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)  # None: an argument is required
    times: Any = 1


@dataclass(eq=False)
class If(Piece):
    """What some of a block's calls have; `otherwise` for the others."""

    condition: str = ""
    body: Body = field(default_factory=list)
    otherwise: Body = field(default_factory=list)


@dataclass(eq=False)
class Repeat(Piece):
    """A run of equal bodies, whose labels count: `variable` is 0 in the first."""

    count: Any = 1
    variable: str | None = None
    body: Body = field(default_factory=list)


@dataclass(eq=False)
class For(Piece):
    """A run of bodies that differ in one value."""

    variable: str = ""
    items: list[Any] = field(default_factory=list)
    body: Body = field(default_factory=list)


@dataclass(eq=False)
class Output(Piece):
    """What the model gives, where that is more than the last value."""

    used: list[Use] = field(default_factory=list)


def bodies(piece: Piece) -> list[Body]:
    """The bodies inside a piece."""
    match piece:
        case Scope() | Repeat() | For():
            return [piece.body]
        case If():
            return [piece.body, piece.otherwise]
        case Join():
            return piece.branches
    return []


def walk(body: Body) -> Iterator[Piece]:
    """All pieces, those inside too."""
    for piece in body:
        yield piece
        if piece.aux is not None:
            yield piece.aux
        if isinstance(piece, Output):
            yield from piece.used
        for inner in bodies(piece):
            yield from walk(inner)


def same_scope(body: Body) -> Iterator[Piece]:
    """The pieces that are named in the same scope, in the order of the text."""
    for piece in body:
        yield piece
        if not isinstance(piece, Scope):
            for inner in bodies(piece):
                yield from same_scope(inner)
