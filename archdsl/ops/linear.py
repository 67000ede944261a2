"""Fully connected layers, and the table that stands for one of them on whole numbers."""

from __future__ import annotations

import math

from archdsl.ops.seen import Seen
from archdsl.ops.table import (
    ALL,
    INPUT,
    Blame,
    Call,
    Lifted,
    Op,
    Reach,
    Saved,
    Shape,
    Weight,
    arg,
    call,
)
from archdsl.ops.types import Bool, Int


class Linear(Op, name="linear", family="linear"):
    """Fully connected layer with `out` outputs. It is applied along the last dimension, whatever
    stands before it: put `flatten` between a C×H×W feature map and a classifier.

    Source: torch.nn.Linear.
    """

    autocast = "half"
    example = "linear 1000"
    example_input = (512,)
    fresh = True
    linear = True
    filters_at = 0
    reads = INPUT
    free = ("out",)
    lifts = "nn.Linear", "linear"
    aliases = (("out", "out_features"),)

    out: int = arg(Int(1), doc="output features")
    bias: bool = arg(Bool(), default=True, doc="add a learned bias", keyword=True)

    @classmethod
    def of(cls, seen: Seen) -> Lifted | None:
        weight = seen.tensor("weight")
        if weight is None:
            return super().of(seen)
        return Lifted(cls(out=weight[0], bias=seen.args.get("bias") is not None), (0,))

    def shape(self, *inputs: Shape) -> Shape:
        if not inputs[0]:
            raise Blame(None, "`linear` needs an input of at least one dimension", kind="rank")
        return (*inputs[0][:-1], self.out)

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        weight = Weight("weight", (self.out, inputs[0][-1]))
        return (weight, Weight("bias", (self.out,))) if self.bias else (weight,)

    def reach(self, *inputs: Shape) -> Reach:
        return ALL if len(inputs[0]) == 1 else ()

    def macs(self, *inputs: Shape) -> int:
        return math.prod(inputs[0]) * self.out

    def module(self, *inputs: Shape) -> Call:
        return call("nn.Linear", inputs[0][-1], self.out, **self.keywords("bias"))


class Embedding(Op, name="embedding", family="linear"):
    """A learned vector of `dim` numbers for each of the whole numbers below `n`, such as tokens: L
    becomes L×C. What comes in is cut to whole numbers.

    Source: torch.nn.Embedding.
    """

    example = "embedding 1000 64"
    example_input = (16,)
    lifts = "Embedding", "nn.Embedding"
    aliases = (("n", "num_embeddings"), ("dim", "embedding_dim"))
    below = "n"
    whole = True
    support = "linear"

    n: int = arg(Int(1), doc="how many whole numbers there are: 0 to n - 1")
    dim: int = arg(Int(1), doc="size of the vectors")

    @classmethod
    def of(cls, seen: Seen) -> Lifted | None:
        special = ("padding_idx", "max_norm", "scale_grad_by_freq", "sparse")
        return (
            None
            if any(seen.args.get(key) not in (None, False) for key in special)
            else super().of(seen)
        )

    def shape(self, *inputs: Shape) -> Shape:
        return (*inputs[0], self.dim)

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return (Weight("weight", (self.n, self.dim)),)

    def saved(self, *inputs: Shape) -> Saved:
        return Saved(more=8 * math.prod(inputs[0]))

    def module(self, *inputs: Shape) -> Call:
        return call("Embedding", self.n, self.dim)
