"""What is learnt: each task in a file of its own behind the protocol of `task.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from archdsl.train.tasks.classify import Classify, class_targets
from archdsl.train.tasks.regress import Regress, number_targets
from archdsl.train.tasks.task import Targets, Task

NUMBERS = ("mse", "l1")  # losses that compare numbers


def task_of(classes: Sequence[str], loss: str) -> Task:
    """The task of data that has these classes (none: numbers, or several labels a sample)."""
    return Classify(classes, loss) if classes else Regress(labels=loss == "bce_with_logits")


def saved_task(checkpoint: Any, loss: str) -> Task:
    return task_of(checkpoint["classes"], loss)


def to_save(task: Task) -> dict[str, Any]:
    """Of a task, for a checkpoint."""
    return {"classes": list(task.names)}


def read_targets(found: Sequence[Tensor], loss: str, place: str) -> Targets:
    """What a user's own targets, those of each split, mean under a loss."""
    if loss in NUMBERS:
        return number_targets(found, place)
    return class_targets(found, loss, place)
