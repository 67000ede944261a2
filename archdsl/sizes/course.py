"""What a number or a condition does as one side grows, for all sizes: the period argument.

A number over one side h is kept as its values at h = 1, 2, ... up to a bound and one period beyond,
with what a period adds at each of the last: f(h + P) = f(h) + a(h mod P) for every h >= B. This is
exact, not extrapolated, since every operation on such numbers gives such a number again, whose
bound, period and additions follow from those of its parts (a, b: what a common period P adds at a
residue, t: how many periods follow):

- a sum, and a product with a constant: the additions are added, or multiplied;
- a product f·g, where at each residue one of them stays the same: f·g + (a·g + b·f)·t;
- a floor of f/k, k constant: over P' = P·m with k | a·m at each residue, (f + a·m·t)/k goes on by a
  whole number, so its floor does; f mod k is f - k·⌊f/k⌋;
- a floor of f/g where g grows: at each residue it stays the same from some t on. With q = ⌊a/b⌋
  the rest f - q·g grows by a - q·b, which is at least 0 and below b: it is at least 0 from some t
  on (if a = q·b it never changes: where it is below 0 the quotient is q - 1), and below g;
- a comparison with 0: at each residue f + a·t is 0, or at most 0, for no t, for all, or on one side
  of the t where the line crosses 0, which is computed; beyond the last of these it only repeats;
- a choice between two numbers: beyond the bound of its condition the condition repeats.

What is not of this kind (a product of two growing numbers, a root) raises `Unproven`, and so does a
period that is too long to write down.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from archdsl.ir import expr as e

LONGEST = 20_000  # sizes that are decided one by one


class Unproven(Exception):
    """The period argument does not reach this."""


@dataclass(frozen=True, slots=True)
class Course:
    """`values`: at 1, 2, ..., start + period - 1; `gains`: what a period adds to each of the last
    `period` of them."""

    start: int
    values: tuple[int, ...]
    gains: tuple[int, ...]

    @property
    def period(self) -> int:
        return len(self.gains)

    def __call__(self, h: int) -> int:
        if h < self.start + self.period:
            return self.values[h - 1]
        times, place = divmod(h - self.start, self.period)
        return self.values[self.start - 1 + place] + times * self.gains[place]

    def over(self, start: int, period: int) -> Course:
        """The same with a later start and a multiple of the period."""
        if (start, period) == (self.start, self.period):
            return self
        if start + period > LONGEST:
            raise Unproven
        values = [*self.values]
        while len(values) < start + period - 1:
            values.append(values[-self.period] + self._gain(len(values) + 1 - self.period))
        times = period // self.period
        gains = tuple(times * self._gain(h) for h in range(start, start + period))
        return Course(start, tuple(values[: start + period - 1]), gains)

    def _gain(self, h: int) -> int:
        return self.gains[(h - self.start) % self.period]


def _aligned(*courses: Course) -> list[Course]:
    start = max(c.start for c in courses)
    period = math.lcm(*(c.period for c in courses))
    return [c.over(start, period) for c in courses]


class Courses:
    """The courses of the numbers and conditions over one axis, each once."""

    def __init__(self) -> None:
        self.known: dict[Any, Course] = {}

    def __call__(self, part: Any) -> Course:
        if isinstance(part, int):
            return Course(1, (int(part),), (0,))
        if part not in self.known:
            for inner in e.below(part, self.known):
                self.known[inner] = self._made(inner)
        return self.known[part]

    def _made(self, part: Any) -> Course:
        match part:
            case e.Var():
                return Course(1, (1,), (1,))
            case e.Lin():
                terms, constant = part.parts
                return _sum([c for _, c in terms], constant, [self(t) for t, _ in terms])
            case e.Mul():
                found = self(part.parts[0])
                for factor in part.parts[1:]:
                    found = _product(found, self(factor))
                return found
            case e.Div():
                return _floor(self(part.parts[0]), self(part.parts[1]))
            case e.Mod():
                value, by = self(part.parts[0]), self(part.parts[1])
                return _sum((1, -1), 0, (value, _product(by, _floor(value, by))))
            case e.Pick() | e.Case():
                return _choice(*map(self, part.parts))
            case e.Cmp():
                return _compared(part.parts[0], self(part.parts[1]))
            case e.Not():
                return _sum((-1,), 1, (self(part.parts[0]),))
            case e.All():
                found = self(part.parts[0])
                for other in part.parts[1:]:
                    found = _product(found, self(other))
                return found
        raise Unproven


def _sum(factors: Sequence[int], constant: int, parts: Sequence[Course]) -> Course:
    parts = _aligned(*parts)

    def total(*values: int) -> int:
        return sum(map(operator.mul, factors, values))

    values = (v + constant for v in map(total, *(p.values for p in parts)))
    gains = map(total, *(p.gains for p in parts))
    return Course(parts[0].start, tuple(values), tuple(gains))


def _product(one: Course, other: Course) -> Course:
    one, other = _aligned(one, other)
    gains = []
    first = one.start - 1
    for f, g, a, b in zip(
        one.values[first:], other.values[first:], one.gains, other.gains, strict=True
    ):
        if a and b:
            raise Unproven
        gains.append(a * g + b * f)
    values = tuple(map(operator.mul, one.values, other.values))
    return Course(one.start, values, tuple(gains))


def _floor(value: Course, by: Course) -> Course:
    value, by = _aligned(value, by)
    tail = [
        (f, a, g, b)
        for f, a, g, b in zip(
            value.values[value.start - 1 :],
            value.gains,
            by.values[by.start - 1 :],
            by.gains,
            strict=True,
        )
    ]
    if any(b < 0 or (b == 0 and g <= 0) for _, _, g, b in tail):
        raise Unproven
    times = math.lcm(*(g // math.gcd(a, g) for _, a, g, b in tail if not b))
    settled = max((_settled(*line) for line in tail if line[3]), default=0)
    start, period = value.start + settled * value.period, value.period * times
    value, by = value.over(start, period), by.over(start, period)
    values = tuple(f // g if g else 0 for f, g in zip(value.values, by.values, strict=True))
    gains = tuple(
        a // g if not b else 0
        for a, g, b in zip(value.gains, by.values[start - 1 :], by.gains, strict=True)
    )
    return Course(start, values, gains)


def _settled(f: int, a: int, g: int, b: int) -> int:
    """From how many periods on the quotient of two growing numbers stays the same."""
    q = a // b
    rest, grows = f - q * g, a - q * b
    quotient_falls = not grows and rest < 0
    after = 0 if g > 0 else -g // b + 1  # the divisor is above 0
    if grows:
        after = max(after, -(rest // grows) if rest < 0 else 0)
        room, less = g - rest, b - grows  # the rest is below the divisor
        return max(after, -room // less + 1 if room <= 0 else 0)
    room = g + rest if quotient_falls else g - rest
    short = room < 0 if quotient_falls else room <= 0
    return max(after, -room // b + 1 if short else 0)


def _compared(sign: str, value: Course) -> Course:
    after = 0
    for f, a in zip(value.values[value.start - 1 :], value.gains, strict=True):
        if a and f * a <= 0:  # the line comes to 0, and goes beyond
            after = max(after, abs(f) // abs(a) + 1)
    value = value.over(value.start + after * value.period, value.period)
    truth = ((f == 0 if sign == "==" else f <= 0) for f in value.values)
    return Course(value.start, tuple(map(int, truth)), (0,) * value.period)


def _choice(cond: Course, one: Course, other: Course) -> Course:
    cond, one, other = _aligned(cond, one, other)
    first = cond.start - 1
    values = tuple(
        f if c else g for c, f, g in zip(cond.values, one.values, other.values, strict=True)
    )
    gains = tuple(
        a if c else b for c, a, b in zip(cond.values[first:], one.gains, other.gains, strict=True)
    )
    return Course(cond.start, values, gains)


# ---- sets of sizes ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Sizes:
    """A set of sizes: `early` says which of 1, 2, ... are in it, `cycle` which of those that
    follow, again and again. Both are as short as they can be, so that equal sets are equal."""

    early: tuple[bool, ...]
    cycle: tuple[bool, ...]

    @staticmethod
    def of(early: Iterable[bool], cycle: Iterable[bool]) -> Sizes:
        first, then = list(early), list(cycle)
        for period in range(1, len(then) // 2 + 1):
            if len(then) % period == 0 and then == then[:period] * (len(then) // period):
                then = then[:period]
                break
        while first and first[-1] == then[-1]:
            first.pop()
            then = [then[-1], *then[:-1]]
        return Sizes(tuple(first), tuple(then))

    @staticmethod
    def among(course: Course) -> Sizes:
        """Where a condition holds."""
        truth = [bool(v) for v in course.values]
        return Sizes.of(truth[: course.start - 1], truth[course.start - 1 :])

    def __contains__(self, h: object) -> bool:
        if not isinstance(h, int) or h < 1:
            return False
        if h <= len(self.early):
            return self.early[h - 1]
        return self.cycle[(h - len(self.early) - 1) % len(self.cycle)]

    def _with(self, other: Sizes, join: Callable[[bool, bool], bool]) -> Sizes:
        start = max(len(self.early), len(other.early))
        period = math.lcm(len(self.cycle), len(other.cycle))
        if start + period > LONGEST:
            raise Unproven
        one, two = self.first(start + period), other.first(start + period)
        both = [join(a, b) for a, b in zip(one, two, strict=True)]
        return Sizes.of(both[:start], both[start:])

    def first(self, count: int) -> list[bool]:
        """Which of 1 to `count` are in the set."""
        rest = count - len(self.early)
        if rest <= 0:
            return [*self.early[:count]]
        return [*self.early, *(self.cycle * (rest // len(self.cycle) + 1))[:rest]]

    def __and__(self, other: Sizes) -> Sizes:
        if self is other or other == EVERY:
            return self
        return other if self == EVERY else self._with(other, lambda a, b: a and b)

    def __or__(self, other: Sizes) -> Sizes:
        return self._with(other, lambda a, b: a or b)

    def __invert__(self) -> Sizes:
        return Sizes(tuple(not x for x in self.early), tuple(not x for x in self.cycle))

    def __bool__(self) -> bool:
        return any(self.early) or any(self.cycle)

    @property
    def finite(self) -> bool:
        return not any(self.cycle)

    @cached_property
    def least(self) -> int | None:
        return self.next(1)

    def next(self, h: int) -> int | None:
        """The first from h on."""
        for size in range(max(h, 1), max(h, len(self.early) + 1) + len(self.cycle)):
            if size in self:
                return size
        return None

    def before(self, h: int) -> int | None:
        """The last up to h."""
        for size in range(h, 0, -1):
            if size in self:
                return size
            if size > len(self.early) + len(self.cycle) and self.finite:
                return self.before(len(self.early))
        return None


EVERY = Sizes((), (True,))
NONE = Sizes((), (False,))


def only(h: int) -> Sizes:
    return Sizes((*(False,) * (h - 1), True), (False,))


# ---- text ------------------------------------------------------------------------------------

MAX_RANGES = 8


def describe(sizes: Sizes, letter: str) -> str:
    """`H % 32 == 0 and H >= 64`, `H is 221 to 224`; empty for every size."""
    if sizes == EVERY:
        return ""
    if sizes.finite:
        return f"{letter} is {_ranges(sizes.early, 1)}"
    regular = Sizes.of((), _turned(sizes))
    clause = _periodic(regular, letter)
    parts = [clause] if clause else []
    known = range(1, len(sizes.early) + 1)
    holes = [h for h in known if h in regular and h not in sizes]
    above = 1
    if holes and any(h in sizes and h in regular for h in range(1, holes[-1])) and len(holes) <= 3:
        parts += [f"{letter} != {h}" for h in holes]
    elif holes:
        above = regular.next(holes[-1] + 1) or above
        parts.append(f"{letter} >= {above}")
    text = " and ".join(parts)
    odd = [h in sizes and (h < above or h not in regular) for h in known]
    if any(odd):
        text = f"({text})" if len(parts) > 1 or " or " in text else text
        text = f"{text} or {letter} is {_ranges(odd, 1)}"
    return text


def _turned(sizes: Sizes) -> list[bool]:
    """The cycle, as if it had begun at 1."""
    period = len(sizes.cycle)
    return [sizes.cycle[(h - len(sizes.early) - 1) % period] for h in range(1, period + 1)]


def _periodic(sizes: Sizes, letter: str) -> str:
    period = len(sizes.cycle)
    if period == 1:
        return ""
    rests = [(r or period) in sizes for r in range(period)]
    if sum(rests) == 1:
        return f"{letter} % {period} == {rests.index(True)}"
    if sum(rests) == period - 1:
        return f"{letter} % {period} != {rests.index(False)}"
    return f"{letter} % {period} is {_ranges(rests, 0)}"


def _ranges(members: Iterable[bool], first: int) -> str:
    """`221 to 224`, `5, 7 to 9 or 12`."""
    runs: list[list[int]] = []
    for number, member in enumerate(members, first):
        if member and runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        elif member:
            runs.append([number, number])
    shown: list[str] = []
    for low, high in runs:
        shown += [f"{low} to {high}"] if high > low + 1 else map(str, range(low, high + 1))
    if len(shown) > MAX_RANGES:
        last = f"or one of {len(shown) - MAX_RANGES} more ranges up to {runs[-1][1]}"
        return ", ".join([*shown[:MAX_RANGES], last])
    return shown[0] if len(shown) == 1 else ", ".join(shown[:-1]) + " or " + shown[-1]
