"""The guides say what is true: every example in them is checked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

import archdsl
from archdsl.cli.app import app
from archdsl.ops.manual import inserted

ROOT = Path(__file__).parent.parent
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def fences(path: Path) -> list[tuple[str, str]]:
    return FENCE.findall(path.read_text(encoding="utf-8"))


def arch_examples() -> list[tuple[str, str]]:
    found = [f for f in fences(ROOT / "specs" / "README.md") if f[0].startswith("arch")]
    found += [f for f in fences(ROOT / "README.md") if f[0] == "" and "model " in f[1]]
    return [f for f in found if not f[1].startswith("$")]


@pytest.mark.parametrize(("info", "text"), arch_examples())
def test_example_checks(info: str, text: str) -> None:
    _, _, shape = info.partition(" ")
    if shape:
        text = f"model example() {{\n  input {shape}\n{text}\n}}"
    report = archdsl.check(text)
    assert report.ok, str(report)


def test_yaml_examples_are_yaml() -> None:
    texts = [text for info, text in fences(ROOT / "specs" / "README.md") if info == "yaml"]
    assert texts and all(yaml.safe_load(text) for text in texts)


def test_hooks_of_pre_commit(tmp_path: Path) -> None:
    """What they call takes file names, as the guide and pre-commit give them."""
    hooks = {h["id"]: h for h in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    shown = next(t for i, t in fences(ROOT / "specs" / "README.md") if i == "yaml" and "rev:" in t)
    used = [hook["id"] for repo in yaml.safe_load(shown)["repos"] for hook in repo["hooks"]]
    assert sorted(used) == sorted(hooks) == ["archdsl-check", "archdsl-fmt"]
    spec = tmp_path / "a.arch"
    spec.write_text("model a() {\n  input   3\n  linear 4\n}\n")
    for hook in hooks.values():
        assert re.search(hook["files"], spec.name)
        program, *command = hook["entry"].split()
        assert program == "archdsl"
        assert CliRunner().invoke(app, [*command, str(spec)]).exit_code == 0
    assert "input 3\n" in spec.read_text()


def test_guide_has_examples() -> None:
    assert len(arch_examples()) >= 18


def test_operator_reference_is_current() -> None:
    text = (ROOT / "specs" / "README.md").read_text(encoding="utf-8")
    assert text == inserted(text), "run: python -m archdsl.ops.manual specs/README.md"


def test_readme_shows_the_shipped_resnet50() -> None:
    spec = (ROOT / "specs" / "resnet50.arch").read_text(encoding="utf-8")
    shown = next(text for _, text in fences(ROOT / "README.md") if "model resnet50" in text)
    plain = "\n".join(line for line in spec.splitlines() if not line.startswith("#")).strip()
    assert shown.strip() == plain


def test_readme_error_is_what_check_prints() -> None:
    shown = next(text for _, text in fences(ROOT / "README.md") if "error[E0203]" in text)
    spec = """block down(mid) {
  residual {
    convbn mid 3x3 /2 pad=1
    conv mid 3x3 pad=1
  }
  relu
}
model mynet(classes=10) {
  input 3x64x64
  convbn 32 7x7 /2 pad=3 -> maxpool 3x3 /2 pad=1
  down 64
  gap; flatten
  linear clases
}
"""
    printed = str(archdsl.check(spec)).replace("<text>", "mynet.arch")
    assert shown.partition("\n")[2].strip() == printed.strip()
