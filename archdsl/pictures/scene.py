"""From a program to what a picture shows: elements, and who feeds whom.

In: a checked program, and how deep to open its blocks. Out: a `Flow`, whose elements stand in the
order of execution. What a reader sees as one layer is one element: a convolution with the
normalisation and activation that follow it, or a block that holds nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from archdsl.ir.graph import Graph, Item, Node, Param, Program, Scope
from archdsl.ir.wording import block_text, op_text, varying
from archdsl.ops.table import Shape
from archdsl.pictures.contents import Contents, passes, same

Kind = Literal["input", "output", "layer", "pill", "join", "param", "block", "entry", "exit"]

#: families of operators that belong to the layer before them
_POINTWISE = ("normalisation", "activation", "regularisation")


@dataclass(frozen=True)
class Element:
    """One thing of the picture. `label`: a person's name for it. `title`: what it is. `notes`: the
    pointwise operators merged into it. `hue`: the family of operators, or the block, that chooses
    its colour. `inner`: what a block holds, shown where it is `open`. `alike`: equal for elements
    that differ in nothing a reader would see; `build`: for blocks that differ in numbers alone."""

    kind: Kind
    label: str
    title: str
    notes: tuple[str, ...] = ()
    hue: str = ""
    params: int = 0
    shared: bool = False  #: its module has been met before
    macs: int = 0
    shape: Shape = ()
    training_only: bool = False
    times: int = 1
    inner: Flow | None = None
    open: bool = False
    alike: Hashable = None
    build: Hashable = None
    #: the items of the program that it shows, those of each repetition together
    shows: tuple[tuple[Item, ...], ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True)
class Edge:
    """`mark`: which operand of its target it is, where that matters: `1`, or `1, 3`."""

    source: int
    target: int
    shape: Shape
    mark: str = ""


@dataclass(frozen=True)
class Flow:
    """Elements by number, in an order in which every edge goes forward. The first is the entry and
    the last the exit: for a program its input and the output that is computed last."""

    elements: tuple[Element, ...]
    edges: tuple[Edge, ...]

    def users(self, number: int) -> list[int]:
        return [edge.target for edge in self.edges if edge.source == number]


def scene(program: Program, depth: int) -> Flow:
    """`depth`: 0 shows every block closed, 1 opens those of the model itself, and so on."""
    return _Scene(program).flow(depth)


class _Scene:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.varying = varying(program)
        self.contents = Contents()
        self.insides: dict[tuple[Graph, int], Flow] = {}

    def flow(self, depth: int) -> Flow:
        program = self.program
        maker = _Flow(self, program.graph, depth)
        shapes = program.inputs.items()
        maker.start(*(Element("input", "", name, shape=s, hue="data") for name, s in shapes))
        several = len(program.outputs) > 1
        # what is computed last ends the main flow; the other outputs stand aside
        last = max(program.outputs, key=lambda output: maker.makers[output[1]] or 0)
        for name, value in (*(o for o in program.outputs if o is not last), last):
            title = name if several else "output"
            shape = program.values[value]
            maker.end(Element("output", "", title, shape=shape, hue="data"), (value,))
        return _ordered(maker.done())

    def inside(self, graph: Graph, depth: int) -> Flow:
        depth = max(0, depth)
        if (graph, depth) not in self.insides:
            maker = _Flow(self, graph, depth)
            maker.start(Element("entry", "", ""))
            maker.end(Element("exit", "", ""), graph.outputs)
            self.insides[graph, depth] = maker.done()
        return self.insides[graph, depth]

    def block(self, scope: Scope, depth: int) -> Element:
        graph = scope.graph
        sizes = graph.sizes
        label = scope.name if scope.labelled else ""
        shape = graph.output_shapes[0]
        build = self.contents.structure(graph)
        title = block_text(graph, self.varying)
        alike = (title, self.contents.alike(graph), shape[1:], scope.training_only)
        element = Element(
            "block",
            label,
            title,
            hue=graph.block or "group",
            params=0 if scope.shares else sizes.params,
            shared=scope.shares,
            macs=sizes.macs or sizes.training_macs,
            shape=shape,
            training_only=scope.training_only,
            alike=alike,
            build=build,
            shows=((scope,),),
        )
        # a closed block can still be explained elsewhere: with its own groups open
        inside = self.inside(graph, depth - 1 if depth > 0 else 1)
        if (only := _single(inside)) is not None:
            # a block of one layer is that layer
            own = replace(only, label=label or only.label, training_only=scope.training_only)
            if scope.shares:
                own = replace(own, params=0, shared=True)
            return replace(own, alike=(own.alike, scope.training_only))
        return replace(element, inner=inside, open=depth > 0 and len(inside.elements) > 2)


@dataclass
class _Flow:
    """Collects a graph's elements; `makers` says which element yields each value."""

    scene: _Scene
    graph: Graph
    depth: int
    elements: list[Element] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    makers: list[int | None] = field(default_factory=list)
    shapes: list[Shape] = field(default_factory=list)
    uses: dict[int, int] = field(default_factory=dict)
    #: values that are the scope's own parameters, until something shows them
    constants: dict[int, Param] = field(default_factory=dict)
    #: those that something showed, and those with an element of their own
    told: set[Param] = field(default_factory=set)
    boxes: dict[Param, int] = field(default_factory=dict)
    #: the labels of the groups around, where their parts stand here
    prefix: str = ""
    #: inside an aux head
    training: bool = False

    def start(self, *entries: Element) -> None:
        """`entries`: an element for each input, or one for all of them."""
        self.elements += entries
        last = len(entries) - 1
        self._items([min(place, last) for place in range(len(self.graph.input_shapes))])

    def _items(self, makers: list[int | None]) -> None:
        self.makers += makers
        self.shapes += self.graph.input_shapes
        for value, times in self.graph.uses.items():
            self.uses[value] = self.uses.get(value, 0) + times
        for item in self.graph.items:
            self._item(item)
            self.shapes += item.shapes

    def _item(self, item: Any) -> None:
        if isinstance(item, Param):
            self.constants[len(self.makers)] = item
            self.makers.append(None)  # part of the join that uses it
            return
        if isinstance(item, Scope):
            self._scope(item)
            return
        if passes(item):
            self._alias(item.inputs[0])
            return
        source = self.makers[item.inputs[0]]
        if source is not None and self._merges(item, source):
            self._merge(item, source)
            self.makers.append(source)
        else:
            element, values = self._with_constants(_element(item), item)
            self.makers.append(self._add(element, values, ordered=item.op.ordered))

    def _scope(self, scope: Scope) -> None:
        hollow = self.scene.contents.hollow(scope.graph)
        used = self.scene.contents.used(scope.graph)
        if self.depth > 0 and not hollow and max(len(used), len(scope.shapes)) > 1:
            self._within(scope)
            return
        place = -1
        if not hollow or scope.training_only:  # a head that is a value as it is
            given = tuple(v for number, v in enumerate(scope.inputs) if number in used)
            place = self._add(self.scene.block(scope, self.depth), given)
        for through in self.scene.contents.through(scope.graph):
            if through is None:
                self.makers.append(place)
            else:
                self._alias(scope.inputs[through])

    def _alias(self, value: int) -> None:
        """The next value is that one, by another name."""
        number = len(self.makers)
        self.makers.append(self.makers[value])
        self.uses[number] = self.uses.get(number, 0) + self.uses[value] - 1
        if value in self.constants:
            self.constants[number] = self.constants[value]

    def _within(self, scope: Scope) -> None:
        """The parts of a scope that uses several inputs, or has several outputs, stand here,
        without a box around them: an edge to or from a box does not say which part it means."""
        graph, label = scope.graph, f"{scope.name}." if scope.labelled else ""
        inner = _Flow(self.scene, graph, self.depth - 1, self.elements, self.edges)
        inner.prefix = self.prefix + label
        inner.training = self.training or scope.training_only
        inner.told, inner.boxes = self.told, self.boxes
        # what is used out here too is no note on what is in there, nor the other way round
        inner.uses = {place: self.uses[v] for place, v in enumerate(scope.inputs)}
        inner.constants = {
            place: self.constants[v] for place, v in enumerate(scope.inputs) if v in self.constants
        }
        start = len(self.elements)
        inner._items([self.makers[v] for v in scope.inputs])
        if scope.labelled and len(graph.outputs) == 1:
            inner._name_result(start, inner.prefix.removesuffix("."))
        for value in graph.outputs:
            number = len(self.makers)
            self.uses[number] = self.uses.get(number, 0) + inner.uses[value] - 1
            if value in inner.constants:
                self.constants[number] = inner.constants[value]
            self.makers.append(inner.makers[value])

    def _name_result(self, start: int, name: str) -> None:
        """Where no part says what the group is called, the one that yields its value does."""
        place = self.makers[self.graph.outputs[0]]
        if place is None or place < start or any(e.label for e in self.elements[start:]):
            return
        element = self.elements[place]
        kind: Kind = "pill" if element.kind == "join" else element.kind  # a join has no room
        self.elements[place] = replace(element, kind=kind, label=name, alike=(element.alike, name))

    def _with_constants(self, element: Element, node: Node) -> tuple[Element, tuple[int, ...]]:
        """A join of one value and what the scope itself owns (`× layer_scale`), and what else feeds
        it; beside several values a parameter has a box of its own."""
        values = tuple(v for v in node.inputs if v not in self.constants)
        own = [self.constants[v] for v in node.inputs if v in self.constants]
        if not own or len(values) != 1 or node.op.arity is not None:
            return element, node.inputs
        fresh = [param for param in dict.fromkeys(own) if param not in self.told]
        self.told.update(fresh)
        names = [self.constants[v].name if v in self.constants else "…" for v in node.inputs]
        if node.op.ordered:
            named = f"{element.title}({', '.join(names)})"
        else:
            named = " ".join([element.title, *(param.name for param in own)])
        told = replace(
            element,
            kind="pill",
            title=named,
            params=element.params + sum(_size(param) for param in fresh),
            alike=(element.alike, named),
            shows=((*fresh, *element.shows[0]),),
        )
        return told, values

    def _source(self, value: int) -> int | None:
        """The element that yields a value; a parameter has none until something needs it."""
        if value not in self.constants:
            return self.makers[value]
        param = self.constants[value]
        if param not in self.boxes:
            kind = "buffer" if param.buffer else "param"
            fresh = param not in self.told
            self.told.add(param)
            self.boxes[param] = len(self.elements)
            self.elements.append(
                Element(
                    "param",
                    self.prefix + param.name,
                    kind,
                    hue="data",
                    params=_size(param) if fresh else 0,
                    shape=param.shape,
                    shows=((param,),),
                )
            )
        return self.boxes[param]

    def _merges(self, node: Node, source: int) -> bool:
        """Whether the node is a note on the element before it."""
        before = self.elements[source]
        if node.op.family not in _POINTWISE or before.kind not in ("layer", "pill"):
            return False
        last = source == len(self.elements) - 1
        only = node.training_only or self.training
        return last and self.uses[node.inputs[0]] == 1 and before.training_only == only

    def _merge(self, node: Node, source: int) -> None:
        before = self.elements[source]
        note = op_text(node.op)
        self.elements[source] = replace(
            before,
            notes=(*before.notes, note),
            params=before.params + node.params,
            macs=before.macs + node.macs,
            shape=node.shape,
            alike=(before.alike, same(node)),
            shows=((*before.shows[0], node),),
        )

    def _add(self, element: Element, inputs: tuple[int, ...], *, ordered: bool = False) -> int:
        if self.prefix and element.label:
            element = replace(element, label=self.prefix + element.label)
        if self.training:
            element = replace(element, training_only=True)
        given: dict[int, list[int]] = {}  # for each element that feeds it, as which operands
        sources = [self._source(value) for value in inputs]
        self.elements.append(element)
        place = len(self.elements) - 1
        for number, maker in enumerate(sources):
            if maker is not None:
                given.setdefault(maker, []).append(number)
        marked = ordered and len(given) > 1
        for maker, numbers in given.items():
            mark = ", ".join(str(number + 1) for number in numbers) if marked else ""
            self.edges.append(Edge(maker, place, self.shapes[inputs[numbers[0]]], mark))
        return place

    def end(self, exit: Element, values: tuple[int, ...]) -> None:
        self._add(exit, values)

    def done(self) -> Flow:
        return Flow(tuple(self.elements), tuple(self.edges))


