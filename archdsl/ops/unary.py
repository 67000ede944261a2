"""Arithmetic on one value, by torch's names; that on two values is a join."""

from __future__ import annotations

import math
from typing import Any

from archdsl.ops.spatial import DIM, along, axis, batched
from archdsl.ops.table import (
    INPUT,
    OUTPUT,
    Blame,
    Call,
    Op,
    Reach,
    Saved,
    Shape,
    X,
    arg,
    call,
)
from archdsl.ops.types import Float, Int


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


class Scale(_Pointwise, name="scale", family="arithmetic"):
    """Each value times a number. `mul` is the join of the same name, `affine` adds a number too.

    Source: torch.mul.
    """

    example = "scale 0.5"
    lifts = ("Scale",)
    reads = Saved()
    nonlinear = False
    passes = True

    free = ("factor",)

    factor: float = arg(Float(), doc="the number")

    def lost(self, *inputs: Shape) -> str:
        return "" if self.factor else "everything times 0 is 0"

    def module(self, *inputs: Shape) -> Call:
        return call("Scale", self.factor)

    def function(self, *inputs: Shape) -> Call:
        return call("*", X, self.factor)


class Pow(_Pointwise, name="pow", family="arithmetic"):
    """Each value to a power; NaN below 0 where that is no whole number.

    Source: torch.pow.
    """

    example = "pow 3"
    lifts = "Pow", "pow"
    autocast = "full"

    free = ("exponent",)

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

    free = ("min", "max")

    min: float | None = arg(Float(), default=None, doc="the smallest value", keyword=True)
    max: float | None = arg(Float(), default=None, doc="the largest value", keyword=True)

    def shape(self, *inputs: Shape) -> Shape:
        if self.min is None and self.max is None:
            raise Blame(None, "`clamp` needs a bound", help="`min=0`, `max=1`, or both")
        return inputs[0]

    def lost(self, *inputs: Shape) -> str:
        if self.min is None or self.max is None or self.min < self.max:
            return ""
        return f"between {self.min:g} and {self.max:g} everything becomes {self.max:g}"

    def settings(self) -> dict[str, Any]:
        return self.keywords()


# ---- along a dimension ------------------------------------------------------------------------


class Normalize(Op, name="normalize", family="arithmetic"):
    """Divides by the `p`-norm along a dimension, so that what is left has length 1 there. Of
    C×H×W, `normalize` alone is that of the channels at each place.

    Source: torch.nn.functional.normalize.
    """

    example = "normalize"
    lifts = "Normalize", "normalize"
    counting = ("dim",)
    support = "unary"
    fresh = True

    free = ("p", "eps")

    p: float = arg(Float(1.0), default=2.0, doc="which norm; 2: the length")
    dim: int = arg(Int(), default=0, doc=DIM, keyword=True)
    eps: float = arg(
        Float(0.0, above=True), default=1e-12, doc="what it divides by at least", keyword=True
    )

    def shape(self, *inputs: Shape) -> Shape:
        axis("dim", self.dim, inputs[0])
        return inputs[0]

    def reach(self, *inputs: Shape) -> Reach:
        return along(inputs[0], self.dim)

    def saved(self, *inputs: Shape) -> Saved:
        norms = math.prod(inputs[0]) // inputs[0][self.dim]
        return Saved(input=True, more=8 * norms)

    def module(self, *inputs: Shape) -> Call:
        return call("Normalize", **self._settings())

    def function(self, *inputs: Shape) -> Call:
        return call("F.normalize", X, **self._settings())

    def _settings(self) -> dict[str, Any]:
        return {**self.keywords("p"), "dim": (batched(self.dim), 1), **self.keywords("eps")}


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

    def reach(self, *inputs: Shape) -> Reach:
        return along(inputs[0], self.dim)

    def module(self, *inputs: Shape) -> Call:
        return call("CumSum", batched(self.dim))

    def function(self, *inputs: Shape) -> Call:
        return call("torch.cumsum", X, batched(self.dim))
