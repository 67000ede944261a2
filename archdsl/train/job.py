"""`fit`: from a spec (or module) and a recipe to a trained model.

What is asked for is first settled into a `Job`, in the parent process and before anything is
written: recipe, data and model must suit one another. `train` then does it, in this process or in
each of several.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from archdsl.train.checkpoint import find_checkpoint, read_checkpoint
from archdsl.train.data import Batches, LoadedData, load_data
from archdsl.train.distributed import Ranks, joined, launch, launched
from archdsl.train.errors import TrainError
from archdsl.train.evaluation import load_trained, saved_model
from archdsl.train.loop import NotFinite, Result, Trainer
from archdsl.train.memory import fitting_batch, readable, step_memory
from archdsl.train.model import Model, describe, unchanged
from archdsl.train.recipe import Recipe
from archdsl.train.recipe_file import Override, read_recipe, recipe_beside
from archdsl.train.run_folder import RunFolder, best_row, learned, new_folder, spent
from archdsl.train.sources import Source, Wanted, open_source
from archdsl.train.stopping import StopSignals

# What may differ when a run goes on: nothing that would change the meaning of its steps so far.
MAY_CHANGE = ("epochs", "max_steps", "device", "devices", "early_stop", "checkpoint",
              "eval_every", "data.dir", "data.workers", "data.cache")  # fmt: skip


@dataclass(frozen=True)
class Job:
    model: Model
    recipe: Recipe
    out: str | None = None
    resume: Path | None = None
    weights: str | None = None
    quiet: bool = False


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

    `spec` is a path, a shipped name, a spec's text, or a module; `recipe` a path, a mapping, or none
    for the one beside the spec (`lenet5.yaml` for `lenet5.arch`). `fit_spec` adapts the spec's input
    and class count to the data. `resume` goes on with a run folder or checkpoint, for which `spec`
    may be None. Raises `TrainError` for whatever a person can mend.
    """
    job = settle(spec, recipe, params=params, input=input, fit_spec=fit_spec, weights=weights,
                 out=out, resume=resume, overrides=overrides, quiet=quiet)  # fmt: skip
    if job.recipe.devices == 1 or launched():
        return train(job)
    if job.resume is None:
        job = replace(job, out=str(new_folder(job.model.name, job.out)))
    return _train_in_many(job)


def settle(
    spec: str | Path | nn.Module | None, recipe: Any = None, *,
    params: Mapping[str, Any] | None = None, input: tuple[int, ...] | None = None,
    fit_spec: bool = False, weights: str | Path | None = None, out: str | Path | None = None,
    resume: str | Path | None = None, overrides: Sequence[Override] = (), quiet: bool = False,
) -> Job:  # fmt: skip
    """Everything that can be wrong before training, found before training."""
    if resume is not None:
        return _settle_resumed(spec, Path(resume), input, params, overrides, quiet)
    if spec is None:
        raise TrainError("there is no spec to train")
    if recipe is None and isinstance(spec, str | Path) and "\n" not in str(spec):
        recipe = recipe_beside(Path(spec))
    settled = read_recipe(recipe, overrides)
    _check_strategy(settled)
    model = describe(spec, input, params)
    wanted = Wanted(model.input_shape, model.outputs, settled.regression)
    source = open_source(settled.data, wanted)
    if settled.data.channels is not None and source.channels is not None:
        source = replace(source, channels=settled.data.channels)
    model, changed = model.fitted(source, fit_spec)
    if changed and not quiet:
        print(f"fitted to the data: {' '.join(changed)}")
    return Job(model, settled, None if out is None else str(out), None,
               None if weights is None else str(weights), quiet)  # fmt: skip


