"""Names and arities, without values: every line is looked at, whatever failed above.

In: a `Unit`. Out: what it is `Resolved` to: for every call what it calls and which argument goes
where, for every word what it names, and what is wrong. What depends on a value (a block passed as
a parameter) is left to elaboration.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from archdsl.diagnostics.catalogue import (
    DuplicateName,
    NotAValue,
    OnlyInBlock,
    OnlyInModel,
    Recursion,
    SecondOfOne,
    TooManyParameters,
    UnknownModel,
    UnknownOperation,
    UnnamedInput,
    UnusedPart,
)
from archdsl.diagnostics.model import MAX_FOUND, Diagnostic, Fix, Label
from archdsl.diagnostics.source import Span
from archdsl.diagnostics.warnings import (
    UnusedBlock,
    UnusedParameter,
    UnusedTap,
)
from archdsl.names.bind import apart, bind, bind_call, is_join
from archdsl.names.foreign import advice, fixes, similar
from archdsl.names.symbols import Kind, Resolved, Symbol, parameter
from archdsl.names.units import Block, Slot, Unit, signature
from archdsl.names.words import Notes, Scope, Words
from archdsl.syntax import tree as t

MAX_PARAMS = 100  # of a definition


def resolve(unit: Unit) -> Resolved:
    """Every definition of a file, looked at once."""
    if wide := tuple(_wide(unit.file.definitions)):
        return Resolved(unit, wide)
    walk = Notes(unit)
    for use in unit.file.uses:
        walk.marks.append((use.path_span, Symbol("file", use.path), False))
    unused: list[tuple[str, Diagnostic]] = []
    passed: set[str] = set()
    seen: dict[str, Span] = {}
    calls: dict[str, list[str]] = {}
    for tree in unit.file.definitions:
        if len(walk.found) > MAX_FOUND:
            break
        if tree.name in seen:
            problem = DuplicateName(tree.name_span, tree.name, "definition")
            walk.found.append(problem.with_related(Label(seen[tree.name], "the first one is here")))
        seen.setdefault(tree.name, tree.name_span)
        definition = _Definition(walk, tree)
        definition.check()
        calls.setdefault(tree.name, list(definition.calls))
        unused += [(tree.name, warning) for warning in definition.words.unused()]
        passed |= definition.words.passed
    called = passed.union(*calls.values())
    blocks = [tree for tree in unit.file.definitions if isinstance(tree, t.Block)]
    library = len(blocks) == len(unit.file.definitions)  # for other files to use
    spare = [
        UnusedBlock(block.name_span, block.name)
        for block in blocks
        if not library and block.name not in called
    ]
    # a block that is passed on has the parameters that its callers give
    names = [w for name, w in unused if not (name in passed and isinstance(w, UnusedParameter))]
    # a value may be read from outside, by a path
    names = [
        w for w in names if not (isinstance(w, UnusedTap) and (library or w.name in walk.within))
    ]
    return Resolved(
        unit,
        (*walk.found, *_recursions(unit, calls)),
        walk.targets,
        walk.bound,
        frozenset(walk.flawed),
        (*spare, *names),
        tuple(walk.marks),
    )


def _wide(definitions: Iterable[t.Definition]) -> Iterator[Diagnostic]:
    """Definitions that every call would take long for."""
    for tree in definitions:
        if isinstance(tree, (t.Block, t.Model)) and len(tree.params) > MAX_PARAMS:
            yield TooManyParameters(tree.params[MAX_PARAMS].span, tree.name, MAX_PARAMS)


class _Definition:
    """Walks one block, model or alias."""

    def __init__(self, notes: Notes, tree: t.Definition) -> None:
        self.notes, self.unit, self.found = notes, notes.unit, notes.found
        self.tree, self.words = tree, Words(notes, tree.name)
        self.calls: dict[str, None] = {}  # definitions of this file, in order
        self.once: dict[type, Span] = {}
        self.inputs: list[t.Input] = []
        self.top = False  # in a model's own body, or an `if` there
        self.chosen = 0  # how many `if`s are around
        self.unrun: dict[str, Diagnostic] = {}  # parts that nothing runs
        self.early: set[str] = set()  # parts that something runs before they are declared
        self.later = _parts(tree.body) if isinstance(tree, (t.Block, t.Model)) else frozenset()

    def check(self) -> None:
        tree = self.tree
        kind: Kind = "block" if isinstance(tree, t.Block) else "model"
        self.notes.marks.append((tree.name_span, Symbol(kind, tree.name, tree.name_span), True))
        if isinstance(tree, t.Alias):
            return self._alias(tree)
        assert isinstance(tree, (t.Block, t.Model))
        scope: Scope = {}
        for param in tree.params:
            if param.default is not None:
                self.words.expr(param.default, scope)
            if param.name in scope:
                self.found.append(DuplicateName(param.name_span, param.name, "parameter"))
            warning = UnusedParameter(param.name_span, param.name, tree.name)
            if param.value:
                self._value(param, tree, warning)
                continue
            self.words.numbers.add(param.name)
            self.words.give(parameter(param, tree.name), warning, scope)
        self._body(tree.body, scope, top=True)
        self.words.end()
        self.found += self.unrun.values()
        return None

    def _value(self, param: t.Param, tree: t.Definition, warning: Diagnostic) -> None:
        """A parameter that is what flows."""
        if isinstance(tree, t.Model):
            hint = f"the model's inputs are lines of their own: `input {param.name} 3x224x224`"
            self.found.append(OnlyInBlock(param.span, param.name, hint=hint))
        default = param.default
        if default is not None and not (isinstance(default, t.Literal) and default.value is None):
            self.found.append(NotAValue(default.span, param.name))
        self.words.value(parameter(param, tree.name), warning)

    def _alias(self, tree: t.Alias) -> None:
        base = self.unit.find(tree.base)
        if base is not None:
            self.notes.marks.append((tree.base_span, base, False))
        if base is not None and base.unit is self.unit:
            self.calls[tree.base] = None
        if base is None or isinstance(base.tree, t.Block):
            models = [n for n, b in self._visible() if not isinstance(b.tree, t.Block)]
            self.found.append(UnknownModel(tree.base_span, tree.base, similar(tree.base, models)))
            return
        self.found += bind(base.name, model_slots(base), tree.args, tree.base_span).problems
        for argument in tree.args:
            self.words.argument(argument, base, {})

    def _visible(self) -> Iterator[tuple[str, Block]]:
        for unit in (self.unit, *self.unit.uses):
            yield from unit.definitions.items()

    # -- statements

    def _body(self, body: t.Body, scope: Scope, *, top: bool = False) -> None:
        around, self.top = self.top, top
        self._statements(body, dict(scope), top)
        self.top = around

    def _statements(self, body: t.Body, scope: Scope, top: bool) -> None:
        for statement in body.statements:
            if len(self.found) > MAX_FOUND:
                break
            if isinstance(statement, t.Hole) and statement.rest is not None:
                statement = statement.rest
            match statement:
                case t.Chain():
                    for flow in statement.flows:
                        self._flow(flow, scope)
                case t.Let():
                    self.words.expr(statement.value, scope)
                    self.words.variable(statement.name, statement.name_span, scope)
                case t.Input():
                    self.words.expr(statement.shape, scope)
                    self.words.promise(statement.promise, scope)
                    self._input(statement, top)
                case t.Output():
                    self._output(statement, top)
                    for tap in statement.taps:
                        self.words.tap_use(tap, scope)
                case t.InitRule():
                    self.words.target(statement)
                    self.words.rule(statement.rule, statement.rule_span, statement.args, scope)
                case t.ParamDecl():
                    self.words.expr(statement.shape, scope)
                    self.words.rule(statement.rule, statement.rule_span, statement.args, scope)
                    kind = "buffer" if statement.buffer else "param"
                    self.words.tap(kind, statement.name, statement.name_span, statement.name_span)
                case t.Part():
                    self._part(statement, scope)
                case t.Declare():
                    for label in statement.labels:
                        self.words.label(label, scope, declares=True)
                case t.Assert():
                    self.words.expr(statement.claim, scope)
                    self.words.optional(statement.message, scope)

    def _part(self, statement: t.Part, scope: Scope) -> None:
        label = statement.label
        self.words.label(label, scope)
        self._step(statement.step, scope)
        name = label.span.text.strip('"')
        self.later -= {name}
        symbol = Symbol("label", name, self.words.labels.get(name, label.span), self.tree.name)
        self.words.parts[name] = symbol
        if name not in self.early:
            self.unrun[name] = UnusedPart(label.span, name)

    def _input(self, statement: t.Input, top: bool) -> None:
        """Of several, each has a name."""
        name, where = statement.name, statement.name_span
        if name is not None and where is not None:
            if name in self.words.taps:
                label = Label(self.words.tapped[name], "the first one is here")
                problem = DuplicateName(where, name, "value").with_related(label)
                self.found.append(problem)
                return
            warning = UnusedTap(where, "input", name)
            self.words.value(Symbol("tap", name, where, self.tree.name), warning)
            if not self.inputs:
                self.words.used.add(where)  # the flow begins with it
        first = self.inputs[0] if self.inputs else None
        self.inputs.append(statement)
        if first is not None and (name is None or first.name is None):
            label = Label(first.span, "the first one is here")
            self.found.append(UnnamedInput(statement.span).with_related(label))
        elif not (isinstance(self.tree, t.Model) and top and not self.chosen):
            hint = "it is the first line of a model"
            self.found.append(OnlyInModel(statement.span, "`input`", hint=hint))

    def _output(self, statement: t.Output, top: bool) -> None:
        """A model's, where an `if` may choose one."""
        if top and not self.chosen:
            hint = "it is the last line of a model"
            self._only_in_model(statement, top, "`output`", hint)
        elif not (top and isinstance(self.tree, t.Model)):
            hint = "it is the last line of a model, or of an `if` there"
            self.found.append(OnlyInModel(statement.span, "`output`", hint=hint))

    def _only_in_model(self, statement: t.Statement, top: bool, what: str, hint: str) -> None:
        first = self.once.setdefault(type(statement), statement.span)
        if first is not statement.span:
            problem = SecondOfOne(statement.span, what)
            self.found.append(problem.with_related(Label(first, "the first one is here")))
        elif not (isinstance(self.tree, t.Model) and top):
            self.found.append(OnlyInModel(statement.span, what, hint=hint))

    def _flow(self, flow: t.Flow, scope: Scope) -> None:
        if flow.label is not None:
            self.words.label(flow.label, scope)
        self._step(flow.step, scope)

    def _step(self, step: t.Step, scope: Scope) -> None:
        match step:
            case t.Call():
                self._call(step, scope)
            case t.Group():
                self._body(step.body, scope)
            case t.Residual():
                self.words.optional(step.condition, scope)
                self._body(step.body, scope)
                if step.shortcut is not None:
                    if step.shortcut.label is not None:
                        self.words.label(step.shortcut.label, scope)
                    self.words.optional(step.shortcut.condition, scope)
                    self._body(step.shortcut.body, scope)
            case t.Repeat():
                self.words.expr(step.count, scope)
                inner = dict(scope)
                if step.variable and step.variable_span:
                    self.words.variable(step.variable, step.variable_span, inner)
                self._body(step.body, inner)
            case t.For():
                self.words.expr(step.items, scope)
                inner = dict(scope)
                for name, span in zip(step.variables, step.variable_spans, strict=True):
                    self.words.variable(name, span, inner)
                if step.index and step.index_span:
                    self.words.variable(step.index, step.index_span, inner)
                self._body(step.body, inner)
            case t.If():
                self.words.expr(step.condition, scope)
                self.chosen += 1
                self._body(step.then, scope, top=self.top)
                if isinstance(step.otherwise, t.Body):
                    self._body(step.otherwise, scope, top=self.top)
                elif step.otherwise is not None:
                    self._step(step.otherwise, scope)
                self.chosen -= 1
            case t.Tap():
                end = step.span.end
                span = Span(step.span.source, end - len(step.name), end)
                self.words.tap("tap", step.name, span, step.span)
                for part in step.parts:
                    if isinstance(part, t.Expr):
                        self.words.expr(part, scope)
            case t.Use():
                self.words.tap_use(step.tap, scope)
            case t.Aux():
                if step.source is not None:
                    self.words.tap_use(step.source, scope)
                self._step(step.step, scope)

    def _call(self, call: t.Call, scope: Scope) -> None:
        for tap in call.taps:
            self.words.tap_use(tap, scope)
        if call.times is not None:
            self.words.expr(call.times, scope)
        if call.body is not None:
            self._body(call.body, scope)
        if call.name in self.words.parts:
            self.words.use(call.name_span, self.words.parts[call.name])
            self.unrun.pop(call.name, None)
            return
        target = None if call.name in scope else self.unit.target(call.name)
        alone = call.body is None and not call.taps
        # of what is passed as a parameter nothing is known without its value
        word = target is None or (is_join(target) and alone)
        named = [] if target is None else [a for a, _ in apart(call.args, signature(target))]
        foreign = target is None and call.name not in scope and bool(advice(call.name))
        for argument in () if foreign else call.args:
            times = argument.span.text == "x"  # as in `3 x 3`: there will be too many arguments
            if argument not in named and not (times and "x" not in scope):
                self.words.argument(argument, target, scope, word=word)
        if call.name in scope:
            self.words.use(call.name_span, scope[call.name])
            return
        if target is None:
            known = [*self.unit.names(), *scope, "residual", "repeat", "input", "output", "tap"]
            names, fix = similar(call.name, known), fixes(call.name, call.name_span, known)
            if any(a.name in ("dim", "dims", "axis") for a in call.args):
                fix = tuple(replace(one, safe=False) for one in fix)  # torch's count the batch
            other = "" if names else "`archdsl ops` lists the operators"
            hint = advice(call.name) or other
            if call.name in self.later:
                hint = f"the part `{call.name}` stands below: declare it above this step"
                names, fix = (), ()
                self.early.add(call.name)
            elif not fix and not advice(call.name) and self._is_step(call, names):
                end = Span(call.span.source, call.name_span.end, call.name_span.end)
                hint = f"a label ends with a colon: `{call.name}: {call.args[0].span.text} ...`"
                fix = (Fix(hint, ((end, ":"),), safe=True),)
            self.found.append(UnknownOperation(call.name_span, call.name, names, hint, fixes=fix))
            return
        self.notes.marks.append((call.name_span, target, False))
        if isinstance(target, Block) and target.unit is self.unit:
            self.calls[call.name] = None
        self.notes.targets[call] = target
        self.notes.bound[call], problems = bind_call(call, target, scope=scope)
        self.found += problems
        if problems:
            self.notes.flawed.add(call)

    def _is_step(self, call: t.Call, names: tuple[str, ...]) -> bool:
        """Whether a call of an unknown name, with names like it, is rather a label without a colon:
        a step follows."""
        first = call.args[0].value if call.args and call.args[0].name is None else None
        known = isinstance(first, t.Name) and self.unit.target(first.name) is not None
        return known and not any(isinstance(self.unit.target(name), Block) for name in names)


def _parts(body: t.Body) -> frozenset[str]:
    """The names of the parts that a definition declares in its own lines."""
    return frozenset(s.label.span.text.strip('"') for s in body.statements if isinstance(s, t.Part))


def model_slots(model: Block) -> tuple[Slot, ...]:
    """The parameters of a model, or of the model behind an alias; none must be given."""
    base = model.base
    return tuple(s._replace(required=False) for s in base.signature()) if base else ()


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
