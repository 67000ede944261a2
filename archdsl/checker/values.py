"""Expressions: from the tree to values.

Values are whole numbers, floats, true and false, strings, none, tuples of values (lists and sizes)
and what may be called (blocks and operators). Everything is bounded: no expression takes long or
much memory, whatever its text.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from archdsl.checker.measured import Measured, computed, measures, plain, side_of_value
from archdsl.checker.problem import Problem
from archdsl.checker.sight import Seen, Sight, sample, side_of
from archdsl.diagnostics.catalogue import values as e
from archdsl.diagnostics.model import Fix
from archdsl.diagnostics.source import Span
from archdsl.names.units import Block
from archdsl.ops.types import MAX_INT, is_int
from archdsl.syntax import tree as t
from archdsl.syntax.language import FUNCTIONS, RANK

MAX_ITEMS = 10_000
MAX_FLOAT = 3.4e38
MAX_SHOWN = 20
MAX_FIXED = 50  # arguments, those of arguments included
MAX_NESTING = 12  # of lists
MAX_TEXT = 1000  # characters of a string that is computed
MAX_WORK = 200_000  # steps of an expression that stands outside of a spec
Value = Any
#: the value of what could not be computed; whoever meets it keeps quiet
POISON: Value = object()


class Partial:
    """A block or operator with some of its arguments fixed: `bn(eps=0.001)`."""

    def __init__(self, target: Any, args: tuple[t.Argument, ...]) -> None:
        self.target, self.args = target, args
        values = (getattr(a.value, "value", None) for a in args)
        self.size: int = 1 + sum(v.size if isinstance(v, Partial) else 1 for v in values)

    @property
    def name(self) -> str:
        return str(self.target.name)


BINARY: dict[str, Callable[[Any, Any], Value]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def show(value: Value) -> str:
    """A value as a person would write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "none"
    if isinstance(value, tuple):
        more = ["..."] if len(value) > MAX_SHOWN else []
        return "[" + ", ".join([*map(show, value[:MAX_SHOWN]), *more]) + "]"
    if isinstance(value, str):
        return '"' + value.replace("{", "{{").replace("}", "}}") + '"'
    if isinstance(value, float):
        text = f"{value:g}"
        return f"{text}.0" if text.lstrip("-").isdigit() else text
    if isinstance(value, int):
        return str(value)
    return str(getattr(value, "name", value))


def as_text(value: Value) -> str:
    """A value as it stands in a string or label."""
    return value if isinstance(value, str) else show(value).removesuffix(".0")


def rounded(expr: t.Expr, value: float) -> tuple[Fix, ...]:
    """How to compute a whole number instead of a fraction."""
    if isinstance(expr, t.Binary) and expr.op == "/":
        return (Fix(f"`//` rounds down, here to {int(value)}", ((expr.op_span, "//"),)),)
    text = f"int({expr.span.text})"
    hint = f"`{text}` rounds down, here to {int(value)}"
    return () if isinstance(expr, t.Literal) else (Fix(hint, ((expr.span, text),)),)


def unpack(names: tuple[str, ...], item: Value, span: Span) -> dict[str, Value]:
    """What the variables of a loop are for one item of its list."""
    if len(names) == 1:
        return {names[0]: item}
    if not isinstance(item, tuple) or len(item) != len(names):
        raise Problem(e.NotAsMany(span, show(item), len(names)))
    return dict(zip(names, item, strict=True))


@dataclass(eq=False, slots=True)
class Setting:
    """A number that a model's parameter is, passed on as it is. `of`: the parameter. `computed`: an
    expression has read it."""

    of: str
    value: int | float
    computed: bool = False


