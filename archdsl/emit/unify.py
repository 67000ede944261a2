"""Two trees as one shape: what is the same in both, apart from literals.

In: two trees. Out: the same two in one shape, so that they differ in literals alone; or `Unlike`.
What only one of them has stands in the other too, with literals that have no value yet (`ABSENT`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from archdsl.emit.arguments import Family, bases_of, plain
from archdsl.emit.tree import LEAVES, Apply, Body, Code, Lit, Value, found, rewrite

ABSENT = object()
LARGEST = 4_000  # comparisons of parts with parts
MATCH = 10.0  # a pair of parts in place, against how alike two literals are (0 to 1)
Pair = tuple[Any, Any]
Row = TypeVar("Row")


class Unlike(Exception):
    """They are no variants of one thing."""


def no_value(one: Value, other: Value) -> Pair:
    raise Unlike


def unify(one: Any, other: Any, value: Callable[[Value, Value], Pair] = no_value) -> Pair:
    """Both in one shape; `value`: what two numbered values are."""
    if isinstance(one, Value) and isinstance(other, Value):
        return value(one, other)
    if isinstance(one, Lit) and isinstance(other, Lit):
        return one, other
    if isinstance(one, LEAVES) or type(one) is not type(other):
        return _equal(one, other)
    if isinstance(one, tuple):
        if len(one) != len(other):
            raise Unlike
        pairs = [unify(a, b, value) for a, b in zip(one, other, strict=True)]
        return tuple(a for a, _ in pairs), tuple(b for _, b in pairs)
    if not dataclasses.is_dataclass(one):
        return _equal(one, other)
    if isinstance(one, Apply):
        one, other = _alike(one, other)
    names = [f.name for f in dataclasses.fields(one)]
    pairs = [unify(getattr(one, name), getattr(other, name), value) for name in names]
    return type(one)(*(a for a, _ in pairs)), type(other)(*(b for _, b in pairs))


def _equal(one: Any, other: Any) -> Pair:
    if type(one) is not type(other) or one != other:
        raise Unlike
    return one, other


def _alike(one: Apply, other: Apply) -> tuple[Apply, Apply]:
    """An activation that may be optional is so in both, and one in place in neither where it may
    not be so in the other."""
    if one.optional != other.optional:
        one, other = replace(one, optional=True), replace(other, optional=True)
    if one.kwargs != other.kwargs and isinstance(one.target, Code):
        one, other = _kept(one), _kept(other)
    return one, other


def _kept(call: Apply) -> Apply:
    return replace(call, kwargs=tuple(pair for pair in call.kwargs if pair[0] != "inplace"))


def absent(tree: Any) -> Any:
    """The tree where nothing is known of its literals."""
    return rewrite(
        tree, lambda leaf: replace(leaf, value=ABSENT) if isinstance(leaf, Lit) else leaf
    )


# ---- lists in which some parts are missing -----------------------------------------------------


def aligned(
    one: Sequence[Row], other: Sequence[Row], likeness: Callable[[int, int], float | None]
) -> Iterator[tuple[int | None, int | None]]:
    """Which part of one list is which of the other, and which is in one alone: as many pairs as
    there can be, of these the most alike; `likeness`: None where the two cannot be one."""
    if len(one) * len(other) > LARGEST:
        raise Unlike
    best: dict[tuple[int, int], tuple[float, str]] = {}
    for i in range(len(one), -1, -1):
        for j in range(len(other), -1, -1):
            ways: list[tuple[float, str]] = (
                [(0.0, "end")] if (i, j) == (len(one), len(other)) else []
            )
            if i < len(one) and j < len(other) and (like := likeness(i, j)) is not None:
                ways.append((MATCH + like + best[i + 1, j + 1][0], "both"))
            if i < len(one):
                ways.append((best[i + 1, j][0], "one"))
            if j < len(other):
                ways.append((best[i, j + 1][0], "other"))
            best[i, j] = max(ways, key=lambda way: way[0])
    i = j = 0
    while (way := best[i, j][1]) != "end":
        yield (None if way == "other" else i), (None if way == "one" else j)
        i, j = i + (way != "other"), j + (way != "one")


class Meanings:
    """What the numbers of a family's first graph may mean: which of the block's it equals."""

    def __init__(self, family: Family) -> None:
        graph = family.graphs[0]
        settings = dict((*graph.args, *graph.lets))
        first = Family(family.name, family.body, graphs=[graph])
        settings.update({name: values[0] for name, values in bases_of(first).items()})
        self.names: dict[Any, set[str]] = {}
        for name, value in settings.items():
            self.names.setdefault(plain(value), set()).add(name)

    def of(self, lit: Lit) -> set[str]:
        return self.names.get(plain(lit.value), set())


def likeness(pair: Pair, one: Meanings, other: Meanings) -> float:
    """From 0 to 1, how many literals of two trees of one shape are the same or mean the same."""
    lits = [*zip(found(pair[0], Lit), found(pair[1], Lit), strict=True)]
    points = sum(
        (a.silent == b.silent)
        + 2 * (repr(a.value) == repr(b.value) or bool(one.of(a) & other.of(b)))
        for a, b in lits
        if ABSENT not in (a.value, b.value)
    )
    return points / (3 * len(lits)) if lits else 1.0


# ---- values where there are none ---------------------------------------------------------------


def filled(family: Family) -> None:
    """Gives the literals of the family's bodies values where these have none: of an argument that
    agrees, of a multiple or a part of one, or anything."""
    columns = list(zip(*(found(body, Lit) for body in family.bodies), strict=True))
    rows = [*zip(*(_filled(column, columns, family) for column in columns), strict=True)]
    for number, row in enumerate(rows):
        family.bodies[number] = with_literals(family.bodies[number], iter(row))
    family.body = family.bodies[0]


def with_literals(body: Body, row: Iterator[Lit]) -> Body:
    """The body with other literals."""
    result: Body = rewrite(body, lambda leaf: next(row) if isinstance(leaf, Lit) else leaf)
    return result


def _filled(
    column: tuple[Lit, ...], columns: list[tuple[Lit, ...]], family: Family
) -> tuple[Lit, ...]:
    present = {place: lit for place, lit in enumerate(column) if lit.value is not ABSENT}
    if len(present) == len(column):
        return column
    lit = next(iter(present.values()))
    for values in _candidates(lit, columns, family, len(column)):
        agrees = all(plain(values[place]) == plain(lit.value) for place, lit in present.items())
        if agrees and all(type(value) is type(lit.value) for value in values):
            return tuple(present.get(p, _like(v, present)) for p, v in enumerate(values))
    nothing = replace(lit, value=type(lit.value)(), silent=True)
    return tuple(present.get(place, nothing) for place in range(len(column)))


def _like(value: Any, present: dict[int, Lit]) -> Lit:
    same = (lit for lit in present.values() if repr(lit.value) == repr(value))
    lit = next(same, None)
    return lit or replace(next(iter(present.values())), value=value, silent=False, free="")


def _candidates(
    lit: Lit, columns: list[tuple[Lit, ...]], family: Family, count: int
) -> Iterator[tuple[Any, ...]]:
    settings = [dict((*graph.args, *graph.lets)) for graph in family.graphs]
    named = [(name, tuple(own.get(name) for own in settings)) for name in settings[0]]
    for name, values in named:
        if not lit.role or name.startswith(lit.role) or lit.role.startswith(name):
            yield values
    yield (lit.value,) * count
    yield from (values for _, values in named)
    bases = bases_of(family)
    yield from bases.values()
    for column in columns:
        if column[0].role == lit.role:
            yield tuple(other.value for other in column)
    if lit.role or type(lit.value) is not int:
        return
    for known in bases.values():
        if min(known) < 1:
            continue
        factors = {lit.value // value for value in known} - {0}
        for factor in factors:
            yield tuple(factor * value for value in known)
        for factor in {value // lit.value for value in known if lit.value > 0} - {0}:
            if not any(value % factor for value in known):
                yield tuple(value // factor for value in known)
