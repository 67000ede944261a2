"""The walk of calls: operators, joins and blocks, with their labels, parameters and init rules.

The half of elaboration that makes items; `elaborate.py` adds the half that walks statements.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from archdsl.checker.arguments import (
    Frame,
    any_value,
    blamed,
    operator,
    setting_of,
)
from archdsl.checker.build import (
    Builder,
    Draft,
    Reached,
    Value,
    freeze,
    operand_shapes,
    sketches,
)
from archdsl.checker.fuel import EXPANSION, NODE, PARAM, Budget
from archdsl.checker.measured import Measured
from archdsl.checker.naming import Naming
from archdsl.checker.problem import Problem
from archdsl.checker.report import Reporter
from archdsl.checker.values import POISON, Partial, Setting, show
from archdsl.diagnostics import catalogue as c
from archdsl.diagnostics.model import Label
from archdsl.diagnostics.source import Span
from archdsl.ir import expr as e
from archdsl.ir.expose import Unknown, cut
from archdsl.ir.graph import Graph, lowered
from archdsl.ir.limits import Limits
from archdsl.names.bind import bind_call
from archdsl.names.foreign import similar
from archdsl.names.symbols import Names
from archdsl.names.units import Block, Target
from archdsl.ops import Op
from archdsl.ops.table import Blame, Shape
from archdsl.syntax import tree as t
from archdsl.text import shape_text


class Calls(Naming):
    """What a walk knows, and how it turns calls into items of a scope."""

    def __init__(self, names: Names, limits: Limits) -> None:
        self.names, self.report = names, Reporter()
        self.budget = Budget(limits, self.report)
        self.memo: dict[Any, tuple[Graph | None, Shape | None]] = {}
        self.placed: list[Setting] = []  # what operators got
        self.open: list[Builder] = []  # of the model, and of the blocks that have errors

    def sketches(self) -> list[Graph]:
        """What is right in these."""
        found: list[Graph] = []
        for builder in self.open:
            with suppress(Problem):
                found += sketches(builder)
        return found

    def compared(self) -> None:
        """A shape is compared: what came before is no longer free."""
        for setting in self.placed:
            setting.computed = True

    def _body(self, body: t.Body, flow: Value, builder: Builder, frame: Frame) -> Value:
        raise NotImplementedError

    def _operands(self, call: t.Call, flow: Value, builder: Builder, frame: Frame) -> list[Value]:
        """What a join joins."""
        raise NotImplementedError

    # ---- calls -------------------------------------------------------------------------------

    def _call(
        self, call: t.Call, flow: Value, builder: Builder, frame: Frame, label: str | None
    ) -> Value:
        self.budget.spend(NODE, call.span)
        if call.name in frame.parts:
            return self._shared(frame.parts[call.name], call, flow, builder)
        target, bound = self._target(call, frame)
        if target is None:
            return Value(None, call.span)
        if isinstance(target, Block):
            return self._block(call, target, bound, flow, builder, frame, label)
        frame.flow, frame.builder = flow, builder
        op, follows = operator(target, bound, frame, self.report)
        if call in self.names[frame.block.unit].flawed:
            op = None
        if target.arity is None:
            return self._joined(call, op, flow, builder, frame)
        name = label if label is not None else builder.next_position(call.span)
        if op is None or flow.shape is None:
            return Value(None, call.span)
        operands = [flow, *self._like(target, bound, builder, frame)]
        shape = None
        if all(value.shape is not None for value in operands):
            shape = self._apply(call, op, bound, operands)
        if shape is None:
            return Value(None, call.span)
        draft = Draft(name, label is not None, op, operands, call.span)
        if lowered(op, follows).function(*operand_shapes(op, operands)) is not None:
            draft.follows = tuple((field, _reached(value, builder)) for field, value in follows)
        else:  # a module is made for its numbers
            for owner, place in (side for _, value in follows for side in _sides(value)):
                frame.fix(owner, place)
        given = ((key, setting_of(bound[key].value, frame)) for key in op.free if key in bound)
        if passed := [(key, setting) for key, setting in given if setting is not None]:
            draft.free = tuple((key, setting.of) for key, setting in passed)
            self.placed += [setting for _, setting in passed]
        self.budget.nodes(call.span, builder, 1)
        return builder.placed(draft, shape)

    def _joins(self, call: t.Call, frame: Frame) -> bool:
        """Whether a call joins values, and is no module."""
        if call.body is None and not call.taps:
            return False
        value = frame.variables.get(call.name)
        value = value.target if isinstance(value, Partial) else value
        target = self.names[frame.block.unit].targets.get(call) if value is None else value
        return not isinstance(target, Block)

    def _like(
        self, op: type[Op], bound: Mapping[str, t.Argument], builder: Builder, frame: Frame
    ) -> list[Value]:
        """The value whose size an argument takes."""
        given = bound[op.like].value if op.like in bound else None
        return [self._tap(given.use, builder, frame)] if isinstance(given, t.ValueOf) else []

    def _tap(self, use: t.TapUse, builder: Builder, frame: Frame) -> Value:
        raise NotImplementedError

    def _shared(self, part: Any, call: t.Call, flow: Value, builder: Builder) -> Value:
        raise NotImplementedError

    def _target(self, call: t.Call, frame: Frame) -> tuple[Target | None, dict[str, t.Argument]]:
        if call.name not in frame.variables:
            names = self.names[frame.block.unit]
            return names.targets.get(call), names.bound.get(call, {})
        value = frame.variables[call.name]
        value = value.value if isinstance(value, Setting) else value
        args = call.args
        if isinstance(value, Partial):
            given = {a.name for a in args}
            args = (*(a for a in value.args if a.name is None or a.name not in given), *args)
            value = value.target
        if not isinstance(value, Block) and not (isinstance(value, type) and issubclass(value, Op)):
            if value is not POISON:
                self.report(c.NotAStep(call.name_span, call.name, show(value)))
            return None, {}
        bound, problems = bind_call(call, value, args, frame.variables)
        for wrong in problems:
            self.report(wrong)
        return (None if problems else value), bound

    def _apply(
        self, call: t.Call, op: Op, bound: dict[str, t.Argument], inputs: list[Value]
    ) -> Shape | None:
        """The operator's own verdict on its inputs."""
        if any(value.whole for value in inputs) and not op.whole:
            self.report(c.WholeNumbers(call.name_span, call.name))
            return None
        if self._without_batch(op, inputs, call.name_span):
            return None
        try:
            shape = op.shape(*operand_shapes(op, inputs))
        except Blame as blame:
            self.report(blamed(call, op, bound, inputs, blame))
            return None
        self.budget.tensor(call.span, shape)
        return shape

    def _without_batch(self, op: Op | None, values: list[Value], where: Span) -> bool:
        """Whether a parameter stands where a value with a batch must, and has no place for one.
        `op`: what takes the values; None: what takes them as they are."""
        if op is not None and op.broadcasts and not all(v.unbatched for v in values):
            return False
        for value in values:
            if value.unbatched and value.shape is not None and value.shape[:1] != (1,):
                shapes = shape_text(value.shape), shape_text((1, *value.shape))
                label = Label(value.span, "declared here")
                self.report(c.NoBatch(where, *shapes, related=(label,)))
                return True
        return False

    def _joined(
        self, call: t.Call, op: Op | None, flow: Value, builder: Builder, frame: Frame
    ) -> Value:
        values = self._operands(call, flow, builder, frame)
        if op is None or any(v.shape is None for v in values):
            return Value(None, call.span)
        if not values and call.taps:
            return Value(None, call.span)
        if not values:
            self.report(c.NoBranches(call.span, call.name))
            return Value(None, call.span)
        bound = self.names[frame.block.unit].bound.get(call)
        return self._join(op, values, builder, call.span, call, bound)

    def _join(
        self,
        op: Op,
        values: list[Value],
        builder: Builder,
        span: Span,
        call: t.Call | None = None,
        bound: dict[str, t.Argument] | None = None,
    ) -> Value:
        shape: Shape | None
        if call is None:
            shape = op.shape(*operand_shapes(op, values))
        else:
            shape = self._apply(call, op, bound or {}, values)
        if shape is None:
            return Value(None, span)
        self.budget.nodes(span, builder, 1)
        return builder.add(Draft(None, False, op, values, span), shape)[0]

    # ---- blocks ------------------------------------------------------------------------------

    def _block(
        self,
        call: t.Call,
        block: Block,
        bound: dict[str, t.Argument],
        flow: Value,
        builder: Builder,
        frame: Frame,
        label: str | None,
    ) -> Value:
        name = label if label is not None else builder.next_position(call.span)
        values: dict[str, Any] = {}
        called = block.name
        if not isinstance(block.tree, t.Block):
            base = self._behind(block, values)
            if base is None:
                return Value(None, call.span)
            block = base
        elif call.until is not None:
            self.report(c.UntilOfBlock(call.until.span, block.name))
            return Value(None, call.span)
        self.budget.spend(PARAM * len(block.params), call.span)
        preset = set(values)
        flows = {p.name for p in block.values}
        given = {
            key: self._tap(argument.value.use, builder, frame)
            for key, argument in bound.items()
            if key in flows and isinstance(argument.value, t.ValueOf)
        }
        for key, argument in bound.items():
            if key in flows:
                continue
            with self.report.catching():
                passed = setting_of(argument.value, frame)
                values[key] = any_value(argument.value, frame) if passed is None else passed
        flawed = call in self.names[frame.block.unit].flawed
        flawed = flawed or len(values) + len(given) < len(bound.keys() | preset)
        operands = [flow, *(given[p.name] for p in block.values if p.name in given)]
        if flawed or any(v.shape is None for v in operands) or POISON in values.values():
            return Value(None, call.span)
        if self._without_batch(None, operands, call.name_span):
            return Value(None, call.span)
        reads: set[int] = set()
        variables = self._parameters(block, values, flow.sample, call.name_span, reads)
        if variables is None:
            return Value(None, call.span)
        shapes = tuple((name, value.sample, value.whole) for name, value in given.items())
        until = call.until.path if call.until is not None else ""
        given_as = tuple((k, _key(v)) for k, v in variables.items())
        same = (block, given_as, flow.sample, flow.whole, shapes, until)
        if same not in self.memo:
            with self.report.calling(call.span, called):
                self.memo[same] = self._expand(block, variables, flow, given, reads, call.until)
        graph, shape = self.memo[same]
        if graph is None:
            return Value(shape, call.span)
        self.budget.nodes(call.span, builder, graph.sizes.nodes)
        draft = Draft(name, label is not None, graph, operands, call.span)
        return builder.placed(draft, shape)

    def _expand(
        self,
        block: Block,
        variables: dict[str, Any],
        flow: Value,
        given: Mapping[str, Value],
        reads: set[int],
        until: t.Until | None,
    ) -> tuple[Graph | None, Shape | None]:
        self.budget.spend(EXPANSION, block.tree.name_span)
        args = tuple((k, plain(v)) for k, v in variables.items())
        builder = Builder(block.tree.span, block.name, args)
        self.open.append(builder)
        entering = builder.new_input(flow.sample, flow.span)
        entering.whole = flow.whole
        frame = Frame(block, variables, {}, flow.sample, self.budget, reads)
        frame.absent = frozenset(p.name for p in block.values if p.name not in given)
        for param in block.values:
            if param.name in given:
                value = given[param.name]
                frame.taps[param.name] = builder.new_input(value.sample, value.span)
                builder.inputs[-1].whole = value.whole
        builder.taken = tuple(p.name for p in block.values if p.name in given)
        builder.reads, builder.fixed, frame.entering = reads, frame.fixed, entering
        frame.embedded = builder.loose = not isinstance(block.tree, t.Block)
        builder.until = until.path if until is not None else ""
        errors = len(self.report.found)
        try:
            leaving = self._body(block.body, entering, builder, frame)
        except Reached as reached:
            leaving = reached.value
        else:
            if until is not None and len(self.report.found) == errors:
                near = similar(until.path, builder.made)
                self.report(c.UnknownLabel(until.path_span, until.path, near))
                return None, None
        if leaving.shape is None or len(self.report.found) > errors:
            return None, None
        builder.outputs = [builder.reach(leaving)]
        graph = self._freeze(builder)
        if graph is not None:
            self.open.remove(builder)
            if until is not None:
                return self._ended(graph, until)
        return graph, leaving.shape

    def _ended(self, graph: Graph, until: t.Until) -> tuple[Graph | None, Shape | None]:
        """A model's graph, which ends with what has a label."""
        try:
            graph = cut(graph, until.path.split("."))
        except Unknown as unknown:
            near = similar(unknown.name, unknown.names)
            self.report(c.UnknownLabel(until.path_span, until.path, near))
            return None, None
        return graph, graph.output_shapes[0]

    def _behind(self, model: Block, values: dict[str, Any]) -> Block | None:
        """The model that an alias is one of; `values` takes up what aliases give."""
        base = model
        while isinstance(base.tree, t.Alias):
            found = base.unit.find(base.tree.base)
            if found is None:
                return None
            frame = Frame(base, {}, {}, None, self.budget)
            for argument in base.tree.args:
                with self.report.catching():
                    values.setdefault(argument.name or "", any_value(argument.value, frame))
            base = found
        return base

    def _parameters(
        self,
        block: Block,
        given: Mapping[str, Any],
        shape: Shape | None,
        where: Span,
        reads: set[int],
    ) -> dict[str, Any] | None:
        """The block's parameters: what is given, else a default, which may use those before it."""
        variables: dict[str, Any] = {}
        for param in block.params:
            if param.value:
                continue
            if param.name in given:
                variables[param.name] = given[param.name]
                continue
            if param.default is None:
                problem = c.MissingArgument(
                    where,
                    block.name,
                    f"`{param.name}`",
                    hint=f"give it: `-p {param.name}=...`, or a default",
                )
                self.report(problem)
                return None
            value: Any = POISON
            with self.report.catching():
                value = any_value(
                    param.default, Frame(block, variables, {}, shape, self.budget, reads)
                )
            if value is POISON:
                return None
            variables[param.name] = value
        return variables

    def _freeze(self, builder: Builder) -> Graph | None:
        with self.report.catching():
            return freeze(builder)
        return None


