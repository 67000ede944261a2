"""Several processes over gloo: what one process does, however they are started."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from archdsl.cli.app import app
from archdsl.train import Override, evaluate, fit
from archdsl.train.engine.distributed import PATIENCE
from tests.train.nets import RECIPE, SPEC, measured, same, weights

# No dropout and no batch normalisation, which differ between one process and two by their nature.
PLAIN = """model tiny(classes=10) {
  input 1x8x8
  conv 6 3x3 -> tanh -> flatten
  linear classes
}
"""
RUN = "data: {name: digits, limit: 201}\nepochs: 2\nbatch_size: 16\nplots: false\n"


def test_two_processes_are_one(tmp_path: Path) -> None:
    """DDP over gloo: the same losses at the same global batch, to float tolerance; every test
    sample counted once (the last batch and the test split do not divide by two)."""
    spec = tmp_path / "tiny.arch"
    spec.write_text(PLAIN)
    recipe = {**RECIPE, "data": {"name": "digits", "limit": 201}, "epochs": 2,
              "augment": {"crop": "pad", "pad": 1, "hflip": 0.5}}  # fmt: skip
    one = fit(spec, recipe, out=tmp_path / "one", quiet=True)
    before = signal.getsignal(signal.SIGINT)
    two = fit(spec, {**recipe, "devices": 2}, out=tmp_path / "two", quiet=True)
    assert signal.getsignal(signal.SIGINT) is before  # the launcher's own stay with it
    for a, b in zip(measured(one.history), measured(two.history), strict=True):
        assert a == pytest.approx(b, rel=1e-5)
    a, b = weights(tmp_path / "one/last.pt"), weights(tmp_path / "two/last.pt")
    assert all(torch.allclose(a[name], b[name], atol=1e-5) for name in a)
    assert evaluate(tmp_path / "two").count == 201


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_resume_bit_for_bit(strategy: str, tmp_path: Path) -> None:
    spec = tmp_path / "tiny.arch"
    spec.write_text(SPEC)
    recipe = {**RECIPE, "devices": 2, "strategy": strategy}
    fit(spec, recipe, out=tmp_path / "whole", quiet=True)
    fit(spec, {**recipe, "max_steps": 20}, out=tmp_path / "cut", quiet=True)
    fit(None, resume=tmp_path / "cut", overrides=[Override.parse("max_steps=null")], quiet=True)
    assert same(weights(tmp_path / "whole/last.pt"), weights(tmp_path / "cut/last.pt"))


@pytest.mark.slow
def test_fsdp_is_one_process(tmp_path: Path) -> None:
    spec = tmp_path / "line.arch"
    spec.write_text("model m(classes=10) {\n  input 1x8x8\n  flatten -> linear 32 -> tanh\n"
                    "  linear classes\n}\n")  # fmt: skip
    recipe = {**RECIPE, "data": {"name": "digits", "limit": 201, "val_fraction": 0.2}, "epochs": 2}
    one = fit(spec, recipe, out=tmp_path / "one", quiet=True)
    two = fit(spec, {**recipe, "devices": 2, "strategy": "fsdp", "eval_batch_size": 50},
              out=tmp_path / "two", quiet=True)  # fmt: skip
    for a, b in zip(measured(one.history), measured(two.history), strict=True):
        assert a == pytest.approx(b, rel=1e-5)


def assert_like_one_process(run: str) -> None:
    fit("tiny.arch", "tiny.yaml", out="one", quiet=True)
    one, two = (torch.load(f"{out}/last.pt", weights_only=True) for out in ("one", run))
    for a, b in zip(measured(one["history"]), measured(two["history"]), strict=True):
        assert a == pytest.approx(b, rel=1e-5)


@pytest.mark.slow
def test_torchrun_itself() -> None:
    Path("tiny.arch").write_text(PLAIN)
    Path("tiny.yaml").write_text(RUN)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m",
               "archdsl", "train", "tiny.arch", "--out", "two"]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("best test accuracy") == 1  # one rank speaks for all
    assert_like_one_process("two")


@pytest.mark.slow
def test_two_machines() -> None:
    """The same command started twice, as on two machines that share a file system."""
    Path("tiny.arch").write_text(PLAIN)
    Path("tiny.yaml").write_text(RUN)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "archdsl", "train", "tiny.arch", "--out", "two",
               "--nodes", "2", "--set", f"rendezvous=localhost:{port}"]  # fmt: skip
    machines = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [machine.communicate()[0] for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0]
    assert "".join(told).count("best test accuracy") == 1
    assert_like_one_process("two")


def test_a_killed_process_is_named(tmp_path: Path, raises: Any, capfd: Any) -> None:
    """One error, although the other process fails too, for want of an answer."""
    recipe = {**RECIPE, "devices": 2, "data": {"name": "tests.train.nets:Fatal", "cache": "none",
              "workers": 0}}  # fmt: skip
    spec = SPEC.replace("classes=10", "classes=2")
    message = raises(fit, spec, recipe, out=tmp_path / "run")
    assert message.startswith("process 1 was killed (SIGKILL)")
    assert "W1" not in capfd.readouterr().err  # nothing of torch's own


def test_machines_that_do_not_come(raises: Any, capsys: Any) -> None:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        place = f"localhost:{free.getsockname()[1]}"
    recipe = {**RECIPE, "nodes": 2, "rendezvous": place, "rendezvous_minutes": 0.03}
    message = raises(fit, SPEC, recipe)
    assert message.startswith(f"the 2 machines did not meet at {place}: they waited 2 s")
    assert f"waiting at {place} for 2 machines" in capsys.readouterr().out


@pytest.mark.slow
def test_a_place_to_meet_that_is_none() -> None:
    """One error; what torch's C++ says of it, with addresses of functions, does not come."""
    Path("tiny.arch").write_text(PLAIN)
    command = [sys.executable, "-m", "archdsl", "train", "tiny.arch", "--nodes", "2",
               "--set", "rendezvous=no-such.invalid:29400", "--set", "rendezvous_minutes=0.03",
               "--data", "fake"]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True)
    place = "no-such.invalid:29400"
    assert ran.returncode == 1
    assert [line.split(":")[0] for line in ran.stderr.splitlines()] == [
        f"starting PyTorch, to meet all 2 machines at {place.split(':')[0]}",
        "error",
        "help",
    ]
    assert f"did not meet at {place}: no machine has the name no-such.invalid" in ran.stderr


