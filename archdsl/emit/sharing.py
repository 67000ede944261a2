"""Which graphs share a class, and what its constructor takes.

In: a program. Out: the classes in the order in which the source must define them, the model's own
last. Graphs whose bodies differ only in literals are instances of one class; literals that differ
become arguments, named after the block's own parameters where the values agree with one of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator
from dataclasses import replace
from typing import Any

from archdsl.emit.arguments import Family, bases_of, parameter_names, plain, type_of
from archdsl.emit.body import Side, body, is_chain, positional, unheld
from archdsl.emit.joining import joined
from archdsl.emit.loops import looped
from archdsl.emit.measure import settled
from archdsl.emit.names import TAKEN, unique, variable
from archdsl.emit.tree import (
    Apply,
    Body,
    ClassDef,
    Code,
    Expr,
    Lit,
    Make,
    Maybe,
    Parameter,
    found,
    rewrite,
)
from archdsl.emit.variants import name_classes
from archdsl.ir.graph import Graph, Program, Scope
from archdsl.ir.labels import RESERVED
from archdsl.ir.walk import graphs
from archdsl.sizes.walk import Varying


def share(program: Program, outputs: tuple[int, ...], taken: frozenset[str]) -> list[ClassDef]:
    """The classes, with their names; `taken`: names that none may have."""
    program = settled(program)
    root = program.graph
    labels, uses = _survey(root)
    built: dict[Graph, Expr] = {}
    checks = _checks(program)
    settable = frozenset(name for name, _ in program.settable)
    for level in _levels(root):
        families: dict[tuple[str, Body], Family] = {}
        for graph in level:
            # a block whose layers have names reads better with a forward
            check = checks[graph]
            chain = is_chain(graph, graph.outputs, check)
            sequential = chain and (graph.block is None or positional(graph))
            content = body(
                graph,
                graph.outputs,
                built,
                sequential=sequential,
                checks=check,
                settable=settable,
            )
            content = looped(content)
            name = graph.block or _stem(labels[graph])
            family = families.setdefault((name, content), Family(name, content))
            family.graphs.append(graph)
            family.bodies.append(content)
        for family in joined(families.values()):
            if _inline(family, sum(uses[graph] for graph in family.graphs)):
                for graph, content in zip(family.graphs, family.bodies, strict=True):
                    built[graph] = _sequential(content.layers or ())
            else:
                built.update(_class(family, _label(family, labels)))
    check = checks[root]
    sequential = is_chain(root, outputs, check) and positional(root) and bool(root.items)
    content = body(
        root,
        outputs,
        built,
        sequential=sequential,
        checks=check,
        settable=settable,
        root=True,
    )
    classes = _ordered(_model(program, content))
    name_classes(classes, taken)
    return classes


def _model(program: Program, content: Body) -> ClassDef:
    """The model's own class, which takes the parameters that may have other values."""
    made = ClassDef(program.name, content)
    in_forward = {lit.free for lit in found(content.steps, Lit)}
    floats = {lit.free for lit in found(content, Lit) if isinstance(lit.value, float)}
    attributes = {*RESERVED, *(item.name for item in program.graph.items if item.name is not None)}
    names: dict[str, str] = {}
    for name, value in program.settable:
        stored = name in in_forward
        names[name] = unique(
            variable(name), {*names.values(), *(attributes if stored else ())} | TAKEN
        )
        default = Lit(float(value) if name in floats else value)
        kind = type(default.value).__name__
        made.parameters.append(Parameter(names[name], kind, default, stored, ""))

    def change(in_steps: bool) -> Callable[[Any], Any]:
        def changed(leaf: Any) -> Any:
            if not isinstance(leaf, Lit) or not leaf.free:
                return leaf
            return Code(f"self.{names[leaf.free]}" if in_steps else names[leaf.free])

        return changed

    made.body = replace(
        content,
        layers=rewrite(content.layers, change(False)),
        members=rewrite(content.members, change(False)),
        steps=rewrite(content.steps, change(True)),
    )
    return made


def _checks(program: Program) -> dict[Graph, frozenset[Side]]:
    """For each graph the sides of its values to check: those that any call of its block must, for
    they may come in otherwise."""
    root, varying = program.graph, Varying(program)
    sides: dict[tuple[str | Graph, int], set[Side]] = {}
    keys = {
        graph: (graph.block or graph, len(graph.input_shapes[0]))
        for graph in graphs(root, owned=True)
    }
    for graph, key in keys.items():
        loose = unheld(graph)
        found = {(0, side) for side in (loose & varying(graph) if loose else loose)}
        found.update(varying.loose(graph) & set(graph.fixed) if graph.fixed else ())
        sides.setdefault(key, set()).update(found)
    return {graph: frozenset(sides[key]) for graph, key in keys.items()}


def _inline(family: Family, uses: int) -> bool:
    """A plain chain is written where it is used, unless it is a block that is used again."""
    layers = family.body.layers
    if layers is None or family.body.outputs or family.body.inits or found(layers, Maybe):
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
    for graph in graphs(root, owned=True):
        for item in _owned(graph):
            labels.setdefault(item.graph, []).append(item.name)
            uses[item.graph] = uses.get(item.graph, 0) + 1
    return labels, uses


