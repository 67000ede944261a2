"""Attention within windows of a map, and of a sequence to itself."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SelfAttention(nn.MultiheadAttention):
    """Multi-head attention of a sequence to itself."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x, x, x, need_weights=False)[0]


def to_windows(x: Tensor, window: tuple[int, int]) -> Tensor:
    """(batch, height, width, channels) to (batch * windows, places, channels)."""
    batch, height, width, dim = x.shape
    h, w = window
    x = x.view(batch, height // h, h, width // w, w, dim).transpose(2, 3)
    return x.reshape(-1, h * w, dim)


@torch.fx.wrap
def window_attention(
    x: Tensor,
    qkv: tuple[Tensor, Tensor],
    proj: tuple[Tensor, Tensor],
    position_bias: Tensor,
    heads: int,
    window: tuple[int, int],
    shift: tuple[int, int],
    logit_scale: Tensor | None = None,
) -> Tensor:
    """Self-attention within windows of maps of shape (batch, height, width, channels).

    With `logit_scale` the similarity is the cosine, and keys have no bias.
    """
    batch, height, width, dim = x.shape
    x = F.pad(x, (0, 0, 0, -width % window[1], 0, -height % window[0]))
    padded = x.shape[1:3]
    # a window that spans the map sees all of it without a shift
    down = shift[0] if window[0] < padded[0] else 0
    right = shift[1] if window[1] < padded[1] else 0
    mask: Tensor | None = None
    if down + right > 0:
        x = torch.roll(x, (-down, -right), (1, 2))
        # -100 between places that only the shift made neighbours
        low = torch.arange(padded[0], device=x.device) >= padded[0] - down
        end = torch.arange(padded[1], device=x.device) >= padded[1] - right
        region = (2 * low[:, None] + 1 * end)[None, :, :, None]
        region = to_windows(region, window).squeeze(-1)
        apart = region[:, None, :] != region[:, :, None]
        mask = torch.zeros_like(apart, dtype=x.dtype).masked_fill(apart, -100.0)
    x = to_windows(x, window)
    n, places = x.shape[:2]
    bias = qkv[1]
    if logit_scale is not None:
        bias = bias.clone()
        bias[dim : 2 * dim].zero_()
    parts = F.linear(x, qkv[0], bias).reshape(n, places, 3, heads, dim // heads)
    parts = parts.permute(2, 0, 3, 1, 4)
    q, k, v = parts[0], parts[1], parts[2]
    if logit_scale is not None:
        weights = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1)
        weights = weights * torch.clamp(logit_scale, max=math.log(100.0)).exp()
    else:
        weights = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
    weights = weights + position_bias
    if mask is not None:
        weights = weights.view(-1, len(mask), heads, places, places) + mask[:, None]
        weights = weights.view(n, heads, places, places)
    x = (weights.softmax(-1) @ v).transpose(1, 2).reshape(n, places, dim)
    x = F.linear(x, proj[0], proj[1])
    rows, columns = padded[0] // window[0], padded[1] // window[1]
    x = x.view(batch, rows, columns, window[0], window[1], dim).transpose(2, 3)
    x = x.reshape(batch, padded[0], padded[1], dim)
    if down + right > 0:
        x = torch.roll(x, (down, right), (1, 2))
    return x[:, :height, :width].contiguous()


def by_pair(table: Tensor, index: Tensor, window: tuple[int, int]) -> Tensor:
    """A table's entry for each pair of places in a window: (1, heads, places, places)."""
    places = window[0] * window[1]
    bias = table[index].view(places, places, -1)
    return bias.permute(2, 0, 1).contiguous().unsqueeze(0)


class WindowAttention(nn.Module):
    """Self-attention within windows of maps of shape (batch, height, width, channels)."""

    relative_position_index: Tensor

    def __init__(
        self,
        dim: int,
        heads: int,
        window: tuple[int, int],
        shift: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__()
        if shift[0] >= window[0] or shift[1] >= window[1]:
            raise ValueError("a shift must be less than the window")
        self.heads, self.window, self.shift = heads, window, shift
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.make_bias(heads)
        # which entry of the table is for a pair of places in a window
        rows, columns = torch.meshgrid(*map(torch.arange, window), indexing="ij")
        rows, columns = rows.flatten(), columns.flatten()
        down = rows[:, None] - rows + window[0] - 1
        right = columns[:, None] - columns + window[1] - 1
        index = (down * (2 * window[1] - 1) + right).flatten()
        self.register_buffer("relative_position_index", index)

    def make_bias(self, heads: int) -> None:
        offsets = (2 * self.window[0] - 1) * (2 * self.window[1] - 1)
        self.relative_position_bias_table = nn.Parameter(torch.zeros(offsets, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def position_bias(self) -> Tensor:
        return by_pair(
            self.relative_position_bias_table, self.relative_position_index, self.window
        )

    def forward(self, x: Tensor) -> Tensor:
        return window_attention(
            x,
            (self.qkv.weight, self.qkv.bias),
            (self.proj.weight, self.proj.bias),
            self.position_bias(),
            self.heads,
            self.window,
            self.shift,
        )

    def extra_repr(self) -> str:
        return f"heads={self.heads}, window={self.window}, shift={self.shift}"


class CosineWindowAttention(WindowAttention):
    """The same with cosine similarity, and a bias that a small network makes from the offset."""

    relative_coords_table: Tensor

    def __init__(
        self,
        dim: int,
        heads: int,
        window: tuple[int, int],
        shift: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__(dim, heads, window, shift)
        self.logit_scale = nn.Parameter(torch.log(10 * torch.ones(heads, 1, 1)))
        self.cpb_mlp = nn.Sequential(
            nn.Linear(2, 512), nn.ReLU(inplace=True), nn.Linear(512, heads, bias=False)
        )
        with torch.no_grad():
            self.qkv.bias[dim : 2 * dim].zero_()

    def make_bias(self, heads: int) -> None:
        if min(self.window) < 2:
            raise ValueError("a window has at least 2x2 places")
        offsets = [
            torch.arange(1 - n, n, dtype=torch.float32) / (n - 1) for n in self.window
        ]
        table = (
            torch.stack(torch.meshgrid(*offsets, indexing="ij"), -1).unsqueeze(0) * 8
        )
        table = table.sign() * torch.log2(table.abs() + 1.0) / 3.0
        self.register_buffer("relative_coords_table", table)

    def position_bias(self) -> Tensor:
        table = self.cpb_mlp(self.relative_coords_table).view(-1, self.heads)
        index = self.relative_position_index
        return 16 * torch.sigmoid(by_pair(table, index, self.window))

    def forward(self, x: Tensor) -> Tensor:
        return window_attention(
            x,
            (self.qkv.weight, self.qkv.bias),
            (self.proj.weight, self.proj.bias),
            self.position_bias(),
            self.heads,
            self.window,
            self.shift,
            self.logit_scale,
        )


class RelativeAttention(nn.Module):
    """Self-attention among the places of square windows: (batch, windows, places, channels)."""

    relative_position_index: Tensor

    def __init__(self, dim: int, heads: int, places: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_qkv = nn.Linear(dim, 3 * dim)
        self.merge = nn.Linear(dim, dim)
        side = math.isqrt(places)
        if side**2 != places:
            raise ValueError("the windows are not square")
        self.relative_position_bias_table = nn.Parameter(
            torch.empty((2 * side - 1) ** 2, heads)
        )
        rows, columns = torch.meshgrid(
            torch.arange(side), torch.arange(side), indexing="ij"
        )
        rows, columns = rows.flatten(), columns.flatten()
        down = rows[:, None] - rows + side - 1
        right = columns[:, None] - columns + side - 1
        self.register_buffer("relative_position_index", down * (2 * side - 1) + right)
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        batch, windows, places, dim = x.shape
        q, k, v = self.to_qkv(x).chunk(3, dim=-1)
        q, k, v = self.by_head(q), self.by_head(k), self.by_head(v)
        weights = q @ (k * dim**-0.5).transpose(-2, -1)
        bias = self.relative_position_bias_table[self.relative_position_index.view(-1)]
        bias = bias.view(places, places, -1).permute(2, 0, 1).contiguous().unsqueeze(0)
        weights = (weights + bias).softmax(-1)
        x = (weights @ v).transpose(2, 3).reshape(batch, windows, places, dim)
        x = self.merge(x)
        return x

    def by_head(self, x: Tensor) -> Tensor:
        batch, windows, places, dim = x.shape
        x = x.reshape(batch, windows, places, self.heads, dim // self.heads)
        return x.transpose(2, 3)

    def extra_repr(self) -> str:
        return f"heads={self.heads}"
