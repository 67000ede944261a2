"""Whether a program keeps what its text says behind `where`: that every such size is taken.

In: a program with a promise. Out: what is wrong, or None. A promise is solved as the demands of
steps are: what it asks of each axis, and the boxes of what it asks of several. It is kept where
nothing of it lies outside of what the network takes; the smallest size that does is named, with the
step that refuses it. Where one side is said to be a number of the others (`h == w`), both sets are
solved once more with that number in its place.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from archdsl.diagnostics.catalogue.shapes import (
    NotDeclaredSo,
    NotProven,
    PromiseBroken,
    PromiseProblem,
)
from archdsl.diagnostics.model import Fix, Label
from archdsl.ir import expr as e
from archdsl.ir.graph import Program, Promise
from archdsl.sizes.clause import clause
from archdsl.sizes.result import InputSizes, shells
from archdsl.sizes.solve import Box, Solved, solve
from archdsl.sizes.walk import Cause, Demand
from archdsl.text import shape_text

TRIED = 5_000  # sizes, one by one, where sets do not decide


def broken(program: Program) -> PromiseProblem | None:
    """What is wrong with the promise of a program."""
    promise = program.promise
    return None if promise is None else _Proof(program, promise).problem()


def promised(program: Program, size: tuple[int, ...]) -> bool:
    """Whether the text says that this size may come in."""
    promise = program.promise
    return promise is None or bool(e.At(size)(promise.cond))


@dataclass(frozen=True)
class _Proof:
    program: Program
    promise: Promise

    @cached_property
    def sizes(self) -> InputSizes:
        return self.program.sizes

    @cached_property
    def said(self) -> Solved:
        """The sizes that are promised."""
        cause = Cause(self.promise.span, (), (), lambda shapes: "")
        parts = e.conjuncts(self.promise.cond) or ()
        demands = [Demand(part, cause) for part in parts]
        return solve(demands, set(self.sizes.sides), len(self.sizes.axes))

    def problem(self) -> PromiseProblem | None:
        span, sizes = self.promise.span, self.sizes
        if not promised(self.program, sizes.declared):
            near = ", ".join(map(shape_text, islice(self._promised_around(), 2)))
            hint = f"the nearest that are: {near}" if near else "none is near"
            return NotDeclaredSo(span, shape_text(sizes.declared), hint=hint)
        left = list(_without([*self.said.boxes], sizes.boxes))
        if not left and not sizes.formulas and self.said.exact:
            return None
        refused = self._refused(left)
        if refused is not None:
            return self._counterexample(refused)
        if self._equal_sides():
            return None
        hint, fixes = self._advice()
        return NotProven(span, sizes.describe(), hint=hint, fixes=fixes)

    def _promised_around(self) -> Iterator[tuple[int, ...]]:
        around = islice(shells(self.sizes.declared), TRIED)
        return (size for size in around if promised(self.program, size))

    def _refused(self, left: Sequence[Box]) -> tuple[int, ...] | None:
        """The smallest size that is promised and not taken, as far as `TRIED` sizes go."""
        candidates = self.said.boxes if self.sizes.formulas else left
        for size in islice(_ascending(candidates), TRIED):
            taken = self.sizes.described(size) or (not self.sizes.exact and size in self.sizes)
            if not taken and promised(self.program, size):
                return size
        return None

    def _equal_sides(self) -> bool:
        """Whether it is kept, where one side is said to be computed from the others."""
        for part in e.conjuncts(self.promise.cond) or ():
            if (found := _solved_for(part)) is None:
                continue
            place, value = found
            sides: list[int | e.Expr] = [*self.sizes.sides]
            sides[place] = value
            demands, known = self.sizes.demands(sides)
            cond = e.substituted(self.promise.cond, dict(zip(self.sizes.sides, sides, strict=True)))
            cause = Cause(self.promise.span, (), (), lambda shapes: "")
            parts = (*(e.conjuncts(cond) or ()), *(e.conjuncts(e.less(0, value)) or ()))
            said = [Demand(part, cause) for part in parts]
            axes = len(self.sizes.axes)
            mine, both = solve(said, known, axes), solve([*said, *demands], known, axes)
            whole = not both.formulas and mine.exact and both.exact
            if whole and not list(_without([*mine.boxes], both.boxes)):
                return True
        return False

    def _counterexample(self, size: tuple[int, ...]) -> PromiseProblem:
        cause = self.sizes.refusal(size)
        assert cause is not None
        text, (hint, fixes) = shape_text(size), self._advice()
        here = (s for s in cause.spans if s.source is self.promise.span.source)
        label = Label(next(here, cause.span), f"{text}: {cause.message}")
        problem = PromiseBroken(
            self.promise.span, self.program.name, text, str(cause), hint=hint, fixes=fixes
        )
        return problem.with_related(label)

    def _advice(self) -> tuple[str, tuple[Fix, ...]]:
        """The condition that says exactly what is taken."""
        sizes = self.sizes
        text = None if sizes.formulas else clause(sizes.boxes, sizes.letters)
        if not text or not sizes.exact:
            return "", ()
        return f"write `where {text}`", (
            Fix(f"write `where {text}`", ((self.promise.span, text),)),
        )


def _solved_for(part: e.Cond) -> tuple[int, int | e.Expr] | None:
    """The side that an equation gives as a number of others, and that number."""
    if not isinstance(part, e.Cmp) or part.parts[0] != "==":
        return None
    terms, constant = e.split(part.parts[1])
    for term, factor in terms.items():
        if isinstance(term, e.Var) and abs(factor) == 1:
            rest = e.total({t: -c * factor for t, c in terms.items() if t is not term}, 0)
            value = e.add(rest, -constant * factor)
            if isinstance(value, e.Expr) and term.parts[0] not in value.axes:
                return term.parts[0], value
    return None


def _without(boxes: list[Box], taken: Sequence[Box]) -> Iterator[Box]:
    """What of some boxes lies outside of others."""
    left = boxes
    for other in taken:
        cut: list[Box] = []
        for box in left:
            rest = box
            for axis, (own, away) in enumerate(zip(box, other, strict=True)):
                if outside := own & ~away:
                    cut.append((*rest[:axis], outside, *rest[axis + 1 :]))
                rest = (*rest[:axis], own & away, *rest[axis + 1 :])
        left = [box for box in cut if all(box)]
    yield from left


def _ascending(boxes: Sequence[Box]) -> Iterator[tuple[int, ...]]:
    """Every size of some boxes, those of the fewest places first."""
    queue: list[tuple[int, tuple[int, ...], int]] = []
    seen: set[tuple[int, tuple[int, ...]]] = set()

    def push(size: tuple[int | None, ...], place: int) -> None:
        sides = tuple(side for side in size if side is not None)
        if len(sides) == len(size) and (place, sides) not in seen:
            seen.add((place, sides))
            heapq.heappush(queue, (math.prod(sides), sides, place))

    for place, box in enumerate(boxes):
        push(tuple(sizes.least for sizes in box), place)
    while queue:
        _, size, place = heapq.heappop(queue)
        yield size
        for axis, sizes in enumerate(boxes[place]):
            push((*size[:axis], sizes.next(size[axis] + 1), *size[axis + 1 :]), place)


def allowed(program: Program) -> tuple[Box, bool] | None:
    """For each axis the sizes that may come in, whatever the others are: what is promised, else
    what is taken, around the declared size. And whether all sides are equal. None: no set for each
    axis says it."""
    sizes = program.sizes
    boxes, formulas, exact = sizes.boxes, [d.cond for d in sizes.formulas], True
    if program.promise is not None:
        said = _Proof(program, program.promise).said
        boxes, formulas, exact = said.boxes, [d.cond for d in said.formulas], said.exact
    first, *others = sizes.sides
    square = [e.equal(first, other) for other in others]
    equal = bool(square) and all(cond in square for cond in formulas) and len(formulas) > 0
    equal = equal and all(cond in formulas for cond in square)
    box = next(
        (b for b in boxes if all(h in s for h, s in zip(sizes.declared, b, strict=True))), ()
    )
    if not box or not exact or (formulas and not equal):
        return None
    if equal:
        both = box[0]
        for other in box[1:]:
            both = both & other
        box = (both,) * len(box)
    return box, equal
