"""One class a sample, of those that the data names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from archdsl.diagnostics.terminal import escaped
from archdsl.text import shape_text
from archdsl.train.errors import TrainError
from archdsl.train.recipe.schema import Augment, CrossEntropy, Nll, Recipe
from archdsl.train.tasks.task import TEST, Row, Targets, Tested, all_finite, finite

MOST_COUNTED = 1000  # classes, of which each pair of true and answered one is counted
MOST_DRAWN = 100
RARE = 0.01  # a class's share of the samples, below which it is said
BINARY = ("bce", "bce_with_logits")
SCORED = ("cross_entropy", "nll")  # these want a score for each class, of two classes as well


class Classify:
    panel: str | None = "accuracy (%)"
    shares = True
    parameters: tuple[str, ...] = ("classes", "num_classes", "n_classes", "nclasses")

    def __init__(self, classes: Sequence[str], loss: str) -> None:
        self.names, self.loss = tuple(classes), loss

    def check(self, name: str, shape: tuple[int, ...] | None, target: Tensor) -> None:
        if target.ndim == 1 and shape is not None and len(shape) != 1:
            raise TrainError(
                f"{name} gives {shape_text(shape)} for a sample, the data wants one of "
                f"{self.amount()}",
                "archdsl trains classifiers, one score a class: put `flatten` (or `gap -> "
                "flatten`) and a `linear` at the end; with --set loss=mse or l1 it trains any "
                "output on targets of the same shape, from your own Dataset (--data file.py:NAME)",
            )

    def outputs(self, has: int | None) -> int | None:
        count = len(self.names)
        return None if has is None or has == count or self._decides(has) else count

    def _decides(self, has: int) -> bool:
        """Whether one score tells two classes apart."""
        return has == 1 and len(self.names) == 2 and self.loss not in SCORED

    def keeps(self, has: int | None) -> str:
        if has == 1 and len(self.names) == 2 and self.loss in SCORED:
            return "; --set loss=bce_with_logits keeps the one output, for two classes"
        return ""

    def rare(self, targets: Tensor, recipe: Recipe) -> list[str]:
        plan = recipe.loss
        weighted = isinstance(plan, CrossEntropy | Nll) and plan.class_weights is not None
        if targets.ndim != 1 or weighted or recipe.data.sampler == "balanced":
            return []
        counts = torch.bincount(targets.long(), minlength=len(self.names)).tolist()
        count, number = min((n, at) for at, n in enumerate(counts) if n)
        if count >= len(targets) * min(RARE, 0.5 / len(self.names)):
            return []
        name, share = escaped(self.names[number]), count / len(targets)
        how = "data.sampler=balanced"
        if self.loss in SCORED:
            how += " or loss.class_weights=balanced"
        return [
            f"of class {name} are {count:,} of {len(targets):,} training samples "
            f"({share:.1%}): --set {how} makes up for it"
        ]

    def weights(self, targets: Tensor, recipe: Recipe) -> Tensor | None:
        plan, count = recipe.loss, len(self.names)
        given = plan.class_weights if isinstance(plan, CrossEntropy | Nll) else None
        if given is None:
            return None
        if isinstance(given, list):
            if len(given) != count:
                raise TrainError(
                    f"loss.class_weights: {len(given)} numbers, the data has {self.amount()}",
                    "give a number for each class, or balanced",
                )
            return torch.tensor(given)
        if targets.ndim != 1:
            raise TrainError("loss.class_weights: balanced is for data with one class a sample")
        samples = torch.bincount(targets.long(), minlength=count).float()
        return len(targets) / (samples.clamp(min=1) * int((samples > 0).sum()))

    def one_each(self, targets: Tensor) -> Tensor:
        if targets.ndim != 1:
            raise TrainError("data.sampler: balanced is for data with one class a sample")
        return targets

    def mixer(self, plan: Augment) -> Any:
        """MixUp, CutMix, or one of them by chance, for whole batches; None where none is asked
        for."""
        if not plan.mixup and not plan.cutmix:
            return None
        from torchvision.transforms import v2

        # alpha 0 means none: MixUp(alpha=0) would raise.
        found = [
            make(alpha=alpha, num_classes=len(self.names))
            for make, alpha in ((v2.MixUp, plan.mixup), (v2.CutMix, plan.cutmix))
            if alpha > 0
        ]
        return v2.RandomChoice(found) if len(found) > 1 else found[0]

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

    def progress(self, figure: float) -> str:
        return f"acc {figure:.1%}, "

    def told(self, loss: float | None, figure: float | None) -> str:
        return f"loss {loss:.4g}" if figure is None else f"accuracy {figure:.2%}"

    def amount(self) -> str:
        return f"{len(self.names)} classes"

    def answers(self, main: Tensor, top: int) -> list[tuple[tuple[str, float], ...]]:
        found = []
        for row in self.probabilities(main):
            best = row.topk(min(top, len(row)))
            pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
            found.append(tuple((self.names[i], p) for i, p in pairs))
        return found

    def pictures(self, tested: Tested | None, folder: Path) -> None:
        if tested is not None and 1 < len(self.names) <= MOST_DRAWN and tested.confusion:
            from archdsl.train.run.plots import plot_table  # matplotlib takes a second

            plot_table(tested.confusion, self.names, folder / "confusion.png")

    def captions(self, main: Tensor, target: Tensor) -> tuple[list[str], list[bool]] | None:
        answers = self.answered(main).cpu()
        names = [
            self.names[a] if a == t else f"{self.names[a]} (is {self.names[t]})"
            for a, t in zip(answers.tolist(), target.tolist(), strict=True)
        ]
        return names, (answers == target).tolist()


class Hits:
    """How many are right, right among five, and what was taken for what."""

    def __init__(self, task: Classify, device: torch.device) -> None:
        self.task = task
        self.size = len(task.names) if 0 < len(task.names) <= MOST_COUNTED else 0
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
        classes, size = self.task.names, self.size
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


def class_targets(found: Sequence[Tensor], loss: str, place: str) -> Targets:
    """For the losses of classification: class numbers where they are that, else shares: the
    probability of each class (cross_entropy), or of each label by itself (bce)."""
    values = [one[:, 0] if one.ndim == 2 and one.shape[1] == 1 else one for one in found]
    values = [all_finite(one, place) for one in values]
    if any(one.ndim > 2 for one in values):
        shape = shape_text(values[0].shape[1:])
        raise TrainError(
            f"{place}: a target has shape {shape} (a mask?), {loss} trains on one class a sample",
            "give a class number; with --set loss=mse, a tensor of the output's shape",
        )
    if values[0].ndim == 1:
        if all(bool((one == one.round()).all()) for one in values):
            return _labels([one.long() for one in values], loss, place)
        if loss not in BINARY:
            odd = next(float(x) for one in values for x in one.flatten() if x != x.round())
            raise TrainError(
                f"{place}: the target {odd:g} is not a class number, which {loss} wants",
                "--set loss=mse compares numbers; --set loss=bce_with_logits takes shares 0 to 1",
            )
        values = [one[:, None] for one in values]
    shares = [one.float() for one in values]
    if not all(bool(((one >= 0) & (one <= 1)).all()) for one in shares):
        raise TrainError(
            f"{place}: targets of several numbers, not all from 0 to 1, which {loss} wants",
            "--set loss=mse compares numbers",
        )
    if loss in BINARY:
        return Targets(shares, 0)
    if loss == "nll":
        raise TrainError(
            f"{place}: targets of {shares[0].shape[1]} numbers; nll wants one class number",
            "--set loss=cross_entropy takes the probability of each class",
        )
    if not all(bool(((one.sum(1) - 1).abs() < 1e-3).all()) for one in shares):
        raise TrainError(
            f"{place}: targets of {shares[0].shape[1]} numbers that do not add up to 1, as the "
            "probabilities of cross_entropy's classes do",
            "--set loss=bce_with_logits takes several labels at once",
        )
    return Targets(shares, shares[0].shape[1])


def _labels(values: list[Tensor], loss: str, place: str) -> Targets:
    low, high = min(int(one.min()) for one in values), max(int(one.max()) for one in values)
    if low < 0:
        raise TrainError(f"{place}: the class label {low} is negative", "labels count from 0")
    most = 2**20
    if high >= most:
        raise TrainError(
            f"{place}: the class label {high} is beyond {most} classes",
            "--set loss=mse compares numbers",
        )
    return Targets(values, high + 1)
