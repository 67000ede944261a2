"""Attention: of sequences, and within windows of images."""

from __future__ import annotations

import math

from archdsl.ops.regular import PROBABILITY
from archdsl.ops.spatial import divisors, layout, spread, windows
from archdsl.ops.table import ALL, Blame, Call, Op, Reach, Saved, Shape, Weight, arg, call
from archdsl.ops.types import Bool, Int, Size
from archdsl.text import shape_text

LINEAR = (("linear", "nn.Linear"),)
HEADS = "number of heads; must divide the channels"


def _linear(name: str, inputs: int, outputs: int) -> tuple[Weight, Weight]:
    return Weight(f"{name}.weight", (outputs, inputs)), Weight(f"{name}.bias", (outputs,))


def _cost(tokens: int, reach: int, channels: int) -> int:
    """Four projections, and two products with the `reach` tokens that each token sees."""
    return tokens * channels * (4 * channels + 2 * reach)


def _kept(channels: int, reach: int, heads: int) -> int:
    """Values of each token that the backward pass reads: the token, queries, keys, values, the
    result, and the weights. (A single head shares the memory of its parts with its whole.)"""
    return (6 if heads == 1 else 5) * channels + reach * heads


class MultiHeadAttention(Op, name="mha", family="attention"):
    """Multi-head self-attention over a sequence L×C: each of the L tokens becomes a mean of all,
    weighted by how well their queries and keys agree, in `heads` parts of the channels.

    Source: torch.nn.MultiheadAttention; Vaswani et al., Attention Is All You Need, 2017.
    """

    example = "mha 12"
    example_input = (197, 768)
    fresh = True
    holds = LINEAR
    support = '''\
class SelfAttention(nn.MultiheadAttention):
    """Multi-head attention of a sequence to itself."""

    def forward(self, x):
        return super().forward(x, x, x, need_weights=False)[0]
'''

    heads: int = arg(Int(1), doc=HEADS)
    dropout: float = arg(PROBABILITY, default=0.0, doc="on the attention's weights", keyword=True)
    bias: bool = arg(Bool(), default=True, doc="add learned biases", keyword=True)

    def shape(self, *inputs: Shape) -> Shape:
        _, channels = layout(self, inputs[0], "L×C")
        _check_heads(self.heads, channels)
        return inputs[0]

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        c = inputs[0][1]
        every = (
            Weight("in_proj_weight", (3 * c, c)),
            Weight("in_proj_bias", (3 * c,)),
            *_linear("out_proj", c, c),
        )
        return every if self.bias else every[::2]

    def macs(self, *inputs: Shape) -> int:
        length, channels = inputs[0]
        return _cost(length, length, channels)

    def reach(self, *inputs: Shape) -> Reach:
        return ALL

    def saved(self, *inputs: Shape) -> Saved:
        length, channels = inputs[0]
        each = 5 * channels + self.heads
        if self.dropout:  # without the kernel that never holds the weights
            each = 7 * channels + 3 * length * self.heads
        return Saved(more=4 * length * each)

    def module(self, *inputs: Shape) -> Call:
        return call(
            "SelfAttention",
            inputs[0][1],
            self.heads,
            **self.keywords("dropout", "bias"),
            batch_first=True,
        )


