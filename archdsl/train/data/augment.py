"""Augmentation. What each sample gets depends on (seed, epoch, index) alone.

Two kinds: what must be done image by image, before images have one size (`PerImage`, in worker
processes), and what is done to a whole batch on the device (`Batch`). The batch kind still draws
for each sample: torchvision's v2 transforms would toss one coin for the whole batch, so the numbers
come from a table, one row a sample, drawn once an epoch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from archdsl.train.data.sampling import SAMPLE, generator, seed_sample
from archdsl.train.recipe.schema import Augment

#: bytes from which on a CPU works image by image: each stays in its cache then
LARGE = 2**15
COLUMNS = 8  # flip, shift (2), erase: whether, area, proportion, place (2)


class PerImage:
    """Random crops and automatic policies for one uint8 image; nothing where none is asked for."""

    def __init__(self, plan: Augment, size: tuple[int, ...], seed: int) -> None:
        self.seed = seed
        steps: list[Any] = []
        if plan.crop == "random_resized" or plan.auto:
            from torchvision.transforms import v2  # takes two seconds, and few recipes need it
        if plan.crop == "random_resized":
            scale, ratio = tuple(plan.scale), tuple(plan.ratio)
            steps.append(v2.RandomResizedCrop(size, scale=scale, ratio=ratio, antialias=True))
        self.crops = bool(steps)
        if plan.auto:
            policy = v2.RandAugment if plan.auto == "randaugment" else v2.TrivialAugmentWide
            steps.append(policy(interpolation=v2.InterpolationMode.BILINEAR))
        self.steps = v2.Compose(steps) if steps else None

    def __bool__(self) -> bool:
        return self.steps is not None

    def __call__(self, image: Tensor, epoch: int, index: int) -> Tensor:
        if self.steps is None:
            return image
        seed_sample(self.seed, epoch, index)
        changed: Tensor = self.steps(image)
        return changed


class Batch:
    """Pixels 0..255 to what the model takes: shift, mirror, normalise, erase, on any device."""

    def __init__(
        self,
        plan: Augment,
        mean: list[float] | None,
        std: list[float] | None,
        device: torch.device,
        seed: int,
    ) -> None:
        self.plan, self.seed, self.device = plan, seed, device
        self.random = plan.crop == "pad" or plan.hflip > 0 or plan.erase > 0
        self.mean = None if mean is None else torch.tensor(mean, device=device)
        self.std = None if std is None else torch.tensor(std, device=device)
        self.epoch, self.table = -1, torch.empty(0)

    def train(self, x: Tensor, epoch: int, indices: Tensor, count: int) -> Tensor:
        """`indices` says which of the split's `count` samples these are."""
        if not self.random or x.ndim != 4:
            return self.plain(x)
        if epoch != self.epoch:
            stream = generator(SAMPLE, self.seed, epoch)
            self.epoch, self.table = epoch, torch.rand(count, COLUMNS, generator=stream)
        u_BK = self.table[indices].to(self.device)
        if self.plan.crop == "pad":
            x = shift(x, self.plan.pad, u_BK[:, 1], u_BK[:, 2])
        if self.plan.hflip > 0:
            x = mirror(x, u_BK[:, 0] < self.plan.hflip)
        x = self.plain(x)
        return erase(x, self.plan.erase, u_BK[:, 3:]) if self.plan.erase > 0 else x

    def plain(self, x: Tensor) -> Tensor:
        """Pixels as numbers from 0 to 1, then normalised; other samples only normalised."""
        shape = (-1, *[1] * (x.ndim - 2))
        if x.dtype != torch.uint8:
            return x if self.mean is None else self._normalise(x.clone(), shape)
        numbers = torch.empty(x.shape, device=x.device)
        for part, pixels in zip(numbers, x, strict=True) if _large(x) else [(numbers, x)]:
            self._normalise(part.copy_(pixels).div_(255), shape)
        return numbers

    def _normalise(self, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        if self.mean is None or self.std is None:
            return x
        return x.sub_(self.mean.view(shape)).div_(self.std.view(shape))


def _large(x: Tensor) -> bool:
    return x.is_cpu and x[0].numel() >= LARGE


def mirror(x_BCHW: Tensor, chosen_B: Tensor) -> Tensor:
    if not _large(x_BCHW):
        return torch.where(chosen_B.view(-1, 1, 1, 1), x_BCHW.flip(3), x_BCHW)
    x_BCHW = x_BCHW.clone()
    for at in chosen_B.nonzero().flatten().tolist():
        x_BCHW[at] = x_BCHW[at].flip(2)
    return x_BCHW


def shift(x_BCHW: Tensor, pad: int, u_B: Tensor, v_B: Tensor) -> Tensor:
    """Each image moved by up to `pad` pixels on each axis, black where it left."""
    B, _, H, W = x_BCHW.shape
    padded = F.pad(x_BCHW, (pad, pad, pad, pad))
    top_B = (u_B * (2 * pad + 1)).long()
    left_B = (v_B * (2 * pad + 1)).long()
    rows_BH = top_B[:, None] + torch.arange(H, device=x_BCHW.device)
    columns_BW = left_B[:, None] + torch.arange(W, device=x_BCHW.device)
    image_B = torch.arange(B, device=x_BCHW.device)[:, None, None]
    padded_BHWC = padded.permute(0, 2, 3, 1)
    cut_BHWC = padded_BHWC[image_B, rows_BH[:, :, None], columns_BW[:, None]]
    return cut_BHWC.permute(0, 3, 1, 2)


def erase(x_BCHW: Tensor, probability: float, u_BK: Tensor) -> Tensor:
    """A rectangle of 2 to 33 % of the image, 0.3 to 3.3 in proportion, set to 0 (the mean)."""
    H, W = x_BCHW.shape[2:]
    area_B = (0.02 + 0.31 * u_BK[:, 1]) * H * W
    ratio_B = torch.exp((2 * u_BK[:, 2] - 1) * 1.1939)  # log 3.3
    height_B = (area_B * ratio_B).sqrt().round().clamp(max=H)
    width_B = (area_B / ratio_B).sqrt().round().clamp(max=W)
    top_B = (u_BK[:, 3] * (H - height_B + 1)).floor()
    left_B = (u_BK[:, 4] * (W - width_B + 1)).floor()
    y_H = torch.arange(H, device=x_BCHW.device)
    x_W = torch.arange(W, device=x_BCHW.device)
    rows_BH = (y_H >= top_B[:, None]) & (y_H < (top_B + height_B)[:, None])
    columns_BW = (x_W >= left_B[:, None]) & (x_W < (left_B + width_B)[:, None])
    chosen_B = u_BK[:, 0] < probability
    hole_BHW = rows_BH[:, :, None] & columns_BW[:, None, :] & chosen_B[:, None, None]
    return x_BCHW.masked_fill(hole_BHW[:, None], 0.0)