def _owned(graph: Graph) -> list[Scope]:
    """Its parts, each module once."""
    return [item for item in graph.items if isinstance(item, Scope) and not item.shares]


def _levels(root: Graph) -> Iterator[list[Graph]]:
    """The graphs below the root by height: a graph after all that it holds, and those of one block
    together, unless it holds itself."""
    below = list(graphs(root, owned=True))[:-1]
    blocks: dict[Graph, frozenset[str]] = {}  # all that are inside
    for graph in below:
        parts = [item.graph for item in _owned(graph)]
        own = {part.block for part in parts if part.block is not None}
        blocks[graph] = frozenset(own).union(*(blocks[part] for part in parts))
    nested = {graph.block for graph in below if graph.block in blocks[graph]}
    members: dict[str | Graph, list[Graph]] = {}
    keys: dict[Graph, str | Graph] = {}
    for graph in below:
        alone = graph.block is None or graph.block in nested
        keys[graph] = graph if alone else str(graph.block)
        members.setdefault(keys[graph], []).append(graph)
    heights: dict[str | Graph, int] = {}

    def height(key: str | Graph) -> int:
        if key not in heights:
            scopes = (item for graph in members[key] for item in _owned(graph))
            inner = (height(keys[item.graph]) for item in scopes)
            heights[key] = max(inner, default=-1) + 1
        return heights[key]

    levels: dict[int, list[Graph]] = {}
    for graph in below:
        levels.setdefault(height(keys[graph]), []).append(graph)
    for number in sorted(levels):
        yield levels[number]


def _label(family: Family, labels: dict[Graph, list[str]]) -> str:
    """The label that all of a group's instances have; a block goes by its own name."""
    names = {label for graph in family.graphs for label in labels[graph]}
    return names.pop() if len(names) == 1 and family.graphs[0].block is None else ""


def _stem(labels: list[str]) -> str:
    """What a group is called without the numbers: `branch` for branch1 and branch2."""
    return re.sub(r"[\d_\W]+$", "", labels[0]) or labels[0]


# ---- literals that differ become arguments -----------------------------------------------------


def _class(family: Family, label: str) -> Iterator[tuple[Graph, Expr]]:
    """Makes the class of a family; yields how each of its graphs is constructed."""
    first = family.bodies[0]
    rows = [found(content, Lit) for content in family.bodies]
    columns = list(zip(*rows, strict=True))
    in_forward = len(found((first.layers, first.members), Lit))
    stored = {*range(in_forward, in_forward + len(found(first.steps, Lit)))}
    # what torch would take everywhere, though the values differ (a stride as large as its kernel)
    unsaid = [all(lit.silent for lit in column) for column in columns]
    varying = [
        place
        for place, column in enumerate(columns)
        if (len({repr(lit.value) for lit in column}) > 1 and not unsaid[place])
        or any(lit.free for lit in column)
    ]
    arguments = []
    computed: dict[int, Expr] = {}
    layers = _layers_that_may_lack(first, rows[0])
    for name, places in parameter_names(family, columns, varying, stored, computed, layers):
        if not places:
            base = tuple(Lit(value) for value in bases_of(family)[name])
            arguments.append((Parameter(name, "int", None, False, ""), places, base))
            continue
        column = columns[places[0]]
        silent = next((c for p in places for c in columns[p] if c.silent), None)
        read = any(place in stored for place in places)
        parameter = Parameter(name, type_of(column), silent, read, column[0].role)
        arguments.append((parameter, places, column))
    # those that may be left out stand last
    arguments.sort(key=lambda argument: argument[0].default is not None)
    made = ClassDef(family.name, first, label)
    settings = [dict((*graph.args, *graph.lets)) for graph in family.graphs]
    made.given = {
        name: value
        for name, value in settings[0].items()
        if all(plain(known.get(name)) == plain(value) for known in settings)
    }
    made.parameters = [parameter for parameter, _, _ in arguments]
    made.body = _with_arguments(
        first, {p: a for a, places, _ in arguments for p in places}, computed, stored, unsaid
    )
    for row, graph in enumerate(family.graphs):
        yield graph, Make(made, tuple(_given(a, column[row]) for a, _, column in arguments))


def _layers_that_may_lack(content: Body, literals: list[Lit]) -> dict[int, range]:
    """The place of each flag of an optional layer among the literals, and those of the layer."""
    places = {id(lit): place for place, lit in enumerate(literals)}
    found_ = {places[id(m.flag)]: len(found(m.layer, Lit)) for m in found(content, Maybe)}
    return {flag: range(flag + 1, flag + 1 + count) for flag, count in found_.items()}


def _given(parameter: Parameter, lit: Lit) -> Lit:
    default = parameter.default
    same = default is not None and repr(default.value) == repr(lit.value)
    return Lit(lit.value, parameter.name, same and not lit.free, parameter.role, lit.free)


def _with_arguments(
    content: Body,
    arguments: dict[int, Parameter],
    computed: dict[int, Expr],
    stored: Container[int],
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
