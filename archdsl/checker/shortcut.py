"""The shortcut that makes a residual fit, as a proposal."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from archdsl.checker.arguments import Frame
from archdsl.checker.problem import Problem
from archdsl.ops.table import Shape
from archdsl.ops.types import is_int
from archdsl.syntax import tree as t
from archdsl.text import shape_text


def proposed(step: t.Residual, main: Shape, flow: Shape, frame: Frame) -> str:
    """The shortcut that makes the residual fit, if one does: a convolution of single cells, or for
    a sequence that has other channels a linear layer. What the main path computes, it computes
    too."""
    if len(main) != len(flow) or len(main) < 2:
        return ""
    if len(main) == 2 and main[0] == flow[0]:
        return f"shortcut {{ linear {main[1]} }}"
    space = list(zip(main[1:], flow[1:], strict=True))
    stride = next((s for s in range(1, 9) if all((b - 1) // s + 1 == a for a, b in space)), 0)
    if not stride:
        return ""
    given = [a for a in t.parts(step.body) if isinstance(a, t.Argument)]
    out = _computed(main[0], (a.value for a in given if a.name is None), frame)
    over = _computed(stride, (a.value for a in given if a.name == "stride"), frame)
    conv = f"conv {out or main[0]} {shape_text((1,) * len(space))}"
    if over or stride > 1:
        conv += f" /{over or stride}"
    needed = [f"{over} != 1"] if over else []
    needed += [f"in != {out}"] if out else []
    always = flow != frame.shape or (stride > 1 and not over)  # `in` is what enters the block
    condition = f"if {' or '.join(needed)} " if needed and not always else ""
    return f"shortcut {condition}{{ {conv} }}"


def is_cut(main: Shape, flow: Shape) -> bool:
    """Whether the main path has lost its edges."""
    same = len(main) == len(flow) >= 2
    return same and all(0 < b - a < b // 2 for a, b in zip(main[1:], flow[1:], strict=True))


def _computed(value: int, given: Iterable[t.Expr], frame: Frame) -> str:
    """The one of some expressions that has this value here, and may have another elsewhere."""
    for expr in given:
        with suppress(Problem):
            found = None if isinstance(expr, t.Literal) else frame.evaluate(expr)
            if is_int(found) and found == value:
                return expr.span.text if isinstance(expr, t.Name) else f"({expr.span.text})"
    return ""
