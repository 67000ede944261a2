"""Those who listen to the training loop, together: the folder, the terminal, the curves."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from archdsl.train.engine.records import Epoch, Record, State, StoppedEarly
from archdsl.train.recipe.schema import Recipe
from archdsl.train.run.console import Console
from archdsl.train.run.folder import Place, RunFolder
from archdsl.train.run.table import table_header, table_line
from archdsl.train.tasks.task import Row, Task

MINUTE = 60.0


class Curves:
    """curves.png; while training, once a minute at most."""

    def __init__(self, task: Task, path: Path) -> None:
        self.task, self.path = task, path
        self.history: Sequence[Row] = ()
        self.drawn_at = time.monotonic()

    def hear(self, record: Record) -> None:
        if isinstance(record, Epoch) and record.tested is not None:
            self.history = record.history
        late = time.monotonic() - self.drawn_at > MINUTE
        if isinstance(record, State) and late and self.history:  # the state is kept by now
            self.draw(self.history)

    def draw(self, history: Sequence[Row]) -> None:
        from archdsl.train.run.plots import plot_curves

        plot_curves(history, self.task.panel, self.path)
        self.history, self.drawn_at = (), time.monotonic()


class Run:
    """One run as the first rank tells of it; of the others (`place=None`) nobody hears."""

    def __init__(
        self, place: Place | None, recipe: Recipe, task: Task, device: torch.device, quiet: bool
    ) -> None:
        self.task = task
        self.folder = None if place is None else RunFolder(place, recipe.tensorboard)
        self.console = None if place is None or quiet else Console(task, device)
        self.curves = None
        if place is not None and recipe.plots:
            self.curves = Curves(task, place.path / "curves.png")

    @property
    def path(self) -> Path | None:
        return None if self.folder is None else self.folder.path

    def hear(self, record: Record) -> None:
        for line in _lines(record, self.task):
            self.say(line)
        for one in (self.console, self.folder, self.curves):
            if one is not None:
                one.hear(record)

    def say(self, text: str) -> None:
        """A line for the terminal and the log."""
        self.record(text)
        if self.console is not None:
            self.console.say(text)

    def record(self, text: str) -> None:
        """A line for the log alone."""
        if self.folder is not None:
            self.folder.record(text)

    def write(self, name: str, text: str) -> None:
        if self.folder is not None:
            self.folder.write(name, text)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.console is not None:
            self.console.close()
        if self.folder is not None:
            self.folder.close()
            if kind is not None:
                self.folder.unmake()


def _lines(record: Record, task: Task) -> Iterator[str]:
    if isinstance(record, Epoch):
        if record.first:
            yield table_header(task)
        if record.tested is not None:
            yield table_line(record.row, task)
    elif isinstance(record, StoppedEarly):
        yield f"stopped early: {record.tests} tests without improvement"
