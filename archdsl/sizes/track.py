"""Numbers that record what is computed with them, and all the ways that a rule may take.

`explore` runs a function of sides, such as an operator's shape rule, as it stands: its arguments
are `Side`s, which build expressions, and each comparison whose outcome depends on the input asks
the current path. Every path is taken: where a comparison could go the other way the function runs
once more and goes there. What comes back is one result with conditions in it.

A side is no `int`: what would lose it in silence (an index, a range, a float) raises `Defeat`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from archdsl.ir import expr as e
from archdsl.ir.expr import Cond, Expr

MAX_PATHS = 256
MAX_DECISIONS = 20_000  # on all paths of one rule


class Defeat(Exception):
    """A rule does with a side what cannot be recorded."""


class Known:
    """What holds for every size that has come so far. `here`: the declared size."""

    def __init__(self, here: e.At) -> None:
        self.here = here
        self.holding: set[Cond] = set()
        self.sides: set[Expr] = set()
        self.values: dict[Expr, int] = {}

    def hold(self, cond: Cond) -> None:
        """Take a condition for given."""
        self.holding.add(cond)
        if isinstance(cond, e.Cmp) and cond.parts[0] == "==":
            terms, constant = e.split(cond.parts[1])
            if len(terms) == 1:
                ((term, factor),) = terms.items()
                self.values[term] = -constant // factor

    def side(self, value: int | Expr) -> int | Expr:
        """A side of a value, which is at least 1; a number where it has no choice any more."""
        terms, constant = e.split(value)
        for term in [t for t in terms if t in self.values]:
            constant += terms.pop(term) * self.values[term]
        value = e.total(terms, constant)
        if isinstance(value, Expr):
            self.sides.add(value)
            self.here(value)  # while what it is made of is known
        return value

    def settled(self, cond: Cond) -> bool | None:
        """Whether a condition holds, where that is known."""
        opposite = e.negated(cond)
        if cond in self.holding:
            return True
        if opposite in self.holding:
            return False
        if isinstance(cond, e.Cmp) and self._positive(cond.parts[1]):
            return False
        if isinstance(opposite, e.Cmp) and self._positive(opposite.parts[1]):
            return True
        return None

    def _positive(self, value: Expr) -> bool:
        """Whether a number is above 0 for being made of sides, which are at least 1."""
        terms, constant = e.split(value)
        if value in self.sides:
            return True
        for term, factor in terms.items():
            if factor < 0 or not self._is_side(term):
                return False
            constant += factor
        return constant > 0

    def _is_side(self, value: Expr) -> bool:
        factors = value.parts if isinstance(value, e.Mul) else (value,)
        return value in self.sides or all(f in self.sides for f in factors)


class _Path:
    """The outcomes that are given, and those that follow: what is true at the declared size."""

    def __init__(self, script: Sequence[bool], known: Known) -> None:
        self.script, self.known = script, known
        self.taken: dict[Cond, bool] = {}

    def __call__(self, cond: bool | Cond) -> bool:
        if isinstance(cond, bool):
            return cond
        if (settled := self.known.settled(cond)) is not None:
            return settled
        opposite = e.negated(cond)
        if isinstance(opposite, Cond) and opposite in self.taken:
            return not self.taken[opposite]
        if cond not in self.taken:
            place = len(self.taken)
            given = place < len(self.script)
            self.taken[cond] = self.script[place] if given else bool(self.known.here(cond))
        return self.taken[cond]


_paths: list[_Path] = []  # the innermost is the current one


def _decide(cond: bool | Cond) -> bool:
    if isinstance(cond, bool):
        return cond
    if not _paths:
        raise Defeat
    return _paths[-1](cond)


def number(value: Any) -> int | Expr:
    """What a rule computed, as an expression."""
    if isinstance(value, Side):
        return value.expr
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise Defeat


def side(value: int | Expr) -> Any:
    """An expression, as a rule can compute with it."""
    return value if isinstance(value, int) else Side(value)


class Side:
    """A side that depends on the input."""

    __slots__ = ("expr",)

    def __init__(self, expr: Expr) -> None:
        self.expr = expr

    def __add__(self, other: Any) -> Any:
        return side(e.add(self.expr, number(other)))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return side(e.add(self.expr, number(other), -1))

    def __rsub__(self, other: Any) -> Any:
        return side(e.add(number(other), self.expr, -1))

    def __neg__(self) -> Any:
        return side(e.mul(-1, self.expr))

    def __pos__(self) -> Any:
        return self

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, float):
            return _Scaled(self.expr, other)
        return side(e.mul(self.expr, number(other)))

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        return side(e.div(self.expr, _divisor(other)))

    def __rfloordiv__(self, other: Any) -> Any:
        return side(e.div(number(other), _divisor(self)))

    def __mod__(self, other: Any) -> Any:
        return side(e.mod(self.expr, _divisor(other)))

    def __rmod__(self, other: Any) -> Any:
        return side(e.mod(number(other), _divisor(self)))

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, (int, Side)) and _decide(e.equal(self.expr, number(other)))

    def __ne__(self, other: Any) -> bool:
        return not self == other

    def __lt__(self, other: Any) -> bool:
        return _decide(e.less(self.expr, number(other)))

    def __le__(self, other: Any) -> bool:
        return _decide(e.at_most(self.expr, number(other)))

    def __gt__(self, other: Any) -> bool:
        return not self <= other

    def __ge__(self, other: Any) -> bool:
        return not self < other

    def __bool__(self) -> bool:
        return self != 0

    def __hash__(self) -> int:
        raise Defeat

    def __index__(self) -> NoReturn:
        raise Defeat

    __int__ = __float__ = __truediv__ = __rtruediv__ = __rpow__ = __round__ = __index__

    def __pow__(self, exponent: Any) -> Any:
        if exponent == 0.5:
            return _Root(self.expr)
        return self * self if exponent == 2 else self.__index__()

    def __str__(self) -> str:
        return "?"  # in a message that nobody reads

    __repr__ = __str__


def _divisor(value: Any) -> int | Expr:
    """The rule itself fails for 0, which no side that it accepted is."""
    by = number(value)
    if by == 0:
        raise ZeroDivisionError
    return by


@dataclass(frozen=True, slots=True)
class _Scaled:
    """A side times a float; its floor is a number again."""

    expr: Expr
    factor: float

    def __floor__(self) -> Side | int:
        top, bottom = self.factor.as_integer_ratio()
        if abs(top) < 2**12 and bottom < 2**12:  # no product with a side below 2^40 is rounded
            found: Side | int = side(e.div(e.mul(top, self.expr), bottom))
            return found
        return Side(e.Call(_Floor(self.factor), self.expr))


@dataclass(frozen=True, slots=True)
class _Root:
    """The square root of a side; rounded, it is a number again."""

    expr: Expr

    def __round__(self) -> Side:
        return Side(e.Call(_nearest_root, self.expr))


def _nearest_root(value: int) -> int:
    root: int = round(max(value, 0) ** 0.5)
    return root


@dataclass(frozen=True)
class _Floor:
    factor: float

    def __call__(self, value: int) -> int:
        return math.floor(value * self.factor)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rule gives: `holds` where it gives anything, and the numbers that it gives there."""

    holds: bool | Cond
    numbers: tuple[int | Expr, ...]


