"""Optimised inference computes the same."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import archdsl
from archdsl.pipeline import open_spec
from archdsl.runtime.cpu import FusedConv2d, for_cpu
from archdsl.runtime.export import inference
from archdsl.runtime.module import build
from archdsl.runtime.optimize import optimize
from tests.artefacts.specs import MIXED, UNET


def trained(spec: str) -> nn.Module:
    """A module whose normalisations have something to fold, and no sign of their beginnings."""
    torch.manual_seed(0)
    module = archdsl.load(spec).eval()
    with torch.no_grad():
        for weight in module.parameters():
            if not weight.any():
                weight.normal_(0, 0.02)  # a head of zeros would hide everything before it
        for part in module.modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                if part.running_mean is not None:
                    part.running_mean.normal_(0, 0.2)
                    part.running_var.uniform_(0.5, 2)
                if part.weight is not None:
                    part.weight.uniform_(0.5, 1.5)
                    part.bias.normal_(0, 0.2)
    return module


def outputs(module: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    with torch.no_grad():
        result = module(x)
    return tuple(t for t in result if t is not None) if isinstance(result, tuple) else (result,)


def assert_same(module: nn.Module, other: nn.Module, x: Tensor) -> None:
    for one, two in zip(outputs(module, x), outputs(other, x), strict=False):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5 * one.abs().max().item())


@pytest.mark.parametrize("spec", [UNET, MIXED, "lenet5", "resnet18"])
def test_the_same_to_1e5(spec: str) -> None:
    module = trained(spec)
    better = inference(module.program, module)
    assert not better.training
    kinds = [type(part).__name__ for part in better.modules()]
    # one normalisation of MIXED has no layer before it
    assert sum("BatchNorm" in kind for kind in kinds) == (spec is MIXED)
    assert not any(kind in ("Dropout", "Identity") for kind in kinds)
    assert_same(module, better, torch.randn(2, *module.program.input_shape))


def test_transposed_convolutions_in_groups_fold_too() -> None:
    for groups in (1, 2):
        spec = f"model net() {{ input 4x6x6; deconv 6 3x3 /2 groups={groups} bias=false -> bn }}"
        module = trained(spec)
        better = inference(module.program, module)
        assert_same(module, better, torch.randn(2, 4, 6, 6))
        assert len(list(better.children())) == 1


def test_what_must_not_be_folded() -> None:
    # a second user, a norm of features that are not channels, statistics of the batch
    for inside in (
        "c: conv 4 1x1 -> tap t -> bn -> add @t",
        "conv 4 1x1 -> bn track_running_stats=false",
        "conv 4 1x1 -> relu -> bn",
    ):
        module = trained(f"model net() {{ input 3x8x8; {inside} }}")
        better = inference(module.program, module)
        assert any("BatchNorm" in type(part).__name__ for part in better.modules())
        assert_same(module, better, torch.randn(4, 3, 8, 8))


def test_load_and_its_layout(tmp_path: Path) -> None:
    module = trained("resnet18")
    path = tmp_path / "w.pt"
    torch.save(module.state_dict(), path)
    size = (3, 64, 64)
    better = archdsl.load("resnet18", path, input=size, optimize=True)
    last = archdsl.load("resnet18", path, input=size, channels_last=True)
    for made in (better, last):
        weight = made.get_parameter("conv1.weight")
        assert weight.is_contiguous(memory_format=torch.channels_last)
    weight = better.get_parameter("conv1.weight")
    assert not weight.requires_grad
    x = torch.randn(2, *size)
    assert_same(module, better, x)
    assert_same(better, copy.deepcopy(better), x)


#: sums with what the convolution reads, with what is used once more, and with themselves
SUMS = """model net() {
  input 3x12x12
  conv 8 3x3 pad=1 -> relu
  residual { conv 8 3x3 pad=1 } -> relu
  conv 8 1x1 -> tap a
  residual { conv 8 3x3 pad=1 -> bn } -> hardswish
  residual { conv 8 1x1 -> relu -> conv 8 1x1 } -> tap b
  residual { conv 8 3x3 pad=1 } -> relu
  add @a @b
  conv 4 1x1 -> tanh
  add { identity; identity }
  conv 4 5x5 pad=2 -> silu
}"""


@pytest.mark.parametrize("spec", [SUMS, UNET, MIXED, "lenet5"])
def test_fused_for_the_cpu(spec: str) -> None:
    module = trained(spec)
    better = inference(module.program, module)
    fused = for_cpu(copy.deepcopy(better), module.program.input_shape)
    assert any(isinstance(part, FusedConv2d) for part in fused.modules())
    for batch in (1, 3):
        x = torch.randn(batch, *module.program.input_shape)
        assert_same(better, fused, x)
        assert_same(fused, fused, x)  # no result was left in an input


def test_what_cannot_be_traced_is_left_alone() -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    odd = Odd()
    assert for_cpu(odd, (3,)) is odd


def test_the_source_of_the_optimised_program() -> None:
    source = archdsl.compile("resnet18", optimize=True)
    assert "BatchNorm" not in source and "bias=False" not in source
    assert len(source.splitlines()) < len(archdsl.compile("resnet18").splitlines())
    program = optimize(open_spec("googlenet").checked()).program
    assert not program.aux
    assert "if self.training" not in archdsl.compile("googlenet", optimize=True)
    assert list(build(program, device="meta").state_dict()) == [key for key, _ in program.state()]


def test_a_chain_of_many_parts() -> None:
    """Torch's own assignment sorts all names anew for each part: 4,000 parts took it 10 s."""
    module = archdsl.load("model m { input 4; repeat 300 { linear 4 bias=false -> relu } }")
    better = inference(module.program, module)
    assert_same(module.eval(), better, torch.randn(2, 4))
    assert not any(weight.is_meta for weight in better.state_dict().values())
