"""Measuring: two things in turn, A B A B, and medians; processes by what they cost."""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass
class Row:
    """One line of the table. `ratio` is ours over the peer's, `noise` its standard error; `better`:
    "lower" or "higher". What could not be run has no ratio."""

    name: str
    ours: float
    peer: float
    unit: str
    goal: float | None
    better: str = "lower"
    note: str = ""
    ratio: float | None = None
    noise: float = 0.0

    def __post_init__(self) -> None:
        if self.ratio is None and self.peer:
            self.ratio = self.ours / self.peer

    @property
    def met(self) -> str:
        """ok, MISSED, or even: at the goal but for the noise."""
        if self.goal is None or self.ratio is None:
            return ""
        beyond = self.goal - self.ratio if self.better == "lower" else self.ratio - self.goal
        return "ok" if beyond >= 0 else "even" if beyond >= -2 * self.noise else "MISSED"


def not_run(name: str, goal: float, why: str) -> Row:
    return Row(name, 0, 0, "", goal, "higher", f"not run: {why}")


@dataclass
class Pair:
    """Two things that were measured in turn, in seconds."""

    ours: list[float]
    peer: list[float]

    def seconds(self, name: str, goal: float | None, note: str = "") -> Row:
        """A row of how long both take."""
        mine, theirs = statistics.median(self.ours), statistics.median(self.peer)
        return Row(name, mine, theirs, "s", goal, "lower", note, *self._ratio(self.ours, self.peer))

    def speed(self, name: str, goal: float | None, each: float = 1, note: str = "") -> Row:
        """A row of how many both do in a second, where one run does `each`."""
        mine, theirs = statistics.median(self.ours), statistics.median(self.peer)
        how = self._ratio(self.peer, self.ours)
        return Row(name, each / mine, each / theirs, "/s", goal, "higher", note, *how)

    @staticmethod
    def _ratio(over: list[float], under: list[float]) -> tuple[float, float]:
        """The median of the rounds' ratios, and its standard error from their spread."""
        ratios = [a / b for a, b in zip(over, under, strict=True)]
        middle = statistics.median(ratios)
        spread = statistics.median(abs(ratio - middle) for ratio in ratios)
        return middle, 1.86 * spread / len(ratios) ** 0.5


def in_turn(
    ours: Callable[[], object], peer: Callable[[], object], rounds: int, *, warm: int = 1
) -> Pair:
    """Both measured in turn; each starts every other round."""
    for _ in range(warm):
        ours()
        peer()
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds):
        for which in (0, 1) if number % 2 == 0 else (1, 0):
            began = time.perf_counter()
            (ours, peer)[which]()
            times[which].append(time.perf_counter() - began)
    return Pair(*times)


def alone(run: Callable[[], object], rounds: int) -> float:
    """Median seconds of processor time of what has no peer to share a busy machine with."""
    run()
    times = []
    for _ in range(rounds):
        began = time.process_time()
        run()
        times.append(time.process_time() - began)
    return statistics.median(times)


def process(command: list[str]) -> Callable[[], None]:
    """Runs a Python process to its end."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # else this measures Python's own compiler

    def run() -> None:
        subprocess.run(
            [sys.executable, *command], cwd=ROOT, env=env, check=False, stdout=subprocess.DEVNULL
        )

    return run


class Child:
    """A Python process with an allocator and threads of its own, for what would change ours.
    `setup` defines `run(what)`, which each call runs; its result must be plain values."""

    def __init__(self, setup: str) -> None:
        loop = "\nimport json, sys\nfor line in sys.stdin:\n"
        loop += "    print(json.dumps(run(line.strip())), flush=True)\n"
        self.process = subprocess.Popen(
            [sys.executable, "-c", setup + loop],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, what: str = "") -> Any:
        assert self.process.stdin is not None and self.process.stdout is not None
        print(what, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError("the process of a benchmark ended")
        return json.loads(answer)

    def peak(self) -> int:
        """Its peak resident bytes."""
        # ru_maxrss would count the parent's memory, from before exec
        status = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(next(x for x in status if x.startswith("VmHWM")).split()[1]) * 1024

    def end(self) -> None:
        self.process.communicate()


def peak_memory(code: str) -> int:
    """Peak resident bytes of a Python process that runs this code."""
    child = Child(code + "\ndef run(what): pass\n")
    child()
    peak = child.peak()
    child.end()
    return peak


def machine() -> str:
    """What this was measured on."""
    import torch

    name = (
        next(
            (
                line.split(":", 1)[1].strip()
                for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")
            ),
            platform.processor(),
        )
        if Path("/proc/cpuinfo").exists()
        else platform.processor()
    )
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no GPU"
    load = os.getloadavg()[0]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return (
        f"{name}, {os.cpu_count()} cores, {gpu}; Python {platform.python_version()}, torch "
        f"{torch.__version__}; load {load:.1f}; this process used {peak} MiB"
    )
