"""compile, draw and diff on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from archdsl.cli.app import app


def _run(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("a.py", b'"""The model `lenet5`'),
        ("a.yaml", b"archdsl_ir: 1\n"),
        ("a.json", b"{"),
        ("a.csv", b"name,op,input,output,params"),
    ],
)
def test_the_name_of_the_file_says_what(name: str, start: bytes, tmp_path: Path) -> None:
    done = _run("compile", "lenet5", "-o", tmp_path / name)
    assert done.exit_code == 0, done.output
    assert (tmp_path / name).read_bytes().startswith(start)
    assert not done.output


def test_text_is_printed() -> None:
    assert _run("compile", "lenet5").stdout.startswith('"""The model')
    assert _run("compile", "lenet5", "--to", "costs").stdout.startswith("name,op")
    assert _run("draw", "lenet5").stdout.startswith("flowchart TD")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["compile", "lenet5", "--to", "onnx"], "say where to with -o FILE.onnx"),
        (["compile", "lenet5", "--to", "safetensors"], "-o FILE.safetensors"),
        (["compile", "lenet5", "--weights", "w.pt"], "python holds none"),
        (["compile", "lenet5", "-o", "x.svg"], "archdsl draw"),
        (["draw", "lenet5", "-o", "x.jpg"], ".svg, .png, .mmd or .dot"),
        (["diff", "-", "-"], "only one"),
    ],
)
def test_wrong_usage(args: list[str], message: str) -> None:
    done = _run(*args)
    assert done.exit_code == 2
    assert message in " ".join(done.output.split())


def test_problems(tmp_path: Path) -> None:
    done = _run("draw", "lenet5", "-o", tmp_path / "none" / "x.svg")
    assert done.exit_code == 1 and "cannot write" in done.stderr
    done = _run("compile", "lenet5", "--weights", tmp_path / "w.pt", "-o", tmp_path / "x.pt2")
    assert done.exit_code == 1 and "there is no such file" in done.stderr
    bad = tmp_path / "bad.arch"
    bad.write_text("model bad() { input 3x8x8; conw 3 }")
    for args in (("draw", bad), ("compile", bad, "--to", "costs"), ("diff", bad, "lenet5")):
        done = _run(*args)
        assert done.exit_code == 1 and "conw" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.arch"]


@pytest.mark.parametrize("name", ["a.svg", "a.mmd", "a.dot"])
def test_draw(name: str, tmp_path: Path) -> None:
    done = _run("draw", "googlenet", "--depth", 2, "-o", tmp_path / name)
    assert done.exit_code == 0, done.output
    assert "branch2" in (tmp_path / name).read_text()


def test_diff() -> None:
    same = _run("diff", "lenet5", "lenet5")
    assert same.exit_code == 0
    assert same.output == "lenet5 and lenet5: no difference (61,706 parameters)\n"
    other = _run("diff", "resnet18", "resnet34", "--format", "json")
    assert other.exit_code == 1
    data = json.loads(other.stdout)
    assert data["params"] == [11689512, 21797672]
    assert all(change["old"] is None for change in data["changes"])
    assert _run("diff", "lenet5", "no-such").exit_code == 1
