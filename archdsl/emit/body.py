"""From a graph to the body of a class, still without names for classes, arguments and variables.

In: a graph, and what the scopes inside it became. Out: a `Body`: which submodules are built in
which order, what the forward does step by step, and the initialisation at the end. Bodies compare
equal where they differ only in literals.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from archdsl.emit.code import literal
from archdsl.emit.initial import branches, own_rule
from archdsl.emit.measure import measured
from archdsl.emit.tree import (
    Apply,
    Attr,
    Body,
    Child,
    Code,
    Expr,
    Infix,
    Lit,
    Make,
    Many,
    Member,
    Named,
    Own,
    Repeat,
    Step,
    Value,
    found,
    rewrite,
)
from archdsl.ir.flow import Flow
from archdsl.ir.graph import Graph, Item, Node, Param, Scope
from archdsl.ops.table import Blame, Call, Computed, Input, Name, Shape, Sides
from archdsl.ops.types import another

Side = tuple[int, int]  # a value of the graph, and the place in its sample's shape
ACT = "act"
LONGEST = 100  # operands of one sum or product
MORE = (1, 2, 3, 8, -1)  # how much larger a side is, to see whether others fit


def is_chain(graph: Graph, outputs: tuple[int, ...], checks: Collection[Side] = ()) -> bool:
    """Whether nn.Sequential says it all; `checks`: the sides that the forward must check."""
    if checks or len(graph.input_shapes) != 1 or graph.declared != tuple(range(len(graph.items))):
        return False
    for number, item in enumerate(graph.items):
        if isinstance(item, Param) or item.name is None or item.training_only:
            return False
        if isinstance(item, Node) and item.follows:
            return False
        if item.inputs != (number,) or len(item.shapes) != 1:
            return False
    return outputs == (len(graph.items),)


def positional(graph: Graph) -> bool:
    return all(item.name == str(place) for place, item in enumerate(graph.items))


def _numbered(graph: Graph) -> bool:
    """Whether no part has a name, and some need one: joins aside, it could be an nn.Sequential."""
    items = [graph.items[place] for place in graph.declared]
    parts = [item for item in items if item.name is not None]
    if any(isinstance(item, Param) or item.training_only for item in items):
        return False
    if any(isinstance(item, Node) and (len(item.inputs) > 1 or item.follows) for item in parts):
        return False  # no module takes two, or follows what comes
    if not any(not isinstance(item, Node) or _function(item) is None for item in parts):
        return False
    return [item.name for item in parts] == [str(number) for number in range(len(parts))]


def body(
    graph: Graph,
    outputs: tuple[int, ...],
    built: Mapping[Graph, Expr],
    *,
    sequential: bool,
    checks: Collection[Side] = (),
    settable: frozenset[str] = frozenset(),
    root: bool = False,
) -> Body:
    """The body for a graph; `built`: how to construct the graphs of its scopes; `checks`: the sides
    of its values that must be as they were; `settable`: the model's parameters that may have other
    values; `root`: it is the model's own, whose outputs all have a batch."""
    flow = Flow(graph, outputs, settable)
    inits = branches(graph)
    if sequential:
        return Body(_layers(flow, built), (), (), 1, (), (), inits)
    members: list[Child | Own] = []
    layers = _layers(flow, built) if _numbered(graph) else None
    for place in graph.declared if layers is None else ():
        item = graph.items[place]
        if isinstance(item, Param):
            members.append(_own(item))
        elif isinstance(item, Scope):
            members.append(Child(item.name, built[item.graph]))
        elif item.name is not None and _function(item) is None:
            direct = item.op.direct(*item.input_shapes)
            made = _apply(direct[0], item, (), flow) if direct else _module(item, flow)
            members.append(Child(item.name, made))
    steps, values = _steps(flow, checks, numbered=layers is not None)
    absent = tuple(
        place
        for place, value in enumerate(outputs)
        if value in flow.makers and getattr(flow.makers[value][0], "training_only", False)
    )
    results = tuple(
        _repeated(values[value], Value(0), len(graph.value_shapes[value]) - 1)
        if root and value in graph.unbatched
        else values[value]
        for value in outputs
    )
    inputs = len(graph.input_shapes)
    return Body(
        layers,
        tuple(members),
        steps,
        inputs,
        results,
        absent,
        inits,
        input_names=graph.input_names,
    )


