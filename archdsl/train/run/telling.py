"""What a run says: its first line, its summary, its advice where it had to give up."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import torch
import yaml
from torch import nn

from archdsl.checker.values import show
from archdsl.diagnostics.terminal import escaped, typed
from archdsl.text import bytes_text, shape_text
from archdsl.train.data.batches import Batches
from archdsl.train.data.load import LISTED, LoadedData
from archdsl.train.engine.distributed import Ranks
from archdsl.train.engine.trainer import NotFinite, Trainer
from archdsl.train.recipe.schema import Recipe
from archdsl.train.result import Result
from archdsl.train.run.checkpoint import LAST
from archdsl.train.run.listeners import Run
from archdsl.train.run.memory import fitting_batch, memory_of, step_memory
from archdsl.train.run.table import learned, spent
from archdsl.train.tasks.task import TEST

READABLE_PARAMETERS = 20  # so few are printed


def announce(run: Run, name: str, trainer: Trainer, resumed: Path | None) -> None:
    """What is about to be trained, on what."""
    data, recipe, ranks = trainer.data, trainer.recipe, trainer.ranks
    device = ranks.device.type + (f" x{ranks.world}" if ranks.world > 1 else "")
    run.say(f"model  {name}, {_parameters(trainer.module):,} parameters, on {device}")
    use = "select" if data.final is not None else "test"
    run.say(f"data   {escaped(recipe.data.name)}, {_sizes(data, use)}")
    steps, size = trainer.batches.steps_per_epoch, trainer.batches.batch_size
    rate = f"{recipe.optimizer.name} at {recipe.optimizer.lr:g}"
    run.say(f"steps  {steps} an epoch with batches of {size}, {rate}")
    for note in data.notes:
        run.say(f"note   {note}")
    for split in {id(one): one for one in (data.train, data.test)}.values():
        for bad in split.bad[LISTED:]:  # the first ones stand in the note
            run.record(f"left out: {escaped(bad)}")
    if resumed is not None:
        run.say(f"going on from {resumed}: epoch {trainer.epoch + 1}, step {trainer.step_number}")
        if trainer.epoch >= recipe.epochs:
            run.say(f"all {recipe.epochs} epochs are done; --epochs gives more")


def _sizes(data: LoadedData, use: str) -> str:
    amount = data.task.amount()
    what = f", {amount}" if amount else ""
    return f"{len(data.train):,} to train on, {len(data.test):,} to {use} on{what}"


def conclude(run: Run, trainer: Trainer, result: Result, seconds: float) -> None:
    """The summary's lines and pictures, and the commands that come next."""
    if run.folder is None or run.path is None:
        return
    for name in trainer.batches.bad:
        run.say(f"left out: {escaped(name)}")
    if result.history:
        run.folder.table(result.history)
        if run.curves is not None:
            run.curves.draw(result.history)
    if result.signal:
        run.say(f"stopped by a signal after step {result.step}; nothing is lost")
        run.say(f"  go on     archdsl train --resume {typed(run.path)}")
        return
    if trainer.recipe.plots:
        _pictures(trainer, run.path)
    if _parameters(trainer.module) <= READABLE_PARAMETERS and not trainer.fsdp:
        run.say("learned parameters\n" + learned(dict(trainer.module.named_parameters())))
    best, final, split = result.best, result.final, trainer.data.split
    if best is not None:
        value = trainer.task.told(best["test_loss"], best[TEST])
        what = split[0] if trainer.data.final is not None else "test"
        run.say(f"best {what} {value} (epoch {best['epoch']}); {spent(seconds)} in all")
    if final is not None:
        value = trainer.task.told(final.loss, final.figure)
        run.say(f"{split[1]} {value}, of {final.count:,} samples, tested once")
    run.say(f"  run       {run.path}\n{_next(trainer, run.path)}")


def _next(trainer: Trainer, run: Path) -> str:
    """The commands that use what was trained."""
    model = trainer.model_from
    spec = model["spec"]
    if spec is None:  # only its owner has the module
        return f"  evaluate  archdsl.train.evaluate({str(run)!r}, module=...)"
    path = spec["origin"] or str(run / "spec.arch")
    words = [os.path.relpath(path) if path.startswith(os.getcwd()) else path]
    words[0] += f":{spec['model']}" if spec["model"] else ""
    for name, value in model["params"].items():
        value = value["text"] if isinstance(value, dict) else value
        words += ["-p", f"{name}={value if isinstance(value, str) else show(value)}"]
    if model["input"]:
        words += ["--input", shape_text(model["input"])]
    words += ["--weights", f"{run}/best.safetensors", "-o", f"{model['name']}.pt2"]
    what = "IMAGE..." if trainer.data.fit.image else "FILE.csv"
    return (
        f"  evaluate  archdsl eval {typed(run)}\n  predict   archdsl predict {typed(run)} {what}\n"
        f"  export    archdsl compile {shlex.join(words)}"
    )


