"""Datasets by name: what a recipe's `data.name` stands for.

In: the recipe's `data`, and what the spec wants (`fake` makes that up, and a regression reads its
targets as numbers). Out: a `Source`: samples for training and, where the dataset has its own, for
testing; class names; published mean and deviation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from archdsl.train.data.images import BadSample
from archdsl.train.data.samples import Samples
from archdsl.train.errors import TrainError, shown
from archdsl.train.recipe import datasets
from archdsl.train.recipe.schema import Data
from archdsl.train.tasks import NUMBERS, task_of
from archdsl.train.tasks.task import Task


@dataclass(frozen=True)
class Wanted:
    """What the spec takes and gives, as far as it is known."""

    input_shape: tuple[int, ...] | None
    outputs: int | None
    loss: str
    classes: tuple[str, ...] = ()  # a trained model's, where one is tested
    output_shape: tuple[int, ...] | None = None

    @property
    def regression(self) -> bool:
        """Whether targets are read as numbers."""
        return self.loss in NUMBERS


@dataclass(frozen=True)
class Source:
    train: Samples
    test: Samples | None
    classes: tuple[str, ...] = ()  # none: regression, or several labels a sample
    channels: int | None = None  # none: not images
    mean_std: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    columns: tuple[str, ...] = ()  # of a table, without the target
    target: str | None = None  # a table's target column
    named: bool = False  # whether the table's header names them
    final: Samples | None = None  # tested once, at the end; `test` then selects the best model
    split: tuple[str, str] = ("", "")  # what `test` and `final` are called there

    @property
    def numbered(self) -> bool:
        """Whether each target is the number of one class."""
        return bool(self.classes) and self.train.y.ndim == 1

    def task(self, loss: str) -> Task:
        """What a model learns from it under a loss of the recipe."""
        return task_of(self.classes, loss)

    @property
    def shape(self) -> tuple[int, ...]:
        """One sample's own shape."""
        for index in range(min(100, len(self.train.y))):
            try:
                return tuple(self.train.read(index).shape)
            except BadSample:
                continue
        raise TrainError("none of the first 100 samples can be read")


def open_source(data: Data, wanted: Wanted) -> Source:
    """The dataset of that name, with only the classes asked for."""
    opened = datasets.opener(data.name)
    if opened is None:
        known = ", ".join(datasets.known())
        raise TrainError(f"there is no dataset {data.name!r}", f"known: {known}")
    source: Source = opened(data.name.partition(":")[2], data, wanted)
    return only(source, tuple(data.classes)) if data.classes else source


def only(source: Source, classes: tuple[str, ...]) -> Source:
    """The samples of these classes, numbered as they stand here."""
    unknown = [name for name in classes if name not in source.classes]
    if unknown:
        raise TrainError(
            f"data.classes: there is no class {unknown[0]!r}",
            f"the dataset has {shown(*source.classes) or 'no classes'}",
        )
    if source.train.y.ndim > 1:
        raise TrainError("data.classes: each sample has a share of every class")
    return _numbered(source, classes)


def as_trained(source: Source, names: tuple[str, ...]) -> Source:
    """The source with the class numbers of a model that was trained on `names`; some of these may
    be missing in it."""
    if source.classes == names:
        return source
    unknown = [name for name in source.classes if name not in names]
    if unknown or not source.classes or source.train.y.ndim > 1:
        raise TrainError(
            f"the data's classes are not the model's: {shown(*source.classes[:8]) or 'none'} "
            f"instead of {shown(*names[:8]) or 'none'}"
        )
    return _numbered(source, names)


def _numbered(source: Source, classes: tuple[str, ...]) -> Source:
    numbers = torch.tensor([classes.index(n) if n in classes else -1 for n in source.classes])

    def pick(samples: Samples) -> Samples:
        chosen = samples.subset((numbers[samples.y] >= 0).nonzero().flatten())
        chosen.y = numbers[chosen.y]
        return chosen

    test = pick(source.test) if source.test else None
    final = pick(source.final) if source.final else None
    return replace(source, train=pick(source.train), test=test, final=final, classes=classes)
