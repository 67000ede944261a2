"""Every operator against the torch module that it stands for: shape, weights, cost, values,
refusals, and what `inplace` and `fresh` promise. No test knows an operator; all are drawn from the
table, with arguments from their types."""

from __future__ import annotations

import functools
import itertools
import math
import operator
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
import torchvision
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import shufflenetv2

from archdsl.ops import TABLE, Op
from archdsl.ops.table import TRAINING, Blame, Call, Input, Name, Shape, Sides
from archdsl.ops.types import Bool, Choice, Equation, Float, Floats, Int, Ints, Size, Type

#: What `shape` refuses although torch computes something: (operator, words of the message) -> why.
DELIBERATE = {
    ("conv", "`same_tf` pads with zeros alone"): "it would say nothing",
    ("instance_norm", "needs an input of shape"): "C alone would be taken for C×L without a batch",
    ("affine", "needs an input of shape"): "numbers for channels, of what has none or other ones",
    ("gn", "needs an input of shape"): "no map has four sides; torch asks nothing",
    ("prod", "stands twice"): "a product along what is no longer there",
    ("gn", "more than one value per group"): "torch refuses a batch of one sample alone",
    ("patch_merge", "needs an input of shape"): "H×W would be taken for L×C, and D×H×W×C merge D",
    ("lrn", "needs an input of shape"): "torch fails on C×D×H×W that was permuted",
    ("pixel_shuffle", "needs an input of shape"): "C×D×H×W would shuffle D",
    ("pixel_unshuffle", "needs an input of shape"): "C×D×H×W would shuffle D",
    ("ln", "dimensions"): "the constructor takes sizes, and only those that exist are printed",
    ("departition", "do not make windows"): "as many numbers as other windows have, dealt anew",
    ("deconv", "nothing is left"): "a tensor without values",
    ("fit", "needs an input of shape"): "of a single number nothing is cut",
    ("fit", "takes two values"): "others would change nothing",
    ("fit", "somewhere"): "the mode says that it must not",
    ("flatten", "is the batch"): "it stays only where there is nothing else",
    ("flatten", "does not exist"): "the batch, where there is nothing else",
    ("cumsum", "does not exist"): "the batch",
    ("std", "a single value"): "torch gives NaN",
    ("var", "a single value"): "torch gives NaN",
    ("chunk", "does not exist"): "the batch, all of it",
    ("einsum", "has two sizes"): "torch repeats a 1",
    ("unfold", "needs an input of shape"): "H×W would be taken for C×H×W without a batch",
    ("fold", "needs an input of shape"): "L would be taken for C×L without a batch",
    ("lstm", "needs an input of shape"): "C alone would be taken for L×C without a batch",
    ("gru", "needs an input of shape"): "C alone would be taken for L×C without a batch",
    ("sdpa", "joins 3 branches, not 4"): "torch takes the fourth for a mask",
    ("sdpa", "needs queries"): "of C alone the batch would be the sequence; torch takes any rank",
    ("tile", "numbers, but the input"): "torch counts from the last dimension",
    ("expand", "a size of 0"): "a tensor without values",
    ("repeat_interleave", "does not exist"): "the batch, where `n` is 1",
    ("roll", "does not exist"): "the batch",
    ("normalize", "does not exist"): "the batch",
    ("concat", "does not exist"): "the batch: of one branch it is the branch",
    ("slice", "does not exist"): "the batch, all of it",
    ("slice", "nothing is left"): "a tensor without values",
    ("maxpool", "see padding alone"): "-inf forward, and a backward that corrupts memory",
    ("pad", "a circular border of"): "torch takes it from memory that nobody wrote",
    ("pad", "nothing is left"): "a tensor without values",
    ("pad", "too many"): "a border of 0 around the batch",
}

