"""What is selected on, tested on, gone on with: the right samples, and said so."""

from __future__ import annotations

import math
import multiprocessing
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from typer.testing import CliRunner

from archdsl.cli.app import app
from archdsl.train import evaluate, fit
from archdsl.train.bench import bench
from archdsl.train.recipe.read import Override
from archdsl.train.run.checkpoint import find_checkpoint, read_checkpoint
from tests.train.nets import RECIPE
from tests.train.test_data import image

SPEC = """model tiny(classes=2) {
  input 3x8x8
  flatten -> linear classes
}
"""


def folder(root: Path, *names: str, count: int = 8) -> str:
    for name in names:
        for n in range(count):
            image(root / name / f"{n}.png", (200 if name.endswith("b") else 10) + n)
    return f"folder:{root}"


def trained(data: str, out: Path, **keys: Any) -> Any:
    return fit(SPEC, {**RECIPE, "data": data, "batch_size": 4, **keys}, out=out, quiet=True)


def on(name: str) -> list[Override]:
    return [Override(("data", "name"), name, name)]


def test_val_selects_and_test_is_used_once(tmp_path: Path) -> None:
    parts = [f"{split}/{name}" for split in ("train", "val", "test") for name in "ab"]
    data = folder(tmp_path / "d", *parts)
    for n in range(3):  # whatever is learnt, the test split's figure is known apart from val's
        image(tmp_path / f"d/test/a/wrong{n}.png", 210)
    result = trained(data, tmp_path / "r", epochs=6)
    assert result.tested.count == 16 and result.final.count == 19
    assert result.final.top1 == pytest.approx(evaluate(tmp_path / "r").top1)
    log = (tmp_path / "r/log.txt").read_text()
    assert "val selects the best model" in log and "best val accuracy" in log
    assert f"test accuracy {result.final.top1:.2%}, of 19 samples, tested once" in log
    assert evaluate(tmp_path / "r").data == f"{data}: its test split"


def test_eval_of_another_folder_tests_all_of_it(tmp_path: Path, raises: Any) -> None:
    trained(folder(tmp_path / "d", "a", "b"), tmp_path / "r", epochs=4)
    own = evaluate(tmp_path / "r", overrides=on(f"folder:{tmp_path}/r/../d"))
    assert own.count == 3 and "the 3 of 16 that were held out" in own.data
    flat = evaluate(tmp_path / "r", overrides=on(folder(tmp_path / "flat", "a", "b", count=5)))
    assert flat.count == 10 and flat.data.endswith("flat: all of it")
    (tmp_path / "less/a").mkdir(parents=True)  # without images
    less = evaluate(tmp_path / "r", overrides=on(folder(tmp_path / "less", "b", count=5)))
    assert less.count == 5 and sum(less.confusion[1]) == 5
    assert less.notes == ["the data has no samples of 1 classes: a"]
    split = folder(tmp_path / "split", "train/a", "train/b", "test/a", count=4)
    assert evaluate(tmp_path / "r", overrides=on(split)).count == 4
    text = raises(evaluate, tmp_path / "r", overrides=on(folder(tmp_path / "odd", "a", "z")))
    assert "the data's classes are not the model's: a, z" in text


def test_names_do_not_reach_the_terminal_raw(tmp_path: Path) -> None:
    data = folder(tmp_path / "d", "a", "\x1b[31m\n::error b")
    folder(tmp_path / "d", "$x^{")  # nor are they formulas for matplotlib
    recipe = {**RECIPE, "data": data, "batch_size": 4, "epochs": 1, "plots": True}
    fit(SPEC, recipe, params={"classes": 3}, out=tmp_path / "r", quiet=True)
    assert (tmp_path / "r/confusion.png").is_file()
    ran = CliRunner().invoke(app, ["eval", str(tmp_path / "r")])
    assert ran.exit_code == 0 and "\x1b" not in ran.output and "\n::" not in ran.output
    assert "\\x1b[31m\\n::error b" in ran.output


@pytest.mark.parametrize("content", [False, True])
def test_changed_images_are_noticed(content: bool, tmp_path: Path, raises: Any) -> None:
    keys = {"name": folder(tmp_path / "d", "a", "b"), "val_fraction": 0}
    keys["fingerprint"] = "content" if content else "sizes"
    fit(SPEC, {**RECIPE, "data": keys, "max_steps": 1}, out=tmp_path / "r", quiet=True)
    changed = tmp_path / "d/a/3.png"
    data = bytearray(changed.read_bytes())
    if content:
        data[-1] ^= 1
    changed.write_bytes(bytes(data) + (b"" if content else b"x"))
    text = raises(fit, None, resume=tmp_path / "r", overrides=[Override(("max_steps",), 2, "")])
    assert "has changed since the run began" in text