def _settle_resumed(
    spec: Any, run: Path, input: Any, params: Any, overrides: Sequence[Override], quiet: bool
) -> Job:
    path = find_checkpoint(run)
    saved = read_checkpoint(path)
    before = read_recipe(saved["recipe"])
    now = read_recipe(saved["recipe"], overrides)
    changed = [key for key in _differing(before.resolved(), now.resolved())
               if not any(key == one or key.startswith(f"{one}.") for one in MAY_CHANGE)]  # fmt: skip
    if changed:
        raise TrainError(f"{changed[0]} cannot change in the middle of a run",
                         f"a resumed run may change {', '.join(MAY_CHANGE)}")  # fmt: skip
    _check_strategy(now)
    old = saved["spec"]
    if isinstance(spec, nn.Module):
        model = describe(spec, input)
    elif spec is None:
        origin = Path(old["origin"]) if old["origin"] else None
        if origin is not None and origin.is_file():
            unchanged(replace(Model(old["name"], None, str(origin)), spec=origin.read_text()), old)
        model = saved_model(saved)
    else:
        model = describe(spec, input or (tuple(old["input"]) if old["input"] else None),
                         params or old["params"])  # fmt: skip
        unchanged(model, old)
    return Job(model, now, str(path.parent), path, None, quiet)


def _differing(a: Any, b: Any, name: str = "") -> list[str]:
    if isinstance(a, dict) and isinstance(b, dict):
        return [key for one in dict.fromkeys([*a, *b])
                for key in _differing(a.get(one), b.get(one), f"{name}.{one}" if name else one)]  # fmt: skip
    return [] if a == b else [name]


def _check_strategy(recipe: Recipe) -> None:
    if recipe.strategy == "fsdp" and recipe.ema is not None:
        raise TrainError("ema does not work with strategy: fsdp", "use strategy: ddp")


def train(job: Job) -> Result:
    """Does the job, as the only process or as one of the launcher's."""
    recipe = job.recipe
    with joined(recipe.device) as ranks, _own_randomness(recipe, ranks.device):
        model, data = _load(job, ranks)
        torch.manual_seed(recipe.seed)
        module = job.model.build(job.weights)
        path = None
        if ranks.first:
            path = job.resume.parent if job.resume else new_folder(model.name, job.out)
        folder = RunFolder(path, job.quiet)
        try:
            return _train(job, module, data, ranks, folder)
        finally:
            folder.close()


def _load(job: Job, ranks: Ranks) -> tuple[Model, LoadedData]:
    """The first rank opens (and perhaps downloads) the data before the others do."""
    recipe, model = job.recipe, job.model
    wanted = Wanted(model.input_shape, model.outputs, recipe.regression)
    for turn in (True, False):
        if ranks.first is turn:
            source = open_source(recipe.data, wanted)
        ranks.barrier()
    if recipe.data.channels is not None and source.channels is not None and model.input_shape is None:
        source = replace(source, channels=recipe.data.channels)
    return model, load_data(source, recipe, model.input_shape or _own_shape(source))


def _own_shape(source: Source) -> tuple[int, ...]:
    shape = source.shape
    return (source.channels, *shape[1:]) if source.channels is not None else shape


def _train(job: Job, module: nn.Module, data: LoadedData, ranks: Ranks, folder: RunFolder) -> Result:
    model, recipe = job.model, job.recipe
    spec = {"name": model.name, "text": model.spec, "origin": model.origin,
            "params": dict(model.params), "input": list(model.input) if model.input else None}  # fmt: skip
    if model.spec is not None:
        folder.write("spec.arch", model.spec)
    folder.write("recipe.yaml", yaml.safe_dump(recipe.resolved(), sort_keys=False))
    try:
        trainer = Trainer(module, data, recipe, ranks, folder, spec)
        if job.resume is not None:
            trainer.restore(read_checkpoint(job.resume))
        _announce(job, trainer)
        began = time.monotonic()
        with StopSignals() as signals:
            stopped = trainer.run(signals)
    except NotFinite as error:
        raise TrainError(*_not_finite(error, recipe, folder.folder)) from None
    except (torch.OutOfMemoryError, RuntimeError) as error:
        if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            raise TrainError(*_out_of_memory(module, data, recipe, ranks)) from None
        raise
    best = best_row(trainer.history, bool(data.classes))
    result = Result(folder.folder, module, trainer.history, best, trainer.step_number, stopped, trainer.tested)
    _conclude(job, trainer, result, time.monotonic() - began)
    return result


