"""Measuring a model: a pass over a test split, and `evaluate` for a run or a checkpoint."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from archdsl.train.data.load import Batches, LoadedData, Split, load_data, split_source
from archdsl.train.data.loader import Fit
from archdsl.train.data.own import tell_code
from archdsl.train.data.samples import Samples
from archdsl.train.data.sources import Source, Wanted, is_code, open_source
from archdsl.train.engine.checkpoint import BEST, find_checkpoint, read_checkpoint, tested_weights
from archdsl.train.engine.distributed import Ranks, pick_device
from archdsl.train.engine.objective import Objective, autocast
from archdsl.train.errors import TrainError, shown
from archdsl.train.model import Model
from archdsl.train.recipe.read import Override, read_recipe
from archdsl.train.recipe.schema import Recipe
from archdsl.train.tasks import task_of
from archdsl.train.tasks.task import Tested


@torch.inference_mode()
def test_model(
    model: nn.Module,
    batches: Batches,
    objective: Objective,
    ranks: Ranks,
    autocast: Any = None,
    stop: Any = None,
) -> Tested:
    """Loss and what the task measures over the test split, each sample counted once whatever the
    ranks and batch size. `stop()` may end it early by raising."""
    model.eval()
    meter = task_of(batches.data.classes, objective.name).meter(ranks.device)
    loss_sum = torch.zeros((), dtype=torch.float64, device=ranks.device)
    count = 0
    for x, y in batches.test():
        with autocast() if autocast else contextlib.nullcontext():
            output = model(x)
        if stop is not None:
            stop()
        if not len(y):
            continue  # a pass that only keeps this rank in step with the others
        loss, main = objective(output, y)
        loss_sum += loss.double() * len(y)
        count += len(y)
        meter.add(main, y)
    total, samples, *sums = ranks.sum([float(loss_sum), count, *meter.sums()])
    return meter.result(total / samples, int(samples), sums)


def test_final(model: nn.Module, data: LoadedData, recipe: Recipe, device: torch.device) -> Tested:
    """One pass of a model over the split that had no part in choosing it."""
    assert data.final is not None
    batches = Batches(replace(data, test=Split(data.final, None)), recipe, device)
    cast = functools.partial(autocast, recipe, device)
    ranks = Ranks(0, 1, device)
    return test_model(model.to(device), batches, Objective(recipe), ranks, cast)


@dataclass
class Trained:
    """A model out of a checkpoint, ready for use."""

    path: Path
    module: nn.Module
    recipe: Recipe
    classes: tuple[str, ...]
    fit: Fit
    device: torch.device
    own_data: str  # the name of what it was trained on


def load_trained(
    run: str | Path,
    device: str = "auto",
    module: nn.Module | None = None,
    overrides: Sequence[Override] = (),
) -> Trained:
    """The best model of a run (or the one in a checkpoint), with the weights that were tested."""
    path = find_checkpoint(run, BEST)
    saved = read_checkpoint(path)
    recipe = read_recipe(saved["recipe"], overrides)
    target = pick_device(device)
    built = Model.from_plain(saved["model_from"]).build() if module is None else module
    try:
        built.load_state_dict(tested_weights(saved))
    except RuntimeError as error:
        raise TrainError(
            f"{path}: the weights do not belong to this model: "
            f"{str(error).splitlines()[-1].strip()}"
        ) from None
    shape = tuple(saved["fit"]["input_shape"])
    fit = Fit(**{**saved["fit"], "input_shape": shape})
    own = read_recipe(saved["recipe"]).data.name
    classes = tuple(saved["classes"])
    return Trained(path, built.to(target).eval(), recipe, classes, fit, target, own)


def evaluate(
    run: str | Path,
    *,
    device: str = "auto",
    module: nn.Module | None = None,
    overrides: Sequence[Override] = (),
) -> Tested:
    """Tests a run's best model on its test split, or on the data that the overrides name: on its
    test split if it has one, else on all of it."""
    trained = load_trained(run, device, module, overrides)
    if is_code(trained.own_data) and trained.own_data == trained.recipe.data.name:
        tell_code(trained.own_data, trained.path)
    recipe, classes = trained.recipe, trained.classes
    wanted = Wanted(trained.fit.input_shape, len(classes) or None, recipe.loss.name, classes)
    source = _as_trained(open_source(recipe.data, wanted), classes)
    other = _is_other(trained.own_data, recipe.data.name)
    samples, what = _tested_part(source, recipe, other)
    plan = {"val_fraction": 0.0, "mean": None, "std": None}
    if other and not any(one.keys[-1:] == ("limit",) for one in overrides):
        plan["limit"] = None  # it was of the training data
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update=plan)})
    alone = replace(source, train=samples, test=None, final=None)
    data = load_data(alone, recipe, trained.fit.input_shape)
    data.fit = trained.fit
    batches = Batches(data, recipe, trained.device)
    ranks = Ranks(0, 1, trained.device)
    cast = functools.partial(autocast, recipe, trained.device)
    tested = test_model(trained.module, batches, Objective(recipe), ranks, cast)
    missing = tested.missing
    notes = data.notes + [f"left out: {name}" for name in batches.bad]
    if missing:
        some = ", ".join(missing[:8]) + (", ..." if len(missing) > 8 else "")
        notes.append(f"the data has no samples of {len(missing)} classes: {some}")
    if recipe.data.limit is not None:
        what += f", limited to {recipe.data.limit:,}"
    return replace(tested, data=f"{recipe.data.name}: {what}", notes=notes)


def _is_other(own: str, name: str) -> bool:
    """Whether data of that name is not what the run was trained on."""
    kind, _, path = name.partition(":")
    if kind in ("folder", "csv") and own.startswith(f"{kind}:"):
        before = Path(own.partition(":")[2]).expanduser()
        return before.resolve() != Path(path).expanduser().resolve()
    return own != name


def _tested_part(source: Source, recipe: Recipe, other: bool) -> tuple[Samples, str]:
    """The samples to test on, and what they are in words."""
    if source.final is not None and recipe.data.val_fraction is None:
        return source.final, f"its {source.split[1]} split"
    if source.test is not None and recipe.data.val_fraction is None:
        return source.test, f"its {source.split[0] or 'test'} split"
    if other or recipe.data.val_fraction == 0:
        return source.train, "all of it"
    train, test = split_source(source, recipe.data.val_fraction)
    whole = len(train.y) + len(test.y)
    return test, f"the {len(test.y):,} of {whole:,} that were held out from training"


def _as_trained(source: Source, classes: tuple[str, ...]) -> Source:
    """The source with the model's class numbers; some of the classes may be missing in it."""
    if source.classes == classes:
        return source
    unknown = [name for name in source.classes if name not in classes]
    if unknown or not source.classes or source.train.y.ndim > 1:
        raise TrainError(
            f"the data's classes are not the model's: {shown(*source.classes[:8]) or 'none'} "
            f"instead of {shown(*classes[:8]) or 'none'}"
        )
    numbers = torch.tensor([classes.index(name) for name in source.classes])

    def renamed(samples: Samples | None) -> Samples | None:
        if samples is None:
            return None
        copied = samples.subset(torch.arange(len(samples.y)))
        copied.y = numbers[samples.y]
        return copied

    train = renamed(source.train)
    assert train is not None
    return replace(
        source, train=train, test=renamed(source.test), final=renamed(source.final), classes=classes
    )