def test_a_folder_that_has_moved(tmp_path: Path, raises: Any) -> None:
    trained(folder(tmp_path / "d", "a", "b"), tmp_path / "r", max_steps=1)
    shutil.move(tmp_path / "d", tmp_path / "e")
    changes = [*on(f"folder:{tmp_path}/e"), Override(("max_steps",), 2, "")]
    assert fit(None, resume=tmp_path / "r", overrides=changes, quiet=True).step == 2
    (tmp_path / "e/a/3.png").rename(tmp_path / "e/a/33.png")
    assert "has changed" in raises(fit, None, resume=tmp_path / "r", overrides=changes)
    text = raises(fit, None, resume=tmp_path / "r", overrides=on("digits"))
    assert "data.name cannot change" in text


BAD = [(torch.tensor([1.0, math.nan if n == 3 else 2.0]), n % 2) for n in range(20)]


def test_nan_in_the_data_is_not_taken_for_divergence(tmp_path: Path, raises: Any) -> None:
    data = {"name": f"{__name__}:BAD", "val_fraction": 0}
    recipe = {**RECIPE, "data": data, "epochs": 1}
    text = raises(fit, torch.nn.Linear(2, 2), recipe, input=(2,), out=tmp_path / "r")
    assert "training sample 3 holds nan" in text and "lower rate" not in text
    assert not multiprocessing.active_children()  # Python would wait for them at its end


def test_code_is_not_run_by_a_dry_run_and_named_if_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    monkeypatch.chdir(here)
    (there / "d.py").write_text(
        "import pathlib, torch\npathlib.Path('ran').touch()\n"
        "D = [(torch.rand(3, 8, 8), n % 2) for n in range(20)]\n"
    )
    (here / "m.arch").write_text(SPEC)
    plan = {**RECIPE, "data": f"{there}/d.py:D", "max_steps": 1}
    for place in (here, there):
        (place / "r.yaml").write_text(yaml.safe_dump(plan))
    train = ["train", "m.arch", "--recipe"]
    dry = CliRunner().invoke(app, [*train, f"{there}/r.yaml", "--dry-run"])
    assert dry.exit_code == 0 and "is code, which --dry-run does not run" in dry.stdout
    assert not Path("ran").exists()
    ran = CliRunner().invoke(app, [*train, f"{there}/r.yaml", "--out", "a"])
    assert ran.exit_code == 0 and "which is not in this folder, runs code" in ran.stderr
    ran = CliRunner().invoke(app, [*train, "r.yaml", "--out", "b"])
    assert ran.exit_code == 0 and "runs code" not in ran.stderr


@pytest.mark.parametrize("layers", ["conv 5 1x1", "flatten -> linear 12 -> reshape 3x2x2"])
def test_networks_that_are_no_classifier(layers: str, tmp_path: Path, raises: Any) -> None:
    spec = f"model m {{\n  input 3x8x8\n  {layers}\n}}\n"
    assert bench(spec, batch=2, rounds=1).parameters > 0
    assert "--set loss=mse" in raises(fit, spec, {"data": "digits"}, fit_spec=True)
    fit(spec, {**RECIPE, "data": "fake", "loss": "mse", "max_steps": 1}, out="r", quiet=True)


def test_names_in_errors_are_not_raw_either(tmp_path: Path, raises: Any) -> None:
    data = folder(tmp_path / "d", "a", "b")
    odd = tmp_path / "d/b/\x1b[31m\n::error.png"
    odd.write_text("no image")
    text = raises(trained, data, tmp_path / "r")
    assert "\x1b" not in text and "\n::" not in text
    assert "\\x1b[31m\\n::error.png: not an image" in text
    assert "\n::" not in raises(trained, f"folder:{tmp_path}/\n::error", tmp_path / "r")
    for name in ("gone\n::error", "empty\n::error", "odd\n::error.pt"):
        if name.startswith("empty"):
            (tmp_path / name).mkdir()
        elif name.startswith("odd"):
            (tmp_path / name).write_text("no checkpoint")
        assert "\n::" not in raises(find_and_read, tmp_path / name)


def find_and_read(run: Path) -> None:
    read_checkpoint(find_checkpoint(run))


@pytest.mark.slow
def test_a_model_that_was_cut_up_is_tested_once_too(tmp_path: Path) -> None:
    parts = [f"{split}/{name}" for split in ("train", "val", "test") for name in "ab"]
    data = folder(tmp_path / "d", *parts)
    result = trained(data, tmp_path / "r", epochs=2, devices=2, strategy="fsdp", augment={})
    assert result.final.count == 16
    assert result.final.top1 == pytest.approx(evaluate(tmp_path / "r").top1)


def test_a_model_of_several_outputs_is_not_trained_or_measured(raises: Any) -> None:
    spec = "model m { input 4; tap a; linear 3 -> tap b; output @b @a }"
    for work in (lambda: fit(spec, {"data": "iris"}), lambda: bench(spec, batch=4)):
        message = raises(work)
        assert message.startswith("m has 2 outputs (3 and 4); archdsl trains and measures")
        assert "aux" in message
