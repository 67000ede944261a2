"""Text to tree.

In: a `Source`. Out: its `File`, or None, and the syntax errors. After an error the statement that
holds it is left out and parsing starts over, so that one run names every error. All nesting is
bounded before the parser runs, so that nothing after it can exhaust Python's stack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, cast

import lark
from lark import Token
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from archdsl.diagnostics.catalogue import SyntaxProblem, TooDeep, TooLong
from archdsl.diagnostics.model import Diagnostic, Label
from archdsl.diagnostics.source import Source, Span
from archdsl.syntax import tree as t
from archdsl.syntax.lexer import CLOSING, OPENING, Refine

MAX_DEPTH = 40
MAX_OPERATORS = 60  # in one statement: expressions nest to the left as deep as they are long
MAX_ERRORS = 20
MAX_CHARACTERS = 1_000_000

_OPERATORS = frozenset(
    "PLUS MINUS STAR SLASH INTDIV PERCENT POWER COMPARE OR AND NOT IF ELSE AUX INDEX".split()
)
_NAMES = {
    "_SEPARATOR": "the end of the line",
    "$END": "the end of the file",
    "NAME": "a name",
    "LABEL": "a label",
    "NUMBER": "a number",
    "STRING": "a string",
    "SIZE": "a size",
    "FUNC": "a function",
    "TAP": "a tap",
    "TIMES": "a repeat count",
}


def parse(source: Source, *, start: str = "file") -> tuple[t.File | None, list[Diagnostic]]:
    """The tree of a whole file; with errors, of what is left without the statements at fault."""
    errors: list[Diagnostic] = []
    if len(source.text) > MAX_CHARACTERS:
        where = Span(source, 0, 0)
        size = len(source.text)
        return None, [TooLong(where, "the text", size, "characters", MAX_CHARACTERS, "characters")]
    tokens = _tokens(source, errors)
    if deep := _too_deep(source, tokens):
        return None, [*errors, deep]
    while True:
        try:
            parsed = _grammar().parser.parser.parse(_Stream(tokens), start)  # type: ignore[attr-defined]
        except UnexpectedToken as problem:
            errors.append(_syntax_problem(source, tokens, problem))
            at = _index_of(tokens, problem.token)
            first, last = _statement_around(tokens, at)
            if last <= first or len(errors) >= MAX_ERRORS or at >= len(tokens):
                return None, errors
            del tokens[first:last]
        else:
            return cast(t.File, _Builder(source).build(parsed)), errors


def parse_expression(source: Source, start: int, end: int) -> tuple[t.Expr | None, list[Diagnostic]]:
    """The expression at [start, end) of the source, with spans in the whole of it."""
    padded = Source(source.name, " " * start + source.text[start:end])
    errors: list[Diagnostic] = []
    tokens = _tokens(padded, errors)
    if errors:
        return None, [SyntaxProblem(Span(source, e.span.start, e.span.end), e.message) for e in errors]
    try:
        parsed = _grammar().parser.parser.parse(_Stream(tokens), "expr")  # type: ignore[attr-defined]
    except UnexpectedToken:
        span = Span(source, start, end)
        return None, [SyntaxProblem(span, "this is not an expression", "between the braces")]
    return cast(t.Expr, _Builder(source).build(parsed)), []


@cache
def _grammar() -> lark.Lark:
    text = (Path(__file__).parent / "grammar.lark").read_text(encoding="utf-8")
    return lark.Lark(
        text,
        parser="lalr",
        lexer="basic",
        start=["file", "expr"],
        postlex=Refine(),
        propagate_positions=True,
        maybe_placeholders=True,
    )


class _Stream:
    """A list of tokens as Lark's parser takes its input."""

    state = None
    _Token = Token  # what Lark's InteractiveParser.accepts() makes its trial tokens of

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens

    def lex(self, _state: object) -> Iterator[Token]:
        return iter(self.tokens)


