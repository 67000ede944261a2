"""The guide's section "Follow the lecture", followed to the letter."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import archdsl
from archdsl.cli.app import app
from archdsl.pipeline import shipped
from archdsl.train import read_recipe

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "specs" / "README.md").read_text(encoding="utf-8")
SECTION = GUIDE.partition("\n## Follow the lecture\n")[2].partition("\n## ")[0]
FENCES = re.findall(r"^```([^\n]*)\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
SPECS = sorted((ROOT / "specs" / "lecture").glob("*.arch"))

#: what makes a command of minutes one of seconds; nothing that it prints is then compared
SHORTER = {
    "mlp": ["--epochs", "20"],
    "mycnn": ["--dry-run"],
    "lenet5": ["--data", "fake", "--dry-run"],
    "vgg16": ["--data", "fake", "--dry-run"],
}


def commands() -> Iterator[tuple[str, str]]:
    """Each command with what it prints."""
    for info, text in FENCES:
        if info == "console":
            for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                command, _, output = part.partition("\n")
                yield command, output


def shortened(command: str) -> list[str]:
    """More words for a command that takes long."""
    verb, spec = command.split()[1:3]
    return SHORTER.get(Path(spec).stem, []) if verb == "train" else []


def matches(printed: str, shown: str) -> bool:
    """Equal but for numbers and times, which depend on the processor; `...` is anything."""

    def plain(text: str) -> str:
        return " ".join(re.sub(r"-?\d[\d.,:]*(e-?\d+)?( s\b)?", "#", text).split())

    pattern = re.escape(plain(shown)).replace(re.escape("..."), ".*")
    return re.fullmatch(pattern, plain(printed)) is not None


def photographs(folder: Path) -> None:
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for n in range(8):
            pixels = np.random.default_rng(n).integers(0, 256, (40, 60, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{n}.jpg")


def follow(folder: Path, data: Path | None = None) -> None:
    """Runs the section's commands in order: with real data in full, without it the short way."""
    (folder / "specs").symlink_to(ROOT / "specs")
    photographs(folder / "photos")
    (folder / "scores.py").write_text(next(text for _, text in FENCES if "class Scores" in text))
    for command, shown in commands():
        if not command.startswith("archdsl "):
            subprocess.run(["sh", "-c", command], cwd=folder, check=True)
            continue
        if data:
            command = command.replace("cifar10", f"folder:{data}/cifar10")
        more = [] if data else shortened(command)
        result = CliRunner().invoke(app, [*shlex.split(command)[1:], *more])
        assert result.exit_code == 0, f"$ {command}\n{result.output}"
        assert more or not shown or matches(result.stdout, shown), f"$ {command}\n{result.output}"


def test_its_commands(tmp_path: Path) -> None:
    follow(tmp_path)


@pytest.mark.slow
def test_its_commands_in_full(
    tmp_path: Path, real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARCHDSL_DATA", str(real_data))
    follow(tmp_path, real_data)


def test_it_covers_every_spec() -> None:
    assert len(SPECS) >= 10
    shown = " ".join(command for command, _ in commands())
    for path in SPECS:
        assert f"specs/lecture/{path.name}" in shown


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_specs_have_recipes_and_check_clean(path: Path) -> None:
    report = archdsl.check(path)
    assert not report.diagnostics, str(report)
    read_recipe(path.with_suffix(".yaml"))


def test_only_whole_architectures_are_listed_as_shipped() -> None:
    assert "lenet5" in shipped()
    assert not {"linear_regression", "mlp", "mycnn", "logistic", "resnet"} & set(shipped())


def plain(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("#")).strip()


@pytest.mark.parametrize("info", ["arch", "yaml"])
def test_shown_files_are_the_files(info: str) -> None:
    files = {plain(path.read_text()) for path in (ROOT / "specs" / "lecture").glob(f"*.{info}")}
    shown = [text.strip() for kind, text in FENCES if kind == info]
    assert shown and all(text in files for text in shown)


def test_pictures_are_there() -> None:
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", SECTION)
    assert len(pictures) >= 3
    for picture in pictures:
        assert (ROOT / "specs" / picture).read_bytes().startswith(b"\x89PNG")


def test_the_error_is_what_check_prints() -> None:
    shown = next(text for _, text in FENCES if "error[E0205]" in text)
    spec = plain((ROOT / "specs" / "lecture" / "mycnn.arch").read_text())
    whole = "fc_layer: { linear 100 -> relu -> linear classes }"
    assert whole in spec
    mistaken = "fc_layer: {\n    linear 10 -> relu\n    assert 100\n    linear classes\n  }"
    printed = str(archdsl.check(spec.replace(whole, mistaken))).replace("<text>", "mycnn.arch")
    assert printed.strip() == shown.strip()


def test_the_python_examples_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    examples = [text for info, text in FENCES if info == "python" and "print" in text]
    for code in examples:
        exec(compile(code, "guide", "exec"), {})
    bce, with_logits, formulas = capsys.readouterr().out.splitlines()
    assert float(bce) == pytest.approx(float(with_logits), abs=1e-6)
    assert formulas.count("2.1822") == 2
