"""What a spec may expand to: the walk counts here what it does, and stops at a limit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from archdsl.checker.build import Builder
from archdsl.checker.report import Reporter, Stop
from archdsl.diagnostics.catalogue import OverLimit, TooDeep
from archdsl.diagnostics.source import Span
from archdsl.ir.limits import Limits
from archdsl.ops.table import Shape
from archdsl.text import shape_text

# What the walk costs, in steps; a million of them take about a second. (A block that is called
# with the same arguments on the same shape again costs next to nothing.)
STATEMENT, BODY, NAMING, PARAM, CROSSING, NODE, EXPANSION = 3, 5, 10, 10, 10, 50, 100
COPIED = 8  # variables that a body takes over in one step


class Budget:
    """Counts against the limits; what passes one is reported and ends the walk."""

    def __init__(self, limits: Limits, report: Reporter) -> None:
        self.limits, self.report = limits, report
        self.depth = self.steps = 0

    def nodes(self, span: Span, builder: Builder, count: int) -> None:
        """Add operators to a scope."""
        builder.nodes += count
        if builder.nodes > self.limits.nodes:
            self._over(span, "the spec expands too far", "nodes", "operators")

    def repeats(self, span: Span, builder: Builder, count: int) -> None:
        """Refuse a repetition before it begins."""
        if builder.nodes + count > self.limits.nodes:
            self._over(span, "this repeats too often", "nodes", "operators")

    def spend(self, steps: int, span: Span) -> None:
        """Count work, whatever comes of it."""
        self.steps += steps
        if self.steps > self.limits.steps:
            self._over(span, "the spec takes too long to expand", "steps", "steps")

    def tensor(self, span: Span, shape: Shape) -> None:
        elements = 1
        for side in shape:
            elements *= side
        if elements > self.limits.elements:
            self._over(span, f"the tensor {shape_text(shape)} is too large", "elements", "elements")

    def params(self, span: Span, name: str, count: int) -> None:
        if count > self.limits.params:
            self._over(span, f"`{name}` is too large", "params", "parameters")

    @contextmanager
    def deeper(self, span: Span) -> Iterator[None]:
        self.depth += 1
        if self.depth > self.limits.nesting:
            self.report(TooDeep(span, self.limits.nesting))
            raise Stop
        try:
            yield
        finally:
            self.depth -= 1

    def _over(self, span: Span, what: str, name: str, unit: str) -> NoReturn:
        self.report(OverLimit(span, what, getattr(self.limits, name), unit, name))
        raise Stop
