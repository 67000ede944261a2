"""Pooling. As with convolutions the input's rank chooses the dimension."""

from __future__ import annotations

import math
import operator
from typing import Any, ClassVar

from archdsl.ops.seen import NoField, Seen
from archdsl.ops.spatial import (
    SAME_TF,
    SAME_TF_DOC,
    fold,
    image,
    no_fit,
    same_border,
    slide,
    spread,
    windows,
)
from archdsl.ops.table import ALL, INPUT, Blame, Call, Op, Reach, Saved, Shape, X, arg, call
from archdsl.ops.types import Bool, Size


def dimensional(torch: tuple[str, str]) -> tuple[str, ...]:
    """torch's names of a module and a function for one to three dimensions."""
    module, function = torch
    names = (f"nn.{module}{{}}d", f"{function}{{}}d", f"{module}{{}}dSame")
    return tuple(name.format(n) for n in (1, 2, 3) for name in names)


class _Pool(Op):
    """A window slides over each channel."""

    torch: ClassVar[tuple[str, str]]
    fresh = True
    maps = True
    support = "same"
    aliases = (("kernel", "kernel_size"), ("pad", "padding"), ("ceil", "ceil_mode"))
    follows = ("kernel", "stride")

    kernel: tuple[int, ...] = arg(Size(1), doc="size of the window")
    stride: tuple[int, ...] | None = arg(
        Size(1),
        default=None,
        doc="step of the window; the kernel where not given",
        keyword=True,
        told="/{}",
    )
    pad: tuple[int, ...] | str = arg(
        Size(0, (SAME_TF,)),
        default=(0,),
        doc=f"padding on each side, at most half the kernel; {SAME_TF_DOC}",
        keyword=True,
    )
    ceil: bool = arg(
        Bool(), default=False, doc="keep a last window that reaches over the edge", keyword=True
    )
    dilation: tuple[int, ...] = (1,)  # an argument of max pooling alone

    @property
    def step(self) -> tuple[int, ...]:
        return self.kernel if self.stride is None else self.stride

    def shape(self, *inputs: Shape) -> Shape:
        channels, space = image(self, inputs[0])
        n = len(space)
        pads = () if isinstance(self.pad, str) else spread("pad", self.pad, n)
        for k, p in zip(spread("kernel", self.kernel, n), pads, strict=False):
            if p > k // 2:
                raise Blame(
                    "pad", f"{p} is more than half the kernel {k}", help=f"at most {k // 2}"
                )
        result = slide(space, self.kernel, self.step, self.pad, self.dilation, ceil=self.ceil)
        return (channels, *result)

    def saved(self, *inputs: Shape) -> Saved:
        if self.pad != SAME_TF:
            return INPUT
        channels, *space = inputs[0]  # a copy with its border
        border = same_border(tuple(space), self.kernel, self.step, self.dilation)
        return Saved(more=4 * channels * math.prod(map(operator.add, space, border)))

    def footprint(self, *inputs: Shape) -> Shape:
        return spread("kernel", self.kernel, len(inputs[0]) - 1)

    def reach(self, *inputs: Shape) -> Reach:
        return windows(len(inputs[0]) - 1, self.kernel, self.step, self.dilation)

    @classmethod
    def _given(cls, seen: Seen) -> dict[str, Any]:
        if seen.args.get("return_indices") or seen.args.get("divisor_override"):
            raise NoField
        if not seen.args.get("stride", True):  # none is given: the kernel's
            seen = Seen(seen.name, {**seen.args, "stride": None}, seen.inputs)
        values = super()._given(seen)
        if seen.name.endswith("Same"):
            values["pad"] = SAME_TF
        if values.get("stride") in (values["kernel"], ()):
            del values["stride"]
        return values

    def _settings(self, n: int) -> dict[str, tuple[Any, Any]]:
        kernel = fold("kernel", self.kernel, n)
        return {
            "kernel_size": (kernel, None),
            "stride": (fold("stride", self.step, n), kernel),
            "padding": (fold("pad", self.pad, n), 0),
            "dilation": (fold("dilation", self.dilation, n), 1),
            "ceil_mode": (self.ceil, False),
        }

    def module(self, *inputs: Shape) -> Call:
        n = len(inputs[0]) - 1
        if self.pad == SAME_TF:
            window = [self.kernel, self.step] + [self.dilation] * ("dilation" in self.args)
            return call(f"{self.torch[0]}{n}dSame", *(spread("", value, n) for value in window))
        return call(f"nn.{self.torch[0]}{n}d", **self._settings(n))

    def function(self, *inputs: Shape) -> Call | None:
        n = len(inputs[0]) - 1
        if self.pad == SAME_TF:
            return None
        return call(f"F.{self.torch[1]}{n}d", X, **self._settings(n))


