"""Which word of a file means what.

In: a `Unit` whose names are resolved. Out: `Occurrence`s: each word that names something, with the
`Symbol` that it names, in the order of the text. Go to definition, references, rename, colours and
half of the hover texts are read off them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from archdsl.diagnostics.source import Span
from archdsl.ir.names import Block, Target, Unit
from archdsl.ir.values import FUNCTIONS
from archdsl.ops import TABLE
from archdsl.ops.init import RULES
from archdsl.ops.table import Arg
from archdsl.syntax import tree as t

Kind = Literal[
    "block", "model", "parameter", "variable", "tap", "label",
    "operator", "argument", "word", "function", "rule", "file",
]  # fmt: skip

SHARED = ("block", "model", "parameter")  # what another file may name


@dataclass(frozen=True, slots=True)
class Symbol:
    """What a name names. `span`: the name where it is defined, None for what the language has.
    `owner`: the definition that it belongs to, or the operator of an argument."""

    kind: Kind
    name: str
    span: Span | None = None
    owner: str = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Equal for the same symbol in trees of the same text; that of what other files may name
        does not depend on its place."""
        if self.span is None:
            return self.kind, self.name, self.owner, ""
        place = "" if self.kind in SHARED else str(self.span.start)
        return self.kind, self.name, f"{self.span.source.name}:{self.owner}", place


@dataclass(frozen=True, slots=True)
class Occurrence:
    span: Span
    symbol: Symbol
    defines: bool = False


def occurrences(unit: Unit) -> list[Occurrence]:
    """Every one in a file."""
    found: list[Occurrence] = []
    for use in unit.file.uses:
        found.append(Occurrence(use.path_span, Symbol("file", use.path)))
    for tree in unit.file.definitions:
        found.extend(_Definition(unit, tree).walk())
    return sorted(found, key=lambda o: (o.span.start, o.span.end))


def definition(block: Block) -> Symbol:
    kind: Kind = "block" if isinstance(block.tree, t.Block) else "model"
    return Symbol(kind, block.name, block.tree.name_span)


def target_symbol(target: Target) -> Symbol:
    return definition(target) if isinstance(target, Block) else Symbol("operator", target.name)


def argument(target: Target, name: str) -> Symbol | None:
    """The argument of an operator, or the parameter of a block or of the model behind an alias."""
    if not isinstance(target, Block):
        return Symbol("argument", name, owner=target.name) if name in target.args else None
    block: Block | None = target
    for _ in range(64):
        if block is None or not isinstance(block.tree, t.Alias):
            break
        block = block.unit.find(block.tree.base)
    if block is None:
        return None
    return next((_parameter(p, block.name) for p in block.params if p.name == name), None)


def _parameter(param: t.Param, owner: str) -> Symbol:
    return Symbol("parameter", param.name, param.name_span, owner)


Scope = dict[str, Symbol]


