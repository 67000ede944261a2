"""Arithmetic as layers, where a step of it has a name."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Exp(nn.Module):
    """e to the power of x."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.exp(x)


class Log(nn.Module):
    """The natural logarithm."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.log(x)


class Sqrt(nn.Module):
    """The square root."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sqrt(x)


class Rsqrt(nn.Module):
    """One over the square root."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.rsqrt(x)


class Square(nn.Module):
    """x times x."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.square(x)


class Abs(nn.Module):
    """The magnitude."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.abs(x)


class Neg(nn.Module):
    """x with the other sign."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.neg(x)


class Sin(nn.Module):
    """The sine."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(x)


class Cos(nn.Module):
    """The cosine."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cos(x)


class Pow(nn.Module):
    """x to a power."""

    def __init__(self, exponent: float) -> None:
        super().__init__()
        self.exponent = exponent

    def forward(self, x: Tensor) -> Tensor:
        return torch.pow(x, self.exponent)

    def extra_repr(self) -> str:
        return f"{self.exponent}"


class Clamp(nn.Module):
    """x, at least `min` and at most `max`."""

    def __init__(self, min: float | None = None, max: float | None = None) -> None:
        super().__init__()
        self.min, self.max = min, max

    def forward(self, x: Tensor) -> Tensor:
        return torch.clamp(x, min=self.min, max=self.max)

    def extra_repr(self) -> str:
        return f"min={self.min}, max={self.max}"


class Scale(nn.Module):
    """x times a number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor

    def extra_repr(self) -> str:
        return f"{self.factor}"


class Normalize(nn.Module):
    """Divides by the norm along a dimension."""

    def __init__(self, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> None:
        super().__init__()
        self.p, self.dim, self.eps = p, dim, eps

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x, self.p, self.dim, self.eps)

    def extra_repr(self) -> str:
        return f"p={self.p}, dim={self.dim}, eps={self.eps}"


class CumSum(nn.Module):
    """Running sums along a dimension."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return torch.cumsum(x, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"
