"""Arithmetic on one value, by torch's names; that on two values is a join."""

from __future__ import annotations

import math
from typing import Any

from archdsl.ops.shape import Reduction
from archdsl.ops.spatial import DIM, axis, batched
from archdsl.ops.table import (
    INPUT,
    OUTPUT,
    Blame,
    Call,
    Op,
    Saved,
    Shape,
    X,
    arg,
    call,
)
from archdsl.ops.types import Float, Int, Ints

# ---- of each value ---------------------------------------------------------------------------


class _Pointwise(Op):
    """A function of torch, of each value by itself; `module` of the same name in title case."""

    support = "unary"
    reads = INPUT
    fresh = True
    nonlinear = True

    def settings(self) -> dict[str, Any]:
        return {}

    def module(self, *inputs: Shape) -> Call:
        return call(self.name.title(), **self.settings())

    def function(self, *inputs: Shape) -> Call:
        return call(f"torch.{self.name}", X, **self.settings())


class Exp(_Pointwise, name="exp", family="arithmetic"):
    """e to the power of each value.

    Source: torch.exp.
    """

    example = "exp"
    lifts = "Exp", "exp"
    reads = OUTPUT
    fresh = False
    nonnegative = True
    autocast = "full"


class Log(_Pointwise, name="log", family="arithmetic"):
    """The natural logarithm of each value; NaN below 0.

    Source: torch.log.
    """

    example = "log"
    lifts = "Log", "log"
    autocast = "full"


class Sqrt(_Pointwise, name="sqrt", family="arithmetic"):
    """The square root of each value; NaN below 0.

    Source: torch.sqrt.
    """

    example = "sqrt"
    lifts = "Sqrt", "sqrt"
    reads = OUTPUT
    fresh = False
    nonnegative = True


class Rsqrt(_Pointwise, name="rsqrt", family="arithmetic"):
    """One over the square root of each value; NaN below 0.

    Source: torch.rsqrt.
    """

    example = "rsqrt"
    lifts = "Rsqrt", "rsqrt"
    reads = OUTPUT
    fresh = False
    nonnegative = True
    autocast = "full"


class Square(_Pointwise, name="square", family="arithmetic"):
    """Each value times itself.

    Source: torch.square.
    """

    example = "square"
    lifts = "Square", "square"
    nonnegative = True


class Abs(_Pointwise, name="abs", family="arithmetic"):
    """Each value without its sign.

    Source: torch.abs.
    """

    example = "abs"
    lifts = "Abs", "abs"
    nonnegative = True
    keeps_positive = True


class Neg(_Pointwise, name="neg", family="arithmetic"):
    """Each value with the other sign.

    Source: torch.neg.
    """

    example = "neg"
    lifts = "Neg", "neg"
    reads = Saved()
    nonlinear = False


class Sin(_Pointwise, name="sin", family="arithmetic"):
    """The sine of each value.

    Source: torch.sin.
    """

    example = "sin"
    lifts = "Sin", "sin"


class Cos(_Pointwise, name="cos", family="arithmetic"):
    """The cosine of each value.

    Source: torch.cos.
    """

    example = "cos"
    lifts = "Cos", "cos"


class Pow(_Pointwise, name="pow", family="arithmetic"):
    """Each value to a power; NaN below 0 where that is no whole number.

    Source: torch.pow.
    """

    example = "pow 3"
    lifts = "Pow", "pow"
    autocast = "full"

    exponent: float = arg(Float(), doc="the power")

    def module(self, *inputs: Shape) -> Call:
        return call("Pow", self.exponent)

    def function(self, *inputs: Shape) -> Call:
        return call("torch.pow", X, self.exponent)


class Clamp(_Pointwise, name="clamp", family="arithmetic"):
    """Each value, at least `min` and at most `max`; one of them may be left out.

    Source: torch.clamp.
    """

    example = "clamp min=0 max=1"
    lifts = "Clamp", "clamp"

    min: float | None = arg(Float(), default=None, doc="the smallest value", keyword=True)
    max: float | None = arg(Float(), default=None, doc="the largest value", keyword=True)

    def shape(self, *inputs: Shape) -> Shape:
        if self.min is None and self.max is None:
            raise Blame(None, "`clamp` needs a bound", help="`min=0`, `max=1`, or both")
        return inputs[0]

    def settings(self) -> dict[str, Any]:
        return self.keywords()


