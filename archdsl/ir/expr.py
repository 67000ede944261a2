"""Whole numbers that depend on the sides of the input, and conditions on them, as data.

A number is an `int` or an `Expr` over the axes; a condition is a `bool` or a `Cond`. Both are made
by the functions below, which bring them into one form, so that equal ones are usually the same
object (`is`): linear sums are sorted, a floor of a floor is one floor, and a comparison is one of a
number with 0. Nothing here knows of operators.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import reduce
from typing import Any
from weakref import WeakValueDictionary

#: what the sides of a space of so many dimensions are called
LETTERS = {0: (), 1: ("L",), 2: ("H", "W"), 3: ("D", "H", "W")}
_made: WeakValueDictionary[Any, Any] = WeakValueDictionary()
_serials = itertools.count()


class _Interned:
    """Base: an object for each kind and parts, once."""

    __slots__ = ("__weakref__", "axes", "parts", "serial")
    parts: tuple[Any, ...]
    axes: frozenset[Any]  # what it depends on
    serial: int

    def __new__(cls, *parts: Any) -> Any:
        key = (cls, parts)
        found = _made.get(key)
        if found is None:
            found = object.__new__(cls)
            found.parts, found.serial = parts, next(_serials)
            found.axes = frozenset().union(*map(_axes, parts))
            _made[key] = found
        return found

    def __reduce__(self) -> Any:
        return type(self), self.parts


class Expr(_Interned):
    """A number that depends on the sides."""

    __slots__ = ()


class Var(Expr):
    """The side of an axis; in a graph, of one of its values."""

    __slots__ = ()

    def __new__(cls, axis: Any, letter: str) -> Any:
        made = super().__new__(cls, axis, letter)
        made.axes = frozenset([axis])
        return made


class Lin(Expr):
    """(((expr, factor), ...), constant): a sum."""

    __slots__ = ()


class Mul(Expr):
    """(factor, ...): a product of numbers that all depend on sides."""

    __slots__ = ()


class Div(Expr):
    """(number, divisor): rounded down."""

    __slots__ = ()


class Mod(Expr):
    """(number, divisor): the remainder, of the divisor's sign."""

    __slots__ = ()


class Pick(Expr):
    """(condition, number, other number)."""

    __slots__ = ()


class Call(Expr):
    """(function, number, ...): what nothing is known of but its value at each place."""

    __slots__ = ()


class Cond(_Interned):
    """A condition on the sides."""

    __slots__ = ()


class Cmp(Cond):
    """("==" or "<=", number): compared with 0."""

    __slots__ = ()


class Not(Cond):
    """(condition,)."""

    __slots__ = ()


class All(Cond):
    """(condition, ...)."""

    __slots__ = ()


class Case(Cond):
    """(condition, where it holds, where not)."""

    __slots__ = ()


class Holds(Cond):
    """(function, number, ...): the truth of the function's value."""

    __slots__ = ()


def _axes(part: Any) -> frozenset[Any]:
    if isinstance(part, _Interned):
        return part.axes
    return frozenset().union(*map(_axes, part)) if isinstance(part, tuple) else frozenset()


# ---- numbers ---------------------------------------------------------------------------------


def split(value: int | Expr) -> tuple[dict[Expr, int], int]:
    """A number's terms with their factors, and its constant."""
    if isinstance(value, int):
        return {}, value
    if isinstance(value, Lin):
        return dict(value.parts[0]), value.parts[1]
    return {value: 1}, 0


def total(terms: dict[Expr, int], constant: int) -> int | Expr:
    """The inverse."""
    kept = sorted(((e, c) for e, c in terms.items() if c), key=lambda t: t[0].serial)
    if not kept:
        return constant
    if len(kept) == 1 and kept[0][1] == 1 and not constant:
        return kept[0][0]
    made: Expr = Lin(tuple(kept), constant)
    return made


def add(one: int | Expr, other: int | Expr, times: int = 1) -> int | Expr:
    """one + times * other."""
    terms, constant = split(one)
    more, rest = split(other)
    for term, factor in more.items():
        terms[term] = terms.get(term, 0) + times * factor
    return total(terms, constant + times * rest)


