"""Every classification builder of torchvision against its spec, bit for bit.

python -m pytest tests/fidelity            keys, shapes and costs of all; the rest of a few
python -m pytest tests/fidelity -m slow    the rest of all 80, one model at a time
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision

import archdsl
from archdsl.pipeline import shipped
from tests.fidelity import checks
from tests.fidelity.builders import BUILDERS, Case, full, small

#: small models of several families
LIGHT = ("squeezenet1_1", "shufflenet_v2_x0_5", "mnasnet0_5", "mobilenet_v3_small", "resnet18")
#: multiply-accumulates as torch counts them; the slow tests count anew
MACS: dict[str, int] = json.loads(Path(__file__).with_name("macs.json").read_text())

every_builder = pytest.mark.parametrize("name", BUILDERS)


@pytest.fixture(autouse=True)
def tidy() -> Iterator[None]:
    """Models of gigabytes go before the next comes; sums must not depend on the machine's cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    gc.collect()


def test_every_builder_has_a_spec() -> None:
    assert len(BUILDERS) == 80
    assert set(BUILDERS) <= set(shipped())


@every_builder
def test_state_and_cost(name: str) -> None:
    checks.same_state(full(name))
    assert full(name).program().macs == MACS[name]


@pytest.mark.parametrize("name", LIGHT)
def test_some_in_full(name: str) -> None:
    checks.same_initial_weights(small(name))
    checks.same_behaviour(small(name))


@pytest.mark.parametrize("name", LIGHT)
def test_torchvision_takes_our_weights(name: str, tmp_path: Path) -> None:
    ours = archdsl.load(name)
    torch.save(ours.state_dict(), tmp_path / "w.pth")
    theirs = torchvision.models.get_model(name)
    theirs.load_state_dict(torch.load(tmp_path / "w.pth", weights_only=True), strict=True)
    state = theirs.state_dict()
    assert all(torch.equal(state[key], tensor) for key, tensor in ours.state_dict().items())


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("squeezenet1_1", {"p": 0.4}),
        ("mnasnet0_5", {"norm": "bn(momentum=0.1)"}),
        ("mobilenet_v3_small", {"norm": "bn(eps=0.002, momentum=0.01)"}),
    ],
)
def test_a_small_difference_shows(name: str, change: dict[str, Any]) -> None:
    """What neither shapes nor costs betray: a rate, a momentum, an epsilon."""
    case = replace(small(name), ours=change)
    checks.same_state(case)
    with pytest.raises(AssertionError):
        checks.same_behaviour(case)


@pytest.mark.slow
@every_builder
def test_module(name: str) -> None:
    checks.same_module(full(name))


@pytest.mark.slow
@every_builder
def test_initial_weights(name: str) -> None:
    checks.same_initial_weights(small(name))


@pytest.mark.slow
@every_builder
def test_behaviour(name: str) -> None:
    checks.same_behaviour(small(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_transformed_input(name: str) -> None:
    """Their pretrained weights want images from -1 to 1."""
    given = {"transform_input": True}
    checks.same_behaviour(Case(name, full(name).size, given, given))


def _scripted_and_traced(name: str) -> None:
    """`torch.jit.script` and `torch.fx` take them, as they take all of torchvision's."""
    model = archdsl.load(name, **small(name).ours).eval()
    x = torch.rand(1, 3, *(small(name).size,) * 2)
    with torch.no_grad():
        expected = model(x)
        scripted = torch.jit.script(model)(x)
        scripted = scripted[0] if isinstance(scripted, tuple) else scripted
        assert torch.equal(scripted, expected)
        assert torch.equal(torch.fx.symbolic_trace(model)(x), expected)


@pytest.mark.parametrize("name", LIGHT)
def test_some_are_scripted_and_traced(name: str) -> None:
    _scripted_and_traced(name)


@pytest.mark.slow
@every_builder
def test_scripted_and_traced(name: str) -> None:
    _scripted_and_traced(name)
