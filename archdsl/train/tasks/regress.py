"""Numbers, or several labels a sample: the loss alone is measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from archdsl.train.errors import TrainError
from archdsl.train.recipe.schema import Augment, Recipe
from archdsl.train.tasks.task import Row, Targets, Tested, all_finite, finite


class LossAlone:
    """The meter of a task without a figure."""

    def add(self, main: Tensor, target: Tensor) -> None:
        pass

    def sums(self) -> list[float]:
        return []

    def result(self, loss: float, count: int, sums: Sequence[float]) -> Tested:
        return Tested(loss, count)


class Regress:
    """`labels`: the outputs are scores, each of a label by itself."""

    panel: str | None = None
    names: tuple[str, ...] = ()
    shares = False
    parameters: tuple[str, ...] = ()

    def __init__(self, labels: bool) -> None:
        self.labels = labels

    def counted(self, main: Tensor, target: Tensor) -> Tensor | None:
        return None

    def meter(self, device: Any) -> LossAlone:
        return LossAlone()

    def rank(self, row: Row) -> tuple[float, ...]:
        return (-finite(row["test_loss"]),)

    def score(self, row: Row) -> float | None:
        loss = row["test_loss"]
        return None if loss is None else -loss

    def titles(self) -> tuple[str, str]:
        return "", ""

    def cell(self, value: float | None, width: int) -> str:
        return ""

    def progress(self, figure: float) -> str:
        return ""

    def told(self, loss: float | None, figure: float | None) -> str:
        return f"loss {loss:.4g}"

    def amount(self) -> str:
        return ""

    def answers(self, main: Tensor, top: int) -> list[tuple[tuple[str, float], ...]]:
        rows = main.sigmoid() if self.labels else main
        return [
            tuple((f"output{i}", float(one)) for i, one in enumerate(row.flatten())) for row in rows
        ]

    def check(self, name: str, shape: tuple[int, ...] | None, target: Tensor) -> None:
        pass

    def outputs(self, has: int | None) -> int | None:
        return None

    def keeps(self, has: int | None) -> str:
        return ""

    def rare(self, targets: Tensor, recipe: Recipe) -> list[str]:
        return []

    def weights(self, targets: Tensor, recipe: Recipe) -> None:
        return None

    def one_each(self, targets: Tensor) -> Tensor:
        raise TrainError("data.sampler: balanced is for data with one class a sample")

    def mixer(self, plan: Augment) -> None:
        return None

    def pictures(self, tested: Tested | None, folder: Path) -> None:
        pass

    def captions(self, main: Tensor, target: Tensor) -> tuple[list[str], list[bool]] | None:
        return None


def number_targets(found: Sequence[Tensor], place: str) -> Targets:
    """For mse and l1: floats, one row a sample."""
    values = [all_finite(one.float(), place) for one in found]
    return Targets([one[:, None] if one.ndim == 1 else one for one in values], 0)
