"""From the resolved tree to the program: expands blocks and infers shapes in one walk.

In: a model (a `Block`) of resolved files, and values for its parameters.
Out: a `Program`, or None, and the diagnostics. Values and shapes are computed together, so that `in`
and every shape are known where a condition needs them. What fails is poisoned (`Value.shape` None),
so that each cause is reported once; a call of a block with given arguments on a given shape is
walked once and shared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from archdsl.diagnostics import catalogue as c
from archdsl.diagnostics.model import Diagnostic, Label
from archdsl.diagnostics.source import Span
from archdsl.ir.build import Builder, Draft, Value, freeze, operand_shapes
from archdsl.ir.graph import Graph, Init, Program
from archdsl.ir.labels import LABEL, RESERVED
from archdsl.ir.names import Block, Slot, Target
from archdsl.ir.resolve import bind, bind_call, similar
from archdsl.ir.values import POISON, Evaluator, Partial, Problem, names_in, show, to_python
from archdsl.ops import TABLE, Op
from archdsl.ops.init import RULES, Attribute, Rule
from archdsl.ops.spatial import show as show_shape
from archdsl.ops.table import Arg, Blame, Shape
from archdsl.syntax import tree as t

RESIDUAL = TABLE["add"]  # the join that `residual` is short for


@dataclass(frozen=True, slots=True)
class Limits:
    """What a spec may expand to. Raised by name: `--limit nodes=200000`."""

    nodes: int = 50_000
    elements: int = 2**34
    params: int = 10**12
    nesting: int = 60


class _Stop(Exception):
    """A limit is passed: nothing below it is worth looking at."""


@dataclass(slots=True)
class Frame:
    """The walk of one block: its variables, its taps, and what entered it. Bodies inside it get a
    frame of their own, with the same taps."""

    block: Block
    variables: Mapping[str, Any]
    taps: dict[str, Value]
    shape: Shape | None

    @property
    def evaluate(self) -> Evaluator:
        return Evaluator(self.variables, self.shape, self.block.unit.target)

    def inner(self, **variables: Any) -> Frame:
        return Frame(self.block, {**self.variables, **variables}, self.taps, self.shape)


def elaborate(
    model: Block,
    *,
    params: Mapping[str, Any] | None = None,
    input: Shape | None = None,
    limits: Limits | None = None,
) -> tuple[Program | None, list[Diagnostic]]:
    """Elaborate a model; `params` and `input` go before what its text says."""
    walk = _Elaborator(limits or Limits(), input)
    try:
        program = walk.model(model, dict(params or {}))
    except _Stop:
        program = None
    return program, walk.found


class _Elaborator:
    def __init__(self, limits: Limits, input: Shape | None) -> None:
        self.limits, self.input = limits, input
        self.found: list[Diagnostic] = []
        self.reported: set[tuple[str, int, int, int]] = set()
        self.calls: list[tuple[Span, str]] = []
        self.memo: dict[Any, tuple[Graph | None, Shape | None]] = {}
        self.depth = self.steps = 0
        self.aux: list[tuple[str, Value]] = []
        self.outputs: list[tuple[str, Value]] = []

    # ---- the model ---------------------------------------------------------------------------

    def model(self, model: Block, given: dict[str, Any]) -> Program | None:
        name, base, values = model.name, model, dict(given)
        while isinstance(base.tree, t.Alias):
            found = base.unit.find(base.tree.base)
            if found is None:
                return None
            frame = Frame(base, {}, {}, None)
            for argument in base.tree.args:
                with self._report():
                    values.setdefault(argument.name or "", self._free_value(argument.value, frame))
            base = found
        for key in list(values):
            if key not in {p.name for p in base.params}:
                names = tuple(p.name for p in base.params)
                where = base.tree.name_span
                self.report(c.UnknownParameter(where, key, similar(key, names), owner=name))
                return None
        variables = self._parameters(base, values, None, base.tree.name_span)
        if variables is None:
            return None
        frame = Frame(base, variables, {}, None)
        builder = Builder(base.tree.span, name, tuple((k, _plain(v)) for k, v in variables.items()))
        flow = self._enter(base, builder, frame)
        if flow is None:
            return None
        frame.shape = flow.shape
        flow = self._body(base.body, flow, builder, frame, top=True)
        if not self.outputs:
            self.outputs = [("output", flow)]
        if self.found or any(v.shape is None for _, v in (*self.outputs, *self.aux)):
            return None
        outputs = [(label, builder.reach(value)) for label, value in self.outputs]
        builder.outputs = [value for _, value in outputs]
        graph = self._freeze(builder)
        if graph is None:
            return None
        if graph.sizes.params > self.limits.params:
            self._over(base.tree.name_span, f"`{name}` is too large", "params", "parameters")
        return Program(
            name,
            graph,
            tuple((label, value.number) for label, value in outputs),
            tuple((label, value.number) for label, value in self.aux),
            model.unit.source.text,
        )

    def _enter(self, model: Block, builder: Builder, frame: Frame) -> Value | None:
        stated = next((s for s in model.body.statements if isinstance(s, t.Input)), None)
        if self.input is not None:
            return builder.new_input(self.input, stated.span if stated else model.tree.name_span)
        if stated is None:
            self.report(c.NoInput(model.tree.name_span, model.name))
            return None
        # `let` lines above the input may compute it
        scope = frame.inner()
        with self._report():
            for statement in model.body.statements:
                if statement is stated:
                    break
                if isinstance(statement, t.Let):
                    value = self._free_value(statement.value, scope)
                    scope = scope.inner(**{statement.name: value})
            return builder.new_input(self._shape(stated.shape, scope), stated.span)
        return None

    def _shape(self, expr: t.Expr, frame: Frame) -> Shape:
        value = frame.evaluate(expr)
        sides = value if isinstance(value, tuple) else (value,)
        if not sides or not all(isinstance(s, int) and s > 0 and s is not True for s in sides):
            problem = f"a shape is made of whole numbers of at least 1, not {show(value)}"
            raise Problem(c.BadExpression(expr.span, problem, hint="such as `3x224x224`, or `4`"))
        self._tensor(expr.span, sides)
        return tuple(sides)

    # ---- bodies ------------------------------------------------------------------------------

    def _body(
        self, body: t.Body, flow: Value, builder: Builder, frame: Frame, *, top: bool = False
    ) -> Value:
        with self._deeper(body.span):
            frame = frame.inner()
            for statement in body.statements:
                flow = self._statement(statement, flow, builder, frame, top)
        return flow

    def _statement(
        self, statement: t.Statement, flow: Value, builder: Builder, frame: Frame, top: bool
    ) -> Value:
        self.steps += 1
        if self.steps > 20 * self.limits.nodes:
            self._over(statement.span, "the spec expands too far", "nodes", "steps", 20)
        match statement:
            case t.Chain():
                for part in statement.flows:
                    flow = self._flow(part, flow, builder, frame)
            case t.Let():
                value: Any = POISON
                with self._report():
                    value = self._free_value(statement.value, frame)
                frame.variables = {**frame.variables, statement.name: value}
            case t.InitRule():
                with self._report():
                    self._init(statement, builder, frame)
            case t.ParamDecl():
                self._param(statement, builder, frame)
            case t.Output() if top:
                self.outputs = [
                    (tap.name, frame.taps.get(tap.name, Value(None, tap.span))) for tap in statement.taps
                ]
            case t.Assert() if flow.shape is not None:
                with self._report():
                    stated = self._shape(statement.shape, frame)
                    if stated != flow.shape:
                        shown = show_shape(flow.shape), show_shape(stated)
                        problem = c.AssertionFailed(statement.shape.span, *shown)
                        self.report(problem.with_related(*self._origin(flow)))
                        return Value(stated, statement.span)
        return flow

    def _flow(self, part: t.Flow, flow: Value, builder: Builder, frame: Frame) -> Value:
        step, label = part.step, part.label
        if label is None:
            return self._step(step, flow, builder, frame)
        name = self._label(label, builder, frame)
        if name is None:
            return Value(None, part.span)
        if isinstance(step, t.Aux):
            return self._aux(name, step, flow, builder, frame)
        if isinstance(step, (t.Tap, t.Use)):
            self.report(c.Misplaced(label.span, "there is nothing here to name", "`tap` has its own name"))
            return flow
        return self._named(name, step, flow, builder, frame, part.span)

    def _named(
        self, name: str, step: t.Step, flow: Value, builder: Builder, frame: Frame, span: Span
    ) -> Value:
        """A labelled step: one module, or a scope of the names inside it."""
        if isinstance(step, t.Call) and step.times is None and step.body is None and not step.taps:
            return self._call(step, flow, builder, frame, name)
        inner = builder.open(name, span, flow)
        if isinstance(step, t.Group):
            leaving = self._body(step.body, inner.inputs[0], inner, frame)
        else:
            leaving = self._step(step, inner.inputs[0], inner, frame)
        return inner.close(leaving)

    # ---- steps -------------------------------------------------------------------------------

    def _step(self, step: t.Step, flow: Value, builder: Builder, frame: Frame) -> Value:
        match step:
            case t.Call():
                if step.times is None:
                    return self._call(step, flow, builder, frame, None)
                return self._times(step, step.times, flow, builder, frame)
            case t.Group():
                return self._body(step.body, flow, builder, frame)
            case t.Residual():
                return self._residual(step, flow, builder, frame)
            case t.Repeat() | t.For():
                for inner, body in self._iterations(step, frame):
                    flow = self._body(body, flow, builder, inner)
                return flow
            case t.If():
                chosen = self._chosen(step, frame)
                if chosen is None:
                    return Value(None, step.span)
                return self._body(chosen, flow, builder, frame) if chosen else flow
            case t.Tap():
                frame.taps[step.name] = flow
                return flow
            case t.Use():
                return self._tap(step.tap, builder, frame)
            case t.Aux():
                hint = "`aux1: aux head classes`"
                self.report(c.Misplaced(step.span, "an aux output needs a label", hint))
                return flow
        raise TypeError(step)

    def _times(self, call: t.Call, times: t.Expr, flow: Value, builder: Builder, frame: Frame) -> Value:
        with self._report():
            count = frame.evaluate.count(times)
            self._room(times.span, builder, count)
            for _ in range(count):
                flow = self._call(call, flow, builder, frame, None)
            return flow
        return Value(None, call.span)

    def _iterations(self, step: t.Repeat | t.For, frame: Frame) -> Iterator[tuple[Frame, t.Body]]:
        values: list[dict[str, Any]] = []
        with self._report():
            if isinstance(step, t.Repeat):
                count = frame.evaluate.count(step.count)
                if count > self.limits.nodes:
                    self._over(step.count.span, "this repeats too often", "nodes", "operators")
                values = [{step.variable: i} if step.variable else {} for i in range(count)]
            else:
                for item in frame.evaluate.items(step.items):
                    values.append(self._unpack(step, item))
        for bound in values:
            yield frame.inner(**bound), step.body

    def _unpack(self, step: t.For, item: Any) -> dict[str, Any]:
        names = step.variables
        if len(names) == 1:
            return {names[0]: item}
        if not isinstance(item, tuple) or len(item) != len(names):
            problem = f"{show(item)} does not give {len(names)} values"
            raise Problem(c.BadExpression(step.items.span, problem, "in this list"))
        return dict(zip(names, item, strict=True))

    def _chosen(self, step: t.If, frame: Frame) -> t.Body | bool | None:
        """The body to walk, False where there is none, None after an error."""
        with self._report():
            while True:
                if frame.evaluate.condition(step.condition):
                    return step.then
                if not isinstance(step.otherwise, t.If):
                    return step.otherwise or False
                step = step.otherwise
        return None

    def _tap(self, use: t.TapUse, builder: Builder, frame: Frame) -> Value:
        if use.name not in frame.taps:
            # resolve has seen the tap in the text; here it has not run
            if not self.found:
                self.report(c.UnknownTap(use.span, use.name, hint="its `tap` runs later, or not at all"))
            return Value(None, use.span)
        return builder.reach(frame.taps[use.name])

    def _aux(self, name: str, step: t.Aux, flow: Value, builder: Builder, frame: Frame) -> Value:
        if builder.parent is not None or not isinstance(frame.block.tree, t.Model):
            hint = "`tap` the value here, and write `name: aux @tap head` in the model"
            self.report(c.Misplaced(step.span, "an aux output belongs in the model's own body", hint))
            return flow
        source = self._tap(step.source, builder, frame) if step.source else flow
        before = len(builder.drafts)
        value = self._named(name, step.step, source, builder, frame, step.span)
        for draft in builder.drafts[before:]:
            draft.training_only = True
        self.aux.append((name, value))
        return flow

    def _residual(self, step: t.Residual, flow: Value, builder: Builder, frame: Frame) -> Value:
        with self._report():
            if step.condition is not None and not frame.evaluate.condition(step.condition):
                return self._body(step.body, flow, builder, frame)
            main = self._body(step.body, flow, builder, frame)
            side, shortcut = flow, step.shortcut
            if shortcut is not None and (
                shortcut.condition is None or frame.evaluate.condition(shortcut.condition)
            ):
                side = self._shortcut(shortcut, flow, builder, frame)
            if main.shape is None or side.shape is None:
                return Value(None, step.span)
            if main.shape != side.shape:
                self._residual_mismatch(step, main, side, flow)
                return Value(None, step.span)
            return self._join(RESIDUAL(), [main, side], builder, step.span)
        return Value(None, step.span)

    def _shortcut(self, shortcut: t.Shortcut, flow: Value, builder: Builder, frame: Frame) -> Value:
        if shortcut.label is None:
            return self._body(shortcut.body, flow, builder, frame)
        name = self._label(shortcut.label, builder, frame)
        if name is None:
            return Value(None, shortcut.span)
        inner = builder.open(name, shortcut.span, flow)
        return inner.close(self._body(shortcut.body, inner.inputs[0], inner, frame))

    def _residual_mismatch(self, step: t.Residual, main: Value, side: Value, flow: Value) -> None:
        assert main.shape and side.shape
        shapes = show_shape(main.shape), show_shape(side.shape)
        hint = ""
        if side is flow and len(main.shape) == len(side.shape) > 1:
            strides = {-(-s // m) for m, s in zip(main.shape[1:], side.shape[1:], strict=True)}
            stride = strides.pop() if len(strides) == 1 else 0
            if stride:
                step_text = f" /{stride}" if stride > 1 else ""
                verb = "make the shortcut" if step.shortcut else "add"
                hint = f"{verb} `shortcut {{ conv {main.shape[0]} 1x1{step_text} }}`"
        at = Span(step.span.source, step.span.start, step.span.start + len("residual"))
        problem = c.ResidualMismatch(at, *shapes, hint)
        self.report(
            problem.with_related(
                Label(main.span, f"the main path ends with {shapes[0]}"),
                Label(side.span, f"the shortcut is {shapes[1]}, from here"),
            )
        )

    # ---- calls -------------------------------------------------------------------------------

    def _call(
        self, call: t.Call, flow: Value, builder: Builder, frame: Frame, label: str | None
    ) -> Value:
        target, bound = self._target(call, frame)
        if target is None:
            return Value(None, call.span)
        if isinstance(target, Block):
            return self._block(call, target, bound, flow, builder, frame, label)
        op = self._operator(call, target, bound, frame)
        if target.arity is None:
            return self._branches(call, op, flow, builder, frame)
        name = label if label is not None else builder.next_position(call.span)
        if op is None or flow.shape is None:
            return Value(None, call.span)
        shape = self._apply(call, op, bound, [flow])
        if shape is None:
            return Value(None, call.span)
        draft = Draft(name, label is not None, op, [flow], call.span)
        self._count(builder, 1, call.span)
        return builder.add(draft, shape)[0]

    def _target(
        self, call: t.Call, frame: Frame
    ) -> tuple[Target | None, dict[str, t.Argument]]:
        if call.name not in frame.variables:
            unit = frame.block.unit
            return unit.targets.get(call), unit.bound.get(call, {})
        value = frame.variables[call.name]
        args = call.args
        if isinstance(value, Partial):
            given = {a.name for a in args}
            args = (*(a for a in value.args if a.name is None or a.name not in given), *args)
            value = value.target
        if not isinstance(value, Block) and not (isinstance(value, type) and issubclass(value, Op)):
            if value is not POISON:
                problem = f"`{call.name}` is {show(value)}, not a block or operator"
                self.report(c.BadExpression(call.name_span, problem))
            return None, {}
        problems: list[Diagnostic] = []
        bound = bind_call(call, value, problems, args)
        for problem in problems:
            self.report(problem)
        return (None if problems else value), bound

    def _operator(
        self, call: t.Call, cls: type[Op], bound: dict[str, t.Argument], frame: Frame
    ) -> Op | None:
        """The operator with its arguments, or None."""
        values: dict[str, Any] = {}
        complete = all(a.name in bound for a in cls.args.values() if a.required)
        for name, argument in bound.items():
            with self._report():
                values[name] = self._typed(cls.args[name], argument.value, frame, cls.name)
        return cls(**values) if complete and len(values) == len(bound) else None

    def _typed(self, spec: Arg, expr: t.Expr, frame: Frame, owner: str) -> Any:
        words = spec.type.words()
        if isinstance(expr, t.Name) and expr.name in words and expr.name not in frame.variables:
            value: Any = expr.name
        elif isinstance(expr, t.Name) and expr.name != "in" and expr.name not in frame.variables:
            near = similar(expr.name, words or frame.variables)
            raise Problem(c.UnknownName(expr.span, expr.name, near))
        else:
            value = frame.evaluate(expr)
        if value is POISON:
            raise Problem(None)
        try:
            return spec.type.convert(value)
        except ValueError as wanted:
            problem = f"`{spec.name}` of `{owner}` must be {wanted}"
            raise Problem(c.BadValue(expr.span, problem, f"this is {show(value)}")) from None

    def _apply(
        self, call: t.Call, op: Op, bound: dict[str, t.Argument], inputs: list[Value]
    ) -> Shape | None:
        """The operator's own verdict on its inputs."""
        try:
            shape = op.shape(*operand_shapes(inputs))
        except Blame as blame:
            self.report(self._blamed(call, bound, inputs, blame))
            return None
        self._tensor(call.span, shape)
        return shape

    def _blamed(
        self, call: t.Call, bound: dict[str, t.Argument], inputs: list[Value], blame: Blame
    ) -> Diagnostic:
        argument = bound.get(blame.field or "")
        where = argument.value.span if argument else call.name_span
        shapes = [show_shape(shape) for shape in operand_shapes(inputs)]
        shown = shapes[0]
        origin = self._origin(inputs[0])
        if blame.kind == "rank":
            return c.WrongRank(call.name_span, blame.message, shown, blame.help).with_related(*origin)
        if blame.kind == "fit":
            return c.DoesNotFit(where, blame.message, shown, blame.help).with_related(*origin)
        if blame.kind == "mismatch":
            labels = (
                Label(v.span, f"{shape} comes from here")
                for v, shape in zip(inputs, shapes, strict=True)
            )
            problem = c.JoinMismatch(call.name_span, blame.message, " and ".join(shapes), blame.help)
            return problem.with_related(*labels)
        value = "" if argument is None else f"on an input of {shown}"
        return c.BadValue(where, blame.message, value, blame.help).with_related(*origin)

    def _branches(
        self, call: t.Call, op: Op | None, flow: Value, builder: Builder, frame: Frame
    ) -> Value:
        if call.body is not None:
            with self._deeper(call.body.span):
                values = list(self._lines(call.body, flow, builder, frame.inner()))
        else:
            values = [flow, *(self._tap(tap, builder, frame) for tap in call.taps)]
        if op is None or any(v.shape is None for v in values):
            return Value(None, call.span)
        if not values:
            hint = "each line between the braces is a branch"
            self.report(c.Misplaced(call.span, f"`{call.name}` has no branches", hint))
            return Value(None, call.span)
        return self._join(op, values, builder, call.span, call, frame.block.unit.bound.get(call))

    def _lines(self, body: t.Body, flow: Value, builder: Builder, frame: Frame) -> Iterator[Value]:
        """The branches of a join: a line each; control statements choose and multiply lines."""
        for statement in body.statements:
            lone = statement.flows[0] if isinstance(statement, t.Chain) else None
            if lone is None or len(statement.flows) > 1 or lone.label is not None:  # type: ignore[attr-defined]
                after = self._statement(statement, flow, builder, frame, False)
                if lone is not None:
                    yield after
                continue
            match lone.step:
                case t.Repeat() | t.For() as loop:
                    for inner, lines in self._iterations(loop, frame):
                        yield from self._lines(lines, flow, builder, inner)
                case t.If() as branch:
                    chosen = self._chosen(branch, frame)
                    if isinstance(chosen, t.Body):
                        yield from self._lines(chosen, flow, builder, frame.inner())
                    elif chosen is None:
                        yield Value(None, branch.span)
                case _:
                    yield self._statement(statement, flow, builder, frame, False)

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
            shape = op.shape(*operand_shapes(values))
        else:
            shape = self._apply(call, op, bound or {}, values)
        if shape is None:
            return Value(None, span)
        self._count(builder, 1, span)
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
        if not isinstance(block.tree, t.Block):
            hint = "put what they share into a block"
            self.report(c.Misplaced(call.name_span, f"`{block.name}` is a model, not a block", hint))
            return Value(None, call.span)
        values: dict[str, Any] = {}
        for key, argument in bound.items():
            with self._report():
                values[key] = self._free_value(argument.value, frame)
        if len(values) < len(bound) or flow.shape is None or POISON in values.values():
            return Value(None, call.span)
        variables = self._parameters(block, values, flow.shape, call.name_span)
        if variables is None:
            return Value(None, call.span)
        key = (block, tuple((k, _key(v)) for k, v in variables.items()), flow.shape)
        if key not in self.memo:
            self.memo[key] = None, None  # a block that reaches itself ends at the nesting limit
            self.calls.append((call.span, block.name))
            self.memo[key] = self._expand(block, variables, flow)
            self.calls.pop()
        graph, shape = self.memo[key]
        if graph is None:
            return Value(shape, call.span)
        self._count(builder, graph.sizes.nodes, call.span)
        return builder.add(Draft(name, label is not None, graph, [flow], call.span), shape)[0]

    def _expand(
        self, block: Block, variables: dict[str, Any], flow: Value
    ) -> tuple[Graph | None, Shape | None]:
        args = tuple((k, _plain(v)) for k, v in variables.items())
        builder = Builder(block.tree.span, block.name, args)
        entering = builder.new_input(flow.shape, flow.span)
        frame = Frame(block, variables, {}, flow.shape)
        errors = len(self.found)
        leaving = self._body(block.body, entering, builder, frame)
        if leaving.shape is None or len(self.found) > errors:
            return None, None
        builder.outputs = [builder.reach(leaving)]
        return self._freeze(builder), leaving.shape

    def _parameters(
        self, block: Block, given: Mapping[str, Any], shape: Shape | None, where: Span
    ) -> dict[str, Any] | None:
        """The block's parameters: what is given, else the default, which may use those before it."""
        variables: dict[str, Any] = {}
        for param in block.params:
            if param.name in given:
                variables[param.name] = given[param.name]
                continue
            if param.default is None:
                problem = c.MissingArgument(
                    where, block.name, param.name, hint=f"give it: `-p {param.name}=...`, or a default"
                )
                self.report(problem)
                return None
            value: Any = POISON
            with self._report():
                value = self._free_value(param.default, Frame(block, variables, {}, shape))
            if value is POISON:
                return None
            variables[param.name] = value
        return variables

    def _free_value(self, expr: t.Expr, frame: Frame) -> Any:
        """A value of any kind: the name of a block or operator stands for it."""
        if isinstance(expr, t.Name) and expr.name not in frame.variables and expr.name != "in":
            target = frame.block.unit.target(expr.name)
            if target is None:
                names = [*frame.variables, *frame.block.unit.names()]
                raise Problem(c.UnknownName(expr.span, expr.name, similar(expr.name, names)))
            return target
        value = frame.evaluate(expr)
        if value is POISON:
            raise Problem(None)
        return value

    # ---- init, param, buffer -----------------------------------------------------------------

    def _init(self, statement: t.InitRule, builder: Builder, frame: Frame) -> None:
        rule = self._rule(statement.rule, statement.rule_span, statement.args, frame)
        names = statement.target
        if rule is None:
            return
        if names[0] in TABLE and not statement.quoted:
            param = names[1] if len(names) > 1 else "weight"
            builder.inits.append(Init(names[0], None, param, rule, statement.target_span))
        else:
            builder.inits.append(Init(None, ".".join(names), "", rule, statement.target_span))

    def _rule(
        self, name: str, span: Span, args: tuple[t.Argument, ...], frame: Frame
    ) -> Rule | None:
        if name not in RULES:
            return None
        slots = tuple(Slot(a.name, a.required, a.keyword) for a in RULES[name])
        specs = {a.name: a for a in RULES[name]}
        problems: list[Diagnostic] = []
        bound = bind(name, slots, args, span, problems)
        if problems:
            return None  # resolve has reported them
        values = []
        for key, argument in bound.items():
            expr = argument.value
            names = {p.name for p in names_in(expr) if isinstance(p, t.Name)} - set(frame.variables)
            if names & Attribute.NAMES:
                values.append((key, Attribute(to_python(expr, frame.evaluate, names), tuple(sorted(names)))))
            else:
                values.append((key, self._typed(specs[key], expr, frame, name)))
        return Rule(name, tuple(values))

    def _freeze(self, builder: Builder) -> Graph | None:
        with self._report():
            return freeze(builder)
        return None

    def _param(self, statement: t.ParamDecl, builder: Builder, frame: Frame) -> None:
        frame.taps[statement.name] = Value(None, statement.span)
        with self._report():
            self._take(statement.name, statement.name_span, builder)
            shape = self._shape(statement.shape, frame)
            rule = self._rule(statement.rule, statement.rule_span, statement.args, frame)
            if rule is not None:
                content = (shape, statement.buffer, rule)
                draft = Draft(statement.name, True, content, [], statement.span)
                frame.taps[statement.name] = builder.add(draft, shape)[0]

    # ---- labels ------------------------------------------------------------------------------

    def _label(self, label: t.Label, builder: Builder, frame: Frame) -> str | None:
        text = ""
        with self._report():
            for part in label.parts:
                value = part if isinstance(part, str) else frame.evaluate(part)
                text += value if isinstance(value, str) else show(value)
            self._take(text, label.span, builder)
            return text
        return None

    def _take(self, name: str, span: Span, builder: Builder) -> None:
        """Claim a name in a scope."""
        if not LABEL.fullmatch(name):
            raise Problem(c.BadLabel(span, name, "it would be no valid part of a state_dict key"))
        if name in RESERVED:
            raise Problem(c.BadLabel(span, name, "torch's modules have an attribute of this name"))
        if name in builder.names:
            first = Label(builder.names[name], "the first one is here")
            if builder.names[name] == span:
                first = Label(span, "a repeated step: compute the label, such as `block{i}`")
            raise Problem(c.DuplicateName(span, name, "module").with_related(first))
        builder.names[name] = span

    # ---- limits ------------------------------------------------------------------------------

    def _count(self, builder: Builder, nodes: int, span: Span) -> None:
        builder.nodes += nodes
        if builder.nodes > self.limits.nodes:
            self._over(span, "the spec expands too far", "nodes", "operators")

    def _room(self, span: Span, builder: Builder, count: int) -> None:
        if builder.nodes + count > self.limits.nodes:
            self._over(span, "this repeats too often", "nodes", "operators")

    def _tensor(self, span: Span, shape: Shape) -> None:
        elements = 1
        for side in shape:
            elements *= side
        if elements > self.limits.elements:
            self._over(span, f"the tensor {show_shape(shape)} is too large", "elements", "elements")

    def _over(self, span: Span, what: str, name: str, unit: str, factor: int = 1) -> None:
        limit = getattr(self.limits, name) * factor
        self.report(c.OverLimit(span, what, limit, unit, name))
        raise _Stop

    @contextmanager
    def _deeper(self, span: Span) -> Iterator[None]:
        self.depth += 1
        if self.depth > self.limits.nesting:
            self.report(c.TooDeep(span, self.limits.nesting))
            raise _Stop
        try:
            yield
        finally:
            self.depth -= 1

    # ---- reporting ---------------------------------------------------------------------------

    def report(self, problem: Diagnostic) -> None:
        """Add a diagnostic once, with the block calls that led to it."""
        key = problem.code, id(problem.span.source), problem.span.start, problem.span.end
        if key in self.reported:
            return
        self.reported.add(key)
        trail = [Label(span, f"in this call of `{name}`") for span, name in reversed(self.calls)]
        self.found.append(problem.with_related(*trail[:3]))

    @contextmanager
    def _report(self) -> Iterator[None]:
        try:
            yield
        except Problem as problem:
            if problem.diagnostic is not None:
                self.report(problem.diagnostic)

    def _origin(self, value: Value) -> tuple[Label, ...]:
        if value.shape is None:
            return ()
        return (Label(value.span, f"{show_shape(value.shape)} comes from here"),)


def _plain(value: Any) -> Any:
    """A value for the program: what may be called becomes its name."""
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    return value.name if isinstance(value, (Block, Partial, type)) else value


def _key(value: Any) -> Any:
    """Tells apart what Python calls equal (1, 1.0 and true)."""
    if isinstance(value, Partial):
        return value.target, tuple((a.name, _key(_literal(a.value))) for a in value.args)
    return tuple(map(_key, value)) if isinstance(value, tuple) else (type(value), value)


def _literal(expr: t.Expr) -> Any:
    assert isinstance(expr, t.Literal)
    return expr.value
