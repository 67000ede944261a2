"""From a dataset to what a run is trained and tested on.

`load_data` splits, limits, fits and normalises a `Source` for one spec. Small image sets are
decoded and resized once and held as one uint8 tensor; the rest is decoded by worker processes when
it is asked for (`batches.py`).
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from archdsl.diagnostics.terminal import escaped
from archdsl.train.data.augment import PerImage
from archdsl.train.data.fit import Fit
from archdsl.train.data.images import BadSample
from archdsl.train.data.loader import count_workers
from archdsl.train.data.roles import limited, roles
from archdsl.train.data.samples import Samples, Split, read_fitted
from archdsl.train.data.sampling import kept_generators
from archdsl.train.data.sources import Source
from archdsl.train.errors import TrainError
from archdsl.train.recipe.schema import Recipe
from archdsl.train.tasks.task import Task

CACHE_BYTES = 2**30
LISTED = 100  # files that cannot be read, named in one message
SKIP_HELP = "delete or replace it, or leave such files out: --set data.on_bad_image=skip"


@dataclass
class LoadedData:
    train: Split
    test: Split
    task: Task
    fit: Fit
    notes: list[str]
    final: Samples | None = None  # to be tested once, at the end; `test` then selects the best
    split: tuple[str, str] = ("", "")  # what `test` and `final` are called
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
                x = read_fitted(samples, index, self.fit)
            for name, values in (("", x), ("the target of ", samples.y[index])):
                if isinstance(values, Tensor) and not bool(torch.isfinite(values).all()):
                    return f"{name}training sample {index} holds {_odd(values)}"
        return None

    def first_tested(self, count: int) -> tuple[Tensor, Tensor]:
        """The first readable test images, fitted but not normalised, and their targets."""
        split, found = self.test, []
        for at in range(min(count, len(split))):
            held = split.held
            x = held[at] if held is not None else read_fitted(split.samples, at, self.fit)
            if isinstance(x, Tensor):
                found.append((x, split.samples.y[at]))
        return torch.stack([x for x, _ in found]), torch.stack([y for _, y in found])


@kept_generators()
def load_data(source: Source, recipe: Recipe, input_shape: tuple[int, ...]) -> LoadedData:
    """The two splits of a source, fitted to an input of that shape."""
    data = recipe.data
    notes: list[str] = []
    fingerprint = _fingerprint(source, data.fingerprint == "content")
    parts = roles(source, data)
    train, final = limited(parts.train, data.limit), parts.test
    test = train if parts.val.samples is parts.train else limited(parts.val.samples, data.limit)
    image = source.channels is not None
    measured = data.mean == "data" or (data.mean == "auto" and image and source.mean_std is None)
    mean, std = (None, None) if measured else _published(source, recipe, input_shape)
    columns = list(source.columns) if source.named else None
    floats = None if image or source.columns else _extent(train)
    fit = Fit(input_shape, image, data.resize, mean, std, columns, source.target, floats)
    per_image = PerImage(recipe.augment, input_shape[-2:], recipe.seed) if image else None
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
            f"{parts.val.name} selects the best model and is the table's test; "
            f"{final.name} is tested once, at the end: {len(final.samples.y):,} samples"
        )
    task = source.task(recipe.loss.name)
    notes += task.rare(train_split.samples.y, recipe)
    return LoadedData(
        train_split,
        test_split,
        task,
        fit,
        notes,
        None if final is None else final.samples,
        (parts.val.name, "" if final is None else final.name),
        fingerprint,
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
    if unless or cache == "none" or not len(samples.y) or not samples.steady():
        return Split(samples, None)
    if cache == "auto" and samples.held_bytes(fit) > CACHE_BYTES:
        return Split(samples, None)
    split = samples.held(fit)
    if split.bad and recipe.data.on_bad_image == "error":
        raise TrainError(_listed(split.bad), SKIP_HELP)
    if split.held is None:
        raise TrainError(f"no sample can be read: {_listed(split.bad)}")
    return split


def _listed(bad: list[str]) -> str:
    """One a line; of very many the first ones."""
    how = "--set data.on_bad_image=skip writes all of them into the run's log.txt"
    more = f"\n  and {len(bad) - LISTED} more; {how}" if len(bad) > LISTED else ""
    return "\n  ".join(map(escaped, bad[:LISTED])) + more


def _measure(split: Split, fit: Fit) -> tuple[list[float], list[float]]:
    """Mean and deviation of each channel over (at most 10,000 samples of) the training split."""
    indices = range(0, len(split), max(1, len(split) // 10_000))
    if split.held is not None:
        x = split.held[torch.tensor(indices) % len(split.held)].double()
    else:
        read = [read_fitted(split.samples, n, fit) for n in indices[:1000]]
        x = torch.stack([one for one in read if not isinstance(one, str)]).double()
    x = x / 255 if fit.image else x
    dims = [0, *range(2, x.ndim)]
    return x.mean(dims).tolist(), x.std(dims).clamp(min=1e-6).tolist()
