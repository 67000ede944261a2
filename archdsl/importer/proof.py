"""The proof that a text is a module's: it is compiled again, and both are run.

In: the module and the checked program of its text. Out: what was proved, or where they differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from archdsl.ir.graph import Program
from archdsl.ops.table import Shape
from archdsl.runtime.module import build


@dataclass(frozen=True)
class Proof:
    """What is equal: the keys (names, order, shapes, types), and outputs on so many inputs."""

    keys: int
    parameters: int
    evaluated: int
    trained: bool
    difference: str = ""

    def __bool__(self) -> bool:
        return not self.difference

    def __str__(self) -> str:
        if self.difference:
            return f"different: {self.difference}"
        inputs = f"outputs on {self.evaluated} inputs"
        trained = ", and in training from one seed" if self.trained else ""
        return f"equal: {self.keys:,} keys, {self.parameters:,} parameters, {inputs}{trained}"


def prove(
    module: nn.Module, program: Program, *, inputs: int = 2, shape: Shape | None = None
) -> Proof:
    """Compare a module with what its text compiles to, given the module's weights."""
    state = module.state_dict()
    parameters = sum(p.numel() for p in module.parameters())
    with torch.device("meta"):
        made = build(program, device="meta")
    problem = _keys(state, made.state_dict())
    if problem:
        return Proof(len(state), parameters, 0, False, problem)
    made = build(program, weights={k: v.detach().clone() for k, v in state.items()})
    shape = shape or program.input_shape
    problem = _outputs(module, made, shape, inputs)
    if problem:
        return Proof(len(state), parameters, 0, False, problem)
    problem = _training(module, made, shape)
    return Proof(len(state), parameters, inputs, not problem, problem)


def _keys(theirs: dict[str, Tensor], ours: dict[str, Tensor]) -> str:
    one, other = list(theirs), list(ours)
    missing = [k for k in one if k not in ours]
    more = [k for k in other if k not in theirs]
    if missing or more:
        parts = [f"no {k}" for k in missing[:3]] + [f"{k} too many" for k in more[:3]]
        return f"{len(missing) + len(more)} keys: {', '.join(parts)}"
    if one != other:
        first = next((a, b) for a, b in zip(one, other, strict=True) if a != b)
        return f"the order of the keys: {first[0]}, not {first[1]}"
    for key in one:
        a, b = theirs[key], ours[key]
        if a.shape != b.shape or a.dtype != b.dtype:
            return f"{key} is {tuple(a.shape)} of {a.dtype}, not {tuple(b.shape)} of {b.dtype}"
    return ""


def _outputs(module: nn.Module, made: nn.Module, shape: Shape, count: int) -> str:
    with _as(module, made, training=False), torch.no_grad():
        for number in range(count):
            generator = torch.Generator().manual_seed(number)
            x = torch.randn(2 + number, *shape, generator=generator)
            results = []
            for each in (module, made):
                torch.manual_seed(number)  # `noise` is drawn in evaluation, too
                results.append(each(x.clone()))
            wrong = _compare(*results)
            if wrong:
                return f"the outputs in evaluation: {wrong}"
    return ""


def _training(module: nn.Module, made: nn.Module, shape: Shape) -> str:
    """One step forward and back in training, from one seed; statistics are given back."""
    kept = [(b, b.clone()) for m in (module, made) for b in m.buffers()]
    x = torch.randn(2, *shape, generator=torch.Generator().manual_seed(7))
    results, slopes = [], []
    try:
        with _as(module, made, training=True), torch.enable_grad():
            for each in (module, made):
                torch.manual_seed(3)
                results.append(each(x.clone()))
                slopes.append(_gradients(each, results[-1]))
        wrong = _compare(*results)
        wrong = wrong or (_slopes(slopes[0], slopes[1]) and _precise_slopes(module, made, x))
        ours = dict(made.named_buffers())
        theirs = {k: b for k, b in module.named_buffers() if b.is_floating_point()}  # no counters
        changed = (k for k, b in theirs.items() if k in ours and not _same(b, ours[k]))
        if name := next(changed, ""):
            wrong = wrong or f"the buffer {name} is changed in another way"
    finally:
        for buffer, before in kept:
            buffer.copy_(before)
    return f"the outputs in training: {wrong}" if wrong else ""


