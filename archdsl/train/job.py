"""`fit`: from a spec (or module) and a recipe to a trained model.

What is asked for is first settled into a `Job` (`request.py`), in the parent process and before
anything is written. `train` then does it, in this process or in each of several.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from archdsl.train.data.batches import Batches
from archdsl.train.data.load import LoadedData
from archdsl.train.data.sampling import kept_generators
from archdsl.train.engine.allocator import keep_freed_memory
from archdsl.train.engine.distributed import (
    Ranks,
    Signalled,
    is_peer_lost,
    joined,
    launch,
    launched,
    leave,
    let_others_speak,
)
from archdsl.train.engine.records import Ended
from archdsl.train.engine.stopping import StopSignals
from archdsl.train.engine.trainer import NotFinite, Trainer
from archdsl.train.errors import TrainError, shown
from archdsl.train.evaluation import test_final
from archdsl.train.folds import in_folds
from archdsl.train.model import Model
from archdsl.train.recipe.datasets import is_code
from archdsl.train.recipe.read import Override
from archdsl.train.recipe.schema import Recipe
from archdsl.train.request import Job, Request, settle
from archdsl.train.result import Result
from archdsl.train.run.checkpoint import (
    BEST,
    LAST,
    find_checkpoint,
    good_help,
    read_checkpoint,
    restored,
    tested_weights,
)
from archdsl.train.run.folder import Place, new_folder
from archdsl.train.run.listeners import Run
from archdsl.train.run.telling import (
    announce,
    conclude,
    dry_text,
    is_out_of_memory,
    not_finite,
    odd_weight,
    out_of_memory,
    peer_lost,
    worker_lost,
)
from archdsl.train.tasks import saved_task
from archdsl.train.tasks.task import Tested, best_row


def fit(
    spec: str | Path | nn.Module | None,
    recipe: str | Path | Mapping[str, Any] | Recipe | None = None,
    *,
    params: Mapping[str, Any] | None = None,
    input: tuple[int, ...] | None = None,
    fit_spec: bool = False,
    weights: str | Path | None = None,
    out: str | Path | None = None,
    resume: str | Path | None = None,
    overrides: Sequence[Override] = (),
    quiet: bool = False,
) -> Result:
    """Trains a model and returns it with its table.

    `spec` is a path, a shipped name, a spec's text, or a module; `recipe` a path, a mapping, or
    none for the one beside the spec (`lenet5.yaml` for `lenet5.arch`). `fit_spec` adapts the spec's
    input and class count to the data. `resume` goes on with a run folder or checkpoint, for which
    `spec` may be None. Raises `TrainError` for whatever a person can mend.
    """
    asked = Request(spec, recipe, params, input, fit_spec, weights, out, resume, overrides, quiet)
    return run(settle(asked))


def run(job: Job) -> Result:
    """Does what was settled, in as many runs and processes as the recipe names."""
    if job.recipe.data.folds is not None and job.recipe.data.fold is None:
        return in_folds(job, run)
    if launched() or job.recipe.devices * job.recipe.nodes == 1:
        return train(job)
    if job.resume is not None or job.recipe.nodes > 1:
        return _train_in_many(job)
    place = new_folder(job.model.name, job.out)
    try:
        return _train_in_many(replace(job, out=str(place.path)))
    finally:
        place.unmake()  # of a run that has written nothing


def train(job: Job) -> Result:
    """Does the job, as the only process or as one of the launcher's."""
    recipe = job.recipe
    with joined(recipe.device) as ranks, own_randomness(recipe, ranks.device):
        if ranks.device.type == "cpu":
            keep_freed_memory()
        data = job.load()
        torch.manual_seed(recipe.seed)
        module = job.model.build(job.weights)
        place = None
        if ranks.first:
            place = _place(job)
        try:
            with Run(place, recipe, data.task, ranks.device, job.quiet) as run:
                return _train(job, module, data, ranks, run)
        except OSError as error:
            if place is None or error.errno is None or not _is_below(error, place.path):
                raise  # of the data, and so of the user's own code
            file = shown(error.filename or place.path)
            raise TrainError(
                f"{file}: the run folder cannot be written: {error.strerror}",
                good_help(place.path),
            ) from None


def _place(job: Job) -> Place:
    if job.resume is not None:
        return Place(job.resume.parent, new=False)
    return new_folder(job.model.name, job.out)


def _is_below(error: OSError, folder: Path) -> bool:
    return error.filename is None or str(error.filename).startswith(str(folder))


def _train(job: Job, module: nn.Module, data: LoadedData, ranks: Ranks, run: Run) -> Result:
    model, recipe = job.model, job.recipe
    if model.spec is not None:
        run.write("spec.arch", model.spec.text)
    run.write("recipe.yaml", yaml.safe_dump(recipe.resolved(), sort_keys=False))
    odd = odd_weight(module)
    try:
        trainer = Trainer(module, data, recipe, ranks, model.plain())
        _check_smallest(trainer, model)
        if job.resume is not None:
            restored(trainer, job.resume)
            odd = None if trainer.fsdp else odd_weight(module)
        announce(run, model.name, trainer, job.resume)
        began = time.monotonic()
        stopped = _heard(trainer, run)
    except NotFinite as error:
        raise TrainError(*not_finite(error, recipe, run.path, data, odd)) from None
    except (RuntimeError, MemoryError) as error:
        if (told := _told(error, module, data, recipe, ranks)) is None:
            raise
        raise TrainError(*told) from None
    best = best_row(trainer.history, trainer.task)
    result = Result(
        run.path, module, trainer.history, best, trainer.step_number, stopped, trainer.tested
    )
    result = replace(result, panel=trainer.task.panel)
    if data.final is not None:
        result = replace(result, final=_final(job, trainer, run, stopped))
    if result.final is not None:
        run.write("test.json", json.dumps(result.final.as_dict(), indent=1) + "\n")
    conclude(run, trainer, result, time.monotonic() - began)
    return result


