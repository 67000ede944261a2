"""What only a CUDA GPU can show: skipped where there is none. `python -m tests.gpu` runs it all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from archdsl.train import Override, evaluate, fit
from archdsl.train.bench import bench
from archdsl.train.engine.trainer import Trainer
from tests.train.nets import RECIPE, SPEC, measured, same, weights
from tests.train.test_data import image
from tests.train.test_stopping import LONG, kill_and_go_on

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
CUDA: dict[str, Any] = {**RECIPE, "device": "cuda", "deterministic": True}
MIXED: dict[str, Any] = {"precision": "bf16", "channels_last": True}


@pytest.mark.parametrize("more", [{}, MIXED], ids=["fp32", "bf16"])
def test_a_killed_run_goes_on_bit_for_bit(more: dict[str, Any], tmp_path: Path) -> None:
    recipe = {**LONG, **more, "device": "cuda", "deterministic": True, "epochs": 20}
    assert kill_and_go_on(tmp_path, 3, recipe, gap=0.2, world=1) >= 2


def test_a_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    fit(SPEC, CUDA, out=tmp_path / "whole", quiet=True)
    fit(SPEC, {**CUDA, "max_steps": 20}, out=tmp_path / "cut", quiet=True)
    fit(None, resume=tmp_path / "cut", overrides=[Override.parse("max_steps=null")], quiet=True)
    assert same(weights(tmp_path / "whole/last.pt"), weights(tmp_path / "cut/last.pt"))


def test_it_learns_what_the_cpu_learns(tmp_path: Path) -> None:
    """Without dropout, whose random numbers are each device's own."""
    spec = SPEC.replace("dropout 0.3 -> ", "")
    there = fit(spec, CUDA, out=tmp_path / "cuda", quiet=True)
    here = fit(spec, {**CUDA, "device": "cpu"}, out=tmp_path / "cpu", quiet=True)
    for a, b in zip(measured(there.history), measured(here.history), strict=True):
        assert a["train_loss"] == pytest.approx(b["train_loss"], rel=0.02)
    on_cpu = evaluate(tmp_path / "cuda", device="cpu")
    assert on_cpu.loss == pytest.approx(evaluate(tmp_path / "cuda", device="cuda").loss, rel=0.01)


@pytest.mark.parametrize("workers", [0, 2])
def test_worker_processes_feed_it(workers: int, tmp_path: Path) -> None:
    """They are forked after CUDA has started, and their batches come from pinned memory."""
    for n in range(40):
        image(tmp_path / "d" / "ab"[n % 2] / f"{n}.png", 20 + 150 * (n % 2) + n)
    data = {"name": f"folder:{tmp_path}/d", "workers": workers, "cache": "none"}
    more = {"augment": {"crop": "random_resized", "hflip": 0.5}, "data": data, "batch_size": 8}
    spec = SPEC.replace("classes=10", "classes=2").replace("1x8x8", "3x8x8")
    torch.zeros(1, device="cuda")
    result = fit(spec, {**CUDA, **more}, out=tmp_path / "r", quiet=True)
    assert result.step == 12 and len(result.history) == 3


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", ["resnet50", "vit_b_16"])
def test_the_memory_estimate(
    name: str, precision: str, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a fifth of what torch's allocator saw at most: kernels' work space comes on top."""
    from archdsl.train.run.memory import step_memory

    told: list[tuple[int, int]] = []
    real = Trainer.step

    def step(self: Trainer, *args: Any) -> None:
        told.append(step_memory(self.module, self.data.fit.input_shape, self.recipe))
        real(self, *args)

    monkeypatch.setattr(Trainer, "step", step)
    found = bench(name, batch=64, rounds=2, device="cuda", precision=precision, channels_last=True)
    fixed, each = told[0]
    assert found.peak_memory == pytest.approx(fixed + 64 * each, rel=0.2)
