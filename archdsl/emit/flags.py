"""Blocks that differ in whether they add their input: one class, whose argument says it.

In: families of graphs with one body each. Out: the same, or where two families of a block have the
same parts, and one adds what the other returns, a family of both with two forwards.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from archdsl.emit.arguments import Family, plain
from archdsl.emit.tree import Body, Child, Infix, Lit, Other, found, rewrite

FLAG = "residual"
LONGEST = 4  # steps of a forward that may stand beside another
_ABSENT = object()


def flagged(families: list[Family]) -> list[Family]:
    groups: dict[tuple[str, Body], list[Family]] = {}
    for family in families:
        parts = replace(family.body, steps=(), outputs=())
        groups.setdefault((family.name, parts), []).append(family)
    result: list[Family] = []
    for members in groups.values():
        adding = [family for family in members if _adds(family.body)]
        simple = [family for family in members if not _adds(family.body)]
        if len(adding) == len(simple) == 1 and all(map(_may_share, members)):
            result.append(_both(adding[0], simple[0]))
        else:
            result += members
    return result


def _adds(content: Body) -> bool:
    return any(part.operator == "+" for part in found(content.steps, Infix))


def _may_share(family: Family) -> bool:
    content = family.body
    plain_parts = all(isinstance(member, Child) for member in content.members)
    return (
        family.graphs[0].block is not None
        and content.layers is None
        and plain_parts
        and len(content.outputs) == 1
        and not content.absent
        and len(content.steps) <= LONGEST
        and not any(lit.free for body in family.bodies for lit in found(body.steps, Lit))
    )


def _both(adding: Family, simple: Family) -> Family:
    made = Family(adding.name, adding.body)
    made.graphs = [*adding.graphs, *simple.graphs]
    yes, no = Lit(True, FLAG), Lit(False, FLAG, silent=True)
    without = _absent(simple.body.steps)
    bodies = [
        replace(body, other=Other(yes, without, simple.body.outputs)) for body in adding.bodies
    ]
    for body in simple.bodies:
        other = Other(no, body.steps, body.outputs)
        steps, outputs = _absent(adding.body.steps), adding.body.outputs
        bodies.append(replace(body, steps=steps, outputs=outputs, other=other))
    columns = list(zip(*(found(body, Lit) for body in bodies), strict=True))
    filled = [_filled(column, columns, made) for column in columns]
    for number, body in enumerate(bodies):
        made.bodies.append(_with(body, [column[number] for column in filled]))
    made.body = made.bodies[0]
    return made


def _with(content: Body, literals: list[Lit]) -> Body:
    """The body with other literals."""
    row = iter(literals)
    result: Body = rewrite(content, lambda leaf: next(row) if isinstance(leaf, Lit) else leaf)
    return result


def _absent(tree: Any) -> Any:
    """The literals of the forward that a graph does not have."""
    return rewrite(
        tree, lambda leaf: replace(leaf, value=_ABSENT) if isinstance(leaf, Lit) else leaf
    )


def _filled(
    column: tuple[Lit, ...], columns: list[tuple[Lit, ...]], family: Family
) -> tuple[Lit, ...]:
    """With values where there are none: of an argument that agrees, or anything."""
    present = {place: lit for place, lit in enumerate(column) if lit.value is not _ABSENT}
    if len(present) == len(column):
        return column
    lit = next(iter(present.values()))
    settings = [dict((*graph.args, *graph.lets)) for graph in family.graphs]
    known = [tuple(own.get(name) for own in settings) for name in settings[0]]
    known += [tuple(other.value for other in full) for full in columns if full[0].role == lit.role]
    known.insert(0, (lit.value,) * len(column))
    for values in known:
        agrees = all(plain(values[place]) == plain(lit.value) for place, lit in present.items())
        if agrees and all(type(value) is type(lit.value) for value in values):
            return tuple(
                present.get(place, replace(lit, value=value)) for place, value in enumerate(values)
            )
    nothing = replace(lit, value=type(lit.value)(), silent=True)
    return tuple(present.get(place, nothing) for place in range(len(column)))
