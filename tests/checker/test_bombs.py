"""Whatever a text asks for: an error, in 300 MB. (How soon: `python -m tests.benchmarks bombs`.)"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.checker.bombs import BOMBS


def test_bombs_end_in_errors(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.checker.bombs", str(tmp_path)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300)
    assert not done.stderr
    *lines, peak = done.stdout.splitlines()
    found = {name: code for name, code, _ in (line.split("\t") for line in lines)}
    assert found == {name: code for name, (_, code) in BOMBS.items()} | {"use cycle": "E0401"}
    assert int(peak) < 300_000, "kilobytes at the most"