def _sides(value: Any) -> Iterator[tuple[Value, int]]:
    """The sides that an argument follows from."""
    if isinstance(value, tuple):
        for part in value:
            yield from _sides(part)
    else:
        yield from getattr(value, "axes", ())


def _reached(value: Any, builder: Builder) -> Any:
    """A following argument over values of this scope."""
    if isinstance(value, tuple):
        return tuple(_reached(part, builder) for part in value)
    sides = {
        e.Var((owner, place), ""): e.Var((builder.reach(owner), place), "")
        for owner, place in getattr(value, "axes", ())
    }
    return e.substituted(value, sides)


def plain(value: Any) -> Any:
    """A value for the program: what may be called becomes its name."""
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    if isinstance(value, Setting):
        return value.value
    if isinstance(value, Measured):
        return int(value)
    return getattr(value, "name", value)


def _key(value: Any) -> Any:
    """Tells apart what Python calls equal (1, 1.0 and true)."""
    if isinstance(value, Setting):
        return value.of, value.value
    if isinstance(value, Partial):
        return value.target, tuple((a.name, _key(_literal(a.value))) for a in value.args)
    return tuple(map(_key, value)) if isinstance(value, tuple) else (type(value), value)


def _literal(expr: t.Expr) -> Any:
    assert isinstance(expr, t.Literal)
    return expr.value
