"""Every classification builder of torchvision against its spec, bit for bit.

    python -m pytest tests/fidelity            keys, shapes and costs of all; the rest of a few
    python -m pytest tests/fidelity -m slow    all of it for all 80, one model at a time
"""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
import torch

from archdsl.pipeline import shipped, specs_folder
from tests.fidelity import checks
from tests.fidelity.builders import BUILDERS, full, small

#: one of each family that is small
LIGHT = (
    "squeezenet1_1", "shufflenet_v2_x0_5", "mnasnet0_5", "mobilenet_v3_small", "regnet_y_400mf", "resnet18",
)  # fmt: skip

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
def test_state_and_cost(name: str, record_property: pytest.FixtureRequest) -> None:
    checks.same_state(full(name))
    checks.same_cost(full(name))


@pytest.mark.parametrize("name", LIGHT)
def test_some_in_full(name: str) -> None:
    checks.same_initial_weights(small(name))
    checks.same_behaviour(small(name))


@pytest.mark.slow
@every_builder
def test_initial_weights(name: str) -> None:
    checks.same_initial_weights(small(name))


@pytest.mark.slow
@every_builder
def test_behaviour(name: str) -> None:
    checks.same_behaviour(small(name))
