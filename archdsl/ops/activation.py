"""Activations."""

from __future__ import annotations

from typing import Any, ClassVar

from archdsl.ops.spatial import DIM, axis, batched, resized
from archdsl.ops.table import INPUT, OUTPUT, Blame, Call, Op, Shape, Weight, X, arg, call
from archdsl.ops.types import Choice, Float, Int


class _Activation(Op):
    """An activation without weights: `torch` names its module and its function."""

    torch: ClassVar[tuple[str, str]]
    nonlinear = True
    reads = INPUT

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "torch" in vars(cls):
            cls.lifts = (cls.torch[0], cls.torch[1].rpartition(".")[2])

    def settings(self) -> dict[str, tuple[Any, Any]]:
        return self.keywords()

    def module(self, *inputs: Shape) -> Call:
        return call(self.torch[0], **self.settings())

    def function(self, *inputs: Shape) -> Call:
        return call(self.torch[1], X, **self.settings())


class ReLU(_Activation, name="relu", family="activation"):
    """max(x, 0).

    Source: torch.nn.ReLU.
    """

    example = "relu"
    nonnegative = True
    keeps_positive = True
    torch = "nn.ReLU", "F.relu"
    inplace = True
    reads = OUTPUT


class ReLU6(_Activation, name="relu6", family="activation"):
    """min(max(x, 0), 6), as in MobileNet.

    Source: torch.nn.ReLU6.
    """

    example = "relu6"
    nonnegative = True
    torch = "nn.ReLU6", "F.relu6"
    inplace = True
    fresh = True


class LeakyReLU(_Activation, name="leaky_relu", family="activation"):
    """x where positive, else `negative_slope` · x.

    Source: torch.nn.LeakyReLU.
    """

    example = "leaky_relu 0.1"
    keeps_positive = True
    torch = "nn.LeakyReLU", "F.leaky_relu"
    inplace = True

    free = ("negative_slope",)

    # not below 0: torch cannot differentiate that in place
    negative_slope: float = arg(Float(0.0), default=0.01, doc="slope where x is negative")


class ELU(_Activation, name="elu", family="activation"):
    """x where positive, else `alpha` · (exp(x) - 1).

    Source: torch.nn.ELU.
    """

    example = "elu"
    keeps_positive = True
    torch = "nn.ELU", "F.elu"
    inplace = True

    free = ("alpha",)

    # not below 0: torch cannot differentiate that in place
    alpha: float = arg(Float(0.0), default=1.0, doc="scale where x is negative")


class CELU(_Activation, name="celu", family="activation"):
    """x where positive, else `alpha` · (exp(x / `alpha`) - 1).

    Source: torch.nn.CELU.
    """

    example = "celu"
    keeps_positive = True
    torch = "nn.CELU", "F.celu"
    inplace = True

    free = ("alpha",)

    alpha: float = arg(Float(0.0, above=True), default=1.0, doc="scale where x is negative")


class SELU(_Activation, name="selu", family="activation"):
    """ELU with the constants that keep mean 0 and variance 1 from layer to layer.

    Source: torch.nn.SELU.
    """

    example = "selu"
    torch = "nn.SELU", "F.selu"
    inplace = True


class GELU(_Activation, name="gelu", family="activation"):
    """x · Φ(x), with Φ the normal distribution function, as in transformers.

    Source: torch.nn.GELU.
    """

    example = "gelu"
    torch = "nn.GELU", "F.gelu"
    fresh = True

    approximate: str = arg(
        Choice(("none", "tanh")), default="none", doc="`tanh`: the faster formula", keyword=True
    )


class SiLU(_Activation, name="silu", family="activation"):
    """x · sigmoid(x), also called swish, as in EfficientNet.

    Source: torch.nn.SiLU.
    """

    example = "silu"
    torch = "nn.SiLU", "F.silu"
    inplace = True
    fresh = True


class Hardswish(_Activation, name="hardswish", family="activation"):
    """x · relu6(x + 3) / 6, a cheap `silu`, as in MobileNetV3.

    Source: torch.nn.Hardswish.
    """

    example = "hardswish"
    torch = "nn.Hardswish", "F.hardswish"
    inplace = True
    fresh = True


class Mish(_Activation, name="mish", family="activation"):
    """x · tanh(softplus(x)).

    Source: torch.nn.Mish.
    """

    example = "mish"
    torch = "nn.Mish", "F.mish"
    inplace = True
    fresh = True


class Hardsigmoid(_Activation, name="hardsigmoid", family="activation"):
    """relu6(x + 3) / 6, a cheap `sigmoid`.

    Source: torch.nn.Hardsigmoid.
    """

    example = "hardsigmoid"
    nonnegative = True
    torch = "nn.Hardsigmoid", "F.hardsigmoid"
    inplace = True
    fresh = True


