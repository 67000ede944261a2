"""Graphs under construction.

While a block is walked, its scopes are `Builder`s and its values point at the `Draft`s that compute
them; a tap may still add an output to a group that is closed, or an input to one that is open. When
the block ends, `freeze` numbers the values and makes the immutable `Graph`s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from archdsl.checker.problem import Problem
from archdsl.diagnostics.catalogue import NeverLabelled, OtherUse, UnfitRule, UnknownTarget
from archdsl.diagnostics.model import Label
from archdsl.diagnostics.source import Span
from archdsl.ir import expr as e
from archdsl.ir import graph
from archdsl.ir.graph import Graph, Init, Item, Node, Param, Scope
from archdsl.ir.same import difference
from archdsl.ops.init import Rule, unfit
from archdsl.ops.table import Op, Shape
from archdsl.text import shape_text


@dataclass(eq=False, slots=True)
class Value:
    """What flows. `shape` None: an error on the way is reported already, and followers keep quiet.
    `span`: the step that computed it."""

    shape: Shape | None
    span: Span
    builder: Builder | None = None
    draft: Draft | None = None  # None: an input of its builder
    number: int = -1
    whole: bool = False  # an input of whole numbers

    @property
    def unbatched(self) -> bool:
        """A parameter, whose shape is torch's; see `Graph.unbatched`."""
        if self.draft is None:
            outer = self.builder.draft if self.builder else None
            if outer is None or self.builder is None or self is self.builder.inputs[0]:
                return False
            return outer.inputs[self.builder.inputs.index(self)].unbatched
        content = self.draft.content
        if isinstance(content, tuple):
            return True
        if isinstance(content, Op):
            return False
        inside = content.outputs[self.draft.outputs.index(self)]
        if isinstance(content, Graph):
            return inside in content.unbatched
        return isinstance(inside, Value) and inside.unbatched

    @property
    def sample(self) -> Shape | None:
        """The shape of one sample."""
        return self.shape[1:] if self.shape is not None and self.unbatched else self.shape

    @property
    def before(self) -> Value | None:
        """The value that the step which computed this one goes on from."""
        if self.draft is not None:
            return self.draft.inputs[0] if self.draft.inputs else None
        outer = self.builder.draft if self.builder else None
        if outer is None or self.builder is None:
            return None
        return outer.inputs[self.builder.inputs.index(self)]


#: the arguments of an operator that follow from sides, and how: numbers and `ir.expr`'s, over
#: (value, place in its sample's shape)
Follows = tuple[tuple[str, Any], ...]


@dataclass(eq=False, slots=True)
class Draft:
    """An item to be. `content`: an operator, a finished graph, an open scope, or a parameter."""

    name: str | None
    labelled: bool
    content: Op | Graph | Builder | tuple[Shape, bool, Rule]
    inputs: list[Value]
    span: Span
    outputs: list[Value] = field(default_factory=list)
    training_only: bool = False
    free: tuple[tuple[str, str], ...] = ()
    shares: Draft | None = None  # whose module it runs
    follows: Follows = ()


class Reached(Exception):
    """The value that a model which is called `until` a label ends with."""

    def __init__(self, value: Value) -> None:
        super().__init__()
        self.value = value


