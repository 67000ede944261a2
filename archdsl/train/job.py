"""`fit`: from a spec (or module) and a recipe to a trained model.

What is asked for is first settled into a `Job`, in the parent process and before anything is
written: recipe, data and model must suit one another. `train` then does it, in this process or in
each of several.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from archdsl.pipeline import open_spec
from archdsl.text import shape_text
from archdsl.train.data.load import Batches, LoadedData, load_data
from archdsl.train.data.own import tell_code
from archdsl.train.data.sampling import kept_generators
from archdsl.train.data.sources import Source, Wanted, is_code, open_source
from archdsl.train.engine.allocator import keep_freed_memory
from archdsl.train.engine.checkpoint import (
    BEST,
    LAST,
    find_checkpoint,
    good_help,
    read_checkpoint,
    tested_weights,
)
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
from archdsl.train.engine.stopping import StopSignals
from archdsl.train.engine.trainer import NotFinite, Result, Trainer, restored
from archdsl.train.errors import TrainError, shown, told_by_first
from archdsl.train.evaluation import test_final
from archdsl.train.model import Model, describe, unchanged
from archdsl.train.recipe.read import Override, read_recipe, recipe_of
from archdsl.train.recipe.schema import Recipe
from archdsl.train.run.folder import RunFolder, new_folder
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
from archdsl.train.spec_files import SpecFiles
from archdsl.train.tasks import task_of
from archdsl.train.tasks.task import best_row

# What may differ when a run goes on: nothing that would change the meaning of its steps so far.
MAY_CHANGE = (
    "epochs",
    "max_steps",
    "device",
    "devices",
    "nodes",
    "rendezvous",
    "rendezvous_minutes",
    "tensorboard",
    "early_stop",
    "checkpoint",
    "eval_every",
    "plots",
    "data.name",  # of a folder that has moved: its fingerprint must be the same
    "data.dir",
    "data.workers",
    "data.cache",
)


@dataclass(frozen=True)
class Job:
    model: Model
    recipe: Recipe
    out: str | None = None
    resume: Path | None = None
    weights: str | None = None
    quiet: bool = False

    def load(self) -> LoadedData:
        """The data, fitted to the model."""
        data, model = self.recipe.data, self.model
        source = open_source(data, _wanted(model, self.recipe))
        if None not in (data.channels, source.channels) and model.input_shape is None:
            source = replace(source, channels=data.channels)
        return load_data(source, self.recipe, model.input_shape or _own_shape(source))


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
    job = settle(
        spec,
        recipe,
        params=params,
        input=input,
        fit_spec=fit_spec,
        weights=weights,
        out=out,
        resume=resume,
        overrides=overrides,
        quiet=quiet,
    )
    if launched() or job.recipe.devices * job.recipe.nodes == 1:
        return train(job)
    if job.resume is None and job.recipe.nodes == 1:
        job = replace(job, out=str(new_folder(job.model.name, job.out)))
    return _train_in_many(job)


def settle(
    spec: str | Path | nn.Module | None,
    recipe: Any = None,
    *,
    params: Mapping[str, Any] | None = None,
    input: tuple[int, ...] | None = None,
    fit_spec: bool = False,
    weights: str | Path | None = None,
    out: str | Path | None = None,
    resume: str | Path | None = None,
    overrides: Sequence[Override] = (),
    quiet: bool = False,
    run_code: bool = True,
) -> Job:
    """Everything that can be wrong before training, found before training. Without `run_code` data
    that is code of somebody's is not opened."""
    if resume is not None:
        flags = {"--out": out, "--recipe": recipe, "--weights": weights, "--fit": fit_spec}
        if given := [flag for flag, value in flags.items() if value]:
            raise TrainError(
                f"{given[0]} has no meaning for a run that goes on",
                f"leave {given[0]} out; a new run takes it, without --resume",
            )
        return _settle_resumed(spec, Path(resume), input, params, overrides, quiet)
    if spec is None:
        raise TrainError("there is no spec to train")
    recipe = recipe_of(spec, recipe)
    settled = read_recipe(recipe, overrides)
    _check_means(settled)
    model = describe(spec, input, params)
    if input is None and (size := settled.data.image_size) is not None:
        model = _sized(model, size)
    if is_code(settled.data.name):
        if not run_code:
            return Job(model, settled, quiet=quiet)
        if not any(one.keys == ("data", "name") for one in overrides):
            tell_code(settled.data.name, recipe)
    source = open_source(settled.data, _wanted(model, settled))
    if settled.data.channels is not None and source.channels is not None:
        source = replace(source, channels=settled.data.channels)
    model, changed = model.fitted(source, fit_spec)
    if changed and not quiet:
        told_by_first(f"fitted to the data: {' '.join(changed)}")
    return Job(
        model,
        settled,
        None if out is None else str(out),
        None,
        None if weights is None else str(weights),
        quiet,
    )


