"""Arithmetic as layers, where a step of it has a name."""

import torch
from torch import Tensor, nn


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


class Sum(nn.Module):
    """The sum over some dimensions."""

    def __init__(self, *dims: int, keepdim: bool = False) -> None:
        super().__init__()
        self.dims, self.keepdim = dims, keepdim

    def forward(self, x: Tensor) -> Tensor:
        return torch.sum(x, self.dims, keepdim=self.keepdim)

    def extra_repr(self) -> str:
        return f"{', '.join(map(str, self.dims))}, keepdim={self.keepdim}"


class Max(nn.Module):
    """The largest value over some dimensions."""

    def __init__(self, *dims: int, keepdim: bool = False) -> None:
        super().__init__()
        self.dims, self.keepdim = dims, keepdim

    def forward(self, x: Tensor) -> Tensor:
        return torch.amax(x, self.dims, keepdim=self.keepdim)

    def extra_repr(self) -> str:
        return f"{', '.join(map(str, self.dims))}, keepdim={self.keepdim}"


class Min(nn.Module):
    """The smallest value over some dimensions."""

    def __init__(self, *dims: int, keepdim: bool = False) -> None:
        super().__init__()
        self.dims, self.keepdim = dims, keepdim

    def forward(self, x: Tensor) -> Tensor:
        return torch.amin(x, self.dims, keepdim=self.keepdim)

    def extra_repr(self) -> str:
        return f"{', '.join(map(str, self.dims))}, keepdim={self.keepdim}"


class Std(nn.Module):
    """The standard deviation over some dimensions."""

    def __init__(self, *dims: int, keepdim: bool = False) -> None:
        super().__init__()
        self.dims, self.keepdim = dims, keepdim

    def forward(self, x: Tensor) -> Tensor:
        return torch.std(x, self.dims, keepdim=self.keepdim)

    def extra_repr(self) -> str:
        return f"{', '.join(map(str, self.dims))}, keepdim={self.keepdim}"


class Var(nn.Module):
    """The variance over some dimensions."""

    def __init__(self, *dims: int, keepdim: bool = False) -> None:
        super().__init__()
        self.dims, self.keepdim = dims, keepdim

    def forward(self, x: Tensor) -> Tensor:
        return torch.var(x, self.dims, keepdim=self.keepdim)

    def extra_repr(self) -> str:
        return f"{', '.join(map(str, self.dims))}, keepdim={self.keepdim}"


class LogSumExp(nn.Module):
    """The logarithm of the sum of exponentials over some dimensions."""

    def __init__(self, *dims: int, keepdim: bool = False) -> None:
        super().__init__()
        self.dims, self.keepdim = dims, keepdim

    def forward(self, x: Tensor) -> Tensor:
        return torch.logsumexp(x, self.dims, keepdim=self.keepdim)

    def extra_repr(self) -> str:
        return f"{', '.join(map(str, self.dims))}, keepdim={self.keepdim}"


class Flip(nn.Module):
    """The other way round along some dimensions."""

    def __init__(self, *dims: int) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        return torch.flip(x, self.dims)

    def extra_repr(self) -> str:
        return ", ".join(map(str, self.dims))


class CumSum(nn.Module):
    """Running sums along a dimension."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return torch.cumsum(x, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"