@dataclass(eq=False)
class Builder:
    """One scope: its values, its items in the order of declaration, and the names taken in it."""

    span: Span
    block: str | None
    args: tuple[tuple[str, Any], ...] = ()
    parent: Builder | None = None
    draft: Draft | None = None  # this scope in its parent
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)
    exports: dict[Value, Value] = field(default_factory=dict)  # its values as the parent's
    captures: dict[Value, Value] = field(default_factory=dict)  # the parent's values as its own
    names: dict[str, Span] = field(default_factory=dict)
    named: dict[str, Value] = field(default_factory=dict)  # what labelled steps gave
    made: dict[str, Draft] = field(default_factory=dict)  # its modules, by name
    taps: dict[str, Value] = field(default_factory=dict)  # the values named in it
    inits: list[Init] = field(default_factory=list)
    declared: dict[str, Span] = field(default_factory=dict)
    places: dict[str, tuple[int, int]] = field(default_factory=dict)  # of what is declared
    reads: set[int] = field(default_factory=set)
    fixed: set[tuple[Value, int]] = field(default_factory=set)  # sides of values, of the outermost
    taken: tuple[str, ...] = ()  # the names of its inputs behind the first
    lets: dict[str, Any] = field(default_factory=dict)  # None where a name has several values
    until: str = ""  # of a model: the path that it ends with
    loose: bool = False  # of a model that another one calls: it need not have all that it declares
    positions: int = 0
    nodes: int = 0

    def next_position(self, span: Span) -> str:
        """The name of an unlabelled module; one that a label has taken is passed over."""
        while (name := str(self.positions)) in self.names:
            self.positions += 1
        self.names[name] = span
        return name

    def let(self, name: str, value: Any) -> None:
        """Notes a name for a number, here and in the scopes around."""
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            same = self.lets.setdefault(name, value) == value
            self.lets[name] = value if same else None
            if self.parent is not None:
                self.parent.let(name, value)

    def new_input(self, shape: Shape | None, span: Span) -> Value:
        value = Value(shape, span, self)
        self.inputs.append(value)
        return value

    def add(self, draft: Draft, *shapes: Shape | None) -> list[Value]:
        self._keep(draft)
        draft.outputs = [Value(shape, draft.span, self, draft) for shape in shapes]
        return draft.outputs

    def placed(self, draft: Draft, shape: Shape | None) -> Value:
        """Adds a step of one output, and ends the model there if that is what was asked."""
        value = self.add(draft, shape)[0]
        self.reached(draft)
        return value

    def reached(self, draft: Draft) -> None:
        """Raises `Reached` where this is what the model ends with, or holds it."""
        if not self.until:
            return
        path, scope = [draft.name or ""], self
        while scope.parent is not None and scope.draft is not None:
            path.insert(0, scope.draft.name or "")
            scope = scope.parent
        here = ".".join(path)
        inside = isinstance(draft.content, Graph) and self.until.startswith(here + ".")
        if self.until == here or inside:
            raise Reached(draft.outputs[0])

    def _keep(self, draft: Draft) -> None:
        self.drafts.append(draft)
        if draft.name is not None:
            self.made[draft.name] = draft

    def declare(self, name: str, span: Span) -> None:
        """Keep the place of a module that runs later."""
        self.declared[name] = span
        self.places[name] = len(self.drafts), len(self.places)

    def open(self, name: str, span: Span, entering: Value) -> Builder:
        """A labelled group inside this scope, fed with one value."""
        inner = Builder(span, None, parent=self, until=self.until)
        inner.draft = Draft(name, True, inner, [entering], span)
        inner.captures[entering] = inner.new_input(entering.sample, entering.span)
        inner.inputs[0].whole = entering.whole
        self._keep(inner.draft)
        return inner

    def close(self, leaving: Value) -> Value:
        """End a group: what leaves it, as a value of the scope around it."""
        assert self.parent is not None and self.draft is not None
        self.parent.nodes += self.nodes
        if leaving.shape is None:
            return Value(None, leaving.span)
        return self._export(leaving)

    def _export(self, value: Value) -> Value:
        assert self.parent is not None and self.draft is not None
        if value in self.exports:
            return self.exports[value]
        self.outputs.append(value)
        outer = Value(value.shape, value.span, self.parent, self.draft)
        self.draft.outputs.append(outer)
        self.exports[value] = outer
        return outer

    def _capture(self, value: Value) -> Value:
        assert self.draft is not None
        if value not in self.captures:
            self.draft.inputs.append(value)
            self.captures[value] = self.new_input(value.shape, value.span)
            self.captures[value].whole = value.whole
        return self.captures[value]

    def reach(self, value: Value) -> Value:
        """A value of the same block, from whatever scope, as a value of this one."""
        if value.shape is None or value.builder is None:
            return value
        outward = [self]
        while outward[-1].parent is not None:
            outward.append(outward[-1].parent)
        while value.builder is not None and value.builder not in outward:
            value = value.builder._export(value)
        for scope in reversed(outward):
            if scope.parent is value.builder and scope is not outward[-1]:
                value = scope._capture(value)
        return value