@contextmanager
def _own_randomness(recipe: Recipe, device: torch.device) -> Iterator[None]:
    """Leaves the caller's generators and settings as they were."""
    devices = [torch.cuda.current_device()] if device.type == "cuda" else []
    before = torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices):
        torch.use_deterministic_algorithms(recipe.deterministic or before)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before)


def _train_in_many(job: Job) -> Result:
    """Launches the recipe's processes; the result is put together from what they saved."""
    from torch.distributed.elastic.multiprocessing import SignalException

    assert job.out is not None
    try:
        result: Result = launch(_train_part, job.recipe.devices, job)
    except SignalException as error:
        saved = read_checkpoint(find_checkpoint(job.out))
        best = best_row(saved["history"], bool(saved["classes"]))
        return Result(Path(job.out), None, saved["history"], best, saved["step"], int(error.sigval))
    module = job.model.build() if job.model.module is None else job.model.module
    module = load_trained(job.out, "cpu", module).module
    return replace(result, module=module)


def _train_part(job: Job) -> Result:
    return replace(train(job), module=None)


def _announce(job: Job, trainer: Trainer) -> None:
    folder, data, recipe = trainer.folder, trainer.data, job.recipe
    count = sum(p.numel() for p in trainer.module.parameters())
    device = trainer.ranks.device.type + (f" x{trainer.ranks.world}" if trainer.ranks.world > 1 else "")
    folder.say(f"{job.model.name}: {count:,} parameters; {recipe.data.name}: {len(data.train):,} for training, "
               f"{len(data.test):,} for testing" + (f", {len(data.classes)} classes" if data.classes else "")
               + f"; {device}; {recipe.optimizer.name} lr {recipe.optimizer.lr:g}, batch {trainer.batches.batch_size}")  # fmt: skip
    for note in data.notes:
        folder.say(f"note: {note}")
    if job.resume is not None:
        folder.say(f"going on from {job.resume}: epoch {trainer.epoch + 1}, step {trainer.step_number}")
        if trainer.epoch >= recipe.epochs:
            folder.say(f"all {recipe.epochs} epochs are done; more with --epochs")


def _conclude(job: Job, trainer: Trainer, result: Result, seconds: float) -> None:
    """The summary's lines and pictures."""
    folder, run = trainer.folder, trainer.folder.folder
    if run is None:
        return
    for name in trainer.batches.bad:
        folder.say(f"left out: {name}")
    if result.history:
        folder.table(result.history)
        folder.plot(result.history, now=True)
    if result.signal:
        folder.say(f"stopped by a signal after step {result.step}; nothing is lost")
        folder.say(f"  go on     archdsl train --resume {run}")
        return
    if trainer.tested is not None:
        _pictures(trainer, run)
    best = result.best
    count = sum(p.numel() for p in trainer.module.parameters())
    if count <= 20 and trainer.ranks.world == 1:
        folder.say("learned parameters\n" + learned(dict(trainer.module.named_parameters())))
    if best is not None:
        accuracy, loss = best["test_accuracy"], best["test_loss"]
        value = f"accuracy {accuracy:.2%}" if accuracy is not None else f"loss {loss:.4g}"
        folder.say(f"best test {value} (epoch {best['epoch']}); {spent(seconds)} in all")
    folder.say(f"  run       {run}\n  evaluate  archdsl eval {run}\n"
               f"  predict   archdsl predict {run} {'IMAGE...' if trainer.data.fit.image else 'FILE.csv'}")  # fmt: skip


