"""Expressions over a layer's attributes (`init conv normal std=sqrt(2/fan)`), as Python text."""

from __future__ import annotations

from archdsl.checker.problem import Problem
from archdsl.checker.values import BINARY, Evaluator, is_number, show
from archdsl.diagnostics.catalogue import values as e
from archdsl.syntax import tree as t
from archdsl.syntax.tree import names_in

#: functions of numbers, which Python or its math module has under the same name
_OF_NUMBERS = frozenset(
    ["abs", "ceil", "float", "floor", "int", "log", "log2", "max", "min", "round", "sqrt"]
)


def to_python(expr: t.Expr, evaluate: Evaluator, free: set[str]) -> str:
    """An expression as Python text, in which the names `free` stay and everything else is a value.
    Only numbers, operators and the functions below come out, nothing that a person wrote as text.
    """
    if not free & {p.name for p in names_in(expr)}:
        value = evaluate(expr)
        if not is_number(value):
            raise Problem(e.NotANumber(expr.span, show(value)))
        return repr(value)
    match expr:
        case t.Name():
            return expr.name
        case t.Index():
            return (
                f"{to_python(expr.base, evaluate, free)}[{to_python(expr.index, evaluate, free)}]"
            )
        case t.Unary(op="-"):
            return f"-{to_python(expr.operand, evaluate, free)}"
        case t.Binary() if expr.op in BINARY:
            left, right = (to_python(e, evaluate, free) for e in (expr.left, expr.right))
            return f"({left} {expr.op} {right})"
        case t.Function() if expr.name in _OF_NUMBERS:
            return f"{expr.name}({_python_args(expr, evaluate, free)})"
    raise Problem(e.NotOfAttributes(expr.span))


def _python_args(call: t.Function, evaluate: Evaluator, free: set[str]) -> str:
    return ", ".join(to_python(a.value, evaluate, free) for a in call.args)
