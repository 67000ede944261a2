"""What a run is asked to do, and what comes of it: a `Job`, settled before anything is written.

Recipe, data and model must suit one another; whatever can be wrong before training is found here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import nn

from archdsl.diagnostics.terminal import typed
from archdsl.pipeline import open_spec
from archdsl.text import shape_text
from archdsl.train.data.load import LoadedData, load_data
from archdsl.train.data.own import tell_code
from archdsl.train.data.sources import Source, Wanted, open_source
from archdsl.train.engine.distributed import launched
from archdsl.train.errors import TrainError, shown, told_by_first
from archdsl.train.model import Model, describe, unchanged
from archdsl.train.recipe.datasets import is_code
from archdsl.train.recipe.keys import keys, marked
from archdsl.train.recipe.parts import MayChange
from archdsl.train.recipe.read import Override, read_recipe, recipe_of
from archdsl.train.recipe.schema import Data, Recipe
from archdsl.train.run.checkpoint import FOLDS, find_checkpoint, read_checkpoint
from archdsl.train.spec_files import SpecFiles


@dataclass(frozen=True)
class Request:
    """`spec` is a path, a shipped name, a spec's text, or a module; `recipe` a path, a mapping, or
    none for the one beside the spec. `fit_spec` adapts the spec to the data. `resume` goes on with
    a run folder or checkpoint, for which `spec` may be None."""

    spec: str | Path | nn.Module | None
    recipe: str | Path | Mapping[str, Any] | Recipe | None = None
    params: Mapping[str, Any] | None = None
    input: tuple[int, ...] | None = None
    fit_spec: bool = False
    weights: str | Path | None = None
    out: str | Path | None = None
    resume: str | Path | None = None
    overrides: Sequence[Override] = field(default=())
    quiet: bool = False


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
        if model.input_shape is None:
            source = _recoloured(source, data)
        return load_data(source, self.recipe, model.input_shape or _own_shape(source))


def settle(asked: Request, run_code: bool = True) -> Job:
    """Everything that can be wrong before training, found before training. Without `run_code` data
    that is code of somebody's is not opened."""
    if asked.resume is not None:
        resume = Path(asked.resume).expanduser()
        settled = _settle_folds if (resume / FOLDS).is_file() else _settle_resumed
        return settled(asked, resume)
    if asked.spec is None:
        raise TrainError("there is no spec to train")
    found = recipe_of(asked.spec, asked.recipe)
    recipe = read_recipe(found, asked.overrides)
    _check_means(recipe)
    model = describe(asked.spec, asked.input, asked.params)
    if asked.input is None and (size := recipe.data.image_size) is not None:
        model = _sized(model, size)
    if is_code(recipe.data.name):
        if not run_code:
            return Job(model, recipe, quiet=asked.quiet)
        if not any(one.keys == ("data", "name") for one in asked.overrides):
            tell_code(recipe.data.name, found)
    source = _recoloured(open_source(recipe.data, _wanted(model, recipe)), recipe.data)
    task = source.task(recipe.loss.name)
    model, changed = model.fitted(source, task, asked.fit_spec)
    if changed and not asked.quiet:
        told_by_first(f"fitted to the data: {' '.join(changed)}")
    out, weights = (None if one is None else str(one) for one in (asked.out, asked.weights))
    return Job(model, recipe, out, None, weights, asked.quiet)


def _recoloured(source: Source, data: Data) -> Source:
    """Images with as many channels as the recipe asks for."""
    if data.channels is None or source.channels is None:
        return source
    return replace(source, channels=data.channels)


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


def _settle_folds(asked: Request, folder: Path) -> Job:
    """A cross-validation that goes on: by the state of the first fold, which comes first."""
    try:
        weights = json.loads((folder / FOLDS).read_text(encoding="utf-8"))["weights"]
    except (OSError, ValueError, KeyError, TypeError):
        raise TrainError(
            f"{shown(folder / FOLDS)}: damaged", f"go on with one fold: {typed(folder / 'fold-1')}"
        ) from None
    job = _settle_resumed(asked, folder / "fold-1")
    data = job.recipe.data.model_copy(update={"fold": None})
    recipe = job.recipe.model_copy(update={"data": data})
    return replace(job, recipe=recipe, out=str(folder), resume=folder, weights=weights)


def _settle_resumed(asked: Request, run: Path) -> Job:
    flags = {
        "--out": asked.out,
        "--recipe": asked.recipe,
        "--weights": asked.weights,
        "--fit": asked.fit_spec,
    }
    if given := [flag for flag, value in flags.items() if value]:
        raise TrainError(
            f"{given[0]} has no meaning for a run that goes on",
            f"leave {given[0]} out; a new run takes it, without --resume",
        )
    path = find_checkpoint(run)
    saved = read_checkpoint(path)
    before = read_recipe(saved["recipe"])
    now = read_recipe(saved["recipe"], asked.overrides)
    may = [key for key, info in keys() if marked(info, MayChange)]
    for key in _differing(before.resolved(), now.resolved()):
        if not any(key == one or key.startswith(f"{one}.") for one in may):
            raise TrainError(
                f"{key} cannot change in the middle of a run",
                f"a resumed run may change {', '.join(may)}",
            )
    if is_code(now.data.name):
        tell_code(now.data.name, path)
    _same_kind(before.data.name, now.data.name, "fingerprint" in saved)
    _check_means(now)
    model = _model_of(asked, saved["model_from"])
    return Job(model, now, str(path.parent), path, None, asked.quiet)


def _model_of(asked: Request, saved: Mapping[str, Any]) -> Model:
    """The model of a run that goes on."""
    if isinstance(asked.spec, nn.Module):
        return describe(asked.spec, asked.input)
    model = Model.from_plain(saved)
    assert model.spec is not None
    if asked.spec is not None:
        now: SpecFiles | None = SpecFiles.of(open_spec(asked.spec))
    else:
        now = model.spec.as_now()
    if now is not None:
        unchanged(model.spec, now)
    if asked.params or asked.input:
        raise TrainError("a resumed run keeps its parameters and input", "leave out -p and --input")
    return model


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


def _own_shape(source: Source) -> tuple[int, ...]:
    shape = source.shape
    return (source.channels, *shape[1:]) if source.channels is not None else shape
