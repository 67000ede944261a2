"""What `assert` states: the shape that flows at its place, or a condition.

In: a statement, with the flow and the variables at its place. Out: what it claims, and what is
wrong with that.
"""

from __future__ import annotations

from dataclasses import replace

from archdsl.checker.arguments import Frame, shape_value, sides_of
from archdsl.checker.build import Value
from archdsl.checker.problem import Problem
from archdsl.checker.report import flatten_hint, origin
from archdsl.checker.values import show
from archdsl.diagnostics import catalogue as c
from archdsl.diagnostics.model import Diagnostic
from archdsl.diagnostics.source import Span
from archdsl.syntax import tree as t
from archdsl.text import shape_text

Claim = bool | tuple[int | None, ...]  # of a shape with None for any side


def claimed(expr: t.Expr, frame: Frame) -> Claim:
    """Whether a condition holds, or the shape that is stated. What is asked here decides nothing
    that is built, so no side that it reads becomes fixed by it."""
    frame = replace(frame, reads=set(), fixed=set())
    if isinstance(expr, t.List) and any(isinstance(side, t.AnySide) for side in expr.items):
        return tuple(None if isinstance(s, t.AnySide) else _side(s, frame) for s in expr.items)
    if isinstance(expr, t.Binary) and expr.op in ("and", "or"):
        return frame.evaluate.condition(expr)
    value = frame.evaluate(expr)
    if isinstance(value, bool):
        return value
    if not isinstance(value, (int, tuple)):
        raise Problem(c.NotAClaim(expr.span, show(value)))
    return sides_of(expr, value)


def _side(expr: t.Expr, frame: Frame) -> int:
    shape = shape_value(expr, frame)
    if len(shape) > 1:
        raise Problem(c.NotAShape(expr.span, show(shape)))
    return shape[0]


def refuted(statement: t.Assert, claim: Claim, flow: Value, frame: Frame) -> Diagnostic | None:
    """What is wrong with it."""
    text = statement.message
    if isinstance(claim, bool):
        if claim:
            return None
        expr = _broken(statement.claim, frame)
        said = "" if text is None else str(frame.evaluate(text))
        return c.DoesNotHold(expr.span, expr.span.text[:80], _values(expr, frame), said=said)
    actual = flow.sample
    if actual is None or _fits(claim, actual):
        return None
    said = "" if text is None else str(frame.evaluate(text))
    stated = "x".join("_" if side is None else str(side) for side in claim)
    hint = flatten_hint(actual, tuple(side or 0 for side in claim))
    where = statement.claim.span
    problem = c.OtherShape(where, shape_text(actual), stated, said=said, hint=hint)
    return problem.with_related(*origin(flow))


def as_claimed(claim: Claim, flow: Value, span: Span) -> Value:
    """The value that goes on behind a claim that failed: as stated, so that no error follows."""
    if isinstance(claim, bool):
        return flow
    actual = flow.sample or ()
    if len(actual) == len(claim):
        claim = tuple(a if side is None else side for side, a in zip(claim, actual, strict=True))
    shape = tuple(side for side in claim if side is not None)
    return Value(shape if len(shape) == len(claim) else None, span)


def _fits(claim: tuple[int | None, ...], actual: tuple[int, ...]) -> bool:
    return len(claim) == len(actual) and all(
        side in (None, number) for side, number in zip(claim, actual, strict=True)
    )


def _broken(expr: t.Expr, frame: Frame) -> t.Expr:
    """The part of a condition that is to blame."""
    while isinstance(expr, t.Binary) and expr.op == "and":
        expr = expr.right if frame.evaluate.condition(expr.left) else expr.left
    return expr


def _values(expr: t.Expr, frame: Frame) -> str:
    """What a comparison compares."""
    if not isinstance(expr, t.Binary) or expr.op == "or":
        return ""
    sides = (side for side in (expr.left, expr.right) if not isinstance(side, t.Literal))
    return ", ".join(f"`{side.span.text[:40]}` is {show(frame.evaluate(side))}" for side in sides)
