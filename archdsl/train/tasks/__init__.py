"""What is learnt: each task in a file of its own behind the protocol of `task.py`."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl.train.tasks.classify import Classify
from archdsl.train.tasks.regress import Regress
from archdsl.train.tasks.task import Task


def task_of(classes: Sequence[str], loss: str) -> Task:
    """The task of data that has these classes (none: numbers, or several labels a sample)."""
    return Classify(classes, loss) if classes else Regress(labels=loss == "bce_with_logits")
