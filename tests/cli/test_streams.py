"""Odd places to write to, and odd names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import archdsl
from archdsl.cli.app import app

COMMAND = [sys.executable, "-m", "archdsl"]


def _shell(line: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(p for p in sys.path if p)
    text = line.replace("archdsl", " ".join(COMMAND), 1)
    environment = {**os.environ, "PYTHONPATH": path, **more}
    return subprocess.run(
        text, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_error(tmp_path: Path) -> None:
    done = _shell("archdsl ops > /dev/full", tmp_path)
    assert (done.returncode, done.stderr) == (1, "error: No space left on device\n")


def test_a_closed_output_is_no_error(tmp_path: Path) -> None:
    done = _shell("archdsl check lenet5 >&-", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
def test_an_output_of_few_characters(encoding: str, tmp_path: Path) -> None:
    text = "model m {  # → — 中\n  input 3; linear 2; nope\n}\n"
    (tmp_path / "a.arch").write_text(text, encoding="utf-8")
    for line, code in (("archdsl ops", 0), ("archdsl check a.arch", 1)):
        done = _shell(f"{line} > out", tmp_path, PYTHONIOENCODING=encoding)
        assert (done.returncode, done.stderr) == (code, "")


def test_a_working_folder_that_is_gone(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    code = "import os; os.rmdir(os.getcwd()); from archdsl.cli.app import main; "
    code += "import sys; sys.argv = ['archdsl', 'fmt', '--diff', 'x.arch']; main()"
    path = os.pathsep.join(p for p in sys.path if p)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=gone,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr


def _run(*args: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(arg) for arg in args])
    return done.exit_code, done.output


def test_names_that_are_none() -> None:
    assert _run("new", "..")[0] == 1
    code, output = _run("check", "a" * 300 + ".arch")
    assert code == 1 and "E0003" in output


def test_a_path_with_a_brace_is_a_path(tmp_path: Path) -> None:
    folder = tmp_path / "my{new}"
    folder.mkdir()
    (folder / "a.arch").write_text("model m { input 3; linear 2 }")
    assert archdsl.check(str(folder / "a.arch")).ok
    assert "E0003" in str(archdsl.check(str(folder / "b.arch")))


def test_a_file_keeps_its_line_ends(tmp_path: Path) -> None:
    file = tmp_path / "a.arch"
    right = b"model m {\r\n  input 3\r\n  linear 2\r\n}\r\n"
    file.write_bytes(right)
    assert _run("fmt", "--check", file)[0] == 0
    file.write_bytes(right.replace(b"  linear", b"linear"))
    assert _run("fmt", "--check", file)[0] == 1
    assert _run("fmt", file)[0] == 0
    assert file.read_bytes() == right