class Evaluator:
    """Evaluates expressions over variables; `callables` finds blocks and operators, whose names
    stand for them; `sight`: what is seen of the values around."""

    def __init__(
        self,
        variables: Mapping[str, Value],
        callables: Callable[[str], Value | None],
        spend: Callable[[int, Span], None] | None = None,
        sight: Sight | None = None,
    ) -> None:
        self.sight = sight
        self.variables, self.callables = variables, callables
        self.fuel, self.spend = MAX_WORK, spend or self._spend

    def __call__(self, expr: t.Expr) -> Value:
        """The value; the sides that it was computed from can then be no others."""
        return self._fixed(self.followed(expr))

    def followed(self, expr: t.Expr) -> Value:
        """The value, in which numbers know from which sides they follow."""
        self.spend(2, expr.span)
        value = getattr(self, "_" + type(expr).__name__.lower())(expr)
        return self._bounded(value, expr.span)

    def _fixed(self, value: Value) -> Value:
        found = set(measures(value))
        for owner, place in {one for number in found for one in number.expr.axes}:
            if self.sight is not None:
                self.sight.fix(owner, place)
        return plain(value) if found else value

    def condition(self, expr: t.Expr) -> bool:
        if isinstance(expr, t.Binary) and expr.op in ("and", "or"):
            left = self.condition(expr.left)
            return left if left is (expr.op == "or") else self.condition(expr.right)
        if isinstance(expr, t.ValueOf) and self.sight is not None:
            return self.sight.given(expr.use)
        value = self(expr)
        if not isinstance(value, bool):
            raise Problem(e.NotACondition(expr.span, show(value)))
        return value

    def count(self, expr: t.Expr) -> int:
        value = self(expr)
        if not is_int(value) or value < 0:
            fix = rounded(expr, value) if isinstance(value, float) and value >= 0 else ()
            listed = "`for i in list { ... }` takes a list" if isinstance(value, tuple) else ""
            hint = fix[0].title if fix else listed
            raise Problem(e.NotACount(expr.span, show(value), hint=hint, fixes=fix))
        return int(value)

    def items(self, expr: t.Expr) -> tuple[Value, ...]:
        value = self.followed(expr)
        if not isinstance(value, tuple):
            hint = f"`repeat {value} as i {{ ... }}` counts from 0" if is_int(value) else ""
            raise Problem(e.NotAList(expr.span, show(value), hint=hint))
        return value

    # -- one method for each kind of expression

    def _literal(self, expr: t.Literal) -> Value:
        for side in expr.value if isinstance(expr.value, tuple) else ():
            self._bounded(side, expr.span)
        return expr.value

    def _text(self, expr: t.Text) -> Value:
        return self.text(expr.parts, expr.span)

    def text(self, parts: tuple[str | t.Expr, ...], span: Span) -> str:
        """Text with expressions in it."""
        texts = (part if isinstance(part, str) else as_text(self(part)) for part in parts)
        return self._short("".join(texts), span)

    def _short(self, text: str, span: Span) -> str:
        if len(text) > MAX_TEXT:
            raise Problem(e.TextTooLong(span, MAX_TEXT))
        self.spend(len(text) // 10, span)
        return text

    def _anyside(self, expr: t.AnySide) -> Value:
        raise Problem(e.AnySideElsewhere(expr.span))

    def _name(self, expr: t.Name) -> Value:
        if expr.name == "in":
            return self._seen(self._in(expr), 0, expr)
        if expr.name == "here" and "here" not in self.variables and self.sight is not None:
            return self._seen(self.sight.here(), 0, expr)
        value = self.variables.get(expr.name, POISON)
        if value is POISON and expr.name not in self.variables:
            value = self.callables(expr.name) or POISON
        if value is POISON:
            raise Problem(None)  # it is reported where it went wrong
        if isinstance(value, Setting):
            value.computed = True
            return value.value
        return value

    def _in(self, expr: t.Expr) -> Seen:
        """What entered the block."""
        found = None if self.sight is None else self.sight.entered()
        if found is None:
            raise Problem(None)  # what should enter is itself in error
        return found

    def _attribute(self, expr: t.Attribute) -> Value:
        seen = self._around(expr) if expr.of == "here" else self._in(expr)
        return self._seen(seen, side_of(expr.name, sample(seen), expr), expr)

    def _around(self, expr: t.Expr) -> Seen:
        """What flows here."""
        if self.sight is None:
            raise Problem(e.NoFlow(expr.span))
        return self.sight.here()

    def _seen(self, value: Seen, place: int, expr: t.Expr) -> Measured:
        """A side of a value."""
        shape = sample(value)
        if not shape:
            raise Problem(e.NoDimensions(expr.span))
        return side_of_value(value, place, shape[place])

    def _side(self, expr: t.Side) -> Value:
        if self.sight is None:
            raise Problem(e.NoFlow(expr.span))
        seen = self.sight.value_of(expr.use)
        return self._seen(seen, side_of(expr.name, sample(seen), expr), expr)

    def _valueof(self, expr: t.ValueOf) -> Value:
        raise Problem(e.ValueNoNumber(expr.span, expr.use.name))

    def _indexed(self, expr: t.Expr) -> Seen | None:
        """The value that `in`, `here` or a name stands for before an index."""
        if isinstance(expr, t.Name) and expr.name == "in":
            return self._in(expr)
        if isinstance(expr, t.ValueOf) and self.sight is not None:
            return self.sight.value_of(expr.use)
        if isinstance(expr, t.Name) and expr.name == "here" and "here" not in self.variables:
            return self._around(expr)
        return None

    def _list(self, expr: t.List) -> Value:
        return tuple(self.followed(item) for item in expr.items)

    def _collected(self, expr: t.Collected) -> Value:
        values = []
        for item in self.items(expr.items):
            bound = unpack(expr.variables, item, expr.items.span)
            both = {**self.variables, **bound}
            inner = Evaluator(both, self.callables, self.spend, self.sight)
            if expr.condition is None or inner.condition(expr.condition):
                values.append(inner.followed(expr.item))
            self.spend(5 + len(self.variables) // 8, expr.span)
        return tuple(values)

    def _spend(self, work: int, span: Span) -> None:
        self.fuel -= work
        if self.fuel < 0:
            raise Problem(e.TooMuchWork(span, MAX_WORK))

    def _function(self, expr: t.Function) -> Value:
        if expr.name not in FUNCTIONS or self._is_own(expr.name):
            return self._partial(expr)
        if expr.name == RANK and len(expr.args) == 1:
            seen = self._indexed(expr.args[0].value)
            if seen is not None:
                return len(sample(seen))
        least, most, function, _ = FUNCTIONS[expr.name]
        for argument in expr.args:
            if argument.name is not None:
                raise Problem(e.NoNamedArguments(argument.span, expr.name))
        args = [self(a.value) for a in expr.args]
        if not least <= len(args) <= most:
            wanted = str(least) if least == most else f"{least} to {most}"
            raise Problem(e.WrongCount(expr.span, expr.name, wanted, len(args)))
        return self._computed(expr.span, function, *args)

    def _is_own(self, name: str) -> bool:
        """Whether a block has the name of a function, and goes before it."""
        value = self.variables.get(name)
        value = value.value if isinstance(value, Setting) else value
        return hasattr(value, "name") or isinstance(self.callables(name), Block)

    def _partial(self, expr: t.Function) -> Partial:
        target = self.variables.get(expr.name) or self.callables(expr.name)
        target = target.value if isinstance(target, Setting) else target
        fixed: tuple[t.Argument, ...] = ()
        if isinstance(target, Partial):
            target, fixed = target.target, target.args
        if target is None:
            raise Problem(None)  # it is reported where names are looked up
        if not hasattr(target, "name"):
            raise Problem(e.NotCallable(expr.name_span, expr.name))
        specs = getattr(target, "args", {})  # an operator's arguments may take words
        free = [name for name, spec in specs.items() if not spec.keyword]
        for argument in expr.args:
            place = argument.name or (free.pop(0) if free else "")
            spec = specs.get(place)
            word = isinstance(argument.value, t.Name) and argument.value.name
            value = word if spec and word in spec.type.words() else self(argument.value)
            literal = t.Literal(argument.value.span, value)
            fixed += (t.Argument(argument.span, argument.name, argument.name_span, literal),)
        partial = Partial(target, fixed)
        if partial.size > MAX_FIXED:
            raise Problem(e.TooMuchFixed(expr.span, MAX_FIXED))
        return partial

    def _index(self, expr: t.Index) -> Value:
        seen = self._indexed(expr.base)
        base = self.followed(expr.base) if seen is None else sample(seen)
        index = self(expr.index)
        if not isinstance(base, tuple) or not is_int(index):
            raise Problem(e.NotIndexed(expr.span, show(base), show(index)))
        if not -len(base) <= index < len(base):
            raise Problem(e.NoItem(expr.index.span, index, len(base)))
        return base[index] if seen is None else self._seen(seen, index % len(base), expr)

    def _slice(self, expr: t.Slice) -> Value:
        base = self.followed(expr.base)
        ends = [None if e is None else self(e) for e in (expr.start, expr.end)]
        if not isinstance(base, tuple) or not all(e is None or is_int(e) for e in ends):
            raise Problem(e.NotSliced(expr.span, show(base)))
        return base[ends[0] : ends[1]]

    def _unary(self, expr: t.Unary) -> Value:
        if expr.op == "not":
            return not self.condition(expr.operand)
        value = self.followed(expr.operand)
        return (
            self._arithmetic(expr, "-", 0, value)
            if is_int(value)
            else self._computed(expr.span, operator.neg, value)
        )

    def _binary(self, expr: t.Binary) -> Value:
        if expr.op in ("and", "or"):
            left = self(expr.left)
            return left if bool(left) is (expr.op == "or") else self(expr.right)
        left, right = self.followed(expr.left), self.followed(expr.right)
        if expr.op in ("==", "!="):
            return BINARY[expr.op](self._fixed(left), self._fixed(right))
        if expr.op == "+" and isinstance(left, str) and isinstance(right, str):
            return self._short(left + right, expr.span)
        if expr.op == "*" and (isinstance(left, tuple) or isinstance(right, tuple)):
            return self._repeated(expr, left, right)
        lists = isinstance(left, tuple) and isinstance(right, tuple) and expr.op == "+"
        if not lists and not (is_number(left) and is_number(right)):
            texts = expr.op == "+" and (isinstance(left, str) or isinstance(right, str))
            hint = 'a value in a string stands in braces: `"stage{i}"`' if texts else ""
            raise Problem(e.DoesNotApply(expr.span, expr.op, show(left), show(right), hint=hint))
        if expr.op == "**" and (abs(right) > 64 or abs(left) > 2**32):
            raise Problem(e.PowerTooLarge(expr.span))
        return self._arithmetic(expr, expr.op, left, right)

    def _arithmetic(self, expr: t.Expr, op: str, left: Value, right: Value) -> Value:
        """What the module can compute too follows from the sides."""
        lists = isinstance(left, tuple) and isinstance(right, tuple)
        found = left + right if lists else computed(op, left, right)
        if found is not None:
            return found
        return self._computed(expr.span, BINARY[op], self._fixed(left), self._fixed(right))

    def _repeated(self, expr: t.Binary, left: Value, right: Value) -> Value:
        """A list several times."""
        items, times = (left, right) if isinstance(left, tuple) else (right, left)
        if not is_int(times):
            raise Problem(e.DoesNotApply(expr.span, expr.op, show(left), show(right)))
        times = self._fixed(times)
        if len(items) * times > MAX_ITEMS:
            raise Problem(e.ListTooLong(expr.span, MAX_ITEMS))
        return items * times

    def _ternary(self, expr: t.Ternary) -> Value:
        chosen = expr.then if self.condition(expr.condition) else expr.otherwise
        return self.followed(chosen)

    def _computed(self, span: Span, function: Callable[..., Value], *args: Value) -> Value:
        try:
            value = function(*args)
            if isinstance(value, complex):
                raise ValueError
            if isinstance(value, Iterable) and not isinstance(value, (tuple, str)):
                value = tuple(islice(value, MAX_ITEMS + 1))
            return _meant(value) if isinstance(value, float) else value
        except ZeroDivisionError:
            raise Problem(e.DivisionByZero(span)) from None
        except (TypeError, ValueError, OverflowError):
            shown = ", ".join(map(show, args))
            raise Problem(e.NoValue(span, span.text[:80], shown[:100])) from None

    def _bounded(self, value: Value, span: Span) -> Value:
        if is_number(value):
            if isinstance(value, float) and not abs(value) <= MAX_FLOAT:
                raise Problem(e.BeyondFloats(span))
            if isinstance(value, int) and not abs(value) <= MAX_INT:
                raise Problem(e.BeyondSizes(span, MAX_INT))
        elif isinstance(value, tuple):
            leaves = _leaves(value, span)
            if leaves > MAX_ITEMS:
                raise Problem(e.ListTooLong(span, MAX_ITEMS))
            self.spend(leaves // 2, span)
        return value


def _meant(value: float) -> float:
    """A number without the noise of binary fractions: 0.1 + 0.2 is 0.3."""
    short = float(f"{value:.12g}")
    return short if f"{short:.15g}" == f"{value:.15g}" else value


def _leaves(value: Value, span: Span, level: int = 1) -> int:
    # Ends at the limit, so soon even for a list of the same long list many times.
    if not isinstance(value, tuple):
        return 1
    if level > MAX_NESTING:
        raise Problem(e.ListTooDeep(span, MAX_NESTING))
    found = 1
    for part in value:
        found += _leaves(part, span, level + 1)
        if found > MAX_ITEMS:
            break
    return found


def is_number(value: Value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
