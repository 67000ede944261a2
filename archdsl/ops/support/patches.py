"""Maps cut into windows, and put together again."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Partition(nn.Module):
    """(batch, channels, height, width) to (batch, windows, places, channels)."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        rows, columns = height // self.height, width // self.width
        x = x.reshape(batch, channels, rows, self.height, columns, self.width)
        x = x.permute(0, 2, 4, 3, 5, 1)
        return x.reshape(batch, rows * columns, self.height * self.width, channels)

    def extra_repr(self) -> str:
        return f"{self.height}, {self.width}"


class Departition(nn.Module):
    """(batch, windows, places, channels) to (batch, channels, height, width)."""

    def __init__(self, height: int, width: int, rows: int) -> None:
        super().__init__()
        self.height, self.width, self.rows = height, width, rows

    def forward(self, x: Tensor) -> Tensor:
        batch, windows, _, channels = x.shape
        columns = windows // self.rows
        x = x.reshape(batch, self.rows, columns, self.height, self.width, channels)
        x = x.permute(0, 5, 1, 3, 2, 4)
        return x.reshape(batch, channels, self.rows * self.height, columns * self.width)

    def extra_repr(self) -> str:
        return f"{self.height}, {self.width}, rows={self.rows}"


class PatchMerge(nn.Module):
    """(batch, height, width, channels) to half the size and four times the channels."""

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        left, right = x[:, :, 0::2], x[:, :, 1::2]
        corners = [left[:, 0::2], left[:, 1::2], right[:, 0::2], right[:, 1::2]]
        return torch.cat(corners, -1)
