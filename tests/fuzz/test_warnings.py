"""Random specs that show warnings: what a warning claims is so, and what its fix changes is nothing
but what had no effect."""

from __future__ import annotations

import copy
import math
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archdsl.diagnostics.model import Diagnostic
from archdsl.fix import fixed
from archdsl.ir.graph import Graph, Node, Param, Program
from archdsl.ops import TABLE
from archdsl.ops.table import Op, Shape
from archdsl.pipeline import Spec, open_spec
from archdsl.runtime.module import build
from tests.fuzz import specs as drawn
from tests.fuzz import verdict
from tests.fuzz.specs import Maker, operation
from tests.fuzz.verdict import cleaned
from tests.ops.test_against_torch import build as built

#: of warnings alone: a spec with errors computes nothing that a fix could change
FIXABLE = {"W0002"}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


# ---- fixes -----------------------------------------------------------------------------------


def layered(rng: random.Random) -> str:
    """Layers in front of norms, in all the ways in which the text can say it: right behind or far,
    labelled, repeated, tapped, joined, called by another name, with a condition between."""
    count = 0

    def fresh(stem: str) -> str:
        nonlocal count
        count += 1
        return f"{stem}{count}"

    def layer() -> str:
        name = rng.choice([*["conv"] * 5, "deconv", "deconv", "linear", "first", "convolved"])
        args = "8" if name in ("linear", "convolved") else rng.choice(["8 1", "8 3 pad=1"])
        more = [" groups=2", " bias=true", " bias=(n > 1)"] if name in ("conv", "deconv") else [""]
        times = rng.choice([*[""] * 7, " x2", " x(n)", " x(n - 1)"])
        return f"{name} {args}{rng.choice([*more, '', '', '', ''])}{times}"

    def norm() -> str:
        args = [" eps=1e-3", " momentum=0", " momentum=m", " affine=false", *[""] * 5, " x(n - 1)"]
        plain = rng.choice(["bn", "bn", "bn", "instance_norm"]) + rng.choice(args)
        return rng.choice([*[plain] * 7, "gn 8", "gn groups", "second", "ln"])

    def between() -> str:
        near = [" -> ", "\n", "; ", "\n-> ", "  # so\n", f"\n\n{fresh('b')}: "]
        others = [f" -> {fresh('c')}: ", f" -> tap {fresh('t')} -> ", " -> relu -> "]
        others += [" -> dropout 0.1 -> ", "\nlet q = 1\n", " -> identity -> "]
        return rng.choice([*near * 3, *others])

    def pair() -> str:
        where = rng.choice(WHERE).replace("NAME", fresh("g"))
        label = "" if "aux" in where or rng.random() < 0.6 else f"{fresh('a')}: "
        return where.replace("PAIR", f"{label}{layer()}{between()}{norm()}")

    inits = ["init conv.bias zeros", "init a1.bias zeros", "init conv normal std=0.1"]
    init = rng.choice(inits) if rng.random() < 0.1 else ""
    lines = "\n".join([init, *(pair() for _ in range(rng.choice([1, 2])))])
    start = rng.choice(["8x6x6", "8x6x6", "8x6x6", "8x6", "8"])
    block = f"block part(first=conv, bn=bn, second=bn, n=1, m=0.1, groups=8) {{\n{pair()}\n}}"
    part = rng.choice(["part", "part bn=gn(2)", "part n=2 -> part", "part first=deconv", ""])
    given = "n=1, m=0.1, groups=8, first=conv, second=bn"
    return (
        f"block convolved(out) {{ conv out 1 }}\n{block}\n"
        f"model net({given}) {{\ninput {start}\n{lines}\n{part}\n}}\n"
        f"model other({given}) {{\ninput 8x6\n{part}\n}}\n"
    )


WHERE = [
    *["PAIR"] * 4,
    "{ PAIR }",
    "NAME: { PAIR }",
    "residual { PAIR }",
    "add {\nidentity\nPAIR\n}",
    "mul { for k in [1, 2] { g{k}: { PAIR } } }",
    "NAME: repeat 2 as i { r{i}: { PAIR } }",
    "if n > 1 { PAIR } else { relu }",
    "if n < 2 {\nPAIR\n}",
    "tap NAME\nPAIR -> add @NAME",
    "NAME: aux { PAIR }",
]
#: other values than the defaults: a fix holds for them too
GIVEN: list[dict[str, Any]] = [{"n": 2}, {"m": 0}, {"first": "deconv"}, {"groups": 4}]


