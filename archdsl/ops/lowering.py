"""What an operator becomes in torch, as data: calls, and what stands for its inputs in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Shape = tuple[int, ...]


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED = _Required()


@dataclass(frozen=True, slots=True)
class Input:
    """Stands for the operator's n-th input among the arguments of a `Call`; `Input(None)`: the
    list of all inputs."""

    index: int | None = 0


@dataclass(frozen=True, slots=True)
class Name:
    """Stands for a Python expression of ours among the arguments of a `Call`, such as
    `self.training`; never text that a spec's author wrote."""

    text: str


@dataclass(frozen=True, slots=True)
class Sides:
    """Stands for the last `count` sides of the operator's n-th input."""

    index: int
    count: int


@dataclass(frozen=True, slots=True)
class Computed:
    """Stands for a number that the module computes from sides of its values, by `ir.expr`."""

    expr: Any


#: the size of an operator that takes it from another value, its second input
LIKE: Shape = ()
X = Input(0)
TRAINING = Name("self.training")


@dataclass(frozen=True, slots=True)
class Call:
    """A call as data: `target(*args, **kwargs)`. An infix target (`+`) joins its arguments; a
    single one stands for itself. A target without a dot is defined in the operator's `support`.

    Values are ints, floats, bools, strings, None, tuples of these, `Input` and `Name`; the printer
    writes them as literals, so that nothing in a spec can become code.
    """

    target: str
    args: tuple[Any, ...] = ()
    kwargs: tuple[tuple[str, Any], ...] = ()
    #: every keyword, those left out for being torch's default too
    full: tuple[tuple[str, Any], ...] = field(default=(), compare=False)
    #: which of the results, where there are several
    item: int | None = None

    @property
    def infix(self) -> bool:
        return not self.target[:1].isalpha() and self.target != ""

    @property
    def itself(self) -> bool:
        """Whether it stands for its only argument."""
        return self.infix and len(self.args) == 1


def call(target: str, *args: Any, **kwargs: tuple[Any, Any] | Any) -> Call:
    """A `Call`; a keyword given as `(value, default)` is left out where the two are equal.

    A value that is itself a tuple must therefore be given as `(value, default)` too.
    """
    kept, full = [], []
    for name, value in kwargs.items():
        value, default = value if isinstance(value, tuple) else (value, REQUIRED)
        full.append((name, value))
        if value != default or type(value) is not type(default):
            kept.append((name, value))
    return Call(target, args, tuple(kept), tuple(full))
