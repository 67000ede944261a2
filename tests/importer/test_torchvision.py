"""torchvision's classification builders come back: equal, short and clean."""

from __future__ import annotations

import pytest

from tests.fidelity.builders import BUILDERS
from tests.import_survey import survey_torchvision

LIGHT = ("alexnet", "resnet18", "squeezenet1_0", "mobilenet_v2", "shufflenet_v2_x0_5", "swin_t")


def _holds(name: str) -> None:
    row = survey_torchvision(name)
    assert row.result.startswith("equal"), row.result
    assert not [code for code in row.codes if code.startswith("E")]
    assert row.lines <= 2 * row.shipped


@pytest.mark.parametrize("name", LIGHT)
def test_light_builders(name: str) -> None:
    _holds(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*BUILDERS} - {*LIGHT}))
def test_every_builder(name: str) -> None:
    _holds(name)