def _wanted(model: Model, recipe: Recipe) -> Wanted:
    return Wanted(
        model.input_shape, model.outputs, recipe.loss.name, output_shape=model.output_shape
    )


def _sized(model: Model, size: int) -> Model:
    shape = model.input_shape
    if model.spec is None or shape is None or len(shape) != 3:
        taken = "a module" if shape is None else shape_text(shape)
        raise TrainError(
            f"data.image_size is of a spec that takes images; {model.name} is {taken}",
            "leave it out",
        )
    return model.given(model.params, (shape[0], size, size))


def _settle_resumed(
    spec: Any, run: Path, input: Any, params: Any, overrides: Sequence[Override], quiet: bool
) -> Job:
    path = find_checkpoint(run)
    saved = read_checkpoint(path)
    before = read_recipe(saved["recipe"])
    now = read_recipe(saved["recipe"], overrides)
    changed = [
        key
        for key in _differing(before.resolved(), now.resolved())
        if not any(key == one or key.startswith(f"{one}.") for one in MAY_CHANGE)
    ]
    if changed:
        raise TrainError(
            f"{changed[0]} cannot change in the middle of a run",
            f"a resumed run may change {', '.join(MAY_CHANGE)}",
        )
    if is_code(now.data.name):
        tell_code(now.data.name, path)
    _same_kind(before.data.name, now.data.name, "fingerprint" in saved)
    _check_means(now)
    if isinstance(spec, nn.Module):
        model = describe(spec, input)
    else:
        model = Model.from_plain(saved["model_from"])
        assert model.spec is not None
        now_files = SpecFiles.of(open_spec(spec)) if spec is not None else model.spec.as_now()
        if now_files is not None:
            unchanged(model.spec, now_files)
        if params or input:
            raise TrainError(
                "a resumed run keeps its parameters and input", "leave out -p and --input"
            )
    return Job(model, now, str(path.parent), path, None, quiet)


def _same_kind(before: str, now: str, known: bool) -> None:
    """A folder or table may have moved; whether it is the same one, its fingerprint tells."""
    kind = before.partition(":")[0]
    moved = kind in ("folder", "csv") and now.startswith(f"{kind}:")
    if before != now and not (moved and known):
        raise TrainError(
            "data.name cannot change in the middle of a run",
            f"the run is on {before}; a folder: or csv: that has moved may be named anew",
        )


def _differing(a: Any, b: Any, name: str = "") -> list[str]:
    if isinstance(a, dict) and isinstance(b, dict):
        return [
            key
            for one in dict.fromkeys([*a, *b])
            for key in _differing(a.get(one), b.get(one), f"{name}.{one}" if name else one)
        ]
    return [] if a == b else [name]


def _check_means(recipe: Recipe) -> None:
    if recipe.strategy == "fsdp" and recipe.ema is not None:
        raise TrainError("ema does not work with strategy: fsdp", "use strategy: ddp")
    if recipe.tensorboard and find_spec("tensorboard") is None:
        raise TrainError(
            "tensorboard: true needs the package tensorboard",
            'pip install "archdsl[tensorboard]", or leave it out: metrics.csv holds the figures',
        )
    if recipe.nodes > 1 and recipe.rendezvous is None and not launched():
        raise TrainError(
            f"nodes: {recipe.nodes} machines need a place to meet",
            "--set rendezvous=HOST:29400, with the name of one of them, the same on each",
        )