# ---- construction ----------------------------------------------------------------------------


def _layers(flow: Flow, built: Mapping[Graph, Expr]) -> tuple[Expr, ...]:
    parts: list[tuple[str, Expr]] = []
    last = flow.graph.declared[-1] if flow.graph.declared else None
    for place in flow.graph.declared:
        item = flow.graph.items[place]
        if item.name is None or (place == last and _nothing(item)):
            continue
        assert not isinstance(item, Param)  # no nn.Sequential has one of its own
        expr = built[item.graph] if isinstance(item, Scope) else _layer(item, flow)
        parts.append((item.name, expr))
    if [name for name, _ in parts] != [str(number) for number in range(len(parts))]:
        pairs = tuple(Many((Code(literal(name)), e), "()") for name, e in parts)
        return (Apply(Code("OrderedDict"), (Many(pairs),)),)
    return tuple(_runs([expr for _, expr in parts]))


def _nothing(item: Item) -> bool:
    """Whether it passes its input on, and nobody named it."""
    return isinstance(item, Node) and not item.labelled and item.op.itself(*item.input_shapes)


def _runs(exprs: list[Expr]) -> list[Expr]:
    """Equal blocks in a row as `*[Block(...) for _ in range(n)]`."""
    result: list[Expr] = []
    start = 0
    while start < len(exprs):
        end = start + 1
        while end < len(exprs) and isinstance(exprs[start], Make) and _same(exprs, start, end):
            end += 1
        if end - start > 1:
            result.append(Repeat(exprs[start], Lit(end - start, "repeats")))
        else:
            result.append(exprs[start])
        start = end
    return result


def _same(exprs: list[Expr], one: int, other: int) -> bool:
    if exprs[one] is exprs[other]:
        return True
    return exprs[one] == exprs[other] and all(
        (repr(a.value), a.free) == (repr(b.value), b.free)
        for a, b in zip(found(exprs[one], Lit), found(exprs[other], Lit), strict=True)
    )


def _own(param: Param) -> Own:
    sides = tuple(Lit(side, "size") for side in param.shape)
    fill, rule = own_rule(param.rule, Member(param.name))
    shape: tuple[Expr, ...] = sides or (Many((), "()"),)
    return Own(param.name, param.buffer, Apply(Code(f"torch.{fill}"), shape), rule)


def _layer(node: Node, flow: Flow) -> Expr:
    """A layer of an nn.Sequential; activations that take the same arguments may be one another."""
    made = _module(node, flow)
    if not isinstance(made, Apply) or not isinstance(made.target, Code):
        return made
    if not node.op.nonlinear or node.weights or made.args:
        return made
    return replace(made, target=Lit(Named(made.target.text), ACT, role=ACT))


def _module(node: Node, flow: Flow) -> Expr:
    return _apply(node.op.module(*node.input_shapes), node, (), flow)


def _function(node: Node) -> Call | None:
    return node.function(*node.input_shapes)


def _apply(call: Call, node: Node, values: tuple[Expr, ...], flow: Flow) -> Expr:
    free = _free(call, node, flow.settable)
    args: list[Expr] = []
    for place, arg in enumerate(call.args):
        if arg == Input(None):
            args.append(Many(values))
        else:
            made = _argument(arg, values, _hint(arg, place, node), graph=flow.graph)
            args.append(_set(made, free.get(place)))
    if call.infix:
        return args[0] if call.itself else Infix(call.target, tuple(args))
    # every keyword, those left out for being torch's default too: instances that give one and
    # instances that do not still share a class
    given = dict(call.kwargs)
    every = call.full or call.kwargs
    kwargs = []
    for key, arg in every:
        made = _argument(arg, values, key, key not in given, _role(key), flow.graph)
        kwargs.append((key, _set(made, free.get(key))))
    if flow.inplace(node):
        kwargs.append(("inplace", Code("True")))
    return Apply(Code(call.target), tuple(args), tuple(kwargs), item=call.item)