def freeze(builder: Builder) -> Graph:
    """The finished graph; items in the order of execution."""
    order = _execution_order(builder)
    number = 0
    for value in builder.inputs:
        value.number, number = number, number + 1
    for draft in order:
        for value in draft.outputs:
            value.number, number = number, number + 1
    items = {draft: _item(draft) for draft in order}
    entering = builder.inputs[:1]
    fixed = {
        (value, place) for value, place in _outermost(builder).fixed if value.builder is builder
    }
    place = {draft: index for index, draft in enumerate(order)}
    for draft in order:
        if draft.shares is not None:
            said = difference(items[draft.shares], items[draft], draft.name or "")
            if said:
                first = Label(draft.shares.span, "it was made for this use")
                raise Problem(OtherUse(draft.span, draft.name or "", said).with_related(first))
    return Graph(
        block=builder.block,
        args=builder.args,
        input_shapes=tuple(_shape(v) for v in builder.inputs),
        items=tuple(items[draft] for draft in order),
        declared=tuple(place[draft] for draft in _declaration_order(builder)),
        outputs=tuple(v.number for v in builder.outputs),
        output_shapes=tuple(_shape(v) for v in builder.outputs),
        inits=_settled(_applying(builder), list(items.values())),
        span=builder.span,
        bare=frozenset(value.number for value in builder.inputs if value.unbatched),
        reads=tuple(sorted(builder.reads | {place for v, place in fixed if v in entering})),
        fixed=tuple(sorted((v.number, place) for v, place in fixed if v not in entering)),
        lets=tuple((name, value) for name, value in builder.lets.items() if value is not None),
        input_names=builder.taken,
        taps=tuple((n, v.number) for n, v in builder.taps.items() if v.builder is builder),
    )


def _outermost(builder: Builder) -> Builder:
    while builder.parent is not None:
        builder = builder.parent
    return builder


def sketches(builder: Builder) -> Iterator[Graph]:
    """What is right in a scope that has an error: its items as far as they are known, without what
    hangs on others; a group that is not whole stands for itself."""
    lost: set[Draft] = set()
    for draft in builder.drafts:
        content = draft.content
        whole = all(value.shape is not None for value in draft.inputs)
        if isinstance(content, Builder):
            inside = [*sketches(content)]
            whole = whole and len(inside) == 1 and len(inside[0].items) == len(content.drafts)
            if not whole:
                yield from inside
        if not whole or any(value.draft in lost for value in draft.inputs):
            lost.add(draft)
    known = replace(
        builder,
        inputs=[value for value in builder.inputs if value.shape is not None],
        drafts=[draft for draft in builder.drafts if draft not in lost],
        outputs=[v for v in builder.outputs if v.shape is not None and v.draft not in lost],
        inits=[],
        declared={},
        places={},
    )
    yield freeze(known)


def _declaration_order(builder: Builder) -> list[Draft]:
    """The order of the text, but what is declared stands where its `declare` does."""
    for name, span in builder.declared.items():
        if name not in builder.names and not builder.loose:
            raise Problem(NeverLabelled(span, name))
    after = len(builder.places)
    own = [draft for draft in builder.drafts if draft.shares is None]
    keys = {
        draft: builder.places.get(draft.name or "", (place, after))
        for place, draft in enumerate(builder.drafts)
    }
    return sorted(own, key=lambda draft: keys[draft])


def _execution_order(builder: Builder) -> list[Draft]:
    """Declaration order, but what runs in training alone runs right after the last of what it
    reads: the random numbers that it draws then come where they would in hand-written code."""
    order = [draft for draft in builder.drafts if not draft.training_only]
    place = {draft: number for number, draft in enumerate(order)}
    after: dict[int, list[Draft]] = {}
    for draft in builder.drafts:
        if draft.training_only:
            read = (value.draft for value in draft.inputs)
            place[draft] = max((place[maker] for maker in read if maker is not None), default=-1)
            after.setdefault(place[draft], []).append(draft)
    result = after.get(-1, [])
    for number, draft in enumerate(order):
        result += [draft, *after.get(number, ())]
    return result


def _shape(value: Value) -> Shape:
    if value.shape is None:
        raise Problem(None)  # an error before it is reported; what flows here is a parameter
    return value.shape


