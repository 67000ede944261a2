"""What moves, repeats or cuts along dimensions, which are counted without the batch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from archdsl.ops.seen import NoField, Seen
from archdsl.ops.spatial import DIM, along, axis, batched, resized
from archdsl.ops.table import VIEW, Blame, Call, Lifted, Op, Reach, Shape, X, arg, call
from archdsl.ops.types import Int, Ints
from archdsl.text import shape_text


class Flip(Op, name="flip", family="shape"):
    """The other way round along some dimensions: `flip [2]` mirrors C×H×W.

    Source: torch.flip.
    """

    example = "flip [2]"
    lifts = "Flip", "flip"
    counting = ("dims",)
    support = "tiling"
    fresh = True
    passes = True

    dims: tuple[int, ...] = arg(Ints(), doc="dimensions, counted without the batch")

    def shape(self, *inputs: Shape) -> Shape:
        places = [axis("dims", d, inputs[0]) for d in self.dims]
        if len(set(places)) < len(places):
            raise Blame("dims", "a dimension stands twice")
        return inputs[0]

    def reach(self, *inputs: Shape) -> Reach:
        return along(inputs[0], *self.dims)

    def module(self, *inputs: Shape) -> Call:
        return call("Flip", *map(batched, self.dims))

    def function(self, *inputs: Shape) -> Call:
        return call("torch.flip", X, tuple(map(batched, self.dims)))


class Roll(Op, name="roll", family="shape"):
    """Moves everything by some places along dimensions; what leaves at one end comes in at the
    other: `roll [3, 3] [1, 2]` shifts C×H×W down and to the right.

    Source: torch.roll.
    """

    example = "roll [3, 3] [1, 2]"
    lifts = "Roll", "roll"
    aliases = (("by", "shifts"),)
    counting = ("dims",)
    support = "tiling"
    fresh = True
    passes = True

    by: tuple[int, ...] = arg(Ints(), doc="how many places, a number for each dimension")
    dims: tuple[int, ...] = arg(Ints(), doc="these dimensions, counted without the batch")

    def shape(self, *inputs: Shape) -> Shape:
        if len(self.by) != len(self.dims):
            counts = f"{len(self.by)} shifts, but {len(self.dims)} dimensions"
            raise Blame("by", counts, help="a shift for each dimension")
        for dim in self.dims:
            axis("dims", dim, inputs[0])
        return inputs[0]

    def reach(self, *inputs: Shape) -> Reach:
        return along(inputs[0], *self.dims)

    def module(self, *inputs: Shape) -> Call:
        return call("Roll", self.by, self._dims())

    def function(self, *inputs: Shape) -> Call:
        return call("torch.roll", X, self.by, self._dims())

    def _dims(self) -> tuple[int, ...]:
        return tuple(map(batched, self.dims))


class Tile(Op, name="tile", family="shape"):
    """Puts copies side by side, so many along each dimension: `tile [1, 2, 2]` doubles the height
    and the width of C×H×W.

    Source: torch.tile.
    """

    example = "tile [1, 2, 2]"
    lifts = "Tile", "tile", "repeat"
    support = "tiling"
    passes = True

    repeats: tuple[int, ...] = arg(Ints(1), doc="how often, a number for each dimension")

    @classmethod
    def _given(cls, seen: Seen) -> dict[str, Any]:
        if "." in seen.name or seen.name == "Tile":
            return super()._given(seen)
        every = seen.args.get("dims", seen.args.get("repeats", seen.args.get("sizes")))
        if not isinstance(every, (tuple, list)) or len(every) != len(seen.inputs[0]) + 1:
            raise NoField
        if every[0] != 1:
            raise NoField  # of the batch
        return super()._given(Seen(seen.name, {"repeats": every[1:]}, seen.inputs))

    def shape(self, *inputs: Shape) -> Shape:
        _for_each("repeats", self.repeats, inputs[0])
        return tuple(side * n for side, n in zip(inputs[0], self.repeats, strict=True))

    def reach(self, *inputs: Shape) -> Reach:
        return along(inputs[0], *(place for place, n in enumerate(self.repeats) if n > 1))

    def module(self, *inputs: Shape) -> Call:
        return call("Tile", *self.repeats)

    def function(self, *inputs: Shape) -> Call:
        return call("torch.tile", X, (1, *self.repeats))


class Expand(Op, name="expand", family="shape"):
    """Repeats what is 1 in a dimension up to a size there, without a copy: `expand [-1, 7, 7]`
    makes a map of C×1×1.

    Source: torch.Tensor.expand.
    """

    example = "expand [-1, 7, 7]"
    example_input = (64, 1, 1)
    general = True
    lifts = "Expand", "expand", "broadcast_to"
    support = "tiling"
    passes = True

    sizes: tuple[int, ...] = arg(
        Ints(-1), doc="the sizes, a number for each dimension; -1 leaves it as it is"
    )

    @classmethod
    def of(cls, seen: Seen) -> Lifted | None:
        if seen.name == "Expand":
            return super().of(seen)
        same = len(seen.output) == len(seen.inputs[0])
        return Lifted(cls(sizes=seen.output), (0,)) if same and seen.batched else None

    def shape(self, *inputs: Shape) -> Shape:
        _for_each("sizes", self.sizes, inputs[0])
        for place, (side, size) in enumerate(zip(inputs[0], self.sizes, strict=True)):
            if size == 0:
                raise Blame("sizes", "a size of 0 leaves no values")
            if size not in (-1, side) and side != 1:
                message = f"dimension {place} has {side}, which is not repeated to {size}"
                raise Blame(
                    "sizes", message, kind="fit", help="only a 1 is; `tile` repeats what is larger"
                )
        return tuple(
            side if size == -1 else size for side, size in zip(inputs[0], self.sizes, strict=True)
        )

    def module(self, *inputs: Shape) -> Call:
        return call("Expand", *self.sizes)


class RepeatInterleave(Op, name="repeat_interleave", family="shape"):
    """Repeats each element of a dimension `n` times, one beside the other: `repeat_interleave 2`
    doubles each channel.

    Source: torch.repeat_interleave.
    """

    example = "repeat_interleave 2"
    lifts = "RepeatInterleave", "repeat_interleave"
    aliases = (("n", "repeats"),)
    counting = ("dim",)
    support = "tiling"
    passes = True

    n: int = arg(Int(1), doc="how often")
    dim: int = arg(Int(), default=0, doc=DIM, keyword=True)

    @classmethod
    def _given(cls, seen: Seen) -> dict[str, Any]:
        if "dim" not in seen.args or seen.args["dim"] is None:
            raise NoField  # of all values in a row
        return super()._given(seen)

    def shape(self, *inputs: Shape) -> Shape:
        place = axis("dim", self.dim, inputs[0])
        return resized(inputs[0], place, inputs[0][place] * self.n)

    def reach(self, *inputs: Shape) -> Reach:
        place, rank = self.dim % len(inputs[0]), len(inputs[0])
        return tuple((1, 1 / self.n if d == place else 1) for d in range(1, rank)) if place else ()

    def module(self, *inputs: Shape) -> Call:
        return call("RepeatInterleave", self.n, dim=batched(self.dim))

    def function(self, *inputs: Shape) -> Call:
        return call("torch.repeat_interleave", X, self.n, dim=batched(self.dim))


class Split(Op, name="split", family="shape"):
    """Cuts a dimension into parts of these sizes and takes one of them: `split [16, 48] 0` are the
    first 16 of 64 channels. `chunk` makes equal parts.

    Source: torch.split.
    """

    example = "split [16, 48] 0"
    example_input = (64, 16, 16)
    lifts = ("Split",)
    counting = ("dim",)
    reads = VIEW
    support = "tiling"

    sizes: tuple[int, ...] = arg(Ints(1, one=False), doc="the sizes of the parts")
    index: int = arg(Int(), doc="which part; the first is 0, the last -1")
    dim: int = arg(Int(), default=0, doc=DIM, keyword=True)

    def shape(self, *inputs: Shape) -> Shape:
        place, count = axis("dim", self.dim, inputs[0]), len(self.sizes)
        if sum(self.sizes) != inputs[0][place]:
            parts = " + ".join(map(str, self.sizes))
            message = f"{parts} is {sum(self.sizes)}, but dimension {place} has {inputs[0][place]}"
            raise Blame("sizes", message, kind="fit")
        if not -count <= self.index < count:
            raise Blame("index", f"there is no part {self.index} among {count}")
        return resized(inputs[0], place, self.sizes[self.index])

    def module(self, *inputs: Shape) -> Call:
        return call("Split", self.sizes, self.index, dim=batched(self.dim))

    def function(self, *inputs: Shape) -> Call:
        parts = call("torch.split_with_sizes", X, self.sizes, dim=batched(self.dim))
        return replace(parts, item=self.index)


def _for_each(field: str, numbers: tuple[int, ...], shape: Shape) -> None:
    if len(numbers) != len(shape):
        message = f"{len(numbers)} numbers, but the input is {shape_text(shape)}"
        raise Blame(field, message, help="a number for each dimension, without the batch")
