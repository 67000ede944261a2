"""Options of the whole suite."""

from __future__ import annotations

import os

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


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-goldens", action="store_true", help="rewrite the golden files of tests/cases"
    )