# ARCHDSL_OPS_EXAMPLES=5000 for a thorough, random run
EXAMPLES = os.environ.get("ARCHDSL_OPS_EXAMPLES")
PROFILE = settings(
    max_examples=int(EXAMPLES or 40),
    derandomize=EXAMPLES is None,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
BATCH = 2

every_operator = pytest.mark.parametrize("kind", TABLE.values(), ids=list(TABLE))


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


# ---- drawing ---------------------------------------------------------------------------------


def values(kind: Type) -> st.SearchStrategy[Any]:
    """Small values of a type, as the operator gets them."""
    match kind:
        case Bool():
            raw = st.booleans()
        case Choice(options):
            raw = st.sampled_from(options)
        case Int(low, high):
            small = max(low, -1)
            raw = st.integers(small, min(high, small + 2)) | st.integers(max(low, -4), min(high, 8))
        case Float():
            some = st.sampled_from([-0.5, 0.0, 1e-5, 0.1, 0.5, 1.0, 2.0])
            raw = (some | st.floats(-1, 3, width=32, allow_subnormal=False)).filter(kind.accepts)
        case Floats():
            raw = st.lists(values(Float()), min_size=1, max_size=4).map(tuple)
        case Size(low, words):
            side = st.integers(low, low + 2) | st.integers(low, low + 5)
            raw = side | st.lists(side, min_size=1, max_size=3).map(tuple)
            raw = raw | st.sampled_from(words) if words else raw
        case Ints(low, one):
            number = st.integers(max(low, -3), 6)
            orders = st.integers(1, 4).flatmap(lambda n: st.permutations(range(n)))
            likely = st.lists(st.sampled_from((-1, 1, 2)), min_size=1, max_size=4)
            lists = st.lists(number, min_size=1, max_size=6) | orders | likely
            raw = number | lists.map(tuple) if one else lists.map(tuple)
            raw = raw.filter(kind.accepts)
        case Equation():
            raw = equations()
        case _:
            raise NotImplementedError(kind)
    return raw.map(kind.convert)


def operators(kind: type[Op]) -> st.SearchStrategy[Op]:
    drawn = {
        key: values(spec.type) if spec.required else st.just(spec.default) | values(spec.type)
        for key, spec in kind.args.items()
    }
    return st.fixed_dictionaries(drawn).map(lambda given: kind(**given))


SIDE = st.integers(1, 6) | st.sampled_from((2, 4, 8))
RANK = st.sampled_from((3, 2, 1, 4, 3, 0))
SHAPE = RANK.flatmap(lambda rank: st.tuples(*[SIDE] * rank))


@st.composite
def branches(draw: st.DrawFn) -> tuple[Shape, ...]:
    """Inputs of a join: mostly alike."""
    first = draw(SHAPE)
    result = [first]
    for _ in range(draw(st.integers(1, 2))):
        other = list(first)
        for place in draw(st.lists(st.integers(0, 3), max_size=2)):
            if place < len(other):
                other[place] = draw(st.just(1) | SIDE)
        result.append(draw(st.just(tuple(other)) | SHAPE))
    return tuple(result)


@st.composite
def equations(draw: st.DrawFn) -> str:
    """Terms of like dimensions; letters of the result come from them, mostly."""
    rank = draw(st.sampled_from((3, 3, 2, 1)))
    first = "cde"[:rank]
    terms = [first]
    for fresh in ("fgh", "ijk")[: draw(st.sampled_from((1, 1, 1, 0, 2)))]:
        own = draw(st.lists(st.booleans(), min_size=rank, max_size=rank))
        terms.append("".join(b if o else a for a, b, o in zip(first, fresh, own, strict=False)))
    letters = draw(st.permutations(sorted(set("".join(terms)))))
    result = "".join(letters[: draw(st.integers(0, len(letters)))])
    batch = draw(st.sampled_from("bbbbbc"))
    return f"{','.join('b' + term for term in terms)}->{batch}{result}"


@st.composite
def fitting(draw: st.DrawFn, examples: tuple[Shape, ...]) -> tuple[Shape, ...]:
    """Shapes like those of an example: equal sizes stay equal."""
    sizes = sorted({size for shape in examples for size in shape})
    other = {size: draw(st.just(size) | SIDE) for size in sizes}
    return tuple(tuple(other[size] for size in shape) for shape in examples)


def inputs(kind: type[Op]) -> st.SearchStrategy[tuple[Shape, ...]]:
    if kind.arity is None:
        like = fitting(kind.example_inputs) if kind.example_inputs else None
        drawn = branches() | st.tuples(SHAPE) if kind.instead else branches()
        return drawn if like is None else like | like | like | drawn
    return st.tuples(SHAPE)


# ---- running a `Call` ------------------------------------------------------------------------

INFIX = {"+": operator.add, "*": operator.mul, "-": operator.sub, "/": operator.truediv}


def run(
    op: Op, lowered: Call | None, xs: Sequence[Tensor] = (), training: bool = True, **known: Any
) -> Any:
    """What the printed call would compute; `known`: names it may use."""
    assert lowered is not None
    space: dict[str, Any] = {"math": math, "nn": nn, "F": F, "torch": torch, **known}
    exec("\n\n".join(op.defines()), space)

    def value(item: Any) -> Any:
        if isinstance(item, Input):
            return xs if item.index is None else xs[item.index]
        if isinstance(item, Sides):
            return xs[item.index].shape[-item.count :]
        if item == TRAINING:
            return training
        if isinstance(item, Name):
            return eval(item.text, space)
        if isinstance(item, tuple):
            return tuple(map(value, item))
        assert item is None or isinstance(item, (bool, int, float, str)), item
        return item

    args = [value(item) for item in lowered.args]
    if lowered.target in INFIX:
        return functools.reduce(INFIX[lowered.target], args)
    result = eval(lowered.target, space)(*args, **{k: value(v) for k, v in lowered.kwargs})
    return result if lowered.item is None else result[lowered.item]


def build(op: Op, shapes: tuple[Shape, ...], **more: Any) -> Callable[..., Tensor]:
    """The torch module, or for a join, which has none, its function."""
    if op.arity is None:
        return lambda *xs: run(op, op.function(*shapes), xs)
    lowered = op.module(*shapes)
    return run(op, replace(lowered, kwargs=(*lowered.kwargs, *more.items())))


def batch(op: Op, shapes: tuple[Shape, ...], size: int = BATCH) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    if op.below:
        end = getattr(op, op.below)
        return [torch.randint(end, (size, *s), generator=generator).float() for s in shapes]
    return [torch.randn(size, *shape, generator=generator) for shape in shapes]


def seeded(compute: Callable[..., Tensor], *xs: Tensor) -> Tensor:
    torch.manual_seed(1)
    return compute(*xs)


def equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.equal(a.nan_to_num(7.0), b.nan_to_num(7.0))


# ---- the tests -------------------------------------------------------------------------------


def refusal(op: Op, shapes: tuple[Shape, ...]) -> Blame | None:
    """What `shape` says against it, checked to be well formed."""
    try:
        op.shape(*shapes)
    except Blame as blame:
        assert blame.message
        assert blame.field is None or blame.field in op.args
        return blame
    return None


@every_operator
def test_as_torch(kind: type[Op]) -> None:
    """Shape, weights, cost and values where it accepts; torch refuses what it refuses."""

    @PROFILE
    @given(operators(kind), inputs(kind))
    def check(op: Op, shapes: tuple[Shape, ...]) -> None:
        blame = refusal(op, shapes)
        if blame is None:
            agrees(op, shapes)
        elif not any(kind.name == name and words in blame.message for name, words in DELIBERATE):
            assert torch_refuses(op, shapes), blame.message

    check()


def torch_refuses(op: Op, shapes: tuple[Shape, ...], xs: list[Tensor] | None = None) -> bool:
    """It raises, or makes something of the batch as if that were one more dimension."""
    xs = xs or batch(op, shapes, size=7)  # no side has 7
    size = len(xs[0])
    try:
        layer = build(op, shapes)
        layer(*xs)
        if isinstance(layer, nn.Module):
            layer.eval()
        one, other = layer(*xs), layer(*(torch.cat([x[:1], x[1:] + 1]) for x in xs))
    except Exception:
        return True
    return one.shape[:1] != (size,) or not equal(one[0], other[0])


def agrees(op: Op, shapes: tuple[Shape, ...]) -> None:
    xs = batch(op, shapes)
    torch.manual_seed(0)
    layer = build(op, shapes)
    with torch.no_grad():
        result = seeded(layer, *xs)
    assert tuple(result.shape) == (BATCH, *op.shape(*shapes))
    # of one sample, which batch normalisation may refuse; a part may be the same for any batch
    assert 2 * cost(layer, batch(op, shapes, 2)) - cost(layer, batch(op, shapes, 3)) == op.macs(
        *shapes
    )
    if not isinstance(layer, nn.Module):
        return
    state = layer.state_dict()
    assert [(w.name, w.shape, w.dtype) for w in op.weights(*shapes)] == [
        (name, tuple(t.shape), str(t.dtype).removeprefix("torch.")) for name, t in state.items()
    ]
    assert {w.name for w in op.weights(*shapes) if w.buffer} == dict(layer.named_buffers()).keys()
    lowered = op.function(*shapes)
    if lowered is not None:
        for training in (True, False):
            layer.train(training)
            expected = seeded(layer, *xs)
            torch.manual_seed(1)
            assert equal(run(op, lowered, xs, training), expected)


def cost(layer: Callable[..., Tensor], xs: list[Tensor]) -> float:
    """Multiply-accumulates. (Not every torch counts the kernel that joins attention's products.)"""
    plain, own = sdpa_kernel(SDPBackend.MATH), torch.backends.mkldnn.flags(enabled=False)
    with torch.no_grad(), plain, own, FlopCounterMode(display=False) as counter:
        layer(*xs)
    return counter.get_total_flops() / 2


@every_operator
def test_saved(kind: type[Op]) -> None:
    """What lives on for the backward pass, to a tenth of what flows through."""

    @settings(PROFILE, max_examples=PROFILE.max_examples // 4)
    @given(operators(kind), inputs(kind))
    def check(op: Op, shapes: tuple[Shape, ...]) -> None:
        if refusal(op, shapes) is None:
            said, actual = op.saved(*shapes), kept(op, shapes, 3) - kept(op, shapes, 2)
            into, out = 4 * sum(map(math.prod, shapes)), 4 * math.prod(op.shape(*shapes))
            whole = into * said.input + out * said.output + said.more
            assert abs(whole - actual) <= 0.1 * (into + out) + 64

    check()


def kept(op: Op, shapes: tuple[Shape, ...], size: int) -> int:
    """Bytes that live on, without parameters."""
    layer = build(op, shapes)
    xs = [x.requires_grad_() * 1 for x in batch(op, shapes, size)]
    own = [*layer.parameters(), *layer.buffers()] if isinstance(layer, nn.Module) else []
    held: list[Tensor] = []

    def hold(tensor: Tensor) -> Tensor:
        held.append(tensor)
        return tensor

    own_kernels = torch.backends.mkldnn.flags(enabled=False)  # oneDNN's keep a workspace
    with own_kernels, torch.autograd.graph.saved_tensors_hooks(hold, lambda tensor: tensor):
        out = layer(*xs)
    shared = out.untyped_storage().data_ptr() in {x.untyped_storage().data_ptr() for x in xs}
    assert shared or not op.saved(*shapes).view
    stores = [tensor.untyped_storage() for tensor in held]
    memory = {s.data_ptr(): s.nbytes() for s in stores}
    return sum(memory.values()) - sum(memory.get(w.data_ptr(), 0) for w in own)


@every_operator
def test_in_place(kind: type[Op]) -> None:
    """`inplace`: the same values and gradients. `fresh`: the same once what it returned is
    overwritten."""

    @PROFILE
    @given(operators(kind), inputs(kind), st.booleans())
    def check(op: Op, shapes: tuple[Shape, ...], training: bool) -> None:
        if refusal(op, shapes) is None:
            expected = learn(op, shapes, training)
            for inplace in {False, kind.inplace}:
                found = learn(op, shapes, training, inplace=inplace, overwrite=kind.fresh)
                assert all(map(equal, found, expected))

    if kind.inplace or kind.fresh:
        check()


def learn(
    op: Op,
    shapes: tuple[Shape, ...],
    training: bool,
    inplace: bool = False,
    overwrite: bool = False,
) -> list[Tensor]:
    """The loss and the gradients of inputs and weights, with a relu behind the operator."""
    torch.manual_seed(0)
    layer = build(op, shapes, **({"inplace": True} if inplace else {}))
    leaves = [x.requires_grad_() for x in batch(op, shapes)]
    if isinstance(layer, nn.Module):
        layer.train(training)
        leaves += layer.parameters()
    out = seeded(layer, *(x * 1 for x in leaves[: len(shapes)]))
    out = F.relu(out, inplace=overwrite)
    loss = (out * torch.linspace(0, 1, out.numel()).view(out.shape)).sum()
    return [loss, *torch.autograd.grad(loss, leaves)]


@pytest.mark.parametrize("mode", ["row", "batch"])
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("training", [True, False])
def test_stochastic_depth_is_torchvisions(mode: str, p: float, training: bool) -> None:
    """To the bit, and it leaves the random numbers where torchvision leaves them."""
    op = TABLE["stochastic_depth"](p=p, mode=mode)
    x = torch.randn(16, 3, 4)
    ours = run(op, op.module((3, 4))).train(training)
    theirs = torchvision.ops.StochasticDepth(p, mode).train(training)
    assert equal(
        seeded(lambda x: ours(x) + torch.rand(1), x), seeded(lambda x: theirs(x) + torch.rand(1), x)
    )


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_channel_shuffle_is_torchvisions(groups: int) -> None:
    op = TABLE["channel_shuffle"](groups=groups)
    x = torch.randn(2, 6, 4, 5)
    assert equal(run(op, op.function((6, 4, 5)), [x]), shufflenetv2.channel_shuffle(x, groups))


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_accepted_borders_are_made_of_the_input(mode: str) -> None:
    """By exhaustion, also where one side is cut: torch reads what nobody wrote where `circular`
    wraps around more than is left."""
    accepted = 0
    for side, before, after in itertools.product(range(1, 6), range(-5, 6), range(-5, 6)):
        op = TABLE["pad"](sizes=(before, after), mode=mode)
        if refusal(op, ((2, side),)) is not None:
            continue
        accepted += 1
        x = torch.arange(1, side + 1).double().expand(1, 2, side)
        kept = x[..., max(-before, 0) : side - max(-after, 0)]
        out = run(op, op.function((2, side)), [x])
        if mode == "circular":
            places = torch.arange(-max(before, 0), kept.shape[-1] + max(after, 0))
            assert equal(out, kept[..., places % kept.shape[-1]])
        else:
            assert set(out.flatten().tolist()) <= set(x.flatten().tolist())
    assert accepted > 100
