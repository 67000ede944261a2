"""Names and arities, without values: every line is looked at, whatever failed above.

In: a `Unit`. Out: its diagnostics; the unit then knows for every call what it calls and which
argument goes where. What depends on a value (a block passed as a parameter) is left to elaboration.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from archdsl.diagnostics.catalogue import (
    DuplicateName,
    ExtraArgument,
    Misplaced,
    MissingArgument,
    Recursion,
    UnknownArgument,
    UnknownFunction,
    UnknownModel,
    UnknownName,
    UnknownOperation,
    UnknownRule,
    UnknownTap,
)
from archdsl.diagnostics.model import Diagnostic, Label
from archdsl.diagnostics.source import Span
from archdsl.diagnostics.suggest import closest
from archdsl.ir.names import Block, Slot, Target, Unit, show_signature, signature
from archdsl.ir.report import MAX_FOUND
from archdsl.ir.values import FUNCTIONS, names_in
from archdsl.ops import TABLE, Op
from archdsl.ops.init import RULES, Attribute
from archdsl.syntax import tree as t

MAX_PARAMS = 100  # of a definition
CONSTANTS = ("true", "false", "none")

#: what operators and arguments are called elsewhere
ALIASES = {
    "conv1d": "conv", "conv2d": "conv", "conv3d": "conv", "convolution": "conv",
    "conv2dtranspose": "deconv", "convtranspose": "deconv", "convtranspose2d": "deconv",
    "conv_transpose": "deconv", "conv_transpose2d": "deconv", "conv_bn": "convbn",
    "dense": "linear", "fc": "linear", "fully_connected": "linear",
    "batchnorm": "bn", "batch_norm": "bn", "batchnorm1d": "bn", "batchnorm2d": "bn",
    "batchnormalization": "bn", "batch_normalization": "bn", "norm": "bn",
    "layernorm": "ln", "layer_norm": "ln", "groupnorm": "gn", "group_norm": "gn",
    "max_pool": "maxpool", "maxpool2d": "maxpool", "max_pool2d": "maxpool",
    "maxpooling2d": "maxpool", "avg_pool": "avgpool", "avgpool2d": "avgpool",
    "avg_pool2d": "avgpool", "averagepooling2d": "avgpool", "global_avgpool": "gap",
    "globalavgpool": "gap", "globalaveragepooling2d": "gap", "global_average_pooling": "gap",
    "adaptive_avgpool": "gap", "adaptiveavgpool2d": "gap", "adaptive_avg_pool2d": "gap",
    "drop": "dropout", "dropout2d": "channel_dropout", "spatial_dropout": "channel_dropout",
    "swish": "silu", "cat": "concat", "concatenate": "concat", "multiply": "mul", "sum": "add",
    "upsampling": "upsample", "upsampling2d": "upsample", "interpolate": "upsample",
    "reflect_pad": "pad", "zeropad2d": "pad", "squeeze": "flatten",
    "transpose": "permute", "skip": "residual", "droppath": "stochastic_depth",
    "padding": "pad", "kernel_size": "kernel", "ceil_mode": "ceil", "out_channels": "out",
    "out_features": "out", "channels": "out", "filters": "out", "units": "out", "strides": "stride",
    "output_size": "out", "rate": "p", "num_groups": "groups", "epsilon": "eps",
}  # fmt: skip

_FLOWS = "leave it out: what comes in is never written (`conv 64 3x3`, `linear 10`)"
_STEP = "write it as a step of its own: `conv 64 3x3 -> relu`"
#: names that have no counterpart here, and what to do instead
ADVICE = {
    "in_channels": _FLOWS, "in_features": _FLOWS, "num_features": _FLOWS, "input_dim": _FLOWS,
    "in_planes": _FLOWS, "input_shape": "the model's first line states it: `input 3x224x224`",
    "normalized_shape": _FLOWS, "num_channels": _FLOWS, "input_size": _FLOWS, "in": _FLOWS,
    "inplace": "`relu` alone: the compiler works in place where it can",
    "activation": _STEP, "act": _STEP,
    "name": "a name is a label: `name: conv 64 3x3`", "range": "`repeat 3 as i { ... }` counts",
    "sequential": "steps follow each other: `a -> b`, or a line each; `{ ... }` groups them",
    "view": "`flatten` makes each sample a vector, `reshape [48, -1]` any other shape",
    "device": "where a model runs is said when it is loaded", "dtype": "every tensor is float32",
    "print": "`archdsl check --shapes` shows every shape",
    "return": "the last step is the output; `output @a @b` names several",
}  # fmt: skip


def resolve(unit: Unit) -> list[Diagnostic]:
    """Check every definition of a file."""
    found: list[Diagnostic] = []
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
    return [*found, *_recursions(unit, calls)]


def _wide(definitions: Iterable[t.Definition]) -> Iterator[Diagnostic]:
    """Definitions that every call would take long for."""
    for tree in definitions:
        if isinstance(tree, (t.Block, t.Model)) and len(tree.params) > MAX_PARAMS:
            problem = f"`{tree.name}` has more than {MAX_PARAMS} parameters"
            yield Misplaced(tree.params[MAX_PARAMS].span, problem, "pass lists: `widths=[64, 128]`")


def similar(name: str, candidates: Iterable[str]) -> tuple[str, ...]:
    """Names like this one, a translation from other frameworks first."""
    known = set(candidates)
    alias = ALIASES.get(name.lower(), "")
    return (alias,) if alias in known else closest(name, sorted(known))


def bind(
    name: str,
    slots: tuple[Slot, ...],
    args: tuple[t.Argument, ...],
    where: Span,
    found: list[Diagnostic],
    example: str = "",
) -> dict[str, t.Argument]:
    """Which argument goes where; what fits nowhere is reported and left out."""
    bound: dict[str, t.Argument] = {}
    free = [s.name for s in slots if not s.keyword]
    known = {s.name for s in slots}
    shown = show_signature(name, slots)
    extra = False
    for argument in args:
        key = argument.name
        if key is None:
            free = [n for n in free if n not in bound]
            if not free:
                if not extra:
                    problem = _takes(name, slots)
                    label, hint = f"the signature is `{shown}`", _extra_hint(name, slots, args)
                    found.append(ExtraArgument(argument.span, problem, label, hint))
                extra = True
                continue
            key = free.pop(0)
        elif key not in known:
            where_name = argument.name_span or argument.span
            found.append(
                UnknownArgument(
                    where_name,
                    key,
                    similar(key, known),
                    ADVICE.get(key.lower(), ""),
                    owner=name,
                    signature=f"the signature is `{shown}`",
                )
            )
            continue
        if key in bound:
            found.append(
                ExtraArgument(argument.span, f"`{key}` is given twice", "the second time here")
            )
        bound.setdefault(key, argument)
    wrong = any(a.name is not None and a.name not in known for a in args)
    missing = [f"`{s.name}`" for s in slots if s.required and s.name not in bound]
    if missing and not wrong:
        names = " and ".join(missing[:3]) + (" and more" if len(missing) > 3 else "")
        hint = f"such as `{example}`" if example else ""
        label = f"the signature is `{shown}`"
        found.append(MissingArgument(where, name, names, label, hint))
    return bound


def _takes(name: str, slots: tuple[Slot, ...]) -> str:
    count = sum(not s.keyword for s in slots)
    noun = f"{count or 'no'} argument{'' if count == 1 else 's'}"
    return f"`{name}` takes {noun} without a name"


def _extra_hint(name: str, slots: tuple[Slot, ...], args: tuple[t.Argument, ...]) -> str:
    """What people write in the place of an argument too many."""
    names = {s.name for s in slots}
    plain = [a.span.text for a in args if a.name is None]
    if all(s.keyword for s in slots):
        return "leave it out: what comes in is never written; other arguments are `name=value`"
    hints = []
    if "out" in names:
        hints = [f"what comes in is never written: `{' '.join([name, *plain[1:]])}`"]
    hints += ["a stride is `/2`"] if "stride" in names else []
    hints += ["padding is `pad=1`"] if "pad" in names else []
    return "; ".join(hints) or "leave it out, or give it by name: `name=value`"


class _Definition:
    """Checks one block, model or alias."""

    def __init__(self, unit: Unit, found: list[Diagnostic]) -> None:
        self.unit, self.found = unit, found
        self.taps: dict[str, Span] = {}
        self.calls: dict[str, None] = {}  # definitions of this file, in order
        self.in_model = False
        self.once: dict[type, Span] = {}

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
                    scope[statement.name] = statement.name_span
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
                    self._tap(statement.name, statement.name_span)
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
                    inner[step.variable] = step.variable_span
                self._body(step.body, inner)
            case t.For():
                self._expr(step.items, scope)
                names = dict(zip(step.variables, step.variable_spans, strict=True))
                if step.index and step.index_span:
                    names[step.index] = step.index_span
                self._body(step.body, {**scope, **names})
            case t.If():
                self._expr(step.condition, scope)
                self._body(step.then, scope)
                if isinstance(step.otherwise, t.Body):
                    self._body(step.otherwise, scope)
                elif step.otherwise is not None:
                    self._step(step.otherwise, scope)
            case t.Tap():
                self._tap(step.name, step.span)
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
        word = target is None or (_is_join(target) and alone)
        for argument in call.args:
            self._expr(argument.value, scope, word=word, also=_words(target))
        if call.name in scope:
            return
        if target is None:
            names = similar(call.name, [*self.unit.names(), *scope, "residual", "repeat"])
            other = "" if names else "`archdsl ops` lists the operators"
            hint = ADVICE.get(call.name.lower(), other)
            self.found.append(UnknownOperation(call.name_span, call.name, names, hint))
            return
        if isinstance(target, Block) and target.unit is self.unit:
            self.calls[call.name] = None
        self.unit.targets[call] = target
        before = len(self.found)
        self.unit.bound[call] = bind_call(call, target, self.found)
        if len(self.found) > before:
            self.unit.flawed.add(call)

    # -- names

    def _tap(self, name: str, span: Span) -> None:
        if name in self.taps:
            problem = DuplicateName(span, name, "tap")
            self.found.append(problem.with_related(Label(self.taps[name], "the first one is here")))
        self.taps.setdefault(name, span)

    def _tap_use(self, use: t.TapUse) -> None:
        if use.name not in self.taps:
            near = similar(use.name, self.taps)
            hint = "" if near else f"name a value first: `conv 64 3x3 -> tap {use.name}`"
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
            return
        for part in names_in(expr):
            if isinstance(part, t.Function):
                target = None if part.name in scope else self.unit.target(part.name)
                also |= _words(target)
                if part.name not in FUNCTIONS and not self._known(part.name, scope, also):
                    names, hint = similar(part.name, FUNCTIONS), ADVICE.get(part.name, "")
                    self.found.append(UnknownFunction(part.name_span, part.name, names, hint))
            elif isinstance(part, t.Name) and not self._known(part.name, scope, also):
                names = similar(part.name, [*scope, *CONSTANTS, *(also if len(also) < 20 else ())])
                self.found.append(UnknownName(part.span, part.name, names))

    def _known(self, name: str, scope: dict[str, Span], also: frozenset[str]) -> bool:
        return name in scope or name in also or name == "in" or bool(self.unit.target(name))


def _words(target: Target | None) -> frozenset[str]:
    """The bare words that the arguments of an operator take; of any, where none is known."""
    if isinstance(target, Block):
        return frozenset()
    kinds = TABLE.values() if target is None else (target,)
    return frozenset(w for kind in kinds for a in kind.args.values() for w in a.type.words())


def _is_join(target: Target) -> bool:
    return not isinstance(target, Block) and target.arity is None


def bind_call(
    call: t.Call,
    target: Target,
    found: list[Diagnostic],
    args: tuple[t.Argument, ...] | None = None,
) -> dict[str, t.Argument]:
    """The arguments of a call (or `args`, where more are fixed) to what it calls, and whether it
    may have branches."""
    join = _is_join(target)
    if not join and call.body is not None:
        hint = "for a part of its own, write `label: { ... }`"
        found.append(Misplaced(call.body.span, f"`{call.name}` takes no `{{ ... }}`", hint))
    if not join and call.taps:
        found.append(Misplaced(call.taps[0].span, f"`{call.name}` takes no taps", "`@name -> ...`"))
    if join and (call.body is None) == (not call.taps):
        names = [a.value.name for a in call.args if isinstance(a.value, t.Name) and not a.name]
        taps = "".join(f" @{name}" for name in names) or " @tap"
        hint = f"`{call.name} {{ ... }}` with a branch a line, or `{call.name}{taps}`"
        problem = f"`{call.name}` joins branches"
        found.append(Misplaced(call.span, problem, hint))
        return {}
    args = call.args if args is None else args
    example = "" if isinstance(target, Block) else target.example
    return bind(call.name, signature(target), args, call.name_span, found, example)


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


def is_operator(target: Target) -> bool:
    return isinstance(target, type) and issubclass(target, Op)


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