def _tokens(source: Source, errors: list[Diagnostic]) -> list[Token]:
    """The refined tokens; characters that begin none are reported and read as spaces."""
    text = source.text
    while True:
        try:
            return list(_grammar().lex(text))
        except UnexpectedCharacters as problem:
            at = problem.pos_in_stream
            end = at + 1
            hint = ""
            if text[at] == '"':
                what, hint = "this string does not end on its line", 'close it with `"`'
            elif text[at].isalnum():
                while end < len(text) and (text[end].isalnum() or text[end] == "_"):
                    end += 1
                what = f"`{text[at:end]}` is no number, size or name"
            else:
                what = f"unexpected character `{text[at]}`"
            errors.append(SyntaxProblem(Span(source, at, end), what, hint=hint))
            if len(errors) >= MAX_ERRORS:
                return []
            text = text[:at] + " " * (end - at) + text[end:]


def _too_deep(source: Source, tokens: list[Token]) -> Diagnostic | None:
    depth = operators = 0
    for token in tokens:
        if token.type in OPENING:
            depth += 1
        elif token.type in CLOSING:
            depth -= 1
        elif token.type == "_SEPARATOR":
            operators = 0
        operators += token.type in _OPERATORS
        if depth > MAX_DEPTH or operators > MAX_OPERATORS:
            limit = MAX_DEPTH if depth > MAX_DEPTH else MAX_OPERATORS
            return TooDeep(_span(source, token), limit)
    return None


def _span(source: Source, token: Token) -> Span:
    return Span(source, token.start_pos or 0, token.end_pos or 0)


# ---- errors ----------------------------------------------------------------------------------


def _index_of(tokens: list[Token], token: Token) -> int:
    for index, candidate in enumerate(tokens):
        if candidate is token:
            return index
    return len(tokens)


def _statement_around(tokens: list[Token], at: int) -> tuple[int, int]:
    """The range of tokens of the statement that holds token `at`, with one separator."""
    at = min(at, len(tokens) - 1)
    depth, first = 0, at
    while first > 0:
        kind = tokens[first - 1].type
        if depth == 0 and kind in ("_SEPARATOR", "LBRACE"):
            break
        depth += (kind in CLOSING) - (kind in OPENING)
        first -= 1
    depth, last = 0, at
    while last < len(tokens):
        kind = tokens[last].type
        if depth <= 0 and kind == "_SEPARATOR":
            last += 1
            break
        if depth <= 0 and kind == "RBRACE":
            break
        depth += (kind in OPENING) - (kind in CLOSING)
        last += 1
    return first, last


def _syntax_problem(source: Source, tokens: list[Token], problem: UnexpectedToken) -> Diagnostic:
    token = problem.token
    expected = sorted(problem.accepts or problem.expected)
    if token.type == "$END":
        end = len(source.text.rstrip())
        error = SyntaxProblem(
            Span(source, end, end), "the file ends too early", "here", "close it with `}`"
        )
        opened = [k for k in _unclosed(tokens)]
        labels = [Label(_span(source, k), "this is not closed") for k in opened[-1:]]
        return error.with_related(*labels)
    if token.type == "_SEPARATOR":
        what = "the line ends too early"
        start = (token.start_pos or 0)
        span = Span(source, start, start)
    else:
        what, span = f"unexpected `{token}`", _span(source, token)
    return SyntaxProblem(span, what, _expectation(expected), _hint(token))


def _unclosed(tokens: list[Token]) -> list[Token]:
    stack: list[Token] = []
    for token in tokens:
        if token.type in OPENING:
            stack.append(token)
        elif token.type in CLOSING and stack:
            stack.pop()
    return stack


