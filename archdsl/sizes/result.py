"""The set of sizes that a program's module takes."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from archdsl.ir import expr as e
from archdsl.ir.graph import Program
from archdsl.ops.table import Shape
from archdsl.sizes.course import Sizes, describe, only
from archdsl.sizes.solve import Box, Solved, solve
from archdsl.sizes.walk import Cause, Demand, Walk
from archdsl.sizes.words import show

MAX_BOXES = 6  # that a description lists
TRIED = 3_000  # sizes around one, where no set gives the nearest
CHOICES = 4  # nearest sizes along an axis


@dataclass(frozen=True)
class Reason:
    """A bound with the step that causes it. `clause`: what it asks for; `why`: what the step says
    at `at`, the nearest size to the declared one that it refuses."""

    clause: str
    cause: Cause
    why: str
    at: tuple[int, ...]


class InputSizes:
    """The sizes of the input, without the channels, that the program's module takes, with the
    weights that it has: `(250, 333) in program.sizes`. A size is taken if the module, made for the
    declared size and fed this one in evaluation mode, runs and gives what the module made for this
    size gives with the same weights. `exact`: these and no others; else at least these.
    """

    def __init__(self, program: Program, axes: tuple[int, ...]) -> None:
        self.program, self.axes = program, axes
        self.letters = e.LETTERS[len(axes)]
        self.declared = tuple(program.input_shape[axis] for axis in axes)

    @staticmethod
    def of(program: Program) -> InputSizes:
        """C×L, C×H×W or C×D×H×W: the first side is channels; of two sides the other, where the
        second has no choice and the first has (L×C)."""
        rank = len(program.input_shape)
        found = InputSizes(program, tuple(range(1, rank)) if rank <= 4 else ())
        if rank == 2 and found.single:
            other = InputSizes(program, (0,))
            return found if other.single else other
        return found

    # ---- the set -----------------------------------------------------------------------------

    @cached_property
    def sides(self) -> list[Any]:
        """The sides, as numbers that are not known."""
        return [e.Var(place, letter) for place, letter in enumerate(self.letters)]

    def demands(self, sides: Iterable[Any]) -> tuple[list[Demand], set[e.Expr]]:
        """What the steps ask for where these come in; and all numbers that are sides, so at least
        1."""
        walk = Walk(self.program, e.At(self.declared))
        walk.known.sides.update(side for side in sides if isinstance(side, e.Expr))
        walk(self._shape(sides))
        if walk.refused is not None:
            raise AssertionError(f"{walk.refused.span.text} refuses the declared size")
        return walk.demands, walk.known.sides

    @cached_property
    def _solved(self) -> Solved:
        demands, known = self.demands(self.sides)
        return solve(demands, known, len(self.axes))

    def _shape(self, sides: Iterable[Any]) -> tuple[Any, ...]:
        shape = list(self.program.input_shape)
        for axis, side in zip(self.axes, sides, strict=True):
            shape[axis] = side
        return tuple(shape)

    @property
    def exact(self) -> bool:
        return self._solved.exact

    @property
    def boxes(self) -> tuple[Box, ...]:
        """The set is the union of these, a set for each axis; but see `formulas`."""
        return self._solved.boxes

    @property
    def formulas(self) -> tuple[Demand, ...]:
        """What must hold beside, where no sets of each axis say it."""
        return self._solved.formulas

    @property
    def single(self) -> bool:
        """Whether it takes the declared size alone."""
        return self.exact and self.boxes == (tuple(map(only, self.declared)),)

    def __contains__(self, size: object) -> bool:
        """Decided by feeding this size through the rules; a number stands for a square."""
        return self.refusal(self.size(size)) is None

    def size(self, value: Any) -> tuple[int, ...]:
        """A number, or one for each axis. Raises ValueError."""
        sides = (value,) * len(self.axes) if isinstance(value, int) else tuple(value)
        if len(sides) != len(self.axes) or not all(
            isinstance(s, int) and not isinstance(s, bool) and s > 0 for s in sides
        ):
            wanted = "x".join(self.letters) or "no size: the input has no space"
            raise ValueError(f"a size here is {wanted}, not {value!r}")
        return sides

    def _fed(self, size: tuple[int, ...]) -> tuple[list[Shape], Cause | None]:
        walk = Walk(self.program, e.At(size), fast=True)
        outputs = walk(self._shape(size))
        return outputs, walk.refused

    def refusal(self, size: tuple[int, ...]) -> Cause | None:
        """The first step that refuses a size; None: it is taken."""
        return self._fed(size)[1]

    def outputs(self, size: Any) -> dict[str, Shape]:
        """The outputs' shapes for a size that is taken. Raises ValueError."""
        found, refused = self._fed(self.size(size))
        if refused is not None:
            raise ValueError(refused.message)
        return dict(zip((name for name, _ in self.program.outputs), found, strict=True))

    # ---- sizes of the set --------------------------------------------------------------------

    def smallest(self) -> tuple[int, ...]:
        """Of the fewest places."""
        corners = [tuple(s.least or 1 for s in box) for box in self.boxes]
        if self.formulas:
            corners = [*itertools.islice(self._around(min(corners, key=math.prod)), 1)]
        return min(corners or [self.declared], key=lambda corner: (math.prod(corner), corner))

    def nearest(self, size: Any, count: int = 2) -> list[tuple[int, ...]]:
        """The sizes that are taken whose sides differ least from these in all."""
        sides = self.size(size)

        def far(other: tuple[int, ...]) -> Any:
            return sum(abs(a - b) for a, b in zip(sides, other, strict=True)), other

        found: set[tuple[int, ...]] = set()
        for box in self.boxes:
            found.update(itertools.product(*map(_around, box, sides)))
        if self.formulas:
            found = {*itertools.islice(self._around(sides), count)}
        return sorted(found or {self.declared}, key=far)[:count]

    def _around(self, sides: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        """Sizes that are taken, nearest first, as far as `TRIED` sizes go."""
        for size in itertools.islice(shells(sides), TRIED):
            if self.described(size):
                yield size

    def described(self, size: tuple[int, ...]) -> bool:
        """Whether the boxes and formulas have it: all sizes that are taken where `exact`."""
        boxed = any(all(map(operator.contains, box, size)) for box in self.boxes)
        return boxed and all(e.At(size)(d.cond) for d in self.formulas)

    # ---- words -------------------------------------------------------------------------------

    def describe(self) -> str:
        """`3×H×W where H >= 63 and W >= 63`."""
        if self.single or not self.axes:
            return "x".join(map(str, self.program.input_shape)) + " only"
        shape = "×".join(map(str, self._shape(self.letters)))
        text = self.condition()
        where = f"{shape} where {text}" if text else f"{shape}, every {' and '.join(self.letters)}"
        return where if self.exact else f"at least {where}"

    def others(self) -> dict[str, str]:
        """Of the inputs behind the first, by name: those of the first one's size have it always."""
        inputs = self.program.inputs
        told: dict[str, str] = {}
        for name, shape in list(inputs.items())[1:]:
            follows = (
                bool(self.axes) and not self.single and shape[1:] == self.program.input_shape[1:]
            )
            sides = (shape[0], *self._shape(self.letters)[1:]) if follows else shape
            text = "×".join(map(str, sides)) if follows else "x".join(map(str, sides))
            told[name] = text if follows else f"{text} only"
        return told

    def condition(self) -> str:
        """`H >= 63 and W >= 63`; empty: every size."""
        shown = [self._box(box) for box in self.boxes[:MAX_BOXES]]
        if len(self.boxes) > MAX_BOXES:
            shown.append(f"one of {len(self.boxes) - MAX_BOXES} more")
        boxes = shown[0] if len(shown) == 1 else ", or ".join(shown)
        parts = [part for part in (boxes, *(show(d.cond) for d in self.formulas)) if part]
        if len(parts) > 1:
            parts = [f"({part})" if " or " in part else part for part in parts]
        return " and ".join(parts)

    def described_boxes(self) -> list[dict[str, str]]:
        """For each box what it asks of each axis; empty: nothing."""
        pairs = (zip(self.letters, box, strict=True) for box in self.boxes)
        return [{letter: describe(s, letter) for letter, s in each} for each in pairs]

    def _box(self, box: Box) -> str:
        clauses = (describe(s, letter) for s, letter in zip(box, self.letters, strict=True))
        return " and ".join(f"({c})" if " or " in c and "(" in c else c for c in clauses if c)

    def reasons(self) -> list[Reason]:
        """What bounds the set, each bound once."""
        merged: dict[Any, list[Any]] = {}
        for demand, axis, sizes in self._solved.causes:
            if axis is None or sizes is None:
                clause, at = show(demand.cond), self._refused(demand, None, None)
                merged[demand.cond] = [[clause], demand, at]
            else:
                at = self._refused(demand, axis, sizes)
                entry = merged.setdefault((demand.cause.span, sizes), [[], demand, at])
                entry[0].append(describe(sizes, self.letters[axis]))
        return [
            Reason(", ".join(clauses), demand.cause, demand.cause.why(e.At(at)), at)
            for clauses, demand, at in merged.values()
        ]

    def _refused(self, demand: Demand, axis: int | None, sizes: Sizes | None) -> tuple[int, ...]:
        """The nearest size to the declared one that a demand refuses."""
        if axis is not None and sizes is not None:
            around = _around(~sizes, self.declared[axis])
            near = min(around, key=lambda h: abs(h - self.declared[axis]))
            return (*self.declared[:axis], near, *self.declared[axis + 1 :])
        for size in itertools.islice(shells(self.declared), TRIED):
            alone = all(map(operator.contains, self._solved.alone, size))
            if alone and not e.At(size)(demand.cond):
                return size
        return self.declared

    def __repr__(self) -> str:
        return f"<{self.program.name} takes {self.describe()}>"


def _around(sizes: Sizes, side: int) -> list[int]:
    """The nearest members of a set, on both sides."""
    found, low, high = [], sizes.before(side), sizes.next(side)
    for _ in range(CHOICES // 2):
        if low is not None:
            found.append(low)
            low = sizes.before(low - 1)
        if high is not None:
            found.append(high)
            high = sizes.next(high + 1)
    return sorted(set(found))


def shells(sides: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """All sizes by their distance from one, which is the sum of the sides' differences."""
    return (size for far in itertools.count() for size in _at_distance(sides, far))


def _at_distance(sides: tuple[int, ...], far: int) -> Iterator[tuple[int, ...]]:
    first, *rest = sides
    for own in range(far + 1) if rest else (far,):
        for side in {first - own, first + own}:
            if side > 0 and rest:
                yield from ((side, *more) for more in _at_distance(tuple(rest), far - own))
            elif side > 0:
                yield (side,)
