"""Attention: of sequences, and within windows of images."""

from __future__ import annotations

import math

from archdsl.ops.regular import PROBABILITY
from archdsl.ops.seen import Seen
from archdsl.ops.spatial import divisors, layout, spread, windows
from archdsl.ops.table import (
    ALL,
    Blame,
    Call,
    Lifted,
    Op,
    Reach,
    Saved,
    Shape,
    Weight,
    X,
    arg,
    call,
)
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

    autocast = "half"
    example = "mha 12"
    lifts = "SelfAttention", "nn.MultiheadAttention"
    aliases = (("heads", "num_heads"), ("bias", "in_proj_bias"))
    example_input = (197, 768)
    fresh = True
    holds = LINEAR
    support = "attention"

    heads: int = arg(Int(1), doc=HEADS, told="heads={}")
    dropout: float = arg(PROBABILITY, default=0.0, doc="on the attention's weights", keyword=True)
    bias: bool = arg(Bool(), default=True, doc="add learned biases", keyword=True)

    @classmethod
    def of(cls, seen: Seen) -> Lifted | None:
        alone = len(set(seen.sources)) == 1 and seen.args.get("batch_first")
        extra = seen.args.get("bias_k") is not None or seen.args.get("add_zero_attn")
        made = super().of(seen)
        return Lifted(made.op, (0,)) if made and alone and not extra else None

    def shape(self, *inputs: Shape) -> Shape:
        _, channels = layout(self, inputs[0], "L×C")
        _check_heads(self.heads, channels)
        return inputs[0]

    def places(self, *inputs: Shape) -> int:
        return inputs[0][0]

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
        return self._constructor("SelfAttention", inputs[0][1])

    def direct(self, *inputs: Shape) -> tuple[Call, Call]:
        attention = self._constructor("nn.MultiheadAttention", inputs[0][1])
        return attention, call("", X, X, X, need_weights=False)

    def _constructor(self, name: str, channels: int) -> Call:
        given = self.keywords("dropout", "bias")
        return call(name, channels, self.heads, **given, batch_first=True)


class WindowAttention(Op, name="window_attention", family="attention"):
    """Self-attention within windows of an H×W×C map, with a learned bias for each offset between
    two places of a window. `shift` moves the windows, so that neighbours meet in the next block.
    The map is padded to whole windows; one that is no larger than a window is not shifted. With
    `cosine`, as in Swin V2, the agreement is a cosine with a learned temperature, and a small
    network makes the bias from the offset.

    Source: torchvision.models.swin_transformer.ShiftedWindowAttention; Liu et al. 2021 and 2022.
    """

    autocast = "half"
    example = "window_attention 3 7x7 shift=3"
    lifts = (
        "WindowAttention",
        "CosineWindowAttention",
        "torchvision.models.swin_transformer.ShiftedWindowAttention",
        "torchvision.models.swin_transformer.ShiftedWindowAttentionV2",
    )
    aliases = (("heads", "num_heads"), ("window", "window_size"), ("shift", "shift_size"))
    example_input = (56, 56, 96)
    fresh = True
    holds = LINEAR

    heads: int = arg(Int(1), doc=HEADS, told="heads={}")
    window: tuple[int, ...] = arg(Size(1), doc="size of the windows")
    shift: tuple[int, ...] = arg(
        Size(0), default=(0,), doc="shift of the windows, less than their size", keyword=True
    )
    cosine: bool = arg(Bool(), default=False, doc="attention of Swin V2", keyword=True)

    support = "attention"

    @classmethod
    def of(cls, seen: Seen) -> Lifted | None:
        made = super().of(seen)
        if made is None or seen.args.get("dropout") or seen.args.get("attention_dropout"):
            return None
        return Lifted(made.op.replace(cosine="logit_scale" in seen.args))

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

    def places(self, *inputs: Shape) -> int:
        return math.prod(spread("window", self.window, 2))

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
        tokens = self._tokens(inputs[0])  # the bias, which is added, makes the weights full
        return Saved(more=4 * tokens * each, full=4 * tokens * reach * self.heads)

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

    autocast = "half"
    example = "relative_attention 2"
    lifts = (
        "RelativeAttention",
        "torchvision.models.maxvit.RelativePositionalMultiHeadAttention",
    )
    aliases = (("heads", "n_heads"),)
    example_input = (64, 49, 64)
    fresh = True
    holds = LINEAR
    support = "attention"

    heads: int = arg(Int(1), doc=HEADS, told="heads={}")

    def shape(self, *inputs: Shape) -> Shape:
        _, places, channels = layout(self, inputs[0], "G×P×C")
        _check_heads(self.heads, channels)
        if _root(places) ** 2 != places:
            raise Blame(None, f"{places} places are no square window", kind="fit")
        return inputs[0]

    def places(self, *inputs: Shape) -> int:
        return inputs[0][1]

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        _, places, c = inputs[0]
        return (
            Weight("relative_position_bias_table", ((2 * _root(places) - 1) ** 2, self.heads)),
            Weight("relative_position_index", (places, places), buffer=True, dtype="int64"),
            *_linear("to_qkv", c, 3 * c),
            *_linear("merge", c, c),
        )

    def reach(self, *inputs: Shape) -> Reach:
        return ALL

    def saved(self, *inputs: Shape) -> Saved:
        windows, places, channels = inputs[0]
        each = _kept(channels, places, self.heads) - channels
        full = 4 * windows * places * places * self.heads
        return Saved(input=True, more=4 * windows * places * each, full=full)

    def macs(self, *inputs: Shape) -> int:
        windows, places, channels = inputs[0]
        return _cost(windows * places, places, channels)

    def module(self, *inputs: Shape) -> Call:
        return call("RelativeAttention", inputs[0][2], self.heads, inputs[0][1])


def _root(places: int) -> int:
    """The side of a square of so many places; no `math.isqrt`, which takes nothing but an int."""
    root: int = round(places**0.5)
    return root


def _check_heads(heads: int, channels: int) -> None:
    if channels % heads:
        problem = f"{heads} heads do not divide the {channels} channels"
        raise Blame("heads", problem, help=lambda: divisors(channels, heads))
