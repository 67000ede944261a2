"""A call of torch that was seen in a running module: what an operator is lifted from.

The inverse of `Call`: an operator's class says how it is lowered, and beside it how it is lifted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from archdsl.ops.types import Bool, Float, Floats, Int, Ints, Size, Type, is_int

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """Stands for the batch's size among the arguments of a call: `times` that size."""

    times: int = 1


@dataclass(frozen=True, slots=True)
class Tensor:
    """Stands for a tensor among the arguments of a call: its input of this number."""

    index: int


@dataclass(frozen=True)
class Seen:
    """`name`: the class (`nn.Conv2d`, else with its module) or function (`relu`, a method too).

    `args`: what torch calls its arguments, with their values; those of a module are its attributes.
    `inputs`: the shapes of the tensors that came in, without the batch; `output`: of the one that
    came out (number `place` of several). `maker`: what made an input, if that is a call too.
    `sources`: which value each input is, to tell whether two are the same.
    """

    name: str
    args: Mapping[str, Any]
    inputs: tuple[Shape, ...]
    output: Shape = ()
    place: int = 0
    sources: tuple[Any, ...] = ()
    batched: bool = True  # what came out has a batch
    broadcast: bool = False  # all that read it repeat it as often as is needed
    maker: Callable[[int], Seen | None] = field(default=lambda _: None, repr=False)

    def tensor(self, name: str) -> Shape | None:
        """The shape of an argument that is a tensor, such as a weight."""
        given = self.args.get(name)
        return self.inputs[given.index] if isinstance(given, Tensor) else None


class NoField(Exception):
    """A value of torch's is no value of an argument's type."""


def as_field(kind: Type, value: Any) -> Any:
    """What torch was given, as an operator holds it. Raises `NoField`."""
    if isinstance(value, Tensor) and isinstance(kind, Bool):
        return True
    if isinstance(value, (Batch, Tensor)):
        raise NoField
    match kind:
        case Bool():  # a bias, too, is a tensor or none
            return value is not None and value is not False
        case Size() if not isinstance(value, str):
            sides = tuple(value) if isinstance(value, (tuple, list)) else (value,)
            value = sides[:1] if len(set(sides)) == 1 else sides
        case Ints() | Floats() if isinstance(value, (tuple, list)):
            value = tuple(value)
        case Float() if isinstance(value, int):
            value = float(value)
        case Int() if not is_int(value):
            raise NoField
    if not kind.accepts(value):
        raise NoField
    return kind.convert(value)
