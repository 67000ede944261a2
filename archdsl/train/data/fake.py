"""`fake`: made-up samples, to try a network or measure its speed."""

from __future__ import annotations

import math

import torch

from archdsl.train.data.samples import Tensors
from archdsl.train.data.sources import Source, Wanted
from archdsl.train.recipe.schema import Data


def opened(_: str, data: Data, wanted: Wanted) -> Source:
    """Random samples of the spec's own shape, a little like their class, so it can be learnt."""
    shape, outputs = wanted.input_shape or (3, 32, 32), wanted.outputs or 10
    pool = max(1, min(data.samples, 2**28 // math.prod(shape)))
    noise = torch.Generator().manual_seed(0)
    image = len(shape) == 3 and shape[0] in (1, 3)
    y = torch.arange(data.samples) % pool % max(2, outputs)
    if image:
        x = torch.randint(0, 256, (pool, *shape), generator=noise, dtype=torch.uint8)
        x[:, :, : max(1, shape[1] // 4)] = (
            (y[:pool] * 255 // max(2, outputs)).to(torch.uint8).view(-1, 1, 1, 1)
        )
    else:
        x = torch.randn(pool, *shape, generator=noise) + y[:pool].view(-1, *[1] * len(shape))
    if wanted.regression:
        given = wanted.output_shape or (outputs,)
        mean = x.float().flatten(1).mean(1)
        target = mean.view(-1, *[1] * len(given)).expand(-1, *given)
        target = target[torch.arange(data.samples) % pool]
        return Source(Tensors(x, target), None, (), shape[0] if image else None)
    classes = tuple(str(number) for number in range(max(2, outputs)))
    return Source(Tensors(x, y), None, classes, shape[0] if image else None)
