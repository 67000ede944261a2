"""What the playground answers, asked of its Python as the page asks it."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from archdsl.pipeline import shipped, specs_folder

FOLDER = Path(__file__).parents[2] / "docs/playground"
SMALL = """model small(classes=10) {
  input 3x32x32
  conv1: conv 8 3x3 -> relu -> maxpool 2x2
  flatten
  linear classes
}
"""


def load() -> ModuleType:
    found = importlib.util.spec_from_file_location("bridge", FOLDER / "bridge.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


BRIDGE = load()


class Asking:
    def __init__(self) -> None:
        self.page = BRIDGE.Page()

    def __call__(self, kind: str, **given: Any) -> Any:
        return json.loads(self.page.answer(json.dumps({"kind": kind, **given})))

    def check(self, text: str, model: str = "", input: str = "", **params: str) -> Any:
        return self("check", text=text, model=model, params=params, input=input)


@pytest.fixture
def ask() -> Asking:
    return Asking()


def units(text: str, span: list[int]) -> str:
    return text.encode("utf-16-le")[2 * span[0] : 2 * span[1]].decode("utf-16-le")


def test_a_right_text(ask: Asking) -> None:
    found = ask.check(SMALL)
    assert found["problems"] == []
    assert found["models"] == ["small"]
    assert found["parameters"] == [{"name": "classes", "default": "10"}]
    assert found["summary"]["flow"] == "3x32x32 → 10"
    assert {"line": 3, "text": "8x15x15", "all": "8x15x15"} in found["hints"]
    assert [text for *_, text in found["lenses"]] == ["18.2k parameters, 212k MACs"]


@pytest.mark.parametrize("before", ["", "# é\n", "# 🙂 two units\n"])
def test_a_mistake_is_on_its_word_and_its_fix_mends_it(ask: Asking, before: str) -> None:
    text = before + SMALL.replace("linear classes", "linear clases")
    (problem,) = ask.check(text)["problems"]
    assert units(text, problem["span"]) == "clases"
    assert problem["code"] == "E0102"
    (edit,) = problem["fixes"][0]["edits"]
    assert units(text, edit[:2]) == "clases"
    mended = text.replace("clases", edit[2])
    assert ask.check(mended)["problems"] == []


def test_shapes_stay_while_the_text_is_broken(ask: Asking) -> None:
    ask.check(SMALL)
    found = ask.check(SMALL.replace("linear classes", "linear ("))
    assert found["problems"]
    assert {"line": 3, "text": "8x15x15", "all": "8x15x15"} in found["hints"]
    assert ask("picture") == {"error": "the text has errors"}


def test_parameters_and_input(ask: Asking) -> None:
    found = ask.check(SMALL, classes="3", input="1x28x28")
    assert found["summary"]["flow"] == "1x28x28 → 3"
    assert "nn.Linear(1352, classes)" in ask("source")["text"]
    assert ask("file", to="costs")["text"].startswith("name,op,input")
    (problem,) = ask.check(SMALL, classes="many")["problems"]
    assert problem["where"] == "-p classes"
    (problem,) = ask.check(SMALL, input="1x1x1")["problems"]  # too small for the text
    assert units(SMALL, problem["span"]) == "3x3"
    assert "3x224x224" in ask.check(SMALL, input="x")["error"]


def test_several_models(ask: Asking) -> None:
    text = SMALL + "model other = small classes=3\n"
    assert ask.check(text)["model"] in ("small", "other")
    assert ask.check(text, model="small")["summary"]["flow"] == "3x32x32 → 10"
    assert "class Small(" in ask("source")["text"]
    found = ask.check(text, model="other")
    assert found["parameters"] == [{"name": "classes", "default": "3"}]
    assert "class Other(" in ask("source")["text"]


def test_boxes_know_their_lines(ask: Asking) -> None:
    ask.check(SMALL)
    found = ask("picture")
    shown = {units(SMALL, span) for box in found["boxes"] for span in box["spans"]}
    assert {"conv 8 3x3", "relu", "maxpool 2x2", "flatten", "linear classes"} <= shown


def test_boxes_are_those_of_the_text_that_was_drawn(ask: Asking) -> None:
    ask.check(SMALL)
    ask("complete", text="# longer\n" + SMALL, at=3)
    assert ask("picture")["boxes"]


def test_costs_add_up(ask: Asking) -> None:
    for name in ("resnet18", "googlenet", "vit_b_16"):
        ask.check((specs_folder() / f"{name}.arch").read_text())
        found = ask("costs")
        own = ask.page.shown.graph.sizes
        assert sum(row["params"] for row in found["rows"]) <= own.params
        assert sum(row["macs"] for row in found["rows"] if not row["training"]) == own.macs
        assert all(
            sum(one["macs"] for one in row["inner"]) == row["macs"]
            for row in found["rows"]
            if row["inner"]
        )


def test_sizes(ask: Asking) -> None:
    ask.check(SMALL)
    assert ask("sizes")["takes"] == ask.page.shown.sizes.describe()
    assert ask("sizes", at="33x33")["at"]["taken"]
    refused = ask("sizes", at="99x99")["at"]
    assert not refused["taken"] and units(SMALL, refused["spans"][0]) == "linear classes"
    assert "3x224x224" in ask("sizes", at="1x")["error"]


def test_completion_hover_and_signature(ask: Asking) -> None:
    at = SMALL.index("flatten") + 4
    labels = [one["label"] for one in ask("complete", text=SMALL, at=at)["options"]]
    assert "flatten" in labels and "residual" in labels
    page = ask("hover", text=SMALL, at=SMALL.index("linear") + 2)
    assert "| 1800 | 10 |" in page["text"] and units(SMALL, page["span"]) == "linear"
    shown = ask("signature", text=SMALL, at=SMALL.index("conv 8 3x3") + 7)
    assert shown["parts"][shown["active"]]["text"].startswith("kernel")
    assert ask("hover", text=SMALL, at=len(SMALL))["text"] == ""


def test_format_and_mend(ask: Asking) -> None:
    assert ask("format", text=SMALL.replace("  conv1: conv", " conv1:   conv"))["text"] == SMALL
    assert "syntax errors" in ask("format", text="model {")["error"]
    assert ask("mend", text=SMALL)["text"] == SMALL


@pytest.mark.parametrize("code", ["E0001", "E0203", "W0001"])
def test_a_code_is_explained(ask: Asking, code: str) -> None:
    assert ask("explain", code=code)["text"].split("[")[1].startswith(code)
    assert ask("explain", code="E9999")["text"] == ""


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_spec_opens(ask: Asking, name: str) -> None:
    found = ask.check((specs_folder() / f"{name}.arch").read_text())
    assert found["summary"] is not None
    assert not [one for one in found["problems"] if one["severity"] == "error"]


def test_needs_lark_alone() -> None:
    """Of all that is installed: what the browser would have to fetch."""
    code = (
        "import sys, json; before = set(sys.modules); import bridge\n"
        f"ask = lambda **k: bridge.answer(json.dumps(k))\n"
        f"ask(kind='check', text={SMALL!r}, model='', params={{}}, input='')\n"
        "for kind in ('picture', 'shapes', 'source', 'costs', 'sizes'): "
        "assert 'error' not in json.loads(ask(kind=kind))\n"
        "more = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(*sorted(more - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=FOLDER, capture_output=True, text=True, check=True
    )
    optional = {"regex"}  # Lark's own, where it is installed
    assert {*done.stdout.split()} - optional == {"archdsl", "bridge", "lark"}
