"""From demands to sets: for each axis alone, and for what asks for several at once.

A condition over one axis has a course, which says for all sizes where it holds. One that asks for
several axes at once is cut into boxes (a set for each axis) where finitely many classes of sizes
decide it, by one of two arguments:

- a remainder: with X made of numbers f by sums, products and floors of X/k, the remainder of X by m
  depends on that of each f by m·k·k'..., since adding a multiple of N to one of them adds one of N
  to a sum or product, and one of N/k to a floor by k where k divides N;
- a bound: with X the same of sides, with factors that are not negative, X grows with each of them,
  and is above K where one of them is above (K + 1)·k·k'... : X compared with K is the same for all
  that are larger. (For X a product of sides and X = K, only divisors of K count.)

What neither reaches is kept as a formula: it is true, and decided at every place, but no set of
each axis. What has no course (`Unproven`) is decided one by one where the rest leaves finitely many
sizes, and up to `DECIDED` else: then the answer is "at least these".
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from archdsl.ir import expr as e
from archdsl.ir.expr import Cond, Expr
from archdsl.sizes.course import EVERY, NONE, Courses, Sizes, Unproven
from archdsl.sizes.walk import Demand

DECIDED = 1024  # sizes of an axis that are decided one by one where nothing is proven
MAX_CLASSES = 40_000  # of pairs of sizes
Box = tuple[Sizes, ...]  # a set for each axis


@dataclass(frozen=True)
class Solved:
    """`boxes`: the set is their union, as far as `formulas` hold too. `alone`: what is left of each
    axis by the demands for it alone. `causes`: the demands that nothing else implies, each with the
    axis and the set that it leaves, or None for several axes. `exact`: nothing was left out."""

    boxes: tuple[Box, ...]
    alone: Box
    formulas: tuple[Demand, ...]
    causes: tuple[tuple[Demand, int | None, Sizes | None], ...]
    exact: bool


def solve(demands: Sequence[Demand], sides: set[Expr], axes: int) -> Solved:
    """The set of what meets all demands. `sides`: numbers that are at least 1."""
    solver = _Solver(sides, axes)
    for demand in demands:
        solver.take(demand)
    return solver.solved()


class _Solver:
    def __init__(self, sides: set[Expr], axes: int) -> None:
        self.sides, self.axes = sides, axes
        self.courses = [Courses() for _ in range(axes)]
        self.alone: list[dict[Sizes, Demand]] = [{} for _ in range(axes)]
        self.unproven: list[list[Demand]] = [[] for _ in range(axes)]
        self.mixed: list[tuple[Demand, list[Box]]] = []
        self.formulas: list[Demand] = []
        self.exact = True

    def take(self, demand: Demand) -> None:
        if len(demand.cond.axes) == 1:
            (axis,) = demand.cond.axes
            try:
                found = Sizes.among(self.courses[axis](demand.cond))
                self.alone[axis].setdefault(found, demand)
            except Unproven:
                self.unproven[axis].append(demand)
            return
        boxes = self._boxes(demand.cond)
        if boxes is None:
            self.formulas.append(demand)
        elif boxes != [(EVERY,) * self.axes]:
            self.mixed.append((demand, boxes))

    def solved(self) -> Solved:
        alone = [_both(sets) for sets in self.alone]
        for axis, demands in enumerate(self.unproven):
            if demands:
                alone[axis] = self._one_by_one(axis, alone[axis], demands)
        boxes = [tuple(alone)]
        for _, more in self.mixed:
            boxes = _merged(_met(a, b) for a in boxes for b in more)
        causes = tuple(self._causes(alone))
        return Solved(tuple(boxes), tuple(alone), tuple(self.formulas), causes, self.exact)

    # ---- one axis ----------------------------------------------------------------------------

    def _one_by_one(self, axis: int, proven: Sizes, demands: list[Demand]) -> Sizes:
        if not proven.finite:
            self.exact = False
        count = len(proven.early) if proven.finite else DECIDED
        cond = e.every(d.cond for d in demands)
        members = [
            h in proven and bool(e.At((*(0,) * axis, h, *(0,) * (self.axes - axis - 1)))(cond))
            for h in range(1, count + 1)
        ]
        return Sizes.of(members, [False])

    def _causes(self, alone: list[Sizes]) -> Iterable[tuple[Demand, int | None, Sizes | None]]:
        for axis, sets in enumerate(self.alone):
            for kept in _needed(list(sets)):
                yield sets[kept], axis, kept
            if alone[axis] != _both(sets):
                yield from ((d, None, None) for d in self.unproven[axis])
        left = [tuple(alone)]
        for demand, boxes in self.mixed:
            met = _merged(_met(a, b) for a in left for b in boxes)
            if met != left:
                yield demand, None, None
            left = met
        yield from ((d, None, None) for d in self.formulas)

    # ---- several axes ------------------------------------------------------------------------

    def _boxes(self, cond: Cond) -> list[Box] | None:
        """The set as boxes; None where no argument reaches it."""
        try:
            keys = [*self._keys(cond)]
            classes = [self._classes(axis, keys) for axis in range(self.axes)]
        except (Unproven, RecursionError):  # too deep
            return None
        if math.prod(map(len, classes)) > MAX_CLASSES:
            return None
        boxes = []
        for chosen in itertools.product(*(c.values() for c in classes)):
            place = tuple(sizes.least or 1 for sizes in chosen)
            if e.At(place)(cond):
                boxes.append(tuple(chosen))
        return _merged(boxes)

    def _keys(self, cond: Cond) -> Iterable[tuple[Any, Callable[[Any], Any]]]:
        """Numbers over one axis each, with what of them decides the condition."""
        for part in _comparisons(cond):
            if len(part.axes) == 1:
                yield part, int
            elif isinstance(part, e.Cmp):
                yield from self._compared(*part.parts)
            else:
                raise Unproven

    def _compared(self, sign: str, value: Expr) -> Iterable[tuple[Any, Callable[[Any], Any]]]:
        terms, constant = e.split(value)
        if all(f < 0 for f in terms.values()):  # at least: the same bound
            terms, constant = {t: -f for t, f in terms.items()}, -constant
        if len(terms) == 1 and isinstance(next(iter(terms)), e.Mod):
            inner, by = next(iter(terms)).parts
            if not isinstance(by, int):
                raise Unproven
            parts, steps = _made_of(inner)
            for part in parts:
                yield e.mod(part, by * steps), int
            return
        if any(f < 0 for f in terms.values()):
            raise Unproven
        parts, steps = _made_of(e.total(terms, 0))
        if not all(p in self.sides for p in parts):
            raise Unproven
        bound = (max(-constant, 0) + 1) * steps
        (first, factor), *others = terms.items()
        product = isinstance(first, e.Mul) and not others and sign == "==" and factor == 1
        divided = _divisor_of(-constant) if product and set(first.parts) == parts else int
        for part in parts:
            yield e.pick(e.at_most(part, bound), part, bound + 1), divided

    def _classes(self, axis: int, keys: list[tuple[Any, Callable[[Any], Any]]]) -> dict[Any, Sizes]:
        """The sizes of an axis by what decides."""
        own = [(self.courses[axis](k), seen) for k, seen in keys if axis in k.axes]
        if any(gain for course, _ in own for gain in course.gains):
            raise Unproven
        start = max((c.start for c, _ in own), default=1)
        period = math.lcm(*(c.period for c, _ in own))
        aligned = [(c.over(start, period), seen) for c, seen in own]
        found: dict[Any, list[int]] = {}
        for h in range(1, start + period):
            found.setdefault(tuple(seen(c(h)) for c, seen in aligned), []).append(h)
        classes = {}
        for key, members in found.items():
            truth = [False] * (start + period - 1)
            for h in members:
                truth[h - 1] = True
            classes[key] = Sizes.of(truth[: start - 1], truth[start - 1 :])
        return classes


def _comparisons(cond: Any) -> Iterable[Cond]:
    """What a condition is made of, as far as it depends on one axis or compares."""
    if not isinstance(cond, Cond):
        return
    if len(cond.axes) == 1 or isinstance(cond, e.Cmp | e.Holds):
        yield cond
    else:
        for part in cond.parts:
            yield from _comparisons(part)


def _made_of(value: Any) -> tuple[set[Expr], int]:
    """The numbers over one axis that a number is made of by sums, products and floors, and the
    product of the floors' divisors. Raises `Unproven`."""
    if isinstance(value, int):
        return set(), 1
    if isinstance(value, e.Lin):
        made = [_made_of(term) for term, _ in value.parts[0]]
        if value.parts[1] < 0 and len(value.axes) > 1:
            raise Unproven
    elif len(value.axes) == 1:
        return {value}, 1
    elif isinstance(value, e.Mul):
        # a product's factors are taken as they are
        made = [({f}, 1) if len(f.axes) == 1 else _made_of(f) for f in value.parts]
    elif isinstance(value, e.Div) and isinstance(value.parts[1], int):
        parts, steps = _made_of(value.parts[0])
        return parts, steps * value.parts[1]
    else:
        raise Unproven
    return set[Expr]().union(*(parts for parts, _ in made)), math.prod(s for _, s in made)


