"""`%%arch`, what notebooks show, and the notebook of the documentation."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

import archdsl
from archdsl.diagnostics.html import to_html
from archdsl.notebook import run

ROOT = Path(__file__).parents[1]
CELL = "model tiny(classes=3) {\n  input 1x8x8\n  flatten\n  linear classes\n}\n"


def asked(line: str, cell: str) -> tuple[dict[str, Any], list[Any]]:
    space: dict[str, Any] = {}
    shown: list[Any] = []
    run(line, cell, space, shown.append)
    return space, shown


def test_a_cell_draws_and_defines() -> None:
    torch = pytest.importorskip("torch")
    space, shown = asked("-p classes=5", CELL)
    assert [type(one).__name__ for one in shown] == ["Program"]
    assert space["tiny"](torch.zeros(2, 1, 8, 8)).shape == (2, 5)


def test_a_cell_with_a_mistake_shows_it_and_defines_nothing() -> None:
    space, (report,) = asked("", CELL.replace("linear", "liner"))
    assert space == {}
    bundle = report._repr_mimebundle_()
    assert "liner" in bundle["text/html"] and "E0101" in bundle["text/html"]
    assert "\x1b" not in bundle["text/html"]


def test_options(capsys: pytest.CaptureFixture[str]) -> None:
    both = CELL + "model wide = tiny classes=9\n"
    space, shown = asked("--check --quiet --input 2x4x4", both)
    assert shown == []
    assert {name: p.output_shapes["output"] for name, p in space.items()} == {
        "tiny": (3,), "wide": (9,)}  # fmt: skip
    assert [*asked("--check --model wide", both)[0]] == ["wide"]
    for line, said in (("-p classes", "NAME=VALUE"), ("--input 3y4", "3x64x64"), ("--no", "--no"),
                       ("-p 'a=1", "quotation")):  # fmt: skip
        assert asked(line, CELL) == ({}, [])
        told = capsys.readouterr().out
        assert told.startswith("UsageError: ") and said in told


def test_a_report_shows_its_picture_or_its_problems() -> None:
    good = archdsl.check(CELL)
    assert "image/svg+xml" in good._repr_mimebundle_()
    warned = archdsl.check(CELL.replace("flatten\n", "flatten\n  let unused = 3\n"))
    assert warned.ok and "unused" in warned._repr_mimebundle_()["text/html"]


def test_html_runs_nothing() -> None:
    report = archdsl.check(CELL.replace("classes\n}", "<script>alert(1)</script>\n}"))
    shown = to_html(report.diagnostics)
    assert "<script" not in shown and "&lt;script" in shown


def test_a_result_shows_its_curves(tmp_path: Path) -> None:
    from archdsl.train.job import fit
    from archdsl.train.result import Result

    result = fit(CELL.replace("classes=3", "classes=10"), {"data": "digits", "epochs": 2},
                 out=tmp_path / "run", quiet=True)  # fmt: skip
    shown = result._repr_mimebundle_()
    assert shown["image/png"] == (tmp_path / "run/curves.png").read_bytes()
    assert "best epoch" in shown["text/plain"] and "test_accuracy" in shown["text/plain"]
    assert set(Result(None, None, [], None, 0)._repr_mimebundle_()) == {"text/plain"}


NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("nbclient", "nbformat", "ipykernel"))),
    reason="Jupyter is not here: pip install nbclient ipykernel",
)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebooks_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    book = nbformat.read(path, as_version=4)
    client = NotebookClient(book, timeout=300, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()  # raises where a cell does
    kinds = {kind for cell in book.cells for out in cell.get("outputs", [])
             for kind in out.get("data", {})}  # fmt: skip
    assert {"image/svg+xml", "text/html", "image/png"} <= kinds
    assert not [out for cell in book.cells for out in cell.get("outputs", [])
                if out.output_type == "error"]  # fmt: skip


def test_there_is_a_notebook() -> None:
    assert NOTEBOOKS
    for path in NOTEBOOKS:
        assert '"outputs": []' in path.read_text(), f"{path}: clear its outputs"