# ---- over dimensions -------------------------------------------------------------------------


class _Reduction(Reduction):
    support = "unary"


class Sum(_Reduction, name="sum", family="arithmetic"):
    """The sum over some dimensions, which go away: `sum [0]` adds the channels up.

    Source: torch.sum.
    """

    example = "sum [0]"
    lifts = "Sum", "sum"
    autocast = "full"
    torch = "Sum", "torch.sum"


class Max(_Reduction, name="max", family="arithmetic"):
    """The largest value over some dimensions, which go away: `max [0] keepdim=true` is the map of a
    spatial attention.

    Source: torch.amax.
    """

    example = "max [0] keepdim=true"
    lifts = "Max", "amax"
    torch = "Max", "torch.amax"
    reads = Saved(input=True, output=True)
    fresh = False


class Min(_Reduction, name="min", family="arithmetic"):
    """The smallest value over some dimensions, which go away.

    Source: torch.amin.
    """

    example = "min [0] keepdim=true"
    lifts = "Min", "amin"
    torch = "Min", "torch.amin"
    reads = Saved(input=True, output=True)
    fresh = False


class _Spread(_Reduction):
    def shape(self, *inputs: Shape) -> Shape:
        result = super().shape(*inputs)
        if math.prod(inputs[0]) == math.prod(result):
            raise Blame("dims", "a single value has no spread", kind="fit")
        return result


class Std(_Spread, name="std", family="arithmetic"):
    """The standard deviation over some dimensions, which go away (of a sample: divided by one less
    than there are values).

    Source: torch.std.
    """

    example = "std [1, 2]"
    lifts = "Std", "std"
    torch = "Std", "torch.std"
    reads = Saved(input=True, output=True)
    fresh = False
    nonnegative = True


class Var(_Spread, name="var", family="arithmetic"):
    """The variance over some dimensions, which go away (of a sample: divided by one less than there
    are values).

    Source: torch.var.
    """

    example = "var [1, 2]"
    lifts = "Var", "var"
    torch = "Var", "torch.var"
    reads = INPUT
    nonnegative = True


class LogSumExp(_Reduction, name="logsumexp", family="arithmetic"):
    """The logarithm of the sum of exponentials over some dimensions, which go away: a smooth
    maximum.

    Source: torch.logsumexp.
    """

    example = "logsumexp [0]"
    lifts = "LogSumExp", "logsumexp"
    autocast = "full"
    torch = "LogSumExp", "torch.logsumexp"
    reads = Saved(input=True, output=True)
    fresh = False


class Flip(Op, name="flip", family="arithmetic"):
    """The other way round along some dimensions: `flip [2]` mirrors C×H×W.

    Source: torch.flip.
    """

    example = "flip [2]"
    lifts = "Flip", "flip"
    counting = ("dims",)
    support = "unary"
    fresh = True
    passes = True

    dims: tuple[int, ...] = arg(Ints(), doc="dimensions, counted without the batch")

    def shape(self, *inputs: Shape) -> Shape:
        places = [axis("dims", d, inputs[0]) for d in self.dims]
        if len(set(places)) < len(places):
            raise Blame("dims", "a dimension stands twice")
        return inputs[0]

    def module(self, *inputs: Shape) -> Call:
        return call("Flip", *map(batched, self.dims))

    def function(self, *inputs: Shape) -> Call:
        return call("torch.flip", X, tuple(map(batched, self.dims)))


class CumSum(Op, name="cumsum", family="arithmetic"):
    """Running sums along a dimension.

    Source: torch.cumsum.
    """

    example = "cumsum 0"
    lifts = "CumSum", "cumsum"
    counting = ("dim",)
    autocast = "full"
    support = "unary"
    fresh = True

    dim: int = arg(Int(), doc=DIM)

    def shape(self, *inputs: Shape) -> Shape:
        axis("dim", self.dim, inputs[0])
        return inputs[0]

    def module(self, *inputs: Shape) -> Call:
        return call("CumSum", batched(self.dim))

    def function(self, *inputs: Shape) -> Call:
        return call("torch.cumsum", X, batched(self.dim))
