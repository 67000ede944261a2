"""Names and arities, without values: every line is looked at, whatever failed above.

In: a `Unit`. Out: its diagnostics; the unit then knows for every call what it calls and which
argument goes where. What depends on a value (a block passed as a parameter) is left to elaboration.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from archdsl.diagnostics.catalogue import (
    DuplicateName,
    Misplaced,
    Recursion,
    UnknownFunction,
    UnknownModel,
    UnknownName,
    UnknownOperation,
    UnknownRule,
    UnknownTap,
)
from archdsl.diagnostics.model import Diagnostic, Fix, Label
from archdsl.diagnostics.source import Span
from archdsl.diagnostics.warnings import (
    UnusedBlock,
    UnusedParameter,
    UnusedTap,
    UnusedVariable,
)
from archdsl.ir.bind import apart, bind, bind_call, is_join
from archdsl.ir.foreign import advice, fixes, similar
from archdsl.ir.names import Block, Slot, Unit, signature, words
from archdsl.ir.report import MAX_FOUND
from archdsl.ir.values import FUNCTIONS, names_in
from archdsl.ops import TABLE
from archdsl.ops.init import RULES, Attribute
from archdsl.syntax import tree as t

MAX_PARAMS = 100  # of a definition
CONSTANTS = ("true", "false", "none")


def resolve(unit: Unit) -> list[Diagnostic]:
    """Check every definition of a file; what nothing in it uses is noted in the unit."""
    found: list[Diagnostic] = []
    unused: list[tuple[str, Diagnostic]] = []
    passed: set[str] = set()
    seen: dict[str, Span] = {}
    calls: dict[str, list[str]] = {}
    if wide := list(_wide(unit.file.definitions)):
        return wide
    for tree in unit.file.definitions:
        if len(found) > MAX_FOUND:
            break
        if tree.name in seen:
            problem = DuplicateName(tree.name_span, tree.name, "definition")
            found.append(problem.with_related(Label(seen[tree.name], "the first one is here")))
        seen.setdefault(tree.name, tree.name_span)
        definition = _Definition(unit, found)
        definition.check(tree)
        calls.setdefault(tree.name, list(definition.calls))
        unused += [(tree.name, warning) for warning in definition.unused()]
        passed |= definition.passed
    called = passed.union(*calls.values())
    blocks = [tree for tree in unit.file.definitions if isinstance(tree, t.Block)]
    library = len(blocks) == len(unit.file.definitions)  # for other files to use
    unit.unused = [
        UnusedBlock(block.name_span, block.name)
        for block in blocks
        if not library and block.name not in called
    ]
    # a block that is passed on has the parameters that its callers give
    unit.unused += [
        w for name, w in unused if not (name in passed and isinstance(w, UnusedParameter))
    ]
    return [*found, *_recursions(unit, calls)]


def _wide(definitions: Iterable[t.Definition]) -> Iterator[Diagnostic]:
    """Definitions that every call would take long for."""
    for tree in definitions:
        if isinstance(tree, (t.Block, t.Model)) and len(tree.params) > MAX_PARAMS:
            problem = f"`{tree.name}` has more than {MAX_PARAMS} parameters"
            yield Misplaced(tree.params[MAX_PARAMS].span, problem, "pass lists: `widths=[64, 128]`")


class _Definition:
    """Checks one block, model or alias."""

    def __init__(self, unit: Unit, found: list[Diagnostic]) -> None:
        self.unit, self.found = unit, found
        self.taps: dict[str, Span] = {}
        self.calls: dict[str, None] = {}  # definitions of this file, in order
        self.in_model = False
        self.once: dict[type, Span] = {}
        self.passed: set[str] = set()  # definitions of this file that are given as values
        self.names: dict[Span, Diagnostic] = {}  # what is given a name, with the warning ...
        self.used: set[Span] = set()  # ... unless it is used

    def unused(self) -> list[Diagnostic]:
        return [warning for span, warning in self.names.items() if span not in self.used]

    def check(self, tree: t.Definition) -> None:
        if isinstance(tree, t.Alias):
            return self._alias(tree)
        assert isinstance(tree, (t.Block, t.Model))
        self.in_model = isinstance(tree, t.Model)
        scope: dict[str, Span] = {}
        for param in tree.params:
            if param.default is not None:
                self._expr(param.default, scope)
            if param.name in scope:
                self.found.append(DuplicateName(param.name_span, param.name, "parameter"))
            scope[param.name] = param.name_span
            warning = UnusedParameter(param.name_span, param.name, tree.name)
            self._give(param.name, param.name_span, warning)
        self._body(tree.body, scope, top=True)
        return None

    def _alias(self, tree: t.Alias) -> None:
        base = self.unit.find(tree.base)
        if base is not None and base.unit is self.unit:
            self.calls[tree.base] = None
        if base is None or isinstance(base.tree, t.Block):
            models = [n for n, b in self._visible() if not isinstance(b.tree, t.Block)]
            self.found.append(UnknownModel(tree.base_span, tree.base, similar(tree.base, models)))
            return
        slots = tuple(s._replace(required=False) for s in model_slots(base))
        bind(base.name, slots, tree.args, tree.base_span, self.found)
        for argument in tree.args:
            self._expr(argument.value, {})

    def _visible(self) -> Iterator[tuple[str, Block]]:
        for unit in (self.unit, *self.unit.uses):
            yield from unit.definitions.items()

    # -- statements

    def _body(self, body: t.Body, scope: dict[str, Span], *, top: bool = False) -> None:
        scope = dict(scope)
        for statement in body.statements:
            if len(self.found) > MAX_FOUND:
                break
            match statement:
                case t.Chain():
                    for flow in statement.flows:
                        self._flow(flow, scope)
                case t.Let():
                    self._expr(statement.value, scope)
                    self._variable(statement.name, statement.name_span, scope)
                case t.Input():
                    self._expr(statement.shape, scope)
                    self._only_in_model(
                        statement, top, "`input`", "it is the first line of a model"
                    )
                case t.Output():
                    self._only_in_model(
                        statement, top, "`output`", "it is the last line of a model"
                    )
                    for tap in statement.taps:
                        self._tap_use(tap)
                case t.InitRule():
                    self._rule(statement.rule, statement.rule_span, statement.args, scope)
                case t.ParamDecl():
                    self._expr(statement.shape, scope)
                    self._rule(statement.rule, statement.rule_span, statement.args, scope)
                    kind = "buffer" if statement.buffer else "param"
                    self._tap(kind, statement.name, statement.name_span)
                case t.Declare():
                    for label in statement.labels:
                        self._label(label, scope)
                case t.Assert():
                    self._expr(statement.shape, scope)

    def _only_in_model(self, statement: t.Statement, top: bool, what: str, hint: str) -> None:
        first = self.once.setdefault(type(statement), statement.span)
        if first is not statement.span:
            problem = Misplaced(statement.span, f"a second {what}", "a model has one")
            self.found.append(problem.with_related(Label(first, "the first one is here")))
        elif not (self.in_model and top):
            self.found.append(
                Misplaced(statement.span, f"{what} belongs in a model's own body", hint)
            )

    def _flow(self, flow: t.Flow, scope: dict[str, Span]) -> None:
        if flow.label is not None:
            self._label(flow.label, scope)
        self._step(flow.step, scope)

    def _label(self, label: t.Label, scope: dict[str, Span]) -> None:
        for part in label.parts:
            if isinstance(part, t.Expr):
                self._expr(part, scope)

    def _step(self, step: t.Step, scope: dict[str, Span]) -> None:
        match step:
            case t.Call():
                self._call(step, scope)
            case t.Group():
                self._body(step.body, scope)
            case t.Residual():
                self._optional(step.condition, scope)
                self._body(step.body, scope)
                if step.shortcut is not None:
                    self._optional(step.shortcut.condition, scope)
                    self._body(step.shortcut.body, scope)
            case t.Repeat():
                self._expr(step.count, scope)
                inner = dict(scope)
                if step.variable and step.variable_span:
                    self._variable(step.variable, step.variable_span, inner)
                self._body(step.body, inner)
            case t.For():
                self._expr(step.items, scope)
                inner = dict(scope)
                for name, span in zip(step.variables, step.variable_spans, strict=True):
                    self._variable(name, span, inner)
                if step.index and step.index_span:
                    self._variable(step.index, step.index_span, inner)
                self._body(step.body, inner)
            case t.If():
                self._expr(step.condition, scope)
                self._body(step.then, scope)
                if isinstance(step.otherwise, t.Body):
                    self._body(step.otherwise, scope)
                elif step.otherwise is not None:
                    self._step(step.otherwise, scope)
            case t.Tap():
                self._tap("tap", step.name, step.span)
            case t.Use():
                self._tap_use(step.tap)
            case t.Aux():
                if step.source is not None:
                    self._tap_use(step.source)
                self._step(step.step, scope)

    def _call(self, call: t.Call, scope: dict[str, Span]) -> None:
        for tap in call.taps:
            self._tap_use(tap)
        if call.times is not None:
            self._expr(call.times, scope)
        if call.body is not None:
            self._body(call.body, scope)
        target = None if call.name in scope else self.unit.target(call.name)
        alone = call.body is None and not call.taps
        # of what is passed as a parameter nothing is known without its value
        word = target is None or (is_join(target) and alone)
        named = [] if target is None else [a for a, _ in apart(call.args, signature(target))]
        foreign = target is None and call.name not in scope and bool(advice(call.name))
        for argument in () if foreign else call.args:
            times = argument.span.text == "x"  # as in `3 x 3`: there will be too many arguments
            if argument not in named and not (times and "x" not in scope):
                self._expr(argument.value, scope, word=word, also=words(target))
        if call.name in scope:
            self.used.add(scope[call.name])
            return
        if target is None:
            known = [*self.unit.names(), *scope, "residual", "repeat"]
            names, fix = similar(call.name, known), fixes(call.name, call.name_span, known)
            other = "" if names else "`archdsl ops` lists the operators"
            hint = advice(call.name) or other
            if not fix and self._is_step(call, names):
                end = Span(call.span.source, call.name_span.end, call.name_span.end)
                hint = f"a label ends with a colon: `{call.name}: {call.args[0].span.text} ...`"
                fix = (Fix(hint, ((end, ":"),), safe=True),)
            self.found.append(UnknownOperation(call.name_span, call.name, names, hint, fixes=fix))
            return
        if isinstance(target, Block) and target.unit is self.unit:
            self.calls[call.name] = None
        self.unit.targets[call] = target
        before = len(self.found)
        self.unit.bound[call] = bind_call(call, target, self.found)
        if len(self.found) > before:
            self.unit.flawed.add(call)

    def _is_step(self, call: t.Call, names: tuple[str, ...]) -> bool:
        """Whether a call of an unknown name, with names like it, is rather a label without a colon:
        a step follows."""
        first = call.args[0].value if call.args and call.args[0].name is None else None
        known = isinstance(first, t.Name) and self.unit.target(first.name) is not None
        return known and not any(isinstance(self.unit.target(name), Block) for name in names)

    # -- names

    def _give(self, name: str, span: Span, warning: Diagnostic) -> None:
        """A name; one that begins with `_` may stay unused."""
        if not name.startswith("_"):
            self.names[span] = warning

    def _variable(self, name: str, span: Span, scope: dict[str, Span]) -> None:
        scope[name] = span
        self._give(name, span, UnusedVariable(span, name))

    def _tap(self, kind: str, name: str, span: Span) -> None:
        if name in self.taps:
            problem = DuplicateName(span, name, "tap")
            self.found.append(problem.with_related(Label(self.taps[name], "the first one is here")))
        self.taps.setdefault(name, span)
        self._give(name, span, UnusedTap(span, kind, name))

    def _tap_use(self, use: t.TapUse) -> None:
        if use.name in self.taps:
            self.used.add(self.taps[use.name])
        else:
            near = similar(use.name, self.taps)
            hint = "" if near else f"name a value first: `conv 64 3x3 -> tap {use.name}`"
            if re.search(rf"\btap +{use.name}\b", use.span.source.text[use.span.end :]):
                near = ()
                hint = (
                    "its `tap` stands further below: a value is known behind its tap alone, and no "
                    "loop carries one into its next round"
                )
            self.found.append(UnknownTap(use.span, use.name, near, hint))

    def _rule(
        self, name: str, span: Span, args: tuple[t.Argument, ...], scope: dict[str, Span]
    ) -> None:
        if name not in RULES:
            self.found.append(UnknownRule(span, name, similar(name, RULES)))
            return
        slots = tuple(Slot(a.name, a.required, a.keyword) for a in RULES[name])
        bind(name, slots, args, span, self.found)
        for argument in args:
            words = {w for a in RULES[name] for w in a.type.words()}
            self._expr(argument.value, scope, also=Attribute.NAMES | words)

    def _optional(self, expr: t.Expr | None, scope: dict[str, Span]) -> None:
        if expr is not None:
            self._expr(expr, scope)

    def _expr(
        self,
        expr: t.Expr,
        scope: dict[str, Span],
        *,
        word: bool = False,
        also: frozenset[str] = frozenset(),
    ) -> None:
        """`word`: the whole of it may be a bare word, which only the value's taker can judge.
        `also`: further names that are known."""
        if word and isinstance(expr, t.Name):
            self._known(expr.name, scope, also)
            return
        for part in names_in(expr):
            if isinstance(part, t.Function):
                target = None if part.name in scope else self.unit.target(part.name)
                also |= words(target)
                if not self._known(part.name, scope, also) and part.name not in FUNCTIONS:
                    names, hint = similar(part.name, FUNCTIONS), advice(part.name)
                    self.found.append(UnknownFunction(part.name_span, part.name, names, hint))
            elif isinstance(part, t.Name) and not self._known(part.name, scope, also):
                known = [*scope, *CONSTANTS, *(also if len(also) < 20 else ())]
                names, fix = similar(part.name, known), fixes(part.name, part.span, known)
                hint = "" if names else _word_of_others(part.name)
                self.found.append(UnknownName(part.span, part.name, names, hint, fixes=fix))

    def _known(self, name: str, scope: dict[str, Span], also: frozenset[str]) -> bool:
        if name in scope:
            self.used.add(scope[name])
            return True
        target = self.unit.target(name)
        if isinstance(target, Block) and target.unit is self.unit:
            self.passed.add(name)
        return name in also or name == "in" or target is not None


def model_slots(model: Block) -> tuple[Slot, ...]:
    """The parameters of a model, or of the model behind an alias."""
    for _ in range(64):
        if not isinstance(model.tree, t.Alias):
            break
        base = model.unit.find(model.tree.base)
        if base is None:
            return ()
        model = base
    return model.signature()


def _recursions(unit: Unit, calls: Mapping[str, Sequence[str]]) -> Iterator[Diagnostic]:
    """Cycles of definitions that call each other by name, each once. Those through parameters end
    at the limit on nesting."""
    done: set[str] = set()
    for start in calls:
        left: dict[str, Iterator[str]] = {}  # of the path from `start` on: the calls to follow
        path = [start] if start not in done else []
        while path:
            name = path[-1]
            called = next(left.setdefault(name, iter(calls.get(name, ()))), None)
            if called is None:
                done.add(path.pop())
                del left[name]
            elif called in left:
                yield _recursion(unit.definitions[called], [*path[path.index(called) :], called])
            elif called not in done:
                path.append(called)


def _recursion(block: Block, cycle: list[str]) -> Diagnostic:
    what = "block" if isinstance(block.tree, t.Block) else "model"
    shown = cycle if len(cycle) < 8 else [*cycle[:3], "...", *cycle[-3:]]
    return Recursion(block.tree.name_span, what, block.name, " -> ".join(shown))


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
