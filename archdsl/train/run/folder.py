"""The folder that a run leaves behind: made, locked, written into, or unmade if it is of no use."""

from __future__ import annotations

import contextlib
import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from archdsl.diagnostics.terminal import typed
from archdsl.files import write_atomic
from archdsl.train.engine.records import Epoch, Record, State
from archdsl.train.errors import TrainError, shown
from archdsl.train.run.checkpoint import LAST, save_checkpoint, save_weights, tested_weights
from archdsl.train.tasks.task import TEST, TRAIN, Row

COLUMNS = (
    "epoch",
    "step",
    "train_loss",
    TRAIN,
    "test_loss",
    TEST,
    "lr",
    "seconds",
    "samples_per_second",
)


@dataclass(frozen=True)
class Place:
    """Where a run goes. `made`: the folders that were made for it, the innermost first; `new`: it
    was empty."""

    path: Path
    made: tuple[Path, ...] = ()
    new: bool = True

    def unmake(self) -> None:
        """Removes what was made, as far as nothing is in it."""
        for folder in self.made:
            with contextlib.suppress(OSError):
                folder.rmdir()


def new_folder(name: str, out: str | Path | None) -> Place:
    """The folder that was asked for, or the next free `runs/<name>-N`."""
    try:
        if out is not None:
            folder = Path(out).expanduser()
            place = _made(Path(os.path.realpath(folder)))  # links are followed
            if (folder / LAST).exists():
                raise TrainError(
                    f"{shown(folder)}: holds a run already",
                    f"go on with it by --resume {typed(folder)}, or give another --out",
                )
            if held := sorted(p.name for p in folder.iterdir()):
                raise TrainError(
                    f"{shown(folder)}: not an empty folder; it holds {shown(held[0])}",
                    "give another --out: a run writes into a folder of its own",
                )
            return Place(folder, place)
        root = Path("runs")
        above = _made(root)
        for number in range(1, 100_000):
            folder = root / f"{name}-{number}"
            try:
                folder.mkdir()
                return Place(folder, (folder, *above))
            except FileExistsError:
                continue
        raise TrainError(f"{root}: too many runs named {name}")
    except OSError as error:
        raise TrainError(
            f"{shown(error.filename)}: the run folder cannot be made: {error.strerror}",
            "--out DIR puts it elsewhere",
        ) from None


def _made(folder: Path) -> tuple[Path, ...]:
    """Makes a folder; it and those above it that were not there."""
    missing = tuple(one for one in (folder, *folder.parents) if not one.exists())
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _lock(file: TextIO, folder: Path) -> None:
    """Keeps the folder for this process, until it ends in whatever way."""
    try:
        import fcntl
    except ImportError:  # Windows has no such locks
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise TrainError(
            f"{shown(folder)}: another process is training here",
            "wait for it, or give another --out",
        ) from None
    except OSError:  # a file system without locks
        return


class RunFolder:
    """Keeps what the loop tells: states, the table, events for TensorBoard, a log."""

    def __init__(self, place: Place, tensorboard: bool = False) -> None:
        self.place, self.path = place, place.path
        self.written: list[str] = ["log.txt"]
        self.log: TextIO = (self.path / "log.txt").open("a", encoding="utf-8")
        self.writer: Any = None
        _lock(self.log, self.path)
        for left in self.path.glob(".*.tmp"):  # of a process that was killed: nobody else is here
            left.unlink(missing_ok=True)
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(str(self.path / "events"))

    def hear(self, record: Record) -> None:
        if isinstance(record, Epoch) and record.tested is not None:
            self.table(record.history)
            self._events(record.row)
        elif isinstance(record, State):
            save_checkpoint(record.state, self.path, record.best)
            if record.best:
                save_weights(tested_weights(record.state), self.path / "best.safetensors")

    def write(self, name: str, text: str) -> None:
        self.written.append(name)
        write_atomic(self.path / name, text)

    def record(self, text: str) -> None:
        """A line for the log."""
        self.log.write(text + "\n")
        self.log.flush()

    def table(self, history: Sequence[Row]) -> None:
        """Writes metrics.csv, whole: a resumed run may find later lines in it than its own."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, COLUMNS)
        writer.writeheader()
        writer.writerows(history)
        self.write("metrics.csv", text.getvalue())

    def _events(self, row: Row) -> None:
        """The row's figures, for TensorBoard."""
        if self.writer is None:
            return
        for name in COLUMNS[2:]:
            if row[name] is not None:
                self.writer.add_scalar(name.replace("_", "/", 1), row[name], row["step"])
        self.writer.flush()

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
        self.log.close()

    def unmake(self) -> None:
        """Where no state was kept, so that nothing can go on from here: takes away what this run
        wrote, and the folder if it was made for it. What else lies there stays."""
        if not self.place.new or (self.path / LAST).exists():
            return
        events = [f"events/{one.name}" for one in self.path.glob("events/events.out.tfevents.*")]
        for name in [*self.written, *events] if self.writer is not None else self.written:
            with contextlib.suppress(OSError):
                (self.path / name).unlink()
        with contextlib.suppress(OSError):
            (self.path / "events").rmdir()
        self.place.unmake()