def _expectation(expected: list[str]) -> str:
    names = []
    for name in expected:
        shown = _NAMES.get(name)
        if shown is None:
            terminal = next((d for d in _grammar().terminals if d.name == name), None)
            if terminal is None or terminal.pattern.type != "str":
                continue
            shown = f"`{terminal.pattern.value}`"
        names.append(shown)
    if not 0 < len(names) <= 5:
        return ""
    return "expected " + (", ".join(names[:-1]) + " or " if len(names) > 1 else "") + names[-1]


def _hint(token: Token) -> str:
    hints: dict[str, str] = {
        "PLUS": "put arithmetic in parentheses: `conv (2*mid) 1x1`",
        "STAR": "put arithmetic in parentheses: `conv (2*mid) 1x1`",
        "MINUS": "put arithmetic in parentheses: `conv (mid-1) 1x1`",
        "INTDIV": "put arithmetic in parentheses: `conv (mid//2) 1x1`",
        "COMPARE": "a condition needs `if`",
        "COMMA": "arguments are separated by spaces",
        "RBRACE": "there is one `}` too many, or a statement before it is not finished",
    }
    return hints.get(token.type, "")


# ---- building --------------------------------------------------------------------------------


class _Builder:
    """Lark's tree to ours. Methods are named after the grammar's rules; children come built."""

    def __init__(self, source: Source) -> None:
        self.source = source

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
        return _span(self.source, token)

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
        return t.Param(span, str(name), self.at(name), default)

    # statements

    def body(self, span: Span, _open: Token, *rest: Any) -> t.Body:
        return t.Body(span, tuple(s for s in rest[:-1] if s is not None))

    def input(self, span: Span, _word: Token, shape: t.Expr) -> t.Input:
        return t.Input(span, shape)

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

    def param_decl(self, span: Span, name: Token, shape: t.Expr, rule: Token, *args: Any) -> t.ParamDecl:
        return t.ParamDecl(
            span, False, str(name), self.at(name), shape, str(rule), self.at(rule), args
        )

    def buffer_decl(self, span: Span, name: Token, shape: t.Expr, rule: Token, *args: Any) -> t.ParamDecl:
        return t.ParamDecl(span, True, str(name), self.at(name), shape, str(rule), self.at(rule), args)

    def output(self, span: Span, _word: Token, *taps: t.TapUse) -> t.Output:
        return t.Output(span, taps)

    def assertion(self, span: Span, _word: Token, shape: t.Expr) -> t.Assert:
        return t.Assert(span, shape)

    def chain(self, span: Span, *rest: Any) -> t.Chain:
        return t.Chain(span, tuple(f for f in rest if isinstance(f, t.Flow)))

    def flow(self, span: Span, label: t.Label | None, step: t.Step) -> t.Flow:
        return t.Flow(span, label, _step(step))

    def label(self, span: Span, token: Token) -> t.Label:
        where = self.at(token)
        inner = 1 if token.type == "STRING" else 0
        return t.Label(where, self._parts(token[inner : len(token) - inner], where.start + inner))

    def plain_label(self, span: Span, token: Token) -> t.Label:
        return self.label(span, token)

    def _parts(self, text: str, at: int) -> tuple[str | t.Expr, ...]:
        """`block{i}-{j}` as its pieces; a malformed expression stays text and is refused later."""
        parts: list[str | t.Expr] = []
        while text:
            brace, close = text.find("{"), text.find("}")
            if brace < 0 or close < brace:
                parts.append(text)
                break
            if brace:
                parts.append(text[:brace])
            expr, _ = parse_expression(self.source, at + brace + 1, at + close)
            parts.append(expr if expr is not None else text[brace : close + 1])
            text, at = text[close + 1 :], at + close + 1
        return tuple(parts)

    # steps

    def call(self, span: Span, name: Token, *rest: Any) -> t.Call:
        args = tuple(a for a in rest if isinstance(a, t.Argument))
        taps = tuple(a for a in rest if isinstance(a, t.TapUse))
        counts = [a for a in rest if isinstance(a, t.Expr)]
        body = next((a for a in rest if isinstance(a, t.Body)), None)
        times = counts[-1] if counts else None
        return t.Call(span, str(name), self.at(name), args, taps, times, body)

    def positional(self, span: Span, value: t.Expr) -> t.Argument:
        return t.Argument(span, None, None, value)

    def named(self, span: Span, name: Token, value: t.Expr) -> t.Argument:
        return t.Argument(span, str(name), self.at(name), value)

    def stride(self, span: Span, _slash: Token, value: t.Expr) -> t.Argument:
        return t.Argument(span, "stride", None, value)

    def times(self, span: Span, *rest: Any) -> t.Expr:
        last = rest[-1]
        return t.Literal(span, int(last[1:])) if isinstance(last, Token) else cast(t.Expr, last)

    def group(self, span: Span, body: t.Body) -> t.Group:
        return t.Group(span, body)

    def condition(self, span: Span, value: t.Expr) -> t.Expr:
        return value

    def residual(self, span: Span, _word: Token, condition: Any, body: t.Body, shortcut: Any) -> t.Residual:
        return t.Residual(span, condition, body, shortcut)

    def shortcut(self, span: Span, _word: Token, label: Any, condition: Any, body: t.Body) -> t.Shortcut:
        return t.Shortcut(span, label, condition, body)

    def repeat(self, span: Span, count: t.Expr, variable: Token | None, body: t.Body) -> t.Repeat:
        if variable is None:
            return t.Repeat(span, count, None, None, body)
        return t.Repeat(span, count, str(variable), self.at(variable), body)

    def for_(self, span: Span, *rest: Any) -> t.For:
        names = [n for n in rest[:-2] if isinstance(n, Token) and n.type == "NAME"]
        return t.For(
            span, tuple(map(str, names)), tuple(self.at(n) for n in names), rest[-2], rest[-1]
        )

    def if_(self, span: Span, condition: t.Expr, then: t.Body, otherwise: Any) -> t.If:
        return t.If(span, condition, then, otherwise)

    def tap(self, span: Span, name: Token) -> t.Tap:
        return t.Tap(span, str(name))

    def tap_use(self, span: Span, token: Token) -> t.TapUse:
        return t.TapUse(span, token[1:])

    def aux(self, span: Span, _word: Token, source: t.TapUse | None, step: t.Step) -> t.Aux:
        return t.Aux(span, source, _step(step))

    # expressions

    def number(self, span: Span, token: Token) -> t.Literal:
        text = str(token)
        value: int | float = int(text) if text.isdigit() and len(text) < 40 else float(text)
        return t.Literal(span, value)

    def negative(self, span: Span, _minus: Token, token: Token) -> t.Literal:
        return t.Literal(span, -self.number(span, token).value)

    def size(self, span: Span, token: Token) -> t.Literal:
        return t.Literal(span, tuple(int(side) for side in token.split("x")))

    def string(self, span: Span, token: Token) -> t.Literal:
        return t.Literal(span, token[1:-1])

    def true(self, span: Span) -> t.Literal:
        return t.Literal(span, True)

    def false(self, span: Span) -> t.Literal:
        return t.Literal(span, False)

    def none(self, span: Span) -> t.Literal:
        return t.Literal(span, None)

    def name(self, span: Span, token: Token) -> t.Name:
        return t.Name(span, str(token))

    def attribute(self, span: Span, _in: Token, name: Token) -> t.Attribute:
        return t.Attribute(span, str(name))

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

    def parens(self, span: Span, value: t.Expr) -> t.Expr:
        return value

    def ternary(self, span: Span, then: t.Expr, condition: t.Expr, otherwise: t.Expr) -> t.Ternary:
        return t.Ternary(span, then, condition, otherwise)

    def binary(self, span: Span, left: t.Expr, op: Token, right: t.Expr) -> t.Binary:
        return t.Binary(span, str(op), self.at(op), left, right)

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
