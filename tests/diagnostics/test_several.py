"""`check` of files with several models, and of folders; errors that travel between processes."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
from typer.testing import CliRunner

import archdsl
from archdsl.cli.app import app

TWO = """block used(out) { conv out 1x1 }
block unused(out) { conv out 1x1 }
model one { input 3x8x8; used 4 }
model two { input 3x8x8; conv 4 9x9 }
"""


def _run(*args: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(arg) for arg in args])
    return done.exit_code, done.output


def test_all_models_of_a_file_are_checked(tmp_path: Path) -> None:
    file = tmp_path / "both.arch"
    file.write_text(TWO)
    code, output = _run("check", file, "--output-format", "concise")
    assert code == 1
    found = [line.split()[1] for line in output.splitlines() if line.startswith(str(file))]
    assert found == ["W0003", "E0202"]
    assert _run("check", f"{file}:one")[0] == 0
    code, output = _run("summary", file)
    assert code == 1 and "`one`, `two`" in output


def test_a_folder_is_checked(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a.arch").write_text(TWO)
    (tmp_path / "b.arch").write_text("model b { input 3; linear 2 }")
    code, output = _run("check", tmp_path, "--output-format", "concise")
    assert code == 1 and "E0202" in output and "b.arch" not in output
    (tmp_path / "empty").mkdir()
    assert _run("check", tmp_path / "empty")[0] == 2


@pytest.mark.parametrize("kind", ["pipe", "folder", "circle"])
def test_only_regular_files_are_read(tmp_path: Path, kind: str) -> None:
    other = tmp_path / "other.arch"
    if kind == "pipe":
        os.mkfifo(other)
    elif kind == "folder":
        other.mkdir()
    else:
        other.symlink_to(other)
    user = tmp_path / "user.arch"
    user.write_text('use "other.arch"\nmodel m { input 3; linear 2 }\n')
    code, output = _run("check", user, "--output-format", "concise")
    assert code == 1 and "E0003" in output
    if kind != "folder":
        assert _run("check", other)[0] == 1


def test_a_long_chain_of_files_has_a_limit_of_its_own(tmp_path: Path) -> None:
    for i in range(40):
        use = f'use "{i + 1}.arch"\n' if i < 39 else ""
        (tmp_path / f"{i}.arch").write_text(f"{use}block b{i}() {{ relu }}\n")
    report = archdsl.check(tmp_path / "0.arch")
    assert "30 deep" in str(report) and "reaches itself" not in str(report)


def test_errors_travel() -> None:
    for text in ("model m { input 3; linear x }", "model m { input 3; line 3 }"):
        with pytest.raises(archdsl.SpecError) as caught:
            archdsl.load(text)
        again = pickle.loads(pickle.dumps(caught.value))
        assert str(again) == str(caught.value)
    error = archdsl.WeightsError("why\nwhat helps")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_report_is_short() -> None:
    assert len(repr(archdsl.check("resnet50"))) < 100
    assert len(repr(archdsl.check("resnet50").program)) < 100
