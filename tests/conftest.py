"""Options of the whole suite."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# Tests mean the CPU, on a machine with a GPU too: their figures are the CPU's, often to the last
# bit. Those that mean another device name it (`tests/train/test_gpu.py`). For child processes too.
os.environ["ARCHDSL_DEVICE"] = "cpu"

# The same examples every time, so that a change is judged by what it changes; `HYPOTHESIS=random`
# looks for new ones.
settings.register_profile("random")
settings.register_profile("same", derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS", "same"))


#: what one runs after each edit: the front end, without torch
FAST = ("test_laws.py", "test_cases.py", "syntax", "ir", "diagnostics", "ops/test_table.py")
#: of these, what takes longer or compares with torch
NOT_FAST = {
    *("test_any_text.py", "test_bombs.py", "test_several.py"),
    *("test_foreign.py", "test_memory.py", "test_reach.py"),
}
HERE = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-goldens", action="store_true", help="rewrite the golden files of tests/cases"
    )
    parser.addoption("--fast", action="store_true", help=f"only {', '.join(FAST)}, without torch")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--fast"):
        sys.modules["torch"] = None  # type: ignore[assignment]  # whoever imports it fails


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if not config.getoption("--fast") or collection_path == HERE:
        return None
    kept = [HERE / name for name in FAST]
    inside = any(k == collection_path or k in collection_path.parents for k in kept)
    around = any(collection_path in k.parents for k in kept)
    return True if collection_path.name in NOT_FAST or not (inside or around) else None
