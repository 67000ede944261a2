"""Conditions on sides as plain lists, for the program's file: `["==", ["%", "H", 32], 0]`.

`as_data` writes them, `from_data` reads what somebody else may have written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from archdsl.ir import expr as e

DEEPEST = 200
_NUMBERS = {e.Mul: "*", e.Div: "//", e.Mod: "%", e.Pick: "if"}
_CONDITIONS = {e.Not: "not", e.All: "and", e.Case: "case"}


def as_data(part: Any) -> Any:
    """A number or condition."""
    if isinstance(part, int):  # true and false too
        return part
    match part:
        case e.Var():
            return part.parts[1]
        case e.Lin():
            terms = [[factor, as_data(term)] for term, factor in part.parts[0]]
            return ["+", part.parts[1], *terms]
        case e.Cmp():
            return [part.parts[0], as_data(part.parts[1]), 0]
    sign = _NUMBERS.get(type(part)) or _CONDITIONS[type(part)]
    return [sign, *map(as_data, part.parts)]


def from_data(data: Any, letters: tuple[str, ...]) -> bool | e.Cond:
    """Raises ValueError."""

    def side(name: str) -> e.Expr | None:
        return e.Var(letters.index(name), name) if name in letters else None

    return _Reader(side).condition(data, 0)


def number_from_data(data: Any, side: Callable[[str], e.Expr | None]) -> int | e.Expr:
    """`side`: the number that a name stands for. Raises ValueError."""
    return _Reader(side).number(data, 0)


class _Reader:
    def __init__(self, side: Callable[[str], e.Expr | None]) -> None:
        self.side = side

    def condition(self, data: Any, depth: int) -> bool | e.Cond:
        if isinstance(data, bool):
            return data
        sign, *rest = self._parts(data, depth)
        match sign, len(rest):
            case "and", _:
                return e.every([self.condition(part, depth + 1) for part in rest])
            case "not", 1:
                return e.negated(self.condition(rest[0], depth + 1))
            case "case", 3:
                return e.case(*(self.condition(part, depth + 1) for part in rest))
            case "==" | "<=", 2:
                one, other = (self.number(part, depth + 1) for part in rest)
                return (e.equal if sign == "==" else e.at_most)(one, other)
        raise ValueError(f"{sign!r} is no condition")

    def number(self, data: Any, depth: int) -> int | e.Expr:
        if isinstance(data, str) and (found := self.side(data)) is not None:
            return found
        if isinstance(data, int) and not isinstance(data, bool):
            return data
        sign, *rest = self._parts(data, depth)
        match sign, len(rest):
            case "+", _:
                return self._sum(rest, depth)
            case "*", _:
                product: int | e.Expr = 1
                for part in rest:
                    product = e.mul(product, self.number(part, depth + 1))
                return product
            case "//" | "%", 2 if isinstance(rest[1], int) and rest[1] > 0:
                value = self.number(rest[0], depth + 1)
                return e.div(value, rest[1]) if sign == "//" else e.mod(value, rest[1])
            case "if", 3:
                cond, one, other = rest
                return e.pick(
                    self.condition(cond, depth + 1),
                    self.number(one, depth + 1),
                    self.number(other, depth + 1),
                )
        raise ValueError(f"{sign!r} is no number")

    def _sum(self, terms: list[Any], depth: int) -> int | e.Expr:
        total: int | e.Expr = 0
        for term in terms:
            pair = [1, term] if not isinstance(term, list) else term
            if len(pair) != 2 or type(pair[0]) is not int:
                raise ValueError("a term is a factor and a number")
            total = e.add(total, self.number(pair[1], depth + 1), pair[0])
        return total

    def _parts(self, data: Any, depth: int) -> list[Any]:
        if not isinstance(data, list) or not data or depth > DEEPEST:
            raise ValueError("a list is wanted, whose first part is a sign")
        return data