def _item(draft: Draft) -> Item:
    inputs = tuple(v.number for v in draft.inputs)
    content, name = draft.content, draft.name or ""
    if isinstance(content, tuple):
        return Param(name, *content, draft.span)
    if isinstance(content, Op):
        shapes, out = operand_shapes(content, draft.inputs), _shape(draft.outputs[0])
        return Node(
            draft.name,
            draft.labelled,
            content,
            inputs,
            shapes,
            out,
            draft.span,
            draft.training_only,
            draft.free,
            draft.shares is not None,
            tuple((field, _numbered(value)) for field, value in draft.follows),
        )
    inside = freeze(content) if isinstance(content, Builder) else content
    shares = draft.shares is not None
    return Scope(name, draft.labelled, inside, inputs, draft.span, draft.training_only, shares)


def _numbered(value: Any) -> Any:
    """A following argument over numbered values."""
    if isinstance(value, tuple):
        return tuple(map(_numbered, value))
    found = {(v, place): v.number for v, place in getattr(value, "axes", ())}
    sides = {e.Var(side, ""): graph.side(number, side[1]) for side, number in found.items()}
    return e.substituted(value, sides)


def operand_shapes(op: Op, values: list[Value]) -> tuple[Shape, ...]:
    """The shapes that an operator sees."""
    return graph.operand_shapes(op, [_shape(v) for v in values], [v.unbatched for v in values])


def _applying(builder: Builder) -> list[Init]:
    """The init rules, without those for what a model that another one calls does not build."""
    if not builder.loose:
        return builder.inits
    heads = ((init, (init.path or "").split(".")[0]) for init in builder.inits)
    return [init for init, head in heads if init.path is None or head in builder.made]


def _settled(inits: list[Init], items: list[Item]) -> tuple[Init, ...]:
    """The init rules, whose targets are known to exist."""
    learned: dict[str, dict[str, set[Shape]]] = {}  # by the kind of operator
    for node in _nodes(items) if inits else ():
        for weight in (w for w in node.weights if not w.buffer):
            every = [(node.op.name, weight.name)]
            every += [(kind, weight.name.rpartition(".")[2]) for kind, _ in node.op.holds]
            for kind, name in every:
                learned.setdefault(kind, {}).setdefault(name, set()).add(weight.shape)
    for init in inits:
        if init.kind in learned and init.param not in learned[init.kind]:
            raise Problem(UnknownTarget(init.span, f"{init.kind}.{init.param}"))
        for shape in sorted(learned.get(init.kind or "", {}).get(init.param, ())):
            check_fits(init.rule, shape, init.span)
    top = {item.name: item for item in items if item.name is not None}
    return tuple(init if init.kind is not None else _found(init, top) for init in inits)


def check_fits(rule: Rule, shape: Shape, span: Span) -> None:
    """Raises where a rule of initialisation cannot fill a weight."""
    if reason := unfit(rule, shape):
        raise Problem(UnfitRule(span, rule.name, shape_text(shape), reason))


def _found(init: Init, items: Mapping[str, Item]) -> Init:
    """A rule for one layer, with the layer's path and the parameter told apart."""
    path = (init.path or "").split(".")
    for split in (len(path), len(path) - 1):
        layer, param = _find(items, path[:split]), ".".join(path[split:]) or "weight"
        if isinstance(layer, Node) and _has(layer, param):
            check_fits(
                init.rule, next(w.shape for w in layer.weights if w.name == param), init.span
            )
            return replace(init, path=".".join(path[:split]), param=param)
    raise Problem(UnknownTarget(init.span, ".".join(path)))


def _has(node: Node, param: str) -> bool:
    return any(w.name == param and not w.buffer for w in node.weights)


def _find(items: Mapping[str, Item], path: list[str]) -> Item | None:
    item = items.get(path[0]) if path else None
    for name in path[1:]:
        inside = item.graph.items if isinstance(item, Scope) else ()
        item = next((i for i in inside if i.name == name), None)
    return item


def _nodes(items: Iterable[Item]) -> Iterator[Node]:
    for item in items:
        if isinstance(item, Node):
            yield item
        elif isinstance(item, Scope):
            yield from _nodes(item.graph.items)
