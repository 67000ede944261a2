"""The lecture's table of LeNet-5 on MNIST beside ours and that of the lecture's own loop.

python -m tests.lecture.table [--seeds 0 1 2 3 4] [--loop 0] [--theirs 42] [--data DIR]

The lecture does not say its seed. It was 42: with that, and the images in the order in which
PyTorch shuffled them then, its loop gives its table.

A run takes some minutes on one core and is kept in --out FOLDER; one that is there is not repeated,
so that the seeds of several commands add up.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from archdsl.train import Override, fit
from tests.benchmarks import lecture

ROOT = Path(__file__).parents[2]
COLUMNS = "train_loss", "test_loss", "train_accuracy", "test_accuracy"

#: what the lecture prints; accuracies in per cent
LECTURE = np.array(
    [
        [2.2817, 2.2540, 14.16, 34.11],
        [2.1948, 2.0867, 50.41, 56.95],
        [1.8551, 1.5684, 56.49, 62.10],
        [1.3052, 1.0489, 67.44, 74.17],
        [0.9017, 0.7621, 77.70, 81.95],
        [0.6930, 0.6112, 82.86, 85.24],
        [0.5783, 0.5238, 85.29, 86.71],
        [0.5090, 0.4686, 86.75, 87.75],
        [0.4633, 0.4298, 87.60, 88.62],
        [0.4306, 0.4009, 88.34, 89.17],
        [0.4056, 0.3788, 88.82, 89.68],
        [0.3855, 0.3602, 89.27, 90.08],
        [0.3686, 0.3444, 89.65, 90.45],
        [0.3540, 0.3310, 89.95, 90.75],
        [0.3407, 0.3183, 90.29, 91.00],
    ]
)

Table = NDArray[np.float64]  # epochs x COLUMNS


def ours(seed: int, data: str) -> list[list[float]]:
    changes = f"seed={seed}", f"data.dir={data}", "plots=false"
    with tempfile.TemporaryDirectory() as out:
        result = fit(
            ROOT / "specs" / "lecture" / "lenet5.arch",
            out=out,
            overrides=[Override.parse(one) for one in changes],
            quiet=True,
        )
    return [[row[name] or 0.0 for name in COLUMNS] for row in result.history]


def loop(seed: int, data: str) -> list[list[float]]:
    return the_lectures_loop(seed, data, epochs=15)


def theirs(seed: int, data: str) -> list[list[float]]:
    """With the images in the order that PyTorch gave them then."""
    return the_lectures_loop(seed, data, epochs=15, old_shuffle=True)


def the_lectures_loop(
    seed: int, data: str, *, epochs: int, old_shuffle: bool = False
) -> list[list[float]]:
    torch.set_num_threads(1)  # as the recipe has it
    torch.manual_seed(seed)
    return lecture.training_loop(*lecture.loaders(data, 32, old_shuffle=old_shuffle), epochs)


def printed(table: Table) -> Table:
    """Figures as the lecture prints them."""
    return np.stack([table[:, n].round(4 if n < 2 else 2) for n in range(4)], axis=1)


def run(what: Callable[[int, str], list[list[float]]], seed: int, data: str, folder: Path) -> Path:
    path = folder / f"{what.__name__}-{seed}.json"
    if not path.exists():
        began = time.process_time()
        rows = what(seed, data)
        seconds = time.process_time() - began
        path.write_text(json.dumps({"seconds": seconds, "rows": rows}))
        print(f"{path}: {seconds:.0f} s of processor time, {rows[-1][-1]:.2%}", flush=True)
    return path


def read(paths: list[Path]) -> tuple[Table, list[float]]:
    """runs x epochs x COLUMNS, and the seconds of each run."""
    runs = [json.loads(path.read_text()) for path in paths]
    return np.array([one["rows"] for one in runs]) * [1, 1, 100, 100], [r["seconds"] for r in runs]


def side_by_side(tables: Table) -> str:
    """The lecture's table and the mean and deviation of ours, as Markdown."""
    heads = "train loss", "test loss", "train acc.", "test acc."
    lines = [
        f"| epoch | lecture: {' | '.join(heads)} | ours: {' | '.join(heads)} |",
        "|---" * 9 + "|",
    ]
    middle, spread = tables.mean(0), tables.std(0, ddof=1)
    for epoch, (theirs, m, s) in enumerate(zip(LECTURE, middle, spread, strict=True)):
        shown = [f"{theirs[n]:.{4 if n < 2 else 2}f}" for n in range(4)]
        shown += [f"{m[n]:.{3 if n < 2 else 2}f} ± {s[n]:.{3 if n < 2 else 2}f}" for n in range(4)]
        lines.append(f"| {epoch} | {' | '.join(shown)} |")
    return "\n".join(lines)


def spread(name: str, finals: Table, seconds: list[float]) -> str:
    """Where runs end, and where one more is to be expected."""
    n, middle = len(finals), finals.mean()
    text = f"{name}: {n} runs end at {', '.join(f'{one:.2f}' for one in sorted(finals))}"
    if n > 2:
        deviation = finals.std(ddof=1)
        reach = stats.t.ppf(0.975, n - 1) * deviation * (1 + 1 / n) ** 0.5
        text += (
            f"; mean {middle:.2f}, standard deviation {deviation:.2f}; 95 % of further runs "
            f"within {middle - reach:.2f} to {middle + reach:.2f}"
        )
    return f"{text}; {np.mean(seconds):.0f} s of processor time each"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.lecture.table", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2, 3, 4])
    parser.add_argument("--loop", type=int, nargs="*", default=[0], help="seeds of the loop's runs")
    parser.add_argument(
        "--theirs", type=int, nargs="*", default=[42], help="the loop, shuffled as PyTorch once did"
    )
    parser.add_argument("--data", default=str(ROOT.parent / "shared" / "data"))
    parser.add_argument("--out", type=Path, default=Path("runs/lecture-table"))
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    for what, name in (
        (ours, "ours"),
        (loop, "the lecture's loop"),
        (theirs, "the lecture's loop, shuffled as then"),
    ):
        for seed in getattr(chosen, "seeds" if what is ours else what.__name__):
            run(what, seed, chosen.data, chosen.out)
        paths = sorted(chosen.out.glob(f"{what.__name__}-*.json"))
        if not paths:
            continue
        tables, seconds = read(paths)
        if what is ours and len(paths) > 1:
            print(side_by_side(tables))
        print(spread(name, tables[:, -1, -1], seconds))
        for path, table in zip(paths, tables, strict=True) if what is theirs else ():
            equal = (printed(table) == LECTURE).sum()
            print(f"{path.stem}: {equal} of the table's {LECTURE.size} figures are the lecture's")


if __name__ == "__main__":
    main()
