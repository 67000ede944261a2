"""What is learnt stands behind one door: the loop and what a person sees do not know it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import archdsl.train
from archdsl.train.tasks import task_of
from archdsl.train.tasks.classify import Classify
from archdsl.train.tasks.regress import Regress
from archdsl.train.tasks.task import TEST, Row, Task, best_row, stale_tests

ROOM = Path(archdsl.train.__file__).parent
WORDS = re.compile(r"accura|\btop[15]\b|confusion|per_class|\bhits\b", re.I)
#: what loads data knows that it may have class names; these know nothing of them
BLIND = ["bench", "distributed", "objective", "plots", "folder", "sampling", "stopping"]


@pytest.mark.parametrize(
    "path",
    [p for p in sorted(ROOM.rglob("*.py")) if p.parent.name != "tasks"],
    ids=lambda p: p.stem,
)
def test_no_other_file_knows_what_is_measured(path: Path) -> None:
    text = path.read_text()
    assert not WORDS.findall(text)
    if path.stem in BLIND and path.parent.name != "data":
        assert ".classes" not in text


def row(epoch: int, loss: float | None, figure: float | None) -> Row:
    return {"epoch": epoch, "test_loss": loss, TEST: figure}


def test_the_best_is_what_the_task_says() -> None:
    shares = [row(1, 0.5, 0.8), row(2, 0.6, 0.9), row(3, 0.4, 0.9), row(4, None, None)]
    losses = [row(1, 0.5, None), row(2, 0.3, None), row(3, float("inf"), None), row(4, 0.4, None)]
    classify, regress = task_of(["a", "b"], "cross_entropy"), task_of([], "mse")
    assert isinstance(classify, Classify) and isinstance(regress, Regress)
    for task, history, best, stale in ((classify, shares, 3, 1), (regress, losses, 2, 2)):
        found = best_row(history, task)
        assert found is not None and found["epoch"] == best
        assert stale_tests(history, task, 0.0) == stale
    assert best_row([row(1, None, None)], regress) is None


@pytest.mark.parametrize(
    ("task", "main", "answers"),
    [
        (task_of(["a", "b", "c"], "cross_entropy"), [[0.0, 2.0, 1.0]], ["b", "c"]),
        (task_of(["a", "b"], "bce_with_logits"), [[3.0]], ["b", "a"]),
        (task_of([], "mse"), [[3.0, 4.0]], ["output0", "output1"]),
        (task_of([], "bce_with_logits"), [[0.0]], ["output0"]),
    ],
)
def test_answers(task: Task, main: list[list[float]], answers: list[str]) -> None:
    (found,) = task.answers(torch.tensor(main), top=2)
    assert [name for name, _ in found] == answers
    if not task.panel and len(found) == 1:
        assert found[0][1] == 0.5  # each label by itself


def test_a_meter_counts_what_the_table_shows() -> None:
    task = task_of([str(n) for n in range(6)], "cross_entropy")
    meter = task.meter(torch.device("cpu"))
    scores = torch.eye(6)[[0, 1, 1]]
    meter.add(scores, torch.tensor([0, 1, 2]))
    tested = meter.result(0.5, 3, meter.sums())
    assert tested.figure == tested.top1 == pytest.approx(2 / 3)
    assert tested.confusion[2] == [0, 1, 0, 0, 0, 0] and tested.missing == ["3", "4", "5"]
    assert int(task.counted(scores, torch.tensor([0, 1, 2])) or 0) == 2
