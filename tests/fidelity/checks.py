"""What it means to be torchvision's model, for any builder.

Nothing here is approximate: tensors are compared with `torch.equal`.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from archdsl.runtime.module import build
from tests.fidelity.builders import Case


def same_state(case: Case) -> None:
    """Keys, order, shapes, dtypes and kinds; and so the number of parameters."""
    theirs = case.reference_on_meta()
    program = case.program()
    static = [(key, w.shape, f"torch.{w.dtype}", w.buffer) for key, w in program.state()]
    assert static == _entries(theirs)
    assert program.params == sum(p.numel() for p in theirs.parameters())


def same_module(case: Case) -> None:
    """The same of the module, and the static cost is what torch counts."""
    ours = build(case.program(), device="meta")
    assert _entries(ours) == _entries(case.reference_on_meta())
    assert 2 * case.program().macs == flops(case)


def flops(case: Case) -> int:
    """What torch counts for torchvision's model: two for each multiply-accumulate."""
    theirs = case.reference_on_meta().eval()
    x = torch.empty(1, *case.shape, device="meta")
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # it is one opaque operator
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            theirs(x)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return counter.get_total_flops()


def same_initial_weights(case: Case) -> None:
    """The same seed gives the same weights and leaves the same random numbers to come."""
    theirs, next_of_theirs = _seeded(case.reference)
    expected = theirs.state_dict()
    del theirs
    ours, next_of_ours = _seeded(lambda: build(case.program()))
    found = ours.state_dict()
    assert [*found] == [*expected]
    assert [key for key in expected if not torch.equal(found[key], expected[key])] == []
    assert torch.equal(next_of_ours, next_of_theirs)


def same_behaviour(case: Case, batch: int = 2) -> None:
    """With scrambled weights: the same outputs in evaluation, and in training the same outputs,
    gradients, running statistics and random numbers to come."""
    theirs = case.reference()
    scramble(theirs, case.input(batch))
    ours = build(case.program())
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = case.input(batch)
    with torch.no_grad():
        expected = theirs.eval()(x)
        assert expected.isfinite().all() and expected.std() > 1e-4
        assert torch.equal(ours.eval()(x), expected)
    assert torch.equal(ours(x), theirs(x))  # attention computes otherwise where gradients flow
    for (what, one), (_, other) in zip(_learn(theirs, x), _learn(ours, x), strict=True):
        assert torch.equal(one, other), what


def scramble(model: nn.Module, x: Tensor) -> None:
    """Weights that no part of a model can hide behind: nothing zero, nothing degenerate."""
    torch.manual_seed(3)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.ndim > 1 and p.std() > 1e-3:
                continue
            if p.ndim > 1 and min(p.shape) > 1:  # a head of zeros
                p.normal_(std=0.05)
            elif name.endswith("bias") or p.ndim > 1:
                p.normal_(std=0.2)
            else:
                p.uniform_(0.5, 1.5)
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    if not norms:
        return
    kept = [m.momentum for m in norms]
    for m in norms:
        m.momentum = None  # the mean over all batches, here one
    with torch.no_grad():
        model.train()(x)
    for m, momentum in zip(norms, kept, strict=True):
        m.momentum = momentum


def _entries(model: nn.Module) -> list[tuple[str, tuple[int, ...], str, bool]]:
    buffers = {name for name, _ in model.named_buffers()}
    return [
        (key, tuple(t.shape), str(t.dtype), key in buffers) for key, t in model.state_dict().items()
    ]


def _seeded(make: Any) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    model = make()
    return model, torch.get_rng_state()


def _learn(model: nn.Module, x: Tensor) -> Iterator[tuple[str, Tensor]]:
    """One step of training, as tensors with names; frees the gradients that it has told."""
    model.train()
    x = x.clone().requires_grad_()
    torch.manual_seed(11)
    outputs = _named(model(x))
    yield "random numbers", torch.get_rng_state()
    loss = torch.zeros(())
    for name, out in outputs:
        yield name, out.detach()
        loss = loss + (out * torch.linspace(-1, 1, out.numel()).view(out.shape)).sum()
    loss.backward()
    yield "input", _given(x.grad)
    for name, p in model.named_parameters():
        yield name, _given(p.grad)
        p.grad = None
    for name, b in model.named_buffers():
        yield name, b
    del loss, outputs
    gc.collect()


def _named(result: Any) -> list[tuple[str, Tensor]]:
    """The outputs, in one order for both: GoogLeNet's name the later aux head first."""
    if isinstance(result, Tensor):
        return [("output", result)]
    fields = result._asdict()
    first, *rest = fields.values()
    if [*fields][1:] == ["aux_logits2", "aux_logits1"]:
        rest.reverse()
    return [("output", first), *((f"aux{i}", value) for i, value in enumerate(rest))]


def _given(grad: Tensor | None) -> Tensor:
    assert grad is not None
    return grad
