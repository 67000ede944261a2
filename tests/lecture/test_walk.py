"""The guide's section "Follow the lecture" says what is true."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

import archdsl
from archdsl.cli.app import app
from archdsl.pipeline import ParamText, shipped
from archdsl.train import Override, read_recipe

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "specs" / "README.md").read_text(encoding="utf-8")
SECTION = GUIDE.partition("\n## Follow the lecture\n")[2].partition("\n## ")[0]
FENCES = re.findall(r"^```([^\n]*)\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
COMMANDS = [
    line for info, text in FENCES if info == "sh" for line in text.splitlines() if "archdsl" in line
]
ALL = sorted(path.stem for path in (ROOT / "specs" / "lecture").glob("*.arch"))


def plain(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("#")).strip()


def test_the_section_covers_every_spec() -> None:
    assert len(ALL) >= 9
    for name in ALL:
        assert f"specs/lecture/{name}.arch" in SECTION


@pytest.mark.parametrize("name", ALL)
def test_specs_have_recipes_and_check_clean(name: str) -> None:
    path = ROOT / "specs" / "lecture" / f"{name}.arch"
    report = archdsl.check(path)
    assert not report.diagnostics, str(report)
    read_recipe(path.with_suffix(".yaml"))


def test_only_whole_architectures_are_listed_as_shipped() -> None:
    assert "lenet5" in shipped()
    assert not {"linear_regression", "mlp", "mycnn", "logistic", "resnet"} & set(shipped())


@pytest.mark.parametrize("info", ["arch", "yaml"])
def test_shown_files_are_the_files(info: str) -> None:
    files = {plain(p.read_text()) for p in (ROOT / "specs" / "lecture").glob(f"*.{info}")}
    shown = [text.strip() for kind, text in FENCES if kind == info]
    assert shown and all(text in files for text in shown)


def test_pictures_are_there() -> None:
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", SECTION)
    assert len(pictures) >= 3
    for picture in pictures:
        assert (ROOT / "specs" / picture).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_meant_for_what_exists(command: str, monkeypatch: Any) -> None:
    monkeypatch.chdir(ROOT)
    _, verb, *words = shlex.split(command)
    if verb not in ("train", "check", "summary"):
        assert verb in ("eval", "predict")
        return
    params = dict(words[n + 1].split("=") for n, word in enumerate(words) if word == "-p")
    report = archdsl.check(words[0], **{k: ParamText(v) for k, v in params.items()})
    assert report.ok
    if verb == "train":
        flags = {"--data": "data.name", "--data-dir": "data.dir", "--seed": "seed", "--set": None}
        given = [
            Override.parse(words[n + 1] if flags[word] is None else f"{flags[word]}={words[n + 1]}")
            for n, word in enumerate(words)
            if word in flags
        ]
        beside = Path(words[0]).with_suffix(".yaml")
        read_recipe(beside if beside.exists() else None, given)


def test_the_warning_is_what_check_prints(monkeypatch: Any) -> None:
    monkeypatch.chdir(ROOT)
    shown = next(text for _, text in FENCES if "warning[W0001]" in text)
    command, _, output = shown.partition("\n")
    result = CliRunner().invoke(app, shlex.split(command)[2:])
    assert result.exit_code == 0
    first, last = output.split("...\n")
    assert first in result.output and last in result.output


def test_the_error_is_what_check_prints() -> None:
    shown = next(text for _, text in FENCES if "error[E0205]" in text)
    spec = plain((ROOT / "specs" / "lecture" / "mycnn.arch").read_text())
    whole = "fc_layer: { linear 100 -> relu -> linear classes }"
    assert whole in spec
    mistaken = "fc_layer: {\n    linear 10 -> relu\n    assert 100\n    linear classes\n  }"
    printed = str(archdsl.check(spec.replace(whole, mistaken))).replace("<text>", "mycnn.arch")
    assert printed.strip() == shown.strip()


def test_the_python_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    code = next(text for info, text in FENCES if info == "python" and "Objective" in text)
    exec(compile(code, "guide", "exec"), {})
    assert capsys.readouterr().out.count("2.1822") == 2


def test_the_recipe_shown_is_the_recipe() -> None:
    shown = next(text for info, text in FENCES if info == "yaml")
    file = ROOT / "specs" / "lecture" / "linear_regression.yaml"
    assert yaml.safe_load(shown) == yaml.safe_load(file.read_text())
