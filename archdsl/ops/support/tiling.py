"""What moves, repeats or cuts, as layers."""

import torch
from torch import Tensor, nn


class Flip(nn.Module):
    """The other way round along some dimensions."""

    def __init__(self, *dims: int) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        return torch.flip(x, self.dims)

    def extra_repr(self) -> str:
        return ", ".join(map(str, self.dims))


class Roll(nn.Module):
    """Moves everything along dimensions, round the end."""

    def __init__(self, shifts: tuple[int, ...], dims: tuple[int, ...]) -> None:
        super().__init__()
        self.shifts, self.dims = shifts, dims

    def forward(self, x: Tensor) -> Tensor:
        return torch.roll(x, self.shifts, self.dims)

    def extra_repr(self) -> str:
        return f"{self.shifts}, {self.dims}"


class Tile(nn.Module):
    """Copies side by side."""

    def __init__(self, *repeats: int) -> None:
        super().__init__()
        self.repeats = repeats

    def forward(self, x: Tensor) -> Tensor:
        return torch.tile(x, (1, *self.repeats))

    def extra_repr(self) -> str:
        return ", ".join(map(str, self.repeats))


class Expand(nn.Module):
    """Repeats what is 1 in a dimension."""

    def __init__(self, *sizes: int) -> None:
        super().__init__()
        self.sizes = sizes

    def forward(self, x: Tensor) -> Tensor:
        return x.expand(-1, *self.sizes)

    def extra_repr(self) -> str:
        return ", ".join(map(str, self.sizes))


class RepeatInterleave(nn.Module):
    """Each element several times."""

    def __init__(self, n: int, dim: int) -> None:
        super().__init__()
        self.n, self.dim = n, dim

    def forward(self, x: Tensor) -> Tensor:
        return torch.repeat_interleave(x, self.n, self.dim)

    def extra_repr(self) -> str:
        return f"{self.n}, dim={self.dim}"


class Split(nn.Module):
    """One of the parts of a dimension."""

    def __init__(self, sizes: tuple[int, ...], index: int, dim: int) -> None:
        super().__init__()
        self.sizes, self.index, self.dim = list(sizes), index, dim

    def forward(self, x: Tensor) -> Tensor:
        return torch.split(x, self.sizes, self.dim)[self.index]

    def extra_repr(self) -> str:
        return f"{self.sizes}, index={self.index}, dim={self.dim}"
