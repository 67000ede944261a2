"""What enlarges, pads or rearranges space and channels."""

from __future__ import annotations

import math
from typing import Any

from archdsl.ops.seen import NoField, Seen
from archdsl.ops.spatial import LAYOUTS, check_border, check_groups, fold, image, sized_as
from archdsl.ops.table import (
    INPUT,
    LIKE,
    Blame,
    Call,
    Input,
    Lifted,
    Op,
    Reach,
    Saved,
    Shape,
    Sides,
    X,
    arg,
    call,
)
from archdsl.ops.types import Bool, Choice, Float, Int, Ints, Size
from archdsl.text import shape_text


class Pad(Op, name="pad", family="shape"):
    """Adds a border: one number for all sides of the spatial dimensions (`pad 1`), or a list in
    torch's order, last dimension first (`pad [left, right, top, bottom]`); a longer one reaches
    the channels (`pad [0, 0, 0, 0, 8, 8]`). Negative numbers crop.

    Source: torch.nn.functional.pad.
    """

    example = "pad [1, 2, 1, 2]"
    support = "resample"
    lifts = "Pad", "pad"
    follows = ("sizes",)
    aliases = (("sizes", "pad"),)

    free = ("value",)

    sizes: tuple[int, ...] = arg(Ints(), doc="a number, or before and after each dimension")
    mode: str = arg(
        Choice(("constant", "reflect", "replicate", "circular")),
        default="constant",
        doc="what the border holds",
        keyword=True,
    )
    value: float = arg(Float(), default=0.0, doc="what a constant border holds", keyword=True)

    @classmethod
    def _given(cls, seen: Seen) -> dict[str, Any]:
        values = super()._given(seen)
        if len(values["sizes"]) > 2 * len(seen.inputs[0]):
            raise NoField  # it pads the batch
        return values

    def itself(self, *inputs: Shape) -> bool:
        return not any(self.sizes)

    def shape(self, *inputs: Shape) -> Shape:
        shape, sides = inputs[0], self._sides(inputs[0])
        count = len(sides) // 2
        if len(sides) % 2:
            raise Blame(
                "sizes", f"{len(sides)} numbers; each dimension takes two, before and after"
            )
        if count > len(shape):
            raise Blame(
                "sizes", f"{len(sides)} numbers are too many for the input {shape_text(shape)}"
            )
        if self.mode != "constant":
            self._check_copy(shape, count)
        result = list(shape)
        for i in range(count):
            before, after, place = sides[2 * i], sides[2 * i + 1], len(shape) - 1 - i
            border, left = max(before, after), shape[place] + min(before, 0) + min(after, 0)
            check_border("sizes", self.mode, shape[place], border)
            if self.mode == "circular" and border > left:  # torch would read what nobody wrote
                problem = f"a circular border of {border} is larger than the {max(left, 0)} left"
                raise Blame("sizes", problem, kind="fit")
            result[place] += before + after
            if result[place] < 1 or -min(before, after) > shape[place]:
                raise Blame("sizes", f"nothing is left of dimension {place}", kind="fit")
        return tuple(result)

    def saved(self, *inputs: Shape) -> Saved:
        return INPUT if self.mode in ("reflect", "replicate") else Saved()

    def _check_copy(self, shape: Shape, count: int) -> None:
        """torch copies borders along all dimensions, or all but the channels; at most three."""
        if self.value != 0:
            raise Blame("value", f"a `{self.mode}` border takes no value")
        if count not in (len(shape), len(shape) - 1) or count > 3:
            raise Blame(
                "sizes",
                f"a `{self.mode}` border on {shape_text(shape)} must be for all spatial dimensions",
            )

    def _sides(self, shape: Shape) -> tuple[int, ...]:
        if len(self.sizes) != 1:
            return self.sizes
        _, space = image(self, shape)
        return self.sizes * (2 * len(space))

    def module(self, *inputs: Shape) -> Call:
        return call("Pad", *self._sides(inputs[0]), **self.keywords("mode", "value"))

    def function(self, *inputs: Shape) -> Call:
        return call("F.pad", X, self._sides(inputs[0]), **self.keywords("mode", "value"))


NEIGHBOURS = {"nearest": 1, "bicubic": 4}  # that a value is made of; two else
#: the number of spatial dimensions that an interpolation is for
RANKS = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}


