"""From the resolved tree to the program: expands blocks and infers shapes in one walk.

In: a model (a `Block`) of resolved files, and values for its parameters. Out: a `Program`, or None,
and the diagnostics. Values and shapes are computed together, so that `in` and every shape are known
where a condition needs them. What fails is poisoned (`Value.shape` None), so that each cause is
reported once; a call of a block with given arguments on a given shape is walked once and shared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

from archdsl.checker.arguments import Frame, any_value
from archdsl.checker.build import Builder, Value
from archdsl.checker.calls import plain
from archdsl.checker.claims import as_claimed, claimed, refuted
from archdsl.checker.fuel import CROSSING, STATEMENT
from archdsl.checker.inputs import Inputs
from archdsl.checker.outputs import same_names
from archdsl.checker.parts import Part
from archdsl.checker.problem import Problem
from archdsl.checker.report import Stop
from archdsl.checker.settable import settable, settings
from archdsl.checker.shortcut import is_cut, proposed
from archdsl.checker.values import POISON, unpack
from archdsl.diagnostics import catalogue as c
from archdsl.diagnostics.model import Diagnostic, Fix, Label
from archdsl.diagnostics.source import Span
from archdsl.ir.graph import Graph, Program, Promise
from archdsl.ir.limits import Limits
from archdsl.names.foreign import similar
from archdsl.names.symbols import Names
from archdsl.names.units import Block
from archdsl.ops.join import UNPADDED, Residual
from archdsl.ops.table import Shape
from archdsl.syntax import tree as t
from archdsl.text import shape_text

RESIDUAL = Residual  # the join that `residual` is short for


class Elaborated(NamedTuple):
    """`sketches`: of a model with errors the graphs of what is right, where they are asked for."""

    program: Program | None
    found: list[Diagnostic]
    sketches: tuple[Graph, ...] = ()


def elaborate(
    model: Block,
    names: Names,
    *,
    params: Mapping[str, Any] | None = None,
    input: Shape | Mapping[str, Shape] | None = None,
    limits: Limits | None = None,
    sketch: bool = False,
) -> Elaborated:
    """Elaborate a model; `params` and `input` go before what its text says."""
    walk, program = _Elaborator(names, limits or Limits(), input), None
    with suppress(Stop):
        program = walk.model(model, dict(params or {}))
    sketches = tuple(walk.sketches()) if sketch and program is None else ()
    return Elaborated(program, walk.report.found, sketches)


class _Elaborator(Inputs):
    """Walks statements and steps."""

    def __init__(
        self, names: Names, limits: Limits, input: Shape | Mapping[str, Shape] | None
    ) -> None:
        super().__init__(names, limits)
        self.input = input
        self.aux: list[tuple[str, Value]] = []
        self.outputs: list[tuple[str, Value]] = []
        self.stated: t.Output | None = None
        self.promise: Promise | None = None

    # ---- the model ---------------------------------------------------------------------------

    def model(self, model: Block, given: dict[str, Any]) -> Program | None:
        name, values = model.name, dict(given)
        base = self._behind(model, values)
        if base is None:
            return None
        for key in list(values):
            if key not in {p.name for p in base.params}:
                names = tuple(p.name for p in base.params)
                where = base.tree.name_span
                self.report(c.UnknownParameter(where, key, similar(key, names), owner=name))
                return None
        variables = self._parameters(base, values, None, base.tree.name_span, set())
        if variables is None:
            return None
        frame = Frame(base, settings(variables, base), {}, None, self.budget)
        builder = Builder(base.tree.span, name, tuple((k, plain(v)) for k, v in variables.items()))
        self.open.append(builder)
        flow = self._enter(base, builder, frame)
        if flow is None:
            return None
        frame.shape, builder.reads = flow.shape, frame.reads
        frame.entering, builder.fixed = flow, frame.fixed
        flow = self._body(base.body, flow, builder, frame, top=True)
        for problem in same_names(self.stated, self.aux):
            self.report(problem)
        if not self.outputs:
            self.outputs = [("output", flow)]
            if not self.report.found:
                last = base.body.statements[-1:]
                self._without_batch(None, [flow], last[0].span if last else flow.span)
        if self.report.found or any(v.shape is None for _, v in (*self.outputs, *self.aux)):
            return None
        outputs = [(label, builder.reach(value)) for label, value in self.outputs]
        builder.outputs = [value for _, value in outputs]
        graph = self._freeze(builder)
        if graph is None:
            return None
        self.budget.params(base.tree.name_span, name, graph.sizes.params)
        return Program(
            name,
            graph,
            tuple((label, value.number) for label, value in outputs),
            tuple((label, value.number) for label, value in self.aux),
            model.unit.source.text,
            settable(graph, frame.variables),
            self.promise,
            frozenset(place for place, value in enumerate(builder.inputs) if value.whole),
        )

    # ---- bodies ------------------------------------------------------------------------------

    def _body(
        self, body: t.Body, flow: Value, builder: Builder, frame: Frame, *, top: bool = False
    ) -> Value:
        with self.budget.deeper(body.span):
            frame = frame.inner(body.span)
            for statement in body.statements:
                flow = self._statement(statement, flow, builder, frame, top)
        return flow

    def _statement(
        self, statement: t.Statement, flow: Value, builder: Builder, frame: Frame, top: bool
    ) -> Value:
        self.budget.spend(STATEMENT, statement.span)
        frame.flow, frame.builder = flow, builder
        match statement:
            case t.Chain():
                for part in statement.flows:
                    flow = self._flow(part, flow, builder, frame)
            case t.Hole():
                return Value(None, statement.span)
            case t.Let():
                value: Any = POISON
                with self.report.catching():
                    value = any_value(statement.value, frame, follow=True)
                frame.variables[statement.name] = value  # the frame is this body's own
                builder.let(statement.name, plain(value))
            case t.InitRule():
                with self.report.catching():
                    self._init(statement, builder, frame)
            case t.ParamDecl():
                self._param(statement, builder, frame)
            case t.Part():
                self._part(statement, builder, frame)
            case t.Declare():
                for label in statement.labels:
                    self._declare(label, builder, frame)
            case t.Output() if frame.embedded:
                return self._given_out(statement, builder, frame)
            case t.Output() if builder.parent is None and isinstance(frame.block.tree, t.Model):
                if self.stated is not None:
                    first = Label(self.stated.span, "the first one is here")
                    again = c.SecondOfOne(statement.span, "`output`").with_related(first)
                    self.report(again)
                self.stated = statement
                self.outputs = [
                    (frame.last(tap), self._tap(tap, builder, frame)) for tap in statement.taps
                ]
                for tap, (_, output) in zip(statement.taps, self.outputs, strict=True):
                    self._without_batch(None, [output], tap.span)
            case t.Assert():
                with self.report.catching():
                    claim = claimed(statement.claim, frame)
                    if not isinstance(claim, bool):
                        self.compared()
                    problem = refuted(statement, claim, flow, frame)
                    if problem is not None:
                        self.report(problem)
                        return as_claimed(claim, flow, statement.span)
        return flow

    def _given_out(self, statement: t.Output, builder: Builder, frame: Frame) -> Value:
        """The outputs of a model that another one calls: the first flows on, all have names."""
        values = [self._tap(tap, builder, frame) for tap in statement.taps]
        for tap, value in zip(statement.taps, values, strict=True):
            builder.taps[frame.last(tap)] = value
        return values[0]

    def _flow(self, part: t.Flow, flow: Value, builder: Builder, frame: Frame) -> Value:
        step, label = part.step, part.label
        frame.flow, frame.builder = flow, builder
        if label is None:
            return self._step(step, flow, builder, frame)
        if isinstance(step, t.Call) and (shared := frame.parts.get(step.name)) is not None:
            self.report(c.NamedPart(label.span, shared.name))
            return Value(None, part.span)
        name = self._label(label, builder, frame)
        if name is None:
            return Value(None, part.span)
        if isinstance(step, t.Aux):
            return self._aux(name, step, flow, builder, frame)
        if isinstance(step, (t.Tap, t.Use)):
            self.report(c.NothingToName(label.span))
            return flow
        value = self._named(name, step, flow, builder, frame, part.span)
        builder.named[name] = value
        return value

    def _part(self, statement: t.Part, builder: Builder, frame: Frame) -> None:
        """A module that what follows may run."""
        name = self._label(statement.label, builder, frame)
        if name is not None:
            builder.declare(name, statement.label.span)
            frame.parts[name] = Part(statement, name, replace(frame), builder)

    def _shared(self, part: Part, call: t.Call, flow: Value, builder: Builder) -> Value:
        """A step that runs a part."""
        if call.args or call.taps or call.body is not None:
            self.report(c.PartTakesNothing(call.span, part.name))
            return Value(None, call.span)
        if builder is not part.builder:
            declared = Label(part.span, "it is declared here")
            self.report(c.PartElsewhere(call.span, part.name).with_related(declared))
            return Value(None, call.span)
        step = part.statement.step
        value = self._named(part.name, step, flow, builder, part.frame, call.span)
        draft = builder.made.get(part.name)
        if value.shape is None or draft is None:
            return Value(None, call.span)
        draft.span = call.span
        draft.shares, part.first = part.first, part.first or draft
        return value

    def _named(
        self, name: str, step: t.Step, flow: Value, builder: Builder, frame: Frame, span: Span
    ) -> Value:
        """A labelled step: one module, or a scope of the names inside it."""
        if isinstance(step, t.Call) and step.times is None and not self._joins(step, frame):
            return self._call(step, flow, builder, frame, name)
        if self._without_batch(None, [flow], span):
            return Value(None, span)
        inner = builder.open(name, span, flow)
        if isinstance(step, t.Group):
            leaving = self._body(step.body, inner.inputs[0], inner, frame)
        else:
            leaving = self._step(step, inner.inputs[0], inner, frame)
        value = inner.close(leaving)
        if value.shape is not None and inner.draft is not None:
            builder.reached(inner.draft)
        return value

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
                for inner, body in self._iterations(step, builder, frame):
                    flow = self._body(body, flow, builder, inner)
                return flow
            case t.If():
                chosen = self._chosen(step, frame)
                if chosen is None:
                    return Value(None, step.span)
                return self._body(chosen, flow, builder, frame)
            case t.Tap():
                with self.report.catching():
                    name = frame.path(step)
                    frame.taps[name] = builder.taps[name] = flow
                return flow
            case t.Use():
                return self._tap(step.tap, builder, frame)
            case t.Aux():
                self.report(c.UnlabelledAux(step.span))
                return flow
        raise TypeError(step)

    def _times(
        self, call: t.Call, times: t.Expr, flow: Value, builder: Builder, frame: Frame
    ) -> Value:
        with self.report.catching():
            count = frame.evaluate.count(times)
            self.budget.repeats(times.span, builder, count)
            for _ in range(count):
                flow = self._call(call, flow, builder, frame, None)
            return flow
        return Value(None, call.span)

    def _iterations(
        self, step: t.Repeat | t.For, builder: Builder, frame: Frame
    ) -> Iterator[tuple[Frame, t.Body]]:
        values: list[dict[str, Any]] = []
        with self.report.catching():
            if isinstance(step, t.Repeat):
                count = frame.evaluate.count(step.count)
                self.budget.repeats(step.count.span, builder, count)
                values = [{step.variable: i} if step.variable else {} for i in range(count)]
            else:
                for place, item in enumerate(frame.evaluate.items(step.items)):
                    counter = {step.index: place} if step.index else {}
                    values.append(unpack(step.variables, item, step.items.span) | counter)
        for bound in values:
            yield frame.inner(step.span, bound), step.body

    def _chosen(self, step: t.If, frame: Frame) -> t.Body | None:
        """The body to walk, an empty one where there is none; None after an error."""
        with self.report.catching():
            while True:
                if frame.evaluate.condition(step.condition):
                    return step.then
                if not isinstance(step.otherwise, t.If):
                    return step.otherwise or t.Body(step.span, ())
                step = step.otherwise
        return None

    def _tap(self, use: t.TapUse, builder: Builder, frame: Frame) -> Value:
        """A value by its name, as one of this scope."""
        if self.report.found:
            with suppress(Problem):  # what is not there may be the fault of what is reported
                return self._brought(use, builder, frame)
        else:
            with self.report.catching():
                return self._brought(use, builder, frame)
        return Value(None, use.span)

    def _brought(self, use: t.TapUse, builder: Builder, frame: Frame) -> Value:
        found = frame.find(use)
        self.budget.spend(CROSSING * self.budget.depth, use.span)
        return builder.reach(found)

    def _aux(self, name: str, step: t.Aux, flow: Value, builder: Builder, frame: Frame) -> Value:
        if frame.embedded:
            return flow  # what helps in training is the called model's own affair
        if builder.parent is not None or not isinstance(frame.block.tree, t.Model):
            self.report(c.AuxInside(step.span))
            return flow
        source = self._tap(step.source, builder, frame) if step.source else flow
        before, taps = len(builder.drafts), set(frame.taps)
        value = self._named(name, step.step, source, builder, frame, step.span)
        for inside in frame.taps.keys() - taps:
            del frame.taps[inside]  # what runs in training alone feeds nothing else
        for draft in builder.drafts[before:]:
            draft.training_only = True
        self._without_batch(None, [value], step.span)
        self.aux.append((name, value))
        return flow

    def _operands(self, call: t.Call, flow: Value, builder: Builder, frame: Frame) -> list[Value]:
        if call.body is None:
            return [flow, *(self._tap(tap, builder, frame) for tap in call.taps)]
        with self.budget.deeper(call.body.span):
            return list(self._lines(call.body, flow, builder, frame.inner(call.body.span)))

    def _lines(self, body: t.Body, flow: Value, builder: Builder, frame: Frame) -> Iterator[Value]:
        """The branches of a join: a line each; control statements choose and multiply lines."""
        for statement in body.statements:
            if not isinstance(statement, t.Chain):
                left = self._statement(statement, flow, builder, frame, False)
                yield from [left] * isinstance(statement, t.Hole)
                continue
            first = statement.flows[0]
            alone = len(statement.flows) == 1 and first.label is None
            match first.step if alone else None:
                case t.Repeat() | t.For() as loop:
                    for inner, lines in self._iterations(loop, builder, frame):
                        yield from self._lines(lines, flow, builder, inner)
                case t.If() as branch:
                    chosen = self._chosen(branch, frame)
                    if chosen is None:
                        yield Value(None, branch.span)
                    else:
                        yield from self._lines(chosen, flow, builder, frame.inner(chosen.span))
                case _:
                    yield self._statement(statement, flow, builder, frame, False)

    def _residual(self, step: t.Residual, flow: Value, builder: Builder, frame: Frame) -> Value:
        with self.report.catching():
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
            if self._without_batch(None, [main, side], step.span):
                return Value(None, step.span)
            if main.sample != side.sample:
                self._residual_mismatch(step, main, side, flow, frame)
                return Value(None, step.span)
            return self._join(RESIDUAL(), [main, side], builder, step.span)
        return Value(None, step.span)

    def _shortcut(self, shortcut: t.Shortcut, flow: Value, builder: Builder, frame: Frame) -> Value:
        if shortcut.label is None:
            return self._body(shortcut.body, flow, builder, frame)
        name = self._label(shortcut.label, builder, frame)
        if name is None or self._without_batch(None, [flow], shortcut.span):
            return Value(None, shortcut.span)
        inner = builder.open(name, shortcut.span, flow)
        return inner.close(self._body(shortcut.body, inner.inputs[0], inner, frame))

    def _residual_mismatch(
        self, step: t.Residual, main: Value, side: Value, flow: Value, frame: Frame
    ) -> None:
        assert main.sample is not None and side.sample is not None
        shapes = shape_text(main.sample), shape_text(side.sample)
        flows = flow.sample or ()  # unknown, where a step before is in error and taps go on
        text = proposed(step, main.sample, flows, frame)
        fix: tuple[Fix, ...] = ()
        hint = UNPADDED if not text and is_cut(main.sample, flows) else ""
        if text and step.shortcut is None:
            end = Span(step.span.source, step.body.span.end, step.body.span.end)
            hint = f"add `{text}`"
            fix = (Fix(hint, ((end, f" {text}"),)),)
        elif text:
            hint = f"write `{text}`"
        at = Span(step.span.source, step.span.start, step.span.start + len("residual"))
        problem = c.ResidualMismatch(at, *shapes, hint, fixes=fix)
        self.report(
            problem.with_related(
                Label(main.span, f"the main path ends with {shapes[0]}"),
                Label(side.span, f"the shortcut is {shapes[1]}, from here"),
            )
        )
