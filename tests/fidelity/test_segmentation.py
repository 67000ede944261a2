"""torchvision's segmentation models against their specs: keys, initial weights, outputs.

Their backbones are made whole, and what stands behind the features is thrown away; its weights take
random numbers that ours never draw. So initial weights are compared where linear layers, which are
all that is thrown away, draw none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import segmentation

import archdsl

BUILDERS = [
    "fcn_resnet50",
    "fcn_resnet101",
    "deeplabv3_resnet50",
    "deeplabv3_resnet101",
    "deeplabv3_mobilenet_v3_large",
    "lraspp_mobilenet_v3_large",
]
WITH_AUX = [name for name in BUILDERS if not name.startswith("lraspp")]
LIGHT = ["lraspp_mobilenet_v3_large", "deeplabv3_mobilenet_v3_large", "fcn_resnet50"]

some = pytest.mark.parametrize(
    "name", [n if n in LIGHT else pytest.param(n, marks=pytest.mark.slow) for n in BUILDERS]
)


def theirs(name: str, **given: Any) -> nn.Module:
    made: nn.Module = getattr(segmentation, name)(weights=None, weights_backbone=None, **given)
    return made


@contextmanager
def linear_layers_draw_nothing() -> Iterator[None]:
    normal = nn.init.normal_

    def of_filters(tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return tensor if tensor.dim() == 2 else normal(tensor, *args, **kwargs)

    with (
        patch.object(nn.Linear, "reset_parameters", lambda self: None),
        patch.object(nn.init, "normal_", of_filters),
    ):
        yield


@pytest.mark.parametrize("name", BUILDERS)
def test_keys_shapes_and_parameters(name: str) -> None:
    with torch.device("meta"):
        other = theirs(name)
    program = archdsl.check(name).program
    assert program is not None
    own = [(key, weight.shape) for key, weight in program.state()]
    assert own == [(key, tuple(t.shape)) for key, t in other.state_dict().items()]
    assert program.params == sum(p.numel() for p in other.parameters())


@some
def test_initial_weights(name: str) -> None:
    with linear_layers_draw_nothing():
        torch.manual_seed(3)
        other = theirs(name).state_dict()
    torch.manual_seed(3)
    own = archdsl.load(name).state_dict()
    assert all(torch.equal(own[key], tensor) for key, tensor in other.items())


@some
def test_outputs(name: str) -> None:
    other = theirs(name, num_classes=5).eval()
    own = archdsl.load(name, other.state_dict(), classes=5).eval()
    for size in ((64, 64), (97, 65), (48, 112), (130, 75)):
        x = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(7))
        with torch.no_grad():
            assert torch.equal(own(x), other(x)["out"])


@pytest.mark.parametrize(
    "name", [n if n in LIGHT else pytest.param(n, marks=pytest.mark.slow) for n in WITH_AUX]
)
def test_training_with_the_auxiliary_head(name: str) -> None:
    other = theirs(name, num_classes=4, aux_loss=True)
    own = archdsl.load(name, other.state_dict(), classes=4, aux_loss=True)
    assert list(own.state_dict()) == list(other.state_dict())
    x = torch.randn(2, 3, 64, 64)
    torch.manual_seed(5)
    wanted = other.train()(x)
    torch.manual_seed(5)
    found = own.train()(x)
    assert torch.equal(found.out, wanted["out"])
    assert torch.equal(found.auxiliary, wanted["aux"])


def test_pretrained_weights_by_name() -> None:
    other = theirs("deeplabv3_mobilenet_v3_large", aux_loss=True).eval()
    weights = segmentation.DeepLabV3_MobileNet_V3_Large_Weights.DEFAULT
    with patch.object(type(weights), "get_state_dict", lambda *a, **k: other.state_dict()):
        own = archdsl.load("deeplabv3_mobilenet_v3_large", "DEFAULT").eval()
    x = torch.randn(1, 3, 65, 80)
    with torch.no_grad():
        found, wanted = own(x), other(x)
    assert torch.equal(found.out, wanted["out"])
    assert torch.equal(found.auxiliary, wanted["aux"])
