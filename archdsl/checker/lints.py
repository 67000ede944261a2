"""Warnings: what torch takes, and hardly anyone means.

In: a checked file and the programs of its models. Out: diagnostics of severity `warning`, each
place once, without those that a comment of the text hides. Only what is certain: a lint says
nothing of a design that somebody may want (a linear bottleneck, a bias that the text asks for by
name).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from archdsl.checker.unread import unread
from archdsl.diagnostics import warnings as c
from archdsl.diagnostics.model import Diagnostic, Fix, Label
from archdsl.diagnostics.select import bad_comments, without_ignored
from archdsl.diagnostics.source import Span
from archdsl.ir.graph import Graph, Item, Node, Param, Program, Scope, item_training_only
from archdsl.names.symbols import Resolved
from archdsl.names.units import Unit
from archdsl.ops.spatial import channels_last
from archdsl.ops.table import Shape
from archdsl.syntax import tree as t
from archdsl.text import shape_text

LARGE = 1_000_000  # parameters; below, no layer is too large
DOMINANT = 0.9  # of all parameters; VGG-11's largest layer has 0.77

#: what stands between a step and the one that the text has right behind it
_THEN = re.compile(r"\s*(->|;|\n)\s*([\w{}+-]+\s*:\s*)?")
_GROUPS_IN = re.compile(r"\bgroups=in(?![\w.\[])")


def lint(names: Resolved, *programs: Program) -> list[Diagnostic]:
    """Every warning of a file and of its programs."""
    unit = names.unit
    calls = [part for part in t.parts(unit.file) if isinstance(part, t.Call)]
    given = {value for program in programs for value in _values(program.graph.args)}
    unused = (w for w in names.unused if not (isinstance(w, c.UnusedBlock) and w.name in given))
    found = [*unused, *bad_comments(unit.source), *_repeated_never(calls)]
    found += _labelled_loops(calls)
    for program in programs:
        found += _Lints(names, program).all()
        found += _channels_last(unit, program)
    once = {(warning.code, warning.span): warning for warning in reversed(found)}  # the first
    return without_ignored(once.values())


def _repeated_never(calls: list[t.Call]) -> Iterator[Diagnostic]:
    for call in calls:
        if isinstance(call.times, t.Literal) and not call.times.value:
            yield c.RepeatedNever(call.times.span, call.name)


def _labelled_loops(calls: list[t.Call]) -> Iterator[Diagnostic]:
    for call in calls:
        for line in call.body.statements if call.body is not None else ():
            flows = line.flows if isinstance(line, t.Chain) else ()
            if len(flows) == 1 and flows[0].label and isinstance(flows[0].step, t.For | t.Repeat):
                word = "for" if isinstance(flows[0].step, t.For) else "repeat"
                yield c.LabelledLoop(flows[0].label.span, word)


def _values(args: object) -> Iterator[object]:
    """The single values in tuples of tuples: numbers, texts, names of blocks."""
    if isinstance(args, tuple):
        for part in args:
            yield from _values(part)
    else:
        yield args


class _Place(NamedTuple):
    """A graph, and where it is called first: with which values of which other."""

    graph: Graph
    outer: _Place | None = None
    inputs: tuple[int, ...] = ()

    def node(self, value: int) -> tuple[_Place, Node] | None:
        """What computes a value, inside a part or outside of this one; None: the model's input, or
        a parameter."""
        place = self
        while True:
            if value < len(place.graph.input_shapes):
                if place.outer is None:
                    return None
                place, value = place.outer, place.inputs[value]
                continue
            item, number = place.graph.sources[value]
            if isinstance(item, Param):
                return None
            if isinstance(item, Node):
                return place, item
            place, value = _Place(item.graph, place, item.inputs), item.graph.outputs[number]


class _Lints:
    def __init__(self, names: Resolved, program: Program) -> None:
        self.names, self.program = names, program
        self.nodes: list[tuple[_Place, Node]] = []  # in order; those of each graph once
        self.at: dict[Span, list[Item]] = {}  # every item by its place in the text
        self._look(_Place(program.graph), set())

    def _look(self, place: _Place, seen: set[int]) -> None:
        if id(place.graph) in seen:
            return
        seen.add(id(place.graph))
        for item in place.graph.items:
            self.at.setdefault(item.span, []).append(item)
            if isinstance(item, Node):
                self.nodes.append((place, item))
            elif isinstance(item, Scope):
                self._look(_Place(item.graph, place, item.inputs), seen)

    def all(self) -> Iterator[Diagnostic]:
        for place, node in self.nodes:
            if node.op.linear and len(node.inputs) == 1:
                yield from self._linear(place, node)
        yield from self._lost_biases()
        yield from self._idle()
        yield from self._empty_labels()
        yield from self._shrunk()
        yield from self._dominant()
        yield from self._softmax()
        yield from (c.UnusedValue(span, _called(item)) for span, item in unread(self.program))
        yield from self._of_same()
        for span, items in self.at.items():
            nodes = [i for i in items if isinstance(i, Node)]
            if len(nodes) == len(items):
                yield from self._always(span, nodes)

    def _always(self, span: Span, nodes: list[Node]) -> Iterator[Diagnostic]:
        """What is wrong with a step in every run of it."""
        node = nodes[0]
        shapes = [n.input_shapes[0] for n in nodes]
        groups = getattr(node.op, "groups", 1)
        if groups > 1 and _GROUPS_IN.search(span.text) and all(s[0] > groups for s in shapes):
            yield c.NotDepthwise(span, groups, shapes[0][0], shapes[0][0] // groups)
        if node.op.arity is None and all(n.op.itself(*n.input_shapes) for n in nodes):
            yield c.OneBranch(span, node.op.name)
        single = all(len(s) > 1 == math.prod(s[1:]) for s in shapes)
        if node.op.of_batch and single:
            yield c.OneValueNorm(span, node.op.name, shape_text(shapes[0][1:]))
        if all(n.op.places(*n.input_shapes) == 1 for n in nodes):
            yield c.SinglePlace(span, node.op.name, shape_text(shapes[0]))
        if all(reasons := [n.op.lost(*n.input_shapes) for n in nodes]):
            yield c.NothingPasses(span, node.op.name, reasons[0])

    def _linear(self, place: _Place, node: Node) -> Iterator[Diagnostic]:
        before = _before(place.graph, node)
        if before is not None and before.op.linear:
            direct = place.graph.sources[node.inputs[0]][0] is before
            first, second = _weights(before)["weight"], _weights(node)["weight"]
            # Matrices only. A narrow layer between two wide ones is a bottleneck, not one layer.
            matrices = len(first) == len(second) == 2 and first[0] >= min(first[1], second[0])
            if matrices and (direct or len(node.shape) == 1):
                label = Label(before.span, "its output comes here as it is")
                yield c.MissingNonlinearity(
                    node.span, node.op.name, first[1], second[0], related=(label,)
                )
        if not node.op.maps and len(node.shape) > 1:
            origin = place.node(node.inputs[0])
            while origin and (origin[1].op.nonlinear or origin[1].op.passes) and _stays(origin[1]):
                origin = origin[0].node(origin[1].inputs[0])
            if origin and origin[1].op.maps and origin[1].shape == node.input_shapes[0]:
                label = Label(origin[1].span, "the feature map comes from here")
                shapes = shape_text(node.input_shapes[0]), shape_text(node.shape)
                yield c.MissingFlatten(node.span, node.op.name, *shapes, related=(label,))

    def _lost_biases(self) -> Iterator[Diagnostic]:
        lost: dict[Span, list[tuple[Node, Node]]] = {}  # by the layer's place: it, and the norm
        for place, norm in self.nodes:
            layer = _alone(place.graph, norm) if norm.op.centres(*norm.input_shapes) else None
            if layer is None:
                continue
            # a norm works on the first dimension, a `linear` on the last
            shifts = layer.op.shifts or len(layer.shape) == 1
            # a bias that is written is meant
            if shifts and "bias" in _weights(layer) and "bias" not in layer.span.text:
                lost.setdefault(layer.span, []).append((layer, norm))
        for span, pairs in lost.items():
            layer, norm = pairs[0]
            label = Label(norm.span, "takes the mean of each channel away")
            advice = "leave one of the two out"
            fixes: tuple[Fix, ...] = ()
            if "bias" in layer.op.args:
                advice = "write `bias=false`; `bias=true` says that it is meant"
                edit = Span(span.source, span.end, span.end), " bias=false"
                # a `linear` works on another dimension where its input has another rank
                always = len(pairs) == len(self.at[span]) and self._always_before(layer, norm)
                fixes = (Fix(advice, (edit,), safe=layer.op.maps),) if always else ()
            yield c.LostBias(
                span, layer.op.name, norm.op.name, advice, related=(label,), fixes=fixes
            )

    @cached_property
    def _calls(self) -> dict[Span, t.Call]:
        return {call.span: call for call in self.names.targets}

    @cached_property
    def _starts_biases(self) -> bool:
        """Whether an `init` rule names a bias, which must then be there."""
        started = (s for s in t.parts(self.names.unit.file) if isinstance(s, t.InitRule))
        return any("bias" in rule.target for rule in started)

    def _always_before(self, layer: Node, norm: Node) -> bool:
        """Whether the text has the norm right behind the layer, so that the bias is lost with other
        parameters and inputs too, and reads it nowhere."""
        source, start, end = layer.span.source, layer.span.end, norm.span.start
        first, second = self._calls.get(layer.span), self._calls.get(norm.span)
        if first is None or second is None or first.times or second.times:
            return False
        # no parameters that hold an operator, nothing of the norm depends on one, or on the width
        named = self.names.targets[first] is type(layer.op)
        named = named and self.names.targets[second] is type(norm.op)
        fixed = all(isinstance(argument.value, t.Literal) for argument in second.args)
        fixed = fixed and norm.op.centres(tuple(2 * side for side in norm.shape))
        return (
            named
            and fixed
            and _THEN.fullmatch(source.text, start, max(start, end)) is not None
            and not self._starts_biases
        )

    def _idle(self) -> Iterator[Diagnostic]:
        """Activations of what is never negative."""
        idle: dict[Span, list[tuple[Node, Node]]] = {}
        for place, node in self.nodes:
            maker = _maker(place.graph, node.inputs[0]) if node.op.keeps_positive else None
            if maker is not None and maker.op.nonnegative:
                idle.setdefault(node.span, []).append((node, maker))
        for span, pairs in idle.items():
            if len(pairs) == len(self.at[span]):
                node, maker = pairs[0]
                shown = (Label(maker.span, "this gives nothing below 0"),)
                here = shown if maker.span.source is span.source else ()
                yield c.IdleActivation(span, node.op.name, maker.op.name, related=here)

    def _of_same(self) -> Iterator[Diagnostic]:
        """Joins of a value with itself."""
        same: dict[Span, list[Node]] = {}
        for place, node in self.nodes:
            if node.op.of_same and len(node.inputs) == 2:
                one, other = (_origin(place.graph, value) for value in node.inputs)
                if one == other:
                    same.setdefault(node.span, []).append(node)
        for span, nodes in same.items():
            if len(nodes) == len(self.at[span]):
                word = span.text.split("{")[0].split()[0]
                yield c.SameTwice(span, word, nodes[0].op.of_same)

    def _empty_labels(self) -> Iterator[Diagnostic]:
        for span, items in self.at.items():
            empty = (isinstance(i, Scope) and i.labelled and not i.graph.items for i in items)
            # the label of an aux output names a field
            if all(empty) and not any(item_training_only(i) for i in items):
                yield c.UnusedLabel(span, items[0].name or "")

    def _shrunk(self) -> Iterator[Diagnostic]:
        """The first window on a map of one cell: those behind it have the same cause."""
        for place, node in self.nodes:
            window, space = node.op.footprint(*node.input_shapes), node.input_shapes[0][1:]
            # where the window moves, each of its cells meets the only one
            still = all(1 in pair for pair in zip(window, node.shape[1:], strict=bool(window)))
            if math.prod(window) > 1 == math.prod(space) and still:
                shown = shape_text(space), node.op.name, shape_text(window)
                yield c.ShrunkEarly(node.span, *shown, related=_shrinking(place, node))
                return

    def _dominant(self) -> Iterator[Diagnostic]:
        total, most = self.program.params, 0
        if total < LARGE:
            return
        for _, node in self.nodes:
            size = node.params
            if size > most:
                most, largest = size, node
        if DOMINANT * total <= most < total:
            percent, shape = 100 * most // total, shape_text(largest.input_shapes[0])
            yield c.DominantLayer(largest.span, largest.op.name, percent, most, total, shape)

    def _softmax(self) -> Iterator[Diagnostic]:
        for _, value in (*self.program.outputs, *self.program.aux):
            place = _Place(self.program.graph)
            origin = place.node(value)
            while origin and origin[1].op.passes and _stays(origin[1]):
                origin = origin[0].node(origin[1].inputs[0])
            if origin and origin[1].op.probabilities:
                yield c.SoftmaxOutput(origin[1].span, origin[1].op.name)


def _channels_last(unit: Unit, program: Program) -> Iterator[Diagnostic]:
    tree = unit.definitions[program.name].tree
    statements = tree.body.statements if isinstance(tree, t.Model) else ()
    stated = next((s.shape.span for s in statements if isinstance(s, t.Input)), None)
    shape = program.input_shape
    if stated is not None and channels_last(shape):
        yield c.ChannelsLast(stated, shape_text(shape), shape_text((shape[2], *shape[:2])))


def _before(graph: Graph, node: Node) -> Node | None:
    """The nearest node that feeds this one alone, past those that only scale and shift."""
    source = _alone(graph, node)
    while source is not None and source.op.passes and _stays(source):
        source = _alone(graph, source)
    return source


def _alone(graph: Graph, node: Node) -> Node | None:
    """The node whose value this one reads, where nothing else does."""
    value = node.inputs[0]
    source = graph.sources[value][0] if value in graph.sources else None
    if not isinstance(source, Node) or graph.uses[value] > 1 or source.training_only:
        return None
    if source.name in graph.shared:
        return None  # what another use of its module feeds, reads it too
    return source


def _origin(graph: Graph, value: int) -> tuple[tuple[int, ...], int]:
    """Where a value comes from, past what passes it on as it is, equal for one and the same: its
    number, in the parts of the graph that yield it, by their values there."""
    inside: list[tuple[Graph, Scope, int]] = []  # the parts around, and which value each yields
    while True:
        if value >= len(graph.input_shapes):
            item, number = graph.sources[value]
            if isinstance(item, Scope):
                inside.append((graph, item, value))
                graph, value = item.graph, item.graph.outputs[number]
                continue
            if isinstance(item, Node) and item.op.itself(*item.input_shapes):
                value = item.inputs[0]
                continue
        elif inside:
            graph, scope, _ = inside.pop()
            value = scope.inputs[value]
            continue
        return tuple(at for _, _, at in inside), value


def _maker(graph: Graph, value: int) -> Node | None:
    """The node that computes a value, in this graph or a part of it."""
    while value in graph.sources:
        item, number = graph.sources[value]
        if isinstance(item, Scope):
            graph, value = item.graph, item.graph.outputs[number]
            continue
        return item if isinstance(item, Node) else None
    return None


def _called(item: Item) -> str:
    """What a step calls, as the text has it."""
    if isinstance(item, Node):
        return item.op.name
    return (isinstance(item, Scope) and item.graph.block) or str(item.name)


def _stays(node: Node) -> bool:
    return node.input_shapes == (node.shape,)


def _shrinking(place: _Place, node: Node) -> tuple[Label, ...]:
    """The step that leaves a map of one cell."""
    while origin := place.node(node.inputs[0]):
        place, node = origin
        before, after = node.input_shapes[0][1:], node.shape[1:]
        if math.prod(before) > 1:
            return (Label(node.span, f"{shape_text(before)} becomes {shape_text(after)} here"),)
    return ()


def _weights(node: Node) -> dict[str, Shape]:
    return {weight.name: weight.shape for weight in node.weights}
