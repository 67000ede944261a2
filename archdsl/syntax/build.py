"""From Lark's tree to ours."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import lark
from lark import Token

from archdsl.diagnostics.catalogue import LooseBrace, SecondRepetition, TooManyInserted
from archdsl.diagnostics.model import Diagnostic
from archdsl.diagnostics.source import Source, Span
from archdsl.syntax import tree as t
from archdsl.syntax.language import SIDES

ParseExpression = Callable[[Source, int, int], tuple[t.Expr | None, list[Diagnostic]]]


MAX_INSERTED = 2000  # expressions in the strings and labels of a file: each is parsed on its own
#: of a string: a brace that stands for itself, an expression, text, a brace without its partner
_PIECE = re.compile(r"\{\{|\}\}|\{[^{}]*\}|[^{}]+|[{}]")


class _Only(NamedTuple):
    """`if condition`, at the end of a list."""

    condition: t.Expr


class Builder:
    """Lark's tree to ours. Methods are named after the grammar's rules; children come built."""

    def __init__(self, source: Source, parse_expression: ParseExpression) -> None:
        self.source, self.parse_expression = source, parse_expression
        self.problems: list[Diagnostic] = []
        self.inserted = 0  # expressions in strings and labels

    def build(self, node: Any) -> Any:
        if not isinstance(node, lark.Tree):
            return node
        method: Callable[..., Any] = getattr(self, node.data)
        if node.meta.empty:
            span = Span(self.source, 0, 0)
        else:
            span = Span(self.source, node.meta.start_pos, node.meta.end_pos)
        return method(span, *[self.build(child) for child in node.children])

    def at(self, token: Token) -> Span:
        return Span(self.source, token.start_pos or 0, token.end_pos or 0)

    # files

    def file(self, span: Span, *items: Any) -> t.File:
        uses = tuple(i for i in items if isinstance(i, t.UseFile))
        return t.File(span, uses, tuple(i for i in items if isinstance(i, t.Definition)))

    def use(self, span: Span, path: Token) -> t.UseFile:
        return t.UseFile(span, path[1:-1], self.at(path))

    def block(self, span: Span, name: Token, params: Any, body: t.Body) -> t.Block:
        return t.Block(span, str(name), self.at(name), params, body)

    def model(self, span: Span, name: Token, params: Any, body: t.Body) -> t.Model:
        return t.Model(span, str(name), self.at(name), params or (), body)

    def alias(self, span: Span, name: Token, base: Token, *args: t.Argument) -> t.Alias:
        return t.Alias(span, str(name), self.at(name), str(base), self.at(base), args)

    def params(self, span: Span, *params: t.Param | None) -> tuple[t.Param, ...]:
        return tuple(p for p in params if p is not None)

    def param(self, span: Span, name: Token, default: t.Expr | None) -> t.Param:
        return t.Param(span, str(name), self.at(name), default, False)

    def value_param(self, span: Span, token: Token, default: t.Expr | None) -> t.Param:
        where = self.at(token)
        return t.Param(
            span, token[1:], Span(where.source, where.start + 1, where.end), default, True
        )

    # statements

    def body(self, span: Span, _open: Token, *rest: Any) -> t.Body:
        return t.Body(span, tuple(s for s in rest[:-1] if s is not None))

    def input(
        self, span: Span, _word: Token, name: Token | None, shape: t.Expr, whole: Any, promise: Any
    ) -> t.Input:
        text, where = (None, None) if name is None else (str(name), self.at(name))
        return t.Input(span, text, where, shape, whole is not None, promise)

    def input_name(self, span: Span, name: Token) -> Token:
        return name

    def where(self, span: Span, value: t.Expr) -> t.Expr:
        return value

    def let(self, span: Span, name: Token, value: t.Expr) -> t.Let:
        return t.Let(span, str(name), self.at(name), value)

    def target(self, span: Span, *parts: Token) -> tuple[tuple[str, ...], Span, bool]:
        text = span.text.replace(" ", "")
        quoted = parts[0].type == "STRING"
        names = (parts[0][1:-1] + text[len(parts[0]) :]) if quoted else text
        return tuple(names.split(".")), span, quoted

    def init(self, span: Span, _word: Token, target: Any, rule: Token, *args: Any) -> t.InitRule:
        names, where, quoted = target
        return t.InitRule(span, names, where, quoted, str(rule), self.at(rule), args)

    def param_decl(
        self, span: Span, name: Token, shape: t.Expr, rule: Token, *args: Any
    ) -> t.ParamDecl:
        return t.ParamDecl(
            span, False, str(name), self.at(name), shape, str(rule), self.at(rule), args
        )

    def buffer_decl(
        self, span: Span, name: Token, shape: t.Expr, rule: Token, *args: Any
    ) -> t.ParamDecl:
        return t.ParamDecl(
            span, True, str(name), self.at(name), shape, str(rule), self.at(rule), args
        )

    def declare(self, span: Span, _word: Token, *labels: t.Label) -> t.Declare:
        return t.Declare(span, labels)

    def part(self, span: Span, _word: Token, label: t.Label, step: Any) -> t.Part:
        return t.Part(span, label, _step(step))

    def output(self, span: Span, _word: Token, *taps: t.TapUse) -> t.Output:
        return t.Output(span, taps)

    def assertion(self, span: Span, _word: Token, claim: t.Expr, message: Any) -> t.Assert:
        return t.Assert(span, claim, message)

    def chain(self, span: Span, *rest: Any) -> t.Chain:
        return t.Chain(span, tuple(f for f in rest if isinstance(f, t.Flow)))

    def flow(self, span: Span, label: t.Label | None, step: t.Step) -> t.Flow:
        return t.Flow(span, label, _step(step))

    def label(self, span: Span, token: Token) -> t.Label:
        where = self.at(token)
        inner = 1 if token.type == "STRING" else 0
        text = token[inner : len(token) - inner]
        # what is malformed is text, which no label may be
        return t.Label(where, self._parts(text, where.start + inner)[0])

    def plain_label(self, span: Span, token: Token) -> t.Label:
        return self.label(span, token)

    def _parts(self, text: str, at: int) -> tuple[tuple[str | t.Expr, ...], list[Diagnostic]]:
        """`block{i}-{j}` as its pieces, and what is wrong with them, which stays text. A brace of
        the text itself is written twice."""
        parts: list[str | t.Expr] = []
        texts: list[str] = []
        problems: list[Diagnostic] = []
        for piece in _PIECE.finditer(text):
            found, span = piece[0], Span(self.source, at + piece.start(), at + piece.end())
            expr = None
            if found in ("{", "}"):
                problems.append(LooseBrace(span, found))
            elif found in ("{{", "}}"):
                found = found[0]
            elif found[0] == "{":
                self.inserted += 1
                if self.inserted > MAX_INSERTED:
                    more = [TooManyInserted(span, MAX_INSERTED)]
                    self.problems += more if self.inserted == MAX_INSERTED + 1 else []
                    break
                expr, wrong = self.parse_expression(self.source, span.start + 1, span.end - 1)
                problems += wrong
            if expr is None:
                texts.append(found)
                continue
            parts += ["".join(texts), expr] if texts else [expr]
            texts.clear()
        parts += ["".join(texts)] if texts else []
        return tuple(parts), problems

    # steps

    def call(self, span: Span, name: Token, *rest: Any) -> t.Call:
        given = [self._given(a) if isinstance(a, t.TapUse) else a for a in rest]
        args = tuple(a for a in given if isinstance(a, t.Argument))
        taps = tuple(a for a in given if isinstance(a, t.TapUse))
        counts = [a for a in rest if isinstance(a, t.Expr)]
        body = next((a for a in rest if isinstance(a, t.Body)), None)
        for again in counts[1:]:
            self.problems.append(SecondRepetition(again.span))
        times = counts[-1] if counts else None
        until = next((a for a in rest if isinstance(a, t.Until)), None)
        return t.Call(span, str(name), self.at(name), args, taps, times, body, until)

    def until(self, span: Span, _word: Token, first: Token, *_rest: Token) -> t.Until:
        where = Span(span.source, first.start_pos or 0, span.end)
        return t.Until(span, where.text.replace(" ", "").replace('"', ""), where)

    def _given(self, use: t.TapUse) -> t.TapUse | t.Argument:
        """What a call is given: a value, or the side of one, which is a number."""
        if use.name.rpartition(".")[2] not in SIDES or "." not in use.name:
            return use
        return self.positional(use.span, self.value(use.span, Token("TAP", use.span.text)))

    def positional(self, span: Span, value: t.Expr) -> t.Argument:
        return t.Argument(span, None, None, value)

    def named(self, span: Span, name: Token, value: t.Expr) -> t.Argument:
        return t.Argument(span, str(name), self.at(name), value)

    def stride(self, span: Span, _slash: Token, value: t.Expr) -> t.Argument:
        return t.Argument(span, "stride", None, value)

    def times(self, span: Span, *rest: Any) -> t.Expr:
        last = rest[-1]
        return t.Literal(span, _whole(last[1:])) if isinstance(last, Token) else cast(t.Expr, last)

    def group(self, span: Span, body: t.Body) -> t.Group:
        return t.Group(span, body)

    def condition(self, span: Span, value: t.Expr) -> t.Expr:
        return value

    def residual(
        self, span: Span, _word: Token, condition: Any, body: t.Body, shortcut: Any
    ) -> t.Residual:
        return t.Residual(span, condition, body, shortcut)

    def shortcut(
        self, span: Span, _word: Token, label: Any, condition: Any, body: t.Body
    ) -> t.Shortcut:
        return t.Shortcut(span, label, condition, body)

    def repeat(self, span: Span, count: t.Expr, variable: Token | None, body: t.Body) -> t.Repeat:
        if variable is None:
            return t.Repeat(span, count, None, None, body)
        return t.Repeat(span, count, str(variable), self.at(variable), body)

    def for_(self, span: Span, *rest: Any) -> t.For:
        *before, items, counter, body = rest
        name, where = (None, None) if counter is None else (str(counter), self.at(counter))
        names, spans = self._variables(before)
        return t.For(span, names, spans, items, name, where, body)

    def as_name(self, span: Span, name: Token) -> Token:
        return name

    def _variables(self, tokens: list[Any]) -> tuple[tuple[str, ...], tuple[Span, ...]]:
        names = [n for n in tokens if isinstance(n, Token) and n.type == "NAME"]
        return tuple(map(str, names)), tuple(self.at(n) for n in names)

    def if_(self, span: Span, condition: t.Expr, then: t.Body, otherwise: Any) -> t.If:
        return t.If(span, condition, then, otherwise)

    def tap(self, span: Span, token: Token) -> t.Tap:
        name = token.split()[-1] if token.type == "NAME" else token[3:].lstrip(" \t")
        end = token.end_pos or 0
        return t.Tap(span, name, self._name(name, end - len(name)))

    def _name(self, text: str, at: int) -> tuple[str | t.Expr, ...]:
        """The name of a value."""
        parts, problems = self._parts(text, at)
        self.problems += problems
        return parts

    def tap_use(self, span: Span, token: Token) -> t.TapUse:
        return t.TapUse(span, self._name(token[1:], span.start + 1))

    def value(self, span: Span, token: Token) -> t.Expr:
        """`@s`, or `@s.h` where its last word is a side."""
        path, dot, side = token.rpartition(".")
        if dot and side in SIDES:
            within = Span(span.source, span.start, span.start + len(path))
            return t.Side(span, t.TapUse(within, self._name(path[1:], span.start + 1)), side)
        return t.ValueOf(span, self.tap_use(span, token))

    def aux(self, span: Span, _word: Token, source: t.TapUse | None, step: t.Step) -> t.Aux:
        return t.Aux(span, source, _step(step))

    # expressions

    def number(self, span: Span, token: Token) -> t.Literal:
        text = str(token)
        value: int | float = _whole(text) if text.isdigit() else float(text)
        return t.Literal(span, value)

    def negative(self, span: Span, _minus: Token, token: Token) -> t.Literal:
        return t.Literal(span, -self.number(span, token).value)

    def size(self, span: Span, token: Token) -> t.Expr:
        if "_" in token:
            return self.computed(span, token)
        return t.Literal(span, tuple(map(_whole, token.split("x"))))

    def computed(self, span: Span, *parts: Any) -> t.List:
        items: list[t.Expr] = []
        for part in parts:
            if isinstance(part, Token):
                where = self.at(part)
                items += (
                    t.AnySide(where) if side == "_" else t.Literal(where, _whole(side))
                    for side in part.split("x")
                    if side
                )
            else:
                items.append(part)
        return t.List(span, tuple(items))

    def string(self, span: Span, token: Token) -> t.Expr:
        parts, problems = self._parts(token[1:-1], self.at(token).start + 1)
        self.problems += problems
        if all(isinstance(part, str) for part in parts):
            return t.Literal(span, "".join(map(str, parts)))
        return t.Text(span, parts)

    def true(self, span: Span) -> t.Literal:
        return t.Literal(span, True)

    def false(self, span: Span) -> t.Literal:
        return t.Literal(span, False)

    def none(self, span: Span) -> t.Literal:
        return t.Literal(span, None)

    def name(self, span: Span, token: Token) -> t.Name:
        return t.Name(span, str(token))

    def attribute(self, span: Span, of: Token, name: Token) -> t.Attribute:
        return t.Attribute(span, str(of), str(name))

    def function(self, span: Span, name: Token, *args: Any) -> t.Function:
        return t.Function(span, str(name), self.at(name), tuple(a for a in args if a is not None))

    def given(self, span: Span, value: t.Expr) -> t.Argument:
        return self.positional(span, value)

    def given_named(self, span: Span, name: Token, value: t.Expr) -> t.Argument:
        return self.named(span, name, value)

    def index(self, span: Span, base: t.Expr, _bracket: Token, index: t.Expr) -> t.Index:
        return t.Index(span, base, index)

    def slice(self, span: Span, base: t.Expr, _bracket: Token, start: Any, end: Any) -> t.Slice:
        return t.Slice(span, base, start, end)

    def list(self, span: Span, *items: Any) -> t.List:
        return t.List(span, tuple(i for i in items if i is not None))

    def only(self, span: Span, condition: t.Expr) -> _Only:
        return _Only(condition)

    def collected(self, span: Span, item: t.Expr, *rest: Any) -> t.Collected:
        condition = rest[-1].condition if isinstance(rest[-1], _Only) else None
        items = rest[-1] if condition is None else rest[-2]
        return t.Collected(span, item, *self._variables([*rest]), items, condition)

    def parens(self, span: Span, value: t.Expr) -> t.Expr:
        return value

    def ternary(self, span: Span, then: t.Expr, condition: t.Expr, otherwise: t.Expr) -> t.Ternary:
        return t.Ternary(span, then, condition, otherwise)

    def binary(self, span: Span, left: t.Expr, op: Token, right: t.Expr) -> t.Binary:
        return t.Binary(span, str(op), self.at(op), left, right)

    def compared(self, span: Span, first: t.Expr, *rest: Token | t.Expr) -> t.Expr:
        """As Python: `1 < n < 5` is `1 < n and n < 5`."""
        sides = [first, *(part for part in rest if isinstance(part, t.Expr))]
        signs = [part for part in rest if isinstance(part, Token)]
        if len(signs) == 1:
            return self.binary(span, sides[0], signs[0], sides[1])
        pairs = [
            self.binary(left.span.to(right.span), left, sign, right)
            for left, sign, right in zip(sides[:-1], signs, sides[1:], strict=True)
        ]
        whole: t.Expr = pairs[0]
        for pair in pairs[1:]:
            whole = self.and_(span, whole, pair)
        return whole

    def or_(self, span: Span, left: t.Expr, right: t.Expr) -> t.Binary:
        return t.Binary(span, "or", span, left, right)

    def and_(self, span: Span, left: t.Expr, right: t.Expr) -> t.Binary:
        return t.Binary(span, "and", span, left, right)

    def not_(self, span: Span, operand: t.Expr) -> t.Unary:
        return t.Unary(span, "not", operand)

    def minus(self, span: Span, _minus: Token, operand: t.Expr) -> t.Unary:
        return t.Unary(span, "-", operand)


def _step(step: Any) -> t.Step:
    """A tap in the place of a step replaces the flow."""
    return t.Use(step.span, step) if isinstance(step, t.TapUse) else cast(t.Step, step)


def _whole(digits: str) -> int:
    """A number; one beyond all limits in place of one that Python would take long for."""
    return int(digits) if len(digits) < 40 else 10**40
