"""Signals and kills: nothing is lost, and going on gives the bits of an undisturbed run.

Child processes are forked from a server that has imported torch already, so that a kill costs
a fraction of a second and not torch's import.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from archdsl.train import Override, fit
from archdsl.train.checkpoint import find_checkpoint, read_checkpoint
from archdsl.train.errors import TrainError
from tests.train.nets import RECIPE, SPEC, same, weights

CHILDREN = mp.get_context("forkserver")
CHILDREN.set_forkserver_preload(["archdsl.train.job", "torch._dynamo", "sklearn.datasets"])

LONG: dict[str, Any] = {
    **RECIPE,
    "epochs": 5,
    "augment": {"crop": "pad", "pad": 1},
    "ema": {"decay": 0.9},
    "checkpoint": {"steps": 4},
}


def go_on(spec: str, out: str, recipe: dict[str, Any]) -> None:
    """Begins a run or goes on with it, whichever it is."""
    torch.set_num_threads(1)
    try:
        path = find_checkpoint(out)
    except TrainError:
        fit(spec, recipe, out=out, quiet=True)
    else:
        fit(None, resume=path, quiet=True)


def command(spec: str, out: str, *flags: str) -> None:
    """`archdsl train` as the shell would run it."""
    import typer

    from archdsl.cli.train import register

    torch.set_num_threads(1)
    app = typer.Typer()
    register(app)
    with open(Path(out).with_suffix(".txt"), "w") as file:
        sys.stdout = sys.stderr = file
        app(["train", spec, "--out", out, *flags])


def start(target: Any, *args: Any) -> Any:
    child = CHILDREN.Process(target=target, args=args)
    child.start()
    return child


def wait_for(path: Path, child: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert child.is_alive(), f"ended with {child.exitcode} before {path.name} was written"
        assert time.monotonic() < end
        time.sleep(0.01)


def kill_and_go_on(tmp_path: Path, kills: int, recipe: dict[str, Any], gap: float) -> int:
    """Kills a run again and again at random moments; how many times it was really cut short."""
    spec = tmp_path / "tiny.arch"
    spec.write_text(SPEC)
    go_on(str(spec), str(tmp_path / "whole"), recipe)
    chance = random.Random(5)
    cut, out = 0, tmp_path / "cut"
    for _ in range(kills):
        before = read_checkpoint(out / "last.pt")["step"] if (out / "last.pt").exists() else 0
        child = start(go_on, str(spec), str(out), recipe)
        # Wait until this life has made progress, then strike at a random moment after that.
        end = time.monotonic() + 120
        while child.is_alive() and time.monotonic() < end:
            if (out / "last.pt").exists() and read_checkpoint(out / "last.pt")["step"] > before:
                break
            time.sleep(0.005)
        time.sleep(chance.random() * gap)
        if child.is_alive():
            os.kill(child.pid, signal.SIGKILL)
            cut += 1
        child.join()
    last = start(go_on, str(spec), str(out), recipe)
    last.join()
    assert last.exitcode == 0
    assert same(weights(tmp_path / "whole/last.pt"), weights(out / "last.pt"))
    whole, rest = (read_checkpoint(tmp_path / run / "last.pt") for run in ("whole", "cut"))
    assert same(whole["ema"], rest["ema"])
    assert whole["step"] == rest["step"]
    return cut


def test_killed_runs_go_on_bit_for_bit(tmp_path: Path) -> None:
    assert kill_and_go_on(tmp_path, 3, LONG, gap=0.05) >= 2


@pytest.mark.slow
def test_twenty_kills(tmp_path: Path) -> None:
    recipe = {**LONG, "epochs": 25, "checkpoint": {"steps": 3}}
    assert kill_and_go_on(tmp_path, 20, recipe, gap=0.1) >= 15


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_saves_and_exits(number: signal.Signals, code: int, tmp_path: Path) -> None:
    spec = tmp_path / "tiny.arch"
    spec.write_text(SPEC)
    flags = ["--set", "data.limit=200", "--set", "plots=false", "--batch-size", "16"]
    child = start(command, str(spec), str(tmp_path / "cut"), "--epochs", "4000", *flags)
    wait_for(tmp_path / "cut/last.pt", child)
    os.kill(child.pid, number)
    child.join(30)
    assert child.exitcode == code
    saved = read_checkpoint(tmp_path / "cut/last.pt")
    step = saved["step"]
    assert f"stopped by a signal after step {step}" in (tmp_path / "cut.txt").read_text()
    # Three more steps from there are the steps of a run that nobody stopped.
    end = [Override.parse(f"max_steps={step + 3}")]
    fit(None, resume=tmp_path / "cut", overrides=end, quiet=True)
    fit(spec, saved["recipe"], overrides=end, out=tmp_path / "whole", quiet=True)
    assert same(weights(tmp_path / "whole/last.pt"), weights(tmp_path / "cut/last.pt"))


def test_second_signal_ends_at_once(tmp_path: Path) -> None:
    """The first one is noted; the second has the system's own effect."""
    child = start(_ignore_first_signal)
    child.join(30)
    assert child.exitcode == -signal.SIGTERM


def _ignore_first_signal() -> None:
    from archdsl.train.stopping import StopSignals

    with StopSignals() as signals:
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.caught == signal.SIGINT
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)


def test_signal_during_the_test_pass_is_tested_on_resuming(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from archdsl.train import loop

    spec = tmp_path / "tiny.arch"
    spec.write_text(SPEC)
    recipe = {**RECIPE, "eval_batch_size": 10}
    whole = fit(spec, recipe, out=tmp_path / "whole", quiet=True)
    real, calls = loop.test_model, []

    def stop_in_second(*args: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(*args)

    monkeypatch.setattr(loop, "test_model", stop_in_second)
    cut = fit(spec, recipe, out=tmp_path / "cut", quiet=True)
    assert cut.signal == signal.SIGTERM and len(cut.history) == 1
    rest = fit(None, resume=tmp_path / "cut", quiet=True)
    assert [row["test_loss"] for row in rest.history] == [row["test_loss"] for row in whole.history]
