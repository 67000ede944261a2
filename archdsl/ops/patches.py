"""Images as windows and patches, the tokens that attention runs over, and back."""

from __future__ import annotations

import math
from typing import Any

from archdsl.ops.seen import Seen
from archdsl.ops.spatial import fold, layout, slide, spread, windows
from archdsl.ops.table import ALL, Blame, Call, Lifted, Op, Reach, Shape, X, arg, call
from archdsl.ops.types import Int, Size
from archdsl.text import shape_text

_WINDOW = ("kernel", "kernel_size"), ("pad", "padding")


class Partition(Op, name="partition", family="patches"):
    """Cuts a C×H×W map into windows of `size`: one row for each window, one column for each place
    in it, G×P×C. `departition` puts them together again.

    Source: torchvision.models.maxvit.WindowPartition.
    """

    example = "partition 7"
    lifts = "Partition", "torchvision.models.maxvit.WindowPartition"
    example_input = (64, 56, 56)
    support = "patches"

    size: tuple[int, ...] = arg(Size(1), doc="size of the windows; must divide the map")

    @classmethod
    def _given(cls, seen: Seen) -> dict[str, Any]:
        if "height" in seen.args:
            return {"size": (seen.args["height"], seen.args["width"])}
        return {"size": (math.isqrt(seen.output[1]),)}  # torchvision's are square

    def shape(self, *inputs: Shape) -> Shape:
        channels, *space = layout(self, inputs[0], "C×H×W")
        size = spread("size", self.size, 2)
        windows = [n // s for n, s in zip(space, size, strict=True)]
        if any(n % s for n, s in zip(space, size, strict=True)):
            message = (
                f"windows of {shape_text(size)} do not divide the {shape_text(tuple(space))} map"
            )
            raise Blame("size", message, kind="fit")
        return math.prod(windows), math.prod(size), channels

    def module(self, *inputs: Shape) -> Call:
        return call("Partition", *spread("size", self.size, 2))


class Departition(Op, name="departition", family="patches"):
    """Puts windows together again, `rows` of them from top to bottom: G×P×C becomes C×H×W. The
    inverse of `partition`, with the same `size`.

    Source: torchvision.models.maxvit.WindowDepartition.
    """

    example = "departition 7 8"
    lifts = "Departition", "torchvision.models.maxvit.WindowDepartition"
    example_input = (64, 49, 64)
    support = "patches"

    size: tuple[int, ...] = arg(Size(1), doc="size of the windows")
    rows: int = arg(Int(1), doc="how many windows there are from top to bottom")

    @classmethod
    def _given(cls, seen: Seen) -> dict[str, Any]:
        if "rows" in seen.args:
            size = (seen.args["height"], seen.args["width"])
            return {"size": size, "rows": seen.args["rows"]}
        side = math.isqrt(seen.inputs[0][1])
        return {"size": (side,), "rows": seen.output[1] // side}

    def shape(self, *inputs: Shape) -> Shape:
        windows, places, channels = layout(self, inputs[0], "G×P×C")
        height, width = spread("size", self.size, 2)
        if places != height * width:
            raise Blame("size", f"{places} places do not make windows of {height}x{width}")
        if windows % self.rows:
            raise Blame("rows", f"{windows} windows do not make {self.rows} rows")
        return channels, self.rows * height, windows // self.rows * width

    def module(self, *inputs: Shape) -> Call:
        return call("Departition", *spread("size", self.size, 2), self.rows)


class PatchMerge(Op, name="patch_merge", family="patches"):
    """Halves an H×W×C map: the channels of each 2×2 patch, one after the other, become 4·C. An odd
    side is padded.

    Source: torchvision.models.swin_transformer.PatchMerging; Liu et al., Swin Transformer, 2021.
    """

    autocast = "half"
    example = "patch_merge"
    lifts = "PatchMerge", "cat"
    example_input = (56, 56, 96)
    fresh = True
    support = "patches"

    @classmethod
    def of(cls, seen: Seen) -> Lifted | None:
        if seen.name != "cat":
            return Lifted(cls())
        # written by hand: every second row and column, four times
        parts = [_every_second(seen, place) for place in range(len(seen.inputs))]
        offsets = [(row, column) for row, column, _ in parts]
        whole = {source for _, _, source in parts}
        if offsets != [(0, 0), (1, 0), (0, 1), (1, 1)] or len(whole) != 1:
            return None
        return Lifted(cls(), (0,), origin=2) if len(seen.output) == 3 else None

    def shape(self, *inputs: Shape) -> Shape:
        height, width, channels = layout(self, inputs[0], "H×W×C")
        return -(-height // 2), -(-width // 2), 4 * channels

    def reach(self, *inputs: Shape) -> Reach:
        return (2, 2), (2, 2)

    def module(self, *inputs: Shape) -> Call:
        return call("PatchMerge")


def _every_second(seen: Seen, place: int) -> tuple[int, int, Any]:
    """From which row and column on an input has every second one, and of what; -1: it has not."""
    columns = seen.maker(place)
    rows = columns.maker(0) if columns is not None else None
    if columns is None or rows is None:
        return -1, -1, None
    starts = [
        part.args.get("start", -1) if part.args.get("step") == 2 and part.args["dim"] == dim else -1
        for dim, part in ((1, rows), (2, columns))
    ]
    return starts[0], starts[1], rows.sources[0]


class Unfold(Op, name="unfold", family="patches"):
    """Every window of a C×H×W map as a column: C·k·k×L, for L windows of k×k.

    Source: torch.nn.Unfold.
    """

    example = "unfold 3x3 pad=1"
    lifts = "nn.Unfold", "unfold"
    aliases = _WINDOW
    fresh = True

    kernel: tuple[int, ...] = arg(Size(1), doc="size of the windows")
    stride: tuple[int, ...] = arg(
        Size(1), default=(1,), doc="step of the windows; `/2`", keyword=True, told="/{}"
    )
    pad: tuple[int, ...] = arg(Size(0), default=(0,), doc="zeros on each side", keyword=True)
    dilation: tuple[int, ...] = arg(Size(1), default=(1,), doc="gap between taps", keyword=True)

    def shape(self, *inputs: Shape) -> Shape:
        channels, *space = layout(self, inputs[0], "C×H×W")
        steps = slide(tuple(space), self.kernel, self.stride, self.pad, self.dilation)
        return channels * math.prod(spread("kernel", self.kernel, 2)), math.prod(steps)

    def reach(self, *inputs: Shape) -> Reach:
        return windows(2, self.kernel, self.stride, self.dilation)

    def module(self, *inputs: Shape) -> Call:
        return call("nn.Unfold", fold("kernel", self.kernel, 2), **_sliding(self))

    def function(self, *inputs: Shape) -> Call:
        return call("F.unfold", X, fold("kernel", self.kernel, 2), **_sliding(self))


class Fold(Op, name="fold", family="patches"):
    """Columns back to a C×H×W map of `size`, where windows that overlap add up: the inverse of
    `unfold` with the same arguments, but for that.

    Source: torch.nn.Fold.
    """

    example = "fold 8x8 2x2 /2"
    example_input = (12, 16)
    lifts = "nn.Fold", "fold"
    aliases = (("size", "output_size"), *_WINDOW)
    fresh = True

    size: tuple[int, ...] = arg(Size(1), doc="size of the map")
    kernel: tuple[int, ...] = arg(Size(1), doc="size of the windows")
    stride: tuple[int, ...] = arg(
        Size(1), default=(1,), doc="step of the windows; `/2`", keyword=True, told="/{}"
    )
    pad: tuple[int, ...] = arg(Size(0), default=(0,), doc="cut off on each side", keyword=True)
    dilation: tuple[int, ...] = arg(Size(1), default=(1,), doc="gap between taps", keyword=True)

    def shape(self, *inputs: Shape) -> Shape:
        rows, columns = layout(self, inputs[0], "C×L")
        size, taps = spread("size", self.size, 2), math.prod(spread("kernel", self.kernel, 2))
        if rows % taps:
            message = f"{rows} rows do not divide into windows of {taps} places"
            raise Blame("kernel", message, kind="fit")
        steps = slide(size, self.kernel, self.stride, self.pad, self.dilation)
        if math.prod(steps) != columns:
            message = f"a map of {shape_text(size)} has {shape_text(steps)} windows, not {columns}"
            raise Blame("size", message, kind="fit")
        return (rows // taps, *size)

    def reach(self, *inputs: Shape) -> Reach:
        return ALL

    def module(self, *inputs: Shape) -> Call:
        sizes = fold("size", self.size, 2), fold("kernel", self.kernel, 2)
        return call("nn.Fold", *sizes, **_sliding(self))

    def function(self, *inputs: Shape) -> Call:
        sizes = fold("size", self.size, 2), fold("kernel", self.kernel, 2)
        return call("F.fold", X, *sizes, **_sliding(self))


def _sliding(op: Unfold | Fold) -> dict[str, tuple[Any, Any]]:
    return {
        "dilation": (fold("dilation", op.dilation, 2), 1),
        "padding": (fold("pad", op.pad, 2), 0),
        "stride": (fold("stride", op.stride, 2), 1),
    }
