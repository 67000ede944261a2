"""How expressions are written, and laid out in lines.

In: trees whose leaves are literals, our own text and numbered values. Out: lines as ruff's
formatter (at its default width) writes them.
"""

from __future__ import annotations

import ast
import keyword
import math
import threading
from collections.abc import Iterator
from typing import Any

from archdsl.emit.tree import (
    LEAVES,
    Apply,
    Attr,
    Code,
    Expr,
    Infix,
    Lit,
    Make,
    Many,
    Maybe,
    Member,
    Named,
    Repeat,
    Value,
)

WIDTH = 88
STEP = "    "
_parsing = threading.Lock()


def parsed(text: str, mode: str = "exec") -> ast.AST:
    """`ast.parse`, by one thread at a time: Python 3.11 mixes them up (cpython gh-106905)."""
    with _parsing:
        return ast.parse(text, mode=mode)


# ---- literals and names ----------------------------------------------------------------------


def is_attribute(name: str) -> bool:
    """Whether `self.name` means just that: ASCII, for Python folds other letters to their
    compatibility form; no leading `__`, which a class body would mangle."""
    plain = name.isascii() and name.isidentifier() and not keyword.iskeyword(name)
    return plain and not name.startswith("__")


def literal(value: Any) -> str:
    """A number, bool, string, None, class or tuple of these as Python source."""
    if isinstance(value, Named):
        return str(value)
    if isinstance(value, bool) or value is None:
        return repr(value)
    if isinstance(value, int):
        return repr(int(value))
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, tuple):
        inner = ", ".join(map(literal, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    raise TypeError(f"no literal: {type(value).__name__}")


def _float(value: float) -> str:
    if math.isfinite(value):
        return repr(float(value)).replace("e+", "e")
    return f'float("{value}")'


def _string(value: str) -> str:
    text = repr(str(value))
    if text[0] == "'" and '"' not in text and "\\'" not in text:
        return f'"{text[1:-1]}"'
    return text


# ---- layout ----------------------------------------------------------------------------------


def flat(expr: Expr) -> str:
    """The expression in one line."""
    match expr:
        case Lit():
            return literal(expr.value)
        case Code():
            return expr.text
        case Value():
            raise TypeError(f"value {expr.number} has no variable")
        case Member():
            return f"self.{expr.name}" if is_attribute(expr.name) else _getattr(expr.name)
        case Attr():
            return f"{flat(expr.owner)}.{expr.name}"
        case Apply() | Make():
            target, arguments = _call(expr)
            inside = ", ".join(lead + flat(part) for lead, part in arguments)
            return f"{target}({inside}){_item(expr)}"
        case Infix():
            return f" {expr.operator} ".join(_operands(expr))
        case Many():
            inner = ", ".join(map(flat, expr.items))
            inner += "," if len(expr.items) == 1 and expr.brackets == "()" else ""
            return f"{expr.brackets[0]}{inner}{expr.brackets[1]}"
        case Repeat():
            star = "*" if expr.spread else ""
            return f"{star}[{flat(expr.item)} for _ in range({flat(expr.count)})]"
        case Maybe():
            raise TypeError("what may be missing is no expression")


def lay(expr: Expr, indent: int, lead: str = "", tail: str = "") -> list[str]:
    """The lines of `lead expr tail` at a depth of indentation."""
    margin = STEP * indent
    line = f"{margin}{lead}{flat(expr)}{tail}"
    if len(line) <= WIDTH or isinstance(expr, LEAVES):
        return [line]
    match expr:
        case Apply() | Make():
            target, arguments = _call(expr)
            if not arguments:
                return [line]
            inner = STEP + margin + ", ".join(lead + flat(part) for lead, part in arguments)
            rows = isinstance(expr, Apply) and expr.rows and len(arguments) > 1
            if len(inner) <= WIDTH and not rows:
                body = [inner]
            else:
                comma = "," if len(arguments) > 1 or not _hugs(arguments[0][1]) else ""
                body = [row for k, part in arguments for row in lay(part, indent + 1, k, comma)]
            return [f"{margin}{lead}{target}(", *body, f"{margin}){_item(expr)}{tail}"]
        case Many():
            rows_ = [row for part in expr.items for row in lay(part, indent + 1, tail=",")]
            left, right = expr.brackets[0], expr.brackets[1]
            return [f"{margin}{lead}{left}", *rows_, f"{margin}{right}{tail}"]
        case Repeat():
            loop = f"{margin}{STEP}for _ in range({flat(expr.count)})"
            star = "*" if expr.spread else ""
            return [f"{margin}{lead}{star}[", *lay(expr.item, indent + 1), loop, f"{margin}]{tail}"]
        case Infix():
            first, *rest = _operands(expr)
            inside = [margin + STEP + first]
            inside += [f"{margin}{STEP}{expr.operator} {operand}" for operand in rest]
            return [f"{margin}{lead}(", *inside, f"{margin}){tail}"]
    return [line]


def _item(expr: Apply | Make) -> str:
    return f"[{expr.item}]" if isinstance(expr, Apply) and expr.item is not None else ""


def _hugs(expr: Expr) -> bool:
    """A sole argument that is broken within its own brackets takes no comma after it."""
    return isinstance(expr, (Many, Apply, Make))


def _call(expr: Apply | Make) -> tuple[str, list[tuple[str, Expr]]]:
    if isinstance(expr, Make):
        return expr.cls.name, list(expr.cls.arguments(expr.args))
    arguments = [("", part) for part in expr.args]
    arguments += [
        (f"{key}=", part)
        for key, part in expr.kwargs
        if not (isinstance(part, Lit) and part.silent)
    ]
    return flat(expr.target), arguments


_BINDS = {"+": 1, "-": 1, "*": 2, "/": 2, "//": 2, "%": 2, "@": 2}


def _operands(expr: Infix) -> Iterator[str]:
    for place, operand in enumerate(expr.operands):
        text = flat(operand)
        if isinstance(operand, Infix):
            inner, outer = _BINDS.get(operand.operator, 0), _BINDS.get(expr.operator, 0)
            # a + (b + c) stays: another grouping gives other bits
            if inner < outer or (inner == outer and place):
                text = f"({text})"
        yield text


def _getattr(name: str) -> str:
    return f"getattr(self, {literal(name)})"
