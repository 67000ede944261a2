"""Which graphs share a class, and what its constructor takes.

In: a program. Out: the classes in the order in which the source must define them, the model's own
last. Graphs whose bodies differ only in literals are instances of one class; literals that differ
become arguments, named after the block's own parameters where the values agree with one of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from archdsl.backends.body import Body, body, is_chain, positional
from archdsl.backends.code import Apply, Code, Expr, Lit, Make, found, literal, rewrite
from archdsl.backends.loops import looped
from archdsl.backends.names import TAKEN, unique, variable
from archdsl.backends.variants import name_classes
from archdsl.ir.graph import Graph, Program, Scope
from archdsl.ir.labels import RESERVED
from archdsl.ir.walk import graphs

CHANNELS, DIM = "in_channels", "dim"
LONG = {"out": "out_channels"}


@dataclass
class Parameter:
    """A constructor's argument. `default`: what torch takes where nothing is said, a `Lit`.
    `stored`: the forward reads it, as an attribute. `role`: its literals'."""

    name: str
    type: str
    default: Lit | None
    stored: bool
    role: str

    @property
    def plain(self) -> bool:
        """Whether it needs no name where it comes first: the channels that come in."""
        return self.name in (CHANNELS, DIM)

    @property
    def text(self) -> str:
        default = "" if self.default is None else f" = {literal(self.default.value)}"
        return f"{self.name}: {self.type}{default}"


class ClassDef:
    """A class of the source. `family`: the name of the block, or of a group's label without its
    number; `label`: that label, where all of the class's instances have the same."""

    def __init__(self, family: str, body: Body, label: str = "") -> None:
        self.family, self.body, self.label = family, body, label
        self.parameters: list[Parameter] = []
        self.name = ""

    def arguments(self, args: Sequence[Expr]) -> Iterator[tuple[str, Expr]]:
        """The arguments of a call: those without a name stand first, and none is left out there."""
        first = True
        for parameter, arg in zip(self.parameters, args, strict=True):
            given = not (isinstance(arg, Lit) and arg.silent)
            first = first and given and parameter.plain
            if given:
                yield ("" if first else f"{parameter.name}="), arg


@dataclass(eq=False)
class _Family:
    """Graphs with one body: an instance each."""

    name: str
    body: Body
    graphs: list[Graph] = field(default_factory=list)
    bodies: list[Body] = field(default_factory=list)


def share(program: Program, outputs: tuple[int, ...], taken: frozenset[str]) -> list[ClassDef]:
    """The classes, with their names; `taken`: names that none may have."""
    root = program.graph
    labels, uses = _survey(root)
    built: dict[Graph, Expr] = {}
    for level in _levels(root):
        families: dict[tuple[str, Body], _Family] = {}
        for graph in level:
            # a block whose layers have names reads better with a forward
            chain = is_chain(graph, graph.outputs)
            sequential = chain and (graph.block is None or positional(graph))
            content = looped(body(graph, graph.outputs, built, sequential=sequential))
            name = graph.block or _stem(labels[graph])
            family = families.setdefault((name, content), _Family(name, content))
            family.graphs.append(graph)
            family.bodies.append(content)
        for family in families.values():
            if _inline(family, sum(uses[graph] for graph in family.graphs)):
                for graph, content in zip(family.graphs, family.bodies, strict=True):
                    built[graph] = _sequential(content.layers or ())
            else:
                built.update(_class(family, _label(family, labels)))
    sequential = is_chain(root, outputs) and positional(root) and bool(root.items)
    content = body(root, outputs, built, sequential=sequential, root=True)
    classes = _ordered(ClassDef(program.name, content))
    name_classes(classes, taken)
    return classes


def _inline(family: _Family, uses: int) -> bool:
    """A plain chain is written where it is used, unless it is a block that is used again."""
    layers = family.body.layers
    if layers is None or family.body.outputs or family.body.inits:
        return False
    return family.graphs[0].block is None or uses < 2 or len(layers) < 2


def _sequential(layers: tuple[Expr, ...]) -> Expr:
    if not layers:
        return Apply(Code("nn.Identity"))
    return Apply(Code("nn.Sequential"), layers, rows=True)


def _survey(root: Graph) -> tuple[dict[Graph, list[str]], dict[Graph, int]]:
    """For each graph below the root the labels of its scopes, and how often it is used."""
    labels: dict[Graph, list[str]] = {}
    uses: dict[Graph, int] = {}
    for graph in graphs(root):
        for item in graph.items:
            if isinstance(item, Scope):
                labels.setdefault(item.graph, []).append(item.name)
                uses[item.graph] = uses.get(item.graph, 0) + 1
    return labels, uses


def _levels(root: Graph) -> Iterator[list[Graph]]:
    """The graphs below the root by height: a graph after all that it holds."""
    heights: dict[Graph, int] = {}
    levels: dict[int, list[Graph]] = {}
    for graph in list(graphs(root))[:-1]:
        inner = (heights[item.graph] for item in graph.items if isinstance(item, Scope))
        heights[graph] = max(inner, default=-1) + 1
        levels.setdefault(heights[graph], []).append(graph)
    for height in sorted(levels):
        yield levels[height]


def _label(family: _Family, labels: dict[Graph, list[str]]) -> str:
    """The label that all of a group's instances have; a block goes by its own name."""
    names = {label for graph in family.graphs for label in labels[graph]}
    return names.pop() if len(names) == 1 and family.graphs[0].block is None else ""


def _stem(labels: list[str]) -> str:
    """What a group is called without the numbers: `branch` for branch1 and branch2."""
    return re.sub(r"[\d_\W]+$", "", labels[0]) or labels[0]