def mul(one: int | Expr, other: int | Expr) -> int | Expr:
    if isinstance(one, int):
        return add(0, other, one)
    if isinstance(other, int):
        return add(0, one, other)
    factors: list[Expr] = []
    outer = 1
    for value in (one, other):
        terms, constant = split(value)
        common = math.gcd(constant, *terms.values())
        outer *= common
        rest = total({t: c // common for t, c in terms.items()}, constant // common)
        factors += rest.parts if isinstance(rest, Mul) else [rest]  # type: ignore[list-item]
    return add(0, Mul(*sorted(factors, key=lambda f: f.serial)), outer)


def div(value: int | Expr, by: int | Expr) -> int | Expr:
    """Rounded down. What the divisor divides comes out of it; a floor of a floor is one."""
    if isinstance(value, int) and isinstance(by, int):
        return value // by
    if not isinstance(by, int):
        return 1 if value is by else Div(value, by)
    if by < 0:
        value, by = mul(-1, value), -by
    terms, constant = split(value)
    whole = {t: c // by for t, c in terms.items()}
    inner, rest = {t: c % by for t, c in terms.items() if c % by}, constant % by
    outside = total(whole, constant // by)
    if not inner:
        return outside
    common = math.gcd(by, *inner.values())
    if common > 1:  # floor((c·t + r) / (c·d)) is floor((t + floor(r / c)) / d)
        inner, rest, by = {t: c // common for t, c in inner.items()}, rest // common, by // common
    if by == 1:
        return add(total(inner, rest), outside)
    if len(inner) == 1:
        ((term, factor),) = inner.items()
        if factor == 1 and isinstance(term, Div) and isinstance(term.parts[1], int):
            return add(div(add(term.parts[0], rest * term.parts[1]), term.parts[1] * by), outside)
    return add(Div(total(inner, rest), by), outside)


def mod(value: int | Expr, by: int | Expr) -> int | Expr:
    if isinstance(value, int) and isinstance(by, int):
        return value % by
    if not isinstance(by, int) or by < 0:
        return 0 if value is by else Mod(value, by)
    terms, constant = split(value)
    rest = total({t: c % by for t, c in terms.items()}, constant % by)
    return rest % by if isinstance(rest, int) else Mod(rest, by)


def pick(cond: bool | Cond, one: int | Expr, other: int | Expr) -> int | Expr:
    if isinstance(cond, bool):
        return one if cond else other
    if one is other or (isinstance(one, int) and isinstance(other, int) and one == other):
        return one
    if isinstance(cond, Cmp) and cond.parts[0] == "==" and _multiple(one, other, cond.parts[1]):
        return other
    made: Expr = Pick(cond, one, other)
    return made


def _multiple(one: int | Expr, other: int | Expr, zero: Expr) -> bool:
    """Whether two numbers are equal where the third is 0."""
    terms, _ = split(zero)
    first, factor = next(iter(terms.items()))
    times = split(add(one, other, -1))[0].get(first, 0) // factor
    return add(add(one, other, -1), zero, -times) == 0


# ---- conditions ------------------------------------------------------------------------------


def equal(one: int | Expr, other: int | Expr) -> bool | Cond:
    terms, constant = split(add(one, other, -1))
    if not terms:
        return constant == 0
    common = math.gcd(*terms.values())
    if constant % common:
        return False
    first = min(terms, key=lambda t: t.serial)
    common = -common if terms[first] < 0 else common
    made: Cond = Cmp("==", total({t: c // common for t, c in terms.items()}, constant // common))
    return made


def at_most(one: int | Expr, other: int | Expr) -> bool | Cond:
    terms, constant = split(add(one, other, -1))
    if not terms:
        return constant <= 0
    common = math.gcd(*terms.values())
    rest = -(-constant // common)
    made: Cond = Cmp("<=", total({t: c // common for t, c in terms.items()}, rest))
    return made


def less(one: int | Expr, other: int | Expr) -> bool | Cond:
    return at_most(add(one, 1), other)


def negated(cond: bool | Cond) -> bool | Cond:
    if isinstance(cond, bool):
        return not cond
    if isinstance(cond, Not):
        inner: Cond = cond.parts[0]
        return inner
    if isinstance(cond, Cmp) and cond.parts[0] == "<=":
        return at_most(add(1, cond.parts[1], -1), 0)
    made: Cond = Not(cond)
    return made


def conjuncts(cond: bool | Cond) -> tuple[Cond, ...] | None:
    """The parts that must all hold; None: it never does."""
    if isinstance(cond, bool):
        return () if cond else None
    return cond.parts if isinstance(cond, All) else (cond,)


def every(conds: Iterable[bool | Cond]) -> bool | Cond:
    found: dict[Cond, None] = {}
    for cond in conds:
        parts = conjuncts(cond)
        if parts is None:
            return False
        found.update(dict.fromkeys(parts))
    kept = sorted(found, key=lambda c: c.serial)
    if not kept:
        return True
    made: Cond = kept[0] if len(kept) == 1 else All(*kept)
    return made


def case(cond: bool | Cond, one: bool | Cond, other: bool | Cond) -> bool | Cond:
    """`one` where the condition holds, `other` elsewhere; what both ask for stands once."""
    if isinstance(cond, bool):
        return one if cond else other
    if one is other:
        return one
    yes, no = conjuncts(one), conjuncts(other)
    if yes is None:
        return every([negated(cond), other])
    if no is None:
        return every([cond, one])
    both = [part for part in yes if part in no]
    left, right = (every(p for p in parts if p not in both) for parts in (yes, no))
    if isinstance(cond, Not):
        cond, left, right = cond.parts[0], right, left
    if left is True and right is False:
        return every([cond, *both])
    made: Cond = Case(cond, left, right)
    return every([made, *both])


# ---- values at a place -----------------------------------------------------------------------


class At:
    """Values at one place: `At((224, 224))(expr)`."""

    def __init__(self, sides: tuple[int, ...] | Mapping[Any, int]) -> None:
        self.sides: Any = sides
        self.known: dict[Any, Any] = {}

    def __call__(self, part: Any) -> Any:
        if not isinstance(part, _Interned):
            return part
        if part not in self.known:
            for inner in below(part, self.known):
                self.known[inner] = self._value(inner)
        return self.known[part]

    def _value(self, part: Any) -> Any:
        match part:
            case Var():
                return self.sides[part.parts[0]]
            case Lin():
                return sum(c * self(t) for t, c in part.parts[0]) + part.parts[1]
            case Mul():
                return math.prod(map(self, part.parts))
            case Div() | Mod():
                value, by = map(self, part.parts)
                if by == 0:  # behind a condition that refuses this place
                    return 0
                return value // by if isinstance(part, Div) else value % by
            case Pick() | Case():
                return self(part.parts[1] if self(part.parts[0]) else part.parts[2])
            case Cmp():
                value = self(part.parts[1])
                return value == 0 if part.parts[0] == "==" else value <= 0
            case Not():
                return not self(part.parts[0])
            case All():
                return all(map(self, part.parts))
            case Call() | Holds():
                function: Callable[..., Any] = part.parts[0]
                return function(*map(self, part.parts[1:]))
        raise TypeError(part)


def below(part: Any, known: Collection[Any]) -> list[Any]:
    """What a number or condition is made of and is not known yet, the innermost first, itself last;
    without recursion, for a network may be thousands of layers deep."""
    found: set[Any] = set()
    stack = [part]
    while stack:
        one = stack.pop()
        if isinstance(one, tuple):
            stack.extend(one)
        elif isinstance(one, _Interned) and one not in known and one not in found:
            found.add(one)
            stack.extend(one.parts)
    return sorted(found, key=lambda one: one.serial)


def substituted(part: Any, values: Mapping[Any, Any]) -> Any:
    """A number or condition with others in the place of some of its parts."""
    if not isinstance(part, _Interned):
        return part
    known = dict(values)
    for inner in below(part, known):
        known[inner] = _remade(inner, known)
    return known[part]


def _remade(part: Any, known: Mapping[Any, Any]) -> Any:
    def of(inner: Any) -> Any:
        return known.get(inner, inner) if isinstance(inner, _Interned) else inner

    match part:
        case Var():
            return part
        case Lin():
            made: int | Expr = part.parts[1]
            for term, factor in part.parts[0]:
                made = add(made, of(term), factor)
            return made
        case Mul():
            return reduce(mul, map(of, part.parts))
        case Not():
            return negated(of(part.parts[0]))
        case All():
            return every(map(of, part.parts))
        case Cmp():
            compare = equal if part.parts[0] == "==" else at_most
            return compare(of(part.parts[1]), 0)
        case Div():
            return div(*map(of, part.parts))
        case Mod():
            return mod(*map(of, part.parts))
        case Pick():
            return pick(*map(of, part.parts))
        case Case():
            return case(*map(of, part.parts))
    return type(part)(*map(of, part.parts))
