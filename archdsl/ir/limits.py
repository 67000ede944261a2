"""What a spec may expand to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

from archdsl.diagnostics.catalogue import OverLimit, TooDeep
from archdsl.diagnostics.source import Span
from archdsl.ir.build import Builder
from archdsl.ir.report import Reporter
from archdsl.ops.spatial import show
from archdsl.ops.table import Shape

STEPS_PER_NODE = 20  # statements walked for each operator allowed: loops may be empty


@dataclass(frozen=True, slots=True)
class Limits:
    """Raised by name: `--limit nodes=200000`. `elements`: of one tensor of one sample."""

    nodes: int = 50_000
    elements: int = 2**34
    params: int = 10**12
    nesting: int = 60


class Stop(Exception):
    """A limit is passed: nothing below it is worth looking at."""


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

    def step(self, span: Span) -> None:
        self.steps += 1
        if self.steps > STEPS_PER_NODE * self.limits.nodes:
            self._over(span, "the spec expands too far", "nodes", "steps", STEPS_PER_NODE)

    def tensor(self, span: Span, shape: Shape) -> None:
        elements = 1
        for side in shape:
            elements *= side
        if elements > self.limits.elements:
            self._over(span, f"the tensor {show(shape)} is too large", "elements", "elements")

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

    def _over(self, span: Span, what: str, name: str, unit: str, factor: int = 1) -> NoReturn:
        limit = getattr(self.limits, name) * factor
        self.report(OverLimit(span, what, limit, unit, name))
        raise Stop
