"""AlexNet, VGG16, GoogLeNet and ResNet as the lecture lists them, equal bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import nn

import archdsl
from archdsl.train import Override, fit, read_recipe
from archdsl.train.engine.objective import Objective
from tests.lecture import plain


def same(ours: nn.Module, theirs: nn.Module, x: torch.Tensor) -> None:
    """The same names, and with the same weights the same output, in evaluation and in training."""
    assert [(k, v.shape) for k, v in ours.state_dict().items()] == [
        (k, v.shape) for k, v in theirs.state_dict().items()
    ]
    ours.load_state_dict(theirs.state_dict())
    with torch.no_grad():
        expected = theirs.eval()(x)
        assert expected.std() > 0
        assert torch.equal(ours.eval()(x), expected)
        torch.manual_seed(1)
        expected = theirs.train()(x)
        torch.manual_seed(1)
        assert torch.equal(ours.train()(x), expected)


def seeded(make: Any) -> nn.Module:
    torch.manual_seed(0)
    module: nn.Module = make()
    return module


def test_alexnet(specs: Path) -> None:
    """Ours, the lecture's listing and torchvision's are one."""
    ours = archdsl.load(specs / "alexnet.arch")
    listed = plain.AlexNet()
    x = torch.randn(2, 3, 96, 96)
    same(ours, listed, x)
    same(torchvision.models.alexnet(), listed, x)


def test_vgg16(specs: Path) -> None:
    ours = seeded(lambda: archdsl.load(specs / "vgg16.arch"))
    theirs = seeded(lambda: plain.VGG16(10))
    for key, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[key], value), key  # the first draw, too
    x = torch.randn(2, 3, 32, 32)
    same(ours, theirs, x)
    assert torch.allclose(ours.eval()(x).sum(1), torch.ones(2))


def test_googlenet(specs: Path) -> None:
    ours = seeded(lambda: archdsl.load(specs / "googlenet.arch"))
    theirs = seeded(plain.GoogLeNet)
    for key, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[key], value), key
    with torch.no_grad():  # such a deep net without normalisation says nearly the same of all
        for p in theirs.parameters():
            p.mul_(1.5)
    same(ours, theirs, torch.randn(2, 3, 224, 224))


@pytest.mark.parametrize("base_dim", [8, pytest.param(64, marks=pytest.mark.slow)])
def test_resnet(specs: Path, base_dim: int) -> None:
    ours = seeded(lambda: archdsl.load(specs / "resnet.arch", base_dim=base_dim))
    theirs = seeded(lambda: plain.ResNet(base_dim))
    for key, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[key], value), key
    same(ours, theirs, torch.randn(2, 3, 224, 224))


def test_base_dim_flows(specs: Path) -> None:
    # With another base_dim the lecture's listing stops in PyTorch: 256 channels come, 4 * base_dim
    # are declared. A spec declares no input channels.
    report = archdsl.check(specs / "googlenet.arch", base_dim=32)
    assert report.program is not None
    shapes = {name: item.shapes[0] for name, item in report.program.walk()}
    assert shapes["layer_1"] == (96, 28, 28)
    assert shapes["layer_2.0"] == (256, 28, 28)
    assert shapes["layer_4"] == (1024, 1, 1)
    assert report.program.output_shapes == {"output": (1000,)}


def test_vgg16_takes_a_step(specs: Path) -> None:
    """The recipe's loss takes the probabilities that the net ends with."""
    recipe = read_recipe(specs / "vgg16.yaml")
    module = archdsl.load(specs / "vgg16.arch", he=True).train()
    loss, probabilities = Objective(recipe)(module(torch.randn(2, 3, 32, 32)), torch.tensor([1, 7]))
    loss.backward()
    assert torch.allclose(probabilities.sum(1), torch.ones(2))
    assert all((p.grad != 0).any() for p in module.parameters() if p.grad is not None)


def test_a_narrow_vgg16_learns(specs: Path) -> None:
    """Depth, dropout and softmax as listed; a chance answer's loss is 0.325."""
    changes = "data={name: fake, samples: 320}", "epochs=12", "optimizer.lr=0.001", "plots=false"
    result = fit(
        specs / "vgg16.arch",
        params={"he": True, "width": 16, "hidden": 1024},
        overrides=[Override.parse(one) for one in changes],
        quiet=True,
    )
    assert (result.history[-1]["train_loss"] or 1) < 0.28


@pytest.mark.slow
def test_vgg16_learns_cifar10(specs: Path, real_data: Path) -> None:
    """The recipe as it is, on real images."""
    given = f"data.name=folder:{real_data}/cifar10", "plots=false"
    result = fit(
        specs / "vgg16.arch",
        params={"he": True},
        overrides=[Override.parse(one) for one in given],
        quiet=True,
    )
    tested = result.history[-1]
    assert (tested["test_loss"] or 1) < 0.31 and (tested["test_accuracy"] or 0) > 0.15
