"""What a class's arguments are called, and which of its literals are none.

In: the graphs that share a class, and their literals in columns. Literals that differ become
arguments, named after the block's own parameters and names where the values agree with one of
them; what is a multiple or a part of another argument in all graphs is computed from it.
"""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from archdsl.emit.names import TAKEN, unique, variable
from archdsl.emit.tree import CHANNELS, DIM, Body, Code, Expr, Lit, Named
from archdsl.ir.graph import Graph
from archdsl.ir.labels import RESERVED

#: what the channels of a layer are called that are not those that come out of the block
INNER = {"out": "hidden"}


@dataclass(eq=False)
class Family:
    """Graphs with one body: an instance each."""

    name: str
    body: Body
    graphs: list[Graph] = field(default_factory=list)
    bodies: list[Body] = field(default_factory=list)


def parameter_names(
    family: Family,
    columns: list[tuple[Lit, ...]],
    varying: list[int],
    stored: Container[int],
    computed: dict[int, Expr],
    layers: Mapping[int, range],
) -> list[tuple[str, list[int]]]:
    """A name for each argument, and the literals it stands for; in the order of the signature.
    Fills `computed`: the literals that are multiples or parts of an argument, which need none.
    `layers`: the flags of layers that may be missing, and the literals of these."""
    given = _given_names(family)
    bases = bases_of(family)
    incoming = {name: values for name, values in bases.items() if name in (CHANNELS, DIM)}
    roles = {columns[place][0].role for place in varying}
    #: the same values, meaning the same -> the name where there is one, and the places
    groups: dict[tuple[Any, ...], tuple[str | None, list[int]]] = {}
    for place in varying:
        role = columns[place][0].role
        exact = tuple((repr(lit.value), lit.free) for lit in columns[place])
        values = tuple(plain(lit.value) for lit in columns[place])
        same = (n for n, known in incoming.items() if tuple(map(plain, known)) == values)
        name = None if role else next(same, None)
        if name is None:
            whole = all(type(lit.value) is int for lit in columns[place])
            # a number of the block's, which others are computed from, is no tuple of it
            named = [
                n for n, known in given.items() if known == values and (whole or n not in bases)
            ]
            name = _fitting(role, named, roles)
        key = (name or role, exact)
        groups.setdefault(key, (name, []))[1].append(place)
    order = [*incoming, *map(variable, given)]
    attributes = {
        *RESERVED,
        *(item.name for graph in family.graphs for item in graph.items if item.name is not None),
    }
    names: list[tuple[int, str, list[int]]] = []
    used: set[str] = set()
    kernels: dict[str, tuple[Lit, ...]] = {}
    # what has a name of its own gets it
    ways = sorted(groups.values(), key=lambda way: (way[0] is None, way[1][0] in layers))
    for known_name, places in ways:
        column = columns[places[0]]
        if known_name is None:
            if condition := _changes(places, columns, layers, names, incoming):
                computed.update(dict.fromkeys(places, Code(condition)))
                continue
            if half := next((n for n, k in kernels.items() if _half(k, column)), None):
                computed.update(dict.fromkeys(places, Code(f"{half} // 2")))
                continue
            if not any(place in stored for place in places):
                base = _relation(column, [*(n for _, n, _ in names), *bases], bases)
                if base is not None:
                    if base[0] not in used:
                        names.append((order.index(base[0]), base[0], []))
                        used.add(base[0])
                    computed.update(dict.fromkeys(places, base[1]))
                    continue
            name, rank = variable(column[0].hint), len(order)
            if column[0].hint in INNER and not _leaves(family, column):
                name = INNER[column[0].hint]
            if name in order:  # the block means something else by it
                name = INNER.get(name, name)
        else:
            name = variable(known_name)
            rank = order.index(name)
        hidden = attributes if any(place in stored for place in places) else set()
        name = unique(name, used | hidden | TAKEN)
        used.add(name)
        names.append((rank, name, places))
        if column[0].role == "kernel_size":
            kernels[name] = column
    names.sort(key=lambda entry: entry[0])
    return [(name, places) for _, name, places in names]


def _given_names(family: Family) -> dict[str, tuple[Any, ...]]:
    """The block's parameters and its names for numbers, with their values in each graph."""
    settings = [dict((*graph.args, *graph.lets)) for graph in family.graphs]
    return {
        name: tuple(plain(known[name]) for known in settings)
        for name in settings[0]
        if all(name in known for known in settings)
    }


