"""What works in place overwrites nothing that anything else sees: not the caller's input, not a
tapped value, not what a view of it shows."""

from __future__ import annotations

import random
import warnings
from unittest.mock import patch

import pytest
import torch
from torch import Tensor

from archdsl.emit.python import emit
from archdsl.ir.flow import Flow
from archdsl.ops import TABLE
from archdsl.ops.table import Shape
from archdsl.pipeline import open_spec
from archdsl.runtime.module import build
from tests.fuzz import specs
from tests.fuzz.specs import Env, Maker, Piece
from tests.fuzz.verdict import cleaned

#: what overwrites, what passes on its input's memory, and what makes new tensors
OVERWRITING = [kind for kind in TABLE.values() if kind.inplace and kind.nonlinear]
PASSING = ["identity", "flatten", "dropout", "chunk", "slice", "select", "permute", "pad", "gap"]
MAKING = ["conv", "bn", "linear", "affine", "maxpool", "upsample", "channel_shuffle"]
KINDS = [*OVERWRITING, *(TABLE[name] for name in (*PASSING, *MAKING))]


class _Aliasing(Maker):
    """Specs full of joins of one branch and of taps, all of which are outputs."""

    def join(self, shape: Shape, env: Env, depth: int) -> Piece:
        if self.rng.random() < 0.5:
            return super().join(shape, env, depth)
        body, _ = self.body(shape, env, depth)
        kind = self.rng.choice(("add", "mul", "concat"))
        return Piece(f"{self.label()}{kind} {{ {{ {body.text} }} }}", body.flow)

    def tapped(self, shape: Shape, env: Env, depth: int) -> Piece:
        if self.loops:
            return self.group(shape, env, depth)
        name = self.name("inner")
        self.taps[name] = shape
        return Piece(f"tap {name}", lambda shape, env: shape)


def _spec(rng: random.Random) -> str:
    maker = _Aliasing(rng)
    with patch.object(specs, "OPERATORS", KINDS):
        lines = maker.spec().rstrip().split("\n")
    lines = [line for line in lines[:-1] if not line.startswith("  output")]
    taps = [line.split()[1] for line in lines if line.startswith("  tap ")]
    ends = [f"  output {' '.join(f'@{tap}' for tap in ['end', *taps])}", "}"]
    return "\n".join([*lines, "  tap end", *ends]) + "\n"


def _ran(text: str, training: bool) -> tuple[list[Tensor], str]:
    """The input after the forward, all outputs, and all gradients."""
    program = open_spec(text).checked()
    torch.manual_seed(0)
    module = build(program).double().train(training)
    xs = [torch.randn(2, *s, dtype=torch.double) for s in program.graph.input_shapes]
    leaves = [x.clone().requires_grad_() for x in xs]
    given = [leaf * 1 for leaf in leaves]  # a leaf may not be overwritten; this may
    out = module(*given)
    out = [o for o in out if o is not None] if isinstance(out, tuple) else [out]
    kept = [o.detach().clone() for o in out]
    if learned := [o.square().sum() for o in out if o.requires_grad]:
        torch.stack(learned).sum().backward()
    grads = [p.grad for p in (*leaves, *module.parameters()) if p.grad is not None]
    assert all(map(torch.equal, given, xs)), emit(program)
    return [*kept, *grads], emit(program)


def _agrees(text: str) -> bool:
    """Whether anything works in place; fails where that shows."""
    found = False
    for training in (False, True):
        with cleaned(), warnings.catch_warnings(action="ignore"):
            ours, source = _ran(text, training)
            with patch.object(Flow, "inplace", lambda self, node: False):
                plain, other = _ran(text, training)
        assert "inplace=True" not in other
        found |= "inplace=True" in source
        for one, two in zip(ours, plain, strict=True):
            assert torch.equal(one.nan_to_num(), two.nan_to_num()), source
    return found


def test_random_specs_compute_what_they_do_without() -> None:
    drawn = (_spec(random.Random(seed)) for seed in range(120))
    valid = [text for text in drawn if open_spec(text).program is not None]
    assert len(valid) > 60
    assert sum(map(_agrees, valid)) > 20


@pytest.mark.parametrize("join", ["add", "mul", "concat"])
@pytest.mark.parametrize("act", ["relu", "silu"])
@pytest.mark.parametrize(
    "before",
    [
        "",
        "linear 4 -> tap t",
        "linear 4 -> tap t -> identity",
        "linear 4 -> tap t -> flatten",
        "linear 4 -> tap t -> dropout 0",
        "linear 4 -> tap t -> reshape [2, 2]",
        "g: { linear 4 -> tap t -> n: identity }",
        "silu -> tap t",
    ],
)
def test_a_join_of_one_branch_is_the_value_itself(before: str, join: str, act: str) -> None:
    taps = "@end @t" if "tap t" in before else "@end"
    _agrees(
        f"model m {{\n  input 4\n  {before}\n  {join} {{ identity }} -> {act} -> tap end\n"
        f"  output {taps}\n}}\n"
    )


def test_a_new_value_is_overwritten_behind_a_join_of_one_branch() -> None:
    text = "model m(n=1) { input 4; linear 4; add { repeat n { identity } }; relu; linear 2 }"
    assert _agrees(text)


def test_a_thousand_activations_in_a_row() -> None:
    """Each asks whether it may overwrite what the one before made."""
    program = open_spec("model m { input 4; linear 4; silu x1500 }").checked()
    assert emit(program).count("inplace=True") == 750
