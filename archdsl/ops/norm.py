"""Normalisation."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from archdsl.ops.seen import Seen
from archdsl.ops.spatial import check_groups, image
from archdsl.ops.table import (
    ALL,
    INPUT,
    Blame,
    Call,
    Lifted,
    Op,
    Reach,
    Saved,
    Shape,
    Weight,
    X,
    arg,
    call,
)
from archdsl.ops.types import Bool, Float, Floats, Int
from archdsl.text import shape_text

EPS = "added to the variance, against division by zero"
AFFINE = "learn a scale and a shift"
_SINGLE = "a single value less its own mean is 0"


def _affine(size: Shape, bias: bool = True) -> tuple[Weight, ...]:
    return (Weight("weight", size), Weight("bias", size))[: 1 + bias]


class _Statistics(Op):
    """Batch and instance normalisation: each channel is brought to mean 0 and variance 1."""

    torch: ClassVar[str]
    fresh = True
    reads = INPUT
    shifts = True
    binds = False

    free = ("eps", "momentum")

    eps: float = arg(Float(0.0, above=True), default=1e-5, doc=EPS, keyword=True)
    momentum: float = arg(
        Float(), default=0.1, doc="weight of a new batch in the running statistics", keyword=True
    )
    affine: bool
    track_running_stats: bool

    @classmethod
    def of(cls, seen: Seen) -> Lifted | None:
        if "running_mean" in seen.args and seen.name.islower():  # a function is given its weights
            given = {
                "affine": seen.args.get("weight"),
                "track_running_stats": seen.args["running_mean"],
            }
            seen = Seen(seen.name, {**seen.args, **given}, seen.inputs)
        made = super().of(seen)
        return made and Lifted(made.op, (0,))

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        channels = inputs[0][:1]
        running = (
            Weight("running_mean", channels, buffer=True),
            Weight("running_var", channels, buffer=True),
            Weight("num_batches_tracked", (), buffer=True, dtype="int64"),
        )
        return (_affine(channels) if self.affine else ()) + (
            running if self.track_running_stats else ()
        )

    def centres(self, *inputs: Shape) -> bool:
        return self.momentum != 0 or not self.track_running_stats  # with 0 they stay as they began

    def module(self, *inputs: Shape) -> Call:
        n = max(1, len(inputs[0]) - 1)
        return call(f"nn.{self.torch}{n}d", inputs[0][0], **self.keywords())


class BatchNorm(_Statistics, name="bn", family="normalisation"):
    """Batch normalisation: each channel is brought to mean 0 and variance 1 over the batch (in
    evaluation: by the running statistics), then scaled and shifted by learned numbers.

    Source: torch.nn.BatchNorm2d.
    """

    example = "bn"
    torch = "BatchNorm"
    lifts = "nn.BatchNorm1d", "nn.BatchNorm2d", "nn.BatchNorm3d", "batch_norm"
    passes = True
    of_batch = True

    affine: bool = arg(Bool(), default=True, doc=AFFINE, keyword=True)
    track_running_stats: bool = arg(
        Bool(), default=True, doc="keep running statistics for evaluation", keyword=True
    )

    def shape(self, *inputs: Shape) -> Shape:
        image(self, inputs[0], (0, 1, 2, 3))
        return inputs[0]

    def rescales(self) -> float | None:
        return self.eps if self.track_running_stats else None


class InstanceNorm(_Statistics, name="instance_norm", family="normalisation"):
    """Instance normalisation: each channel of each sample is brought to mean 0 and variance 1.

    Source: torch.nn.InstanceNorm2d.
    """

    example = "instance_norm affine=true"
    torch = "InstanceNorm"
    lifts = "nn.InstanceNorm1d", "nn.InstanceNorm2d", "nn.InstanceNorm3d"

    affine: bool = arg(Bool(), default=False, doc=AFFINE, keyword=True)
    track_running_stats: bool = arg(
        Bool(), default=False, doc="keep running statistics for evaluation", keyword=True
    )

    def shape(self, *inputs: Shape) -> Shape:
        _, space = image(self, inputs[0])
        if math.prod(space) == 1:
            raise Blame(
                None,
                "`instance_norm` needs more than one value per channel, not "
                f"{shape_text(inputs[0])}",
                kind="fit",
            )
        return inputs[0]

    def saved(self, *inputs: Shape) -> Saved:
        return Saved(input=True, more=(16 if self.track_running_stats else 8) * inputs[0][0])

    def reach(self, *inputs: Shape) -> Reach:
        return () if self.track_running_stats else ALL


class LayerNorm(Op, name="ln", family="normalisation"):
    """Layer normalisation over the last `dims` dimensions of each sample, with a learned scale and
    shift for each of their elements.

    Source: torch.nn.LayerNorm.
    """

    autocast = "full"
    example = "ln eps=1e-6"
    lifts = "nn.LayerNorm", "layer_norm"
    aliases = (("affine", "elementwise_affine"), ("affine", "weight"))
    example_input = (197, 768)
    fresh = True

    free = ("eps",)

    eps: float = arg(Float(0.0), default=1e-5, doc=EPS, keyword=True)
    affine: bool = arg(Bool(), default=True, doc=AFFINE, keyword=True)
    bias: bool = arg(Bool(), default=True, doc="learn the shift too", keyword=True)
    dims: int = arg(Int(1), default=1, doc="how many dimensions, from the last", keyword=True)

    def shape(self, *inputs: Shape) -> Shape:
        if self.dims > len(inputs[0]):
            raise Blame(
                "dims",
                f"the input {shape_text(inputs[0])} has {len(inputs[0])} dimensions",
                kind="rank",
            )
        return inputs[0]

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return _affine(inputs[0][-self.dims :], self.bias) if self.affine else ()

    def reach(self, *inputs: Shape) -> Reach:
        return ALL if self.dims > 1 else ()  # of one dimension: those are the channels

    @classmethod
    def of(cls, seen: Seen) -> Lifted | None:
        made = super().of(seen)
        return made and Lifted(made.op, (0,))

    def lost(self, *inputs: Shape) -> str:
        return _SINGLE if math.prod(inputs[0][-self.dims :]) == 1 else ""

    @classmethod
    def _given(cls, seen: Seen) -> dict[str, Any]:
        values = super()._given(seen)
        dims = len(seen.args["normalized_shape"])
        return {**values, "dims": dims, "bias": values["bias"] or not values["affine"]}

    def saved(self, *inputs: Shape) -> Saved:
        return Saved(input=True, more=8 * math.prod(inputs[0][: -self.dims]))

    def module(self, *inputs: Shape) -> Call:
        normalized = inputs[0][-1] if self.dims == 1 else inputs[0][-self.dims :]
        return call(
            "nn.LayerNorm",
            normalized,
            elementwise_affine=(self.affine, True),
            **self.keywords("eps", "bias"),
        )


class LayerNorm2d(Op, name="ln2d", family="normalisation"):
    """Layer normalisation over the channels of a C×H×W input, at every place by itself, with a
    learned scale and shift for each channel, as in ConvNeXt.

    Source: torchvision.models.convnext.LayerNorm2d.
    """

    autocast = "full"
    example = "ln2d eps=1e-6"
    lifts = "torchvision.models.convnext.LayerNorm2d", "LayerNorm2d"
    example_input = (96, 56, 56)
    fresh = True
    shifts = True
    support = "norm"

    free = ("eps",)

    eps: float = arg(Float(0.0), default=1e-5, doc=EPS, keyword=True)

    def shape(self, *inputs: Shape) -> Shape:
        image(self, inputs[0], (2,))
        return inputs[0]

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return _affine(inputs[0][:1])

    def lost(self, *inputs: Shape) -> str:
        return _SINGLE if inputs[0][0] == 1 else ""

    def saved(self, *inputs: Shape) -> Saved:
        return Saved(input=True, more=8 * math.prod(inputs[0][1:]))

    def module(self, *inputs: Shape) -> Call:
        return call("LayerNorm2d", inputs[0][0], **self.keywords("eps"))


class GroupNorm(Op, name="gn", family="normalisation"):
    """Group normalisation: the channels of each sample in `groups` groups, each brought to mean 0
    and variance 1.

    Source: torch.nn.GroupNorm.
    """

    autocast = "full"
    example = "gn 8"
    binds = False
    lifts = "nn.GroupNorm", "group_norm"
    aliases = (("groups", "num_groups"), ("affine", "weight"))

    @classmethod
    def of(cls, seen: Seen) -> Lifted | None:
        made = super().of(seen)
        return made and Lifted(made.op, (0,))

    example_input = (32, 16, 16)
    fresh = True
    reads = INPUT
    shifts = True

    free = ("eps",)

    groups: int = arg(Int(1), doc="number of groups; must divide the channels", told="groups={}")
    eps: float = arg(Float(0.0), default=1e-5, doc=EPS, keyword=True)
    affine: bool = arg(Bool(), default=True, doc=AFFINE, keyword=True)

    def shape(self, *inputs: Shape) -> Shape:
        channels, space = image(self, inputs[0], (0, 1, 2, 3))
        check_groups(self.groups, channels)
        if channels // self.groups * math.prod(space) == 1:
            raise Blame(
                "groups",
                f"`gn {self.groups}` needs more than one value per group, not "
                f"{shape_text(inputs[0])}",
                kind="fit",
                help="with fewer groups each has several channels",
            )
        return inputs[0]

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return _affine(inputs[0][:1]) if self.affine else ()

    def centres(self, *inputs: Shape) -> bool:
        return self.groups == inputs[0][0]

    def reach(self, *inputs: Shape) -> Reach:
        return ALL if len(inputs[0]) > 1 else ()

    def module(self, *inputs: Shape) -> Call:
        return call("nn.GroupNorm", self.groups, inputs[0][0], **self.keywords("eps", "affine"))


class LocalResponseNorm(Op, name="lrn", family="normalisation"):
    """Local response normalisation: each value is divided by the energy of the `size` channels
    around it, as in AlexNet and GoogLeNet.

    Source: torch.nn.LocalResponseNorm.
    """

    autocast = "full"
    example = "lrn 5 k=2.0"
    lifts = "nn.LocalResponseNorm", "local_response_norm"
    example_input = (64, 27, 27)

    free = ("alpha", "beta", "k")

    size: int = arg(Int(1), doc="how many neighbouring channels")
    alpha: float = arg(Float(), default=1e-4, doc="factor of the energy", keyword=True)
    beta: float = arg(Float(), default=0.75, doc="exponent", keyword=True)
    k: float = arg(Float(), default=1.0, doc="added to the energy", keyword=True)

    def shape(self, *inputs: Shape) -> Shape:
        image(self, inputs[0], (1, 2))
        return inputs[0]

    def saved(self, *inputs: Shape) -> Saved:
        channels, *space = inputs[0]  # the squares are padded by `size` - 1 channels
        return Saved(input=True, more=4 * (3 * channels + self.size - 1) * math.prod(space))

    def module(self, *inputs: Shape) -> Call:
        return call("nn.LocalResponseNorm", self.size, **self.keywords("alpha", "beta", "k"))

    def function(self, *inputs: Shape) -> Call:
        return call("F.local_response_norm", X, self.size, **self.keywords("alpha", "beta", "k"))


class Affine(Op, name="affine", family="normalisation"):
    """Scales and shifts each channel of a C×H×W input by fixed numbers, one for all or one for
    each: for an input that comes with another mean and range than the weights know.

    Source: torchvision.models.googlenet, transform_input.
    """

    example = "affine 0.5 0.1"
    lifts = "Affine", "Rescale"
    fresh = True
    support = "norm"

    scale: tuple[float, ...] = arg(Floats(), doc="the factors")
    shift: tuple[float, ...] = arg(Floats(), doc="what is added then")

    def shape(self, *inputs: Shape) -> Shape:
        channels, _ = image(self, inputs[0], (0, 1, 2, 3))
        for field in ("scale", "shift"):
            if (count := len(getattr(self, field))) not in (1, channels):
                raise Blame(field, f"{count} numbers for {channels} channels")
        return inputs[0]

    def lost(self, *inputs: Shape) -> str:
        return "" if any(self.scale) else "everything times 0 is 0"

    def module(self, *inputs: Shape) -> Call:
        if len(self.scale) == len(self.shift) == 1:
            return call("Rescale", self.scale[0], self.shift[0])
        return call("Affine", self.scale, self.shift)
