"""Fully connected layers."""

from __future__ import annotations

import math

from archdsl.ops.seen import Seen
from archdsl.ops.table import ALL, INPUT, Blame, Call, Lifted, Op, Reach, Shape, Weight, arg, call
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