def _parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _pictures(trainer: Trainer, run: Path) -> None:
    from archdsl.train.run.plots import plot_samples  # matplotlib takes a second

    task, data = trainer.task, trainer.data
    task.pictures(trainer.tested, run)
    if not data.fit.image or trainer.fsdp or task.panel is None:
        return
    x, y = data.first_tested(18)
    model = trainer.tested_model.eval()
    with torch.inference_mode():
        output = model(trainer.batches.batch.plain(x.to(trainer.ranks.device)))
    main = output if isinstance(output, torch.Tensor) else output[0]
    if (captions := task.captions(main.float(), y)) is not None:
        plot_samples(x, *captions, run / "predictions.png")


def odd_weight(module: nn.Module) -> str | None:
    """The first weight or statistic that is no number, if any is. Infinite ones may be meant: a
    mask has them."""
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point() and bool(tensor.isnan().any()):
            return f"nan in {name}"
    return None


def not_finite(
    error: NotFinite, recipe: Recipe, folder: Path | None, data: LoadedData, weight: str | None
) -> tuple[str, str]:
    """Where the loss was lost, what is still good, and what to try. `weight`: what was wrong with
    the weights before the first step."""
    if weight is not None:
        return (
            f"the loss is {error.loss} at step {error.step}: the weights that training began with "
            f"hold {weight}",
            "give other --weights, or none; no rate can mend them",
        )
    odd = data.not_finite()
    if odd is not None:
        return (
            f"the loss is {error.loss} at step {error.step}: {odd}",
            f"mend the data ({recipe.data.name}); no rate can learn from it",
        )
    last = folder / LAST if folder is not None else None
    good = f"{last} is from before; " if last is not None and last.exists() else ""
    tips = [f"a lower rate (--lr {recipe.optimizer.lr / 10:g})"]
    if recipe.clip_grad is None:
        tips.append("--set clip_grad=1")
    if recipe.precision == "fp16":
        tips.append("--set precision=bf16")
    if recipe.scheduler.name != "onecycle":
        tips.append("--set scheduler.warmup_epochs=1")
    return f"the loss is {error.loss} at step {error.step}", f"{good}try {', or '.join(tips)}"


def worker_lost(error: RuntimeError) -> tuple[str, str]:
    """A process that decodes images was ended from outside, mostly for want of memory."""
    return (
        f"a process that decodes images was lost: {str(error).splitlines()[0]}",
        "--workers 0 does without; in a container, --ipc=host or --shm-size=8g gives the processes "
        "the shared memory that they need",
    )


def peer_lost(error: RuntimeError) -> tuple[str, str]:
    """Another process of the run is gone, and did not say why."""
    return (
        f"another process of the run does not answer: {str(error).splitlines()[0]}",
        "what it says itself, or the system's log, tells more; --resume goes on from the last "
        "checkpoint",
    )


def is_out_of_memory(error: Exception) -> bool:
    kinds = (torch.OutOfMemoryError, MemoryError)
    return isinstance(error, kinds) or any(
        text in str(error) for text in ("can't allocate memory", "std::bad_alloc")
    )


def out_of_memory(
    module: nn.Module, data: LoadedData, recipe: Recipe, ranks: Ranks
) -> tuple[str, str]:
    """What the static estimate says would fit."""
    batch = Batches(data, recipe, torch.device("cpu"), ranks.rank, ranks.world).batch_size
    pieces = recipe.grad_accum
    message = f"out of memory with batches of {batch}" + (f" in {pieces} pieces" * (pieces > 1))
    advice = f"--set grad_accum={2 * pieces} does the same step in smaller pieces"
    try:
        fixed, each = step_memory(module, data.fit.input_shape, recipe)
    except Exception:  # the advice must not fail where the training did
        return message, advice
    total = memory_of(ranks.device)
    fits = fitting_batch(total, fixed, each) * ranks.world
    size = f"--batch-size {fits} should fit" if fits else "not even one sample fits"
    return message, (
        f"weights and optimizer take {bytes_text(fixed)}, each sample {bytes_text(each)}: "
        f"{size} into {bytes_text(total)}; {advice}"
    )


def dry_text(name: str, module: nn.Module, data: LoadedData | None, recipe: Recipe) -> str:
    """The resolved recipe, parameter count, steps and memory of a run that is not made."""
    if data is None:
        return "\n".join(
            [
                yaml.safe_dump(recipe.resolved(), sort_keys=False),
                f"model   {name}, {_parameters(module):,} parameters",
                f"data    {escaped(recipe.data.name)} is code, which --dry-run does not run: its "
                "samples, and so steps and memory, are not known",
            ]
        )
    world = recipe.devices * recipe.nodes
    batches = Batches(data, recipe, torch.device("cpu"), 0, world)
    fixed, each = step_memory(module, data.fit.input_shape, recipe)
    batch = -(-batches.batch_size // world // recipe.grad_accum)
    steps = batches.steps_per_epoch
    shape = shape_text(data.fit.input_shape)
    return "\n".join(
        [
            yaml.safe_dump(recipe.resolved(), sort_keys=False),
            f"model   {name}, {_parameters(module):,} parameters, input {shape}",
            f"data    {_sizes(data, 'test')}",
            f"steps   {steps} an epoch, {steps * recipe.epochs} in all",
            f"memory  about {bytes_text(fixed + each * batch)} on each device: {bytes_text(fixed)} "
            f"for weights, gradients and optimizer, {bytes_text(each)} for each of {batch} samples",
        ]
    )
