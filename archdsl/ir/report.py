"""Collecting diagnostics during the walk: each cause once, with the calls that led there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from archdsl.diagnostics.model import Diagnostic, Label
from archdsl.diagnostics.source import Span
from archdsl.ir.build import Value
from archdsl.ir.values import Problem
from archdsl.ops.spatial import show

MAX_TRAIL = 3
MAX_FOUND = 100  # diagnostics; what is found after so many helps nobody


class Stop(Exception):
    """Nothing below this place is worth looking at: a limit is passed, or all seems wrong."""


class Reporter:
    """What is found, and where the walk is."""

    def __init__(self) -> None:
        self.found: list[Diagnostic] = []
        self._seen: set[tuple[str, int, int, int]] = set()
        self._calls: list[tuple[Span, str]] = []

    def __call__(self, problem: Diagnostic) -> None:
        key = problem.code, id(problem.span.source), problem.span.start, problem.span.end
        if key in self._seen:
            return
        self._seen.add(key)
        trail = [Label(span, f"in this call of `{name}`") for span, name in reversed(self._calls)]
        self.found.append(problem.with_related(*trail[:MAX_TRAIL]))
        if len(self.found) > MAX_FOUND:
            raise Stop

    @contextmanager
    def catching(self) -> Iterator[None]:
        """Report what is raised as a Problem, and go on after the block."""
        try:
            yield
        except Problem as problem:
            if problem.diagnostic is not None:
                self(problem.diagnostic)

    @contextmanager
    def calling(self, span: Span, name: str) -> Iterator[None]:
        """Inside, the walk is in a call of block `name`."""
        self._calls.append((span, name))
        try:
            yield
        finally:
            self._calls.pop()


def origin(value: Value) -> tuple[Label, ...]:
    """Where a value comes from."""
    if value.shape is None:
        return ()
    return (Label(value.span, f"{show(value.shape)} comes from here"),)
