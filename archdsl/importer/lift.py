"""From calls of torch to operators: the graph of each module.

In: a trace. Out: the `Graph` of the root, with those of the modules it calls inside. Every live
call is an operator of the table (whose classes alone know how one is lifted) or a module; what is
not is collected, and raised together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from torch import nn

from archdsl.importer.batch import batch_first
from archdsl.importer.capture import BATCH, CONSTANT, Call, Function, Trace, Value
from archdsl.importer.errors import CannotImport, Problem
from archdsl.importer.known import lifters, torch_name
from archdsl.ops.join import Concat
from archdsl.ops.seen import NoField, Seen
from archdsl.ops.shape import Permute, Reshape
from archdsl.ops.table import Blame, Lifted, Op, Shape


@dataclass(eq=False)
class Node:
    """An operator applied to values. `path`: of the module that holds it, if one does."""

    op: Op
    inputs: list[Value]
    output: Value
    path: str | None
    module: nn.Module | None

    @property
    def outputs(self) -> list[Value]:
        return [self.output]


@dataclass(eq=False)
class Graph:
    """A module's items in the order of execution. `inputs`: the values from outside that it reads,
    `outputs`: those of its own that are read outside."""

    path: str
    module: nn.Module
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    items: list[Node | Graph] = field(default_factory=list)


Item = Node | Graph


def lift(trace: Trace, results: list[Value], *, layout: bool = False) -> Graph:
    """The graph whose outputs are `results`; `layout`: with what orders memory alone. Raises
    `CannotImport`."""
    return _Lift(trace, layout).graph(results)


class _Lift:
    def __init__(self, trace: Trace, layout: bool) -> None:
        self.trace, self.layout = trace, layout
        self.kept = {*trace.root.module.state_dict()}
        self.functions = list(_functions(trace.root))
        self.makers = {out: f for f in self.functions for out in f.outputs}
        self.same: dict[Value, Value] = {}
        self.nodes: dict[Function, list[Node]] = {}
        self.problems: list[Problem] = []
        self.readers: dict[Value, list[Op | None]] = {}  # None: the outside

    def graph(self, results: list[Value]) -> Graph:
        self._live(results)
        if self.problems:
            raise CannotImport(self.problems[::-1])
        root = self._build(self.trace.root)
        _hoist(root)
        _cumulate(root, {})
        _flatten(root, _uses(root, [self._final(r) for r in results]))
        outer = [self._final(r) for r in results]
        _boundaries(root, outer)
        root.outputs = outer
        root.inputs = self.trace.root.inputs
        return root

    def _final(self, value: Value) -> Value:
        while value in self.same:
            value = self.same[value]
        return value

    # ---- which calls matter, and what they are -----------------------------------------------

    def _live(self, results: list[Value]) -> None:
        """From the last call to the first: what is read later, or has weights."""
        needed = set(results)
        for value in results:
            self.readers.setdefault(value, []).append(None)
        for function in reversed(self.functions):
            wanted = [v for v in function.outputs if v in needed]
            if not wanted and not (function.leaf and _stateful(function.leaf)):
                continue
            for value in wanted or function.outputs[:1]:
                sources = self._lifted(function, value)
                needed.update(sources)
                for source in sources:
                    if source.param is not None and source.param not in self.kept:
                        self.problems.append(Problem(function.place, _unkept(function, source)))

    def _lifted(self, function: Function, value: Value) -> list[Value]:
        reason = ""
        try:
            seen = self._seen(function, value)
            for op in lifters().get(seen.name, ()):
                try:
                    made = op.of(seen)
                    if made is not None:
                        return self._accept(function, value, made)
                except Blame as blame:
                    reason = blame.message
        except NoField:
            reason = "its batch is not where the language has it"
        inside = self.trace.root.module.get_submodule(function.path)
        name = torch_name(inside) or function.name
        what = (
            "is no operator of the language" if name not in lifters() else "is not expressible so"
        )
        self.problems.append(Problem(function.place, f"`{name}` {what}{reason and ': '}{reason}"))
        return [v for v in function.inputs if v.param is None]  # for the places before it

    def _accept(self, function: Function, value: Value, made: Lifted) -> list[Value]:
        base = function
        for _ in range(made.origin):
            base = self.makers[base.inputs[0]]
        places = range(len(base.inputs)) if made.inputs is None else made.inputs
        inputs = [base.inputs[place] for place in places]
        moved = self._moved(made.op, inputs, value)
        if moved is None and any(v.param is None and not v.batched for v in (*inputs, value)):
            raise Blame(None, "what it works on has no batch, or one of another size")
        moved = moved or _merged(made, inputs, value)
        if moved is not None:
            self.nodes.setdefault(function, []).extend(moved)
            made_here = {node.output for node in moved}
            return [v for node in moved for v in node.inputs if v not in made_here]
        shapes = [v.sample for v in inputs]
        plain = all(v.plain for v in (*inputs, value) if v.param is None)
        if not plain and made.op.shape(*shapes) != value.sample:
            raise Blame(None, "the batch is not the first dimension")
        named, leaf = (function.path, function.leaf) if function.leaf else (None, None)
        weights = [v.param for v in base.inputs if v.param is not None and v not in inputs]
        if weights:
            named, leaf = self._owner(function, made.op, shapes, [w for w in weights if w])
        positional = named is not None and named.rpartition(".")[2].isdigit()
        given = leaf is not None and bool(made.op.args)  # `dropout 0.0` is meant
        kept = positional or given or (made.op.arranges and self.layout)
        if not kept and _passes(made.op, inputs, value):
            self.same[value] = inputs[0]
            self.readers.setdefault(inputs[0], []).extend(self.readers.get(value, ()))
            return inputs
        for source in inputs:
            self.readers.setdefault(source, []).append(made.op)
        node = Node(made.op, inputs, value, named, leaf)
        self.nodes.setdefault(function, []).append(node)
        return inputs

    def _moved(self, op: Op, inputs: list[Value], value: Value) -> list[Node] | None:
        """A factor for each channel, a parameter that is viewed as C×1×1: the channels go to the
        end for it, and back."""
        if not op.broadcasts or len(inputs) != 2 or value.sample == ():
            return None
        for x, other in (inputs, inputs[::-1]):
            param = self._viewed(other)
            rank = len(x.sample)
            sides = other.shape[-rank:] if other.param is None else ()
            first = rank - len(sides)
            places = [n for n, side in enumerate(sides, first) if side != 1]
            fits = x.param is None and x.sample == value.sample and len(places) == 1
            if param is None or not fits or x.sample[places[0]] != param.shape[0]:
                continue
            place = places[0]
            if place == rank - 1:
                return [Node(op, [x, param], value, None, None)]
            away = (*(n for n in range(rank) if n != place), place)
            back = tuple(away.index(n) for n in range(rank))
            last = Value((BATCH, *(x.sample[n] for n in away)))
            scaled = Value(last.shape)
            return [
                Node(Permute(dims=away), [x], last, None, None),
                Node(op, [last, param], scaled, None, None),
                Node(Permute(dims=back), [scaled], value, None, None),
            ]
        return None

    def _viewed(self, value: Value) -> Value | None:
        """The parameter of one dimension that a value is another view of."""
        while value in self.makers and len(self.makers[value].inputs) == 1:
            value = self.makers[value].inputs[0]
            if value.param not in (None, CONSTANT):
                return value if len(value.shape) == 1 else None
        return None

    def _owner(
        self, function: Function, op: Op, shapes: list[Shape], weights: list[str]
    ) -> tuple[str | None, nn.Module | None]:
        """The module whose own weights a function is given: it then is that module's layer."""
        owners = {weight.rpartition(".")[0] for weight in weights}
        owner = next(iter(owners))
        if len(owners) == 1 and weights[0] != CONSTANT:
            module = self.trace.root.module.get_submodule(owner)
            own = [k for k in module.state_dict() if "." not in k]
            if own == [w.name for w in op.weights(*shapes)] and owner:
                return owner, module
        message = f"`{function.name}` works with weights that are not those of one module"
        self.problems.append(Problem(function.place, message))
        return None, None

    def _broadcast(self, value: Value) -> bool:
        """Whether all that read a value repeat it as often as is needed."""
        readers = self.readers.get(value, [])
        return bool(readers) and all(op is not None and op.broadcasts for op in readers)

    def _seen(self, function: Function, value: Value) -> Seen:
        def maker(place: int) -> Seen | None:
            source = function.inputs[place]
            made_by = self.makers.get(source)
            try:
                return self._seen(made_by, source) if made_by is not None else None
            except NoField:
                return None

        name, args = batch_first(function, value)
        return Seen(
            name,
            args,
            tuple(v.sample for v in function.inputs),
            value.sample,
            function.outputs.index(value),
            tuple(function.inputs),
            value.batched,
            self._broadcast(value),
            maker,
        )

    # ---- the tree ----------------------------------------------------------------------------

    def _build(self, call: Call) -> Graph:
        graph = Graph(call.path, call.module)
        for event in call.events:
            if isinstance(event, Call):
                inner = self._build(event)
                itself = any(isinstance(i, Node) and i.path == inner.path for i in inner.items)
                if itself:  # the module is a layer, with what it does besides
                    graph.items += inner.items
                elif inner.items:
                    graph.items.append(inner)
                continue
            for node in self.nodes.get(event, ()):
                node.inputs = [self._final(v) for v in node.inputs]
                graph.items.append(node)
        return graph


