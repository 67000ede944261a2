"""Pretrained weights without a network: files as torchvision publishes them, with drawn numbers, in
a cache of torch's own layout. Both sides load the same file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

import archdsl
from archdsl.pipeline import open_spec
from archdsl.runtime.errors import WeightsError
from archdsl.runtime.pretrained import available, load, of_spec, pretrained
from archdsl.runtime.weights import renamed
from tests.fidelity.checks import scramble


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """torch's cache, empty, and no network."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "urlopen", _offline)
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    return folder


def _offline(*_: Any, **__: Any) -> None:
    raise OSError("no network")


def publish(name: str, weights: str, **given: Any) -> nn.Module:
    """Puts a file for these weights into the cache; returns torchvision's model with them."""
    model = torchvision.models.get_model(name, weights=None, **given)
    size = 384 if "image_size" in given else 299 if name == "inception_v3" else 64
    scramble(model, torch.randn(2, 3, size, size))
    file = pretrained(name, weights).file
    state = {old(name, key): value for key, value in model.state_dict().items()}
    if name.startswith("densenet"):  # they are of a time before torch counted batches
        state = {key: value for key, value in state.items() if "num_batches" not in key}
    torch.save(state, file)
    return torchvision.models.get_model(name, weights=weights).eval()


def old(name: str, key: str) -> str:
    """A key as the published files still have it."""
    if name.startswith("densenet"):
        return re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", key)
    if name.startswith("vit"):
        return key.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2.")
    return key


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("resnet18", {}),
        ("squeezenet1_1", {}),
        pytest.param("densenet121", {}, marks=pytest.mark.slow),
        pytest.param("googlenet", {"init_weights": False}, marks=pytest.mark.slow),
        pytest.param("inception_v3", {"init_weights": False}, marks=pytest.mark.slow),
    ],
)
def test_as_torchvision_loads_them(name: str, given: dict[str, Any]) -> None:
    theirs = publish(name, "IMAGENET1K_V1", **given)
    found = load(open_spec(name), "IMAGENET1K_V1", progress=False)
    x = torch.randn(2, 3, 128, 128)
    with torch.no_grad():
        assert torch.equal(found.module.eval()(x), theirs(x))
    assert found.fresh == () and found.note is None
    assert found.source is not None and len(found.source.categories()) == 1000
    picture = torch.zeros(3, 300, 400, dtype=torch.uint8)
    assert found.source.transforms()(picture).shape[0] == 3


@pytest.mark.slow
def test_vit_of_another_size() -> None:
    theirs = publish("vit_b_16", "IMAGENET1K_SWAG_E2E_V1", image_size=384)
    found = load(open_spec("vit_b_16"), "IMAGENET1K_SWAG_E2E_V1", progress=False)
    x = torch.randn(1, 3, 384, 384)
    assert found.program.input_shape == (3, 384, 384)
    with torch.no_grad():
        assert torch.equal(found.module.eval()(x), theirs(x))


def test_other_classes_leave_the_head_fresh() -> None:
    theirs = publish("resnet18", "IMAGENET1K_V1")
    torch.manual_seed(0)
    drawn = load_fresh({"classes": 10})
    torch.manual_seed(0)
    found = load(open_spec("resnet18", params={"classes": 10}), "DEFAULT", progress=False)
    assert found.fresh == ("fc.weight", "fc.bias")
    assert found.note == "not pretrained, for the classes differ: fc"
    state, expected = found.module.state_dict(), theirs.state_dict()
    for key in state:
        assert torch.equal(state[key], drawn[key] if key in found.fresh else expected[key])


def load_fresh(params: dict[str, Any]) -> dict[str, Tensor]:
    from archdsl.runtime.module import build

    return build(open_spec("resnet18", params=params).checked()).state_dict()


def test_the_public_function() -> None:
    theirs = publish("squeezenet1_1", "IMAGENET1K_V1")
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(archdsl.load("squeezenet1_1", "DEFAULT").eval()(x), theirs(x))
    with pytest.warns(UserWarning, match=r"not pretrained, .*: classifier\.1"):
        archdsl.load("squeezenet1_1", "DEFAULT", classes=5)
    file = pretrained("squeezenet1_1", "DEFAULT").file
    mine = 'use "squeezenet1_1.arch"\nmodel mine = squeezenet1_1 classes=5\n'
    with pytest.raises(WeightsError, match="2 entries of another shape"):
        archdsl.load(mine, file)  # nobody asked for a new head here


def test_an_alias_takes_the_weights_of_its_base() -> None:
    publish("resnet18", "IMAGENET1K_V1")
    mine = open_spec('use "resnet18.arch"\nmodel pets = resnet18 classes=37\n')
    found = load(mine, "IMAGENET1K_V1", progress=False)
    assert found.fresh == ("fc.weight", "fc.bias")
    assert found.program.output_shapes == {"output": (37,)}


def test_a_file_needs_no_network() -> None:
    theirs = publish("squeezenet1_1", "IMAGENET1K_V1")
    file = pretrained("squeezenet1_1", "IMAGENET1K_V1").file
    found = load(open_spec("squeezenet1_1"), file)
    assert found.source is None
    state, expected = found.module.state_dict(), theirs.state_dict()
    assert [key for key, value in expected.items() if not torch.equal(state[key], value)] == []


@pytest.mark.parametrize("name", ["densenet121", "vit_b_16"])
def test_old_names(name: str) -> None:
    own = {key: torch.empty(0) for key, _ in open_spec(name).checked().state()}
    before = {old(name, key): value for key, value in own.items()}
    assert before.keys() != own.keys()
    assert [*renamed(before, own)] == [*own]


def test_without_network_it_says_what_to_do(cache: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        load(open_spec("resnet50"), "IMAGENET1K_V2", progress=False)
    message = str(caught.value)
    assert "https://download.pytorch.org/models/resnet50-11ad3fa6.pth" in message
    assert str(cache / "resnet50-11ad3fa6.pth") in message


def test_unknown_names() -> None:
    assert available("resnet50") == ["IMAGENET1K_V1", "IMAGENET1K_V2"]
    assert available("lenet5") == []
    with pytest.raises(WeightsError, match="IMAGENET1K_V2"):
        pretrained("resnet50", "IMAGENET1K_V3")
    with pytest.raises(WeightsError, match="no pretrained weights for `lenet5`"):
        of_spec(open_spec("lenet5"), "DEFAULT")


def test_damaged_file(cache: Path) -> None:
    file = pretrained("resnet18", "DEFAULT").file
    file.write_bytes(b"half of it")
    with pytest.raises(WeightsError, match="damaged"):
        load(open_spec("resnet18"), "DEFAULT", progress=False)
