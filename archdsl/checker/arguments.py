"""From the arguments of a call, as written, to values.

In: argument trees that `resolve` has bound, and the `Frame` of the block they stand in. Out: an
operator, an initialisation rule, or the values of a block's parameters; raises `Problem`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from archdsl.checker.attributes import to_python
from archdsl.checker.build import Builder, Follows, Value, operand_shapes
from archdsl.checker.fuel import BODY, COPIED, Budget
from archdsl.checker.lookup import find, problem
from archdsl.checker.measured import exprs, measures, plain
from archdsl.checker.problem import Problem
from archdsl.checker.report import Reporter, origin, shrinking
from archdsl.checker.values import Evaluator, Setting, rounded, show
from archdsl.diagnostics import catalogue as c
from archdsl.diagnostics.model import Diagnostic, Fix, Label
from archdsl.diagnostics.source import Span
from archdsl.ir.expose import Unknown
from archdsl.names.bind import bind
from archdsl.names.foreign import similar
from archdsl.names.units import Block, Slot
from archdsl.ops import TABLE, Op
from archdsl.ops.init import RULES, Attribute, Rule
from archdsl.ops.spatial import channels_last
from archdsl.ops.table import LIKE, Arg, Blame, Mismatch, Shape
from archdsl.ops.types import is_int
from archdsl.syntax import tree as t
from archdsl.syntax.language import CONSTANTS, FLOWS
from archdsl.syntax.tree import names_in
from archdsl.text import shape_text


@dataclass(slots=True)
class Frame:
    """The walk of one block: its variables, its taps, and what entered it. Bodies inside it get a
    frame of their own, with the same taps. `flow` and `builder`: what flows at the place that the
    walk has come to, and in which scope. `absent`: the values that the block did not get.
    `parts`: its modules that several steps run, as `Part`s.
    `embedded`: it is a model that another one calls."""

    block: Block
    variables: dict[str, Any]
    taps: dict[str, Value]
    shape: Shape | None
    budget: Budget
    reads: set[int] = field(default_factory=set)  # the sides of what entered that the text reads
    absent: frozenset[str] = frozenset()
    parts: dict[str, Any] = field(default_factory=dict)
    embedded: bool = False
    flow: Value | None = None
    builder: Builder | None = None
    entering: Value | None = None  # what enters the block, where its walk has begun
    fixed: set[tuple[Value, int]] = field(default_factory=set)  # as `reads`, of any value

    @property
    def evaluate(self) -> Evaluator:
        target, spend = self.block.unit.target, self.budget.spend
        return Evaluator(self.variables, target, spend, self)

    def inner(self, span: Span, variables: Mapping[str, Any] | None = None) -> Frame:
        """For a body at `span`."""
        self.budget.spend(BODY + len(self.variables) // COPIED, span)
        return replace(self, variables={**self.variables, **(variables or {})})

    # -- what expressions see of the values

    def path(self, name: t.TapUse | t.Tap) -> str:
        """A name with expressions in it, as text."""
        return self.evaluate.text(name.parts, name.span)

    def last(self, use: t.TapUse) -> str:
        """What an output is called: the last name of its path."""
        with suppress(Problem):
            return self.path(use).rpartition(".")[2]
        return use.name

    def find(self, use: t.TapUse) -> Value:
        """The value, as one of the scope where it was computed. Raises `Problem`."""
        path = self.path(use)
        if path.partition(".")[0] in self.absent:
            raise Problem(c.AbsentValue(use.span, path))
        if self.builder is None:
            raise Problem(c.UnknownTap(use.span, path))
        try:
            return find(path, self.taps, self.builder)
        except Unknown as unknown:
            raise problem(use, path, unknown, self.taps) from None

    def value_of(self, use: t.TapUse) -> Value:
        return self.find(use)

    def entered(self) -> Value | None:
        if self.entering is None and self.shape is not None:
            return Value(self.shape, self.block.tree.name_span)
        return self.entering

    def fix(self, owner: Value, place: int) -> None:
        if owner.builder is None:  # what will enter
            self.reads.add(place)
        else:
            self.fixed.add((owner, place))

    def given(self, use: t.TapUse) -> bool:
        if self.path(use) in self.absent:
            return False
        return self.find(use) is not None

    def here(self) -> Value:
        if self.flow is None:
            raise Problem(None)
        return self.flow


def any_value(expr: t.Expr, frame: Frame, follow: bool = False) -> Any:
    """A value of any kind; the name of a block or operator stands for it. `follow`: its numbers
    know from which sides they follow."""
    if isinstance(expr, t.Name) and expr.name not in frame.variables and expr.name not in FLOWS:
        target = frame.block.unit.target(expr.name)
        if target is None:
            names = [*frame.variables, *frame.block.unit.names()]
            raise Problem(c.UnknownName(expr.span, expr.name, similar(expr.name, names)))
        return target
    return frame.evaluate.followed(expr) if follow else frame.evaluate(expr)


def setting_of(expr: t.Expr, frame: Frame) -> Setting | None:
    """The model's parameter that a name passes on as it is."""
    value = frame.variables.get(expr.name) if isinstance(expr, t.Name) else None
    return value if isinstance(value, Setting) else None


