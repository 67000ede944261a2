"""Measuring a model: a pass over a test split, and `evaluate` for a run or a checkpoint."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from archdsl.train.data.batches import Batches
from archdsl.train.data.fit import Fit
from archdsl.train.data.load import LoadedData, load_data, split_source
from archdsl.train.data.own import tell_code
from archdsl.train.data.samples import Samples, Split
from archdsl.train.data.sources import Source, Wanted, as_trained, open_source
from archdsl.train.engine.distributed import Ranks, pick_device
from archdsl.train.engine.measure import measure
from archdsl.train.engine.objective import Objective, autocast
from archdsl.train.errors import TrainError
from archdsl.train.model import Model
from archdsl.train.recipe.datasets import is_code
from archdsl.train.recipe.read import Override, read_recipe
from archdsl.train.recipe.schema import Recipe
from archdsl.train.run.checkpoint import BEST, find_checkpoint, read_checkpoint, tested_weights
from archdsl.train.tasks import saved_task
from archdsl.train.tasks.task import Task, Tested


def test_final(model: nn.Module, data: LoadedData, recipe: Recipe, device: torch.device) -> Tested:
    """One pass of a model over the split that had no part in choosing it."""
    assert data.final is not None
    batches = Batches(replace(data, test=Split(data.final, None)), recipe, device)
    return _measured(model.to(device), batches, recipe, data.task)


def _measured(model: nn.Module, batches: Batches, recipe: Recipe, task: Task) -> Tested:
    device = batches.device
    cast = functools.partial(autocast, recipe, device)
    meter, ranks = task.meter(device), Ranks(0, 1, device)
    return measure(model, batches.test(), Objective(recipe), meter, ranks, cast)


@dataclass
class Trained:
    """A model out of a checkpoint, ready for use."""

    path: Path
    module: nn.Module
    recipe: Recipe
    task: Task
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
    task = saved_task(saved, recipe.loss.name)
    return Trained(path, built.to(target).eval(), recipe, task, fit, target, own)


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
    recipe, names = trained.recipe, trained.task.names
    wanted = Wanted(trained.fit.input_shape, len(names) or None, recipe.loss.name, names)
    source = as_trained(open_source(recipe.data, wanted), names)
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
    tested = _measured(trained.module, batches, recipe, trained.task)
    notes = data.notes + [f"left out: {name}" for name in batches.bad] + tested.gaps()
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
