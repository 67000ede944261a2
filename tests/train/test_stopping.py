"""Signals and kills: nothing is lost, and going on gives the bits of an undisturbed run.

Child processes are forked from a server that has imported torch already, so that a kill costs
a fraction of a second and not torch's import.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from archdsl.train import Override, fit
from archdsl.train.engine.distributed import Ranks
from archdsl.train.engine.stopping import Agreement, StopSignals
from archdsl.train.run.checkpoint import find_checkpoint, read_checkpoint
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


def go_on(
    spec: str, out: str, recipe: dict[str, Any], resume: Path | None, place: dict[str, str]
) -> None:
    """Begins a run or goes on with it. `place`: as one of several ranks, as torchrun says it."""
    torch.set_num_threads(1)
    os.environ.update(place)
    if resume is None:
        fit(spec, recipe, out=out, quiet=True)
    else:
        fit(None, resume=resume, quiet=True)


def lives(spec: Path, out: Path, recipe: dict[str, Any], world: int) -> list[Any]:
    """The processes of a run that begins or goes on, whichever it is."""
    resume = find_checkpoint(out) if (out / "last.pt").exists() else None
    places: list[dict[str, str]] = [{}]
    if world > 1:
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = str(free.getsockname()[1])
        common = {"WORLD_SIZE": str(world), "MASTER_ADDR": "localhost", "MASTER_PORT": port}
        places = [{**common, "RANK": str(n), "LOCAL_RANK": str(n)} for n in range(world)]
    return [start(go_on, str(spec), str(out), recipe, resume, place) for place in places]


def command(spec: str, out: str, *flags: str) -> None:
    """`archdsl train` as the shell would run it: in a process group of its own."""
    import typer

    from archdsl.cli.train import register

    os.setsid()
    os.environ["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"] = "600"  # so that no rank ends by being killed
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


def kill_and_go_on(
    tmp_path: Path, kills: int, recipe: dict[str, Any], gap: float, world: int
) -> int:
    """Kills a run again and again at random moments; how many times it was really cut short."""
    spec = tmp_path / "tiny.arch"
    spec.write_text(SPEC)
    finish(lives(spec, tmp_path / "whole", recipe, world))
    chance = random.Random(5)
    cut, out = 0, tmp_path / "cut"
    for _ in range(kills):
        before = read_checkpoint(out / "last.pt")["step"] if (out / "last.pt").exists() else 0
        children = lives(spec, out, recipe, world)
        # Wait until this life has made progress, then strike at a random moment after that.
        end = time.monotonic() + 120
        while children[0].is_alive() and time.monotonic() < end:
            if (out / "last.pt").exists() and read_checkpoint(out / "last.pt")["step"] > before:
                break
            time.sleep(0.005)
        time.sleep(chance.random() * gap)
        cut += children[0].is_alive()
        for child in children:
            child.kill()
        for child in children:
            child.join()
    finish(lives(spec, out, recipe, world))
    assert same(weights(tmp_path / "whole/last.pt"), weights(out / "last.pt"))
    whole, rest = (read_checkpoint(tmp_path / run / "last.pt") for run in ("whole", "cut"))
    assert same(whole["ema"], rest["ema"])
    assert whole["step"] == rest["step"]
    return cut


def finish(children: list[Any]) -> None:
    for child in children:
        child.join()
        assert child.exitcode == 0


@pytest.mark.parametrize("world", [1, 2])
def test_killed_runs_go_on_bit_for_bit(world: int, tmp_path: Path) -> None:
    assert kill_and_go_on(tmp_path, 3, LONG, gap=0.05, world=world) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("world", [1, 2])
def test_twenty_kills(world: int, tmp_path: Path) -> None:
    recipe = {**LONG, "epochs": 25, "checkpoint": {"steps": 3}}
    assert kill_and_go_on(tmp_path, 20, recipe, gap=0.1, world=world) >= 15


WORKERS = ["--workers", "2", "--set", "augment.auto=trivialaugment"]
PROCESSES = ["--devices", "2"]
SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


@pytest.mark.parametrize(("number", "code"), SIGNALS)
@pytest.mark.parametrize("more", [WORKERS, pytest.param(PROCESSES, marks=pytest.mark.slow)])
def test_signal_saves_and_exits(
    more: list[str], number: signal.Signals, code: int, tmp_path: Path
) -> None:
    """To the whole group, as a terminal and a cluster send it: workers that died of it would take
    the current step with them, and ranks that did not agree would wait for one another."""
    spec = tmp_path / "tiny.arch"
    spec.write_text(SPEC)
    flags = ["--set", "data.limit=200", "--set", "plots=false", "--batch-size", "16", *more]
    child = start(command, str(spec), str(tmp_path / "cut"), "--epochs", "4000", *flags)
    wait_for(tmp_path / "cut/last.pt", child)
    os.killpg(child.pid, number)
    child.join(60)
    assert child.exitcode == code
    saved = read_checkpoint(tmp_path / "cut/last.pt")
    step = saved["step"]
    assert f"stopped by a signal after step {step}" in (tmp_path / "cut/log.txt").read_text()
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
    with StopSignals() as signals:
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.caught == signal.SIGINT
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)


class Elsewhere(Ranks):
    """Another rank has seen a signal; each collective call is counted."""

    def most(self, values: Sequence[float]) -> list[float]:
        asked.append(1)
        return [max(a, b) for a, b in zip(values, (signal.SIGTERM, 0, 0), strict=True)]


asked: list[int] = []


def test_slow_steps_agree_each_time_and_fast_ones_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    for seconds, few, many in ((2.0, 10, 10), (0.001, 1, 10)):
        asked.clear()
        agreed = Agreement(Elsewhere(0, 2, torch.device("cpu")), StopSignals())
        answers = []
        for _ in range(10 if seconds > 1 else 300):
            clock[0] += seconds
            answers.append(agreed())
        assert few <= len(asked) <= many
        assert answers[0] == (signal.SIGTERM, False)  # all ranks stop, whoever was told


def test_signal_during_the_test_pass_is_tested_on_resuming(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from archdsl.train.engine import trainer as loop

    spec = tmp_path / "tiny.arch"
    spec.write_text(SPEC)
    recipe = {**RECIPE, "eval_batch_size": 10}
    whole = fit(spec, recipe, out=tmp_path / "whole", quiet=True)
    real, calls = loop.measure, []

    def stop_in_second(*args: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(*args)

    monkeypatch.setattr(loop, "measure", stop_in_second)
    cut = fit(spec, recipe, out=tmp_path / "cut", quiet=True)
    assert cut.signal == signal.SIGTERM and len(cut.history) == 1
    rest = fit(None, resume=tmp_path / "cut", quiet=True)
    assert [row["test_loss"] for row in rest.history] == [row["test_loss"] for row in whole.history]