def shape_value(expr: t.Expr, frame: Frame) -> Shape:
    """A shape, as `input` and `param` state it."""
    return sides_of(expr, frame.evaluate(expr))


def sides_of(expr: t.Expr, value: Any) -> Shape:
    """A value as a shape; `expr`: what it is of."""
    sides = value if isinstance(value, tuple) else (value,)
    if not sides or not all(isinstance(s, int) and s > 0 and s is not True for s in sides):
        raise Problem(c.NotAShape(expr.span, written(expr, value)))
    return tuple(sides)


def written(expr: t.Expr, value: Any) -> str:
    """A value as its expression has it, where that is a size or number as it stands."""
    return expr.span.text[:40] if isinstance(expr, t.Literal) else show(value)


def operator(
    cls: type[Op], bound: Mapping[str, t.Argument], frame: Frame, report: Reporter
) -> tuple[Op | None, Follows]:
    """The operator with its arguments; None where one of them is in error, which is reported. And
    how those that follow from sides do."""
    follows: list[tuple[str, Any]] = []
    values: dict[str, Any] = {}
    for name, argument in bound.items():
        with report.catching():
            passed = setting_of(argument.value, frame) if name in cls.free else None
            value = _typed(cls.args[name], argument.value, frame, cls.name, passed)
            if any(measures(value)):
                follows.append((name, exprs(value)))
            values[name] = plain(value)
    complete = all(a.name in bound for a in cls.args.values() if a.required)
    return (cls(**values) if complete and len(values) == len(bound) else None), tuple(follows)


def rule(
    name: str, span: Span, args: tuple[t.Argument, ...], frame: Frame, report: Reporter
) -> Rule | None:
    """An initialisation rule; an argument may be an expression over the layer's attributes."""
    if name not in RULES:
        return None
    specs = {a.name: a for a in RULES[name]}
    slots = tuple(Slot(a.name, a.required, a.keyword) for a in RULES[name])
    bound, problems = bind(name, slots, args, span)
    if problems:
        return None  # resolve has reported them
    values: list[tuple[str, Any]] = []
    for key, argument in bound.items():
        expr = argument.value
        free = {p.name for p in names_in(expr) if isinstance(p, t.Name)} - set(frame.variables)
        with report.catching():
            if free & Attribute.NAMES:
                text = to_python(expr, frame.evaluate, free)
                values.append((key, Attribute(text, tuple(sorted(free)))))
            else:
                values.append((key, _typed(specs[key], expr, frame, name)))
    return Rule(name, tuple(values)) if len(values) == len(bound) else None


def _typed(spec: Arg, expr: t.Expr, frame: Frame, owner: str, passed: Setting | None = None) -> Any:
    """The value of an operator's argument; bare words are the argument's own. `passed`: the
    parameter of the model that it is."""
    words = spec.type.words()
    if isinstance(expr, t.ValueOf) and TABLE[owner].like == spec.name:
        return LIKE
    if isinstance(expr, t.Name) and expr.name not in frame.variables and expr.name not in FLOWS:
        if expr.name not in words:
            near = similar(expr.name, words or [*frame.variables, *CONSTANTS])
            raise Problem(c.UnknownName(expr.span, expr.name, near))
        value: Any = expr.name
    else:
        follow = owner in TABLE and spec.name in TABLE[owner].follows
        evaluate = frame.evaluate.followed if follow else frame.evaluate
        value = evaluate(expr) if passed is None else passed.value
    if value is None:
        if spec.default is None:
            return None
        if "none" in words:  # the constant's name is this argument's own word
            value = "none"
    try:
        return spec.type.convert(value)
    except ValueError as wanted:
        problem = f"`{spec.name}` of `{owner}` must be {wanted}"
        percent = spec.type.accepts(0.5) and is_int(value) and 1 < value <= 100
        hint = f"{value} % is `{value / 100:g}`" if percent else ""
        whole = isinstance(value, float) and not spec.type.accepts(0.5)
        fix = rounded(expr, value) if whole and spec.type.accepts(int(value)) else ()
        if isinstance(expr, t.Literal) and _is_size(value) and spec.type.accepts(8):
            fix = (Fix(f"without quotes: `{value}`", ((expr.span, value),), safe=True),)
        fits = whole and value.is_integer() and spec.type.accepts(int(value))
        if fits and isinstance(expr, t.Literal):
            number = f"{value:.0f}"
            fix = (Fix(f"write `{number}`", ((expr.span, number),), safe=True),)
        if is_int(value) and value in (0, 1) and spec.type.accepts(True):
            word = "true" if value else "false"
            fix = (Fix(f"write `{word}`", ((expr.span, word),), safe=isinstance(expr, t.Literal)),)
        hint = fix[0].title if fix else hint
        raise Problem(
            c.BadValue(expr.span, problem, f"this is {written(expr, value)}", hint, fixes=fix)
        ) from None


