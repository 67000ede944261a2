"""What reorders values or takes some of them. Dimensions are counted without the batch, but for
`flatten`, which keeps torch's numbers."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, ClassVar

from archdsl.ops.seen import Batch, NoField, Seen
from archdsl.ops.spatial import DIM, axis, batched, resized
from archdsl.ops.table import (
    ALL,
    VIEW,
    Blame,
    Call,
    Computed,
    Lifted,
    Op,
    Reach,
    Shape,
    X,
    arg,
    call,
)
from archdsl.ops.types import Bool, Int, Ints
from archdsl.text import shape_text


class Identity(Op, name="identity", family="shape"):
    """Passes its input on: the empty branch of a join, or a place-holder for a name.

    Source: torch.nn.Identity.
    """

    example = "identity"
    idle = True
    lifts = (
        *("nn.Identity", "clone", "to", "float", "type_as"),
        *("expand", "expand_as", "broadcast_to"),
    )
    reads = VIEW
    passes = True

    @classmethod
    def of(cls, seen: Seen) -> Lifted | None:
        same = seen.inputs[0] in (seen.output, (1, *seen.output))  # a parameter may get a batch
        if seen.name in ("expand", "expand_as", "broadcast_to") and not (same or seen.broadcast):
            return None
        return Lifted(cls(), (0,))

    def module(self, *inputs: Shape) -> Call:
        return call("nn.Identity")

    def function(self, *inputs: Shape) -> Call:
        return call("+", X)


class Contiguous(Op, name="contiguous", family="shape"):
    """Lays the values out in the order of their dimensions, as they lie before any `permute`. It
    changes none of them, but what computes with them may be faster, or differ in the last bit.

    Source: torch.Tensor.contiguous.
    """

    example = "contiguous"
    lifts = "Contiguous", "contiguous"
    reads = VIEW
    passes = True
    arranges = True
    support = "shape"

    def module(self, *inputs: Shape) -> Call:
        return call("Contiguous")


class Flatten(Op, name="flatten", family="shape"):
    """Makes one dimension of several: C×H×W becomes a vector. Dimensions are torch's, where 0
    is the batch.

    Source: torch.nn.Flatten.
    """

    example = "flatten"
    lifts = "nn.Flatten", "flatten", "view", "reshape"
    reads = VIEW
    passes = True

    start_dim: int = arg(Int(), default=1, doc="first dimension; 1 is the channels")
    end_dim: int = arg(Int(), default=-1, doc="last dimension, included")

    @classmethod
    def _given(cls, seen: Seen) -> dict[str, Any]:
        if "start_dim" in seen.args:
            return super()._given(seen)
        if not seen.name.endswith(("view", "reshape")):
            raise NoField
        have, want = seen.inputs[0], _wanted(seen)
        joined = len(have) - len(want) + 1  # so many dimensions become one
        for start in range(len(want) if joined > 1 else 0):
            if want == resized(have, start, math.prod(have[start : start + joined]), skip=joined):
                last = start + joined == len(have)
                return {"start_dim": start + 1, "end_dim": -1 if last else start + joined}
        raise NoField

    def shape(self, *inputs: Shape) -> Shape:
        shape = inputs[0]
        start, end = self._place("start_dim", shape), self._place("end_dim", shape)
        if start > end:
            raise Blame("end_dim", f"{self.end_dim} is before the first, {self.start_dim}")
        return (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])

    def _place(self, field: str, shape: Shape) -> int:
        dim: int = getattr(self, field)
        if dim in (0, -len(shape) - 1):
            raise Blame(field, f"{dim} is the batch, which stays", help="the channels are 1")
        if abs(dim) > len(shape):
            raise Blame(field, f"dimension {dim} does not exist; the last is {len(shape)}")
        return dim - 1 if dim > 0 else dim + len(shape)

    def module(self, *inputs: Shape) -> Call:
        return call("nn.Flatten", **self.keywords())

    def function(self, *inputs: Shape) -> Call:
        return call("torch.flatten", X, self.start_dim, end_dim=(self.end_dim, -1))


class Reshape(Op, name="reshape", family="shape"):
    """Gives the same values another shape; the batch is left as it is.

    Source: torch.reshape.
    """

    example = "reshape [48, -1]"
    general = True
    lifts = "Reshape", "view", "reshape", "nn.Unflatten", "unflatten", "squeeze", "unsqueeze"
    reads = VIEW
    passes = True
    support = "shape"
    follows = ("sizes",)

    sizes: tuple[int, ...] = arg(Ints(-1), doc="the new sizes, without the batch; one may be -1")

    @classmethod
    def _given(cls, seen: Seen) -> dict[str, Any]:
        return {"sizes": _wanted(seen)}

    def shape(self, *inputs: Shape) -> Shape:
        have = math.prod(inputs[0])
        known = math.prod(s for s in self.sizes if s != -1)
        if 0 in self.sizes:
            raise Blame("sizes", "a size of 0 leaves no values")
        if self.sizes.count(-1) > 1:
            raise Blame("sizes", "only one size may be -1")
        if have % known or (known != have and -1 not in self.sizes):
            raise Blame(
                "sizes",
                f"{shape_text(inputs[0])} is {have} values, which do not make "
                f"{shape_text(self.sizes)}",
                kind="fit",
            )
        return tuple(have // known if s == -1 else s for s in self.sizes)

    def module(self, *inputs: Shape) -> Call:
        return call("Reshape", *self.sizes)

    def function(self, *inputs: Shape) -> Call | None:
        # torch's had to say -1 for the batch, and would take what does not fit into it
        if not any(isinstance(size, Computed) for size in self.sizes):
            return None
        return call("reshaped", X, self.sizes)


class Permute(Op, name="permute", family="shape"):
    """Reorders the dimensions: `permute [1, 2, 0]` makes C×H×W into H×W×C.

    Source: torch.permute.
    """

    example = "permute [1, 2, 0]"
    lifts = "Permute", "torchvision.ops.misc.Permute", "permute", "transpose", "swapaxes"
    reads = VIEW
    support = "shape"

    dims: tuple[int, ...] = arg(
        Ints(), doc="the new order; dimensions are counted without the batch"
    )

    @classmethod
    def _given(cls, seen: Seen) -> dict[str, Any]:
        rank = len(seen.inputs[0]) + 1
        order = list(seen.args.get("dims", range(rank)))
        if "dims" not in seen.args:
            names = ("dim0", "dim1") if "dim0" in seen.args else ("axis0", "axis1")
            one, other = (seen.args[name] % rank for name in names)
            order[one], order[other] = other, one
        first, *rest = (d % rank for d in order)
        if first != 0:
            raise NoField  # the batch stays the first
        return {"dims": tuple(d - 1 for d in rest)}

    def shape(self, *inputs: Shape) -> Shape:
        return tuple(inputs[0][d] for d in self._order(inputs[0]))

    def _order(self, shape: Shape) -> Shape:
        if len(self.dims) != len(shape):
            raise Blame(
                "dims", f"{len(self.dims)} dimensions, but the input is {shape_text(shape)}"
            )
        order = tuple(axis("dims", d, shape) for d in self.dims)
        if len(set(order)) < len(order):
            raise Blame("dims", "a dimension stands twice")
        return order

    def _dims(self, shape: Shape) -> Shape:
        return (0, *map(batched, self._order(shape)))

    def module(self, *inputs: Shape) -> Call:
        return call("Permute", *self._dims(inputs[0]))

    def function(self, *inputs: Shape) -> Call:
        return call("torch.permute", X, self._dims(inputs[0]))


class Reduction(Op):
    """Over some dimensions, which go away. `torch`: its module and its function."""

    torch: ClassVar[tuple[str, str]]
    aliases: ClassVar[tuple[tuple[str, str], ...]] = (("dims", "dim"),)
    counting = ("dims",)
    fresh = True

    dims: tuple[int, ...] = arg(Ints(), doc="dimensions, counted without the batch")
    keepdim: bool = arg(Bool(), default=False, doc="keep them with size 1", keyword=True)

    @classmethod
    def _given(cls, seen: Seen) -> dict[str, Any]:
        values = super()._given(seen)
        rank = len(seen.inputs[0])
        return {**values, "dims": tuple(sorted(d % rank for d in values["dims"]))}

    def shape(self, *inputs: Shape) -> Shape:
        gone = [axis("dims", d, inputs[0]) for d in self.dims]
        if len(set(gone)) < len(gone):
            raise Blame("dims", "a dimension stands twice")
        kept = ((i, 1 if i in gone else size) for i, size in enumerate(inputs[0]))
        return tuple(size for i, size in kept if self.keepdim or i not in gone)

    def reach(self, *inputs: Shape) -> Reach:
        return ALL if set(self.dims) - {0, -len(inputs[0])} else ()

    def module(self, *inputs: Shape) -> Call:
        dims = map(batched, self.dims)
        return call(self.torch[0], *dims, **self.keywords("keepdim"))

    def function(self, *inputs: Shape) -> Call | None:
        dims = tuple(map(batched, self.dims))
        return call(self.torch[1], X, dims, **self.keywords("keepdim"))


class Mean(Reduction, name="mean", family="shape"):
    """The mean over some dimensions, which go away: `mean [1, 2]` makes C×H×W into a vector.

    Source: torch.mean.
    """

    example = "mean [1, 2]"
    lifts = "Mean", "mean"
    support = "shape"
    torch = "Mean", "torch.mean"


class Chunk(Op, name="chunk", family="shape"):
    """Cuts a dimension into `n` equal parts (the last may be smaller) and takes one of them, as
    ShuffleNetV2 splits its channels.

    Source: torch.chunk.
    """

    example = "chunk 2 0"
    lifts = "Chunk", "chunk"
    aliases = (("n", "chunks"),)
    counting = ("dim",)
    example_input = (64, 16, 16)
    reads = VIEW
    support = "shape"

    n: int = arg(Int(1), doc="number of parts")
    index: int = arg(Int(), doc="which part; the first is 0, the last -1")
    dim: int = arg(Int(), default=0, doc=DIM, keyword=True)

    @classmethod
    def _given(cls, seen: Seen) -> dict[str, Any]:
        values = super()._given(Seen(seen.name, {"index": seen.place, **seen.args}, seen.inputs))
        return {**values, "dim": values["dim"] % len(seen.inputs[0])}

    def shape(self, *inputs: Shape) -> Shape:
        shape, place = inputs[0], axis("dim", self.dim, inputs[0])
        length = max(1, -(-shape[place] // self.n))
        parts = -(-shape[place] // length)
        if not -parts <= self.index < parts:
            made = "1 part, 0" if parts == 1 else f"{parts} parts, 0 to {parts - 1}"
            message = f"there is no part {self.index}: a dimension of {shape[place]} gives {made}"
            channels = place > 0 and shape[0] >= self.n
            help = "the batch is not counted: the channels are `dim=0`" if channels else ""
            raise Blame("index", message, help=help)
        start = self.index % parts * length
        return resized(shape, place, min(length, shape[place] - start))

    def module(self, *inputs: Shape) -> Call:
        return call("Chunk", self.n, self.index, dim=batched(self.dim))

    def function(self, *inputs: Shape) -> Call:
        chunks = call("torch.chunk", X, self.n, dim=batched(self.dim))
        return replace(chunks, item=self.index)


class Slice(Op, name="slice", family="shape"):
    """The elements from `start` up to `end` of a dimension, as Python's `x[start:end]`.

    Source: torch.narrow.
    """

    example = "slice 0 16"
    follows = "start", "end"
    lifts = "Slice", "slice", "narrow", "split", "split_with_sizes", "tensor_split"
    counting = ("dim",)
    example_input = (64, 16, 16)
    reads = VIEW
    support = "shape"

    start: int = arg(Int(), default=0, doc="the first element; negative from the end")
    end: int | None = arg(
        Int(), default=None, doc="the element after the last; to the end where not given"
    )
    dim: int = arg(Int(), default=0, doc=DIM, keyword=True)

    @classmethod
    def _given(cls, seen: Seen) -> dict[str, Any]:
        given = dict(seen.args)
        if given.get("step", 1) != 1:
            raise NoField
        sizes = given.get(
            "split_size", given.get("split_sizes", given.get("split_size_or_sections"))
        )
        if sizes is not None:
            many = isinstance(sizes, (tuple, list))
            given["start"] = sum(sizes[: seen.place]) if many else seen.place * sizes
            given["length"] = sizes[seen.place] if many else sizes
        cuts, place = given.get("cuts"), 1
        if seen.name == "tensor_split":
            cuts, place = given.get("indices_or_sections", given.get("indices")), seen.place
            if not isinstance(cuts, (tuple, list)):
                raise NoField
        if cuts is not None:
            given["start"], given["end"] = (0, *cuts, None)[place : place + 2]
        if "length" in given:
            given["end"] = given["start"] + given["length"]
        values = super()._given(Seen(seen.name, given, seen.inputs))
        place = values["dim"] = values["dim"] % len(seen.inputs[0])
        if values.get("end") is not None and values["end"] >= seen.inputs[0][place]:
            del values["end"]
        return values

    def shape(self, *inputs: Shape) -> Shape:
        shape, place = inputs[0], axis("dim", self.dim, inputs[0])
        length = shape[place]
        start, end = _from_end(self.start, length), length
        if self.end is not None:
            end = _from_end(self.end, length)
        if start >= end:
            raise Blame("start", f"nothing is left of dimension {place}, which has {shape[place]}")
        return resized(shape, place, end - start)

    def module(self, *inputs: Shape) -> Call:
        return call("Slice", self.start, self.end, dim=batched(self.dim))

    def function(self, *inputs: Shape) -> Call:
        cuts = (self.start,) if self.end is None else (self.start, self.end)
        return replace(call("torch.tensor_split", X, cuts, dim=batched(self.dim)), item=1)


def _from_end(place: int, length: int) -> int:
    """A place in a dimension as Python's slices count it; no index of `slice.indices`, for
    `archdsl.sizes` computes with lengths that are not known."""
    return max(length + place, 0) if place < 0 else min(place, length)


class Select(Op, name="select", family="shape"):
    """One element of a dimension, which goes away: `select 0` is the class token of a ViT.

    Source: torch.select.
    """

    example = "select 0"
    lifts = "Select", "select", "unbind"
    counting = ("dim",)
    example_input = (197, 768)
    reads = VIEW
    support = "shape"

    index: int = arg(Int(), doc="which element; the first is 0, the last -1")
    dim: int = arg(Int(), default=0, doc=DIM, keyword=True)

    @classmethod
    def _given(cls, seen: Seen) -> dict[str, Any]:
        values = super()._given(Seen(seen.name, {"index": seen.place, **seen.args}, seen.inputs))
        return {**values, "dim": values["dim"] % len(seen.inputs[0])}

    def shape(self, *inputs: Shape) -> Shape:
        shape, place = inputs[0], axis("dim", self.dim, inputs[0])
        if not -shape[place] <= self.index < shape[place]:
            raise Blame("index", f"there is no element {self.index} among {shape[place]}")
        return resized(shape, place)

    def module(self, *inputs: Shape) -> Call:
        return call("Select", self.index, dim=batched(self.dim))

    def function(self, *inputs: Shape) -> Call:
        return call("torch.select", X, batched(self.dim), self.index)


def _wanted(seen: Seen) -> Shape:
    """The shape that a view or its like gives, without the batch, which must stay the first."""
    sizes = seen.args.get("size", seen.args.get("shape", seen.args.get("sizes")))
    if seen.name.islower() and isinstance(sizes, (tuple, list)):
        known = [s for s in sizes if s != -1]
        kept = isinstance(sizes[0], Batch) and sizes[0].times == 1
        # what is left for -1 is the batch where all other sizes are there
        left = sizes[0] == -1 and math.prod(s for s in known if isinstance(s, int)) == math.prod(
            seen.inputs[0]
        )
        if not (kept or left) or any(isinstance(s, Batch) for s in sizes[1:]):
            raise NoField
    return seen.output