@pytest.mark.slow
def test_torchrun_onto_a_folder_that_holds_something() -> None:
    Path("tiny.arch").write_text(PLAIN)
    Path("two").mkdir()
    Path("two/mine").touch()
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m",
               "archdsl", "train", "tiny.arch", "--out", "two"]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 1
    assert ran.stderr.count("error: ") == 1 and "two: not an empty folder" in ran.stderr


@pytest.mark.parametrize(("rank", "waits"), [("0", []), ("1", [PATIENCE])])
def test_the_first_process_speaks_first(
    rank: str, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The launcher ends the others as soon as it has spoken."""
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", "2")
    ran = CliRunner().invoke(app, ["train", "no-such.arch"])
    assert ran.exit_code == 1 and slept == waits


def test_machines_need_a_place_to_meet(raises: Any) -> None:
    text = raises(fit, SPEC, {**RECIPE, "nodes": 2})
    assert "nodes: 2 machines need a place to meet" in text
    assert "--set rendezvous=HOST:29400" in text


def test_one_process_downloads_at_a_time(tmp_path: Path) -> None:
    """Ranks that all download at once overwrite one another's files."""
    from archdsl.train.data.named import _alone

    inside = threading.Event()

    def other() -> None:
        with _alone(tmp_path):
            inside.set()

    thread = threading.Thread(target=other)
    with _alone(tmp_path):
        thread.start()
        assert not inside.wait(0.2)
    thread.join(10)
    assert inside.is_set()
