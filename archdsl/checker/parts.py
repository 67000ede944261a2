"""A part: a module that several steps run."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.checker.arguments import Frame
from archdsl.checker.build import Builder, Draft
from archdsl.diagnostics.source import Span
from archdsl.syntax import tree as t


@dataclass(eq=False)
class Part:
    """`part name: step`, where `builder` is the scope that owns the module. `first`: what runs it
    first, once something does."""

    statement: t.Part
    name: str
    frame: Frame
    builder: Builder
    first: Draft | None = None

    @property
    def span(self) -> Span:
        return self.statement.span