class Upsample(Op, name="upsample", family="shape"):
    """Enlarges (or shrinks) the spatial dimensions by interpolation, by a factor (`upsample 2`) or
    to a size (`upsample size=28x28`), which may be that of another value (`upsample size=@skip`).

    Source: torch.nn.Upsample.
    """

    example = "upsample 2 mode=bilinear"
    lifts = "nn.Upsample", "nn.UpsamplingNearest2d", "nn.UpsamplingBilinear2d", "interpolate"
    aliases = (("scale", "scale_factor"),)
    fresh = True
    like = "size"
    follows = ("size",)

    scale: float | None = arg(Float(0.0, above=True), default=None, doc="factor of the size")
    size: tuple[int, ...] | None = arg(
        Size(1), default=None, doc="size of the output", keyword=True
    )
    mode: str = arg(
        Choice(("nearest", "linear", "bilinear", "bicubic", "trilinear")),
        default="nearest",
        doc="the interpolation: `linear` for C×L, `bilinear` or `bicubic` for C×H×W, `trilinear`",
        keyword=True,
    )
    align_corners: bool = arg(
        Bool(), default=False, doc="the corners keep their values; not for `nearest`", keyword=True
    )

    @classmethod
    def _given(cls, seen: Seen) -> dict[str, Any]:
        if seen.args.get("antialias") or seen.args.get("recompute_scale_factor"):
            raise NoField
        values = super()._given(seen)
        values["align_corners"] = bool(seen.args.get("align_corners"))
        return values

    def shape(self, *inputs: Shape) -> Shape:
        channels, space = image(self, inputs[0])
        n = len(space)
        wanted = RANKS.get(self.mode, n)
        if wanted != n:
            fitting = ("linear", "bilinear", "trilinear")[n - 1]
            message = (
                f"`{self.mode}` is for {LAYOUTS[wanted]}, but the input is {shape_text(inputs[0])}"
            )
            raise Blame("mode", message, kind="rank", help=f"`mode={fitting}`")
        if self.align_corners and self.mode == "nearest":
            raise Blame("align_corners", "`nearest` has no corners to align")
        if self.size is not None:
            if self.scale is not None:
                raise Blame("size", "give a scale or a size, not both")
            return (channels, *sized_as("size", self.size, inputs))
        if self.scale is None:
            raise Blame("scale", "`upsample` needs a scale or a size", help="`upsample 2`")
        result = tuple(math.floor(s * self.scale) for s in space)
        if any(side < 1 for side in result):
            raise Blame("scale", f"nothing is left of the {shape_text(space)} input", kind="fit")
        return (channels, *result)

    def reach(self, *inputs: Shape) -> Reach:
        pairs = zip(inputs[0][1:], self.shape(*inputs)[1:], strict=True)
        return tuple((NEIGHBOURS.get(self.mode, 2), side / out) for side, out in pairs)

    def _settings(self, n: int) -> dict[str, tuple[Any, Any]]:
        size = Sides(1, n) if self.size == LIKE else self.size and fold("size", self.size, n)
        return {
            "size": (size, None),
            "scale_factor": (
                int(self.scale) if self.scale and self.scale.is_integer() else self.scale,
                None,
            ),
            "mode": (self.mode, "nearest"),
            "align_corners": (self.align_corners or None, None),
        }

    def module(self, *inputs: Shape) -> Call:
        return call("nn.Upsample", **self._settings(len(inputs[0]) - 1))

    def function(self, *inputs: Shape) -> Call:
        return call("F.interpolate", X, **self._settings(len(inputs[0]) - 1))


class Fit(Op, name="fit", family="shape"):
    """Makes the spatial size that of another value: `fit @skip` cuts off what is too much, in the
    middle of it, and fills up with zeros what is too little. `mode=crop` and `mode=pad` do one of
    both and refuse the other. An odd rest goes to the end.

    Source: the copy and crop of U-Net (https://arxiv.org/abs/1505.04597); torch.nn.functional.pad.
    """

    example = "fit { identity; maxpool 2x2 }"
    arity = None
    support = "resample"

    mode: str = arg(
        Choice(("any", "crop", "pad")), default="any", doc="what may be done", keyword=True
    )

    def shape(self, *inputs: Shape) -> Shape:
        if len(inputs) != 2:
            raise Blame(None, f"`fit` takes two values, not {len(inputs)}", help="`fit @skip`")
        channels, space = image(self, inputs[0])
        size = sized_as("mode", LIKE, inputs)
        word = "smaller" if self.mode == "crop" else "larger"
        for side, asked in zip(space, size, strict=True):
            if (self.mode == "crop" and asked > side) or (self.mode == "pad" and asked < side):
                problem = f"{shape_text(space)} is {word} than {shape_text(size)} somewhere"
                raise Blame("mode", problem, kind="fit", help="without `mode=` it does both")
        return (channels, *size)

    def function(self, *inputs: Shape) -> Call:
        return call("fitted", X, Input(1))


