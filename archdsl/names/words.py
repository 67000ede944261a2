"""The words of one definition: what each names, and which names are used.

In: the parts of a definition with the names in scope there. Out, in the `Notes` of its file: a mark
for every word that means something, and a diagnostic for every one that does not.
"""

from __future__ import annotations

import re

from archdsl.diagnostics.catalogue import (
    DuplicateName,
    UnknownFunction,
    UnknownName,
    UnknownRule,
    UnknownTap,
)
from archdsl.diagnostics.model import Diagnostic, Label
from archdsl.diagnostics.source import Span
from archdsl.diagnostics.warnings import UnusedTap, UnusedVariable
from archdsl.names.bind import bind
from archdsl.names.foreign import advice, fixes, similar
from archdsl.names.symbols import Mark, Symbol, argument_of
from archdsl.names.units import Block, Slot, Target, Unit, words
from archdsl.ops import TABLE
from archdsl.ops.init import RULES, Attribute
from archdsl.syntax import tree as t
from archdsl.syntax.language import CONSTANTS, FLOWS, FUNCTIONS, SIDES

Scope = dict[str, Symbol]
_SIDES = frozenset(SIDES)


class Notes:
    """What is learnt of a file while its definitions are walked."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.found: list[Diagnostic] = []
        self.targets: dict[t.Call, Target] = {}
        self.bound: dict[t.Call, dict[str, t.Argument]] = {}
        self.flawed: set[t.Call] = set()
        self.marks: list[Mark] = []
        self.within: set[str] = set()  # what paths name behind their first name


class Words:
    """Looks up the words of one definition."""

    def __init__(self, notes: Notes, owner: str) -> None:
        self.unit, self.found, self.marks = notes.unit, notes.found, notes.marks
        self.within = notes.within
        self.owner = owner
        self.taps: Scope = {}
        self.parts: Scope = {}
        self.tapped: dict[str, Span] = {}  # where each tap is said to stand
        self.labels: dict[str, Span] = {}  # where each stands first
        self.labelled: list[tuple[Span, str, Target | None]] = []  # words that are one, or else ...
        self.templates: list[str] = []  # labels with expressions in them
        self.wanted: list[t.TapUse] = []
        self.numbers: set[str] = set()  # parameters that are no values
        self.passed: set[str] = set()  # definitions of this file that are given as values
        self.names: dict[Span, Diagnostic] = {}  # what is given a name, with the warning ...
        self.used: set[Span | None] = set()  # ... unless it is used

    def unused(self) -> list[Diagnostic]:
        return [warning for span, warning in self.names.items() if span not in self.used]

    def end(self) -> None:
        """Every label is known now."""
        for use in self.wanted:
            self._wanted(use)
        for span, name, other in self.labelled:
            if name in self.labels:
                first = self.labels[name]
                symbol = Symbol("label", name, first, self.owner)
                self.marks.append((span, symbol, span == first))
            elif other is not None:
                self.marks.append((span, other, False))

    # -- names that are given

    def label(self, label: t.Label, scope: Scope, *, declares: bool = False) -> None:
        """`declares`: the label of a module that stands elsewhere."""
        first = label.parts[0] if len(label.parts) == 1 else None
        if isinstance(first, str):
            quote = label.span.text.startswith('"')
            span = label.span
            if quote:
                span = Span(span.source, span.start + 1, span.end - 1)
            self.labelled.append((span, first, None))
            if not declares:
                self.labels.setdefault(first, span)
            return
        self.templates.append(label.span.text.strip('"'))
        for part in label.parts:
            if isinstance(part, t.Expr):
                self.expr(part, scope)

    def give(self, symbol: Symbol, warning: Diagnostic, scope: Scope) -> None:
        """A name for what follows; one that begins with `_` may stay unused."""
        assert symbol.span is not None
        scope[symbol.name] = symbol
        self.marks.append((symbol.span, symbol, True))
        if not symbol.name.startswith("_"):
            self.names[symbol.span] = warning

    def variable(self, name: str, span: Span, scope: Scope) -> None:
        symbol = Symbol("variable", name, span, self.owner)
        self.give(symbol, UnusedVariable(span, name), scope)

    def use(self, where: Span, symbol: Symbol) -> None:
        self.marks.append((where, symbol, False))
        self.used.add(symbol.span)

    def tap(self, kind: str, name: str, span: Span, where: Span) -> None:
        """`where`: the place of what is said of it. A later tap of the same name takes over."""
        if name not in self.taps:
            self.tapped[name] = where
            symbol = Symbol("tap", name, span, self.owner)
            self.give(symbol, UnusedTap(where, kind, name), self.taps)
            return
        self.marks.append((span, self.taps[name], False))
        if kind != "tap":
            label = Label(self.tapped[name], "the first one is here")
            self.found.append(DuplicateName(where, name, "tap").with_related(label))

    def value(self, symbol: Symbol, warning: Diagnostic) -> None:
        """A value that the definition gets."""
        assert symbol.span is not None
        self.tapped[symbol.name] = symbol.span
        self.give(symbol, warning, self.taps)

    def tap_use(self, use: t.TapUse, scope: Scope) -> None:
        """Names may stand further below, in a loop: whether they do is known at the end."""
        for part in use.parts:
            if isinstance(part, t.Expr):
                self.expr(part, scope)
        self.wanted.append(use)

    def _wanted(self, use: t.TapUse) -> None:
        name = head(use.name)
        self.within.update(use.name[len(name) + 1 :].split("."))
        start = use.span.start + 1
        span = Span(use.span.source, start, start + len(name))
        if name in self.taps:
            self.use(span, self.taps[name])
        elif name in self.labels:
            first = self.labels[name]
            self.marks.append((span, Symbol("label", name, first, self.owner), False))
        elif not self._computed(name):
            near = similar(name, [*self.taps, *self.labels])
            hint = "" if near else f"name a value first: `conv 64 3x3 -> tap {name}`"
            elsewhere = self._tapped_elsewhere(use, name) or self._unlabelled(use, name)
            found = UnknownTap(use.span, name, () if elsewhere else near, elsewhere or hint)
            self.found.append(found)

    def _computed(self, name: str) -> bool:
        """Whether a name may be one, where expressions in it or in a tap or label decide."""
        pattern, plain = _pattern(name), _plain(name)
        taps = [s for n, s in self.taps.items() if pattern.fullmatch(_plain(n)) or _fits(n, plain)]
        self.used.update(symbol.span for symbol in taps)
        texts = (*self.labels, *self.templates)
        return bool(taps) or any(pattern.fullmatch(_plain(n)) or _fits(n, plain) for n in texts)

    def _tapped_elsewhere(self, use: t.TapUse, name: str) -> str:
        """What to say where another definition has such a tap."""
        if name in self.numbers:
            return f"parameter `{name}` is a number; a value is written `@{name}` there too"
        tap = re.compile(rf"\btap +{re.escape(name)}\b")
        if tap.search(use.span.source.text):
            return "its `tap` stands in another definition: each sees its own taps alone"
        return ""

    def _unlabelled(self, use: t.TapUse, name: str) -> str:
        """What to say where a path begins with what is called, and not with a label."""
        rest = use.name[len(name) :]
        if not rest or self.unit.target(name) is None:
            return ""
        label = f"{name}1"
        return f"give the call of `{name}` a label: `{label}: {name} ...`, then `@{label}{rest}`"

    def target(self, statement: t.InitRule) -> None:
        """What an `init` rule is for: a layer by its label, or a kind of layer."""
        span, name = statement.target_span, statement.target[0]
        begin = span.start + statement.quoted
        where = Span(span.source, begin, begin + len(name))
        self.labelled.append((where, name, None if statement.quoted else TABLE.get(name)))

    def rule(self, name: str, span: Span, args: tuple[t.Argument, ...], scope: Scope) -> None:
        if name not in RULES:
            self.found.append(UnknownRule(span, name, similar(name, RULES)))
            return
        self.marks.append((span, Symbol("rule", name), False))
        slots = tuple(Slot(a.name, a.required, a.keyword) for a in RULES[name])
        self.found += bind(name, slots, args, span).problems
        known = {w for a in RULES[name] for w in a.type.words()} | Attribute.NAMES
        for argument in args:
            if argument.name is not None and argument.name_span is not None:
                symbol = Symbol("argument", argument.name, owner=name)
                self.marks.append((argument.name_span, symbol, False))
            self.expr(argument.value, scope, also=frozenset(known))

    def optional(
        self, expr: t.Expr | None, scope: Scope, *, also: frozenset[str] = frozenset()
    ) -> None:
        if expr is not None:
            self.expr(expr, scope, also=also)

    def promise(self, expr: t.Expr | None, scope: Scope) -> None:
        """A condition behind `where`, in which the sides of the input go before other names."""
        others = {name: symbol for name, symbol in scope.items() if name not in SIDES}
        if expr is not None:
            self.expr(expr, others, also=_SIDES)

    def argument(
        self,
        argument: t.Argument,
        target: Target | None,
        scope: Scope,
        *,
        word: bool = False,
        also: frozenset[str] = frozenset(),
    ) -> None:
        """`word`: its value may be a bare word, which only its taker can judge."""
        name, value = argument.name, argument.value
        if name is not None and argument.name_span is not None and target is not None:
            symbol = argument_of(target, name)
            if symbol is not None:
                self.marks.append((argument.name_span, symbol, False))
        if not isinstance(value, t.Literal):
            self.expr(value, scope, word=word, also=also | words(target))

    def expr(
        self, expr: object, scope: Scope, *, word: bool = False, also: frozenset[str] = frozenset()
    ) -> None:
        """`also`: further words that are known."""
        match expr:
            case t.Literal():
                return
            case t.Name():
                if not self._known(expr.name, expr.span, scope, also):
                    if word:
                        self.marks.append((expr.span, Symbol("word", expr.name), False))
                    else:
                        self._unknown(expr, scope, also)
            case t.Function():
                self._function(expr, scope, also)
            case t.ValueOf() | t.Side():
                self.tap_use(expr.use, scope)
            case t.Collected():
                inner = dict(scope)
                for name, span in zip(expr.variables, expr.variable_spans, strict=True):
                    inner[name] = Symbol("variable", name, span, self.owner)
                    self.marks.append((span, inner[name], True))
                self.expr(expr.item, inner, also=also)
                self.optional(expr.condition, inner, also=also)
                self.expr(expr.items, scope, also=also)
            case t.Expr():
                for field in expr.fields:
                    if "span" not in field:
                        self.expr(getattr(expr, field), scope, also=also)
            case tuple():
                for item in expr:
                    self.expr(item, scope, also=also)

    def _function(self, call: t.Function, scope: Scope, also: frozenset[str]) -> None:
        target = None if call.name in scope else self.unit.target(call.name)
        if self._known(call.name, call.name_span, scope, also):
            pass
        elif call.name in FUNCTIONS:
            self.marks.append((call.name_span, Symbol("function", call.name), False))
        else:
            names, hint = similar(call.name, FUNCTIONS), advice(call.name)
            self.found.append(UnknownFunction(call.name_span, call.name, names, hint))
        for argument in call.args:
            self.argument(argument, target, scope, also=also)

    def _unknown(self, name: t.Name, scope: Scope, also: frozenset[str]) -> None:
        known = [*scope, *CONSTANTS, *(also if len(also) < 20 else ())]
        names, fix = similar(name.name, known), fixes(name.name, name.span, known)
        hint = "" if names else _word_of_others(name.name) or advice(name.name)
        self.found.append(UnknownName(name.span, name.name, names, hint, fixes=fix))

    def _known(self, name: str, span: Span, scope: Scope, also: frozenset[str]) -> bool:
        if name in scope:
            self.use(span, scope[name])
            return True
        target = self.unit.target(name)
        if isinstance(target, Block) and target.unit is self.unit:
            self.passed.add(name)
        if name in also:
            owner = "where" if also is _SIDES else ""
            self.marks.append((span, Symbol("word", name, owner=owner), False))
        elif target is not None:
            self.marks.append((span, target, False))
        return name in also or name in FLOWS or target is not None


def _word_of_others(name: str) -> str:
    """For a word that arguments of other operators take: `pad=same` of a pooling."""
    takers = (
        (op.name, arg.name)
        for op in TABLE.values()
        for arg in op.args.values()
        if name in arg.type.words()
    )
    taker = next(takers, None)
    return f"`{name}` is a word of `{taker[0]} {taker[1]}=`; here a value stands" if taker else ""


def head(path: str) -> str:
    """The first name of a path, whose points are not those of an expression."""
    depth = 0
    for place, sign in enumerate(path):
        depth += (sign == "{") - (sign == "}")
        if sign == "." and not depth:
            return path[:place]
    return path


_HOLE = re.compile(r"\{[^{}]*\}")


def _pattern(name: str) -> re.Pattern[str]:
    """What a name with expressions in it may be."""
    return re.compile(r"\w*".join(map(re.escape, _HOLE.split(name))))


def _plain(name: str) -> str:
    return _HOLE.sub("0", name)


def _fits(name: str, plain: str) -> bool:
    return "{" in name and bool(_pattern(name).fullmatch(plain))