class WindowAttention(Op, name="window_attention", family="attention"):
    """Self-attention within windows of an H×W×C map, with a learned bias for each offset between
    two places of a window. `shift` moves the windows, so that neighbours meet in the next block.
    The map is padded to whole windows; one that is no larger than a window is not shifted. With
    `cosine`, as in Swin V2, the agreement is a cosine with a learned temperature, and a small
    network makes the bias from the offset.

    Source: torchvision.models.swin_transformer.ShiftedWindowAttention; Liu et al. 2021 and 2022.
    """

    example = "window_attention 3 7x7 shift=3"
    example_input = (56, 56, 96)
    fresh = True
    holds = LINEAR

    heads: int = arg(Int(1), doc=HEADS)
    window: tuple[int, ...] = arg(Size(1), doc="size of the windows")
    shift: tuple[int, ...] = arg(
        Size(0), default=(0,), doc="shift of the windows, less than their size", keyword=True
    )
    cosine: bool = arg(Bool(), default=False, doc="attention of Swin V2", keyword=True)

    support = '''\
class WindowAttention(nn.Module):
    """Self-attention within windows of maps of shape (batch, height, width, channels)."""

    def __init__(self, dim, heads, window, shift=(0, 0)):
        super().__init__()
        if any(s >= w for s, w in zip(shift, window)):
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

    def make_bias(self, heads):
        offsets = (2 * self.window[0] - 1) * (2 * self.window[1] - 1)
        self.relative_position_bias_table = nn.Parameter(torch.zeros(offsets, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def bias_table(self):
        return self.relative_position_bias_table

    def position_bias(self):
        places = self.window[0] * self.window[1]
        bias = self.bias_table()[self.relative_position_index].view(places, places, -1)
        return bias.permute(2, 0, 1).contiguous().unsqueeze(0)

    def similarity(self, q, k):
        return (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)

    def forward(self, x):
        height, width = x.shape[1:3]
        x = F.pad(x, (0, 0, 0, -width % self.window[1], 0, -height % self.window[0]))
        size = x.shape[1:3]
        shift = [s if w < n else 0 for s, w, n in zip(self.shift, self.window, size)]
        back = [-s for s in shift]
        if any(shift):
            x = torch.roll(x, back, (1, 2))
        x = self.attend(self.cut(x), self.mask(x, shift) if any(shift) else None)
        x = self.join(x, size)
        if any(shift):
            x = torch.roll(x, shift, (1, 2))
        return x[:, :height, :width].contiguous()

    def attend(self, x, mask):
        """Attention of (all windows, places, channels)."""
        n, places, dim = x.shape
        qkv = self.project(x).reshape(n, places, 3, self.heads, dim // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        weights = self.similarity(q, k) + self.position_bias()
        if mask is not None:
            weights = weights.view(-1, len(mask), *weights.shape[1:]) + mask[:, None]
            weights = weights.view(n, self.heads, places, places)
        x = (weights.softmax(-1) @ v).transpose(1, 2).reshape(n, places, dim)
        return self.proj(x)

    def project(self, x):
        return self.qkv(x)

    def cut(self, x):
        """(batch, height, width, channels) to (batch * windows, places, channels)."""
        batch, height, width, dim = x.shape
        h, w = self.window
        x = x.view(batch, height // h, h, width // w, w, dim).transpose(2, 3)
        return x.reshape(-1, h * w, dim)

    def join(self, x, size):
        """The inverse of `cut`."""
        h, w = self.window
        x = x.view(-1, size[0] // h, size[1] // w, h, w, x.shape[-1]).transpose(2, 3)
        return x.reshape(-1, *size, x.shape[-1])

    def mask(self, x, shift):
        """-100 between places that only the shift made neighbours, for each window."""
        over = [
            torch.arange(n, device=x.device) >= n - s
            for n, s in zip(x.shape[1:3], shift)
        ]
        region = self.cut(
            (2 * over[0][:, None] + 1 * over[1])[None, :, :, None]
        ).squeeze(-1)
        apart = region[:, None, :] != region[:, :, None]
        return torch.zeros_like(apart, dtype=x.dtype).masked_fill(apart, -100.0)

    def extra_repr(self):
        return f"heads={self.heads}, window={self.window}, shift={self.shift}"


class CosineWindowAttention(WindowAttention):
    """The same with cosine similarity, and a bias that a small network makes from the offset."""

    def __init__(self, dim, heads, window, shift=(0, 0)):
        super().__init__(dim, heads, window, shift)
        self.logit_scale = nn.Parameter(torch.log(10 * torch.ones(heads, 1, 1)))
        self.cpb_mlp = nn.Sequential(
            nn.Linear(2, 512), nn.ReLU(inplace=True), nn.Linear(512, heads, bias=False)
        )
        with torch.no_grad():
            self.qkv.bias[dim : 2 * dim].zero_()

    def make_bias(self, heads):
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

    def bias_table(self):
        return self.cpb_mlp(self.relative_coords_table).view(-1, self.heads)

    def position_bias(self):
        return 16 * torch.sigmoid(super().position_bias())

    def similarity(self, q, k):
        cosine = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1)
        return cosine * torch.clamp(self.logit_scale, max=math.log(100.0)).exp()

    def project(self, x):
        bias = self.qkv.bias.clone()  # keys have none
        bias[x.shape[-1] : 2 * x.shape[-1]].zero_()
        return F.linear(x, self.qkv.weight, bias)
'''

    def shape(self, *inputs: Shape) -> Shape:
        _, _, channels = layout(self, inputs[0], "H×W×C")
        _check_heads(self.heads, channels)
        window, shift = spread("window", self.window, 2), spread("shift", self.shift, 2)
        if any(s >= w for s, w in zip(shift, window, strict=True)):
            raise Blame(
                "shift", f"{shape_text(shift)} is not less than the window, {shape_text(window)}"
            )
        if self.cosine and min(window) < 2:
            raise Blame("window", "with `cosine` a window has at least 2x2 places")
        return inputs[0]

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        c = inputs[0][2]
        h, w = spread("window", self.window, 2)
        offsets = (2 * h - 1, 2 * w - 1)
        index = Weight("relative_position_index", ((h * w) ** 2,), buffer=True, dtype="int64")
        projections = (*_linear("qkv", c, 3 * c), *_linear("proj", c, c))
        if not self.cosine:
            table = Weight("relative_position_bias_table", (math.prod(offsets), self.heads))
            return (table, index, *projections)
        return (
            Weight("logit_scale", (self.heads, 1, 1)),
            Weight("relative_coords_table", (1, *offsets, 2), buffer=True),
            index,
            *projections,
            *_linear("cpb_mlp.0", 2, 512),
            Weight("cpb_mlp.2.weight", (self.heads, 512)),
        )

    def _tokens(self, shape: Shape) -> int:
        """Places of the map that is padded to whole windows."""
        sides = zip(shape, spread("window", self.window, 2), strict=False)
        return math.prod(-(-side // window) * window for side, window in sides)

    def reach(self, *inputs: Shape) -> Reach:
        return windows(2, self.window, (1,))

    def saved(self, *inputs: Shape) -> Saved:
        reach, channels = math.prod(spread("window", self.window, 2)), inputs[0][2]
        each = _kept(channels, reach, self.heads)
        if self.cosine:  # normalised queries and keys, and the weights before their scale
            each += (3 if self.heads > 1 else 1) * channels + (reach + 4) * self.heads
        return Saved(more=4 * self._tokens(inputs[0]) * each)

    def macs(self, *inputs: Shape) -> int:
        channels, tokens = inputs[0][2], self._tokens(inputs[0])
        h, w = spread("window", self.window, 2)
        bias = (2 * h - 1) * (2 * w - 1) * 512 * (2 + self.heads) if self.cosine else 0
        return _cost(tokens, h * w, channels) + bias

    def module(self, *inputs: Shape) -> Call:
        shift = spread("shift", self.shift, 2)
        name = "CosineWindowAttention" if self.cosine else "WindowAttention"
        window = spread("window", self.window, 2)
        return call(name, inputs[0][2], self.heads, window, shift=(shift, (0, 0)))


class RelativeAttention(Op, name="relative_attention", family="attention"):
    """Self-attention among the P places of each of G square windows, an input of G×P×C, with a
    learned bias for each offset between two places: what `partition` leaves behind.

    Source: torchvision.models.maxvit.RelativePositionalMultiHeadAttention; Tu et al. 2022.
    """

    example = "relative_attention 2"
    example_input = (64, 49, 64)
    fresh = True
    holds = LINEAR
    support = '''\
class RelativeAttention(nn.Module):
    """Self-attention among the places of square windows: (batch, windows, places, channels)."""

    def __init__(self, dim, heads, places):
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

    def forward(self, x):
        batch, windows, places, dim = x.shape
        parts = [batch, windows, places, self.heads, dim // self.heads]
        q, k, v = (
            part.reshape(parts).transpose(2, 3)
            for part in self.to_qkv(x).chunk(3, dim=-1)
        )
        weights = q @ (k * dim**-0.5).transpose(-2, -1)
        bias = self.relative_position_bias_table[self.relative_position_index.view(-1)]
        bias = bias.view(places, places, -1).permute(2, 0, 1).contiguous().unsqueeze(0)
        weights = (weights + bias).softmax(-1)
        x = (weights @ v).transpose(2, 3).reshape(batch, windows, places, dim)
        return self.merge(x)

    def extra_repr(self):
        return f"heads={self.heads}"
'''

    heads: int = arg(Int(1), doc=HEADS)

    def shape(self, *inputs: Shape) -> Shape:
        _, places, channels = layout(self, inputs[0], "G×P×C")
        _check_heads(self.heads, channels)
        if math.isqrt(places) ** 2 != places:
            raise Blame(None, f"{places} places are no square window", kind="fit")
        return inputs[0]

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        _, places, c = inputs[0]
        return (
            Weight("relative_position_bias_table", ((2 * math.isqrt(places) - 1) ** 2, self.heads)),
            Weight("relative_position_index", (places, places), buffer=True, dtype="int64"),
            *_linear("to_qkv", c, 3 * c),
            *_linear("merge", c, c),
        )

    def reach(self, *inputs: Shape) -> Reach:
        return ALL

    def saved(self, *inputs: Shape) -> Saved:
        windows, places, channels = inputs[0]
        each = _kept(channels, places, self.heads) - channels
        return Saved(input=True, more=4 * windows * places * each)

    def macs(self, *inputs: Shape) -> int:
        windows, places, channels = inputs[0]
        return _cost(windows * places, places, channels)

    def module(self, *inputs: Shape) -> Call:
        return call("RelativeAttention", inputs[0][2], self.heads, inputs[0][1])


def _check_heads(heads: int, channels: int) -> None:
    if channels % heads:
        problem = f"{heads} heads do not divide the {channels} channels"
        raise Blame("heads", problem, help=divisors(channels, heads))
