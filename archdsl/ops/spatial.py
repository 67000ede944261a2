"""Arithmetic on shapes that operators share: space and windows over it, dimensions by number."""

from __future__ import annotations

import math

from archdsl.ops.table import LIKE, Blame, Op, Reach, Shape
from archdsl.text import shape_text

DIM = "dimension, counted without the batch; negative from the end"
SAME_TF = "same_tf"
SAME_TF_DOC = (
    "`same_tf` pads as TensorFlow's SAME: the output has a place for every step that begins in the "
    "input, and an odd border has its larger part at the end"
)
LAYOUTS = ("C", "C×L", "C×H×W", "C×D×H×W")  # by the number of spatial dimensions


def image(op: Op, shape: Shape, ranks: tuple[int, ...] = (1, 2, 3)) -> tuple[int, Shape]:
    """Split C×... into channels and space; blames the input where it has another rank."""
    if len(shape) - 1 not in ranks:
        wanted = " or ".join(LAYOUTS[r] for r in ranks)
        message = f"`{op.name}` needs an input of shape {wanted}, not {shape_text(shape)}"
        raise Blame(None, message, kind="rank")
    return shape[0], shape[1:]


def layout(op: Op, shape: Shape, wanted: str) -> Shape:
    """The shape, which must have the layout's rank."""
    if len(shape) != wanted.count("×") + 1:
        message = f"`{op.name}` needs an input of shape {wanted}, not {shape_text(shape)}"
        sequence = wanted == "L×C" and len(shape) == 3
        hint = "`flatten 2 -> permute [1, 0]` makes a sequence of its places" if sequence else ""
        hint = hint or "`permute` and `flatten` change the layout"
        raise Blame(None, message, kind="rank", help=hint)
    return shape


def channels_last(shape: Shape) -> bool:
    """Whether an image's shape has its one or three channels at the end, as TensorFlow has them."""
    return len(shape) == 3 and shape[2] in (1, 3) and min(shape[:2]) >= 8


def spread(field: str, value: tuple[int, ...], n: int) -> Shape:
    """One number for each of n dimensions."""
    if len(value) not in (1, n):
        raise Blame(
            field,
            f"`{shape_text(value)}` has {len(value)} numbers, but the input has {n} spatial "
            "dimensions",
        )
    return value * n if len(value) == 1 else value


def fold(field: str, value: tuple[int, ...] | str, n: int) -> int | Shape | str:
    """The same for printing: a plain number where all are equal."""
    if isinstance(value, str):
        return value
    full = spread(field, value, n)
    return full[0] if len(set(full)) == 1 else full


def sized_as(field: str, size: Shape, inputs: tuple[Shape, ...]) -> Shape:
    """The spatial size that is asked for: numbers, or the second input's."""
    n = len(inputs[0]) - 1
    if size != LIKE:
        return spread(field, size, n)
    if len(inputs[1]) != n + 1:
        both = shape_text(inputs[1]), shape_text(inputs[0])
        raise Blame(field, f"{both[0]} has other dimensions than {both[1]}", kind="rank")
    return inputs[1][1:]


def axis(field: str, dim: int, shape: Shape) -> int:
    """The place in a shape of dimension `dim`, counted without the batch; negative from the end."""
    if not -len(shape) <= dim < len(shape):
        raise Blame(
            field,
            f"dimension {dim} does not exist in an input of shape {shape_text(shape)}",
            help=f"0 to {len(shape) - 1}, or negative from the end" if shape else "",
        )
    return dim % len(shape)


def along(shape: Shape, *dims: int) -> Reach:
    """What a value sees that depends on all places of these dimensions; the first are the
    channels."""
    gone = {dim % len(shape) for dim in dims}
    if not gone - {0}:
        return ()
    return tuple((math.inf if place in gone else 1, 1) for place in range(1, len(shape)))


def resized(shape: Shape, place: int, *sides: int, skip: int = 1) -> Shape:
    """The shape with another side at a place (for `skip` of them), or with none."""
    return (*shape[:place], *sides, *shape[place + skip :])


