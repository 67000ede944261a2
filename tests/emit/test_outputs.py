"""A model as a part of another, and the values inside of one as its outputs."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torchvision.models._utils import IntermediateLayerGetter

import archdsl


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("resnet18", ["layer2", "layer4"]),
        ("densenet121", ["features"]),
        ("squeezenet1_1", ["features"]),
    ],
)
def test_outputs_are_those_of_torchvisions_getter(name: str, layers: list[str]) -> None:
    torch.manual_seed(0)
    theirs = torchvision.models.get_model(name).eval()
    getter = IntermediateLayerGetter(theirs, {layer: layer for layer in layers})
    ours = archdsl.load(name, theirs.state_dict(), outputs=layers).eval()
    x = torch.randn(2, 3, 64, 64)
    found = ours(x)
    for mine, other in zip(found if len(layers) > 1 else [found], getter(x).values(), strict=True):
        assert torch.equal(mine, other)
    assert list(ours.state_dict()) == list(getter.state_dict())
    assert len(layers) == 1 or found._fields == tuple(layers)


def test_outputs_inside_of_blocks_need_what_they_need_alone() -> None:
    full = archdsl.load("resnet18").eval()
    part = archdsl.load("resnet18", full.state_dict(), outputs=["layer2.0", "conv1"]).eval()
    x = torch.randn(1, 3, 64, 64)
    found = part(x)
    stem = torch.relu(full.bn1(full.conv1(x)))
    stem = torch.nn.functional.max_pool2d(stem, 3, 2, 1)
    assert found._fields == ("layer2_0", "conv1")
    assert torch.equal(found.conv1, full.conv1(x))
    assert torch.equal(found.layer2_0, full.layer2[0](full.layer1(stem)))
    assert not any(key.startswith(("layer2.1", "layer3", "fc")) for key in part.state_dict())


def test_an_unknown_output_is_one_error() -> None:
    with pytest.raises(ValueError, match="no value `layer9`"):
        archdsl.load("resnet18", outputs=["layer9"])
    with pytest.raises(ValueError, match="list of paths"):
        archdsl.load("resnet18", outputs="layer4")


PART = """
use "resnet18.arch"
model net(classes=5) {
  input 3x64x64
  tap image
  backbone: resnet18 until UNTIL
  classifier: conv classes 1x1
  upsample size=@image mode=bilinear
}
"""


@pytest.mark.parametrize("until", ["layer4", "layer2", "layer3.0", "conv1"])
def test_a_model_is_a_part_until_a_label(until: str) -> None:
    text = PART.replace("UNTIL", until)
    torch.manual_seed(0)
    net = archdsl.load(text).eval()
    torch.manual_seed(0)
    theirs = archdsl.load("resnet18", outputs=[until]).eval()
    x = torch.randn(1, 3, 64, 64)
    theirs.load_state_dict(net.backbone.state_dict())
    inside = theirs(x)
    inside = inside[0] if isinstance(inside, tuple) else inside
    assert torch.equal(net.backbone(x), inside)
    assert net(x).shape == (1, 5, 64, 64)


def test_a_whole_model_is_a_step_with_its_init_rules() -> None:
    text = 'use "googlenet.arch"\nmodel m { input 3x64x64; net: googlenet classes=7 }'
    net = archdsl.load(text)
    assert not any("aux" in key for key in net.state_dict())
    spread = net.net.conv1.conv.weight.std().item()
    assert spread == pytest.approx(0.01, rel=0.05)  # googlenet's own rule


def test_until_errors() -> None:
    def codes(text: str) -> list[str]:
        return [d.code for d in archdsl.check(text).errors]

    assert codes(PART.replace("UNTIL", "layer7")) == ["E0105"]
    assert codes("block b() { relu }\nmodel m { input 3; b until x }") == ["E0403"]
