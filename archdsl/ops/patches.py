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
    support = '''\
class Partition(nn.Module):
    """(batch, channels, height, width) to (batch, windows, places, channels)."""

    def __init__(self, height, width):
        super().__init__()
        self.height, self.width = height, width

    def forward(self, x):
        batch, channels, height, width = x.shape
        rows, columns = height // self.height, width // self.width
        x = x.reshape(batch, channels, rows, self.height, columns, self.width)
        x = x.permute(0, 2, 4, 3, 5, 1)
        return x.reshape(batch, rows * columns, self.height * self.width, channels)

    def extra_repr(self):
        return f"{self.height}, {self.width}"
'''

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
    support = '''\
class Departition(nn.Module):
    """(batch, windows, places, channels) to (batch, channels, height, width)."""

    def __init__(self, height, width, rows):
        super().__init__()
        self.height, self.width, self.rows = height, width, rows

    def forward(self, x):
        batch, windows, _, channels = x.shape
        columns = windows // self.rows
        x = x.reshape(batch, self.rows, columns, self.height, self.width, channels)
        x = x.permute(0, 5, 1, 3, 2, 4)
        return x.reshape(batch, channels, self.rows * self.height, columns * self.width)

    def extra_repr(self):
        return f"{self.height}, {self.width}, rows={self.rows}"
'''

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
    support = '''\
class PatchMerge(nn.Module):
    """(batch, height, width, channels) to half the size and four times the channels."""

    def forward(self, x):
        x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        return torch.cat([x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)], -1)
'''

    def shape(self, *inputs: Shape) -> Shape:
        height, width, channels = layout(self, inputs[0], "H×W×C")
        return -(-height // 2), -(-width // 2), 4 * channels

    def reach(self, *inputs: Shape) -> Reach:
        return (2, 2), (2, 2)

    def module(self, *inputs: Shape) -> Call:
        return call("PatchMerge")