class PixelShuffle(Op, name="pixel_shuffle", family="shape"):
    """Makes space from channels: C·r²×H×W becomes C×rH×rW.

    Source: torch.nn.PixelShuffle.
    """

    example = "pixel_shuffle 2"
    lifts = "nn.PixelShuffle", "pixel_shuffle"
    aliases = (("factor", "upscale_factor"),)
    example_input = (12, 16, 16)

    factor: int = arg(Int(1), doc="r, how much larger the sides become")

    def shape(self, *inputs: Shape) -> Shape:
        channels, (height, width) = image(self, inputs[0], (2,))
        r = self.factor
        if channels % (r * r):
            raise Blame("factor", f"{r}² does not divide the {channels} channels")
        return (channels // (r * r), height * r, width * r)

    def reach(self, *inputs: Shape) -> Reach:
        return ((1, 1 / self.factor),) * 2

    def module(self, *inputs: Shape) -> Call:
        return call("nn.PixelShuffle", self.factor)

    def function(self, *inputs: Shape) -> Call:
        return call("F.pixel_shuffle", X, self.factor)


class PixelUnshuffle(Op, name="pixel_unshuffle", family="shape"):
    """Makes channels from space: C×rH×rW becomes C·r²×H×W.

    Source: torch.nn.PixelUnshuffle.
    """

    example = "pixel_unshuffle 2"
    lifts = "nn.PixelUnshuffle", "pixel_unshuffle"
    aliases = (("factor", "downscale_factor"),)

    factor: int = arg(Int(1), doc="r, how much smaller the sides become")

    def shape(self, *inputs: Shape) -> Shape:
        channels, space = image(self, inputs[0], (2,))
        r = self.factor
        if any(side % r for side in space):
            raise Blame("factor", f"{r} does not divide the sides of {shape_text(space)}")
        return (channels * r * r, *(side // r for side in space))

    def reach(self, *inputs: Shape) -> Reach:
        return ((self.factor, self.factor),) * 2

    def module(self, *inputs: Shape) -> Call:
        return call("nn.PixelUnshuffle", self.factor)

    def function(self, *inputs: Shape) -> Call:
        return call("F.pixel_unshuffle", X, self.factor)


class ChannelShuffle(Op, name="channel_shuffle", family="shape"):
    """Interleaves groups of channels, so that the next grouped convolution sees all of them.

    Source: torch.nn.ChannelShuffle; Zhang et al., ShuffleNet, 2018.
    """

    example = "channel_shuffle 2"
    lifts = "nn.ChannelShuffle", "channel_shuffle", "view", "reshape"
    example_input = (64, 16, 16)

    groups: int = arg(Int(1), doc="number of groups; must divide the channels", told="groups={}")

    @classmethod
    def of(cls, seen: Seen) -> Lifted | None:
        if "groups" in seen.args:
            return super().of(seen)
        # written by hand: a view as groups, their two dimensions exchanged, and back
        swap = seen.maker(0)
        split = swap.maker(0) if swap is not None else None
        if swap is None or split is None or split.name not in ("view", "reshape"):
            return None
        channels, shape = split.inputs[0][:1], split.output
        exchanged = (shape[1], shape[0], *shape[2:]) if len(shape) > 1 else ()
        by_hand = (
            {swap.args.get("dim0"), swap.args.get("dim1")} == {1, 2}
            and seen.output == split.inputs[0] == (*channels, *shape[2:])
            and swap.output == exchanged
        )
        return Lifted(cls(groups=shape[0]), origin=2) if by_hand else None

    def shape(self, *inputs: Shape) -> Shape:
        channels, _ = image(self, inputs[0])
        check_groups(self.groups, channels)
        return inputs[0]

    def module(self, *inputs: Shape) -> Call:
        return call("nn.ChannelShuffle", self.groups)

    def function(self, *inputs: Shape) -> Call:
        return call("F.channel_shuffle", X, self.groups)
