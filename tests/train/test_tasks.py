"""What is learnt stands behind one door: the loop and what a person sees do not know it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import archdsl.train
from archdsl.train.tasks import task_of
from archdsl.train.tasks.classify import Classify
from archdsl.train.tasks.regress import Regress
from archdsl.train.tasks.task import TEST, Row, Task, best_row, stale_tests

ROOM = Path(archdsl.train.__file__).parent
WORDS = re.compile(
    r"(?<![a-z])class(es)?(?![a-z])|accura|top[15]\b|confusion|per_class|hits\b", re.I
)
#: readers of what is kept in folders of classes, or lists them; and the recipe's keys for these
READERS = {
    f"data/{name}.py" for name in ("fake", "folder", "formula", "named", "own", "sources", "tables")
}
KEYS = {"recipe/schema.py": {"classes", "class_weights"}}
OTHERS = [p.relative_to(ROOM).as_posix() for p in sorted(ROOM.rglob("*.py"))]


def words(tree: ast.AST) -> Iterator[str]:
    """Names and texts of a file, without its docstrings."""
    documents = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if node in documents:
            continue
        match node:
            case ast.Name(id=word) | ast.Attribute(attr=word) | ast.arg(arg=word):
                yield word
            case ast.FunctionDef(name=word) | ast.ClassDef(name=word) | ast.alias(name=word):
                yield word
            case ast.keyword(arg=str(word)) | ast.Constant(str(word)):
                yield word


@pytest.mark.parametrize("path", [p for p in OTHERS if not p.startswith("tasks/")])
def test_no_other_file_knows_what_is_learnt(path: str) -> None:
    found = {word for word in words(ast.parse((ROOM / path).read_text())) if WORDS.search(word)}
    if path in READERS:  # they know that there are classes, not how answers are measured
        assert found and not any("acc" in w or "top" in w or "hits" in w for w in found)
    else:
        assert found == KEYS.get(path, set())


def test_words_are_seen() -> None:
    text = "class A:\n  'a class'\n  def top1(self, classes): x.hits = f(accuracy='per class')\n"
    found = {word for word in words(ast.parse(text)) if WORDS.search(word)}
    assert found == {"top1", "classes", "hits", "accuracy", "per class"}


ENGINE = sorted((ROOM / "engine").glob("*.py"))


@pytest.mark.parametrize("path", ENGINE, ids=lambda path: path.stem)
def test_the_engine_knows_no_console_no_folder_and_no_picture(path: Path) -> None:
    """It yields records; `train/run` listens."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [str(node.module)]
        for name in names:
            assert not name.startswith("archdsl.train.run")
            assert name.partition(".")[0] not in ("pathlib", "matplotlib", "tqdm", "csv", "yaml")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("print", "open")


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