def _ordered(flow: Flow) -> Flow:
    """Each output but the last right behind what it is the value of."""
    source = {edge.target: edge.source for edge in flow.edges}
    final = len(flow.elements) - 1

    def place(number: int) -> tuple[int, int]:
        aside = flow.elements[number].kind == "output" and number != final
        return (source[number], number) if aside else (number, 0)

    order = sorted(range(len(flow.elements)), key=place)
    new = {old: number for number, old in enumerate(order)}
    edges = sorted(
        (replace(e, source=new[e.source], target=new[e.target]) for e in flow.edges),
        key=lambda edge: edge.target,
    )
    return Flow(tuple(flow.elements[old] for old in order), tuple(edges))


def _single(flow: Flow) -> Element | None:
    """The only element between entry and exit, where it is a layer."""
    ends = {(edge.source, edge.target) for edge in flow.edges}
    if len(flow.elements) != 3 or flow.elements[1].kind not in ("layer", "pill"):
        return None
    if ends != {(0, 1), (1, 2)}:
        return None
    return flow.elements[1]


def _element(node: Node) -> Element:
    op = node.op
    only = node.training_only
    if op.arity is None and node.name is None:
        number = getattr(op, op.instead) if op.instead else None
        title = (op.symbol or op.name) if number is None else f"{op.symbol or op.name} {number:g}"
        return Element(
            "join" if len(node.inputs) > 1 or number is None else "pill",
            "",
            title,
            shape=node.shape,
            hue="join",
            training_only=only,
            alike=title if op.symbol else op,
            shows=((node,),),
        )
    pointwise = op.family in _POINTWISE
    text = op_text(op)
    return Element(
        "pill" if pointwise or op.family == "shape" else "layer",
        node.name if node.labelled and node.name and not pointwise else "",
        "" if pointwise else text,
        notes=(text,) if pointwise else (),
        hue=op.family,
        params=node.params,
        shared=node.shares,
        macs=node.macs,
        shape=node.shape,
        training_only=only,
        alike=(same(node), node.shape[1:]),
        shows=((node,),),
    )


def _size(param: Param) -> int:
    return 0 if param.buffer else math.prod(param.shape)


def walk(flow: Flow) -> Iterator[Element]:
    """Every element, those of open blocks too."""
    for element in flow.elements:
        yield element
        if element.inner is not None and element.open:
            yield from walk(element.inner)
