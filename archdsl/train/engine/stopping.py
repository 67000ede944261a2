"""Ends of a run before its time, by a signal."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType
from typing import Any

from archdsl.train.engine.distributed import Ranks, launched


class Stopped(Exception):
    """Work that may be left undone is left undone, because a signal (`number`) came."""

    def __init__(self, number: int) -> None:
        self.number = number


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


class Agreement:
    """Whether to stop (the signal's number) or to save now: the same answer on every rank.

    Ranks ask one another a few times a second: fast steps do not pay for it, and with slow ones a
    signal counts at the end of the step."""

    def __init__(self, ranks: Ranks, signals: StopSignals) -> None:
        self.ranks, self.signals = ranks, signals
        self.every = self.left = 1
        self.asked_at = time.monotonic()

    def __call__(self, late: bool = False, now: bool = False) -> tuple[int, bool]:
        self.left -= 1
        if self.left > 0 and self.ranks.world > 1 and not now:
            return 0, False
        seconds = time.monotonic() - self.asked_at
        number, save, seconds = self.ranks.most([self.signals.caught, late, seconds])
        if seconds < 0.1:
            self.every = min(64, 2 * self.every)
        elif seconds > 0.5:
            self.every = 1
        self.left, self.asked_at = self.every, time.monotonic()
        return int(number), bool(save)

    def check(self) -> None:
        """Ends a pass over the test split, on all ranks at once."""
        number, _ = self()
        if number:
            raise Stopped(number)