def bases_of(family: Family) -> dict[str, tuple[int, ...]]:
    """Whole numbers that others may be computed from: the channels that come in, and the block's
    own parameters."""
    shapes = [graph.input_shapes[0] for graph in family.graphs]
    found: dict[str, tuple[Any, ...]] = {}
    if all(shapes):
        found[CHANNELS] = tuple(shape[0] for shape in shapes)
        found[DIM] = tuple(shape[-1] for shape in shapes)
    settings = [dict((*graph.args, *graph.lets)) for graph in family.graphs]
    for name in settings[0]:
        values = tuple(known.get(name) for known in settings)
        if variable(name) == name and all(type(value) is int for value in values):
            found.setdefault(name, values)
    return found


def _relation(
    column: tuple[Lit, ...], order: list[str], bases: dict[str, tuple[int, ...]]
) -> tuple[str, Expr] | None:
    """Which argument all the literals are multiples or parts of; `order`: the best first."""
    values = [lit.value for lit in column]
    if any(lit.free for lit in column):
        return None
    if not all(type(value) is int and value > 0 for value in values) or column[0].role:
        return None
    for name in order:
        known = bases.get(name, ())
        if not known or min(known) < 1 or len({*known}) < 2:
            continue
        for many, few, operator in ((values, known, "*"), (known, values, "//")):
            factor = many[0] // few[0]
            if factor > 1 and all(m == factor * f for m, f in zip(many, few, strict=True)):
                text = f"{factor} * {name}" if operator == "*" else f"{name} // {factor}"
                return name, Code(text)
    return None


def _changes(
    flags: list[int],
    columns: list[tuple[Lit, ...]],
    layers: Mapping[int, range],
    names: list[tuple[int, str, list[int]]],
    incoming: Mapping[str, tuple[int, ...]],
) -> str | None:
    """`mid != in_channels`, where that is so whenever the layer is there: one that takes the first
    number of channels and makes the other."""
    known = {p: name for _, name, places in names for p in places}
    for flag in flags:
        own = [p for p in layers.get(flag, ()) if p in known and not columns[p][0].role]
        for one, other in itertools.combinations(dict.fromkeys(known[p] for p in own), 2):
            first, second = (columns[next(p for p in own if known[p] == n)] for n in (one, other))
            if one not in incoming or any(lit.free for lit in (*first, *second)):
                continue
            if all(
                lit.value is (a.value != b.value)
                for lit, a, b in zip(columns[flag], first, second, strict=True)
            ):
                return f"{other} != {one}"
    return None


def _half(kernel: tuple[Lit, ...], column: tuple[Lit, ...]) -> bool:
    """Whether this is the padding that keeps the size with such kernels."""
    return column[0].role == "padding" and all(
        type(k.value) is type(pad.value) is int and pad.value == k.value // 2
        for k, pad in zip(kernel, column, strict=True)
    )


def _leaves(family: Family, column: tuple[Lit, ...]) -> bool:
    """Whether these are the channels that come out of the block."""
    shapes = [graph.output_shapes[0] for graph in family.graphs]
    return all(
        lit.value in (shape[:1], shape[-1:], *shape[:1], *shape[-1:])
        for lit, shape in zip(column, shapes, strict=True)
    )


def _fitting(role: str, names: list[str], roles: set[str]) -> str | None:
    """Which of the block's parameters, all of the same values, is meant: `padding` is `pad`, and
    not `stride`, though both are 1 here and 2 there."""
    if not role:
        return next(iter(names), None)
    for name in names:
        if role.startswith(name) or name.startswith(role):
            return name
    others = roles - {role}
    return next((n for n in names if not any(o.startswith(n) for o in others)), None)


def plain(value: Any) -> Any:
    """A form in which the block's argument `3x3` equals torch's `kernel_size=3`."""
    if isinstance(value, tuple):
        return plain(value[0]) if value and len(set(value)) == 1 else tuple(map(plain, value))
    if isinstance(value, (bool, int, float, str)) or value is None:
        return isinstance(value, bool), value
    return id(value)


def type_of(column: Iterable[Lit]) -> str:
    names: dict[str, None] = {}
    for lit in column:
        name = "None" if lit.value is None else type(lit.value).__name__
        if isinstance(lit.value, Named):
            name = "Callable[..., nn.Module]"
        if isinstance(lit.value, tuple):
            parts = ", ".join(type(part).__name__ for part in lit.value)
            name = f"tuple[{parts or '()'}]"
        names[name] = None
    return " | ".join(sorted(names, key=lambda name: (name == "None", "[" in name)))
