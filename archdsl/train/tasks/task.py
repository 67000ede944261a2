"""The door through which a task enters training.

The loop knows losses and steps; a task knows what its targets mean: what else is measured, which
model is the best, how a person reads it, and what an answer is. It has one figure beside the loss,
or none, which the table, the progress line and the choice of the best model use.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from pydantic import BaseModel
from torch import Tensor

from archdsl.diagnostics.terminal import escaped
from archdsl.train.errors import TrainError
from archdsl.train.recipe.schema import Augment, Recipe

Row = dict[str, float | int | None]
#: a table's row under these names has the task's figure, where it has one
TRAIN, TEST = "train_accuracy", "test_accuracy"


@dataclass(frozen=True)
class Targets:
    """Targets as the loss takes them, nothing rounded, and how many classes there are: 0 where a
    sample does not have one class."""

    values: list[Tensor]
    classes: int


@dataclass
class Tested:
    """One pass over a test split. The shares are None where there are no classes."""

    loss: float
    count: int
    top1: float | None = None
    top5: float | None = None
    classes: tuple[str, ...] = ()
    per_class: dict[str, float | None] = field(default_factory=dict)
    confusion: list[list[int]] = field(default_factory=list)
    data: str = ""  # what was tested, in words
    notes: list[str] = field(default_factory=list)

    @property
    def figure(self) -> float | None:
        """The one that the table shows and the best model is chosen by."""
        return self.top1

    @property
    def missing(self) -> list[str]:
        """The classes of which the data had no sample."""
        return [name for name, share in self.per_class.items() if share is None]

    def gaps(self) -> list[str]:
        """What the data lacks, in words."""
        if not (missing := self.missing):
            return []
        some = ", ".join(missing[:8]) + (", ..." if len(missing) > 8 else "")
        return [f"the data has no samples of {len(missing)} classes: {some}"]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"{'data':>8}  {escaped(self.data)}"] if self.data else []
        lines += [f"{'note':>8}  {escaped(one)}" for one in self.notes]
        lines += [f"{'samples':>8}  {self.count}", f"{'loss':>8}  {self.loss:.4f}"]
        if self.top1 is not None:
            lines.append(f"{'top-1':>8}  {self.top1:.2%}")
        if self.top5 is not None:
            lines.append(f"{'top-5':>8}  {self.top5:.2%}")
        if self.per_class:
            shown_names = list(map(escaped, self.per_class))
            width = max(map(len, shown_names))
            lines.append("")
            for number, (name, share) in enumerate(
                zip(shown_names, self.per_class.values(), strict=True)
            ):
                total = sum(self.confusion[number])
                shown = "-" if share is None else f"{share:.2%}"
                lines.append(f"  {name:<{width}}  {shown:>8} of {total}")
        return "\n".join(lines)


class Meter(Protocol):
    """What is measured in one pass over a split, besides the loss."""

    def add(self, main: Tensor, target: Tensor) -> None:
        """One batch's outputs and targets."""
        ...

    def sums(self) -> list[float]:
        """What is added up over all processes."""
        ...

    def result(self, loss: float, count: int, sums: Sequence[float]) -> Tested: ...


class SavedTask(BaseModel):
    """What a checkpoint knows of its task, besides the recipe."""

    classes: list[str]


class Task(Protocol):
    """`panel`: the figure's name in pictures, where there is a figure. `names`: of what the targets
    number, where they number something. `shares`: whether an answer's numbers are shares of 1.
    `parameters`: those of a spec that may say how many outputs it has."""

    panel: str | None
    names: tuple[str, ...]
    shares: bool
    parameters: tuple[str, ...]

    def check(self, name: str, shape: tuple[int, ...] | None, target: Tensor) -> None:
        """One error where the task cannot take outputs of that shape for such targets, whatever the
        spec's parameters."""
        ...

    def outputs(self, has: int | None) -> int | None:
        """How many outputs it takes where that many will not do."""
        ...

    def keeps(self, has: int | None) -> str:
        """What keeps the spec's outputs, as the end of an advice."""
        ...

    def rare(self, targets: Tensor, recipe: Recipe) -> list[str]:
        """What is worth a note about the training split's targets."""
        ...

    def weights(self, targets: Tensor, recipe: Recipe) -> Tensor | None:
        """How much a sample of each kind counts in training, where not all count alike."""
        ...

    def one_each(self, targets: Tensor) -> Tensor:
        """One number a sample, where each is of one kind; else one error."""
        ...

    def mixer(self, plan: Augment) -> Callable[[Tensor, Tensor], Any] | None:
        """What mixes the samples of a batch with their targets."""
        ...

    def counted(self, main: Tensor, target: Tensor) -> Tensor | None:
        """A batch's share of the figure, as a number of samples."""
        ...

    def meter(self, device: Any) -> Meter: ...

    def rank(self, row: Row) -> tuple[float, ...]:
        """A tested epoch's place among others: the largest is the best."""
        ...

    def score(self, row: Row) -> float | None:
        """What must grow, or training stops early; None where nothing was tested."""
        ...

    def titles(self) -> tuple[str, str]:
        """Of the figure's columns in the table on the terminal: for training and testing."""
        ...

    def cell(self, value: float | None, width: int) -> str: ...

    def progress(self, figure: float) -> str:
        """The figure so far, for the progress line."""
        ...

    def told(self, loss: float | None, figure: float | None) -> str:
        """A result in words."""
        ...

    def amount(self) -> str:
        """How many things the targets number, in words."""
        ...

    def answers(self, main: Tensor, top: int) -> list[tuple[tuple[str, float], ...]]:
        """For each sample names and numbers, the most important first."""
        ...

    def pictures(self, tested: Tested | None, folder: Path) -> None:
        """Of a finished test."""
        ...

    def captions(self, main: Tensor, target: Tensor) -> tuple[list[str], list[bool]] | None:
        """What stands above sample images, and which answers are right; None: no such picture."""
        ...


def all_finite(values: Tensor, place: str) -> Tensor:
    if values.is_complex():
        raise TrainError(f"{place}: targets of complex numbers")
    if values.is_floating_point() and not bool(torch.isfinite(values).all()):
        at = int((~torch.isfinite(values.flatten(1) if values.ndim > 1 else values[:, None]))
                 .any(1).nonzero()[0])  # fmt: skip
        raise TrainError(f"{place}: the target of sample {at} is not a finite number")
    return values


def finite(value: float | int | None) -> float:
    return value if value is not None and math.isfinite(value) else math.inf


def best_row(history: Sequence[Row], task: Task) -> Row | None:
    tested = [row for row in history if row["test_loss"] is not None]
    return max(tested, key=task.rank) if tested else None


def stale_tests(history: Sequence[Row], task: Task, min_delta: float) -> int:
    """How many tests have passed since one was better than all before it by `min_delta`."""
    best, stale = float("-inf"), 0
    for row in history:
        score = task.score(row)
        if score is None:
            continue
        if score > best + min_delta or best == float("-inf"):
            best, stale = score, 0
        else:
            stale += 1
    return stale