def _gradients(module: nn.Module, result: Any) -> dict[str, Tensor | None]:
    learned = {name: p for name, p in module.named_parameters() if p.requires_grad}
    return _found(result, learned)


def _found(result: Any, learned: Mapping[str, Tensor]) -> dict[str, Tensor | None]:
    """Of all outputs together, whatever their order, for each parameter that learns."""
    outputs = [t for t in tree_leaves(result) if isinstance(t, Tensor) and t.requires_grad]
    if not outputs or not learned:
        return dict.fromkeys(learned)
    total = torch.stack([t.square().sum() for t in outputs]).sum()
    found = torch.autograd.grad(total, [*learned.values()], allow_unused=True)
    return dict(zip(learned, found, strict=True))


def _precise_slopes(module: nn.Module, made: nn.Module, x: Tensor) -> str:
    """The gradients in double precision: where the true one is next to nothing, such as before a
    normalisation, singles are but what rounding leaves."""
    slopes = []
    with _as(module, made, training=True), torch.enable_grad():
        for each in (module, made):
            given = {k: p.detach().double() for k, p in each.named_parameters()}
            named = each.named_parameters()
            learned = {k: given[k].requires_grad_() for k, p in named if p.requires_grad}
            given |= {k: _double(b) for k, b in each.named_buffers()}
            torch.manual_seed(3)
            try:
                result = torch.func.functional_call(each, given, (x.double(),))
            except RuntimeError:  # it insists on singles
                return "its gradients"
            slopes.append(_found(result, learned))
    theirs, ours = slopes
    return _slopes(theirs, ours, exact=True)


def _double(buffer: Tensor) -> Tensor:
    return buffer.double() if buffer.is_floating_point() else buffer.clone()


def _slopes(
    theirs: dict[str, Tensor | None], ours: dict[str, Tensor | None], exact: bool = False
) -> str:
    given = [float(t.abs().nan_to_num().max()) for t in theirs.values() if t is not None]
    for name, one in theirs.items():
        other = ours.get(name)
        if (one is None) != (other is None):
            return f"{name} has {'no' if one is None else 'a'} gradient"
        if one is not None and other is not None:
            near = 1e-4 * float(one.abs().nan_to_num().max()) + 1e-12
            near = 1e-9 * max(given) if exact else near
            if not torch.allclose(one, other, 1e-6 if exact else 1e-3, near, equal_nan=True):
                return f"{name} has another gradient"
    return ""


def _compare(theirs: Any, ours: Any) -> str:
    one, other = ([t for t in tree_leaves(r) if isinstance(t, Tensor)] for r in (theirs, ours))
    if len(one) != len(other):
        return f"{len(one)} tensors, not {len(other)}"
    for number, a in enumerate(one):
        # the first is the output; what training gives besides has a name, and no order
        rest = other[:1] if number == 0 else other
        place = next((n for n, b in enumerate(rest) if _same(a, b)), None)
        if place is None:
            b = other[0]
            if a.shape != b.shape:
                return f"{tuple(a.shape)}, not {tuple(b.shape)}"
            return f"they differ by up to {float((a - b).detach().abs().max()):.3g}"
        del other[place]
    return ""


def _same(a: Tensor, b: Tensor) -> bool:
    """Equal in every number; what is none is none in both."""
    if a.shape != b.shape:
        return False
    return torch.equal(a, b) or bool(((a == b) | (a.isnan() & b.isnan())).all())


class _as:
    """Both modules in a mode, and back in their own."""

    def __init__(self, *modules: nn.Module, training: bool) -> None:
        self.modules, self.training = modules, training
        self.before = [[(m, m.training) for m in each.modules()] for each in modules]
        self.fast = torch.backends.mha.get_fastpath_enabled()

    def __enter__(self) -> None:
        torch.backends.mha.set_fastpath_enabled(False)
        for each in self.modules:
            each.train(self.training)

    def __exit__(self, *_: object) -> None:
        torch.backends.mha.set_fastpath_enabled(self.fast)
        for modules in self.before:
            for each, training in modules:
                each.training = training
