"""Samples decoded by worker processes, in the order that the loop gives.

In: samples, how one becomes an input, and positions (epoch, index). Out: whole batches.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from archdsl.train.data.augment import PerImage
from archdsl.train.data.fit import Fit, to_channels
from archdsl.train.data.images import BadSample
from archdsl.train.data.samples import Samples, fitted
from archdsl.train.data.sampling import seed_libraries
from archdsl.train.recipe.schema import Recipe


class Streamed(Dataset[Any]):
    """Samples decoded where they are asked for, by (epoch, index); epoch -1 is for testing."""

    def __init__(
        self, samples: Samples, fit: Fit, per_image: PerImage | None, seed: int, skip: bool
    ) -> None:
        self.samples, self.fit, self.per_image = samples, fit, per_image
        self.seed, self.skip = seed, skip

    def __getitem__(self, position: tuple[int, int]) -> tuple[Tensor | None, Tensor, str]:
        epoch, index = position
        bad = ""
        for at in range(index, index + 100):  # a bad one is replaced by the next good one
            at %= len(self.samples.y)
            if self.samples.own:
                seed_libraries(self.seed, epoch, index)
            try:
                x = self.samples.read(at)
                if epoch >= 0 and self.per_image:
                    channels = self.fit.input_shape[0]
                    x = to_channels(x, channels) if self.per_image.crops else self._fit(at, x)
                    return self.per_image(x, epoch, index), self.samples.y[at], bad
                return self._fit(at, x), self.samples.y[at], bad
            except BadSample as error:
                bad = bad or str(error)
                if not self.skip:
                    break
        return None, self.samples.y[index], bad  # the main process says which file it was

    def _fit(self, index: int, x: Tensor) -> Tensor:
        return fitted(self.samples, index, x, self.fit)


def _collate(
    items: list[tuple[Tensor | None, Tensor, str]],
) -> tuple[Tensor | None, Tensor, list[str]]:
    bad = [name for _, _, name in items if name]
    whole = [x for x, _, _ in items if x is not None]
    x = torch.stack(whole) if len(whole) == len(items) else None
    return x, torch.stack([y for _, y, _ in items]), bad


def _ignore_signals(_: int) -> None:
    """Workers leave Ctrl-C to the main process, which still needs them for the current step."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def count_workers(recipe: Recipe, world: int) -> int:
    """Processes that decode, for one rank. More than a few a processor only take memory."""
    cores, asked = os.cpu_count() or 2, recipe.data.workers
    if asked == "auto":
        return max(1, min(8, cores - 1) // world)
    return min(asked, max(16, 4 * cores))


def make_loader(dataset: Streamed, workers: int, pin: bool) -> DataLoader[Any]:
    """Where CUDA has started, this process has threads of its driver, whose locks a fork could take
    along: workers then come from a server. A user's own Dataset may not pickle; torch's habit, a
    fork, has to do for it."""
    begun = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    served = begun and workers > 0 and not dataset.samples.own
    return DataLoader(
        dataset,
        batch_sampler=_Positions(),
        num_workers=workers,
        collate_fn=_collate,
        pin_memory=pin,
        persistent_workers=workers > 0,
        worker_init_fn=_ignore_signals,
        multiprocessing_context="forkserver" if served else None,
    )


def at_positions(loader: DataLoader[Any], positions: list[Any]) -> DataLoader[Any]:
    """The loader, which next gives these batches."""
    assert isinstance(loader.batch_sampler, _Positions)
    loader.batch_sampler.batches = positions
    return loader


class _Positions:
    """The batch sampler: hands out the (epoch, index) lists that it was last given."""

    batches: list[list[tuple[int, int]]] = []  # noqa: RUF012

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)
