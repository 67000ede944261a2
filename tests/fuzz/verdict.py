"""A spec's verdict: what is accepted runs in torch as predicted; what is refused, torch refuses.

An accepted program is built and run; an interpreter, which calls one layer or function after the
other, shows every value on the way. For a refused one the program up to the refusal is built: its
outputs are the very tensors that the operator would get, and torch must not take them.
"""

from __future__ import annotations

import copy
import dataclasses
import linecache
import random
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from archdsl.checker import elaborate
from archdsl.checker.arguments import operator
from archdsl.checker.build import Builder, Draft, Value, freeze, operand_shapes
from archdsl.checker.report import Reporter
from archdsl.ir.graph import Graph, Node, Param, Program, Scope
from archdsl.ops import Op
from archdsl.ops.table import Blame
from archdsl.pipeline import Spec, open_spec
from archdsl.runtime.module import PACKAGE, build
from archdsl.syntax import tree as t
from tests.fuzz.specs import Maker
from tests.ops.test_against_torch import DELIBERATE, cost, run, torch_refuses

torch.backends.mha.set_fastpath_enabled(False)  # in evaluation, which counts no products
BATCH = 11  # no side has so many, mostly
#: what is refused although torch computes something: (operator, words of the message) -> why
MEANT = {
    **DELIBERATE,
    ("conv", "at least 0, or `half`"): "with another border than zeros, less than none crops",
    ("deconv", "`dilation` of `deconv`"): "a kernel of 1 has no use for it",
    ("linear", "of at least 1"): "a tensor without values",
    ("gap", "of at least 1"): "a tensor without values",
    ("adaptive_maxpool", "of at least 1"): "a tensor without values",
    ("ln", "of at least 1"): "`shape[-0:]` is all of them to Python",
    ("lstm", "at most 100"): "each has weights to list",
    ("gru", "at most 100"): "each has weights to list",
    ("window_attention", "of at least 0"): "a shift to the other side",
    ("add", "residual"): "a residual is a sum of equals, not of what can be repeated",
}
#: what a value may not be although torch takes it, for any operator
VALUES = {
    "must be true or false": "to Python, everything is one of them",
    "must be a number": "torch computes on, to NaN or with a slope that it cannot invert",
    "must be one of": "torch looks at the word only where it needs it",
}
#: torch's own backward ends the process where coordinates are NaN, as random ones may be
CRASHES = ("grid_sample",)
#: no step is to blame: it would give no batch; a rule of torch.nn.init refuses the weight
NO_STEP = ("E0206", "E0208")
#: what is refused before an operator is asked
NO_OPERATOR = {"what enters here has no dimensions": "`in` of a single number"}


class Wrong(Exception):
    """The checker and torch disagree."""


def verdict(text: str) -> str:
    """ "accepted", "refused" (by torch too), or "deliberate"; raises `Wrong`."""
    spec = open_spec(text)
    if spec.program is not None:
        agrees(spec.program)
        return "accepted"
    return refusal(spec)


# ---- accepted --------------------------------------------------------------------------------