def _role(key: str) -> str:
    return "" if key == "groups" else key


def _free(call: Call, node: Node, settable: frozenset[str]) -> dict[int | str, str]:
    """The arguments of the call, by place or keyword, that are a parameter of the model."""
    free: dict[int | str, str] = {}
    for field, name in node.free:
        if name not in settable:
            continue
        other = node.op.replace(**{field: another(getattr(node.op, field))})
        for made in (other.module(*node.input_shapes), other.function(*node.input_shapes)):
            if made is None or made.target != call.target:
                continue
            pairs = enumerate(zip(call.args, made.args, strict=True))
            free.update({place: name for place, (one, two) in pairs if one != two})
            full = dict(made.full or made.kwargs)
            every = call.full or call.kwargs
            free.update({key: name for key, one in every if full[key] != one})
    return free


def _set(expr: Expr, name: str | None) -> Expr:
    """A literal that is a parameter of the model is always written."""
    if name is None or not isinstance(expr, Lit):
        return expr
    return replace(expr, free=name, silent=False)


def _argument(
    arg: Any,
    values: tuple[Expr, ...],
    hint: str,
    silent: bool = False,
    role: str = "",
    graph: Graph | None = None,
) -> Expr:
    if isinstance(arg, Computed) and graph is not None:
        return measured(arg.expr, graph)
    if isinstance(arg, tuple) and any(isinstance(part, Computed) for part in arg):
        return Many(tuple(_argument(part, values, "size", graph=graph) for part in arg), "()")
    if isinstance(arg, Input):
        return values[arg.index or 0]
    if isinstance(arg, Name):
        return Code(arg.text)
    if isinstance(arg, Sides):
        return Attr(values[arg.index], f"shape[-{arg.count}:]")
    return Lit(arg, hint, silent, role)


def _hint(arg: Any, place: int, node: Node) -> str:
    if node.shape[:1] == (arg,):
        return "out"
    if place == 0 and node.input_shapes[0][:1] == (arg,):
        return "channels"
    if node.shape[-1:] == (arg,) != node.input_shapes[0][-1:]:
        return "out"
    return "dim" if node.input_shapes[0][-1:] == (arg,) else "size"


# ---- the forward -----------------------------------------------------------------------------


def _steps(
    flow: Flow, checks: Collection[Side], *, numbered: bool
) -> tuple[tuple[Step, ...], dict[int, Expr]]:
    """The steps, and for each value of the graph the expression that stands for it; `numbered`: all
    parts are those of an nn.Sequential (`self[0]`, which torch.jit takes too)."""
    count = len(flow.graph.input_shapes)
    values: dict[int, Expr] = {number: Value(number) for number in range(count)}
    parts_of_sums = itertools.count(len(flow.graph.value_shapes))
    steps = [step for number in range(count) for step in _only(number, checks, flow.graph)]
    for item in flow.graph.items:
        results = tuple(range(count, count + len(item.shapes)))
        count += len(results)
        if isinstance(item, Param):
            values[results[0]] = Member(item.name)
            continue
        inputs = _expanded(item, values, flow.graph)
        if item.name is not None and numbered and not _nothing(item):
            expr: Expr = Apply(Code(f"self[{item.name}]"), inputs)
        else:
            expr = _call(item, inputs, flow)
        if isinstance(item, Node) and item.follows:  # sides of values that may be others' too
            expr = rewrite(expr, lambda leaf: _settled(leaf, values))
        if isinstance(expr, (Value, Member)):  # the identity: another name for the same value
            values[results[0]] = expr
            continue
        while isinstance(expr, Infix) and len(expr.operands) > LONGEST:
            # Python's parser takes no deeper expressions; the order of the sums stays
            part = Value(next(parts_of_sums))
            first = Infix(expr.operator, expr.operands[:LONGEST])
            only = item.training_only
            steps.append(Step(first, (part.number,), None, False, True, False, only))
            expr = Infix(expr.operator, (part, *expr.operands[LONGEST:]))
        for number in results:
            values[number] = Value(number)
        node = item if isinstance(item, Node) else None
        steps.append(
            Step(
                expr,
                results,
                item.name if item.labelled else None,
                scope=node is None,
                join=node is not None and node.name is None,
                nonlinear=node is not None and node.op.nonlinear,
                training_only=item.training_only,
            )
        )
        for number in results:
            steps += _only(number, checks, flow.graph)
    return tuple(steps), values


