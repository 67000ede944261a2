"""`archdsl new`, and the commands that only editors and shells start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import archdsl
from archdsl.cli.app import app
from archdsl.diagnostics.source import Source
from archdsl.pipeline import shipped
from archdsl.syntax.format import format
from archdsl.train.recipe.read import read_recipe


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*args: str) -> Result:
    return CliRunner().invoke(app, list(args))


def check(name: str) -> None:
    text = Path(f"{name}.arch").read_text()
    report = archdsl.check(f"{name}.arch")
    assert report.ok and not report.warnings, str(report)
    assert format(Source("", text)) == (text, [])
    read_recipe(Path(f"{name}.yaml"))


def test_what_is_new_checks() -> None:
    result = run("new", "my-net")
    assert result.exit_code == 0 and "archdsl train my-net.arch" in result.stdout
    check("my-net")
    assert run("check", "my-net.arch").exit_code == 0


def test_in_a_folder_and_with_the_suffix() -> None:
    assert run("new", "nets/a.arch").exit_code == 0
    check("nets/a")


@pytest.mark.parametrize("like", ["resnet18", "lenet5", shipped()[0], shipped()[-1]])
def test_a_variant_checks(like: str) -> None:
    assert run("new", "mine", "--like", like).exit_code == 0
    check("mine")


def test_nothing_is_overwritten() -> None:
    Path("a.yaml").write_text("epochs: 3\n")
    result = run("new", "a")
    assert result.exit_code == 1 and "a.yaml is there already" in result.stderr
    assert not Path("a.arch").exists() and Path("a.yaml").read_text() == "epochs: 3\n"


@pytest.mark.parametrize("name", ["unit", "model", "9lives", "a:b", "é"])
def test_names_that_cannot_be(name: str) -> None:
    result = run("new", name)
    assert result.exit_code == 1 and "cannot be called" in result.stderr
    assert not list(Path().iterdir())


def test_an_unknown_spec() -> None:
    result = run("new", "a", "--like", "resnet5")
    assert result.exit_code == 1 and "did you mean" in result.stderr


@pytest.mark.slow
def test_it_trains() -> None:
    assert run("new", "a").exit_code == 0
    result = run("train", "a.arch", "--set", "max_steps=2", "--set", "plots=false")
    assert result.exit_code == 0, result.output


def test_the_language_server_says_what_it_lacks() -> None:
    hidden = "import sys; sys.modules['pygls'] = None; from archdsl.cli.app import main; main()"
    result = subprocess.run([sys.executable, "-c", hidden, "lsp"], capture_output=True, text=True)
    assert result.returncode == 2 and 'pip install "archdsl[lsp]"' in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", [["explain", "E0101"], ["fmt", "--check", "a.arch"], ["-h"]])
def test_commands_import_little(command: list[str]) -> None:
    """Starting is quick where nothing heavy is imported."""
    run("new", "a")
    code = (
        "import sys\nfrom archdsl.cli.app import app\n"
        f"try: app({command!r})\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'pygls', 'lsprotocol', 'pygments', 'rich', 'pydantic'}\n"
        "print(sorted(heavy & sys.modules.keys()), file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stderr.strip() == "[]"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion(shell: str) -> None:
    environment = {"_ARCHDSL_COMPLETE": f"source_{shell}"}
    result = CliRunner().invoke(app, [], prog_name="archdsl", env=environment)
    assert "archdsl" in result.stdout and "complete" in result.stdout.lower()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("check resnet1", ["resnet101", "resnet152", "resnet18"]),
        ("check nets/", ["nets/a.arch", "nets/inner/"]),
        ("train min", ["mine.arch"]),
        ("new a --like vgg19", ["vgg19", "vgg19_bn"]),
        ("ops con", ["concat", "contiguous", "conv"]),
        ("explain E0101", ["E0101"]),
        ("check a --shap", ["--shapes"]),
    ],
)
def test_what_the_shell_completes(words: str, offered: list[str]) -> None:
    Path("nets/inner").mkdir(parents=True)
    for name in ("mine.arch", "mine.txt", "nets/a.arch", "nets/a.yaml"):
        Path(name).touch()
    count = len(words.split())
    environment = {"COMP_WORDS": f"archdsl {words}", "COMP_CWORD": str(count)}
    environment["_ARCHDSL_COMPLETE"] = "complete_bash"
    result = CliRunner().invoke(app, [], prog_name="archdsl", env=environment)
    assert sorted(result.stdout.split()) == offered
