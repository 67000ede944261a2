"""What an expression sees of the values around it, and what their sides are called."""

from __future__ import annotations

from typing import Any, Protocol

from archdsl.checker.problem import Problem
from archdsl.diagnostics.catalogue import values as e
from archdsl.syntax import tree as t
from archdsl.syntax.language import SIDES
from archdsl.text import shape_text


class Seen(Protocol):
    """A value that flows."""

    @property
    def sample(self) -> tuple[int, ...] | None: ...


class Sight(Protocol):
    """What an expression sees of the values around it."""

    def value_of(self, use: t.TapUse) -> Seen: ...

    def entered(self) -> Seen | None:
        """The block; None: what should enter is in error."""
        ...

    def fix(self, owner: Any, place: int) -> None:
        """This side of a value can be no other from now on."""
        ...

    def given(self, use: t.TapUse) -> bool:
        """Whether the block got this value, which it need not get."""
        ...

    def here(self) -> Seen:
        """What flows at this place."""
        ...


def sample(value: Seen) -> tuple[int, ...]:
    if value.sample is None:
        raise Problem(None)  # it is reported where it went wrong
    return value.sample


#: the place of each side, counted from the last dimension, and the dimensions that there must be
SIDE = {"w": (-1, 3), "h": (-2, 3), "d": (-3, 4), "l": (-1, 2)}


def side_of(name: str, shape: tuple[int, ...], expr: t.Expr) -> int:
    """Which dimension of a shape has this name; the channels stand first."""
    if name == "c" and shape:
        return 0
    if name not in SIDE:
        raise Problem(e.NoSide(expr.span, name, expr.span.text.rpartition(".")[0]))
    place, least = SIDE[name]
    if len(shape) < least or (name == "l" and len(shape) != least):
        side = SIDES[name].partition(" ")[0]
        raise Problem(e.SideMissing(expr.span, shape_text(shape), side))
    return len(shape) + place