def _check_smallest(trainer: Trainer, model: Model) -> None:
    """A normalisation over the batch cannot work on one sample."""
    smallest = min(end - start for start, end in trainer.batches.bounds) // trainer.ranks.world
    if model.norm is not None and smallest < 2:
        raise TrainError(
            f"a batch of one sample: {model.norm} has one value a channel of it, and needs two",
            "--batch-size 2 or more; `gn` and `ln` need no batch",
        )


def _heard(trainer: Trainer, run: Run) -> int:
    """Trains, while the run listens; the signal that ended it, or 0."""
    with (
        StopSignals() as signals,
        closing_on_error(trainer.batches),
        contextlib.closing(trainer.run(signals)) as records,
    ):
        for record in records:
            run.hear(record)
    assert isinstance(record, Ended)
    return record.signal


def _told(
    error: Exception, module: nn.Module, data: LoadedData, recipe: Recipe, ranks: Ranks
) -> tuple[str, str] | None:
    """What a person can do about an error of torch's; None where it is a mistake in the program."""
    if is_out_of_memory(error):
        return out_of_memory(module, data, recipe, ranks)
    if not isinstance(error, RuntimeError):
        return None
    if str(error).startswith("DataLoader worker"):
        return worker_lost(error)
    if ranks.world > 1 and is_peer_lost(error):
        let_others_speak()
        return peer_lost(error)
    return None


def _final(job: Job, trainer: Trainer, run: Run, stopped: int) -> Tested | None:
    """The best model on the split that had no part in choosing it."""
    model, data = job.model, trainer.data
    if trainer.fsdp and model.spec is None:  # nobody can build it whole
        run.say(f"{data.split[1]} was not tested: fsdp has cut up the module; see archdsl eval")
        return None
    if stopped or run.path is None:
        return None
    saved = read_checkpoint(find_checkpoint(run.path, BEST))
    copied = trainer.module if model.spec is None else model.build()
    with _weights_kept(copied):
        copied.load_state_dict(tested_weights(saved))
        return test_final(copied, data, job.recipe, trainer.ranks.device)


@contextmanager
def closing_on_error(batches: Batches) -> Iterator[None]:
    try:
        yield
    except BaseException:
        batches.close()
        raise


@contextmanager
def own_randomness(recipe: Recipe, device: torch.device) -> Iterator[None]:
    """Leaves the caller's generators and settings as they were."""
    devices = [torch.cuda.current_device()] if device.type == "cuda" else []
    before, threads = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    if recipe.threads is not None:
        torch.set_num_threads(recipe.threads)
    if recipe.deterministic:  # what cuBLAS wants for it
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    with kept_generators(devices):
        torch.use_deterministic_algorithms(recipe.deterministic or before)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before)
            torch.set_num_threads(threads)


def _train_in_many(job: Job) -> Result:
    """Launches the recipe's processes; the result is put together from what they saved."""
    if job.recipe.nodes > 1 and not job.quiet:
        print(f"waiting at {job.recipe.rendezvous} for {job.recipe.nodes} machines", flush=True)
    try:
        result: Result = launch(_train_part, job.recipe, job)
    except Signalled as error:
        run = None if job.out is None else Path(job.out)
        if run is None or not (run / LAST).is_file():  # another machine's, or before the first step
            if not job.quiet:
                print("stopped by a signal before the first step was saved")
            return Result(run, None, [], None, 0, error.number)
        saved = read_checkpoint(find_checkpoint(run))
        task = saved_task(saved, job.recipe.loss.name)
        best, panel = best_row(saved["history"], task), task.panel
        return Result(run, None, saved["history"], best, saved["step"], error.number, panel=panel)
    if result.run is None:  # the first rank is on another machine, and so are the files
        return result
    module = job.model.build() if job.model.module is None else job.model.module
    module.load_state_dict(read_checkpoint(result.run / LAST)["model"])
    return replace(result, module=module)


@contextmanager
def _weights_kept(module: nn.Module) -> Iterator[None]:
    """Leaves the module with the weights it had."""
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    try:
        yield
    finally:
        module.load_state_dict(before)


def _train_part(job: Job) -> Result:
    result = train(job)
    if result.signal:
        leave(result.signal)
    return replace(result, module=None)


def dry_run(job: Job) -> str:
    """The resolved recipe, parameter count, steps and memory, without training. Data that is code
    is not run for it: a recipe may come from anywhere."""
    if is_code(job.recipe.data.name):
        return dry_text(job.model.name, job.model.build(job.weights), None, job.recipe)
    return dry_text(job.model.name, job.model.build(job.weights), job.load(), job.recipe)
