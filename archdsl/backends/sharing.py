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

from archdsl.backends.body import Body, body, is_chain, positional, unheld
from archdsl.backends.code import Apply, Code, Expr, Lit, Make, found, literal, rewrite
from archdsl.backends.loops import looped
from archdsl.backends.names import TAKEN, unique, variable
from archdsl.backends.variants import name_classes
from archdsl.ir.graph import Graph, Program, Scope
from archdsl.ir.labels import RESERVED
from archdsl.ir.walk import graphs
from archdsl.sizes.walk import Varying

CHANNELS, DIM = "in_channels", "dim"
#: what the channels of a layer are called that are not those that come out of the block
INNER = {"out": "hidden"}


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
        #: the block's parameters and names for numbers that are the same in all instances
        self.given: dict[str, Any] = {}
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
    checks = _checks(program)
    for level in _levels(root):
        families: dict[tuple[str, Body], _Family] = {}
        for graph in level:
            # a block whose layers have names reads better with a forward
            check = checks[graph]
            chain = is_chain(graph, graph.outputs, check)
            sequential = chain and (graph.block is None or positional(graph))
            content = body(graph, graph.outputs, built, sequential=sequential, checks=check)
            content = looped(content)
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
    check = checks[root]
    sequential = is_chain(root, outputs, check) and positional(root) and bool(root.items)
    content = body(root, outputs, built, sequential=sequential, checks=check, root=True)
    classes = _ordered(ClassDef(program.name, content))
    name_classes(classes, taken)
    return classes


def _checks(program: Program) -> dict[Graph, frozenset[int]]:
    """For each graph the sides of its input to check: those that any call of its block must, for
    they may come in otherwise."""
    root, varying = program.graph, Varying(program)
    sides: dict[tuple[str | Graph, int], set[int]] = {}
    keys = {graph: (graph.block or graph, len(graph.input_shapes[0])) for graph in graphs(root)}
    for graph, key in keys.items():
        loose = unheld(graph)
        sides.setdefault(key, set()).update(loose & varying(graph) if loose else loose)
    return {graph: frozenset(sides[key]) for graph, key in keys.items()}


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
    computed: dict[int, Expr] = {}
    for name, places in _parameter_names(family, columns, varying, stored, computed):
        if not places:
            base = tuple(Lit(value) for value in _bases(family)[name])
            arguments.append((Parameter(name, "int", None, False, ""), places, base))
            continue
        column = columns[places[0]]
        silent = next((c for p in places for c in columns[p] if c.silent), None)
        read = any(place in stored for place in places)
        parameter = Parameter(name, _type(column), silent, read, column[0].role)
        arguments.append((parameter, places, column))
    # those that may be left out stand last
    arguments.sort(key=lambda argument: argument[0].default is not None)
    made = ClassDef(family.name, first, label)
    settings = [dict((*graph.args, *graph.lets)) for graph in family.graphs]
    made.given = {
        name: value
        for name, value in settings[0].items()
        if all(_plain(known.get(name)) == _plain(value) for known in settings)
    }
    made.parameters = [parameter for parameter, _, _ in arguments]
    made.body = _with_arguments(
        first, {p: a for a, places, _ in arguments for p in places}, computed, stored, unsaid
    )
    for row, graph in enumerate(family.graphs):
        yield graph, Make(made, tuple(_given(a, column[row]) for a, _, column in arguments))


def _given(parameter: Parameter, lit: Lit) -> Lit:
    default = parameter.default
    silent = default is not None and repr(default.value) == repr(lit.value)
    return Lit(lit.value, parameter.name, silent, parameter.role)


def _with_arguments(
    content: Body,
    arguments: dict[int, Parameter],
    computed: dict[int, Expr],
    stored: range,
    unsaid: list[bool],
) -> Body:
    places = iter(range(len(unsaid)))

    def change(leaf: Any) -> Any:
        if not isinstance(leaf, Lit):
            return leaf
        place = next(places)
        if place in computed:
            return computed[place]
        if place not in arguments:
            return Lit(leaf.value, leaf.hint, unsaid[place], leaf.role)
        name = arguments[place].name
        return Code(f"self.{name}" if place in stored else name)

    result: Body = rewrite(content, change)
    return result


def _parameter_names(
    family: _Family,
    columns: list[tuple[Lit, ...]],
    varying: list[int],
    stored: range,
    computed: dict[int, Expr],
) -> list[tuple[str, list[int]]]:
    """A name for each argument, and the literals it stands for; in the order of the signature.
    Fills `computed`: the literals that are multiples or parts of an argument, which need none."""
    given = _given_names(family)
    bases = _bases(family)
    incoming = {name: values for name, values in bases.items() if name in (CHANNELS, DIM)}
    roles = {columns[place][0].role for place in varying}
    #: the same values, meaning the same -> the name where there is one, and the places
    groups: dict[tuple[Any, ...], tuple[str | None, list[int]]] = {}
    for place in varying:
        role = columns[place][0].role
        exact = tuple(repr(lit.value) for lit in columns[place])
        values = tuple(_plain(lit.value) for lit in columns[place])
        same = (n for n, known in incoming.items() if tuple(map(_plain, known)) == values)
        name = None if role else next(same, None)
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
    kernels: dict[str, tuple[Lit, ...]] = {}
    # what has a name of its own gets it
    for known_name, places in sorted(groups.values(), key=lambda group: group[0] is None):
        column = columns[places[0]]
        if known_name is None:
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


def _given_names(family: _Family) -> dict[str, tuple[Any, ...]]:
    """The block's parameters and its names for numbers, with their values in each graph."""
    settings = [dict((*graph.args, *graph.lets)) for graph in family.graphs]
    return {
        name: tuple(_plain(known[name]) for known in settings)
        for name in settings[0]
        if all(name in known for known in settings)
    }


def _bases(family: _Family) -> dict[str, tuple[int, ...]]:
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


def _half(kernel: tuple[Lit, ...], column: tuple[Lit, ...]) -> bool:
    """Whether this is the padding that keeps the size with such kernels."""
    return column[0].role == "padding" and all(
        type(k.value) is type(pad.value) is int and pad.value == k.value // 2
        for k, pad in zip(kernel, column, strict=True)
    )


def _leaves(family: _Family, column: tuple[Lit, ...]) -> bool:
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
