"""Measuring: two things in turn, A B A B, and medians; processes by what they cost."""

from __future__ import annotations

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

ROOT = Path(__file__).parents[2]


@dataclass
class Row:
    """One line of the table. `ratio` is ours over the peer's; `better`: "lower" or "higher"."""

    name: str
    ours: float
    peer: float
    unit: str
    goal: float | None
    better: str = "lower"
    note: str = ""

    @property
    def ratio(self) -> float:
        return self.ours / self.peer

    @property
    def met(self) -> bool | None:
        if self.goal is None:
            return None
        return self.ratio <= self.goal if self.better == "lower" else self.ratio >= self.goal


def in_turn(
    ours: Callable[[], object], peer: Callable[[], object], rounds: int, *, warm: int = 1
) -> tuple[float, float]:
    """Median seconds of both, measured in turn; each starts every other round."""
    for _ in range(warm):
        ours()
        peer()
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds):
        for which in (0, 1) if number % 2 == 0 else (1, 0):
            began = time.perf_counter()
            (ours, peer)[which]()
            times[which].append(time.perf_counter() - began)
    return statistics.median(times[0]), statistics.median(times[1])


def process(command: list[str]) -> Callable[[], None]:
    """Runs a Python process to its end."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # else this measures Python's own compiler

    def run() -> None:
        subprocess.run(
            [sys.executable, *command], cwd=ROOT, env=env, check=False, stdout=subprocess.DEVNULL
        )

    return run


def peak_memory(code: str) -> int:
    """Peak resident bytes of a Python process that runs this code."""
    # ru_maxrss would count the parent's memory, from before exec
    shown = code + "\nprint(next(x for x in open('/proc/self/status') if x.startswith('VmHWM')))"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", shown], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )
    return int(result.stdout.split()[-2]) * 1024


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
