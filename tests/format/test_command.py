"""`archdsl fmt`."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from archdsl.cli.app import app

MESSY = "model a() {\n  input   3\n  linear 4->relu # done\n}\n"
CLEAN = "model a() {\n  input 3\n  linear 4 -> relu  # done\n}\n"


def run(*args: str | Path, input: str | None = None) -> Result:
    return CliRunner().invoke(app, ["fmt", *map(str, args)], input=input)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "messy.arch").write_text(MESSY)
    (tmp_path / "clean.arch").write_text(CLEAN)
    (tmp_path / "other.txt").write_text(MESSY)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "messy.arch").write_text(MESSY)
    return tmp_path


def test_formats_a_folder(folder: Path) -> None:
    (folder / "messy.arch").chmod(0o640)
    result = run(folder)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "1 file reformatted, 1 file already formatted"
    assert (folder / "messy.arch").read_text() == CLEAN
    assert (folder / "messy.arch").stat().st_mode & 0o777 == 0o640
    assert (folder / "other.txt").read_text() == MESSY
    assert (folder / ".hidden" / "messy.arch").read_text() == MESSY
    again = run(folder)
    assert again.exit_code == 0 and again.stdout == "2 files already formatted\n"


def test_check_writes_nothing(folder: Path) -> None:
    result = run("--check", folder)
    assert result.exit_code == 1 and "would reformat" in result.stdout
    assert (folder / "messy.arch").read_text() == MESSY
    assert run("--check", folder / "clean.arch").exit_code == 0


def test_diff_writes_nothing(folder: Path) -> None:
    result = run("--diff", folder / "messy.arch")
    assert result.exit_code == 1
    assert "-  input   3\n" in result.stdout and "+  input 3\n" in result.stdout
    assert (folder / "messy.arch").read_text() == MESSY


def test_standard_input() -> None:
    result = run("-", input=MESSY)
    assert (result.exit_code, result.stdout) == (0, CLEAN)
    assert run("--check", "-", input=MESSY).exit_code == 1
    assert run("-", "x.arch", input=MESSY).exit_code == 2


def test_a_link_stays_a_link(folder: Path) -> None:
    link = folder / "link.arch"
    link.symlink_to(folder / "messy.arch")
    assert run(link).exit_code == 0
    assert link.is_symlink() and (folder / "messy.arch").read_text() == CLEAN


def test_a_file_with_errors_is_left_alone(folder: Path) -> None:
    broken = folder / "broken.arch"
    broken.write_text("model a( {\n   input 3\n}\n")
    result = run(folder)
    assert result.exit_code == 1
    assert "error[E0001]" in result.stderr and "broken.arch" in result.stderr
    assert broken.read_text() == "model a( {\n   input 3\n}\n"
    assert (folder / "messy.arch").read_text() == CLEAN  # the others are formatted


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    result = run(tmp_path / "no.arch")
    assert result.exit_code == 1 and "E0003" in result.stderr
