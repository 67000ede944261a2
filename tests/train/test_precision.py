"""Precision, memory format and compilation, on the CPU and on a GPU where there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from archdsl.train import Override, evaluate, fit
from archdsl.train.bench import bench
from tests.train.nets import RECIPE, SPEC, same, small_net, weights

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
KINDS: dict[str, dict[str, Any]] = {
    "bf16": {"precision": "bf16"},
    "fp16": {"precision": "fp16"},
    "channels last": {"channels_last": True},
    "all": {"precision": "bf16", "channels_last": True, "ema": {"decay": 0.9}, "grad_accum": 2},
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_as_in_fp32(kind: str, device: str, tmp_path: Path) -> None:
    recipe = {**RECIPE, "device": device, "epochs": 2}
    usual = fit(SPEC, recipe, out=tmp_path / "fp32", quiet=True)
    found = fit(SPEC, {**recipe, **KINDS[kind]}, out=tmp_path / "r", quiet=True)
    assert found.module is not None
    assert {p.dtype for p in found.module.parameters()} == {torch.float32}  # the weights stay so
    assert found.history[1]["train_loss"] == pytest.approx(usual.history[1]["train_loss"], rel=0.05)
    assert evaluate(tmp_path / "r", device=device).top1 == found.best["test_accuracy"]  # type: ignore[index]


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
def test_a_compiled_run_goes_on_and_keeps_its_names(device: str, tmp_path: Path) -> None:
    """torch.compile(model) would write its weights as `_orig_mod.0.weight`."""
    recipe = {**RECIPE, "device": device, "compile": True, "epochs": 2, "deterministic": True}
    fit(SPEC, recipe, out=tmp_path / "whole", quiet=True)
    fit(SPEC, {**recipe, "max_steps": 20}, out=tmp_path / "cut", quiet=True)
    fit(None, resume=tmp_path / "cut", overrides=[Override.parse("max_steps=null")], quiet=True)
    found = weights(tmp_path / "cut/last.pt")
    assert not any("_orig_mod" in name for name in found)
    assert same(found, weights(tmp_path / "whole/last.pt"))
    assert evaluate(tmp_path / "cut", device=device).count == 200


@pytest.mark.parametrize("device", DEVICES)
def test_bench_measures_the_training_step(device: str) -> None:
    found = bench(SPEC, batch=4, rounds=2, device=device, precision="bf16", channels_last=True)
    assert (found.model, found.batch, found.input) == ("tiny", 4, (1, 8, 8))
    for speed in (found.training, found.inference):
        assert 0 < speed.slowest <= speed.median <= speed.fastest
    assert "bf16, channels_last; median of 2 rounds" in str(found)
    assert (found.peak_memory is not None) == (device == "cuda")


def test_tensorboard_is_asked_for_by_name(tmp_path: Path, raises: Any, monkeypatch: Any) -> None:
    from archdsl.train import request

    monkeypatch.setattr(request, "find_spec", lambda _: None)
    text = raises(fit, small_net(), {**RECIPE, "tensorboard": True}, out=tmp_path / "r")
    assert "needs the package tensorboard" in text and "archdsl[tensorboard]" in text


def test_tensorboard_events(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    recipe = {**RECIPE, "tensorboard": True, "max_steps": 20}
    fit(SPEC, recipe, out=tmp_path / "r", quiet=True)
    more = [Override.parse("max_steps=null")]
    result = fit(None, resume=tmp_path / "r", overrides=more, quiet=True)
    events = EventAccumulator(str(tmp_path / "r/events")).Reload()
    assert {"train/loss", "test/accuracy", "lr"} <= set(events.Tags()["scalars"])
    told = {one.step: one.value for one in events.Scalars("test/accuracy")}
    for row in result.history:
        assert told[row["step"]] == pytest.approx(row["test_accuracy"])  # type: ignore[index]