def agrees(program: Program) -> None:
    torch.manual_seed(0)
    module = build(program)
    state = [(key, w.shape, w.dtype) for key, w in program.state()]
    actual = module.state_dict()
    found = [(k, tuple(v.shape), str(v.dtype).removeprefix("torch.")) for k, v in actual.items()]
    _equal("the state_dict", state, found)
    _equal("parameters", program.params, sum(p.numel() for p in module.parameters()))
    # in double precision: the layers one by one may sum in another order
    module.double()
    xs = drawn(program, 5)
    expected = list(program.output_shapes.values())
    module.eval()
    with torch.no_grad():
        torch.manual_seed(1)
        out = _tuple(module(*cloned(xs)))
        _equal("the outputs", [(5, *e) for e in expected], [tuple(o.shape) for o in out])
        for some in () if _mixes(program) else (slice(2, 3), slice(1, 3)):
            part = _tuple(module(*cloned(x[some] for x in xs)))
            for one, other in zip(out, part, strict=True):
                if not near(one[some], other) and steady(module, xs, out):
                    raise Wrong("a sample's output depends on what else is in the batch")
        torch.manual_seed(1)
        with unwritten_is_nan():
            values = _values(program.graph, module, cloned(xs))
        shown = _of_batch(program, values, program.outputs, 5)
        for one, other in zip(out, shown, strict=True):
            if not near(one, other) and steady(module, xs, out):
                raise Wrong("the module computes another value than its layers one by one")
    _equal("MACs", program.macs, _macs(module, program))
    module.train()
    expected += [program.values[value] for _, value in program.aux]
    for batch in (1, 5, 2):
        leaf = [x[:batch].clone().requires_grad_() for x in xs]
        torch.manual_seed(1)
        plain = _in_training(program, copy.deepcopy(module), leaf) if batch == 5 else None
        torch.manual_seed(1)
        try:
            out = _tuple(module(*leaf))
        except ValueError as error:
            if batch > 1 or "more than 1 value per channel" not in str(error):
                raise
            continue  # a batch normalisation of single values
        wanted = [(batch, *shape) for shape in expected]
        _equal("the outputs in training", wanted, [tuple(o.shape) for o in out])
        for one, other in zip(out, plain or out, strict=True):
            if not near(one, other) and steady(module, leaf, out):
                raise Wrong("in training, another value than of the layers one by one")
    crashes = any(
        getattr(item, "op", None) and item.op.name in CRASHES for _, item in program.walk()
    )
    if (learned := [o.sum() for o in out if o.requires_grad]) and not crashes:
        torch.stack(learned).sum().backward()


def near(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-6, atol=1e-6, equal_nan=True)


def drawn(program: Program, batch: int) -> list[Tensor]:
    """Random inputs."""
    shapes = program.graph.input_shapes
    return [torch.randn(batch, *shape, dtype=torch.double) for shape in shapes]


def cloned(xs: Iterable[Tensor]) -> list[Tensor]:
    return [x.clone() for x in xs]


def steady(module: nn.Module, xs: list[Tensor], out: tuple[Tensor, ...]) -> bool:
    """Whether a change of the input in its last digits leaves the outputs; where not (the cosine of
    a huge number), rounding alone makes them differ."""
    for seed in range(3):
        noise = torch.Generator().manual_seed(seed)
        by = [torch.randn(x.shape, generator=noise, dtype=x.dtype) for x in xs]
        torch.manual_seed(1)
        with torch.no_grad():
            near_by = [x.detach() * (1 + 1e-15 * b) for x, b in zip(xs, by, strict=True)]
            moved = _tuple(module(*near_by))
        if not all(map(near, out, moved)):
            return False
    return True


def _in_training(program: Program, module: nn.Module, xs: list[Tensor]) -> list[Tensor]:
    """The outputs, with those for training alone, layer by layer."""
    with torch.no_grad():
        values = _values(program.graph, module, xs)
    return _of_batch(program, values, (*program.outputs, *program.aux), len(xs[0]))


def _of_batch(
    program: Program, values: list[Tensor], named: Iterable[tuple[str, int]], batch: int
) -> list[Tensor]:
    loose = program.graph.unbatched
    return [
        values[v].expand(batch, *values[v].shape[1:]) if v in loose else values[v] for _, v in named
    ]


def _mixes(program: Program) -> bool:
    """Whether a sample's values are not its own to the last digit: a normalisation without running
    statistics takes the batch's, in evaluation too; random numbers are drawn for all of it; one
    that adds nothing to a variance of 0 divides rounding by rounding, which the places of a vector
    do differently."""
    ops = [item.op for _, item in program.walk() if isinstance(item, Node)]
    own = (op.of_batch and not getattr(op, "track_running_stats", True) for op in ops)
    own = (*own, *(op.random for op in ops))
    return any(own) or any(getattr(op, "eps", 1.0) == 0 for op in ops)