def _divisor_of(number: int) -> Callable[[int], int]:
    """A side where it divides the number, the same for all others; what is no side as it is."""
    return lambda value: value if value < 1 or number % value == 0 else number + 1


def _both(sets: Iterable[Sizes]) -> Sizes:
    return reduce(lambda a, b: a & b, sets, EVERY)


def _needed(sets: list[Sizes]) -> list[Sizes]:
    """The sets without those that the others imply; of equals the first is kept."""
    whole = _both(sets)
    for place in range(len(sets) - 1, -1, -1):
        others = sets[:place] + sets[place + 1 :]
        if _both(others) == whole:
            sets = others
    return sets


def _met(one: Box, other: Box) -> Box:
    return tuple(a & b for a, b in zip(one, other, strict=True))


def _merged(boxes: Iterable[Box]) -> list[Box]:
    """The boxes that are not empty; those that differ along one axis alone are one."""
    left = [box for box in boxes if all(box)]
    for axis in range(len(left[0]) if left else 0):
        groups: dict[Box, Sizes] = {}
        for box in left:
            key = (*box[:axis], *box[axis + 1 :])
            groups[key] = groups.get(key, NONE) | box[axis]
        left = [(*key[:axis], sizes, *key[axis:]) for key, sizes in groups.items()]
    return left