class _Definition:
    """Walks one block, model or alias, with the scopes that `resolve` gives it."""

    def __init__(self, unit: Unit, tree: t.Definition) -> None:
        self.unit, self.tree = unit, tree
        self.taps: Scope = {}
        self.labels: Scope = {}

    def walk(self) -> Iterator[Occurrence]:
        tree = self.tree
        kind: Kind = "block" if isinstance(tree, t.Block) else "model"
        yield Occurrence(tree.name_span, Symbol(kind, tree.name, tree.name_span), True)
        if isinstance(tree, t.Alias):
            yield from self._alias(tree)
            return
        assert isinstance(tree, (t.Block, t.Model))
        self._collect(tree.body)
        scope: Scope = {}
        for param in tree.params:
            symbol = _parameter(param, tree.name)
            yield Occurrence(param.name_span, symbol, True)
            if param.default is not None:
                yield from self._expr(param.default, scope)
            scope[param.name] = symbol
        yield from self._body(tree.body, scope)

    def _alias(self, tree: t.Alias) -> Iterator[Occurrence]:
        base = self.unit.find(tree.base)
        if base is None:
            return
        yield Occurrence(tree.base_span, definition(base))
        for arg in tree.args:
            yield from self._argument(arg, base, {})

    def _collect(self, part: object) -> None:
        """Labels and taps, which may be named before their place."""
        if isinstance(part, tuple):
            for item in part:
                self._collect(item)
        elif isinstance(part, t.Tree) and not isinstance(part, (t.Expr, t.Declare)):
            if (
                isinstance(part, t.Label)
                and len(part.parts) == 1
                and isinstance(part.parts[0], str)
            ):
                name = part.parts[0]
                quote = part.span.text.startswith('"')
                span = Span(part.span.source, part.span.start + quote, part.span.end - quote)
                self.labels.setdefault(name, Symbol("label", name, span, self.tree.name))
            elif isinstance(part, t.Tap):
                span = Span(part.span.source, part.span.end - len(part.name), part.span.end)
                self.taps.setdefault(part.name, Symbol("tap", part.name, span, self.tree.name))
            elif isinstance(part, t.ParamDecl):
                self.taps.setdefault(
                    part.name, Symbol("tap", part.name, part.name_span, self.tree.name)
                )
            for field in part.fields:
                if "span" not in field:
                    self._collect(getattr(part, field))

    # -- statements

    def _body(self, body: t.Body, scope: Scope) -> Iterator[Occurrence]:
        scope = dict(scope)
        for statement in body.statements:
            match statement:
                case t.Chain():
                    for flow in statement.flows:
                        if flow.label is not None:
                            yield from self._label(flow.label, scope)
                        yield from self._step(flow.step, scope)
                case t.Let():
                    yield from self._expr(statement.value, scope)
                    symbol = self._variable(statement.name, statement.name_span)
                    yield Occurrence(statement.name_span, symbol, True)
                    scope[statement.name] = symbol
                case t.Input() | t.Assert():
                    yield from self._expr(statement.shape, scope)
                case t.Output():
                    for tap in statement.taps:
                        yield from self._tap(tap)
                case t.InitRule():
                    yield from self._init(statement)
                    yield from self._rule(
                        statement.rule, statement.rule_span, statement.args, scope
                    )
                case t.ParamDecl():
                    yield Occurrence(statement.name_span, self.taps[statement.name], True)
                    yield from self._expr(statement.shape, scope)
                    yield from self._rule(
                        statement.rule, statement.rule_span, statement.args, scope
                    )
                case t.Declare():
                    for label in statement.labels:
                        yield from self._label(label, scope)

    def _step(self, step: t.Step, scope: Scope) -> Iterator[Occurrence]:
        match step:
            case t.Call():
                yield from self._call(step, scope)
            case t.Group():
                yield from self._body(step.body, scope)
            case t.Residual():
                yield from self._expr(step.condition, scope)
                yield from self._body(step.body, scope)
                if step.shortcut is not None:
                    if step.shortcut.label is not None:
                        yield from self._label(step.shortcut.label, scope)
                    yield from self._expr(step.shortcut.condition, scope)
                    yield from self._body(step.shortcut.body, scope)
            case t.Repeat():
                yield from self._expr(step.count, scope)
                inner = dict(scope)
                if step.variable and step.variable_span:
                    inner[step.variable] = self._variable(step.variable, step.variable_span)
                    yield Occurrence(step.variable_span, inner[step.variable], True)
                yield from self._body(step.body, inner)
            case t.For():
                yield from self._expr(step.items, scope)
                inner = dict(scope)
                bound = list(zip(step.variables, step.variable_spans, strict=True))
                if step.index and step.index_span:
                    bound.append((step.index, step.index_span))
                for name, span in bound:
                    inner[name] = self._variable(name, span)
                    yield Occurrence(span, inner[name], True)
                yield from self._body(step.body, inner)
            case t.If():
                yield from self._expr(step.condition, scope)
                yield from self._body(step.then, scope)
                if isinstance(step.otherwise, t.Body):
                    yield from self._body(step.otherwise, scope)
                elif step.otherwise is not None:
                    yield from self._step(step.otherwise, scope)
            case t.Tap():
                symbol = self.taps[step.name]
                span = Span(step.span.source, step.span.end - len(step.name), step.span.end)
                yield Occurrence(span, symbol, symbol.span == span)
            case t.Use():
                yield from self._tap(step.tap)
            case t.Aux():
                if step.source is not None:
                    yield from self._tap(step.source)
                yield from self._step(step.step, scope)

    def _call(self, call: t.Call, scope: Scope) -> Iterator[Occurrence]:
        target = self.unit.targets.get(call)
        if call.name in scope:
            yield Occurrence(call.name_span, scope[call.name])
        elif target is not None:
            yield Occurrence(call.name_span, target_symbol(target))
        places = {arg: name for name, arg in self.unit.bound.get(call, {}).items()}
        for arg in call.args:
            yield from self._argument(arg, target, scope, places.get(arg))
        for tap in call.taps:
            yield from self._tap(tap)
        yield from self._expr(call.times, scope)
        if call.body is not None:
            yield from self._body(call.body, scope)

    def _argument(
        self, arg: t.Argument, target: Target | None, scope: Scope, place: str | None = None
    ) -> Iterator[Occurrence]:
        """`place`: which argument it is, where its name is not written."""
        if arg.name is not None and arg.name_span is not None and target is not None:
            symbol = argument(target, arg.name)
            if symbol is not None:
                yield Occurrence(arg.name_span, symbol)
        specs = target.args if target is not None and not isinstance(target, Block) else {}
        spec = specs.get(arg.name or place or "")
        if spec is not None and _is_word(arg.value, spec, scope):
            yield Occurrence(arg.value.span, Symbol("word", arg.value.span.text))
        else:
            yield from self._expr(arg.value, scope)

    def _init(self, statement: t.InitRule) -> Iterator[Occurrence]:
        span, name = statement.target_span, statement.target[0]
        quote = int(statement.quoted)
        where = Span(span.source, span.start + quote, span.start + quote + len(name))
        if name in self.labels:
            yield Occurrence(where, self.labels[name])
        elif name in TABLE and not statement.quoted:
            yield Occurrence(where, Symbol("operator", name))

    def _rule(
        self, rule: str, span: Span, args: tuple[t.Argument, ...], scope: Scope
    ) -> Iterator[Occurrence]:
        if rule not in RULES:
            return
        yield Occurrence(span, Symbol("rule", rule))
        specs = {spec.name: spec for spec in RULES[rule]}
        for arg in args:
            if arg.name is not None and arg.name_span is not None:
                yield Occurrence(arg.name_span, Symbol("argument", arg.name, owner=rule))
            if arg.name in specs and _is_word(arg.value, specs[arg.name], scope):
                yield Occurrence(arg.value.span, Symbol("word", arg.value.span.text))
            else:
                yield from self._expr(arg.value, scope)

    # -- names

    def _variable(self, name: str, span: Span) -> Symbol:
        return Symbol("variable", name, span, self.tree.name)

    def _label(self, label: t.Label, scope: Scope) -> Iterator[Occurrence]:
        if len(label.parts) == 1 and isinstance(label.parts[0], str):
            symbol = self.labels.get(label.parts[0])
            if symbol is not None:
                quote = label.span.text.startswith('"')
                span = Span(label.span.source, label.span.start + quote, label.span.end - quote)
                yield Occurrence(span, symbol, symbol.span == span)
            return
        for part in label.parts:
            if isinstance(part, t.Expr):
                yield from self._expr(part, scope)

    def _tap(self, use: t.TapUse) -> Iterator[Occurrence]:
        if use.name in self.taps:
            span = Span(use.span.source, use.span.start + 1, use.span.end)
            yield Occurrence(span, self.taps[use.name])

    def _expr(self, expr: object, scope: Scope) -> Iterator[Occurrence]:
        match expr:
            case t.Name():
                symbol = scope.get(expr.name) or self._global(expr.name)
                if symbol is not None:
                    yield Occurrence(expr.span, symbol)
                elif expr.name != "in":
                    yield Occurrence(expr.span, Symbol("word", expr.name))
            case t.Function():
                if expr.name in FUNCTIONS:
                    yield Occurrence(expr.name_span, Symbol("function", expr.name))
                    target = None
                else:
                    symbol = scope.get(expr.name) or self._global(expr.name)
                    target = None if expr.name in scope else self.unit.target(expr.name)
                    if symbol is not None:
                        yield Occurrence(expr.name_span, symbol)
                for arg in expr.args:
                    yield from self._argument(arg, target, scope)
            case t.Collected():
                inner = dict(scope)
                for name, span in zip(expr.variables, expr.variable_spans, strict=True):
                    inner[name] = self._variable(name, span)
                    yield Occurrence(span, inner[name], True)
                yield from self._expr(expr.item, inner)
                yield from self._expr(expr.items, scope)
            case t.Expr():
                for field in expr.fields:
                    if "span" not in field:
                        yield from self._expr(getattr(expr, field), scope)
            case tuple():
                for item in expr:
                    yield from self._expr(item, scope)

    def _global(self, name: str) -> Symbol | None:
        target = self.unit.target(name)
        return target_symbol(target) if target is not None else None


def _is_word(value: t.Expr, spec: Arg, scope: Scope) -> bool:
    """A bare word that is the argument's own, such as `mode=fan_out`."""
    return isinstance(value, t.Name) and value.name not in scope and value.name in spec.type.words()