@contextmanager
def unwritten_is_nan() -> Iterator[None]:
    """Memory that torch allots holds NaN, so that what reads it before it is written shows."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def _equal(what: str, ours: Any, torchs: Any) -> None:
    if ours != torchs:
        raise Wrong(f"{what}: {ours} predicted, {torchs} in torch")


def _tuple(out: Any) -> tuple[Tensor, ...]:
    """The outputs, without those for training that are absent in evaluation."""
    return tuple(o for o in out if o is not None) if isinstance(out, tuple) else (out,)


def _macs(module: nn.Module, program: Program) -> float:
    """Of one sample; what does not depend on the batch counts once."""

    def count(batch: int) -> float:
        return cost(module, drawn(program, batch))

    module.requires_grad_(False)  # torch's counter fails on views of parameters that learn
    double = count(2)
    found = double / 2 if double == 2 * program.macs else 2 * double - count(3)
    module.requires_grad_(True)
    return found


def _values(graph: Graph, module: nn.Module, inputs: list[Tensor]) -> list[Tensor]:
    """Every value of a graph; raises `Wrong` where one has another shape than predicted."""
    values = list(inputs)
    for item in graph.items:
        if not isinstance(item, Param) and item.training_only and not module.training:
            values += [torch.empty(0)] * len(item.shapes)  # nobody reads them, nor draws for them
            continue
        args = [values[v] for v in item.inputs]
        if isinstance(item, Scope):
            args = _batched(graph, item, args, len(inputs[0]))
            inner = _values(item.graph, getattr(module, item.name), args)
            made = [inner[v] for v in item.graph.outputs]  # without a batch where it has none
        elif isinstance(item, Param):
            made = [getattr(module, item.name)]
            _equal(f"`{item.name}`", item.shape, tuple(made[0].shape))
        else:
            made = [_node(item, module, _batched(graph, item, args, len(inputs[0])))]
            _equal(f"`{item.op.name}`", item.shape, tuple(made[0].shape[1:]))
        values += made
    return values


def _node(node: Node, module: nn.Module, args: list[Tensor]) -> Tensor:
    layer = getattr(module, node.name or "", None)
    if layer is None and isinstance(module, nn.Module) and node.name in module._modules:
        layer = module._modules[node.name]
    direct = node.op.direct(*node.input_shapes)
    if direct is not None and direct[0].target == f"nn.{type(layer).__name__}":
        call = dataclasses.replace(direct[1], target="layer")
        return run(node.op, call, args, layer=layer)[0]
    if layer is not None:
        return layer(*args)
    return run(node.op, node.op.function(*node.input_shapes), args, training=module.training)


def _batched(graph: Graph, item: Node | Scope, args: list[Tensor], batch: int) -> list[Tensor]:
    """Parameters that stand for a batch, as one."""
    return [
        arg.expand(batch, *arg.shape[1:]) if expand else arg
        for arg, expand in zip(args, graph.expanded(item), strict=True)
    ]


# ---- refused ---------------------------------------------------------------------------------


class Refusal(Exception):
    """The first refusal of an operator; `values`: its operands, at last in the root's scope."""

    def __init__(self, op: Op, values: list[Value], message: str) -> None:
        super().__init__(message)
        self.op, self.values, self.message = op, values, message
        self.shapes = operand_shapes(op, values)
        self.learned = any(v.unbatched for v in values)
        self.prefix: Program | None = None


class _Prober(elaborate._Elaborator):
    """Elaborates up to the first refusal."""

    def _call(
        self, call: t.Call, flow: Value, builder: Builder, frame: Any, label: str | None
    ) -> Value:
        target, bound = self._target(call, frame)
        if isinstance(target, type) and target.arity == 1 and flow.shape is not None:
            report = Reporter()
            wrong = operator(target, bound, frame, report)[0] is None and report.found
            wrong = wrong and not any(isinstance(a.value, t.ValueOf) for a in bound.values())
            if wrong and report.found[0].message not in NO_OPERATOR:
                raw = {k: _raw(target, k, a, frame) for k, a in bound.items()}
                raise Refusal(target(**raw), [flow], report.found[0].message)
        return super()._call(call, flow, builder, frame, label)

    def _apply(self, call: t.Call, op: Op, bound: Any, inputs: list[Value]) -> Any:
        try:
            op.shape(*operand_shapes(op, inputs))
        except Blame as blame:
            raise Refusal(op, inputs, blame.message) from None
        return super()._apply(call, op, bound, inputs)

    def _residual_mismatch(self, step: Any, main: Value, side: Value, *_: object) -> None:
        raise Refusal(elaborate.RESIDUAL(), [main, side], "residual")

    def _block(
        self,
        call: t.Call,
        block: Any,
        bound: Any,
        flow: Value,
        builder: Builder,
        frame: Any,
        label: str | None,
    ) -> Value:
        try:
            return super()._block(call, block, bound, flow, builder, frame, label)
        except Refusal as refusal:
            graph = _prefix(refusal.values)
            flows = [p.name for p in block.values if p.name in bound]
            uses = [bound[name].value for name in flows]
            given = [self._tap(u.use, builder, frame) for u in uses if isinstance(u, t.ValueOf)]
            operands = [flow, *given]
            draft = Draft(builder.next_position(call.span), False, graph, operands, call.span)
            refusal.values = builder.add(draft, *graph.output_shapes)
            raise

    def model(self, model: Any, given: Any) -> Program | None:
        try:
            return super().model(model, given)
        except Refusal as refusal:
            graph = _prefix(refusal.values)
            outputs = tuple((f"operand{i}", v) for i, v in enumerate(graph.outputs))
            refusal.prefix = Program("prefix", graph, outputs, (), "")
            raise


