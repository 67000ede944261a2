from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

SPECS = Path(__file__).parents[2] / "specs" / "lecture"
REAL_DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(autouse=True)
def in_scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run folders go to the test's own folder; tiny nets are fastest on one thread."""
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def specs() -> Path:
    return SPECS


@pytest.fixture
def real_data() -> Path:
    """The real MNIST and CIFAR-10 images, where this machine has them."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"needs the data sets in {REAL_DATA}")
    return REAL_DATA
