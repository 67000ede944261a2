"""One number of many: over some dimensions, which go away. `mean` stands with the shapes."""

from __future__ import annotations

import math

from archdsl.ops.seen import Seen
from archdsl.ops.shape import Reduction
from archdsl.ops.spatial import axis, batched
from archdsl.ops.table import INPUT, Blame, Call, Lifted, Saved, Shape, X, arg, call
from archdsl.ops.types import Float


class _Reduction(Reduction):
    support = "totals"


class Sum(_Reduction, name="sum", family="reduction"):
    """The sum over some dimensions, which go away: `sum [0]` adds the channels up.

    Source: torch.sum.
    """

    example = "sum [0]"
    lifts = "Sum", "sum"
    autocast = "full"
    torch = "Sum", "torch.sum"


class _Extreme(_Reduction):
    @classmethod
    def of(cls, seen: Seen) -> Lifted | None:
        # torch's `max` gives the places, too, which no operator does
        return super().of(seen) if len(seen.inputs) == 1 and seen.place == 0 else None


class Max(_Extreme, name="max", family="reduction"):
    """The largest value over some dimensions, which go away: `max [0] keepdim=true` is the map of a
    spatial attention.

    Source: torch.amax.
    """

    example = "max [0] keepdim=true"
    lifts = "Max", "amax", "max"
    torch = "Max", "torch.amax"
    reads = Saved(input=True, output=True)
    fresh = False


class Min(_Extreme, name="min", family="reduction"):
    """The smallest value over some dimensions, which go away.

    Source: torch.amin.
    """

    example = "min [0] keepdim=true"
    lifts = "Min", "amin", "min"
    torch = "Min", "torch.amin"
    reads = Saved(input=True, output=True)
    fresh = False


class _Spread(_Reduction):
    @classmethod
    def of(cls, seen: Seen) -> Lifted | None:
        of_sample = seen.args.get("unbiased", True) and seen.args.get("correction") in (1, None)
        return super().of(seen) if of_sample else None

    def shape(self, *inputs: Shape) -> Shape:
        result = super().shape(*inputs)
        if math.prod(inputs[0]) == math.prod(result):
            raise Blame("dims", "a single value has no spread", kind="fit")
        return result


class Std(_Spread, name="std", family="reduction"):
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


class Var(_Spread, name="var", family="reduction"):
    """The variance over some dimensions, which go away (of a sample: divided by one less than there
    are values).

    Source: torch.var.
    """

    example = "var [1, 2]"
    lifts = "Var", "var"
    torch = "Var", "torch.var"
    reads = INPUT
    nonnegative = True


class LogSumExp(_Reduction, name="logsumexp", family="reduction"):
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


class Prod(_Reduction, name="prod", family="reduction"):
    """The product over some dimensions, which go away.

    Source: torch.prod.
    """

    example = "prod [0]"
    lifts = "Prod", "prod"
    autocast = "full"
    torch = "Prod", "torch.prod"
    reads = Saved(input=True, output=True)
    fresh = False

    def module(self, *inputs: Shape) -> Call:
        last_first = sorted((axis("dims", d, inputs[0]) for d in self.dims), reverse=True)
        return call("Prod", *map(batched, last_first), **self.keywords("keepdim"))

    def function(self, *inputs: Shape) -> Call | None:
        if len(self.dims) > 1:
            return None  # torch takes one at a time
        return call("torch.prod", X, batched(self.dims[0]), **self.keywords("keepdim"))


class Norm(_Reduction, name="norm", family="reduction"):
    """The `p`-norm over some dimensions, which go away: with 2 the length of a vector.

    Source: torch.linalg.vector_norm.
    """

    example = "norm [0]"
    lifts = "Norm", "vector_norm", "linalg_vector_norm"
    aliases = (("dims", "dim"), ("p", "ord"))
    autocast = "full"
    reads = Saved(input=True, output=True)
    fresh = False
    nonnegative = True

    free = ("p",)

    p: float = arg(Float(1.0), default=2.0, doc="which norm", keyword=True)

    def module(self, *inputs: Shape) -> Call:
        return call("Norm", *map(batched, self.dims), **self.keywords("p", "keepdim"))

    def function(self, *inputs: Shape) -> Call:
        dims = tuple(map(batched, self.dims))
        return call("torch.linalg.vector_norm", X, self.p, dims, **self.keywords("keepdim"))