def _raw(kind: type[Op], name: str, argument: t.Argument, frame: Any) -> Any:
    """A value that may be of no use."""
    expr, wanted = argument.value, kind.args[name].type
    word = isinstance(expr, t.Name) and expr.name in wanted.words()
    value = expr.name if word else frame.evaluate(expr)
    if wanted.accepts(value):
        return wanted.convert(value)
    sizes = hasattr(wanted, "or_words") or hasattr(wanted, "one")
    return (value,) if sizes and not isinstance(value, tuple) else value


def _prefix(values: list[Value]) -> Graph:
    """The graph of a block up to some of its values, which become its outputs."""
    root = _outermost(values[0].builder)
    reached = [root.reach(value) for value in values]
    _prune(root)
    root.outputs, root.inits, root.declared = reached, [], {}
    return freeze(root)


def _outermost(builder: Builder | None) -> Builder:
    assert builder is not None
    return builder if builder.parent is None else _outermost(builder.parent)


def _prune(builder: Builder) -> None:
    """Without the groups that nothing has left yet."""
    builder.inits = []
    for draft in builder.drafts:
        if isinstance(draft.content, Builder):
            _prune(draft.content)
    builder.drafts = [d for d in builder.drafts if d.outputs]


def refusal(spec: Spec) -> str:
    with patch.object(elaborate, "_Elaborator", _Prober):
        try:
            found = Spec(spec.source, spec.folder).check().diagnostics  # anew
        except Refusal as refusal:
            return _refused(refusal)
    if found[0].message in NO_OPERATOR or found[0].code in NO_STEP:
        return "deliberate"
    raise Wrong(f"no operator is to blame for {found[0].code}: {found[0].message}")


def _refused(refusal: Refusal) -> str:
    op, shapes, message = refusal.op, refusal.shapes, refusal.message
    if any(op.name == name and words in message for name, words in MEANT):
        return "deliberate"
    assert refusal.prefix is not None
    xs = noise = [torch.randn(BATCH, *shape) for shape in shapes]
    if not refusal.learned:
        torch.manual_seed(0)
        with torch.no_grad():
            given = [torch.randn(BATCH, *s) for s in refusal.prefix.graph.input_shapes]
            out = _tuple(build(refusal.prefix)(*given))
        _equal("the operands", list(shapes), [tuple(o.shape[1:]) for o in out])
        xs = list(out)
    # noise too: a product with zeros shows nothing of a batch taken for another dimension
    if torch_refuses(op, shapes, xs) or torch_refuses(op, shapes, noise):
        return "refused"
    if any(words in message for words in VALUES):
        return "deliberate"
    raise Wrong(f"torch takes {op} on {shapes}: {message}")


# ---- many ------------------------------------------------------------------------------------


@contextmanager
def cleaned() -> Iterator[None]:
    """Forget the modules that were built."""
    yield
    for name in [n for n in sys.modules if n.startswith(PACKAGE + ".")]:
        linecache.cache.pop(f"<{name}>", None)
        del sys.modules[name]


def judged(count: int, first: int) -> tuple[Counter[str], list[tuple[int, str]]]:
    """The verdicts on the specs of some seeds, and the failures with what went wrong."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    verdicts, failures = Counter[str](), []
    for seed in range(first, first + count):
        text = Maker(random.Random(seed)).spec()
        try:
            with cleaned():
                verdicts[verdict(text)] += 1
        except Exception:  # whatever it is, it is a failure
            failures.append((seed, text + traceback.format_exc(limit=-3)))
    return verdicts, failures
