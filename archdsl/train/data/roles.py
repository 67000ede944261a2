"""Which samples train, which select the best model, and which test it once at the end.

In: a source, and the recipe's `data`. Out: `Roles`. A dataset's own splits keep their roles; what
is cut from the training split is the same every time, each part with the classes' shares of the
whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from archdsl.train.data.samples import Samples
from archdsl.train.data.sampling import SPLIT, generator
from archdsl.train.data.sources import Source
from archdsl.train.errors import TrainError
from archdsl.train.recipe.schema import Data

VAL, LIMIT, TEST, FOLD = range(4)  # what is drawn for
SHARE = 0.2  # held out where nobody says how much


@dataclass(frozen=True)
class Part:
    """Samples, the name of their role, and what they are in words."""

    samples: Samples
    name: str
    words: str


@dataclass(frozen=True)
class Roles:
    """`val` selects the best model, and may be the training samples themselves; `test` had no part
    in anything."""

    train: Samples
    val: Part
    test: Part | None


def roles(source: Source, data: Data) -> Roles:
    rest, test = source.train, _own_test(source)
    held = data.val_fraction is not None or data.folds is not None
    if data.test_fraction is not None:
        if test is not None:
            raise TrainError(
                "data.test_fraction: the dataset has a test split of its own",
                "leave it out; with data.val_fraction the best model is selected on a part of the "
                "training split, and the test split is used once",
            )
        rest, part = _cut(source, rest, data.test_fraction, TEST, data)
        test = Part(part, "test", _held_out(part, source, "from training and selecting"))
    if data.folds is not None:
        rest, part = _fold(source, rest, data.folds, data.fold or 1, data)
        words = f"fold {data.fold or 1} of {data.folds}: {_held_out(part, source)}"
        return Roles(rest, Part(part, "val", words), test)
    if data.val_fraction == 0:
        return Roles(rest, Part(rest, "train", "all of it"), test if data.test_fraction else None)
    own = source.test
    if own is not None and not held:
        name = source.split[0] or "test"
        other = test if test is not None and test.samples is not own else None
        return Roles(rest, Part(own, name, f"its {name} split"), other)
    rest, part = _cut(source, rest, data.val_fraction or SHARE, VAL, data)
    return Roles(rest, Part(part, "val", _held_out(part, source)), test)


def _own_test(source: Source) -> Part | None:
    """The dataset's test split, where one of its splits is that."""
    name = source.split[1] if source.final is not None else source.split[0]
    samples = source.final if source.final is not None else source.test
    if samples is None or name not in ("", "test"):
        return None
    return Part(samples, "test", "its test split")


def _held_out(part: Samples, source: Source, what: str = "from training") -> str:
    whole = len(source.train.y)
    return f"the {len(part.y):,} of {whole:,} that were held out {what}"


def _cut(
    source: Source, samples: Samples, fraction: float, use: int, data: Data
) -> tuple[Samples, Samples]:
    """What is left, and the share that is cut off."""
    count = len(samples.y)
    size = max(1, round(count * fraction))
    if size >= count:
        raise TrainError(
            f"{count} samples are too few to hold out {size} for testing",
            "--set data.val_fraction=0 tests on the training samples",
        )
    order, numbers = _arranged(source, samples, use, data)
    if numbers is None:
        chosen = torch.arange(count) < size
    else:  # evenly through the classes, one after another
        at = (torch.arange(count + 1) * size + count // 2) // count
        chosen = at.diff() > 0
        _spare(chosen, numbers)
    return _parted(samples, order, chosen)


def _spare(chosen: Tensor, numbers: Tensor) -> None:
    """Leaves each class a sample to learn from, as long as another has one to give for it."""
    for number in sorted(set(numbers[chosen].tolist())):
        own = numbers == number
        left = torch.bincount(numbers[~chosen])
        if bool(chosen[own].all()) and int(left.max()) > 1:
            chosen[own.nonzero()[0]] = False
            chosen[((numbers == left.argmax()) & ~chosen).nonzero()[0]] = True


def _fold(
    source: Source, samples: Samples, folds: int, number: int, data: Data
) -> tuple[Samples, Samples]:
    count = len(samples.y)
    if folds > count:
        raise TrainError(f"{count:,} samples are too few for {folds:,} folds")
    order, _ = _arranged(source, samples, FOLD, data)
    return _parted(samples, order, torch.arange(count) % folds == number - 1)


def _arranged(
    source: Source, samples: Samples, use: int, data: Data
) -> tuple[Tensor, Tensor | None]:
    """The samples in an order that chance made; by class, where each has one, with its number."""
    count = len(samples.y)
    seed = (data.split_seed,) if data.split_seed else ()
    order = torch.randperm(count, generator=generator(SPLIT, use, count, *seed))
    if not (data.stratify and source.numbered):
        return order, None
    order = order[samples.y[order].argsort(stable=True)]
    return order, samples.y[order]


def _parted(samples: Samples, order: Tensor, chosen: Tensor) -> tuple[Samples, Samples]:
    left, part = order[~chosen].sort().values, order[chosen].sort().values
    return samples.subset(left), samples.subset(part)


def limited(samples: Samples, limit: int | None) -> Samples:
    """An even choice of so many, the same each time."""
    count = len(samples.y)
    if limit is None or limit >= count:
        return samples
    order = torch.randperm(count, generator=generator(SPLIT, LIMIT, count))
    return samples.subset(order[:limit].sort().values)