def _pictures(trainer: Trainer, run: Path) -> None:
    from archdsl.train.plots import plot_confusion, plot_samples

    tested, data = trainer.tested, trainer.data
    if tested is not None and 1 < len(data.classes) <= 100 and tested.confusion:
        plot_confusion(tested.confusion, data.classes, run / "confusion.png")
    held = data.test.held
    if not data.classes or not data.fit.image or held is None or trainer.fsdp:
        return
    x, y = held[:18], data.test.samples.y[:18]
    trainer.module.eval()
    with torch.inference_mode():
        output = trainer.module(trainer.batches.batch.plain(x.to(trainer.ranks.device)))
    main = output if isinstance(output, torch.Tensor) else output[0]
    answers = trainer.objective.classes(main.float()).cpu()
    titles = [data.classes[a] if a == t else f"{data.classes[a]} (is {data.classes[t]})"
              for a, t in zip(answers.tolist(), y.tolist(), strict=True)]  # fmt: skip
    plot_samples(x, titles, (answers == y).tolist(), run / "predictions.png")


def _not_finite(error: NotFinite, recipe: Recipe, folder: Path | None) -> tuple[str, str]:
    last = folder / "last.pt" if folder is not None else None
    good = f"{last} is from before; " if last is not None and last.exists() else ""
    tips = [f"a lower rate (--lr {recipe.optimizer.lr / 10:g})"]
    if recipe.clip_grad is None:
        tips.append("--set clip_grad=1")
    if recipe.precision == "fp16":
        tips.append("--set precision=bf16")
    tips.append("--set scheduler.warmup_epochs=1")
    return f"the loss is {error.loss} at step {error.step}", f"{good}try {', or '.join(tips)}"


def _out_of_memory(
    module: nn.Module, data: LoadedData, recipe: Recipe, ranks: Ranks
) -> tuple[str, str]:
    batch = Batches(data, recipe, torch.device("cpu"), ranks.rank, ranks.world).batch_size
    pieces = recipe.grad_accum
    advice = f"--set grad_accum={2 * pieces} does the same step in smaller pieces"
    try:
        fixed, each = step_memory(module, data.fit.input_shape, recipe)
    except Exception:  # the advice must not fail where the training did
        return f"out of memory with batches of {batch}", advice
    free = torch.cuda.mem_get_info(ranks.device)[1] if ranks.device.type == "cuda" else _free_memory()
    fits = fitting_batch(free, fixed, each)
    estimate = f"the estimate is {readable(fixed)} and {readable(each)} for each sample; " + (
        f"--batch-size {fits} should fit in {readable(free)}" if fits else f"not even one fits in {readable(free)}"
    )
    return f"out of memory with batches of {batch} in {pieces} pieces", f"{estimate}, or {advice}"


def _free_memory() -> int:
    import os

    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def dry_run(job: Job) -> str:
    """The resolved recipe, parameter count, steps and memory, without training."""
    _, data = _load(job, Ranks(0, 1, torch.device("cpu")))
    module = job.model.build(job.weights)
    recipe = job.recipe
    batches = Batches(data, recipe, torch.device("cpu"), 0, recipe.devices)
    fixed, each = step_memory(module, data.fit.input_shape, recipe)
    batch = -(-batches.batch_size // recipe.devices // recipe.grad_accum)
    count = sum(p.numel() for p in module.parameters())
    return (
        yaml.safe_dump(recipe.resolved(), sort_keys=False)
        + f"\n{job.model.name}: {count:,} parameters\n"
        f"data: {len(data.train):,} for training, {len(data.test):,} for testing, "
        f"{len(data.classes) or 'no'} classes, input {'x'.join(map(str, data.fit.input_shape))}\n"
        f"steps: {batches.steps_per_epoch} an epoch, {batches.steps_per_epoch * recipe.epochs} in all\n"
        f"memory: about {readable(fixed + each * batch)} on each device "
        f"({readable(fixed)} for the weights and the optimizer, {readable(each)} for each of {batch} samples)"
    )
