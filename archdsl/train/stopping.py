"""Ends of a run before its time: signals, and tests that no longer improve."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from types import FrameType
from typing import Any

from archdsl.train.distributed import launched
from archdsl.train.run_folder import Row


class Stopped(Exception):
    """Work that may be left undone is left undone, because a signal came."""


class StopSignals:
    """While open, the first SIGINT or SIGTERM is noted in `caught`, for the loop to finish its step
    and save. A second one acts as if nobody had asked: it ends the process at once."""

    def __init__(self) -> None:
        self.caught = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _note(self, number: int, _: FrameType | None) -> None:
        self.caught = number
        # Under a launcher the same Ctrl-C comes twice: from the terminal and from the launcher,
        # which also sees to it that a process which does not end is killed.
        later = signal.SIG_IGN if launched() else signal.SIG_DFL
        for known in self._before:
            signal.signal(known, later)

    def check(self) -> None:
        if self.caught:
            raise Stopped


def stale_tests(history: Sequence[Row], classes: bool, min_delta: float) -> int:
    """How many tests have passed since one was better than all before it by `min_delta`."""
    best, stale = float("-inf"), 0
    for row in history:
        value = row["test_accuracy"] if classes else row["test_loss"]
        if value is None:
            continue
        score = value if classes else -value
        if score > best + min_delta or best == float("-inf"):
            best, stale = score, 0
        else:
            stale += 1
    return stale
