"""Layers that reorder values or take some of them."""

from torch import Tensor, nn


class Contiguous(nn.Module):
    """Lays the values out in the order of their dimensions."""

    def forward(self, x: Tensor) -> Tensor:
        return x.contiguous()


class Reshape(nn.Module):
    """Reshapes all but the batch."""

    def __init__(self, *sizes: int) -> None:
        super().__init__()
        self.sizes = sizes

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], *self.sizes)

    def extra_repr(self) -> str:
        return ", ".join(map(str, self.sizes))


def reshaped(x: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Reshapes all but the batch."""
    return x.reshape(x.shape[0], *sizes)


class Permute(nn.Module):
    """Reorders the dimensions."""

    def __init__(self, *dims: int) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.dims)

    def extra_repr(self) -> str:
        return ", ".join(map(str, self.dims))


class Mean(nn.Module):
    """The mean over some dimensions."""

    def __init__(self, *dims: int, keepdim: bool = False) -> None:
        super().__init__()
        self.dims, self.keepdim = dims, keepdim

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(self.dims, self.keepdim)

    def extra_repr(self) -> str:
        return f"{', '.join(map(str, self.dims))}, keepdim={self.keepdim}"


class Chunk(nn.Module):
    """One of n equal parts along a dimension."""

    def __init__(self, n: int, index: int, dim: int) -> None:
        super().__init__()
        self.n, self.index, self.dim = n, index, dim

    def forward(self, x: Tensor) -> Tensor:
        return x.chunk(self.n, self.dim)[self.index]

    def extra_repr(self) -> str:
        return f"{self.n}, index={self.index}, dim={self.dim}"


class Slice(nn.Module):
    """The elements start up to end of a dimension."""

    def __init__(self, start: int, end: int | None, dim: int) -> None:
        super().__init__()
        self.cuts = [start] if end is None else [start, end]
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return x.tensor_split(self.cuts, self.dim)[1]

    def extra_repr(self) -> str:
        return f"{':'.join(map(str, self.cuts))}, dim={self.dim}"


class Select(nn.Module):
    """One element of a dimension."""

    def __init__(self, index: int, dim: int) -> None:
        super().__init__()
        self.index, self.dim = index, dim

    def forward(self, x: Tensor) -> Tensor:
        return x.select(self.dim, self.index)

    def extra_repr(self) -> str:
        return f"{self.index}, dim={self.dim}"
