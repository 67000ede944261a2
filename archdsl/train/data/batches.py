"""The batches of an epoch from any step on, for one of several processes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from archdsl.diagnostics.terminal import escaped
from archdsl.train.data.augment import Batch, PerImage
from archdsl.train.data.load import SKIP_HELP, LoadedData
from archdsl.train.data.loader import Streamed, at_positions, count_workers, make_loader
from archdsl.train.data.samples import Split
from archdsl.train.data.sampling import balanced_order, batch_bounds, epoch_order, share
from archdsl.train.errors import TrainError
from archdsl.train.recipe.schema import Recipe


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
        order = self._order(epoch, split)
        bounds = self.bounds[first_step:]
        shares = [share(order[start:end], self.rank, self.world) for start, end in bounds]
        for (start, end), indices, (x, y) in zip(
            bounds, shares, self._take("train", split, epoch, shares), strict=True
        ):
            yield self.batch.train(x, epoch, indices, len(split)), y, end - start

    def _order(self, epoch: int, split: Split) -> Tensor:
        recipe = self.recipe
        if recipe.data.sampler == "balanced":
            return balanced_order(recipe.seed, epoch, self.data.task.one_each(split.samples.y))
        return epoch_order(recipe.seed, epoch, len(split))

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
            size = fit.input_shape[-2:]
            per_image = PerImage(recipe.augment, size, recipe.seed) if fit.image else None
            skip = recipe.data.on_bad_image == "skip"
            dataset = Streamed(split.samples, fit, per_image, recipe.seed, skip)
            workers = count_workers(recipe, self.world)
            self._loaders[name] = make_loader(dataset, workers, pin=self.device.type == "cuda")
        return at_positions(self._loaders[name], positions)


def eval_batch(input_shape: tuple[int, ...], batch: int) -> int:
    """Testing needs no gradients, so small inputs go through in larger batches."""
    return max(min(batch, 1024), min(1024, 2**22 // math.prod(input_shape)))
