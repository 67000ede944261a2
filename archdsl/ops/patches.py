"""Images as windows and patches, the tokens that attention runs over, and back."""

from __future__ import annotations

import math
from typing import Any

from archdsl.ops.seen import Seen
from archdsl.ops.spatial import layout, spread
from archdsl.ops.table import Blame, Call, Lifted, Op, Reach, Shape, arg, call
from archdsl.ops.types import Int, Size
from archdsl.text import shape_text


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
