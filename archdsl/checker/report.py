"""Collecting diagnostics during the walk: each cause once, with the calls that led there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod

from archdsl.checker.build import Value
from archdsl.checker.problem import Problem
from archdsl.diagnostics.model import MAX_FOUND, Diagnostic, Label
from archdsl.diagnostics.source import Span
from archdsl.ops.table import Shape
from archdsl.text import shape_text

MAX_TRAIL = 3


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


def shrinking(value: Value, name: str) -> tuple[str, tuple[Label, ...]]:
    """How a feature map became as small as it is before a step called `name`: in a sentence, and
    at the last steps that made it smaller."""
    steps: list[Label] = []
    same = 1
    while (before := value.before) is not None and value.shape and before.shape:
        if len(value.shape) == len(before.shape) and prod(value.shape[1:]) < prod(before.shape[1:]):
            steps.append(
                Label(
                    value.span,
                    f"{shape_text(before.shape[1:])} becomes {shape_text(value.shape[1:])}",
                )
            )
            same += value.draft is not None and getattr(value.draft.content, "name", "") == name
        value = before
    if not steps or value.shape is None:
        return "", ()
    nth = f"; this would be the {_ordinal(same)} `{name}` to shrink it" if same > 1 else ""
    times = "once" if len(steps) == 1 else f"{len(steps)} times"
    story = f"the map was {shape_text(value.shape[1:])} and has become smaller {times}{nth}"
    return story, tuple(steps[:MAX_TRAIL])


def _ordinal(number: int) -> str:
    """`2nd`, `3rd`, `11th`."""
    last = number % 10 if number % 100 // 10 != 1 else 0
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(last, 'th') }"


def origin(value: Value) -> tuple[Label, ...]:
    """Where a value comes from."""
    if value.shape is None:
        return ()
    return (Label(value.span, f"{shape_text(value.shape)} comes from here"),)


def flatten_hint(actual: Shape, stated: Shape) -> str:
    """What makes a value the stated one."""
    if len(stated) == 1 < len(actual) and prod(actual) == stated[0]:
        return "put `flatten` before"
    if len(stated) == 1 < len(actual) and actual[-1] == stated[0]:
        return "`linear` works on the last dimension alone: put `flatten` before it"
    return ""
