"""`bench`: how many images a second a network trains on, and answers for, at a batch size.

The training step is the loop's own (`Trainer.step`), on made-up samples that lie on the device
already, so that the network is measured and not the reading of files. Training and inference take
turns, so that both meet the same moods of the machine; the figures are medians.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from archdsl.text import shape_text
from archdsl.train.engine.allocator import keep_freed_memory
from archdsl.train.engine.distributed import Ranks, pick_device
from archdsl.train.engine.trainer import Trainer
from archdsl.train.errors import TrainError
from archdsl.train.job import own_randomness
from archdsl.train.model import describe
from archdsl.train.recipe.read import read_recipe
from archdsl.train.recipe.schema import Recipe
from archdsl.train.request import Request, settle
from archdsl.train.run.telling import is_out_of_memory, out_of_memory

WARM = 3  # rounds that are not counted: compilation, choice of algorithms, caches


@dataclass(frozen=True)
class Speed:
    """Images a second: the median of the rounds, the slowest and the fastest one."""

    median: float
    slowest: float
    fastest: float

    @classmethod
    def of(cls, batch: int, seconds: list[float]) -> Speed:
        middle = statistics.median(seconds)
        return cls(batch / middle, batch / max(seconds), batch / min(seconds))

    def __str__(self) -> str:
        return f"{self.median:,.1f} images/s ({self.slowest:,.1f} to {self.fastest:,.1f})"


@dataclass(frozen=True)
class Benchmark:
    model: str
    parameters: int
    input: tuple[int, ...]
    batch: int
    device: str
    precision: str
    channels_last: bool
    compile: bool
    rounds: int
    training: Speed
    inference: Speed
    peak_memory: int | None  # bytes, on a GPU

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        shape = shape_text(self.input)
        how = [self.device, self.precision]
        how += ["channels_last"] * self.channels_last + ["compiled"] * self.compile
        lines = [
            f"{self.model}, {self.parameters:,} parameters, input {shape}, batch {self.batch}",
            f"{', '.join(how)}; median of {self.rounds} rounds (slowest to fastest)",
            f"training   {self.training}",
            f"inference  {self.inference}",
        ]
        if self.peak_memory is not None:
            lines.append(f"memory     {self.peak_memory / 2**30:.2f} GiB at most")
        return "\n".join(lines)


def bench(
    spec: str | Path,
    *,
    batch: int = 32,
    rounds: int = 10,
    params: Mapping[str, Any] | None = None,
    input: tuple[int, ...] | None = None,
    **settings: Any,
) -> Benchmark:
    """Measures a spec; `settings` are keys of a recipe: device, precision, channels_last, compile,
    optimizer, threads."""
    plan = {
        "data": {"name": "fake", "samples": batch, "val_fraction": 0},
        "batch_size": batch,
        "plots": False,
        **settings,
    }
    if describe(spec, input, params).outputs is None:
        plan["loss"] = "mse"  # no scores of classes: a step towards numbers of the output's shape
    job = settle(Request(spec, read_recipe(plan), params, input, quiet=True))
    device = pick_device(job.recipe.device)
    with own_randomness(job.recipe, device):
        if device.type == "cpu":
            keep_freed_memory()
        data = job.load()
        ranks = Ranks(0, 1, device)
        module = job.model.build()
        try:
            trainer = Trainer(module, data, job.recipe, ranks, job.model.plain())
            training, inference = _in_turn(*_steps(trainer, batch), rounds, _finisher(device))
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                raise TrainError(*out_of_memory(module, data, job.recipe, ranks)) from None
            raise
    return Benchmark(
        job.model.name,
        sum(p.numel() for p in module.parameters()),
        data.fit.input_shape,
        batch,
        _name(device, job.recipe),
        job.recipe.precision,
        job.recipe.channels_last,
        job.recipe.compile,
        rounds,
        Speed.of(batch, training),
        Speed.of(batch, inference),
        torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
    )


def _steps(trainer: Trainer, batch: int) -> tuple[Callable[[], None], Callable[[], None]]:
    """One training step, and one pass without gradients, over the same batch."""
    x, y, _ = next(iter(trainer.batches.train(0)))
    last = trainer.recipe.channels_last and x.ndim == 4
    plain = x.contiguous(memory_format=torch.channels_last) if last else x

    def train() -> None:
        trainer.model.train()
        trainer.step(x, y, batch)

    def answer() -> None:
        trainer.model.eval()
        with torch.inference_mode(), trainer.autocast():
            trainer.model(plain)

    return train, answer


def _in_turn(
    first: Callable[[], None], second: Callable[[], None], rounds: int, finish: Callable[[], None]
) -> tuple[list[float], list[float]]:
    times: dict[Callable[[], None], list[float]] = {first: [], second: []}
    for number in range(WARM + rounds):
        for work in (first, second) if number % 2 else (second, first):
            finish()
            began = time.perf_counter()
            work()
            finish()
            if number >= WARM:
                times[work].append(time.perf_counter() - began)
    return times[first], times[second]


def _finisher(device: torch.device) -> Callable[[], None]:
    """Waits until the device has done what it was given."""
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    return torch.mps.synchronize if device.type == "mps" else lambda: None


def _name(device: torch.device, recipe: Recipe) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = recipe.threads or torch.get_num_threads()
    return f"{device.type} with {threads} thread{'s' * (threads > 1)}"
