"""One class a sample, of those that the data names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from archdsl.train.tasks.regress import finite
from archdsl.train.tasks.task import TEST, Row, Tested

MOST_COUNTED = 1000  # classes, of which each pair of true and answered one is counted
MOST_DRAWN = 100


class Classify:
    panel: str | None = "accuracy (%)"

    def __init__(self, classes: Sequence[str], loss: str) -> None:
        self.classes, self.loss = tuple(classes), loss

    def answered(self, main: Tensor) -> Tensor:
        """The class that each output names."""
        if main.shape[-1] > 1 and main.ndim > 1:
            return main.argmax(1)
        return (main.flatten() > (0.0 if self.loss == "bce_with_logits" else 0.5)).long()

    def probabilities(self, main: Tensor) -> Tensor:
        """One column a class."""
        if self.loss == "cross_entropy":
            return main.softmax(1)
        if self.loss == "nll":
            return main.exp()
        p = main if self.loss == "bce" else main.sigmoid()
        return torch.stack([1 - p.flatten(), p.flatten()], 1) if p[0].numel() == 1 else p

    def counted(self, main: Tensor, target: Tensor) -> Tensor | None:
        """How many samples are classed right."""
        numbers = class_numbers(target)
        if numbers is None or (self.loss in ("mse", "l1") and target.is_floating_point()):
            return None
        return (self.answered(main) == numbers).sum()

    def meter(self, device: torch.device) -> Hits:
        return Hits(self, device)

    def rank(self, row: Row) -> tuple[float, ...]:
        return (row[TEST] or 0, -finite(row["test_loss"]))

    def score(self, row: Row) -> float | None:
        return row[TEST]

    def titles(self) -> tuple[str, str]:
        return "  train acc", "  test acc"

    def cell(self, value: float | None, width: int) -> str:
        return f"  {'' if value is None else f'{value:.2%}':>{width}}"

    def progress(self, counted: float, samples: float) -> str:
        return f"acc {counted / samples:.1%}, "

    def told(self, loss: float | None, figure: float | None) -> str:
        return f"loss {loss:.4g}" if figure is None else f"accuracy {figure:.2%}"

    def about(self) -> str:
        return f", {len(self.classes)} classes"

    def answers(self, main: Tensor, top: int) -> list[tuple[tuple[str, float], ...]]:
        found = []
        for row in self.probabilities(main):
            best = row.topk(min(top, len(row)))
            pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
            found.append(tuple((self.classes[i], p) for i, p in pairs))
        return found

    def pictures(self, tested: Tested | None, folder: Path) -> None:
        if tested is not None and 1 < len(self.classes) <= MOST_DRAWN and tested.confusion:
            from archdsl.train.run.plots import plot_table  # matplotlib takes a second

            plot_table(tested.confusion, self.classes, folder / "confusion.png")

    def captions(self, main: Tensor, target: Tensor) -> tuple[list[str], list[bool]] | None:
        answers = self.answered(main).cpu()
        names = [
            self.classes[a] if a == t else f"{self.classes[a]} (is {self.classes[t]})"
            for a, t in zip(answers.tolist(), target.tolist(), strict=True)
        ]
        return names, (answers == target).tolist()


class Hits:
    """How many are right, right among five, and what was taken for what."""

    def __init__(self, task: Classify, device: torch.device) -> None:
        self.task = task
        self.size = len(task.classes) if 0 < len(task.classes) <= MOST_COUNTED else 0
        self.hits = torch.zeros(2, dtype=torch.int64, device=device)
        self.confusion = torch.zeros(self.size * self.size, dtype=torch.int64, device=device)

    def add(self, main: Tensor, target: Tensor) -> None:
        numbers, size = class_numbers(target), self.size
        if numbers is None:
            return
        answers = self.task.answered(main)
        self.hits[0] += (answers == numbers).sum()
        if main.ndim == 2 and main.shape[1] > 5:
            self.hits[1] += (main.topk(5, 1).indices == numbers[:, None]).sum()
        if size and (main.ndim == 1 or main.shape[1] in (1, size)):
            self.confusion += torch.bincount(numbers * size + answers, minlength=size * size)

    def sums(self) -> list[float]:
        return [*self.hits.tolist(), *self.confusion.tolist()]

    def result(self, loss: float, count: int, sums: Sequence[float]) -> Tested:
        top1, top5, *pairs = sums
        classes, size = self.task.classes, self.size
        rows = [[int(n) for n in pairs[i * size : (i + 1) * size]] for i in range(size)]
        return Tested(
            loss,
            count,
            top1 / count,
            top5 / count if len(classes) > 5 else None,
            classes,
            {
                name: rows[i][i] / sum(rows[i]) if sum(rows[i]) else None
                for i, name in enumerate(classes[:size])
            },
            rows,
        )


def class_numbers(target: Tensor) -> Tensor | None:
    """The class of each sample; of shares the heaviest; None where there is none."""
    if target.ndim == 2 and target.shape[1] > 1:
        return target.argmax(1)
    return target if target.ndim == 1 and not target.is_floating_point() else None
