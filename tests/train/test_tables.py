"""CSV files: separators, headers, columns by name; limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from archdsl.train import evaluate, fit, predict, read_recipe
from archdsl.train.data.sources import Wanted, open_source
from archdsl.train.data.tables import open_table
from archdsl.train.recipe.read import Override
from tests.train.nets import RECIPE

SPEC = "model m(classes=2) {\n  input 2\n  linear classes\n}\n"


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("header", [False, True])
def test_the_separator_is_found(separator: str, header: bool, tmp_path: Path) -> None:
    rows = [["a", "b", "c"]] * header + [[str(n), f"{n / 2}", "x,y"] for n in range(9)]
    text = "\n".join(separator.join(f'"{c}"' if "," in c else c for c in row) for row in rows)
    (tmp_path / "t.csv").write_text(text)
    table = open_table(tmp_path / "t.csv")
    assert (table.separator, table.named) == (separator, header)
    assert table.names == (("a", "b", "c") if header else ("1", "2", "3"))
    assert [row for _, row in table.rows()] == rows[header:]


def test_a_header_of_numbers(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("2019,2020,kind\n1,2,0\n3,4,1\n")
    assert open_table(tmp_path / "t.csv").named


@pytest.mark.parametrize(
    ("text", "loss", "expected"),
    [
        ("1\n2\n3\n", "cross_entropy", "one column only"),
        ("1,5;2,5;cat\n2,5;3,5;dog\n", "cross_entropy", "'1,5' is not a number (write 1.5"),
        ("a,b,c\n", "cross_entropy", "no rows below its header"),
        ("a,b,b\n1,2,3\n", "cross_entropy", "two columns are named 'b'"),
        ("1,2,0.3\n3,4,0.9\n", "cross_entropy", "holds numbers such as 0.3; cross_entropy wants"),
        ("1,2,1.3\n3,4,0.9\n", "bce_with_logits", "holds numbers such as 1.3"),
        ("", "mse", "holds no rows"),
    ],
)
def test_table_problems(text: str, loss: str, expected: str, tmp_path: Path, raises: Any) -> None:
    (tmp_path / "t.csv").write_text(text)
    data = read_recipe({"data": f"csv:{tmp_path}/t.csv", "loss": loss}).data
    assert expected in raises(open_source, data, Wanted((2,), None, loss))


def test_shares_of_a_table_are_not_classes(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("1,2,0.3\n3,4,0.9\n")
    data = read_recipe({"data": f"csv:{tmp_path}/t.csv"}).data
    source = open_source(data, Wanted((2,), None, "bce_with_logits"))
    assert torch.equal(source.train.y, torch.tensor([[0.3], [0.9]])) and not source.classes


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null"])
def test_only_regular_files_are_read(path: str, raises: Any) -> None:
    assert "not a regular file" in raises(open_table, Path(path))


def test_size_has_a_limit(tmp_path: Path, raises: Any) -> None:
    with (tmp_path / "t.csv").open("wb") as file:
        file.truncate(2**31)
    assert "may have 1 GiB" in raises(open_table, tmp_path / "t.csv")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    rows = [f"{n},{-n},{'cat' if n > 20 else 'dog'}" for n in range(40)]
    (tmp_path / "t.csv").write_text("a,b,kind\n" + "\n".join(rows) + "\n")
    recipe = {**RECIPE, "data": f"csv:{tmp_path}/t.csv", "epochs": 1}
    fit(SPEC, recipe, out=tmp_path / "r", quiet=True)
    return tmp_path / "r"


def test_columns_are_found_by_name(run: Path, tmp_path: Path, raises: Any) -> None:
    texts = {
        "plain": "a,b\n1,9\n30,2\n",
        "turned": "b;id;a\n9;x;1\n2;y;30\n",
        "training": "a,b,kind\n1,9,dog\n30,2,cat\n",
        "headless": "1,9\n30,2\n",
        "missing": "a,c\n1,9\n",
        "too_many": "1,2,3\n",
        "bad": "a,b\n1,x\n30,2\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    tops = {
        name: [one.top for one in predict(run, [tmp_path / name])]
        for name in ("plain", "turned", "training", "headless")
    }
    assert len(tops["plain"]) == 2 and len(set(map(str, tops.values()))) == 1
    text = raises(predict, run, [tmp_path / "missing"])
    assert "has no column 'b'" in text and "the model takes a, b; the file has a, c" in text
    assert "3 columns; the model takes 2: a, b" in raises(predict, run, [tmp_path / "too_many"])
    bad, good = predict(run, [tmp_path / "bad"])
    assert "bad:2: column b: 'x' is not a number" in bad.problem and good.top == tops["plain"][1]


def test_a_table_without_header_that_holds_the_target(tmp_path: Path) -> None:
    rows = "\n".join(f"{n % 2},{n},{-n}" for n in range(40))
    (tmp_path / "t.csv").write_text(rows)
    recipe = {**RECIPE, "data": {"name": f"csv:{tmp_path}/t.csv", "target": "1"}, "epochs": 1}
    fit(SPEC, recipe, out=tmp_path / "r", quiet=True)
    (tmp_path / "alone.csv").write_text("\n".join(row[2:] for row in rows.splitlines()))
    a = predict(tmp_path / "r", [tmp_path / "t.csv"])
    b = predict(tmp_path / "r", [tmp_path / "alone.csv"])
    assert [one.top for one in a] == [one.top for one in b] and len(a) == 40


def test_eval_of_a_table_without_one_class(run: Path, tmp_path: Path, raises: Any) -> None:
    (tmp_path / "cats.csv").write_text("a,b,kind\n" + "30,-30,cat\n" * 7)
    found = evaluate(run, overrides=[Override.parse(f"data.name=csv:{tmp_path}/cats.csv")])
    assert found.count == 7 and found.data.endswith("cats.csv: all of it")
    assert found.notes == ["the data has no samples of 1 classes: dog"]
    assert found.per_class["dog"] is None and sum(map(sum, found.confusion)) == 7
    assert sum(found.confusion[0]) == 7  # cat is class 0
    (tmp_path / "cows.csv").write_text("a,b,kind\n30,-30,cow\n")
    text = raises(evaluate, run, overrides=[Override.parse(f"data.name=csv:{tmp_path}/cows.csv")])
    assert "the data's classes are not the model's: cow" in text
    own = evaluate(run)
    assert own.count == 8 and "the 8 of 40 that were held out from training" in own.data


@pytest.mark.parametrize(("loss", "outputs"), [("cross_entropy", 2), ("bce_with_logits", 1)])
def test_two_classes_and_one_output(
    loss: str, outputs: int, tmp_path: Path, raises: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """One score tells two classes apart under bce; cross_entropy wants one for each."""
    rows = "".join(f"{n},{9 - n},{'yn'[n % 2]}\n" for n in range(10))
    Path("t.csv").write_text("a,b,c\n" + rows)
    spec = SPEC.replace("classes=2", "classes=1")
    recipe = {"data": "csv:t.csv", "loss": loss, "epochs": 1, "plots": False}
    if outputs == 2:
        text = raises(fit, spec, recipe, out="a")
        assert text.startswith("m has 1 outputs, the data 2 classes\nhelp: add -p classes=2")
        assert text.endswith("--set loss=bce_with_logits keeps the one output, for two classes")
    result = fit(spec, recipe, out="a", fit_spec=True)
    assert result.module is not None
    assert result.module(torch.zeros(3, 2)).shape == (3, outputs)
    assert ("-p classes=2" in capsys.readouterr().out) == (outputs == 2)