def _unkept(function: Function, source: Value) -> str:
    if source.param == CONSTANT:
        return f"{function.name} computes with a tensor that is no parameter, buffer or input"
    name = f"{function.name} computes with `{source.param}`, a buffer"
    return f"{name} that is not in the state_dict (persistent=False): a spec has none such"


def _merged(made: Lifted, inputs: list[Value], value: Value) -> list[Node] | None:
    """The first dimensions become one for an operator that takes no more, and several again."""
    count = made.merged
    if count < 2 or not value.inner:
        return None
    found, parts = [], []
    for given in inputs:
        sizes = (math.prod(given.sample[:count]), *given.sample[count:])
        parts.append(Value((BATCH, *sizes)))
        found.append(Node(Reshape(sizes=sizes), [given], parts[-1], None, None))
    result = Value((BATCH, *made.op.shape(*(p.sample for p in parts))))
    back = Node(Reshape(sizes=value.sample), [result], value, None, None)
    return [*found, Node(made.op, parts, result, None, None), back]


def _functions(call: Call) -> Iterator[Function]:
    for event in call.events:
        if isinstance(event, Call):
            yield from _functions(event)
        else:
            yield event


def _stateful(module: nn.Module) -> bool:
    return bool(module.state_dict())


def _passes(op: Op, inputs: list[Value], value: Value) -> bool:
    """Whether an operator gives what it gets; a parameter gets a batch where it has a 1 for it."""
    if len(inputs) != 1:
        return False
    shape = inputs[0].sample
    same = shape == value.sample or (bool(inputs[0].param) and shape == (1, *value.sample))
    return op.itself(shape) or (same and op.passes and op.saved(shape).view)


