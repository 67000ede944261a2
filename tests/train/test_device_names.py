"""Devices that torch knows and training does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from archdsl.train.distributed import pick_device


@pytest.mark.parametrize("name", ["meta", "xpu", "hpu", "vulkan", "nonsense", "cuda:99"])
def test_each_is_one_error(name: str, raises: Callable[..., str]) -> None:
    assert "\nhelp: " in raises(pick_device, name)
