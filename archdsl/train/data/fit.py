"""How a sample becomes the model's input."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from archdsl.text import shape_text
from archdsl.train.data.images import BadSample


@dataclass(frozen=True)
class Fit:
    """How a sample becomes the model's input; kept in checkpoints for `predict`."""

    input_shape: tuple[int, ...]
    image: bool
    resize: int | None
    mean: list[float] | None
    std: list[float] | None
    columns: list[str] | None = None  # of a table that has a header, without the target
    target: str | None = None  # a table's target column
    floats: list[float] | None = None  # smallest and largest value of samples that are no pixels

    def __call__(self, sample: Tensor) -> Tensor:
        if not self.image:
            if tuple(sample.shape) != self.input_shape:
                raise BadSample(
                    f"of shape {shape_text(sample.shape)}, not {shape_text(self.input_shape)}"
                )
            return sample
        channels, height, width = self.input_shape
        return to_size(to_channels(sample, channels), (height, width), self.resize)


def to_channels(image: Tensor, channels: int) -> Tensor:
    """Grey or colour pixels (..., C, H, W) as the channels that are wanted."""
    if image.shape[-3] == channels:
        return image
    if channels == 3:
        return image.expand(*image.shape[:-3], 3, *image.shape[-2:]).contiguous()
    red, green, blue = image.int().unbind(-3)  # Pillow's weights, in its integers
    grey = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16
    return grey.to(torch.uint8).unsqueeze(-3)


def to_size(image: Tensor, size: tuple[int, int], resize: int | None) -> Tensor:
    """Pixels (..., C, H, W) at the spec's size: stretched, or shorter side resized and the middle
    cut. The same pixels as torchvision's transforms, without importing it."""
    if resize is None:
        return scaled(image, size)
    height, width = image.shape[-2:]
    short, long = min(height, width), max(height, width)
    other = int(resize * long / short)
    image = scaled(image, (resize, other) if height <= width else (other, resize))
    wanted_h, wanted_w = size
    pad_h, pad_w = max(0, wanted_h - image.shape[-2]), max(0, wanted_w - image.shape[-1])
    image = F.pad(image, (pad_w // 2, (pad_w + 1) // 2, pad_h // 2, (pad_h + 1) // 2))
    top = round((image.shape[-2] - wanted_h) / 2)
    left = round((image.shape[-1] - wanted_w) / 2)
    return image[..., top : top + wanted_h, left : left + wanted_w]


def scaled(image: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(image.shape[-2:]) == size:
        return image
    batch = image if image.ndim == 4 else image[None]
    out = F.interpolate(batch, size, mode="bilinear", antialias=True)
    return out if image.ndim == 4 else out[0]