class MaxPool(_Pool, name="maxpool", family="pooling"):
    """The largest value in a window that slides over each channel.

    Source: torch.nn.MaxPool2d.
    """

    example = "maxpool 3x3 /2 pad=1"
    torch = "MaxPool", "max_pool"
    lifts = (*dimensional(torch), "timm.layers.pool2d_same.MaxPool2dSame")

    dilation: tuple[int, ...] = arg(
        Size(1), default=(1,), doc="gap between taps", keyword=True, told="dilation={}"
    )

    def shape(self, *inputs: Shape) -> Shape:
        result = super().shape(*inputs)
        n = len(result) - 1
        kernel, gaps = (spread(f, getattr(self, f), n) for f in ("kernel", "dilation"))
        for side, taps, gap in zip(inputs[0][1:], kernel, gaps, strict=True):
            if taps > 1 and gap > side:  # torch's backward then writes outside of its memory
                problem = f"taps {gap} apart in {side} cells: some windows see padding alone"
                raise Blame("dilation", problem, help=f"at most {side}")
        return result

    def saved(self, *inputs: Shape) -> Saved:
        kept, places = super().saved(*inputs), _places(self, *inputs)
        return Saved(input=kept.input, more=kept.more + places.more)


class AvgPool(_Pool, name="avgpool", family="pooling"):
    """The mean of a window that slides over each channel. For the mean over all of H×W see `gap`.

    Source: torch.nn.AvgPool2d.
    """

    example = "avgpool 2x2 /2"
    torch = "AvgPool", "avg_pool"
    lifts = dimensional(torch)

    count_include_pad: bool = arg(
        Bool(),
        default=True,
        doc="the padding's zeros count in the mean (those of `same_tf` never do)",
        keyword=True,
    )

    def shape(self, *inputs: Shape) -> Shape:
        result, space = super().shape(*inputs), inputs[0][1:]
        # torch's AvgPool3d alone does not count the padding here
        if len(space) == 3 and any(map(operator.lt, space, spread("kernel", self.kernel, 3))):
            raise no_fit(self.kernel, space)
        return result

    def _settings(self, n: int) -> dict[str, tuple[Any, Any]]:
        return {**super()._settings(n), **self.keywords("count_include_pad")}


class _Adaptive(Op):
    """The windows are chosen so that the output has the wanted size."""

    torch: ClassVar[tuple[str, str]]
    fresh = True
    maps = True
    aliases = (("out", "output_size"),)
    follows = ("out",)

    out: tuple[int, ...] = arg(Size(1), default=(1,), doc="size of the output")

    def shape(self, *inputs: Shape) -> Shape:
        channels, space = image(self, inputs[0])
        return (channels, *spread("out", self.out, len(space)))

    def reach(self, *inputs: Shape) -> Reach:
        pairs = list(zip(inputs[0][1:], self.shape(*inputs)[1:], strict=True))
        if all(out == 1 for _, out in pairs):
            return ALL
        return tuple((-(-side // out), side / out) for side, out in pairs)

    def module(self, *inputs: Shape) -> Call:
        n = len(inputs[0]) - 1
        return call(f"nn.{self.torch[0]}{n}d", fold("out", self.out, n))

    def function(self, *inputs: Shape) -> Call:
        n = len(inputs[0]) - 1
        return call(f"F.{self.torch[1]}{n}d", X, fold("out", self.out, n))


class GlobalAvgPool(_Adaptive, name="gap", family="pooling"):
    """Global average pooling: the mean of each channel, or of a grid of cells of it (`gap 6x6`),
    whatever the input's size.

    Source: torch.nn.AdaptiveAvgPool2d.
    """

    example = "gap"
    torch = "AdaptiveAvgPool", "adaptive_avg_pool"
    lifts = dimensional(torch)

    def saved(self, *inputs: Shape) -> Saved:
        # torch has a mean for the one case, which needs the sizes alone
        return Saved() if set(self.out) == {1} else INPUT


class AdaptiveMaxPool(_Adaptive, name="adaptive_maxpool", family="pooling"):
    """The largest value of each channel, or of each cell of a grid, whatever the input's size.

    Source: torch.nn.AdaptiveMaxPool2d.
    """

    example = "adaptive_maxpool 7x7"
    torch = "AdaptiveMaxPool", "adaptive_max_pool"
    lifts = dimensional(torch)

    def saved(self, *inputs: Shape) -> Saved:
        return _places(self, *inputs)


def _places(op: Op, *inputs: Shape) -> Saved:
    """Where each of the largest values was: a whole number of 8 bytes."""
    return Saved(input=True, more=8 * math.prod(op.shape(*inputs)))
