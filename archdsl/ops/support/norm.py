"""Normalisations that torch has in another layout, and fixed scales."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LayerNorm2d(nn.LayerNorm):
    """Layer normalisation over the channels of images."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)
        x = F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class Rescale(nn.Module):
    """Scales and shifts by fixed numbers."""

    def __init__(self, scale: float, shift: float) -> None:
        super().__init__()
        self.scale, self.shift = scale, shift

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale + self.shift

    def extra_repr(self) -> str:
        return f"{self.scale}, {self.shift}"


class Affine(nn.Module):
    """Scales and shifts each channel by fixed numbers."""

    def __init__(self, scale: tuple[float, ...], shift: tuple[float, ...]) -> None:
        super().__init__()
        channels = max(len(scale), len(shift))
        if not {len(scale), len(shift)} <= {1, channels}:
            raise ValueError("a number for each channel, or one for all")
        self.scale = list(scale) * (channels // len(scale))
        self.shift = list(shift) * (channels // len(shift))

    def forward(self, x: Tensor) -> Tensor:
        torch._assert(x.shape[1] == len(self.scale), "a number for each channel")
        parts = [
            x[:, i : i + 1] * self.scale[i] + self.shift[i]
            for i in range(len(self.scale))
        ]
        return torch.cat(parts, 1)

    def extra_repr(self) -> str:
        return f"{self.scale}, {self.shift}"
