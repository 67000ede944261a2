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
from archdsl.syntax.language import CONSTANTS, FUNCTIONS, SIDES

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


class Words:
    """Looks up the words of one definition."""

    def __init__(self, notes: Notes, owner: str) -> None:
        self.unit, self.found, self.marks = notes.unit, notes.found, notes.marks
        self.owner = owner
        self.taps: Scope = {}
        self.tapped: dict[str, Span] = {}  # where each tap is said to stand
        self.labels: dict[str, Span] = {}  # where each stands first
        self.labelled: list[tuple[Span, str, Target | None]] = []  # words that are one, or else ...
        self.passed: set[str] = set()  # definitions of this file that are given as values
        self.names: dict[Span, Diagnostic] = {}  # what is given a name, with the warning ...
        self.used: set[Span | None] = set()  # ... unless it is used

    def unused(self) -> list[Diagnostic]:
        return [warning for span, warning in self.names.items() if span not in self.used]

    def end(self) -> None:
        """Every label is known now."""
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
        """`where`: the place of what is said of it."""
        if name not in self.taps:
            self.tapped[name] = where
            symbol = Symbol("tap", name, span, self.owner)
            self.give(symbol, UnusedTap(where, kind, name), self.taps)
            return
        first = self.taps[name]
        self.marks.append((span, first, False))
        behind = "a value that an `if` chooses, or a loop leaves, is tapped once behind it"
        hint = behind if kind == "tap" else ""
        problem = DuplicateName(where, name, "tap", hint)
        label = Label(self.tapped[name], "the first one is here")
        self.found.append(problem.with_related(label))

    def tap_use(self, use: t.TapUse) -> None:
        if use.name in self.taps:
            span = Span(use.span.source, use.span.start + 1, use.span.end)
            self.use(span, self.taps[use.name])
        else:
            near = similar(use.name, self.taps)
            hint = "" if near else f"name a value first: `conv 64 3x3 -> tap {use.name}`"
            elsewhere = self._tapped_elsewhere(use)
            found = UnknownTap(use.span, use.name, () if elsewhere else near, elsewhere or hint)
            self.found.append(found)

    def _tapped_elsewhere(self, use: t.TapUse) -> str:
        """What to say where the text has such a tap, below or in another definition."""
        text, end = use.span.source.text, self.unit.definitions[self.owner].tree.span.end
        tap = re.compile(rf"\btap +{use.name}\b")
        if tap.search(text, use.span.end, end):
            return (
                "its `tap` stands further below: a value is known behind its tap alone, and no "
                "loop carries one into its next round"
            )
        if tap.search(text):
            return "its `tap` stands in another definition: each sees its own taps alone"
        return ""

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
        bind(name, slots, args, span, self.found)
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
        return name in also or name == "in" or target is not None


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
