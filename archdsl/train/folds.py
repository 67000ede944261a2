"""Cross-validation: a run for each fold, in a folder each, and a table of all of them."""

from __future__ import annotations

import csv
import io
import json
import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from torch import nn

from archdsl.diagnostics.terminal import typed
from archdsl.files import write_atomic
from archdsl.train.engine.distributed import launched
from archdsl.train.errors import TrainError
from archdsl.train.request import Job
from archdsl.train.result import Result
from archdsl.train.run.checkpoint import FOLDS, LAST, find_checkpoint, read_checkpoint
from archdsl.train.run.folder import Place, new_folder
from archdsl.train.tasks import saved_task
from archdsl.train.tasks.task import TEST, Task

COLUMNS = ("fold", "epoch", "test_loss", TEST, "final_loss", "final_figure")
Line = dict[str, float | int | str | None]


def in_folds(job: Job, run: Callable[[Job], Result]) -> Result:
    """Each fold's run, by `run`; a signal ends them all."""
    count = job.recipe.data.folds or 0
    if launched() or job.recipe.nodes > 1:
        raise TrainError(
            "data.folds is several runs one after another, which one launcher cannot start",
            "--devices starts the processes of each; or give one launch for each data.fold",
        )
    if job.resume is not None:
        place = Place(job.resume, new=False)
    else:
        place = new_folder(job.model.name, job.out)
    results: list[Result] = []
    try:
        for number in range(1, count + 1):
            if not job.quiet:
                print(f"fold   {number} of {count}", flush=True)
            with _as_it_was(job.model.module):
                result = run(_fold(job, place.path, number))
            results.append(replace(result, module=None))
            if number == 1:
                _remember(job, place.path)
            if result.signal:
                break
    finally:
        place.unmake()  # of a first fold that has kept nothing
    _conclude(job, place.path, results)
    signal = results[-1].signal
    steps = sum(one.step for one in results)
    return Result(place.path, None, [], None, steps, signal, folds=tuple(results))


def _fold(job: Job, folder: Path, number: int) -> Job:
    data = job.recipe.data.model_copy(update={"fold": number})
    recipe = job.recipe.model_copy(update={"data": data})
    out = folder / f"fold-{number}"
    begun = job.resume is not None and (out / LAST).is_file()
    return replace(job, recipe=recipe, out=str(out), resume=out / LAST if begun else None)


def _remember(job: Job, folder: Path) -> None:
    """What going on needs beside the first fold's own state."""
    write_atomic(folder / FOLDS, json.dumps({"weights": job.weights}) + "\n")


def _conclude(job: Job, folder: Path, results: Sequence[Result]) -> None:
    lines = [_line(number, one) for number, one in enumerate(results, 1)]
    whole = len(results) == job.recipe.data.folds and not results[-1].signal
    if whole:
        lines += [_over("mean", lines, statistics.fmean), _over("deviation", lines, _deviation)]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(lines)
    if not results[0].signal or (folder / FOLDS).exists():
        write_atomic(folder / "folds.csv", text.getvalue())
    if job.quiet:
        return
    if whole:
        saved = read_checkpoint(find_checkpoint(folder / "fold-1"))
        print("\n".join(_table(lines, saved_task(saved, job.recipe.loss.name))))
    else:
        print(f"  go on     archdsl train --resume {typed(folder)}")


def _line(number: int, result: Result) -> Line:
    best, final = result.best or {}, result.final
    return {
        "fold": number,
        "epoch": best.get("epoch"),
        "test_loss": best.get("test_loss"),
        TEST: best.get(TEST),
        "final_loss": None if final is None else final.loss,
        "final_figure": None if final is None else final.figure,
    }


def _over(name: str, lines: Sequence[Line], of: Callable[[list[float]], float]) -> Line:
    """One figure of all folds, where each has it."""
    found: Line = {"fold": name, "epoch": None}
    for column in COLUMNS[2:]:
        values = [float(v) for line in lines if (v := line[column]) is not None]
        found[column] = of(values) if len(values) == len(lines) else None
    return found


def _deviation(values: list[float]) -> float:
    """Of a sample: what another fold would differ by."""
    return statistics.stdev(values) if all(map(math.isfinite, values)) else math.nan


def _table(lines: Sequence[Line], task: Task) -> Iterator[str]:
    """Of the best epoch of each fold; with the test split's figures, where there is one."""
    final = lines[0]["final_loss"] is not None
    pairs = [("test_loss", TEST)] + [("final_loss", "final_figure")] * final
    title = f"   test loss{task.titles()[1]}"
    selected = title.replace("test", " val") if final else title
    yield f"{'fold':>10}{selected}" + title * final
    for line in lines:
        cells = ""
        for loss, figure in pairs:
            value, other = line[loss], line[figure]
            cells += f"{'' if value is None else f'{value:.4f}':>12}"
            cells += task.cell(None if other is None else float(other), 8)
        yield f"{line['fold']:>10}{cells}"


@contextmanager
def _as_it_was(module: nn.Module | None) -> Iterator[None]:
    """A module that is handed over begins each fold with the weights that it had."""
    if module is None:
        yield
        return
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    try:
        yield
    finally:
        module.load_state_dict(before)