def _settled(leaf: Expr, values: Mapping[int, Expr]) -> Expr:
    return values.get(leaf.number, leaf) if isinstance(leaf, Value) else leaf


def unheld(graph: Graph) -> set[int]:
    """The sides of its first input that a graph's text computes with and that no layer's weights
    hold to their size anyway."""
    return {side for side in graph.reads if not _fixed(graph, side)}


def _fixed(graph: Graph, side: int) -> bool:
    """Whether a layer behind the input has weights made for this side: torch refuses others."""
    shape = graph.input_shapes[0]
    others = ((*shape[:side], shape[side] + more, *shape[side + 1 :]) for more in MORE)
    return all(_misfits(graph, {0: other}) for other in others)


def _misfits(graph: Graph, changed: dict[int, Shape]) -> bool:
    """Whether a layer's weights do not fit, where these values of the graph had other shapes."""
    count = len(graph.input_shapes)
    for item in graph.items:
        results = range(count, count + len(item.shapes))
        count += len(item.shapes)
        if isinstance(item, Param) or item.training_only or not changed.keys() & {*item.inputs}:
            continue
        others = {place: changed[v] for place, v in enumerate(item.inputs) if v in changed}
        if isinstance(item, Scope):
            if _misfits(item.graph, others):
                return True
            continue
        shapes = tuple(others.get(place, s) for place, s in enumerate(item.input_shapes))
        with suppress(Blame):
            if item.op.weights(*shapes) != item.weights:
                return True
            if (shape := item.op.shape(*shapes)) != item.shape:
                changed[results[0]] = shape
    return False


def _only(value: int, checks: Collection[Side], graph: Graph) -> Iterator[Step]:
    """The sizes below were computed from these sides of a value: others are refused, in a way that
    torch.jit, torch.fx and torch.export take."""
    told = Code(literal("compiled for another size"))
    loose = value in graph.unbatched
    for _, side in sorted(check for check in checks if check[0] == value):
        size = Lit(graph.value_shapes[value][side + loose], "size")
        same = Infix("==", (Attr(Value(value), f"shape[{side + 1}]"), size))
        expr = Apply(Code("torch._assert"), (same, told))
        yield Step(expr, (-1,), None, scope=True, join=False, nonlinear=False, training_only=False)


def _call(item: Node | Scope, inputs: tuple[Expr, ...], flow: Flow) -> Expr:
    if isinstance(item, Scope):
        return Apply(Member(item.name), inputs)
    function = _function(item)
    if function is not None:
        return _apply(function, item, inputs, flow)
    member = Member(str(item.name))
    direct = item.op.direct(*item.input_shapes)
    if direct is None:
        return Apply(member, inputs)
    made = _apply(direct[1], item, inputs, flow)
    assert isinstance(made, Apply)
    return replace(made, target=member, item=0)


def _expanded(item: Node | Scope, values: Mapping[int, Expr], graph: Graph) -> tuple[Expr, ...]:
    """The inputs of an item; parameters that stand for a whole batch repeated for each sample."""
    loose = graph.expanded(item)
    batched = (v for v in item.inputs if v not in graph.unbatched)
    source = values[next(batched, 0)]
    return tuple(
        _repeated(values[v], source, len(graph.value_shapes[v]) - 1) if expand else values[v]
        for v, expand in zip(item.inputs, loose, strict=True)
    )


def _repeated(expr: Expr, source: Expr, rank: int) -> Expr:
    """A parameter with a leading 1 as a batch of as many as `source` has."""
    return Apply(Attr(expr, "expand"), (Attr(source, "shape[0]"), *(Code("-1"),) * rank))
