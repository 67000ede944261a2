"""From a graph to text-like structure: chains, joins of branches, scopes; taps for the rest.

In: the graphs of modules. Out: the body of the root, whose `Use`s refer to values that `taps`
later names. A join whose branches all begin at one value, and are read by nothing else, becomes a
`Join`; what remains reads earlier values by their taps.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from archdsl.importer.capture import Value
from archdsl.importer.lift import Graph, Node, nodes
from archdsl.importer.pieces import Body, Join, Output, Piece, Scope, Step, Tap, Use, walk
from archdsl.ops.shape import Identity

#: a skip over more pieces than this is easier to read as a tap
LONG = 8


def structure(graph: Graph, aux: Iterable[Value] = (), *, exact: bool = False) -> Body:
    """The body of a graph; `aux`: the outputs that training alone has; `exact`: sums and products
    keep their order, on which the memory layout of what follows may depend, and so its last bit."""
    body = _Body(graph, graph.path, aux=tuple(aux)).body()
    for piece in walk(body):
        if isinstance(piece, Join):
            piece.exact = exact
    return body


@dataclass(eq=False)
class _Unit:
    """What is emitted as one: a node, a module, or a join with its branches."""

    inputs: list[Value]
    outputs: list[Value]
    piece: Piece
    size: int = 1

    @property
    def join(self) -> bool:
        return isinstance(self.piece, Step) and self.piece.op.arity is None


@dataclass(eq=False)
class _Body:
    graph: Graph
    scope: str
    aux: tuple[Value, ...] = ()
    units: list[_Unit] = field(default_factory=list)

    def body(self) -> Body:
        self.units = [self._unit(item) for item in self.graph.items]
        self._reduce()
        inputs = self.graph.inputs
        source = inputs[0] if inputs else None
        outputs = self.graph.outputs[len(self.aux) :]
        result = outputs[-1] if outputs else None
        read = {v for unit in self.units for v in unit.inputs} | set(outputs)
        beside: Body = []
        for number, value in enumerate(self.aux, 1):
            unit = next((u for u in self.units if value in u.outputs), None)
            if unit is not None and unit.piece.names and value not in read and unit.inputs:
                unit.piece.aux = Use(value=unit.inputs[0], used=unit.inputs[0])
            elif not self.scope:  # a value of the main flow, or of no module
                use = Use(value=value, used=value)
                beside.append(Step((f"aux{number}",), op=Identity(), aux=use))
        body = [*_emit(self.units, source, result), *beside]
        if not self.scope and len(outputs) > 1:
            body += _outputs(outputs)
        return body

    def _unit(self, item: Node | Graph) -> _Unit:
        if isinstance(item, Graph):
            body = structure(item)
            alone = len(item.inputs) == 1 and len(item.outputs) <= 1 and not _foreign(item)
            value = item.outputs[-1] if item.outputs else None
            source = item.inputs[0] if item.inputs else None
            piece: Piece = Scope(
                self._names(item.path),
                value=value,
                body=body,
                module=item.module,
                path=item.path,
                source=source,
                alone=alone,
            )
            return _Unit(item.inputs, item.outputs, piece)
        shapes = tuple(v.sample for v in item.inputs)
        args = {k: getattr(item.op, k) for k, a in item.op.args.items()}
        defaults = {k: a.default for k, a in item.op.args.items()}
        args = {k: v for k, v in args.items() if v != defaults[k]}
        stateful = item.module is not None and bool(item.module.state_dict())
        names = self._names(item.path) if item.path else ()
        path = item.path or ""
        piece = Step(
            names,
            value=item.output,
            op=item.op,
            args=args,
            inputs=shapes,
            stateful=stateful,
            path=path,
        )
        return _Unit(item.inputs, [item.output], piece)

    def _names(self, path: str) -> tuple[str, ...]:
        if self.scope and not path.startswith(self.scope + "."):
            return ("", path)  # a module of another: `naming` says so
        inside = path[len(self.scope) + 1 :] if self.scope else path
        return tuple(inside.split("."))

    # ---- joins with their branches -----------------------------------------------------------

    def _reduce(self) -> None:
        dominators = _Dominators(self.graph.inputs)
        for unit in list(self.units):
            if unit.join:
                self._collapse(unit, dominators)
            for output in unit.outputs:
                dominators.add(output, [v for v in unit.inputs if v.param is None])

    def _collapse(self, join: _Unit, dominators: _Dominators) -> None:
        values = [v for v in join.inputs if v.param is None]
        fork = dominators.common(values)
        if fork is None:
            return
        makers = {out: unit for unit in self.units for out in unit.outputs}
        regions: list[list[_Unit]] = []
        for value in join.inputs:
            region = _region(value, fork, makers)
            if region is None:
                return
            regions.append([u for u in self.units if u in region])
        inside = [unit for region in regions for unit in region]
        if len(set(map(id, inside))) != len(inside) or not self._closed(regions, join):
            return
        sizes = [sum(u.size for u in region) for region in regions]
        skips = any(v is fork for v in values)
        if skips and max(sizes) > (LONG if len(values) == 2 and _adds(join) else 3):
            return
        assert isinstance(join.piece, Step)
        branches = [
            _emit(region, fork, value) for region, value in zip(regions, join.inputs, strict=True)
        ]
        op, args = join.piece.op, join.piece.args
        shapes = join.piece.inputs
        piece = Join(value=join.outputs[0], op=op, args=args, branches=branches, inputs=shapes)
        made = _Unit([fork], join.outputs, piece, 1 + sum(sizes))
        self.units[self.units.index(join)] = made
        self.units = [u for u in self.units if u not in inside]

    def _closed(self, regions: list[list[_Unit]], join: _Unit) -> bool:
        """Whether what the branches compute is read by themselves and the join alone."""
        allowed: dict[int, list[_Unit]] = {}
        for region in regions:
            for unit in region:
                allowed[id(unit)] = region
        for region in regions:
            made = {out for unit in region for out in unit.outputs}
            if made & set(self.graph.outputs):
                return False
            for unit in self.units:
                if unit is not join and unit not in region and made & set(unit.inputs):
                    return False
        return True


def _foreign(graph: Graph) -> bool:
    """Whether a module reads a parameter of another's, which is not known in a block's text."""
    read = (v.param for node in nodes(graph) for v in node.inputs if v.param is not None)
    return any(not name.startswith(f"{graph.path}.") for name in read)


def _adds(join: _Unit) -> bool:
    return isinstance(join.piece, Step) and join.piece.op.broadcasts


def _region(value: Value, fork: Value, makers: dict[Value, _Unit]) -> set[_Unit] | None:
    """The units between two values; None where one reads what does not come from the fork."""
    found: set[_Unit] = set()
    todo = [value]
    while todo:
        current = todo.pop()
        if current is fork or current.param is not None:
            continue
        unit = makers.get(current)
        if unit is None:
            return None
        if unit not in found:
            found.add(unit)
            todo += unit.inputs
    return found


class _Dominators:
    """For each value, the last one that every way to it goes through."""

    def __init__(self, inputs: Iterable[Value]) -> None:
        self.above: dict[Value, Value | None] = dict.fromkeys(inputs)
        self.depth = dict.fromkeys(self.above, 1)

    def add(self, value: Value, inputs: list[Value]) -> None:
        above = self.common(inputs)
        self.above[value] = above
        self.depth[value] = 1 + (self.depth[above] if above is not None else 0)

    def common(self, values: list[Value]) -> Value | None:
        if not values:
            return None
        found: Value | None = values[0]
        for value in values[1:]:
            other: Value | None = value
            while found is not other:
                if found is None or other is None:
                    return None
                if self.depth[found] >= self.depth[other]:
                    found = self.above[found]
                else:
                    other = self.above[other]
        return found


def _outputs(values: list[Value]) -> Body:
    """What the model gives; a value that it gives twice has two names."""
    before: Body = []
    used: list[Use] = []
    for number, value in enumerate(values):
        use = Use(value=value, used=value)
        if value in values[:number]:
            name = f"again{number}"
            before += [use, Tap(name=name)]
            use = Use(name=name)
        used.append(use)
    return [*before, Output(used=used)]


# ---- what remains, in order ----------------------------------------------------------------------


def _emit(units: list[_Unit], source: Value | None, result: Value | None) -> Body:
    """The units in their order. Where one does not go on from the last, it takes up a tap."""
    body: Body = []
    flow = source
    for unit in units:
        piece = unit.piece
        if piece.aux is not None:
            body.append(piece)
            continue
        if unit.join and isinstance(piece, Step):
            if flow not in unit.inputs:
                flow = next(v for v in reversed(unit.inputs))
                body.append(Use(value=flow, used=flow))
            branches: list[Body] = [
                [] if v is flow else [Use(value=v, used=v)] for v in unit.inputs
            ]
            piece = Join(
                value=piece.value,
                op=piece.op,
                args=piece.args,
                branches=branches,
                inputs=piece.inputs,
            )
        elif unit.inputs and flow is not unit.inputs[0]:
            flow = unit.inputs[0]
            body.append(Use(value=flow, used=flow))
        body.append(piece)
        flow = unit.outputs[-1] if unit.outputs else None
    if result is not None and flow is not result:
        body.append(Use(value=result, used=result))
    return body