def explore(
    rule: Callable[[], tuple[Any, ...]], refusals: type[Exception], known: Known
) -> Outcome:
    """All paths of a rule that gives sides, or refuses. Raises `Defeat`."""
    left, decisions = MAX_PATHS, 0

    def grow(script: list[bool]) -> Outcome | None:
        """The outcome below some decisions; None: it refuses, whatever follows."""
        nonlocal left, decisions
        left -= 1
        if left < 0 or decisions > MAX_DECISIONS:
            raise Defeat
        path = _Path(script, known)
        _paths.append(path)
        found: Outcome | None = None
        try:
            found = Outcome(True, tuple(map(number, rule())))
        except (refusals, ZeroDivisionError):
            pass
        finally:
            _paths.pop()
        taken = list(path.taken.items())
        decisions += len(taken)
        for place in range(len(taken) - 1, len(script) - 1, -1):
            cond, outcome = taken[place]
            other = grow([*(o for _, o in taken[:place]), not outcome])
            found = _both(cond, found, other) if outcome else _both(cond, other, found)
        return found

    return grow([]) or Outcome(False, ())


def _both(cond: Cond, one: Outcome | None, other: Outcome | None) -> Outcome | None:
    if one is None and other is None:
        return None
    if one is None or other is None:
        kept = one or other
        assert kept is not None
        guard = e.negated(cond) if one is None else cond
        return Outcome(e.every([guard, kept.holds]), kept.numbers)
    if len(one.numbers) != len(other.numbers):
        raise Defeat
    numbers = zip(one.numbers, other.numbers, strict=True)
    picked = tuple(e.pick(cond, a, b) for a, b in numbers)
    return Outcome(e.case(cond, one.holds, other.holds), picked)
