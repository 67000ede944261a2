"""What the training loop tells while it works. It knows nobody who listens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from archdsl.train.tasks.task import Row, Tested


@dataclass(frozen=True, slots=True)
class SoFar:
    """Means over the samples of the epoch under way."""

    loss: float
    figure: float


@dataclass(frozen=True, slots=True)
class EpochBegan:
    """`done` of its `steps` were made before, in a run that goes on."""

    epoch: int
    epochs: int
    steps: int
    done: int


@dataclass(frozen=True, slots=True)
class Step:
    """After a step. `so_far()` asks the device for numbers, which takes time."""

    step: int
    rate: float
    so_far: Callable[[], SoFar]


@dataclass(frozen=True, slots=True)
class EpochTrained:
    """All steps of an epoch are made; what comes next is a test, or the next epoch."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Epoch:
    """A row of the table, which is `history` so far; `tested` where a test was due. `first`: no row
    was there before it."""

    row: Row
    history: Sequence[Row]
    tested: Tested | None
    first: bool


@dataclass(frozen=True, slots=True)
class State:
    """All that going on needs, as tensors and plain values, to be kept before the loop goes on;
    `best`: the model in it is the best so far."""

    state: dict[str, Any]
    best: bool


@dataclass(frozen=True, slots=True)
class StoppedEarly:
    """`tests` have passed without improvement."""

    tests: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The last record; `signal`: the number of the one that ended it before its time, or 0."""

    step: int
    signal: int


Record = EpochBegan | Step | EpochTrained | Epoch | State | StoppedEarly | Ended