class Sigmoid(_Activation, name="sigmoid", family="activation"):
    """1 / (1 + exp(-x)): values between 0 and 1, the usual gate.

    Source: torch.nn.Sigmoid.
    """

    example = "sigmoid"
    nonnegative = True
    torch = "nn.Sigmoid", "torch.sigmoid"
    reads = OUTPUT


class Tanh(_Activation, name="tanh", family="activation"):
    """Hyperbolic tangent: values between -1 and 1.

    Source: torch.nn.Tanh.
    """

    example = "tanh"
    torch = "nn.Tanh", "torch.tanh"
    reads = OUTPUT


class Softplus(_Activation, name="softplus", family="activation"):
    """log(1 + exp(`beta` · x)) / `beta`, a smooth `relu`.

    Source: torch.nn.Softplus.
    """

    autocast = "full"
    example = "softplus"
    torch = "nn.Softplus", "F.softplus"
    fresh = True

    free = ("beta", "threshold")

    beta: float = arg(Float(), default=1.0, doc="sharpness", keyword=True)
    threshold: float = arg(
        Float(), default=20.0, doc="the identity where `beta` · x is above", keyword=True
    )


class _AlongDimension(_Activation):
    """An activation over all values of a dimension together."""

    counting = ("dim",)

    dim: int = arg(Int(), default=0, doc=DIM, keyword=True)

    def shape(self, *inputs: Shape) -> Shape:
        axis("dim", self.dim, inputs[0])
        return inputs[0]

    def settings(self) -> dict[str, tuple[Any, Any]]:
        return {"dim": (batched(self.dim), None)}

    def single(self, *inputs: Shape) -> bool:
        return inputs[0][axis("dim", self.dim, inputs[0])] == 1


class Softmax(_AlongDimension, name="softmax", family="activation"):
    """exp(x) divided by its sum along a dimension: probabilities. torch's cross-entropy loss
    includes it, so a classifier does without.

    Source: torch.nn.Softmax.
    """

    autocast = "full"
    example = "softmax"
    nonnegative = True
    example_input = (10,)
    probabilities = True
    torch = "nn.Softmax", "F.softmax"
    reads = OUTPUT

    def lost(self, *inputs: Shape) -> str:
        return "the softmax of a single value is 1" if self.single(*inputs) else ""


class LogSoftmax(_AlongDimension, name="log_softmax", family="activation"):
    """The logarithm of `softmax`, computed stably.

    Source: torch.nn.LogSoftmax.
    """

    autocast = "full"
    example = "log_softmax"
    example_input = (10,)
    torch = "nn.LogSoftmax", "F.log_softmax"
    reads = OUTPUT

    def lost(self, *inputs: Shape) -> str:
        return "the softmax of a single value is 1, its logarithm 0" if self.single(*inputs) else ""


class GLU(_AlongDimension, name="glu", family="activation"):
    """Gated linear unit: one half of the channels times the sigmoid of the other half.

    Source: torch.nn.GLU.
    """

    example = "glu"
    example_input = (64, 16, 16)
    torch = "nn.GLU", "F.glu"
    fresh = True

    def shape(self, *inputs: Shape) -> Shape:
        shape, place = inputs[0], axis("dim", self.dim, inputs[0])
        if shape[place] % 2:
            raise Blame("dim", f"{shape[place]} does not split into two halves")
        return resized(shape, place, shape[place] // 2)


class PReLU(Op, name="prelu", family="activation"):
    """`leaky_relu` with a learned slope, one for all or one for each channel.

    Source: torch.nn.PReLU.
    """

    autocast = "half"
    example = "prelu"
    keeps_positive = True
    lifts = ("nn.PReLU",)
    aliases = (("slope", "init"),)
    nonlinear = True
    reads = INPUT
    fresh = True

    free = ("slope",)

    num_parameters: int = arg(Int(1), default=1, doc="1, or the number of channels: `prelu in`")
    slope: float = arg(Float(), default=0.25, doc="the slope at first", keyword=True)

    def shape(self, *inputs: Shape) -> Shape:
        channels = inputs[0][0] if inputs[0] else 1
        if self.num_parameters not in (1, channels):
            raise Blame(
                "num_parameters",
                f"{self.num_parameters} slopes for {channels} channels",
                help=f"1 or {channels}",
            )
        return inputs[0]

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return (Weight("weight", (self.num_parameters,)),)

    def module(self, *inputs: Shape) -> Call:
        start = {"init": (self.slope, 0.25)}
        return call("nn.PReLU", **self.keywords("num_parameters"), **start)
