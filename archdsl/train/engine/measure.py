"""One pass over a test split."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from archdsl.train.engine.distributed import Ranks
from archdsl.train.engine.objective import Objective
from archdsl.train.tasks.task import Meter, Tested


@torch.inference_mode()
def measure(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    objective: Objective,
    meter: Meter,
    ranks: Ranks,
    cast: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext,
    stop: Callable[[], None] | None = None,
) -> Tested:
    """The loss and what the meter measures, each sample counted once whatever the ranks and batch
    size. `stop()` may end it early by raising."""
    model.eval()
    loss_sum = torch.zeros((), dtype=torch.float64, device=ranks.device)
    count = 0
    for x, y in batches:
        with cast():
            output = model(x)
        if stop is not None:
            stop()
        if not len(y):
            continue  # a pass that only keeps this rank in step with the others
        loss, main = objective(output, y)
        loss_sum += loss.double() * len(y)
        count += len(y)
        meter.add(main, y)
    total, samples, *sums = ranks.sum([float(loss_sum), count, *meter.sums()])
    return meter.result(total / samples, int(samples), sums)
