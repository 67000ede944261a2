"""Costs as CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import archdsl
from archdsl.pipeline import open_spec
from archdsl.reports.costs import show_costs
from tests.artefacts.specs import MIXED


def test_rows_add_up() -> None:
    for spec in ("resnet18", "googlenet", MIXED):
        program = open_spec(spec).checked()
        rows = list(csv.DictReader(io.StringIO(show_costs(program))))
        assert sum(int(row["params"]) for row in rows) == program.params
        running = [row for row in rows if row["training_only"] == "False"]
        assert sum(int(row["macs"]) for row in running) == program.macs
        assert len(running) < len(rows) or not program.aux


def test_a_row() -> None:
    row = next(csv.DictReader(io.StringIO(archdsl.compile("resnet18", "costs"))))
    assert row == {
        "name": "conv1",
        "op": "conv",
        "input": "3x224x224",
        "output": "64x112x112",
        "params": "9408",
        "buffers": "0",
        "macs": "118013952",
        "activation": "802816",
        "training_only": "False",
    }


def test_json_by_the_name_of_the_file(tmp_path: Path) -> None:
    archdsl.export("lenet5", tmp_path / "costs.json", "costs")
    data = json.loads((tmp_path / "costs.json").read_text())
    assert data["model"] == "lenet5"
    assert data["params"] == sum(layer["params"] for layer in data["layers"]) == 61706
