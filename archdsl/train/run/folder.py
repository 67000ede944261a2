"""What a run leaves behind and what a person sees: folder, table, progress line, log, plots."""

from __future__ import annotations

import csv
import io
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from archdsl.files import write_atomic
from archdsl.train.errors import TrainError, shown
from archdsl.train.recipe.schema import Recipe
from archdsl.train.tasks.task import TEST, TRAIN, Row, Task

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


def new_folder(name: str, out: str | Path | None) -> Path:
    """The folder that was asked for, or the next free `runs/<name>-N`."""
    try:
        if out is not None:
            folder = Path(out).expanduser()
            Path(os.path.realpath(folder)).mkdir(parents=True, exist_ok=True)  # links are followed
            if (folder / "last.pt").exists():
                raise TrainError(
                    f"{shown(folder)}: holds a run already",
                    f"go on with it by --resume {shown(folder)}, or give another --out",
                )
            if held := sorted(p.name for p in folder.iterdir()):
                raise TrainError(
                    f"{shown(folder)}: not an empty folder; it holds {shown(held[0])}",
                    "give another --out: a run writes into a folder of its own",
                )
            return folder
        root = Path("runs")
        root.mkdir(exist_ok=True)
        for number in range(1, 100_000):
            folder = root / f"{name}-{number}"
            try:
                folder.mkdir()
                return folder
            except FileExistsError:
                continue
        raise TrainError(f"{root}: too many runs named {name}")
    except OSError as error:
        raise TrainError(
            f"{shown(error.filename)}: the run folder cannot be made: {error.strerror}",
            "--out DIR puts it elsewhere",
        ) from None


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
    """Writes for the first rank; for the others (`folder=None`) every method does nothing."""

    def __init__(self, folder: Path | None, quiet: bool, recipe: Recipe) -> None:
        self.folder, self.plots = folder, recipe.plots
        self.quiet = quiet or folder is None
        self.log: TextIO | None = None
        self.bar: Any = None
        self.bar_began = -1.0
        self.plotted = time.monotonic()
        self.writer: Any = None
        if folder is None:
            return
        self.log = (folder / "log.txt").open("a", encoding="utf-8")
        _lock(self.log, folder)
        for left in folder.glob(".*.tmp"):  # of a process that was killed: nobody else is here
            left.unlink(missing_ok=True)
        if recipe.tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(str(folder / "events"))

    def close(self) -> None:
        self.close_bar()
        if self.writer is not None:
            self.writer.close()
        if self.log is not None:
            self.log.close()

    def write(self, name: str, text: str) -> None:
        if self.folder is not None:
            write_atomic(self.folder / name, text)

    def say(self, text: str) -> None:
        """A line for the terminal (above the progress line) and the log."""
        self.record(text)
        if self.quiet:
            return
        if self.bar is not None:
            self.bar.clear()
        print(text, flush=True)

    def record(self, text: str) -> None:
        """A line for the log alone."""
        if self.log is not None:
            self.log.write(text + "\n")
            self.log.flush()

    def start_bar(self, epoch: int, epochs: int, total: int, done: int) -> None:
        self.close_bar()
        now = time.monotonic()
        # Thousands of tiny epochs: not all get a bar, which takes longer to draw than they do.
        if self.quiet or not sys.stderr.isatty() or now - self.bar_began < 0.1:
            return
        from tqdm import tqdm

        self.bar_began = now
        self.bar = tqdm(
            total=total,
            initial=done,
            desc=f"epoch {epoch}/{epochs}",
            unit="step",
            leave=False,
            dynamic_ncols=True,
            smoothing=0.1,
        )

    def close_bar(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def table(self, history: Sequence[Row]) -> None:
        """Writes metrics.csv, whole: a resumed run may find later lines in it than its own."""
        if self.folder is None:
            return
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, COLUMNS)
        writer.writeheader()
        writer.writerows(history)
        write_atomic(self.folder / "metrics.csv", text.getvalue())

    def events(self, row: Row) -> None:
        """The row's figures, for TensorBoard."""
        if self.writer is None:
            return
        for name in COLUMNS[2:]:
            if row[name] is not None:
                self.writer.add_scalar(name.replace("_", "/", 1), row[name], row["step"])
        self.writer.flush()

    def plot(self, history: Sequence[Row], task: Task, now: bool) -> None:
        """curves.png; while training, once a minute at most."""
        late = now or time.monotonic() - self.plotted > 60
        if self.folder is None or not self.plots or not late:
            return
        from archdsl.train.run.plots import plot_curves

        plot_curves(history, task.panel, self.folder / "curves.png")
        self.plotted = time.monotonic()


def table_header(task: Task) -> str:
    train, test = task.titles()
    return f"  epoch  train loss{train}   test loss{test}        lr     time"


def table_line(row: Row, task: Task) -> str:
    def loss(value: float | int | None) -> str:
        return (
            f"{'':>10}"
            if value is None
            else f"{value:>10.4f}"
            if 1e-3 <= value < 1e5
            else f"{value:>10.2e}"
        )

    return (
        f"{row['epoch']:>7}  {loss(row['train_loss'])}{task.cell(row[TRAIN], 9)}  "
        f"{loss(row['test_loss'])}{task.cell(row[TEST], 8)}  {row['lr']:>8.2g}  "
        f"{spent(row['seconds'] or 0):>7}"
    )


def spent(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def learned(parameters: Mapping[str, Any]) -> str:
    """The parameters themselves, for models small enough to read."""
    lines = []
    for name, tensor in parameters.items():
        values = ", ".join(f"{one:.5g}" for one in tensor.flatten().tolist())
        lines.append(f"{name:>12} = {values}")
    return "\n".join(lines)
