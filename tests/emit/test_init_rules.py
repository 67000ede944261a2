"""Every rule of initialisation against torch.nn.init, with a gain as a number and by name."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import archdsl

LINES = {
    "init linear xavier_uniform gain=relu": lambda w: nn.init.xavier_uniform_(w, 2**0.5),
    "init linear orthogonal gain=tanh": lambda w: nn.init.orthogonal_(w, 5 / 3),
    "init linear xavier_normal 0.5": lambda w: nn.init.xavier_normal_(w, 0.5),
    "init linear eye": nn.init.eye_,
    "init linear sparse 0.5": lambda w: nn.init.sparse_(w, 0.5),
    "init linear sparse 0.25 0.1": lambda w: nn.init.sparse_(w, 0.25, 0.1),
    "init conv dirac groups=2": lambda w: nn.init.dirac_(w, 2),
    "init conv dirac": nn.init.dirac_,
}


@pytest.mark.parametrize("line", LINES)
def test_as_torch(line: str) -> None:
    spec = f"model m() {{\n  input 4x5x5\n  {line}\n  conv 4 3x3 -> gap -> flatten\n  linear 8\n}}"
    torch.manual_seed(0)
    state = archdsl.load(spec).state_dict()
    key = "3.weight" if " linear " in line else "0.weight"
    torch.manual_seed(0)
    built = nn.Conv2d(4, 4, 3), nn.Linear(4, 8)
    wanted = built[" linear " in line].weight
    with torch.no_grad():
        LINES[line](wanted)  # type: ignore[no-untyped-call]
    assert torch.equal(state[key], wanted)
