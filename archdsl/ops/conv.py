"""Convolutions. The input's rank chooses the dimension: C×L, C×H×W or C×D×H×W."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from archdsl.ops.seen import Seen
from archdsl.ops.spatial import (
    SAME_TF,
    SAME_TF_DOC,
    check_border,
    check_groups,
    fold,
    image,
    same_border,
    slide,
    spread,
    windows,
)
from archdsl.ops.table import INPUT, Blame, Call, Lifted, Op, Reach, Saved, Shape, Weight, arg, call
from archdsl.ops.types import Bool, Choice, Int, Size
from archdsl.text import shape_text

PADDING_MODES = Choice(("zeros", "reflect", "replicate", "circular"))


class _Filters(Op):
    """What both directions share: learned filters over channels and space. Each declares `pad`
    again, in its own sense; here it takes its place in the signature."""

    fresh = True
    linear = True
    filters_at = 0
    reads = INPUT
    maps = True
    shifts = True
    may_lack = frozenset({"bias"})
    free = ("out",)
    aliases = (
        ("out", "out_channels"),
        ("kernel", "kernel_size"),
        ("pad", "padding"),
        ("output_pad", "output_padding"),
    )

    out: int = arg(Int(1), doc="output channels, the number of filters")
    kernel: tuple[int, ...] = arg(Size(1), doc="size of the filters")
    stride: tuple[int, ...] = arg(
        Size(1), default=(1,), doc="step of the filters; `/2`", keyword=True, told="/{}"
    )
    pad: tuple[int, ...] | str = arg(Size(0), default=(0,), doc="", keyword=True)
    dilation: tuple[int, ...] = arg(
        Size(1), default=(1,), doc="gap between taps", keyword=True, told="dilation={}"
    )
    groups: int = arg(
        Int(1),
        default=1,
        doc="independent groups of channels; `groups=in` is depthwise",
        keyword=True,
        told="groups={}",
    )
    bias: bool = arg(Bool(), default=True, doc="add a learned bias", keyword=True)

    def filters(self, first: int, second: int, n: int) -> tuple[Weight, ...]:
        weight = Weight("weight", (first, second // self.groups, *spread("kernel", self.kernel, n)))
        return (weight, Weight("bias", (self.out,))) if self.bias else (weight,)

    def padding(self, n: int) -> tuple[int, ...] | str:
        """`pad` as torch takes it."""
        return self.pad

    def constructor(self, name: str, shape: Shape, **more: tuple[Any, Any]) -> Call:
        n = len(shape) - 1
        return call(
            f"nn.{name}{n}d",
            shape[0],
            self.out,
            kernel_size=(fold("kernel", self.kernel, n), None),
            stride=(fold("stride", self.stride, n), 1),
            padding=(fold("pad", self.padding(n), n), 0),
            dilation=(fold("dilation", self.dilation, n), 1),
            **self.keywords("groups", "bias"),
            **more,
        )


class Conv(_Filters, name="conv", family="convolution"):
    """Convolution of a C×H×W input (also C×L and C×D×H×W) with `out` learned filters. The input's
    channels are never written: they flow in.

    Source: torch.nn.Conv2d.
    """

    autocast = "half"
    example = "conv 64 7x7 /2 pad=3 bias=false"
    support = "same"
    lifts = (
        *(name for n in (1, 2, 3) for name in (f"nn.Conv{n}d", f"Conv{n}dSame", f"conv{n}d")),
        "timm.layers.conv2d_same.Conv2dSame",
    )

    pad: tuple[int, ...] | str = arg(
        Size(0, ("half", "same", SAME_TF, "valid")),
        default=(0,),
        doc="zeros added on each side; `half` the kernel, rounded down, which keeps the size at "
        f"stride 1 where the kernel is odd; `same` keeps it with any kernel; {SAME_TF_DOC}",
        keyword=True,
    )
    padding_mode: str = arg(
        PADDING_MODES, default="zeros", doc="what the padding holds", keyword=True
    )

    @classmethod
    def _given(cls, seen: Seen) -> dict[str, Any]:
        weight = seen.tensor("weight")
        if weight is not None:
            sizes = {"out_channels": weight[0], "kernel_size": weight[2:]}
            seen = Seen(seen.name, {**seen.args, **sizes}, seen.inputs)
        values = super()._given(seen)
        return {**values, "pad": SAME_TF} if seen.name.endswith("Same") else values

    @classmethod
    def of(cls, seen: Seen) -> Lifted | None:
        made = super().of(seen)
        return made and Lifted(made.op, (0,))

    def shape(self, *inputs: Shape) -> Shape:
        channels, space = image(self, inputs[0])
        check_groups(self.groups, channels, "input channels", self.out)
        check_groups(self.groups, self.out, "output channels", channels)
        if self.pad == "same" and any(s != 1 for s in self.stride):
            raise Blame(
                "pad",
                "`same` padding needs stride 1",
                help="a number (`pad=1`), or `pad=same_tf`, as TensorFlow pads at any stride",
            )
        if self.pad == SAME_TF and self.padding_mode != "zeros":
            raise Blame("padding_mode", "`same_tf` pads with zeros alone", help="leave it out")
        pads = self.padding(len(space))
        result = slide(space, self.kernel, self.stride, pads, self.dilation)
        for size, pad in zip(space, self._border(len(space)), strict=True):
            check_border("pad", self.padding_mode, size, pad)
        return (self.out, *result)

    def padding(self, n: int) -> tuple[int, ...] | str:
        if self.pad != "half":
            return self.pad
        return tuple((k - 1) // 2 * d for k, d in self._taps(n))

    def reach(self, *inputs: Shape) -> Reach:
        return windows(len(inputs[0]) - 1, self.kernel, self.stride, self.dilation)

    def _taps(self, n: int) -> Iterator[tuple[int, int]]:
        """The kernel's size and the dilation, for each dimension."""
        kernel, dilation = spread("kernel", self.kernel, n), spread("dilation", self.dilation, n)
        return zip(kernel, dilation, strict=True)

    def _border(self, n: int) -> Shape:
        """The wider side of the padding, for each dimension."""
        if self.pad == "same":
            return tuple((d * (k - 1) + 1) // 2 for k, d in self._taps(n))
        pads = self.padding(n)
        return (0,) * n if isinstance(pads, str) else spread("pad", pads, n)

    def footprint(self, *inputs: Shape) -> Shape:
        if self.padding_mode != "zeros":
            return ()  # copies of what is inside teach every weight
        return spread("kernel", self.kernel, len(inputs[0]) - 1)

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return self.filters(self.out, inputs[0][0], len(inputs[0]) - 1)

    def macs(self, *inputs: Shape) -> int:
        per_output = self.weights(*inputs)[0].size // self.out
        return math.prod(self.shape(*inputs)) * per_output

    def saved(self, *inputs: Shape) -> Saved:
        channels, *space = inputs[0]
        if self.pad == SAME_TF:
            return Saved(more=4 * channels * math.prod(map(operator.add, space, self._same(space))))
        if self.padding_mode == "zeros":
            return INPUT
        # torch copies the input into a larger one
        sides = (s + 2 * p for s, p in zip(space, self._border(len(space)), strict=True))
        reread = self.padding_mode != "circular"
        return Saved(input=reread, more=4 * channels * math.prod(sides))

    def _same(self, space: Sequence[int]) -> Shape:
        return same_border(tuple(space), self.kernel, self.stride, self.dilation)

    def module(self, *inputs: Shape) -> Call:
        made = self.constructor("Conv", inputs[0], **self.keywords("padding_mode"))
        if self.pad != SAME_TF:
            return made
        target = f"{made.target.removeprefix('nn.')}Same"
        kept, full = (
            tuple(pair for pair in pairs if pair[0] not in ("padding", "padding_mode"))
            for pairs in (made.kwargs, made.full)
        )
        return replace(made, target=target, kwargs=kept, full=full)


class Deconv(_Filters, name="deconv", family="convolution"):
    """Transposed convolution, the usual learned upsampling: `/2` doubles the size. Takes C×L, C×H×W
    or C×D×H×W.

    Source: torch.nn.ConvTranspose2d.
    """

    autocast = "half"
    example = "deconv 16 2x2 /2"
    filters_at = 1
    lifts = "nn.ConvTranspose1d", "nn.ConvTranspose2d", "nn.ConvTranspose3d"

    pad: tuple[int, ...] = arg(
        Size(0), default=(0,), doc="taken off the output on each side", keyword=True
    )
    output_pad: tuple[int, ...] = arg(
        Size(0), default=(0,), doc="added to the output on one side", keyword=True
    )

    def shape(self, *inputs: Shape) -> Shape:
        channels, space = image(self, inputs[0])
        check_groups(self.groups, channels, "input channels", self.out)
        check_groups(self.groups, self.out, "output channels", channels)
        fields = ("kernel", "stride", "pad", "dilation", "output_pad")
        windows = zip(*(spread(f, getattr(self, f), len(space)) for f in fields), strict=True)
        result = []
        for size, (k, s, p, d, extra) in zip(space, windows, strict=True):
            if extra >= max(s, d):
                raise Blame(
                    "output_pad", f"{extra} is not below the stride {s} or the dilation {d}"
                )
            result.append((size - 1) * s - 2 * p + d * (k - 1) + extra + 1)
        if any(side < 1 for side in result):
            raise Blame(
                "pad", f"nothing is left of the output: {shape_text(tuple(result))}", kind="fit"
            )
        return (self.out, *result)

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return self.filters(inputs[0][0], self.out, len(inputs[0]) - 1)

    def macs(self, *inputs: Shape) -> int:
        return math.prod(inputs[0][1:]) * self.weights(*inputs)[0].size

    def module(self, *inputs: Shape) -> Call:
        extra = fold("output_pad", self.output_pad, len(inputs[0]) - 1)
        return self.constructor("ConvTranspose", inputs[0], output_padding=(extra, 0))

    def reach(self, *inputs: Shape) -> Reach:
        n = len(inputs[0]) - 1
        seen = windows(n, self.kernel, self.stride, self.dilation)
        return tuple((-(-size // step), 1 / step) for size, step in seen)
