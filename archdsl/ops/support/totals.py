"""Reductions as layers, where a step of it has a name or torch takes one dimension at a time."""

import torch
from torch import Tensor, nn


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


class Prod(nn.Module):
    """The product over some dimensions, the last one first."""

    def __init__(self, *dims: int, keepdim: bool = False) -> None:
        super().__init__()
        self.dims, self.keepdim = dims, keepdim

    def forward(self, x: Tensor) -> Tensor:
        for dim in self.dims:
            x = torch.prod(x, dim, keepdim=self.keepdim)
        return x

    def extra_repr(self) -> str:
        return f"{', '.join(map(str, self.dims))}, keepdim={self.keepdim}"


class Norm(nn.Module):
    """The norm over some dimensions."""

    def __init__(self, *dims: int, p: float = 2.0, keepdim: bool = False) -> None:
        super().__init__()
        self.dims, self.p, self.keepdim = dims, p, keepdim

    def forward(self, x: Tensor) -> Tensor:
        norm: Tensor = torch.linalg.vector_norm(
            x, self.p, self.dims, keepdim=self.keepdim
        )
        return norm

    def extra_repr(self) -> str:
        return f"{', '.join(map(str, self.dims))}, p={self.p}, keepdim={self.keepdim}"
