"""`archdsl import`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner, Result

import archdsl
from archdsl.cli.app import app

NET = """\
from torch import nn


class Net(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
        self.head = nn.Linear(8, classes)

    def forward(self, x):
        return self.head(self.body(x))


class Odd(nn.Module):
    def forward(self, x):
        return x.cumprod(1)


def fails():
    raise ValueError("no network today")
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets.py").write_text(NET, encoding="utf-8")
    return tmp_path


def call(*words: str) -> Result:
    return CliRunner().invoke(app, ["import", *words])


def test_a_network_becomes_a_spec_with_its_weights(folder: Path) -> None:
    result = call("nets.py:Net(3)", "--input", "4", "-o", "net.arch", "--weights", "w.safetensors")
    assert result.exit_code == 0, result.output
    assert "equal: 4 keys, 67 parameters, outputs on 2 inputs" in result.output
    text = (folder / "net.arch").read_text(encoding="utf-8")
    assert "model net() {\n  input 4\n  body: { linear 8 -> relu }\n  head: linear 3\n}" in text
    net = archdsl.load("net.arch", weights="w.safetensors")
    assert isinstance(net, nn.Module) and net(torch.zeros(1, 4)).shape == (1, 3)


def test_without_a_file_the_text_is_printed() -> None:
    result = call("nets.py:Net(classes=2)", "--input", "4")
    assert result.exit_code == 0 and "  head: linear 2\n" in result.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nets.py:Odd", "--input", "4"), "`cumprod` is no operator of the language"),
        (("nets.py:Net", "--input", "5"), "it cannot be run: RuntimeError"),
        (("nets.py:fails", "--input", "4"), "ValueError: no network today"),
        (("nets.py:None_",), "has no 'None_'"),
        (("nets.py:NET(print(1))",), "no call with literal arguments"),
        (("nets.py:nn",), "of type module"),
        (("none.py:Net",), "there is no file none.py"),
        (("nowhere_at_all:Net",), "No module named 'nowhere_at_all'"),
        (("nets.py",), "names no network"),
    ],
)
def test_errors_end_with_one_message_and_no_file(
    words: tuple[str, ...], message: str, folder: Path
) -> None:
    result = call(*words, "-o", "net.arch")
    assert result.exit_code == 1
    assert message in result.output
    assert not (folder / "net.arch").exists()