def batched(dim: int) -> int:
    """torch's number for a dimension counted without the batch."""
    return dim + 1 if dim >= 0 else dim


def no_fit(kernel: tuple[int, ...], space: Shape, pad: int = 0) -> Blame:
    padded = f" with {pad} of padding on each side" if pad else ""
    return Blame(
        "kernel",
        f"the {shape_text(kernel)} window does not fit the {shape_text(space)} input{padded}",
        kind="fit",
        help=f"at most `{shape_text(side + 2 * pad for side in space)}` fits here; leave this step "
        "out, or keep more before it: `pad=` on convolutions, fewer strides and poolings",
    )


def slide(
    space: Shape,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    pad: tuple[int, ...] | str,
    dilation: tuple[int, ...] = (1,),
    *,
    ceil: bool = False,
) -> Shape:
    """The size of what a window visits (torch.nn.Conv2d and MaxPool2d, section "Shape")."""
    n = len(space)
    kernels, strides = spread("kernel", kernel, n), spread("stride", stride, n)
    dilations = spread("dilation", dilation, n)
    if pad == "same":
        return space
    if pad == SAME_TF:
        return tuple(-(-size // s) for size, s in zip(space, strides, strict=True))
    pads = (0,) * n if isinstance(pad, str) else spread("pad", pad, n)
    out = []
    for size, k, s, p, d in zip(space, kernels, strides, pads, dilations, strict=True):
        room = size + 2 * p - (d * (k - 1) + 1)
        steps = (room + (s - 1 if ceil else 0)) // s + 1
        # torch: in ceil mode the last window must start inside the input or its left padding
        if ceil and (steps - 1) * s >= size + p:
            steps -= 1
        if steps < 1:
            raise no_fit(kernels, space, p)
        out.append(steps)
    return tuple(out)


def same_border(
    space: Shape, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...] = (1,)
) -> Shape:
    """What `same_tf` adds to each side, at both ends together."""
    n = len(space)
    sides = zip(space, *(spread("", v, n) for v in (kernel, stride, dilation)), strict=True)
    return tuple(max(-(-size // s) * s - s + d * (k - 1) + 1 - size, 0) for size, k, s, d in sides)


def windows(
    n: int, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...] = (1,)
) -> tuple[tuple[float, float], ...]:
    """What a sliding window sees."""
    kernels, strides = spread("kernel", kernel, n), spread("stride", stride, n)
    dilations = spread("dilation", dilation, n)
    sizes = (d * (k - 1) + 1 for k, d in zip(kernels, dilations, strict=True))
    return tuple(zip(sizes, strides, strict=True))


def check_groups(groups: int, count: int, what: str = "channels", other: int = 0) -> None:
    """Blames groups that do not divide what they group; `other`: what they must divide, too."""
    if count % groups:
        problem = f"{groups} groups do not divide the {count} {what}"
        raise Blame("groups", problem, help=lambda: _common_divisors(groups, count, other))


def _common_divisors(groups: int, count: int, other: int) -> str:
    named = f"{count} and {other}" if other not in (0, count) else ""
    return divisors(math.gcd(count, other), groups, named)


def divisors(count: int, wrong: int, named: str = "") -> str:
    """Advice: what divides `count` instead, next to `wrong`. `named`: how to call the count."""
    named = named or str(count)
    below = range(min(wrong, count), max(wrong - 1000, 1), -1)  # not far: it may be huge
    lower = next((n for n in below if count % n == 0), 1)
    upper = next((n for n in range(wrong, wrong + 1000) if count % n == 0), lower)
    if upper == lower:
        return f"`{lower}` divides {named}"
    return f"`{lower}` and `{upper}` divide {named}"


def check_border(field: str, mode: str, size: int, pad: int) -> None:
    """Blames a border of `pad` that is to be copied from more input than there is."""
    if (mode == "reflect" and pad >= size) or (mode == "circular" and pad > size):
        message = f"`{mode}` cannot make {pad} of padding from a side of {size}"
        raise Blame(field, message, kind="fit")
