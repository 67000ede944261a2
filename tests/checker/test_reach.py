"""Receptive fields: as published, and as gradients show them."""

from __future__ import annotations

import pytest
import torch

import archdsl
from archdsl.ir.graph import Node
from archdsl.ir.receptive_field import fields, show
from archdsl.pipeline import open_spec


def reach(spec: str) -> dict[str, str]:
    """What each layer sees; the last of each name."""
    program = open_spec(spec).checked()
    pairs = zip(program.walk(), fields(program), strict=True)
    return {name: show(field) for (name, item), field in pairs if isinstance(item, Node)}


# Araujo et al. 2019, table 1: AlexNet 195, VGG-16 212
@pytest.mark.parametrize(
    ("spec", "layer", "seen"),
    [
        ("alexnet", "features.12", "195x195"),
        ("vgg16", "features.30", "212x212"),
        ("vgg16", "classifier.0", "all"),
        ("lenet5", "feature_extractor.0", "5x5"),
    ],
)
def test_published(spec: str, layer: str, seen: str) -> None:
    assert reach(spec)[layer] == seen


@pytest.mark.parametrize(
    ("step", "seen"),
    [
        ("cumsum 0", "3x3"),
        ("cumsum 2", "3xall"),
        ("flip [1]", "allx3"),
        ("roll [1, 1] [1, 2]", "all"),
        ("normalize", "3x3"),
        ("normalize dim=1", "allx3"),
        ("tile [2, 1, 2]", "3xall"),
        ("repeat_interleave 2 dim=1", "3x3"),
        ("gn 2", "all"),
        ("instance_norm", "all"),
        ("instance_norm track_running_stats=true", "3x3"),
        ("bn", "3x3"),
        ("ln", "3x3"),
        ("ln dims=3", "all"),
        ("ln2d", "3x3"),
    ],
)
def test_what_mixes_places_sees_them_all(step: str, seen: str) -> None:
    assert reach(f"model m() {{ input 4x8x8; conv 4 3x3 pad=1; last: {step} }}")["last"] == seen


NETS = {
    "strides": "conv 4 3x5 /2 pad=1x2; maxpool 2x2; conv 4 3x3 pad=2 dilation=2",
    "branches": "concat { conv 2 1x1; { conv 2 3x3 pad=1; conv 2 5x5 pad=2 } }; avgpool 3x3 /1",
    "up": "conv 4 3x3 /2 pad=1; upsample 2; conv 4 3x3 pad=1",
    "blocks": "pixel_unshuffle 4; residual { conv 16 3x3 pad=1 }; pixel_shuffle 2",
}


@pytest.mark.parametrize("name", NETS)
def test_gradients_reach_no_further(name: str) -> None:
    spec = f"model m() {{\n  input 1x64x64\n{NETS[name]}\n  last: identity\n}}"
    module, x = archdsl.load(spec), torch.rand(1, 1, 64, 64, requires_grad=True)
    for parameter in module.parameters():
        torch.nn.init.ones_(parameter)
    out = module(x)
    seen = [0, 0]
    for shift in range(8):  # places see different parts of their windows
        row, column = (side // 2 + shift for side in out.shape[2:])
        (grad,) = torch.autograd.grad(out[0, :, row, column].sum(), x, retain_graph=True)
        places = grad[0, 0].nonzero()
        extent = (places.amax(0) - places.amin(0) + 1).tolist()
        seen = [max(a, b) for a, b in zip(seen, extent, strict=True)]
    stated = [int(side) for side in reach(spec)["last"].split("x")]
    assert all(a <= b for a, b in zip(seen, stated, strict=True))
    if name == "branches":  # elsewhere single windows see less
        assert seen == stated


def test_vectors_have_none() -> None:
    assert reach("model m() {\n  input 4\n  a: relu\n}") == {"a": ""}


def test_statistics_of_all_places() -> None:
    text = (
        "model m() {\n  input 3x8x8\n  conv 4 3x3 -> bn\n  a: gap 2x2\n  mean [1, 2]\n  b: relu\n}"
    )
    assert {k: v for k, v in reach(text).items() if k in "ab"} == {"a": "5x5", "b": "all"}
