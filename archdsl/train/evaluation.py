"""Measuring a model: a pass over a test split, and `evaluate` for a run or a checkpoint."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from archdsl.train.data.batches import Batches
from archdsl.train.data.fit import Fit
from archdsl.train.data.load import LoadedData, load_data
from archdsl.train.data.own import tell_code
from archdsl.train.data.roles import Part, roles
from archdsl.train.data.samples import Split
from archdsl.train.data.sources import Source, Wanted, as_trained, open_source
from archdsl.train.engine.distributed import Ranks, pick_device
from archdsl.train.engine.measure import measure
from archdsl.train.engine.objective import Objective, autocast
from archdsl.train.errors import TrainError
from archdsl.train.model import Model
from archdsl.train.recipe.datasets import is_code
from archdsl.train.recipe.read import Override, read_recipe
from archdsl.train.recipe.schema import Data, Recipe
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
    part = _tested_part(source, recipe.data, other)
    plan: dict[str, Any] = dict.fromkeys(("test_fraction", "folds", "mean", "std"))
    plan["val_fraction"] = 0.0
    if other and not any(one.keys[-1:] == ("limit",) for one in overrides):
        plan["limit"] = None  # it was of the training data
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update=plan)})
    alone = replace(source, train=part.samples, test=None, final=None)
    data = load_data(alone, recipe, trained.fit.input_shape)
    data.fit = trained.fit
    batches = Batches(data, recipe, trained.device)
    tested = _measured(trained.module, batches, recipe, trained.task)
    notes = data.notes + [f"left out: {name}" for name in batches.bad] + tested.gaps()
    some = "" if recipe.data.limit is None else f", limited to {recipe.data.limit:,}"
    return replace(tested, data=f"{recipe.data.name}: {part.words}{some}", notes=notes)


def _is_other(own: str, name: str) -> bool:
    """Whether data of that name is not what the run was trained on."""
    kind, _, path = name.partition(":")
    if kind in ("folder", "csv") and own.startswith(f"{kind}:"):
        before = Path(own.partition(":")[2]).expanduser()
        return before.resolve() != Path(path).expanduser().resolve()
    return own != name


def _tested_part(source: Source, data: Data, other: bool) -> Part:
    """The samples to test on: of other data its test split, or all of it."""
    if other:
        none = {"val_fraction": None, "test_fraction": None, "folds": None}
        data = data.model_copy(update=none)
        if source.test is None:
            return Part(source.train, "", "all of it")
    parts = roles(source, data)
    return parts.test or parts.val
