"""Joins: the branches of `concat { }`, `add { }`, `mul { }`, or tapped values, become one."""

from __future__ import annotations

import itertools
import math
from typing import ClassVar

from archdsl.ops.seen import Seen, Tensor
from archdsl.ops.spatial import DIM, axis, batched, resized
from archdsl.ops.table import Blame, Call, Input, Lifted, Mismatch, Op, Saved, Shape, X, arg, call
from archdsl.ops.types import Float, Int
from archdsl.text import shape_text

#: why a map is a little smaller than another
UNPADDED = (
    "`pad=1` keeps the size with 3x3: a convolution without padding cuts the edges off, a pooling "
    "with padding and `/1` adds to them"
)


def _disagree(one: Shape, other: Shape, rule: str, channels: bool) -> Blame:
    def help() -> str:
        return _remedy(one, other, channels) or rule

    return Mismatch(one, other, help)


def _remedy(one: Shape, other: Shape, channels: bool) -> str:
    """The step that makes two maps C×H×W agree in their space and, where asked, their channels."""
    if not len(one) == len(other) == 3:
        return ""
    small, large = sorted((one, other), key=lambda shape: math.prod(shape[1:]))
    sides = list(zip(small[1:], large[1:], strict=True))
    factor = next((s for s in range(1, 65) if all(a * s == b for a, b in sides)), 0)
    differ = channels and small[0] != large[0]
    if differ and factor == 1:
        step, where = f"conv {one[0]} 1x1", other
    elif differ and set(small[1:]) == {1}:  # a gate
        step, where = f"conv {large[0]} 1x1", small
    elif differ and factor:
        step, where = f"conv {small[0]} 1x1 /{factor}", large
    elif all(a == b or (a == b - 1 and b % 2 == 0) for a, b in sides) and small != large:
        # an odd side, halved and doubled
        return (
            f"put `upsample size={shape_text(small[1:])}` in the place of what made "
            f"{shape_text(large)}, or take an input whose sides can be halved as often as "
            "that is done"
        )
    elif factor > 1:
        step, where = f"upsample {factor}", small
    elif all(0 <= b - a < b // 2 and (b - a) % 2 == 0 for a, b in sides):
        return UNPADDED
    elif all(a <= b for a, b in sides):
        step, where = f"upsample size={shape_text(large[1:])}", small
    else:
        return ""
    return f"put `{step}` behind the {shape_text(where)}"


def _rule(one: Shape, other: Shape) -> str:
    """What broadcasting wants, and how a value gets the dimensions that it lacks for it."""
    small, large = sorted((one, other), key=len)
    ways = [
        kept
        for places in itertools.combinations(range(len(large)), len(small))
        if all(large[place] == side for place, side in zip(places, small, strict=True))
        for kept in [tuple(s if i in places else 1 for i, s in enumerate(large))]
    ]
    if len(small) == len(large):
        return "each side must be equal, or 1 in one of them"
    if not ways:
        return f"both need {len(large)} dimensions, each equal or 1 in one of them"
    keep = "`keepdim=true` at a `mean` or `sum` keeps its dimensions, with size 1"
    if len(ways) > 1:
        return keep
    return f"put `reshape {list(ways[0])}` behind the {shape_text(small)}; {keep}"


class Concat(Op, name="concat", family="join"):
    """Stacks the branches along a dimension, the channels where not told otherwise.

    Source: torch.cat.
    """

    example = "concat { identity; conv 8 3x3 pad=1 }"
    general = True
    lifts = "cat", "concat", "concatenate"
    counting = ("dim",)
    arity = None
    fresh = True

    dim: int = arg(Int(), default=0, doc=DIM, keyword=True)

    @classmethod
    def of(cls, seen: Seen) -> Lifted | None:
        made = super().of(seen)
        if made is None:
            return None
        place = cls(**cls._given(seen)).dim % len(seen.inputs[0])
        return Lifted(cls(dim=place))

    def shape(self, *inputs: Shape) -> Shape:
        place = axis("dim", self.dim, inputs[0])
        for other in inputs[1:]:
            if len(other) != len(inputs[0]) or resized(other, place) != resized(inputs[0], place):
                rule = f"they may differ in dimension {place} only"
                raise _disagree(inputs[0], other, rule, channels=place != 0)
        return resized(inputs[0], place, sum(i[place] for i in inputs))

    def itself(self, *inputs: Shape) -> bool:
        return len(inputs) == 1

    def function(self, *inputs: Shape) -> Call:
        return call("torch.cat", Input(None), dim=batched(self.dim))


class _Elementwise(Op):
    """Combines the branches element by element; a side of 1 is repeated as often as needed."""

    general = True
    arity = None
    broadcasts = True
    fresh = True

    @classmethod
    def of(cls, seen: Seen) -> Lifted | None:
        return Lifted(cls()) if len(seen.inputs) > 1 else None

    def shape(self, *inputs: Shape) -> Shape:
        result = inputs[0]
        for other in inputs[1:]:
            fits = len(other) == len(result) and all(
                a == b or 1 in (a, b) for a, b in zip(result, other, strict=True)
            )
            if not fits:
                raise _disagree(result, other, _rule(result, other), channels=True)
            result = tuple(b if a == 1 else a for a, b in zip(result, other, strict=True))
        return result


class _Arithmetic(_Elementwise):
    """By a sign, of any number of branches; a number may be the last of them."""

    infix: ClassVar[str]
    instead = "number"

    number: float | None = arg(
        Float(), default=None, doc="a number as one more branch, or the only one beside the flow"
    )

    @classmethod
    def of(cls, seen: Seen) -> Lifted | None:
        if seen.args.get("alpha", 1) != 1 or seen.args.get("rounding_mode"):
            return None
        if len(seen.inputs) > 1:
            return Lifted(cls())
        number = seen.args.get("other")
        if not isinstance(number, (int, float)) or isinstance(number, bool):
            return None
        of_input = isinstance(seen.args.get("input", Tensor(0)), Tensor)  # not 1 - x
        return Lifted(cls(number=float(number))) if of_input else None

    def function(self, *inputs: Shape) -> Call:
        number = () if self.number is None else (self.number,)
        return call(self.infix, *map(Input, range(len(inputs))), *number)

    def between(self, *inputs: Shape) -> Saved:
        """What products and quotients keep: their operands, with the results of the first ones."""
        between = max(0, len(inputs) - 2)
        return Saved(input=len(inputs) > 1, more=4 * between * math.prod(self.shape(*inputs)))


class Add(_Arithmetic, name="add", family="join"):
    """The sum of the branches, element by element. A side of 1 is repeated to fit. `add 1.0` adds
    a number to what flows.

    Source: torch.add.
    """

    example = "add { identity; conv in 3x3 pad=1 }"
    infix = symbol = "+"
    lifts = ("add",)


class Residual(Add):
    """What `residual` ends with: a sum of equals, which repeats nothing. Everywhere else it is
    `add`."""

    of_same = "twice what comes in"

    def shape(self, *inputs: Shape) -> Shape:
        for other in inputs[1:]:
            if other != inputs[0]:
                raise _disagree(inputs[0], other, "both must be equal", channels=True)
        return inputs[0]


class Mul(_Arithmetic, name="mul", family="join"):
    """The product of the branches, element by element: a gate. A side of 1 is repeated to fit, so
    that C×1×1 scales the channels of C×H×W. `mul 0.5` halves what flows.

    Source: torch.mul; Hu et al., Squeeze-and-Excitation Networks, 2018.
    """

    example = "mul { identity; { gap -> conv in 1x1 -> sigmoid } }"
    infix = "*"
    symbol = "×"
    lifts = ("mul",)

    def lost(self, *inputs: Shape) -> str:
        return "everything times 0 is 0" if self.number == 0 else ""

    def saved(self, *inputs: Shape) -> Saved:
        return self.between(*inputs)


class Sub(_Arithmetic, name="sub", family="join"):
    """The first branch minus the others, element by element: `sub @x` is what flows minus x. A side
    of 1 is repeated to fit. `sub 1` takes 1 from what flows.

    Source: torch.sub.
    """

    example = "sub { identity; gap }"
    infix = "-"
    ordered = True
    of_same = "only 0"
    lifts = ("sub",)


class Div(_Arithmetic, name="div", family="join"):
    """The first branch divided by the others, element by element. A side of 1 is repeated to fit.
    `div 2` halves what flows.

    Source: torch.div.
    """

    example = "div { identity; { gap -> abs -> exp } }"
    infix = "/"
    ordered = True
    of_same = "only 1"
    lifts = ("div", "truediv")

    def lost(self, *inputs: Shape) -> str:
        return "nothing divided by 0 is a number" if self.number == 0 else ""

    def saved(self, *inputs: Shape) -> Saved:
        return self.between(*inputs)


class _OfTwo(_Elementwise):
    """A function of torch that takes two values."""

    infix = ""
    of_same = "the value itself"
    torch: ClassVar[str]

    def shape(self, *inputs: Shape) -> Shape:
        if len(inputs) > 2:
            inner = f"{self.name} {{ ...; {self.name} {{ ...; ... }} }}"
            help = f"put one into another: `{inner}`"
            raise Blame(None, f"`{self.name}` takes two branches, not {len(inputs)}", help=help)
        return super().shape(*inputs)

    def saved(self, *inputs: Shape) -> Saved:
        return Saved(input=len(inputs) > 1)

    def function(self, *inputs: Shape) -> Call:
        if len(inputs) == 1:
            return call("+", X)
        return call(self.torch, *map(Input, range(len(inputs))))


class Maximum(_OfTwo, name="maximum", family="join"):
    """The larger one of two branches, element by element. A side of 1 is repeated to fit.

    Source: torch.maximum.
    """

    example = "maximum { identity; conv in 3x3 pad=1 }"
    torch = "torch.maximum"
    lifts = "maximum", "max"


class Minimum(_OfTwo, name="minimum", family="join"):
    """The smaller one of two branches, element by element. A side of 1 is repeated to fit.

    Source: torch.minimum.
    """

    example = "minimum { identity; conv in 3x3 pad=1 }"
    torch = "torch.minimum"
    lifts = "minimum", "min"