# ---- what makes the graphs simpler -------------------------------------------------------------


def nodes(graph: Graph) -> Iterator[Node]:
    for item in graph.items:
        if isinstance(item, Graph):
            yield from nodes(item)
        else:
            yield item


def _reads(graph: Graph) -> list[Value]:
    """The values from outside that a graph reads, each once; its own parameters are no values."""
    made = {node.output for node in nodes(graph)}
    read = (v for node in nodes(graph) for v in node.inputs if v.param is None)
    return list(dict.fromkeys(v for v in read if v not in made))


def _hoist(graph: Graph) -> None:
    """A join of all that a module is given belongs to its caller: it then has one input."""
    items: list[Item] = []
    for item in graph.items:
        if isinstance(item, Graph):
            _hoist(item)
            while len(_reads(item)) > 1:
                first = item.items[0]
                given = set(_reads(item))
                if isinstance(first, Graph) or first.path or not set(first.inputs) <= given:
                    break
                if first.op.arity is not None:
                    break
                items.append(first)
                del item.items[0]
        items.append(item)
    graph.items = items


def _cumulate(graph: Graph, known: dict[tuple[Op, tuple[Value, ...]], Value]) -> None:
    """`cat(a, b, c)` behind `cat(a, b)` is `cat` of that and c."""
    for item in graph.items:
        if isinstance(item, Graph):
            _cumulate(item, known)
        elif isinstance(item.op, Concat):
            whole = tuple(item.inputs)
            for count in range(len(whole) - 1, 1, -1):
                if (item.op, whole[:count]) in known:
                    item.inputs = [known[item.op, whole[:count]], *whole[count:]]
                    break
            known[item.op, whole] = item.output


def _flatten(graph: Graph, uses: dict[Value, int]) -> None:
    """`a + b + c` is one sum of three: what torch computes is the same."""
    makers: dict[Value, Node] = {}
    for item in list(graph.items):
        if isinstance(item, Graph):
            _flatten(item, uses)
            continue
        first = makers.get(item.inputs[0]) if item.inputs else None
        alike = first is not None and first.op == item.op and uses[item.inputs[0]] == 1
        if first is not None and alike and item.op.broadcasts:
            item.inputs = [*first.inputs, *item.inputs[1:]]
            graph.items.remove(first)
        makers[item.output] = item


def _uses(graph: Graph, outer: list[Value]) -> dict[Value, int]:
    uses: dict[Value, int] = {}
    for value in (*(v for node in nodes(graph) for v in node.inputs), *outer):
        uses[value] = uses.get(value, 0) + 1
    return uses


def _boundaries(graph: Graph, outer: list[Value]) -> None:
    """Set the inputs and outputs of all graphs inside."""
    _bound(graph, _uses(graph, outer))


def _bound(graph: Graph, uses: dict[Value, int]) -> None:
    for item in graph.items:
        if isinstance(item, Graph):
            _bound(item, uses)
    graph.inputs = _reads(graph)
    inside: dict[Value, int] = {}
    for node in nodes(graph):
        for value in node.inputs:
            inside[value] = inside.get(value, 0) + 1
    graph.outputs = [
        node.output
        for node in nodes(graph)
        if uses.get(node.output, 0) > inside.get(node.output, 0)
    ]
