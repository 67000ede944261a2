"""What the importer cannot say, with every place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Where in the user's network: the module's path, the Python line, the operation."""

    path: str
    line: str
    operation: str

    def __str__(self) -> str:
        return " ".join(filter(None, (self.path or "the module itself", self.line)))


@dataclass(frozen=True)
class Problem:
    """One thing that the language has no words for."""

    place: Place
    message: str

    def __str__(self) -> str:
        path, line = self.place.path or "(the module itself)", self.place.line
        return f"{path}: {self.message}" + (f"\n    {line}" if line else "")


class CannotImport(Exception):
    """A module that no spec describes: every place, in the order in which they run."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(dict.fromkeys(problems))
        super().__init__("\n".join(map(str, self.problems)))
