"""The condition behind `where`: from the tree to a condition on the sides of what comes in.

In: the expression, what its other names stand for, and the declared shape. Out: a `Promise`, over
an unknown number for each side; `archdsl.sizes` proves it. It is made of what the proof can follow:
whole numbers, `+ - * // %`, `min`, `max`, `abs`, comparisons, `and`, `or`, `not`, `if`.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

from archdsl.checker.problem import Problem
from archdsl.checker.values import Evaluator, show
from archdsl.diagnostics.catalogue import values as c
from archdsl.diagnostics.source import Span
from archdsl.ir import expr as e
from archdsl.ir.expr import Cond, Expr
from archdsl.ir.graph import Promise
from archdsl.ops.table import Shape
from archdsl.ops.types import is_int
from archdsl.syntax import tree as t
from archdsl.syntax.language import SIDES
from archdsl.syntax.tree import names_in
from archdsl.text import shape_text

Number = int | Expr
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}  # with its sides exchanged


def promise(expr: t.Expr, evaluate: Evaluator, shape: Shape) -> Promise:
    """Raises `Problem`."""
    return Promise(_Sides(evaluate, shape).condition(expr), expr.span)


class _Sides:
    """`evaluate`: what has no sides in it."""

    def __init__(self, evaluate: Evaluator, shape: Shape) -> None:
        self.evaluate, self.shape = evaluate, shape
        letters = e.LETTERS.get(len(shape) - 1, ())
        self.sides: dict[str, Number] = {
            letter.lower(): e.Var(place, letter) for place, letter in enumerate(letters)
        }
        if len(shape) != 2:  # of two, either may be the channels
            self.sides["c"] = shape[0] if shape else 0

    def condition(self, expr: t.Expr) -> bool | Cond:
        if not self._has_sides(expr):
            return self.evaluate.condition(expr)
        match expr:
            case t.Binary(op="and"):
                return e.every([self.condition(expr.left), self.condition(expr.right)])
            case t.Binary(op="or"):
                return e.case(self.condition(expr.left), True, self.condition(expr.right))
            case t.Unary(op="not"):
                return e.negated(self.condition(expr.operand))
            case t.Ternary():
                return e.case(*map(self.condition, (expr.condition, expr.then, expr.otherwise)))
            case t.Binary() if expr.op in ("==", "!=", "<", "<=", ">", ">="):
                return self._comparison(expr.op, expr.left, expr.right)
        raise Problem(c.NotProvable(expr.span, hint="a condition is wanted: `h >= 64`"))

    def number(self, expr: t.Expr) -> Number:
        if not self._has_sides(expr):
            return self._whole(expr.span, self.evaluate(expr))
        match expr:
            case t.Name():
                return self._side(expr.name, expr.span)
            case t.Unary(op="-"):
                return e.mul(-1, self.number(expr.operand))
            case t.Ternary():
                chosen = self.condition(expr.condition)
                return e.pick(chosen, self.number(expr.then), self.number(expr.otherwise))
            case t.Binary(op="+" | "-" | "*" | "//" | "%"):
                return self._computed(expr, self.number(expr.left), self.number(expr.right))
            case t.Binary(op="/"):
                raise Problem(c.NotProvable(expr.op_span, hint="`//` rounds down"))
            case t.Function(name="min" | "max" | "abs") if not any(a.name for a in expr.args):
                return self._function(expr.name, [self.number(a.value) for a in expr.args], expr)
        raise Problem(c.NotProvable(expr.span))

    def _has_sides(self, expr: t.Expr) -> bool:
        return any(isinstance(n, t.Name) and n.name in SIDES for n in names_in(expr))

    def _side(self, name: str, span: Span) -> Number:
        if name not in self.sides:
            known = ", ".join(f"`{side}`" for side in SIDES if side in self.sides)
            raise Problem(c.NoSuchSide(span, shape_text(self.shape), name, f"it has {known}"))
        return self.sides[name]

    def _whole(self, span: Span, value: Any) -> int:
        if not is_int(value):
            raise Problem(c.NotProvable(span, hint=f"whole numbers are wanted, not {show(value)}"))
        return int(value)

    def _computed(self, expr: t.Binary, left: Number, right: Number) -> Number:
        if expr.op in ("//", "%"):
            if right == 0:
                raise Problem(c.DivisionByZero(expr.span))
            if not isinstance(right, int) or right < 0:
                raise Problem(c.NotProvable(expr.right.span, hint="divide by a number above 0"))
            return e.div(left, right) if expr.op == "//" else e.mod(left, right)
        if expr.op == "*":
            return e.mul(left, right)
        return e.add(left, right, 1 if expr.op == "+" else -1)

    def _comparison(self, op: str, left: t.Expr, right: t.Expr) -> bool | Cond:
        """`min(h, w) >= 8` asks it of both; what is above the smallest is above one of them."""
        if not self._is_choice(left) and self._is_choice(right) and op in _TURNED:
            left, right, op = right, left, _TURNED[op]
        if op not in _TURNED or not isinstance(left, t.Function) or not self._is_choice(left):
            return self._compared(op, self.number(left), self.number(right))
        parts = [self._comparison(op, argument.value, right) for argument in left.args]
        if (left.name == "min") == (op in (">", ">=")):
            return e.every(parts)
        return reduce(lambda a, b: e.case(a, True, b), parts)

    def _is_choice(self, expr: t.Expr) -> bool:
        if not isinstance(expr, t.Function) or expr.name not in ("min", "max"):
            return False
        return len(expr.args) > 1 and self._has_sides(expr) and not any(a.name for a in expr.args)

    def _compared(self, op: str, left: Number, right: Number) -> bool | Cond:
        if op in (">", ">="):
            left, right, op = right, left, op.replace(">", "<")
        if op in ("<", "<="):
            return e.less(left, right) if op == "<" else e.at_most(left, right)
        same = e.equal(left, right)
        return same if op == "==" else e.negated(same)

    def _function(self, name: str, args: list[Number], expr: t.Expr) -> Number:
        if name == "abs" and len(args) == 1:
            return e.pick(e.at_most(0, args[0]), args[0], e.mul(-1, args[0]))
        if name == "abs" or len(args) < 2:
            raise Problem(c.NotProvable(expr.span))
        if name == "min":
            return reduce(lambda a, b: e.pick(e.at_most(a, b), a, b), args)
        return reduce(lambda a, b: e.pick(e.at_most(a, b), b, a), args)
