"""What training came to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from archdsl.train.tasks.task import Row, Tested


@dataclass
class Result:
    """What training came to. `module` holds the last weights; the best are in `run`."""

    run: Path | None
    module: nn.Module | None
    history: list[Row]
    best: Row | None
    step: int
    signal: int = 0  # the one that ended it early, if any
    tested: Tested | None = None
    final: Tested | None = None  # of the best model, where the data has val and test