def train(job: Job) -> Result:
    """Does the job, as the only process or as one of the launcher's."""
    recipe = job.recipe
    with joined(recipe.device) as ranks, own_randomness(recipe, ranks.device):
        if ranks.device.type == "cpu":
            keep_freed_memory()
        data = job.load()
        torch.manual_seed(recipe.seed)
        module = job.model.build(job.weights)
        path = None
        if ranks.first:
            path = job.resume.parent if job.resume else new_folder(job.model.name, job.out)
        try:
            with contextlib.closing(RunFolder(path, job.quiet, recipe)) as folder:
                return _train(job, module, data, ranks, folder)
        except OSError as error:
            own = error.filename is None or str(error.filename).startswith(str(path))
            if path is None or error.errno is None or not own:
                raise  # of the data, and so of the user's own code
            file = shown(error.filename or path)
            raise TrainError(
                f"{file}: the run folder cannot be written: {error.strerror}",
                good_help(path),
            ) from None


def _own_shape(source: Source) -> tuple[int, ...]:
    shape = source.shape
    return (source.channels, *shape[1:]) if source.channels is not None else shape


def _train(
    job: Job, module: nn.Module, data: LoadedData, ranks: Ranks, folder: RunFolder
) -> Result:
    model, recipe = job.model, job.recipe
    if model.spec is not None:
        folder.write("spec.arch", model.spec.text)
    folder.write("recipe.yaml", yaml.safe_dump(recipe.resolved(), sort_keys=False))
    try:
        odd = odd_weight(module)
        trainer = Trainer(module, data, recipe, ranks, folder, model.plain())
        smallest = min(end - start for start, end in trainer.batches.bounds) // ranks.world
        if model.norm is not None and smallest < 2:
            raise TrainError(
                f"a batch of one sample: {model.norm} has one value a channel of it, and needs two",
                "--batch-size 2 or more; `gn` and `ln` need no batch",
            )
        if job.resume is not None:
            restored(trainer, job.resume)
            odd = None if trainer.fsdp else odd_weight(module)
        announce(model.name, trainer, job.resume)
        began = time.monotonic()
        with StopSignals() as signals, closing_on_error(trainer.batches):
            stopped = trainer.run(signals)
    except NotFinite as error:
        raise TrainError(*not_finite(error, recipe, folder.folder, data, odd)) from None
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise TrainError(*out_of_memory(module, data, recipe, ranks)) from None
        if isinstance(error, RuntimeError) and str(error).startswith("DataLoader worker"):
            raise TrainError(*worker_lost(error)) from None
        if ranks.world > 1 and isinstance(error, RuntimeError) and is_peer_lost(error):
            let_others_speak()
            raise TrainError(*peer_lost(error)) from None
        raise
    best = best_row(trainer.history, trainer.task)
    result = Result(
        folder.folder, module, trainer.history, best, trainer.step_number, stopped, trainer.tested
    )
    cut_module = trainer.fsdp and model.spec is None  # nobody can build it whole
    if data.final is not None and cut_module:
        folder.say(f"{data.split[1]} was not tested: fsdp has cut up the module; see archdsl eval")
    elif data.final is not None and not stopped and folder.folder is not None:
        saved = read_checkpoint(find_checkpoint(folder.folder, BEST))
        copied = module if model.spec is None else model.build()
        with _weights_kept(copied):
            copied.load_state_dict(tested_weights(saved))
            result = replace(result, final=test_final(copied, data, recipe, ranks.device))
    conclude(trainer, result, time.monotonic() - began)
    return result


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
        task = task_of(saved["classes"], job.recipe.loss.name)
        best = best_row(saved["history"], task)
        return Result(run, None, saved["history"], best, saved["step"], error.number)
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
