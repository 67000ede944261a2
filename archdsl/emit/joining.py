"""Blocks that differ in parts that only some of them have: one class, whose arguments say which.

In: families of graphs with one body each. Out: the same, or where the families of a block have more
in common than not, one family of them all. A part that some lack is a `Maybe`, steps of the forward
that some lack stand in a `Choice`; an activation that may be missing is an argument that is None.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from archdsl.emit.arguments import Family
from archdsl.emit.code import flat, is_attribute
from archdsl.emit.courses import FLAG, UNSET, Courses
from archdsl.emit.names import variable
from archdsl.emit.tree import (
    Apply,
    Body,
    Child,
    Choice,
    Code,
    Expr,
    Infix,
    Lit,
    Loop,
    Make,
    Maybe,
    Member,
    Own,
    Repeat,
    Step,
    Value,
    found,
    rewrite,
)
from archdsl.emit.unify import (
    Meanings,
    Pair,
    Unlike,
    absent,
    aligned,
    filled,
    likeness,
    unify,
    with_literals,
)

MOST = 12  # families of one block that are compared with each other
REPEATS, SUM = "repeats", "residual"
Part = Expr | Child | Own | Loop


def joined(families: Iterable[Family]) -> list[Family]:
    """The families, in the order of their first graphs."""
    groups: dict[str, list[Family]] = {}
    for family in families:
        groups.setdefault(family.name, []).append(family)
    result: list[Family] = []
    for members in groups.values():
        blocks = all(family.graphs[0].block is not None for family in members)
        result += _joined(members) if blocks and 1 < len(members) <= MOST else members
    return result


def _joined(members: list[Family]) -> list[Family]:
    order = {id(family): place for place, family in enumerate(members)}
    joins: list[tuple[int, Family]] = []
    for family in sorted(members, key=lambda member: -_size(member.body)):
        place = order[id(family)]
        for number, (first, known) in enumerate(joins):
            try:
                joins[number] = min(first, place), _Join(known, family).family()
                break
            except Unlike:
                continue
        else:
            joins.append((place, family))
    made = [family for _, family in sorted(joins, key=lambda join: join[0])]
    for family in made:
        if not any(family is member for member in members):
            _settle(family)
            filled(family)
    return made


def _size(body: Body) -> int:
    calls = len(found((body.layers, body.members), Apply))
    return calls + len(found(body.members, Make)) + len(body.steps)


class _Join:
    """`matched`, `apart`: how many parts both have, and how many only one of them."""

    def __init__(self, one: Family, other: Family) -> None:
        self.one, self.other = one, other
        # literals of their own, so that each is found again
        self.bodies = (
            _marked(_spelled(one.body, other.body)),
            _marked(_spelled(other.body, one.body)),
        )
        self.meanings = Meanings(one), Meanings(other)
        self.matched = self.apart = 0

    def family(self) -> Family:
        pair = self._bodies()
        if self.apart > self.matched:
            raise Unlike
        made = Family(self.one.name, pair[0])
        for family, source, shape in zip((self.one, self.other), self.bodies, pair, strict=True):
            places = {id(lit): place for place, lit in enumerate(found(source, Lit))}
            order = [(places.get(id(lit)), lit) for lit in found(shape, Lit)]
            made.graphs += family.graphs
            for body in family.bodies:
                own = found(body, Lit)
                row = (lit if place is None else own[place] for place, lit in order)
                made.bodies.append(with_literals(shape, row))
        _settle(_copy(made))  # whether that can be said
        return made

    def _bodies(self) -> tuple[Body, Body]:
        one, other = self.bodies
        if one.inputs != other.inputs or one.absent or other.absent:
            raise Unlike
        if (one.layers is None) != (other.layers is None):
            raise Unlike
        layers: Pair = None, None
        if one.layers is not None and other.layers is not None:
            before = self.apart
            layers = self._parts(one.layers, other.layers)
            if one.outputs and self.apart > before:
                raise Unlike  # the forward calls them by number
        members = self._parts(one.members, other.members)
        courses = Courses(one, other, self.meanings)
        steps, others, outputs = courses.pair()
        self.matched += courses.matched
        self.apart += courses.apart
        inits, names = unify(one.inits, other.inits), one.input_names
        return (
            Body(layers[0], members[0], steps, one.inputs, outputs[0], (), inits[0], names),
            Body(layers[1], members[1], others, one.inputs, outputs[1], (), inits[1], names),
        )

    # ---- layers and submodules -------------------------------------------------------------------

    def _parts(self, ones: tuple[Any, ...], others: tuple[Any, ...]) -> Pair:
        def alike(i: int, j: int) -> float | None:
            try:
                return likeness(self._part(ones[i], others[j]), *self.meanings)
            except Unlike:
                return None

        counts = self.matched, self.apart
        ways = list(aligned(ones, others, alike))
        self.matched, self.apart = counts  # as they were before the comparisons
        if any(
            None in one and None in other and (one[0] is None) != (other[0] is None)
            for one, other in itertools.pairwise(ways)
        ):
            raise Unlike  # a part in place of another
        pairs: list[Pair] = []
        alone = [None not in way for way in ways]
        runs = [not (before and after) for before, after in _neighbours(alone)]
        for (i, j), run in zip(ways, runs, strict=True):
            if i is not None and j is not None:
                pairs.append(self._part(ones[i], others[j]))
                self.matched += 1
            elif i is not None:
                pairs.append(_missing(ones[i], run))
                self.apart += 1
            elif j is not None:
                pairs.append(_missing(others[j], run)[::-1])
                self.apart += 1
        return tuple(a for a, _ in pairs), tuple(b for _, b in pairs)

    def _part(self, one: Any, other: Any) -> Pair:
        if isinstance(one, Maybe):
            a, b = self._part(one.layer, other)
            return replace(one, layer=a), Maybe(_hinted(FLAG, a), b)
        if isinstance(one, Repeat) and isinstance(other, Make):
            other = Repeat(other, Lit(1, REPEATS))
        if isinstance(other, Repeat) and isinstance(one, Make):
            one = Repeat(one, Lit(1, REPEATS))
        if isinstance(one, Child) and isinstance(other, Child) and one.name == other.name:
            a, b = self._built(one.expr, other.expr)
            flag = None if one.flag is None else _hinted(FLAG, one)
            return replace(one, expr=a), replace(other, expr=b, flag=flag)
        return unify(one, other)

    def _built(self, one: Expr, other: Expr) -> Pair:
        """How a submodule is made: an nn.Sequential may lack a layer."""
        if not _is_sequential(one) or not _is_sequential(other):
            return unify(one, other)
        assert isinstance(one, Apply) and isinstance(other, Apply)
        try:
            return unify(one, other)
        except Unlike:
            a, b = self._parts(one.args, other.args)
            return replace(one, args=a), replace(other, args=b)


def _is_sequential(expr: Expr) -> bool:
    """One whose layers go by number."""
    named = isinstance(expr, Apply) and any(
        isinstance(arg, Apply) and arg.target == Code("OrderedDict") for arg in expr.args
    )
    return isinstance(expr, Apply) and expr.target == Code("nn.Sequential") and not named


def _neighbours(flags: list[bool]) -> Iterator[tuple[bool, bool]]:
    return zip([True, *flags][: len(flags)], [*flags, True][1:], strict=True)


def _missing(part: Any, run: bool) -> Pair:
    """A part of one body, and what stands for it where it is missing; `run`: with others."""
    match part:
        case Child() if is_attribute(part.name):
            flag = part.flag or _hinted(FLAG, part)
            none = Child(part.name, absent(part.expr), _hinted(UNSET, part))
            return replace(part, flag=flag), none
        case Child() | Own() | Loop():
            raise Unlike
        case Maybe():
            return part, Maybe(_hinted(UNSET, part.layer), absent(part.layer))
        case Repeat():
            return part, Repeat(absent(part.item), Lit(0, REPEATS))
        case Apply(target=Lit() as act) if (
            part.optional or not run
        ):  # an activation: its class is None
            none_ = replace(act, value=None, silent=True)
            return replace(part, optional=True), replace(absent(part), target=none_, optional=True)
    return Maybe(_hinted(FLAG, part), part), Maybe(_hinted(UNSET, part), absent(part))


def _hinted(flag: Lit, part: Any) -> Lit:
    """The flag, which may be called after what is there or not."""
    match part:
        case Child():
            name = part.name
        case Make():
            name = part.cls.family
        case Apply():
            name = flat(part.target).rpartition(".")[2]
        case _:
            name = flag.hint
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return replace(flag, hint=variable(snake))


# ---- a family's bodies -------------------------------------------------------------------------


def _spelled(body: Body, beside: Body) -> Body:
    """A chain with a forward, where it stands beside a body that has one."""
    if body.layers is None or body.outputs or not beside.outputs:
        return body
    if not _is_sequential(Apply(Code("nn.Sequential"), body.layers)):
        return body
    count = sum(
        int(found(layer.count, Lit)[0].value) if isinstance(layer, Repeat) else 1
        for layer in body.layers
    )
    steps = tuple(
        Step(
            Apply(Code(f"self[{place}]"), (Value(place),)),
            (place + 1,),
            *(None, True, False, False, False),
        )
        for place in range(count)
    )
    return replace(body, steps=steps, outputs=(Value(count),))


def _marked(body: Body) -> Body:
    result: Body = rewrite(body, lambda leaf: replace(leaf) if isinstance(leaf, Lit) else leaf)
    return result


# ---- what a choice depends on ------------------------------------------------------------------


def _copy(family: Family) -> Family:
    """The family with a list of bodies of its own."""
    made = Family(family.name, family.body, family.graphs)
    made.bodies = [*family.bodies]
    return made


def _settle(family: Family) -> None:
    """A choice depends on whether a submodule is there, where it is so; else on an argument."""
    optional: dict[str, tuple[Any, ...]] = {}
    for column in zip(*(body.members for body in family.bodies), strict=True):
        flags = [m.flag for m in column if isinstance(m, Child) and isinstance(m.flag, Lit)]
        if flags:
            optional[column[0].name] = tuple(flag.value for flag in flags)
    choices = [[step for step in body.steps if isinstance(step, Choice)] for body in family.bodies]
    for row in zip(*choices, strict=True):
        settled = _settled(list(row), optional)
        for number, (old, new) in enumerate(zip(row, settled, strict=True)):
            body = family.bodies[number]
            steps = tuple(new if step is old else step for step in body.steps)
            family.bodies[number] = replace(body, steps=steps)


def _settled(row: list[Choice], optional: dict[str, tuple[Any, ...]]) -> list[Choice]:
    yes, no = (
        {m.name for m in found(steps, Member) if m.name in optional}
        for steps in (row[0].yes, row[0].no)
    )
    # two ways are told apart by a submodule that one of them needs, no more
    if (yes and no) or (row[0].yes and row[0].no and not (yes or no)):
        raise Unlike
    if no or not (yes or row[0].yes):
        return _settled([_turned(choice) for choice in row], optional)
    flags = tuple(_value(choice) for choice in row)
    if any(optional[name] != flags for name in yes):
        raise Unlike
    turned = tuple(not flag for flag in flags)
    for names, word in (
        (sorted(yes), "is not None"),
        ([name for name, known in optional.items() if known == flags][:1], "is not None"),
        ([name for name, known in optional.items() if known == turned][:1], "is None"),
    ):
        if names:
            text = " and ".join(f"self.{name} {word}" for name in names)
            return [replace(choice, flag=Code(text)) for choice in row]
    hint = _hint(row[0].yes)
    return [
        replace(choice, flag=replace(choice.flag, hint=hint))
        for choice in row
        if isinstance(choice.flag, Lit)
    ]


def _value(choice: Choice) -> bool:
    assert isinstance(choice.flag, Lit)
    return bool(choice.flag.value)


def _turned(choice: Choice) -> Choice:
    return Choice(
        UNSET if _value(choice) else FLAG,
        choice.no,
        choice.yes,
        choice.results,
        choice.otherwise,
        choice.taken,
    )


def _hint(steps: tuple[Step, ...]) -> str:
    if any(part.operator == "+" for part in found(steps, Infix)):
        return SUM
    names = [flat(call.target) for call in found(steps, Apply) if isinstance(call.target, Code)]
    return variable(names[0].rpartition(".")[2]) if names else FLAG.hint
