"""What a person sees at the terminal while a run goes on: lines, and a progress line."""

from __future__ import annotations

import sys
import time
from typing import Any

import torch

from archdsl.train.engine.records import EpochBegan, EpochTrained, Record, Step
from archdsl.train.tasks.task import Task

REDRAWN = 0.5  # seconds between two looks at the loss


class Console:
    def __init__(self, task: Task, device: torch.device) -> None:
        self.task, self.device = task, device
        self.bar: Any = None
        self.bar_began = -1.0
        self.looked_at = 0.0

    def say(self, text: str) -> None:
        """A line above the progress line."""
        if self.bar is not None:
            self.bar.clear()
        print(text, flush=True)

    def hear(self, record: Record) -> None:
        match record:
            case EpochBegan():
                self._begin(record)
            case Step() if self.bar is not None:
                self._move(record)
            case EpochTrained():
                self.close()

    def _begin(self, record: EpochBegan) -> None:
        self.close()
        now = time.monotonic()
        # Thousands of tiny epochs: not all get a bar, which takes longer to draw than they do.
        if not sys.stderr.isatty() or now - self.bar_began < 0.1:
            return
        from tqdm import tqdm

        self.bar_began = now
        self.bar = tqdm(
            total=record.steps,
            initial=record.done,
            desc=f"epoch {record.epoch}/{record.epochs}",
            unit="step",
            leave=False,
            dynamic_ncols=True,
            smoothing=0.1,
        )

    def _move(self, record: Step) -> None:
        """Asks the device for numbers only when the line is redrawn."""
        if time.monotonic() - self.looked_at > REDRAWN:
            self.looked_at = time.monotonic()
            now = record.so_far()
            shown = f"loss {now.loss:.4f}, {self.task.progress(now.figure)}"
            self.bar.set_postfix_str(
                f"{shown}lr {record.rate:.2g}{_memory(self.device)}", refresh=False
            )
        self.bar.update()

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def _memory(device: torch.device) -> str:
    """The most memory used so far: the GPU's, or the process's."""
    if device.type == "cuda":
        return f", {torch.cuda.max_memory_reserved(device) / 2**30:.1f} GiB"
    if sys.platform == "win32":
        return ""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return f", {peak / (2**30 if sys.platform == 'darwin' else 2**20):.1f} GiB"