def _is_size(value: object) -> bool:
    return isinstance(value, str) and all(side.isdigit() for side in value.split("x"))


def blamed(
    call: t.Call, op: Op, bound: Mapping[str, t.Argument], inputs: list[Value], blame: Blame
) -> Diagnostic:
    """An operator's refusal, at the argument or input that it blames."""
    argument = bound.get(blame.field or "")
    where = argument.value.span if argument else call.name_span
    shapes = [shape_text(shape) for shape in operand_shapes(op, inputs)]
    if isinstance(blame, Mismatch):
        both = zip(inputs, shapes, strict=True)
        labels = (Label(value.span, _from_here(value, shape, op)) for value, shape in both)
        shown = blame.one, blame.other, " and ".join(shapes)
        hint = _with_batch(op, inputs) or blame.help
        return c.JoinMismatch(call.name_span, *shown, hint).with_related(*labels)
    problem: Diagnostic
    if blame.kind == "rank":
        hint = blame.help or _vector(call.name, inputs[0])
        problem = c.WrongRank(call.name_span, blame.message, shapes[0], hint)
    elif blame.kind == "fit":
        hint = _channels_first(inputs[0]) or blame.help
        story, steps = shrinking(inputs[0], call.name)
        problem = c.DoesNotFit(where, blame.message, shapes[0], hint, story)
        if steps:
            return problem.with_related(*steps)
    else:
        on = f"on an input of {shapes[0]}" if argument else ""
        hint = blame.help or _no_channels(argument, inputs)
        fact = _what_in_is(argument.value, inputs[0]) if argument else ""
        problem = c.BadValue(where, blame.message, on, hint, fact)
    return problem.with_related(*origin(inputs[0]))


def _from_here(value: Value, shape: str, op: Op) -> str:
    if op.broadcasts or not value.unbatched:
        return f"{shape} comes from here"
    return f"{shape} comes from here: the leading 1 is the batch"


def _with_batch(op: Op, inputs: list[Value]) -> str:
    """For parameters that would fit, were their leading 1 not the batch."""
    loose = [value for value in inputs if value.unbatched and value.shape]
    if op.broadcasts or not loose:
        return ""
    try:
        op.shape(*(value.shape or () for value in inputs))
    except Blame:
        return ""
    declared = ", ".join(map(str, (1, *(loose[0].shape or ()))))
    return f"in front of a parameter's own shape stands a 1 for the batch: `[{declared}]`"


def _what_in_is(expr: t.Expr, value: Value) -> str:
    """For an argument with `in`, where what comes to the step has other channels."""
    scope = value.builder
    while scope is not None and scope.parent is not None:
        scope = scope.parent
    entered = scope.inputs[0].shape if scope else None
    uses = any(isinstance(part, t.Name) and part.name == "in" for part in names_in(expr))
    if not uses or scope is None or not entered or entered[:1] == (value.sample or ())[:1]:
        return ""
    return f"`in` is {entered[0]}: what enters `{scope.block}`, not this step"


def _vector(name: str, value: Value) -> str:
    """For a vector in the place of a map: where the map was lost, or that the input is none."""
    if value.shape is None or len(value.shape) != 1:
        return ""
    while (before := value.before) is not None and len(before.shape or ()) == 1:
        value = before
    lost = getattr(value.draft.content, "name", "") if value.draft else ""
    if before is not None and lost:
        return f"put `{name}` before `{lost}`"
    size = math.prod(value.shape or ())
    side = math.isqrt(size)
    square = before is None and side * side == size > 1
    return f"an image is C×H×W: `input 1x{side}x{side}`" if square else ""


def _channels_first(value: Value) -> str:
    """For a model's input that looks like height x width x channels."""
    while (before := value.before) is not None:
        value = before
    shape = value.shape or ()
    if channels_last(shape):
        return f"channels come first: `input {shape[2]}x{shape[0]}x{shape[1]}`"
    return ""


def _no_channels(argument: t.Argument | None, inputs: list[Value]) -> str:
    """For a size of as many numbers as the input has dimensions: an image without channels."""
    value = getattr(argument and argument.value, "value", None)
    shape = inputs[0].shape
    if isinstance(value, tuple) and shape is not None and len(value) == len(shape) == 2:
        return f"an image has its channels first: `input 1x{shape_text(shape)}`"
    return ""
