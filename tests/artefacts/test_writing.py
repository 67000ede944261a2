"""Where artefacts are written to: unknown endings, devices, pipes, links, the spec itself."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

import archdsl
from archdsl.cli.app import app
from archdsl.files import replacing, write_atomic

SPEC = "model m { input 4; linear 2 }\n"


def _run(*args: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(arg) for arg in args])
    return done.exit_code, done.output


@pytest.mark.parametrize("name", ["x.pth", "x.pt", "x.onxx", "x.foo", "x"])
def test_an_unknown_ending_is_an_error(tmp_path: Path, name: str) -> None:
    code, output = _run("compile", "lenet5", "-o", tmp_path / name)
    assert code == 2 and ".safetensors" in output
    with pytest.raises(ValueError, match=r"\.safetensors"):
        archdsl.export("lenet5", tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_minus_is_standard_output() -> None:
    assert _run("compile", "lenet5", "-o", "-") == (0, archdsl.compile("lenet5"))


def test_the_spec_is_spared(tmp_path: Path) -> None:
    spec, library = tmp_path / "a.arch", tmp_path / "l.arch"
    library.write_text("block b() { relu }\n")
    spec.write_text('use "l.arch"\n' + SPEC)
    for file in (spec, library):
        before = file.read_text()
        code, output = _run("compile", spec, "--to", "python", "-o", file)
        assert code == 1 and "the spec itself" in output
        assert file.read_text() == before


@pytest.mark.parametrize("ending", ["py", "safetensors"])
def test_a_pipe_is_written_to(tmp_path: Path, ending: str) -> None:
    pipe = tmp_path / f"x.{ending}"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    archdsl.export(SPEC, pipe)
    reader.join(10)
    archdsl.export(SPEC, tmp_path / f"y.{ending}")
    assert read == [(tmp_path / f"y.{ending}").read_bytes()]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "real.txt", tmp_path / "link.txt"
    link.symlink_to(target)
    write_atomic(link, "one")
    assert link.is_symlink() and target.read_text() == "one"
    with replacing(link) as beside:
        beside.write_text("two")
    assert link.is_symlink() and target.read_text() == "two"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["link.txt", "real.txt", "there"]
