"""Sizes of the input that an exported program leaves open, as `torch.export` says them.

In: a program. Out: for each dimension that may vary a `Dim` with its least, its largest and its
multiple, which are those of the set that the program takes, or promises. What no `Dim` can say is
refused: the file must take everything inside the set. (What is no multiple it may take too, where
the network does: torch checks the bounds alone.)
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.export import Dim

from archdsl.ir.graph import Program
from archdsl.runtime.errors import ExportError
from archdsl.sizes.course import Sizes
from archdsl.sizes.promise import allowed
from archdsl.text import shape_text

NAMES = {"L": "length", "D": "depth", "H": "height", "W": "width"}
#: how far from the declared size the one is that is traced: no side equals another by chance
APART = (11, 29, 47)


@dataclass(frozen=True)
class Open:
    """`dims`: by the dimension of a batch. `example`: the shape to trace, without the batch.
    `tried`: shapes that the file must take."""

    dims: dict[int, Any]
    example: tuple[int, ...]
    tried: tuple[tuple[int, ...], ...]

    @property
    def names(self) -> dict[int, str]:
        """What the dimensions are called."""
        return {place: str(getattr(dim, "__name__", dim)) for place, dim in self.dims.items()}

    def check(self, exported: nn.Module) -> None:
        """Raises what the exported program says to a size that it must take."""
        for shape in self.tried:
            with torch.no_grad():
                exported(torch.zeros(1, *shape))


def fixed(program: Program) -> Open:
    """The batch alone is open."""
    return Open({0: Dim("batch", min=1)}, program.input_shape, ())


def opened(program: Program) -> Open:
    """Raises ExportError where the sizes cannot be said."""
    sizes = program.sizes
    takes = sizes.describe()
    if len(program.inputs) > 1:
        raise ExportError(f"{program.name} has several inputs: `--dynamic size` is for one")
    if not sizes.axes or sizes.single:
        raise ExportError(f"{program.name} takes {takes}: no size can be left open")
    found = allowed(program)
    if found is None:
        raise ExportError(
            f"{program.name} takes {takes}: torch.export has no words for this\n"
            "say with `where` which of these may come in, each side by itself"
        )
    box, equal = found
    dims: dict[int, Any] = {0: Dim("batch", min=1)}
    for axis, letter, side, declared in zip(
        sizes.axes, sizes.letters, box, sizes.declared, strict=True
    ):
        first = next((dims[a + 1] for a in sizes.axes if a + 1 in dims), None) if equal else None
        dim = first if first is not None else _dim(NAMES[letter], side)
        if dim is None and side.finite and side.next(declared + 1) is side.before(declared - 1):
            continue  # only this one
        if dim is None:
            raise ExportError(
                f"{program.name} takes {takes}: torch.export has no words for this\n"
                f"say with `where` which {letter} may come in: a multiple, from one on, up to one"
            )
        dims[axis + 1] = dim
    if len(dims) == 1:
        raise ExportError(
            f"{program.name} takes {takes}: no side can vary while the others stay\n"
            "without `--dynamic size` it is exported for the declared size"
        )

    def shape(size: tuple[int, ...]) -> tuple[int, ...]:
        made = list(program.input_shape)
        for axis, side in zip(sizes.axes, size, strict=True):
            made[axis] = side
        return tuple(made)

    apart = APART[:1] * len(box) if equal else APART
    example = tuple(_near(s, d + a) for s, d, a in zip(box, sizes.declared, apart, strict=False))
    least = tuple(s.least or 1 for s in box)
    next_ = tuple(s.next(h + 1) or h for s, h in zip(box, least, strict=True))
    mixed = () if equal else ((least[0], *next_[1:]),)
    tried = tuple(dict.fromkeys(map(shape, (least, next_, *mixed))))
    return Open(dims, shape(example), tried)


def _near(sizes: Sizes, side: int) -> int:
    return sizes.next(side) or sizes.before(side) or side


def _dim(name: str, sizes: Sizes) -> Any:
    """None: it has no choice, or cannot be said."""
    step = len(sizes.cycle)
    end = len(sizes.early) + (0 if sizes.finite else 2 * step)
    members = [h for h in range(1, end + 1) if h in sizes]
    if len(members) < 2:
        return None
    least, last = members[0], members[-1]
    step = members[1] - least
    if members != [*range(least, last + 1, step)]:
        return None
    most = {"max": last // step} if sizes.finite else {}
    if step == 1:
        return Dim(name, min=least, **most)
    of = step * Dim(f"_{name}", min=least // step, **most)
    return of + least % step if least % step else of


@contextlib.contextmanager
def asking(nothing: bool) -> Iterator[None]:
    """`nothing`: what torch would ask of a side (is it 1?) it takes as the general case."""
    from torch.fx.experimental import _config as config

    was = config.backed_size_oblivious
    config.backed_size_oblivious = nothing
    try:
        yield
    finally:
        config.backed_size_oblivious = was


def not_taken(program: Program, open_: Open, error: Exception) -> ExportError:
    """What torch.export cannot leave open."""
    said = " and ".join(f"{name}" for place, name in open_.names.items() if place)
    words = next(iter(str(error).strip().splitlines()), type(error).__name__)
    shape = shape_text(program.input_shape)
    return ExportError(
        f"torch cannot leave {said} of {program.name} ({shape}) open: {words[:200]}\n"
        "without `--dynamic size` it is exported for the declared size; a smaller set behind "
        "`where` may help"
    )
