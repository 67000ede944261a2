"""Values inside of a program's graphs, by their paths: as outputs, and as all that is left.

A path is made of labels and taps, as in the state_dict: `layer4`, `features.3`, `net.skip`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from archdsl.ir.graph import Graph, Init, Item, Node, Param, Program, Scope, renumbered


class Unknown(ValueError):
    """No value has this name. `names`: those that have one there."""

    def __init__(self, name: str, within: str, names: Iterable[str]) -> None:
        shown = ", ".join(list(dict.fromkeys(names))[:12])
        where = f"`{within}`" if within else "the model"
        super().__init__(f"{where} has no value `{name}`\nhelp: it has {shown or 'no parts'}")
        self.name, self.within, self.names = name, within, tuple(dict.fromkeys(names))


def expose(graph: Graph, path: list[str], within: str = "") -> tuple[Graph, int]:
    """A graph with the value at a path among its outputs, and as which of them. It is the graph
    itself where the value leaves it already."""
    graph, value = _reached(graph, path, within)
    return _with_output(graph, value)


def _reached(graph: Graph, path: list[str], within: str) -> tuple[Graph, int]:
    """The number of a value at a path, in a graph that it is in."""
    first, *rest = path
    taps = dict(graph.taps)
    if first in taps and not rest:
        return graph, taps[first]
    number = len(graph.input_shapes)
    for place, item in enumerate(graph.items):
        if item.name == first:
            if not rest:
                return graph, number
            if isinstance(item, Scope):
                inner, output = expose(item.graph, rest, f"{within}.{first}")
                if inner is not item.graph:
                    graph = _grown(graph, place, number + output, inner)
                return graph, number + output
        number += len(item.shapes)
    known = [*taps, *(item.name for item in graph.items if item.name)]
    raise Unknown(first, within, () if first in known else known)


def _grown(graph: Graph, place: int, new: int, inner: Graph) -> Graph:
    """The graph with a part that gives one value more, numbered `new`: the later ones move."""

    def moved(value: int) -> int:
        return value + (value >= new)

    def item_of(number: int, item: Item) -> Item:
        if isinstance(item, Param):
            return item
        inputs = tuple(map(moved, item.inputs))
        if number == place and isinstance(item, Scope):
            return replace(item, graph=inner, inputs=inputs)
        if isinstance(item, Node) and item.follows:
            item = replace(item, follows=renumbered(item.follows, numbers))
        return replace(item, inputs=inputs)

    numbers = {value: moved(value) for value in range(len(graph.value_shapes))}

    return replace(
        graph,
        items=tuple(item_of(number, item) for number, item in enumerate(graph.items)),
        outputs=tuple(map(moved, graph.outputs)),
        fixed=tuple((moved(value), side) for value, side in graph.fixed),
        taps=tuple((name, moved(value)) for name, value in graph.taps),
    )


def cut(graph: Graph, path: list[str]) -> Graph:
    """A graph that ends with the value at a path: what comes after it is not there."""
    first, *rest = path
    number = len(graph.input_shapes)
    for place, item in enumerate(graph.items):
        if item.name == first:
            if rest and isinstance(item, Scope):
                inner = cut(item.graph, rest)
                item = replace(item, graph=inner)
            elif rest:
                break
            items = (*graph.items[:place], item)
            return replace(
                graph,
                items=items,
                declared=tuple(n for n in graph.declared if n <= place),
                outputs=(number,),
                output_shapes=(item.shapes[0],),
                inits=_applying(graph.inits, items),
                fixed=tuple((value, side) for value, side in graph.fixed if value <= number),
                taps=tuple((name, value) for name, value in graph.taps if value <= number),
            )
        number += len(item.shapes)
    known = [item.name for item in graph.items if item.name]
    raise Unknown(first, "", () if first in known else known)


def _applying(inits: Iterable[Init], items: Iterable[Item]) -> tuple[Init, ...]:
    """The rules for layers that are there."""
    names = {item.name for item in items}
    return tuple(i for i in inits if i.path is None or i.path.split(".")[0] in names)


def select(program: Program, paths: Sequence[str]) -> Program:
    """The program with the values at these paths as its outputs, and what they need alone. Raises
    `Unknown`."""
    graph, places = program.graph, list[int]()
    own = dict(program.outputs)
    for path in paths:
        if path in own and path not in {item.name for item in graph.items}:
            graph, place = _with_output(graph, own[path])
        else:
            graph, place = expose(graph, path.split("."))
        places.append(place)
    made = needed(graph, tuple(places), {})
    names = tuple(path.replace(".", "_") for path in paths)
    outputs = tuple(zip(names, made.outputs, strict=True))
    return replace(program, graph=made, outputs=outputs, aux=())


def _with_output(graph: Graph, value: int) -> tuple[Graph, int]:
    if value in graph.outputs:
        return graph, graph.outputs.index(value)
    outputs, shapes = (*graph.outputs, value), (*graph.output_shapes, graph.value_shapes[value])
    return replace(graph, outputs=outputs, output_shapes=shapes), len(graph.outputs)


def needed(
    graph: Graph, places: tuple[int, ...], known: dict[tuple[Graph, tuple[int, ...]], Graph]
) -> Graph:
    """The graph with these of its outputs, and what they need alone. `known`: those made before."""
    if (graph, places) not in known:
        known[graph, places] = _needed(graph, places, known)
    return known[graph, places]


def _needed(
    graph: Graph, places: tuple[int, ...], known: dict[tuple[Graph, tuple[int, ...]], Graph]
) -> Graph:
    wanted = {graph.outputs[place] for place in places}
    kept: dict[int, tuple[int, ...]] = {}  # an item -> which of its results
    end = len(graph.value_shapes)
    for place in reversed(range(len(graph.items))):
        item = graph.items[place]
        start = end - len(item.shapes)
        results = tuple(n - start for n in range(start, end) if n in wanted)
        end = start
        if results:
            kept[place] = results if isinstance(item, Scope) else tuple(range(len(item.shapes)))
            wanted.update(item.inputs)
            if isinstance(item, Node):
                wanted.update(value for value, _ in item.sides)
    numbers = {n: n for n in range(len(graph.input_shapes))}
    old, new = len(numbers), len(numbers)
    items: list[Item] = []
    moved: dict[int, int] = {}
    owners: set[str] = set()
    for place, item in enumerate(graph.items):
        for result in kept.get(place, ()):
            numbers[old + result] = new
            new += 1
        old += len(item.shapes)
        if place not in kept:
            continue
        if not isinstance(item, Param):
            inputs = tuple(numbers[value] for value in item.inputs)
            first = item.shares and str(item.name) not in owners
            item = replace(item, inputs=inputs, shares=item.shares and not first)
        if isinstance(item, Node) and item.follows:
            item = replace(item, follows=renumbered(item.follows, numbers))
        if isinstance(item, Scope):
            item = replace(item, graph=needed(item.graph, kept[place], known))
        owners.add(str(item.name))
        moved[place] = len(items)
        items.append(item)
    outputs = tuple(graph.outputs[place] for place in places)
    return replace(
        graph,
        items=tuple(items),
        declared=_order(graph, items, moved),
        outputs=tuple(numbers[value] for value in outputs),
        output_shapes=tuple(graph.value_shapes[value] for value in outputs),
        inits=_applying(graph.inits, items),
        fixed=tuple((numbers[value], side) for value, side in graph.fixed if value in numbers),
        taps=tuple((name, numbers[value]) for name, value in graph.taps if value in numbers),
    )


def _order(graph: Graph, items: Sequence[Item], moved: dict[int, int]) -> tuple[int, ...]:
    """The order of construction of what is left; the first use that is left makes the module."""
    by_name = {
        item.name: place
        for place, item in reversed(list(enumerate(items)))
        if item.name is not None
    }
    order = []
    for place in graph.declared:
        name = graph.items[place].name
        if place in moved:
            order.append(moved[place])
        elif name in by_name:
            order.append(by_name[name])
    return tuple(order)
