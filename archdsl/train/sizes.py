"""An input size that a spec does not take, in one error with the nearest that it does."""

from __future__ import annotations

from itertools import islice

from archdsl.ir.graph import Program
from archdsl.pipeline import Spec
from archdsl.sizes.promise import promised
from archdsl.sizes.result import InputSizes, shells
from archdsl.text import shape_text

TRIED = 2000  # sizes around the one that was asked for


def refused(spec: Spec) -> tuple[str, str] | None:
    """What is wrong and what helps, where the spec's own input is taken, and the one that is asked
    for is not for its size alone."""
    asked = spec.input
    program = spec.given(spec.params, None).program if isinstance(asked, tuple) else None
    if program is None or not isinstance(asked, tuple) or len(program.inputs) > 1:
        return None
    sizes, own = program.sizes, program.input_shape
    others = [n for n in range(len(own)) if n not in sizes.axes]
    if not sizes.axes or len(asked) != len(own) or any(asked[n] != own[n] for n in others):
        return None
    size = tuple(asked[axis] for axis in sizes.axes)
    cause, allowed = sizes.refusal(size), promised(program, size)
    if cause is None and allowed:
        return None
    why = cause.message if cause is not None else "its `where` does not allow this size"
    near = [_shape(program, found) for found in _nearest(program, sizes, size)]
    help = f"the nearest sizes that it takes: {', '.join(near)}" if near else ""
    return f"{program.name} does not take {shape_text(asked)}: {why}", help


def _nearest(program: Program, sizes: InputSizes, size: tuple[int, ...]) -> list[tuple[int, ...]]:
    if program.promise is None:
        return sizes.nearest(size)
    around = islice(shells(size), TRIED)
    return [*islice((s for s in around if promised(program, s) and s in sizes), 2)]


def _shape(program: Program, size: tuple[int, ...]) -> str:
    shape = list(program.input_shape)
    for axis, side in zip(program.sizes.axes, size, strict=True):
        shape[axis] = side
    return shape_text(shape)
