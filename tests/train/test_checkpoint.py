"""Checkpoints are whole or absent, hold plain data, and name a good one when they are not good."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Any

import pytest
import torch

from archdsl.train import Override, fit
from archdsl.train.run.checkpoint import (
    find_checkpoint,
    read_checkpoint,
    read_weights,
    save_checkpoint,
)
from tests.train.nets import RECIPE, SPEC, same, small_net, weights


@pytest.fixture
def run(tmp_path: Path) -> Path:
    fit(small_net(), {**RECIPE, "epochs": 2}, input=(1, 8, 8), out=tmp_path / "run", quiet=True)
    return tmp_path / "run"


def test_run_folder_holds_what_it_should(run: Path) -> None:
    names = " ".join(sorted(path.name for path in run.iterdir()))
    assert names == "best.pt best.safetensors last.prev.pt last.pt log.txt metrics.csv recipe.yaml"
    assert len((run / "metrics.csv").read_text().splitlines()) == 3
    assert read_checkpoint(run / "last.pt")["step"] == 26
    assert read_checkpoint(run / "last.prev.pt")["step"] == 13


def test_best_safetensors_are_the_best_weights(run: Path) -> None:
    assert same(read_weights(run / "best.safetensors"), read_weights(run / "best.pt"))


def test_truncated_checkpoint_names_the_good_one(run: Path, raises: Any) -> None:
    data = (run / "last.pt").read_bytes()
    for size in (0, 10, len(data) // 2, len(data) - 1):
        (run / "last.pt").write_bytes(data[:size])
        text = raises(read_checkpoint, run / "last.pt")
        assert "last.pt: not a whole checkpoint (truncated or damaged)" in text
        assert f"help: {run}/last.prev.pt is good (step 13)" in text
        assert f"--resume {run}/last.prev.pt" in text


def test_failed_write_leaves_the_last_checkpoint(run: Path, raises: Any) -> None:
    """A full disk, as the system reports it for a file that may not grow."""
    before = (run / "last.pt").read_bytes()
    state = {**read_checkpoint(run / "last.pt"), "model": {"w": torch.zeros(3_000_000)}}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    import signal

    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        text = raises(save_checkpoint, state, run, False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert "last.pt: the checkpoint cannot be written: File too large" in text
    assert f"{run}/last.pt is good (step 26)" in text
    assert (run / "last.pt").read_bytes() == before
    assert not [name for name in os.listdir(run) if name.endswith(".tmp")]


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path, raises: Any) -> None:
    torch.save({"format": 1, "recipe": {}, "evil": small_net()}, tmp_path / "last.pt")
    assert "holds more than tensors and plain values" in raises(
        read_checkpoint, tmp_path / "last.pt"
    )


def test_other_files_are_not_checkpoints(tmp_path: Path, raises: Any) -> None:
    torch.save({"w": torch.zeros(1)}, tmp_path / "w.pt")
    assert "not a checkpoint of archdsl train" in raises(read_checkpoint, tmp_path / "w.pt")
    assert "no such run folder or checkpoint" in raises(find_checkpoint, tmp_path / "none")
    assert "holds no checkpoint" in raises(find_checkpoint, tmp_path)


def test_a_finished_run_is_not_overwritten(run: Path, raises: Any) -> None:
    text = raises(fit, small_net(), RECIPE, input=(1, 8, 8), out=run)
    assert "holds a run already" in text and f"--resume {run}" in text


def test_unwritable_folder(tmp_path: Path, raises: Any) -> None:
    (tmp_path / "file").write_text("")
    text = raises(fit, small_net(), RECIPE, input=(1, 8, 8), out=tmp_path / "file/run")
    assert "the run folder cannot be made" in text


def test_unwritable_files_name_the_good_checkpoint(run: Path, raises: Any) -> None:
    """A table that cannot be replaced, as on a full disk or in a folder that became read-only."""
    (run / "metrics.csv").unlink()
    (run / "metrics.csv").mkdir()
    more = [Override.parse("epochs=3")]
    text = raises(fit, small_net(), resume=run, overrides=more, quiet=True)
    assert "the run folder cannot be written: Is a directory" in text
    assert f"{run}/last.pt is good (step 26)" in text


def test_weights_start_a_run(run: Path, tmp_path: Path, raises: Any) -> None:
    for name in ("best.safetensors", "best.pt"):
        recipe = {**RECIPE, "epochs": 1, "optimizer": {"name": "sgd", "lr": 1e-30}}
        out = tmp_path / f"from-{name}"
        fit(small_net(), recipe, input=(1, 8, 8), out=out, weights=run / name, quiet=True)
        started, best = weights(out / "last.pt"), read_weights(run / name)
        assert torch.equal(started["6.weight"], best["6.weight"])
    spec = tmp_path / "tiny.arch"
    spec.write_text(SPEC.replace("conv 6", "conv 7"))
    assert "the weights do not fit the model" in raises(
        fit, spec, RECIPE, weights=run / "best.pt", out=tmp_path / "x"
    )
