"""From a dataset's name to batches on the device.

`load_data` splits, limits, fits and normalises a `Source` for one spec; `Batches` then gives the
batches of an epoch from any step on. Small image sets are decoded and resized once and held as one
uint8 tensor; the rest is decoded by worker processes.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from archdsl.diagnostics.terminal import escaped
from archdsl.train.data.augment import Batch, PerImage
from archdsl.train.data.images import BadSample
from archdsl.train.data.loader import (
    Fit,
    Streamed,
    at_positions,
    count_workers,
    fitted,
    make_loader,
)
from archdsl.train.data.samples import Samples, Tensors, Wrapped
from archdsl.train.data.sampling import (
    SPLIT,
    batch_bounds,
    epoch_order,
    generator,
    kept_generators,
    seed_libraries,
    share,
)
from archdsl.train.data.sources import Source
from archdsl.train.errors import TrainError
from archdsl.train.recipe.schema import Recipe

CACHE_BYTES = 2**30
LISTED = 100  # files that cannot be read, named in one message
SKIP_HELP = "delete or replace it, or leave such files out: --set data.on_bad_image=skip"


@dataclass
class Split:
    samples: Samples
    held: Tensor | None  # all samples as one tensor, fitted
    bad: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.samples.y)


@dataclass
class LoadedData:
    train: Split
    test: Split
    classes: tuple[str, ...]
    fit: Fit
    notes: list[str]
    final: Samples | None = None  # to be tested once, at the end; `test` then selects the best
    split: tuple[str, str] = ("", "")  # what the dataset calls `test` and `final`
    fingerprint: str = ""

    def not_finite(self) -> str | None:
        """The first training sample that holds no number or an infinite one, if any does."""
        if self.fit.image and not self.train.samples.y.is_floating_point():
            return None
        samples = self.train.samples
        for index in range(min(len(samples.y), 100_000)):
            if self.train.held is not None:
                x: Tensor | str = self.train.held[index % len(self.train.held)]
            else:
                x = _read(samples, index, self.fit)
            for name, values in (("", x), ("the target of ", samples.y[index])):
                if isinstance(values, Tensor) and not bool(torch.isfinite(values).all()):
                    return f"{name}training sample {index} holds {_odd(values)}"
        return None

    def first_tested(self, count: int) -> tuple[Tensor, Tensor]:
        """The first readable test images, fitted but not normalised, and their targets."""
        split, found = self.test, []
        for at in range(min(count, len(split))):
            x = split.held[at] if split.held is not None else _read(split.samples, at, self.fit)
            if isinstance(x, Tensor):
                found.append((x, split.samples.y[at]))
        return torch.stack([x for x, _ in found]), torch.stack([y for _, y in found])


@kept_generators()
def load_data(source: Source, recipe: Recipe, input_shape: tuple[int, ...]) -> LoadedData:
    """The two splits of a source, fitted to an input of that shape."""
    data = recipe.data
    notes: list[str] = []
    final = source.final if data.val_fraction is None else None
    fingerprint = _fingerprint(source, data.fingerprint == "content")
    train, test = split_source(source, data.val_fraction)
    train, test = _limit(train, data.limit), _limit(test, data.limit)
    image = source.channels is not None
    measured = data.mean == "data" or (data.mean == "auto" and image and source.mean_std is None)
    mean, std = (None, None) if measured else _published(source, recipe, input_shape)
    columns = list(source.columns) if source.named else None
    floats = None if image or source.columns else _extent(train)
    fit = Fit(input_shape, image, data.resize, mean, std, columns, source.target, floats)
    per_image = PerImage(recipe.augment, _size(input_shape), recipe.seed) if image else None
    train_split = _hold(train, fit, recipe, unless=bool(per_image))
    test_split = train_split if test is train else _hold(test, fit, recipe, unless=False)
    for split, name in ((train_split, "train"), (test_split, "test")):
        if not len(split):
            raise TrainError(f"the {name} split of {data.name} has no samples")
        if split.bad:
            notes.append(f"{len(split.bad)} {name} files left out: " + _listed(split.bad))
    if measured:
        mean, std = _measure(train_split, fit)
        fit = replace(fit, mean=mean, std=std)
    if (asked := data.workers) != "auto" and asked > (most := count_workers(recipe, 1)):
        notes.append(f"data.workers: {asked:,} are more than this machine can use; {most} it is")
    if final is not None:
        notes.append(
            f"{source.split[0]} selects the best model and is the table's test; "
            f"{source.split[1]} is tested once, at the end: {len(final.y):,} samples"
        )
    return LoadedData(
        train_split, test_split, source.classes, fit, notes, final, source.split, fingerprint
    )


def _fingerprint(source: Source, content: bool) -> str:
    parts = [one for one in (source.train, source.test, source.final) if one is not None]
    return "-".join(one.fingerprint(content).hex() for one in parts)


def _extent(samples: Samples) -> list[float] | None:
    """Smallest and largest value of the first samples."""
    found = []
    for index in range(min(100, len(samples.y))):
        with contextlib.suppress(BadSample):
            found.append(samples.read(index))
    if not found or not found[0].numel():
        return None
    return [min(float(one.min()) for one in found), max(float(one.max()) for one in found)]


def _odd(values: Tensor) -> str:
    return str(float(values[~torch.isfinite(values)].flatten()[0]))


def split_source(source: Source, fraction: float | None) -> tuple[Samples, Samples]:
    """The test split: the dataset's own, or a share of the training split, the same every time."""
    if source.test is not None and fraction is None:
        return source.train, source.test
    if fraction == 0:
        return source.train, source.train
    count = len(source.train.y)
    order = torch.randperm(count, generator=generator(SPLIT, 0, count))
    held_out = max(1, round(count * (0.2 if fraction is None else fraction)))
    if held_out >= count:
        raise TrainError(
            f"{count} samples are too few to hold out {held_out} for testing",
            "--set data.val_fraction=0 tests on the training samples",
        )
    test, train = order[:held_out].sort().values, order[held_out:].sort().values
    return source.train.subset(train), source.train.subset(test)


