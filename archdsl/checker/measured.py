"""Whole numbers that follow from the sides of values, so that the module computes them anew for
each size.

A `Measured` is the number for the declared size, with the expression that made it. Arithmetic that
a module can do too keeps the expression; whatever else uses the number is right for this size
alone, and fixes the sides that it came from (`Evaluator` sees to that).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from archdsl.ir import expr as e
from archdsl.ir.expr import Expr
from archdsl.ops.types import is_int

Side = tuple[Any, int]  # a value of the walk, and the place in the shape of its sample


class Measured(int):
    """`expr`: over a `Var` for each `Side`."""

    expr: Expr

    def __new__(cls, number: int, expr: Expr) -> Measured:
        made = super().__new__(cls, number)
        made.expr = expr
        return made


def side_of_value(value: Any, place: int, number: int) -> Measured:
    """The side of a value."""
    return Measured(number, e.Var((value, place), ""))


def expr_of(number: int) -> int | Expr:
    return number.expr if isinstance(number, Measured) else int(number)


def computed(op: str, left: Any, right: Any) -> Any:
    """The result with its expression; None where a module would not compute it."""
    measured = isinstance(left, Measured) or isinstance(right, Measured)
    if not measured or not is_int(left) or not is_int(right):
        return None
    one, other = expr_of(left), expr_of(right)
    match op:
        case "+" | "-":
            made = e.add(one, other, 1 if op == "+" else -1)
        case "*":
            made = e.mul(one, other)
        case "//" | "%" if isinstance(other, int) and other > 0:
            made = e.div(one, other) if op == "//" else e.mod(one, other)
        case _:
            return None
    number = _AT[op](int(left), int(right))
    return number if isinstance(made, int) else Measured(number, made)


_AT: dict[str, Callable[[int, int], int]] = {
    "+": int.__add__,
    "-": int.__sub__,
    "*": int.__mul__,
    "//": int.__floordiv__,
    "%": int.__mod__,
}


def measures(value: Any) -> Iterator[Measured]:
    """The measured numbers in a value."""
    if isinstance(value, Measured):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from measures(part)


def plain(value: Any) -> Any:
    """The value without its expressions."""
    if isinstance(value, Measured):
        return int(value)
    return tuple(map(plain, value)) if isinstance(value, tuple) else value


def exprs(value: Any) -> Any:
    """The value with an expression in the place of each measured number."""
    if isinstance(value, Measured):
        return value.expr
    return tuple(map(exprs, value)) if isinstance(value, tuple) else value
