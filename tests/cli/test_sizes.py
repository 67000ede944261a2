"""`archdsl sizes`: what it prints, how it ends."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from archdsl.cli.app import app
from archdsl.pipeline import open_spec, specs_folder
from archdsl.sizes.plot import drawn, grid

UNET = """block double(c) { conv c 3x3 pad=1 -> relu -> conv c 3x3 pad=1 -> relu }
model unet {
  input 1x256x256
  double 4 -> tap s1 -> maxpool 2x2
  double 8 -> tap s2 -> maxpool 2x2
  double 8 -> deconv 8 2x2 /2 -> concat @s2
  double 8 -> deconv 4 2x2 /2 -> concat @s1
  conv 1 1x1
}
"""


def run(*args: str, input: str | None = None) -> Result:
    return CliRunner().invoke(app, ["sizes", *args], input=input)


@pytest.fixture
def unet(tmp_path: Path) -> str:
    path = tmp_path / "unet.arch"
    path.write_text(UNET)
    return str(path)


def test_each_input_is_named() -> None:
    inputs = "input a 3x8x8; input b 1x8x8; input c 4x4x4"
    told = run("-", input=f"model m {{ {inputs}; concat @b; fit @c; add @c }}").output
    assert "m takes a 3×H×W" in told
    assert "  with b 1×H×W\n  with c 4x4x4 only\n" in told
    data = run("-", "--output-format", "json", input=f"model m {{ {inputs}; concat @b }}")
    assert json.loads(data.stdout)["others"] == {"b": "1×H×W", "c": "4x4x4 only"}


def test_the_set_and_the_line(unet: str) -> None:
    told = run(unet)
    assert told.exit_code == 0
    first, bound, last = told.stdout.splitlines()
    assert first == "unet takes 1×H×W where H % 4 == 0 and W % 4 == 0"
    assert bound.startswith("  H % 4 == 0, W % 4 == 0  from `concat @s1`, unet.arch:7: at 255x256 ")
    assert "4x252x256 and 4x255x256" in bound and last == "smallest: 4x4"


def test_at_a_size(unet: str) -> None:
    fine = run(unet, "--at", "252x332")
    assert (fine.exit_code, fine.stdout) == (0, "unet takes 252x332, and gives 1x252x332\n")
    square = run(unet, "--at", "64")
    assert (square.exit_code, square.stdout) == (0, "unet takes 64x64, and gives 1x64x64\n")
    wrong = run(unet, "--at", "250x333")
    assert wrong.exit_code == 1
    first, cause, nearest = wrong.stdout.splitlines()
    assert first.startswith("unet does not take 250x333: ") and "8x124x166 and 8x125x166" in first
    assert (cause, nearest) == ("  from `concat @s2`, unet.arch:6", "nearest: 248x332, 252x332")


def test_json(unet: str) -> None:
    taken = json.loads(run(unet, "--output-format", "json", "--at", "8x8").stdout)
    assert taken["boxes"] == [{"H": "H % 4 == 0", "W": "W % 4 == 0"}] and taken["exact"]
    assert taken["at"] == {"size": [8, 8], "taken": True, "outputs": {"output": [1, 8, 8]}}
    (bound,) = taken["bounds"]
    assert (bound["file"], bound["line"], bound["step"]) == (unet, 7, "concat @s1")
    refused = run(unet, "--output-format", "json", "--at", "9x8")
    assert refused.exit_code == 1
    at = json.loads(refused.stdout)["at"]
    assert not at["taken"] and at["nearest"][0] == [8, 8] and at["line"] == 7


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("model m { input 8; linear 3 }", "m takes 8 only\n"),
        ("model m { input 8x20; conv 4 5 }", "m takes 8×L where L >= 5\n"),
        ("model m { input 20x8; linear 4; mha 2 }", "m takes L×8, every L\n"),
        ("model m { input 1x8x8x8; conv 4 3 /2 }", "m takes 1×D×H×W where D >= 3"),
        ("model m { input 3x9x9; flatten; linear 2 }", "m takes 3×H×W where H is 1 and W is 81"),
        (
            "model m { input 3x9x9; add { identity; permute [0, 2, 1] } }",
            "where H == W or H == 1 or W == 1\n",
        ),
        ("model m { input 3x9x9; conv 3 3x3; repeat (in.h) { relu } }", "from `in.h in m`"),
    ],
)
def test_inputs_of_every_kind(spec: str, told: str) -> None:
    shown = run("-", input=spec)
    assert shown.exit_code == 0 and told in shown.stdout, shown.stdout


def test_wrong_use(unet: str) -> None:
    for text in ("250", "8x8x8", "0x3", "axb", ""):
        wrong = run(unet, "--at", text)
        assert wrong.exit_code == (1 if text == "250" else 2), text
    assert run("-", "--at", "9", input="model m { input 8; linear 3 }").exit_code == 2
    assert run("-", input="model m { input 8; nope }").exit_code == 1


def test_plot(tmp_path: Path) -> None:
    path = tmp_path / "sizes.png"
    assert run("lenet5", "--plot", str(path)).exit_code == 0
    assert path.read_bytes().startswith(b"\x89PNG")
    lenet = open_spec("lenet5").checked().sizes
    rows = grid(lenet, drawn(lenet))
    assert sum(map(sum, rows)) == 16 and rows[31][34] and not rows[31][35] and not rows[30][31]
    diagonal = "model m { input 3x9x9; add { identity; permute [0, 2, 1] } }"
    sizes = open_spec(diagonal).checked().sizes
    assert grid(sizes, 3) == [[1, 1, 1], [1, 1, 0], [1, 0, 1]]


@pytest.mark.parametrize(
    ("spec", "file", "code"),
    [
        ("model m { input 3x20; conv 4 5 }", "a.png", 2),
        ("model m { input 3x9x9; conv 4 5 }", "a.xyz", 2),
        ("model m { input 3x9x9; conv 4 5 }", "nowhere/a.png", 1),
    ],
)
def test_plots_that_cannot_be(spec: str, file: str, code: int, tmp_path: Path) -> None:
    wrong = run("-", "--plot", str(tmp_path / file), input=spec)
    assert wrong.exit_code == code and not [*tmp_path.iterdir()]


def test_parameters_and_input() -> None:
    assert "every H and W" in run("resnet18", "--input", "3x64x64", "-p", "classes=3").stdout


def test_the_guide_shows_what_it_prints() -> None:
    text = (specs_folder() / "README.md").read_text(encoding="utf-8")
    (fence,) = re.findall(r"```console\n(\$ archdsl sizes .*?)```", text, re.DOTALL)
    for part in re.split(r"^\$ archdsl sizes ", fence, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        assert run(*command.split()).stdout == output