# ---- literals that differ become arguments -----------------------------------------------------


def _class(family: _Family, label: str) -> Iterator[tuple[Graph, Expr]]:
    """Makes the class of a family; yields how each of its graphs is constructed."""
    first = family.bodies[0]
    rows = [found(content, Lit) for content in family.bodies]
    columns = list(zip(*rows, strict=True))
    in_forward = len(found((first.layers, first.members), Lit))
    stored = range(in_forward, in_forward + len(found(first.steps, Lit)))
    # what torch would take everywhere, though the values differ (a stride as large as its kernel)
    unsaid = [all(lit.silent for lit in column) for column in columns]
    varying = [
        place
        for place, column in enumerate(columns)
        if len({repr(lit.value) for lit in column}) > 1 and not unsaid[place]
    ]
    arguments = []
    for name, places in _parameter_names(family, columns, varying, stored):
        column = columns[places[0]]
        silent = next((c for p in places for c in columns[p] if c.silent), None)
        read = any(place in stored for place in places)
        parameter = Parameter(name, _type(column), silent, read, column[0].role)
        arguments.append((parameter, places, column))
    # those that may be left out stand last
    arguments.sort(key=lambda argument: argument[0].default is not None)
    made = ClassDef(family.name, first, label)
    made.parameters = [parameter for parameter, _, _ in arguments]
    made.body = _with_arguments(
        first, {p: a for a, places, _ in arguments for p in places}, stored, unsaid
    )
    for row, graph in enumerate(family.graphs):
        yield graph, Make(made, tuple(_given(a, column[row]) for a, _, column in arguments))


def _given(parameter: Parameter, lit: Lit) -> Lit:
    default = parameter.default
    silent = default is not None and repr(default.value) == repr(lit.value)
    return Lit(lit.value, parameter.name, silent, parameter.role)


def _with_arguments(
    content: Body, arguments: dict[int, Parameter], stored: range, unsaid: list[bool]
) -> Body:
    places = iter(range(len(unsaid)))

    def change(leaf: Any) -> Any:
        if not isinstance(leaf, Lit):
            return leaf
        place = next(places)
        if place not in arguments:
            return Lit(leaf.value, leaf.hint, unsaid[place], leaf.role)
        name = arguments[place].name
        return Code(f"self.{name}" if place in stored else name)

    result: Body = rewrite(content, change)
    return result


def _parameter_names(
    family: _Family, columns: list[tuple[Lit, ...]], varying: list[int], stored: range
) -> list[tuple[str, list[int]]]:
    """A name for each argument, and the literals it stands for; in the order of the signature."""
    settings = [dict(graph.args) for graph in family.graphs]
    given = {
        name: tuple(_plain(known[name]) for known in settings)
        for name in settings[0]
        if all(name in known for known in settings)
    }
    incoming = {
        CHANNELS: tuple(_plain(graph.input_shapes[0][:1]) for graph in family.graphs),
        DIM: tuple(_plain(graph.input_shapes[0][-1:]) for graph in family.graphs),
    }
    roles = {columns[place][0].role for place in varying}
    #: the same values, meaning the same -> the name where there is one, and the places
    groups: dict[tuple[Any, ...], tuple[str | None, list[int]]] = {}
    for place in varying:
        role = columns[place][0].role
        exact = tuple(repr(lit.value) for lit in columns[place])
        values = tuple(_plain(lit.value) for lit in columns[place])
        name = None if role else next((n for n, v in incoming.items() if v == values), None)
        if name is None:
            name = _fitting(role, [n for n, known in given.items() if known == values], roles)
        key = (name or role, exact)
        groups.setdefault(key, (name, []))[1].append(place)
    order = [*incoming, *map(variable, given)]
    attributes = {
        *RESERVED,
        *(item.name for item in family.graphs[0].items if item.name is not None),
    }
    names: list[tuple[int, str, list[int]]] = []
    used: set[str] = set()
    for known_name, places in groups.values():
        if known_name is None:
            name, rank = variable(columns[places[0]][0].hint), len(order)
            if name in order:  # the block means something else by it
                name = LONG.get(name, name)
        else:
            name = variable(known_name)
            rank = order.index(name)
        hidden = attributes if any(place in stored for place in places) else set()
        name = unique(name, used | hidden | TAKEN)
        used.add(name)
        names.append((rank, name, places))
    names.sort(key=lambda entry: entry[0])
    return [(name, places) for _, name, places in names]


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


def _plain(value: Any) -> Any:
    """A form in which the block's argument `3x3` equals torch's `kernel_size=3`."""
    if isinstance(value, tuple):
        return _plain(value[0]) if value and len(set(value)) == 1 else tuple(map(_plain, value))
    if isinstance(value, (bool, int, float, str)) or value is None:
        return isinstance(value, bool), value
    return id(value)


def _type(column: Iterable[Lit]) -> str:
    names: dict[str, None] = {}
    for lit in column:
        name = "None" if lit.value is None else type(lit.value).__name__
        if isinstance(lit.value, tuple):
            name = f"tuple[{', '.join(type(part).__name__ for part in lit.value)}]"
        names[name] = None
    return " | ".join(sorted(names, key=lambda name: (name == "None", "[" in name)))


# ---- order -------------------------------------------------------------------------------------


def _ordered(root: ClassDef) -> list[ClassDef]:
    """The classes in use, each after those it makes."""
    seen: dict[ClassDef, None] = {}

    def visit(cls: ClassDef) -> None:
        if cls not in seen:
            for make in found(cls.body, Make):
                visit(make.cls)
            seen[cls] = None

    visit(root)
    return list(seen)
