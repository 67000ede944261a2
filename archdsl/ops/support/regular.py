"""Regularisation of whole branches."""

import torch
from torch import Tensor, nn


@torch.fx.wrap
def stochastic_depth(
    x: Tensor, p: float, mode: str = "row", training: bool = True
) -> Tensor:
    """Drops a residual branch in training, for each sample ("row") or for the whole batch."""
    if not training or p == 0:
        return x
    size = [x.shape[0] if mode == "row" else 1] + [1] * (x.ndim - 1)
    keep = torch.empty(size, dtype=x.dtype, device=x.device).bernoulli_(1 - p)
    if p < 1:
        keep.div_(1 - p)
    return x * keep


class StochasticDepth(nn.Module):
    """Drops its input in training, for each sample ("row") or for the whole batch."""

    def __init__(self, p: float, mode: str = "row") -> None:
        super().__init__()
        self.p, self.mode = p, mode

    def forward(self, x: Tensor) -> Tensor:
        return stochastic_depth(x, self.p, self.mode, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}, mode={self.mode}"


class Noise(nn.Module):
    """Normal random numbers in the shape of x."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.randn_like(x, memory_format=torch.contiguous_format)
