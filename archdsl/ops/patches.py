"""Images as windows and patches, the tokens that attention runs over, and back."""

from __future__ import annotations

import math

from archdsl.ops.spatial import layout, spread
from archdsl.ops.table import Blame, Call, Op, Reach, Shape, arg, call
from archdsl.ops.types import Int, Size
from archdsl.text import shape_text


class Partition(Op, name="partition", family="patches"):
    """Cuts a C×H×W map into windows of `size`: one row for each window, one column for each place
    in it, G×P×C. `departition` puts them together again.

    Source: torchvision.models.maxvit.WindowPartition.
    """

    example = "partition 7"
    example_input = (64, 56, 56)
    support = "patches"

    size: tuple[int, ...] = arg(Size(1), doc="size of the windows; must divide the map")

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
    example_input = (64, 49, 64)
    support = "patches"

    size: tuple[int, ...] = arg(Size(1), doc="size of the windows")
    rows: int = arg(Int(1), doc="how many windows there are from top to bottom")

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

    example = "patch_merge"
    example_input = (56, 56, 96)
    fresh = True
    support = "patches"

    def shape(self, *inputs: Shape) -> Shape:
        height, width, channels = layout(self, inputs[0], "H×W×C")
        return -(-height // 2), -(-width // 2), 4 * channels

    def reach(self, *inputs: Shape) -> Reach:
        return (2, 2), (2, 2)

    def module(self, *inputs: Shape) -> Call:
        return call("PatchMerge")
