"""Regularisation: what is random in training and the identity in evaluation; and `noise`."""

from __future__ import annotations

import math
import struct

from archdsl.ops.seen import Seen
from archdsl.ops.spatial import image
from archdsl.ops.table import TRAINING, VIEW, Call, Lifted, Name, Op, Saved, Shape, X, arg, call
from archdsl.ops.types import Choice, Float

PROBABILITY = Float(0.0, 1.0)


class _Dropping(Op):
    """What drops everything where the probability is 1."""

    idle = True
    free = ("p",)

    p: float

    def lost(self, *inputs: Shape) -> str:
        return "with `p=1` training drops everything" if self.p == 1 else ""


class Dropout(_Dropping, name="dropout", family="regularisation"):
    """In training, zeroes each value with probability `p` and scales the others up to keep the
    mean; in evaluation, the identity.

    Source: torch.nn.Dropout.
    """

    example = "dropout 0.2"
    lifts = "nn.Dropout", "dropout"
    inplace = True
    passes = True

    p: float = arg(PROBABILITY, default=0.5, doc="probability of a zero")

    def saved(self, *inputs: Shape) -> Saved:
        if 0 < self.p < 1:
            return Saved(more=4 * math.prod(inputs[0]))
        return Saved() if self.p else VIEW

    def module(self, *inputs: Shape) -> Call:
        return call("nn.Dropout", **self.keywords())

    def function(self, *inputs: Shape) -> Call:
        return call("F.dropout", X, **self.keywords(), training=TRAINING)


class ChannelDropout(_Dropping, name="channel_dropout", family="regularisation"):
    """In training, zeroes whole channels with probability `p` (of C×L, C×H×W or C×D×H×W) and scales
    the others up; in evaluation, the identity.

    Source: torch.nn.Dropout2d.
    """

    example = "channel_dropout 0.2"
    lifts = tuple(f"{name}{n}d" for n in (1, 2, 3) for name in ("nn.Dropout", "dropout"))
    inplace = True
    passes = True

    p: float = arg(PROBABILITY, default=0.5, doc="probability of a zeroed channel")

    def saved(self, *inputs: Shape) -> Saved:
        return Saved() if self.p else VIEW

    def shape(self, *inputs: Shape) -> Shape:
        image(self, inputs[0])
        return inputs[0]

    def module(self, *inputs: Shape) -> Call:
        return call(f"nn.Dropout{len(inputs[0]) - 1}d", **self.keywords())

    def function(self, *inputs: Shape) -> Call:
        n = len(inputs[0]) - 1
        return call(f"F.dropout{n}d", X, **self.keywords(), training=TRAINING)


class StochasticDepth(_Dropping, name="stochastic_depth", family="regularisation"):
    """In training, zeroes the whole branch with probability `p`, for each sample (`mode=row`) or
    for the whole batch, and scales it up otherwise; in evaluation, the identity. Stands last in a
    residual branch.

    Source: torchvision.ops.StochasticDepth; Huang et al., Deep Networks with Stochastic Depth.
    """

    example = "stochastic_depth 0.1"
    support = "regular"
    lifts = "torchvision.ops.stochastic_depth.StochasticDepth", "StochasticDepth", "mul"

    p: float = arg(PROBABILITY, doc="probability that the branch is dropped")
    mode: str = arg(
        Choice(("row", "batch")),
        default="row",
        doc="drop each sample, or all together",
        keyword=True,
    )

    @classmethod
    def of(cls, seen: Seen) -> Lifted | None:
        if seen.name != "mul":
            return super().of(seen)
        # a function, as it runs in training: times drawn zeros and ones, scaled up
        scaled = seen.maker(1) if len(seen.inputs) == 2 else None
        drawn = scaled.maker(0) if scaled is not None and scaled.name == "div" else scaled
        if scaled is None or drawn is None or drawn.name != "bernoulli" or "p" not in drawn.args:
            return None
        keep = drawn.args["p"]
        rows = set(drawn.output) == {1} or not drawn.output
        if (scaled is not drawn and scaled.args["other"] != keep) or not rows:
            return None
        each = "row" if drawn.batched else "batch"
        return Lifted(cls(p=_dropped(keep), mode=each), (0,))

    def saved(self, *inputs: Shape) -> Saved:
        return Saved() if self.p else VIEW

    def module(self, *inputs: Shape) -> Call:
        return call("StochasticDepth", self.p, **self.keywords("mode"))

    def function(self, *inputs: Shape) -> Call:
        return call("stochastic_depth", X, self.p, **self.keywords("mode"), training=TRAINING)


class Noise(Op, name="noise", family="regularisation"):
    """Random numbers of mean 0 and variance 1 in the shape of what flows in, in evaluation too: a
    variational autoencoder adds `mul { sigma; noise }`. `torch.manual_seed` makes them again.

    Source: torch.randn_like.
    """

    example = "noise"
    lifts = "Noise", "randn_like"
    support = "regular"
    random = True

    def module(self, *inputs: Shape) -> Call:
        return call("Noise")

    def function(self, *inputs: Shape) -> Call:
        # the same numbers in whatever order the values lie in memory
        return call("torch.randn_like", X, memory_format=Name("torch.contiguous_format"))


def _dropped(keep: float) -> float:
    """The shortest probability that keeps as much, in the precision that torch scales up by."""
    for digits in range(1, 17):
        p = float(f"{1 - keep:.{digits}g}")
        if _single(1 - p) == _single(keep):
            return p
    return 1 - keep


def _single(value: float) -> float:
    (single,) = struct.unpack("f", struct.pack("f", value))
    return float(single)