def _limit(samples: Samples, limit: int | None) -> Samples:
    count = len(samples.y)
    if limit is None or limit >= count:
        return samples
    order = torch.randperm(count, generator=generator(SPLIT, 1, count))
    return samples.subset(order[:limit].sort().values)


def _published(
    source: Source, recipe: Recipe, input_shape: tuple[int, ...]
) -> tuple[list[float] | None, list[float] | None]:
    data = recipe.data
    if data.mean is None:
        return None, None
    channels = input_shape[0]
    if isinstance(data.mean, list) and isinstance(data.std, list):
        if len(data.mean) not in (1, channels):
            raise TrainError(
                f"data.mean: {len(data.mean)} values for an input of {channels} channels"
            )
        return data.mean * (channels // len(data.mean)), data.std * (channels // len(data.std))
    if source.mean_std is None:
        return None, None
    mean, std = source.mean_std
    if len(mean) > channels:  # colour read as grey
        mean, std = (sum(mean) / len(mean),), (sum(std) / len(std),)
    return list(mean) * (channels // len(mean)), list(std) * (channels // len(std))


def _hold(samples: Samples, fit: Fit, recipe: Recipe, unless: bool) -> Split:
    """Decodes and fits the whole split, where it is small and needs no random crop."""
    cache = recipe.data.cache
    alive = isinstance(samples, Wrapped) and not samples.steady()
    if unless or alive or cache == "none" or not len(samples.y):
        return Split(samples, None)
    if isinstance(samples, Tensors) and not fit.image:
        fit(samples.read(0))
        return Split(samples, samples.x)
    size = math.prod(fit.input_shape) * (1 if fit.image else 4)
    if isinstance(samples, Tensors):
        if len(samples.x) * size > CACHE_BYTES and cache == "auto":
            return Split(samples, None)
        parts = [fit(part) for part in torch.split(samples.x, 4096)]
        return Split(samples, torch.cat(parts))
    if len(samples.y) * size > CACHE_BYTES and cache == "auto":
        return Split(samples, None)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        read = list(pool.map(lambda n: _read(samples, n, fit), range(len(samples.y))))
    bad = [one for one in read if isinstance(one, str)]
    if bad and recipe.data.on_bad_image == "error":
        raise TrainError(_listed(bad), SKIP_HELP)
    good = [n for n, one in enumerate(read) if not isinstance(one, str)]
    if not good:
        raise TrainError(f"no sample can be read: {_listed(bad)}")
    held = torch.stack([one for one in read if not isinstance(one, str)])
    return Split(samples.subset(torch.tensor(good)) if bad else samples, held, bad)


def _listed(bad: list[str]) -> str:
    """One a line; of very many the first ones."""
    how = "--set data.on_bad_image=skip writes all of them into the run's log.txt"
    more = f"\n  and {len(bad) - LISTED} more; {how}" if len(bad) > LISTED else ""
    return "\n  ".join(map(escaped, bad[:LISTED])) + more


def _read(samples: Samples, index: int, fit: Fit) -> Tensor | str:
    if isinstance(samples, Wrapped):
        seed_libraries(0, -1, index)
    try:
        return fitted(samples, index, samples.read(index), fit)
    except BadSample as error:
        return str(error)


def _measure(split: Split, fit: Fit) -> tuple[list[float], list[float]]:
    """Mean and deviation of each channel over (at most 10,000 samples of) the training split."""
    indices = range(0, len(split), max(1, len(split) // 10_000))
    if split.held is not None:
        x = split.held[torch.tensor(indices) % len(split.held)].double()
    else:
        read = [_read(split.samples, n, fit) for n in indices[:1000]]
        x = torch.stack([one for one in read if not isinstance(one, str)]).double()
    x = x / 255 if fit.image else x
    dims = [0, *range(2, x.ndim)]
    return x.mean(dims).tolist(), x.std(dims).clamp(min=1e-6).tolist()


def _size(shape: tuple[int, ...]) -> tuple[int, int]:
    return shape[-2], shape[-1]


class Batches:
    """The batches of both splits, for one rank of `world`, on its device."""

    def __init__(
        self, data: LoadedData, recipe: Recipe, device: torch.device, rank: int = 0, world: int = 1
    ) -> None:
        self.data, self.recipe, self.device = data, recipe, device
        self.rank, self.world = rank, world
        count = len(data.train)
        size = count if recipe.batch_size == "full" else min(recipe.batch_size, count)
        if size < world:
            raise TrainError(f"a batch of {size} cannot be shared by {world} devices")
        self.bounds = batch_bounds(count, size, world, recipe.data.drop_last)
        self.steps_per_epoch = len(self.bounds)
        self.batch_size = size
        self.batch = Batch(recipe.augment, data.fit.mean, data.fit.std, device, recipe.seed)
        self.eval_size = recipe.eval_batch_size or eval_batch(data.fit.input_shape, size)
        self.bad: dict[str, None] = {}
        self._loaders: dict[str, DataLoader[Any]] = {}

    def train(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Tensor, Tensor, int]]:
        """Inputs, targets and the whole batch's size over all ranks, from a step of an epoch on."""
        split = self.data.train
        order = epoch_order(self.recipe.seed, epoch, len(split))
        bounds = self.bounds[first_step:]
        shares = [share(order[start:end], self.rank, self.world) for start, end in bounds]
        for (start, end), indices, (x, y) in zip(
            bounds, shares, self._take("train", split, epoch, shares), strict=True
        ):
            yield self.batch.train(x, epoch, indices, len(split)), y, end - start

    def test(self) -> Iterator[tuple[Tensor, Tensor]]:
        """This rank's part of the test split: each sample on exactly one rank. A model cut up among
        the ranks needs all of them in each pass, so a rank whose part is done sooner gives one more
        input, without a target."""
        count = len(self.data.test)
        indices = share(torch.arange(count), self.rank, self.world)
        own = list(torch.split(indices, self.eval_size)) if len(indices) else []
        passes = -(-len(share(torch.arange(count), 0, self.world)) // self.eval_size)
        idle = [torch.tensor([0])] * (passes - len(own))
        for number, (x, y) in enumerate(self._take("test", self.data.test, -1, own + idle)):
            yield self.batch.plain(x), y if number < len(own) else y[:0]

    def _take(
        self, name: str, split: Split, epoch: int, batches: list[Tensor]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        if split.held is not None:
            held, labels = split.held, split.samples.y
            for indices in batches:
                at = indices if len(held) == len(labels) else indices % len(held)
                yield self._move(held[at]), self._move(labels[indices])
            return
        positions = [[(epoch, int(n)) for n in indices] for indices in batches]
        for x, y, bad in self._loader(name, split, positions):
            if bad and (x is None or self.recipe.data.on_bad_image == "error"):
                raise TrainError(escaped(bad[0]), SKIP_HELP)
            self.bad.update(dict.fromkeys(bad))
            yield self._move(x), self._move(y)

    def close(self) -> None:
        """Ends the processes that decode: what holds on to this object, such as the traceback of an
        error, would keep them, and Python waits for them at its end."""
        self._loaders.clear()

    def _move(self, x: Tensor) -> Tensor:
        if self.device.type == "cpu":
            return x
        x = x.pin_memory() if self.device.type == "cuda" and not x.is_pinned() else x
        return x.to(self.device, non_blocking=True)

    def _loader(self, name: str, split: Split, positions: list[Any]) -> DataLoader[Any]:
        """One loader for each split for the whole run: its workers stay alive between epochs."""
        if name not in self._loaders:
            fit, recipe = self.data.fit, self.recipe
            per_image = (
                PerImage(recipe.augment, _size(fit.input_shape), recipe.seed) if fit.image else None
            )
            skip = recipe.data.on_bad_image == "skip"
            dataset = Streamed(split.samples, fit, per_image, recipe.seed, skip)
            workers = count_workers(recipe, self.world)
            self._loaders[name] = make_loader(dataset, workers, pin=self.device.type == "cuda")
        return at_positions(self._loaders[name], positions)


def eval_batch(input_shape: tuple[int, ...], batch: int) -> int:
    """Testing needs no gradients, so small inputs go through in larger batches."""
    return max(min(batch, 1024), min(1024, 2**22 // math.prod(input_shape)))