def steered(rng: random.Random) -> str:
    """The fuzz's own specs, of layers and norms for the most part."""
    return Maker(rng).spec()


@pytest.mark.parametrize(("make", "count"), [(layered, 80), (steered, 100)])
def test_a_fix_changes_nothing_that_had_an_effect(
    make: Any, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = "conv conv conv deconv bn bn bn bn instance_norm relu"
    monkeypatch.setattr(drawn, "OPERATORS", [TABLE[name] for name in some.split()])
    shown: set[str] = set()
    mended = compared = 0
    for seed in range(count):
        spec = open_spec(make(random.Random(seed)))
        after, done = fixed(spec, lambda found: found.severity == "warning")
        if spec.every.programs and done:
            shown |= {found.code for found in done}
            with cleaned():
                compared += unchanged(spec, after)
            mended += 1
    assert shown == FIXABLE
    assert mended > 2 and compared > mended / 2


def unchanged(before: Spec, after: Spec) -> int:
    """With the defaults and with other values: as much accepted, the same keys but for biases, and
    the same values and gradients."""
    compared = 0
    for given in ({}, *GIVEN):
        first, second = (replace(spec, params=given).every.programs for spec in (before, after))
        assert first.keys() == second.keys(), (before.source.text, given)
        for name in first:
            computes_the_same(first[name], second[name])
            compared += 1
    return compared


def computes_the_same(before: Program, after: Program) -> None:
    old, new = dict(before.state()), dict(after.state())
    gone = old.keys() - new.keys()
    assert list(new) == [key for key in old if key in new]
    assert {key.rpartition(".")[2] for key in gone} <= {"bias"}
    torch.manual_seed(0)
    first, second = build(before).double(), build(after).double()
    for module in (first, second):
        for part in module.modules():  # one batch is enough for the running statistics
            if isinstance(part, nn.modules.batchnorm._NormBase) and part.momentum:
                part.momentum = 1.0
    with torch.no_grad():
        for param in first.parameters():
            param.add_(torch.randn_like(param))
    second.load_state_dict({k: v for k, v in first.state_dict().items() if k in new})
    xs = verdict.drawn(before, 4)
    assert_close(trained(first, *xs), trained(second, *xs))
    grads = {name: p.grad for name, p in first.named_parameters() if p.grad is not None}
    others = {name: p.grad for name, p in second.named_parameters() if p.grad is not None}
    assert grads.keys() - gone == others.keys()
    scale = max([1.0, *(float(grad.abs().max()) for grad in grads.values())])
    loose = 1e-9 * scale + 100 * rounding(first, xs)
    for name, grad in grads.items():
        expected = others.get(name, torch.zeros_like(grad))
        assert torch.allclose(grad, expected, rtol=1e-6, atol=loose), name
    with torch.no_grad():
        assert_close(outputs(first.eval()(*xs)), outputs(second.eval()(*xs)))


def rounding(module: nn.Module, xs: list[Tensor]) -> float:
    """How far a change of inputs and weights in their last digits moves the gradients."""
    found = []
    for step in (0.0, 1e-15):
        copied = copy.deepcopy(module)
        copied.zero_grad()
        with torch.no_grad():
            for param in copied.parameters():
                param.mul_(1 + step * torch.randn_like(param))
        trained(copied, *(x * (1 + step * torch.randn_like(x)) for x in xs))
        found.append([p.grad for p in copied.parameters() if p.grad is not None])
    pairs = zip(*found, strict=True)
    return max((float((one - two).abs().max()) for one, two in pairs), default=0.0)


def trained(module: nn.Module, *xs: Tensor) -> list[Tensor]:
    torch.manual_seed(1)
    out = outputs(module.train()(*verdict.cloned(xs)))
    torch.manual_seed(2)
    terms = [(torch.randn_like(o) * o).sum() for o in out if o.requires_grad]
    if terms:
        torch.stack(terms).sum().backward()
    return [o.detach() for o in out]


def outputs(out: Any) -> list[Tensor]:
    return [o for o in out if o is not None] if isinstance(out, tuple) else [out]


def assert_close(first: list[Tensor], second: list[Tensor]) -> None:
    for one, other in zip(first, second, strict=True):
        assert torch.allclose(one, other, rtol=1e-6, atol=1e-8, equal_nan=True)


# ---- what warnings claim ---------------------------------------------------------------------


def test_a_bias_is_lost_where_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of some run of its step, at least: a text may be called before a norm and elsewhere."""
    some = "conv deconv linear bn instance_norm gn ln ln2d relu identity"
    monkeypatch.setattr(drawn, "OPERATORS", [TABLE[name] for name in some.split()])
    claims = 0
    for seed in range(260):
        spec = open_spec(Maker(random.Random(seed)).spec())
        lost = [found for found in spec.diagnostics if found.code == "W0002"]
        if spec.program is None or not lost or any(d.code == "W0020" for d in spec.diagnostics):
            continue  # of what is constant, a norm divides the rounding errors by nearly nothing
        with cleaned():
            torch.manual_seed(0)
            module = build(spec.program).double()
            trained(module, *verdict.drawn(spec.program, 5))
        grads = {name: p.grad for name, p in module.named_parameters() if p.grad is not None}
        top = max([1.0, *(float(grad.abs().max()) for grad in grads.values())])
        for found in lost:
            keys = [f"{k}.bias" for k, item in spec.program.walk() if item.span == found.span]
            least = min(size(grads.get(key)) for key in keys)
            if not math.isnan(least):  # by a variance of 0, elsewhere
                assert least < 1e-9 * top, spec.source.text
                claims += 1
    assert claims > 30


def size(grad: Tensor | None) -> float:
    return 0.0 if grad is None else float(grad.abs().max())


def test_parameters_without_use_are_warned_of() -> None:
    """Where no output reads a parameter, some step's value is never used."""
    dead = 0
    for seed in range(200):
        spec = open_spec(Maker(random.Random(seed)).spec())
        if spec.program is None:
            continue
        used = set(read(spec.program.graph, "", range(len(spec.program.graph.outputs))))
        unused = [key for key, weight in spec.program.state() if not weight.buffer]
        unused = [key for key in unused if not {key, *starts(key)} & used]
        codes = {found.code for found in spec.diagnostics}
        assert not unused or codes & {"W0005", "W0015"}, spec.source.text
        dead += "W0015" in codes
    assert dead > 10


def starts(key: str) -> Iterator[str]:
    """The names around: `a.b` and `a` of `a.b.c`."""
    while key := key.rpartition(".")[0]:
        yield key


def read(graph: Graph, prefix: str, wanted: Any) -> Iterator[str]:
    """The parameters, and the prefixes of whole layers, that some of a graph's outputs depend on,
    or that run in training alone; at last the numbers of the inputs."""
    values = {graph.outputs[place] for place in wanted}
    end = len(graph.value_shapes)
    for item in reversed(graph.items):
        end -= len(item.shapes)
        places = [place for place in range(len(item.shapes)) if end + place in values]
        if not places and not getattr(item, "training_only", False):
            continue
        if isinstance(item, (Node, Param)):
            yield f"{prefix}{item.name}"
            values.update(item.inputs)
            continue
        for found in read(item.graph, f"{prefix}{item.name}.", places or [0]):
            if found.startswith("#"):
                values.add(item.inputs[int(found[1:])])
            else:
                yield found
    yield from (f"#{value}" for value in values if value < len(graph.input_shapes))


SHAPES: list[Shape] = [
    (1,),
    (4,),
    (1, 1),
    (4, 1),
    (1, 4),
    (2, 3, 1),
    (3, 1, 4),
    (1, 3, 3),
    (4, 3, 3),
]


def calls() -> Iterator[tuple[Op, Shape]]:
    """Random calls of every operator that fit."""
    yield TABLE["affine"](scale=(0.0,), shift=(1.0,)), (4, 3, 3)
    rng = random.Random(0)
    for kind in drawn.OPERATORS:
        for _ in range(12):
            for shape in SHAPES:
                try:
                    op = operation(rng, kind, {"in": shape})[1]({"in": shape})
                    op.shape(shape)
                except Exception:  # does not fit
                    continue
                yield op, shape


def computed(op: Op, shape: Shape, x: Tensor) -> Tensor:
    torch.manual_seed(0)
    return built(op, (shape,))(x)  # in training


def test_nothing_passes_where_it_is_said() -> None:
    said: set[str] = set()
    for op, shape in calls():
        if not op.lost(shape) or getattr(op, "eps", 1) == 0:
            continue
        xs = [torch.randn(2, *shape) for _ in range(3)]
        first, *others = (computed(op, shape, x) for x in xs)
        assert all(torch.allclose(first, other, atol=1e-6) for other in others), (op, shape)
        said.add(op.name)
    everything = "softmax log_softmax ln ln2d dropout channel_dropout stochastic_depth affine "
    everything += "scale clamp"
    assert said == set(everything.split())


@pytest.mark.parametrize("pad", ["1", "2", "same", "1 padding_mode=replicate", "0"])
@pytest.mark.parametrize("kernel", ["3x3", "2x2", "1x3", "5x5", "1x1"])
def test_windows_on_one_cell_learn_one_weight(kernel: str, pad: str) -> None:
    """Where it is said, and nowhere else."""
    spec = open_spec(f"model m {{ input 4x1x1; conv 3 {kernel} pad={pad} }}")
    if spec.program is None:
        return
    with cleaned():
        module = build(spec.program)
        trained(module, torch.randn(5, 4, 1, 1))
    grads = module.get_parameter("0.weight").grad
    assert grads is not None
    learning = int(grads.abs().sum((0, 1)).count_nonzero())
    said = any(found.code == "W0009" for found in spec.diagnostics)
    assert said == (learning == 1 < grads[0, 0].numel())


def test_attention_to_one_place_learns_no_queries() -> None:
    said: set[str] = set()
    for op, shape in calls():
        if op.places(shape) != 1:
            continue
        layer, x = built(op, (shape,)), torch.randn(2, *shape)
        assert isinstance(layer, nn.Module)
        weight = next(p for name, p in layer.named_parameters() if name.endswith("weight"))
        assert len(weight) == 3 * shape[-1]  # of queries, keys and values
        trained(layer, x)
        assert weight.grad is not None and not weight.grad[: 2 * shape[-1]].any()
        said.add(op.name)
    assert said == {"mha", "window_attention", "relative_attention"}


def test_what_is_never_negative_passes_as_it_is() -> None:
    positive, kept = set(), set()
    for op, shape in calls():
        x = torch.randn(2, *shape) * 3
        if op.nonnegative:
            assert not (computed(op, shape, x) < 0).any(), op  # NaN is not
            positive.add(op.name)
        if op.keeps_positive:
            assert torch.equal(computed(op, shape, x.abs()), x.abs()), op
            kept.add(op.name)
    assert kept == {"relu", "leaky_relu", "prelu", "elu", "celu", "abs"}
    bounded = {"relu", "relu6", "sigmoid", "hardsigmoid", "softmax"}
    assert positive == bounded | {"exp", "sqrt", "rsqrt", "square", "abs", "std", "var", "norm"}


def test_names_that_are_never_used_may_go() -> None:
    """A parameter or variable that is said to be unused: with another value it is the same net."""
    gone = 0
    for seed in range(60):
        spec = open_spec(Maker(random.Random(seed)).spec())
        if spec.program is None:
            continue
        unused = [d for d in spec.diagnostics if d.code == "W0004"]
        found = [d for d in unused if "in `m`" in d.primary.text]
        for one in found:
            other = open_spec(spec.source.text, params={named(one): 77}).program
            assert other is not None and list(other.state()) == list(spec.program.state())
            gone += 1
    assert gone > 10


def named(found: Diagnostic) -> str:
    return re.findall("`(.*?)`", found.message)[0]
