"""Devices that torch knows and training does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from archdsl.train.engine.distributed import pick_device


@pytest.mark.parametrize("name", ["meta", "xpu", "hpu", "vulkan", "nonsense", "cuda:99"])
def test_each_is_one_error(name: str, raises: Callable[..., str]) -> None:
    assert "\nhelp: " in raises(pick_device, name)


@pytest.mark.parametrize(("said", "chosen"), [("cpu", "cpu"), (None, "cuda"), ("auto", "cuda")])
def test_auto_is_what_the_environment_says(
    said: str | None, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    if said is None:
        monkeypatch.delenv("ARCHDSL_DEVICE")
    else:
        monkeypatch.setenv("ARCHDSL_DEVICE", said)
    assert pick_device("auto").type == chosen
    assert pick_device("cpu").type == "cpu"
