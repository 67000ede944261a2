"""Two forwards as one: steps that only one of them takes stand in a `Choice`.

In: the steps and outputs of two bodies. Out: both in one shape. Values get new numbers; one that
is something else in either body leaves the choice that comes before as a value of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from archdsl.emit.tree import Body, Choice, Lit, Step, Value, rewrite
from archdsl.emit.unify import Meanings, Pair, Unlike, absent, aligned, likeness, unify

FLAG = Lit(True, "flag")
UNSET = replace(FLAG, value=False, silent=True)
LONGEST = 4  # steps that only one side takes, where both have such
NONE = -1  # what an assertion yields


@dataclass
class _Group:
    """A choice in the making: the steps of the first body alone, those of the other alone, the
    values that these yield, and what leaves it."""

    yes: list[Step] = field(default_factory=list)
    no: list[Step] = field(default_factory=list)
    inside: set[int] = field(default_factory=set)
    results: dict[tuple[int, int], int] = field(default_factory=dict)

    def pair(self) -> tuple[Choice, Choice]:
        yes, no = tuple(self.yes), tuple(self.no)
        taken = tuple(Value(one) for one, _ in self.results)
        otherwise = tuple(Value(other) for _, other in self.results)
        results = tuple(self.results.values())
        return (
            Choice(FLAG, yes, absent(no), results, taken, otherwise),
            Choice(UNSET, absent(yes), no, results, taken, otherwise),
        )


class Courses:
    """`matched`, `apart`: how many steps both have, and how many only one of them."""

    def __init__(self, one: Body, other: Body, meanings: tuple[Meanings, Meanings]) -> None:
        self.one, self.other, self.meanings = one, other, meanings
        self.matched = self.apart = 0
        self.next = itertools.count(one.inputs)
        #: the numbers that the values of each body have now
        self.ones = {number: number for number in range(one.inputs)}
        self.others = dict(self.ones)
        #: what leaves a choice that the first body had -> what it is for the other body
        self.aliases: dict[int, int] = {}
        #: values inside of such a choice
        self.hidden: set[int] = set()
        self.groups: list[_Group] = []

    def pair(self) -> tuple[tuple[Any, ...], tuple[Any, ...], Pair]:
        """The steps of both, and their outputs."""
        items: list[Pair | _Group] = []
        for one, others in self._aligned():
            if isinstance(one, Choice):
                items.append(self._choice(one, others))
            elif one is not None and others:
                items.append(self._both(one, others[0]))
                self.matched += 1
            else:
                if not items or not isinstance(items[-1], _Group):
                    self.groups.append(_Group())
                    items.append(self.groups[-1])
                self._alone(self.groups[-1], one, others)
                self.apart += 1
        outputs = unify(self.one.outputs, self.other.outputs, self._value)
        if any(group.no and len(group.yes) + len(group.no) > LONGEST for group in self.groups):
            raise Unlike
        pairs = [item.pair() if isinstance(item, _Group) else item for item in items]
        return tuple(a for a, _ in pairs), tuple(b for _, b in pairs), outputs

    def _aligned(self) -> list[tuple[Step | Choice | None, list[Step]]]:
        """The steps of the first body beside those of the other; a choice beside those of its steps
        that the other takes."""
        others = [step for step in self.other.steps if isinstance(step, Step)]
        rows: list[Step | Choice] = [*self.one.steps]
        # a choice stands for its steps; which of its sides the other takes is seen afterwards
        spelled = [
            (place, step)
            for place, row in enumerate(rows)
            for step in ((row,) if isinstance(row, Step) else (*row.yes, *row.no))
        ]
        sides = list(
            aligned(spelled, others, lambda i, j: self._likeness(spelled[i][1], others[j]))
        )
        found: list[tuple[Step | Choice | None, list[Step]]] = []
        for i, j in sides:
            place = None if i is None else spelled[i][0]
            row = None if place is None else rows[place]
            step = [] if j is None else [others[j]]
            if isinstance(row, Choice):
                if not found or found[-1][0] is not row:
                    if any(row is known for known, _ in found):
                        raise Unlike  # the other has a step of its own in between
                    found.append((row, []))
                found[-1][1].extend(step)
            else:
                found.append((row, step))
        for row in rows:
            if isinstance(row, Choice) and not any(row is known for known, _ in found):
                raise Unlike
        return found

    def _likeness(self, one: Step, other: Step) -> float | None:
        if len(one.results) != len(other.results) or one.training_only or other.training_only:
            return None
        try:
            # a layer that has a name is that layer whatever goes in; else what goes in says it
            pair = unify(one.expr, other.expr, lambda a, b: (a, b))
        except Unlike:
            return None
        return likeness(pair, *self.meanings)

    # ---- one step, or one choice -----------------------------------------------------------------

    def _both(self, one: Step, other: Step) -> tuple[Step, Step]:
        a, b = unify(one.expr, other.expr, self._value)
        results = self._new(one.results, self.ones)
        for number, result in zip(other.results, results, strict=True):
            self.others[number] = result
        return replace(one, expr=a, results=results), replace(one, expr=b, results=results)

    def _alone(self, group: _Group, one: Step | None, others: list[Step]) -> None:
        step = one or others[0]
        if step.training_only:
            raise Unlike
        numbers = self.ones if one is not None else self.others
        expr = self._moved(step.expr, one is not None, group)
        results = self._new(step.results, numbers)
        group.inside.update(results)
        (group.yes if one is not None else group.no).append(
            replace(step, expr=expr, results=results)
        )

    def _choice(self, one: Choice, others: list[Step]) -> tuple[Choice, Choice]:
        """A choice of the first body; the other takes all steps of one side of it, or has none and
        the choice has one side."""
        sides = {True: one.yes, False: one.no}
        fits = [flag for flag, steps in sides.items() if self._takes(steps, others)]
        if len(fits) != 1:
            raise Unlike
        made: dict[bool, Pair] = {}
        for flag, steps in sides.items():
            if flag == fits[0]:
                pairs = [self._both(a, b) for a, b in zip(steps, others, strict=True)]
                made[flag] = tuple(a for a, _ in pairs), tuple(b for _, b in pairs)
                self.hidden.update(number for a, _ in pairs for number in a.results)
                continue
            moved = []
            for step in steps:
                expr = rewrite(step.expr, self._renumbered)
                moved.append(replace(step, expr=expr, results=self._new(step.results, self.ones)))
            made[flag] = tuple(moved), absent(tuple(moved))
        taken, otherwise = (
            tuple(rewrite(value, self._renumbered) for value in values)
            for values in (one.taken, one.otherwise)
        )
        results = self._new(one.results, self.ones)
        for result, value in zip(results, taken if fits[0] else otherwise, strict=True):
            if isinstance(value, Value):
                self.aliases[result] = value.number
        first = Choice(one.flag, made[True][0], made[False][0], results, taken, otherwise)
        own = FLAG if fits[0] else UNSET
        return first, replace(first, flag=own, yes=made[True][1], no=made[False][1])

    def _takes(self, steps: Sequence[Step], others: list[Step]) -> bool:
        likes = [self._likeness(a, b) for a, b in zip(steps, others, strict=False)]
        return len(steps) == len(others) and None not in likes

    # ---- values ----------------------------------------------------------------------------------

    def _new(self, results: tuple[int, ...], numbers: dict[int, int]) -> tuple[int, ...]:
        made = tuple(NONE if number == NONE else next(self.next) for number in results)
        numbers.update(zip(results, made, strict=True))
        return made

    def _renumbered(self, leaf: Any) -> Any:
        return Value(self.ones[leaf.number]) if isinstance(leaf, Value) else leaf

    def _value(self, one: Value, other: Value) -> Pair:
        """What both use at one place: the same value, or what leaves a choice."""
        a, b = self.ones[one.number], self.others[other.number]
        seen = a
        while seen != b and seen in self.aliases:
            seen = self.aliases[seen]
        if seen == b:
            return Value(a), Value(a)
        if b in self.hidden:
            raise Unlike
        for group in self.groups:
            within = {a, b} & group.inside
            if within and not any({a, b} - within & g.inside for g in self.groups):
                result = group.results.setdefault((a, b), next(self.next))
                return Value(result), Value(result)
        raise Unlike

    def _moved(self, expr: Any, first: bool, group: _Group) -> Any:
        """An expression of one body alone; what is inside of another choice it gets from there."""
        numbers = self.ones if first else self.others

        def change(leaf: Any) -> Any:
            if not isinstance(leaf, Value):
                return leaf
            number = numbers[leaf.number]
            if number in self.hidden:
                number = next((one for one, other in self.aliases.items() if other == number), NONE)
                if number == NONE:
                    raise Unlike
            for known in self.groups:
                if known is not group and number in known.inside:
                    pairs = known.results.items()
                    found = [made for pair, made in pairs if pair[not first] == number]
                    if not found:
                        raise Unlike
                    return Value(found[0])
            return Value(number)

        return rewrite(expr, change)
