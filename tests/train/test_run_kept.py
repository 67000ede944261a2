"""A run's folder is its own, while it runs and after; what a damaged or odd file ends in."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from archdsl.train import Override, fit
from archdsl.train.data.load import load_data
from archdsl.train.data.loader import count_workers
from archdsl.train.data.sources import Wanted, open_source
from archdsl.train.engine.trainer import NotFinite, Trainer
from archdsl.train.recipe.read import read_recipe
from archdsl.train.recipe.schema import Recipe
from archdsl.train.run.checkpoint import read_checkpoint
from archdsl.train.run.folder import Place, RunFolder
from tests.train.nets import RECIPE, SPEC, small_net
from tests.train.test_data import image

Raises = Callable[..., str]
SHORT = {**RECIPE, "max_steps": 2}


def test_one_process_at_a_time(tmp_path: Path, raises: Raises) -> None:
    fit(SPEC, SHORT, out=tmp_path / "run", quiet=True)
    held = RunFolder(Place(tmp_path / "run", new=False))
    message = raises(fit, None, resume=tmp_path / "run", quiet=True)
    assert "another process is training here" in message
    held.close()
    more = [Override.parse("max_steps=4")]
    assert fit(None, resume=tmp_path / "run", overrides=more, quiet=True).step == 4


@pytest.mark.parametrize("name", ["best.pt", "recipe.yaml", "notes.txt", "photos/cat.jpg"])
def test_a_folder_with_anything_in_it_is_left_alone(
    name: str, tmp_path: Path, raises: Raises
) -> None:
    file = tmp_path / "run" / name
    file.parent.mkdir(parents=True)
    file.write_text("mine")
    message = raises(fit, SPEC, SHORT, out=tmp_path / "run", quiet=True)
    assert name.partition("/")[0] in message and "--out" in message
    assert file.read_text() == "mine"
    assert [p for p in (tmp_path / "run").rglob("*") if p.is_file()] == [file]


DIVERGES = {**RECIPE, "optimizer": {"name": "sgd", "lr": 1e30}, "clip_grad": None}


@pytest.mark.parametrize("out", ["run", "a/b/run", None])
def test_a_run_that_fails_before_its_first_state_leaves_nothing(
    out: str | None, tmp_path: Path, raises: Raises
) -> None:
    """The retry that its error proposes is not refused."""
    for _ in range(2):
        assert "the loss is" in raises(fit, SPEC, DIVERGES, out=out, quiet=True)
        assert list(tmp_path.iterdir()) == []
    assert fit(SPEC, SHORT, out=out, quiet=True).run == Path(out or "runs/tiny-1")


def test_what_is_not_the_runs_own_stays_when_it_fails(
    tmp_path: Path, raises: Raises, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()  # empty, but there before
    raises(fit, SPEC, DIVERGES, out="mine", quiet=True)
    assert (tmp_path / "mine").is_dir() and not list((tmp_path / "mine").iterdir())

    def diverge(trainer: Trainer, *_: Any) -> None:
        (tmp_path / "run/notes.txt").write_text("mine")
        raise NotFinite(0, float("nan"))

    monkeypatch.setattr(Trainer, "step", diverge)
    raises(fit, SPEC, RECIPE, out="run", quiet=True)
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["notes.txt"]


def test_a_run_that_fails_later_can_go_on(tmp_path: Path, raises: Raises) -> None:
    fit(SPEC, SHORT, out="run", quiet=True)
    held = sorted(tmp_path.glob("run/*"))
    more = [Override.parse("max_steps=null"), Override.parse("data.cache=none")]
    before = read_checkpoint(Path("run/last.pt"))
    before["optimizer"]["param_groups"][0]["momentum"] = float("nan")
    torch.save(before, "run/last.pt")
    text = raises(fit, None, resume="run", overrides=more, quiet=True)
    assert "run/last.pt is from before" in text and sorted(tmp_path.glob("run/*")) == held


def test_proposed_commands_can_be_pasted(
    capsys: pytest.CaptureFixture[str], raises: Raises
) -> None:
    fit(SPEC, SHORT, out="my run")
    assert "archdsl eval 'my run'\n" in (told := capsys.readouterr().out)
    assert "archdsl predict 'my run' IMAGE" in told and "'my run/best.safetensors'" in told
    assert "--resume 'my run'," in raises(fit, SPEC, SHORT, out="my run")
    Path("my run/last.pt").write_bytes(b"half")
    assert "--resume 'my run/last.prev.pt'" in raises(fit, None, resume="my run") or "best" in told


def test_leftovers_of_a_killed_process_go(tmp_path: Path) -> None:
    fit(SPEC, SHORT, out=tmp_path / "run", quiet=True)
    (tmp_path / "run" / ".last.pt.123.tmp").write_bytes(b"half")
    more = [Override.parse("max_steps=3")]
    fit(None, resume=tmp_path / "run", overrides=more, quiet=True)
    assert not list((tmp_path / "run").glob(".*.tmp"))


@pytest.mark.parametrize(
    ("flag", "given"),
    [
        ("--out", {"out": "elsewhere"}),
        ("--recipe", {"recipe": {"epochs": 3}}),
        ("--weights", {"weights": "w.pt"}),
        ("--fit", {"fit_spec": True}),
    ],
)
def test_flags_that_a_resumed_run_does_not_obey(
    flag: str, given: dict[str, Any], tmp_path: Path, raises: Raises
) -> None:
    assert f"{flag} has no meaning" in raises(fit, None, resume=tmp_path, **given)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("optimizer: {lr: .inf}", "lr"),
        ("optimizer: {lr: .nan}", "lr"),
        ("scheduler: {name: cosine, warmup_epochs: .inf}", "warmup_epochs"),
        ("seed: 18446744073709551616", "seed"),
        ("seed: -1", "seed"),
        ("epochs: 1:30", "epochs"),
        ("epochs: 010", "epochs"),
        ("epochs: 1_000", "epochs"),
    ],
)
def test_numbers_that_are_none(text: str, wrong: str, tmp_path: Path, raises: Raises) -> None:
    (tmp_path / "r.yaml").write_text(text)
    message = raises(read_recipe, tmp_path / "r.yaml")
    assert message.startswith(f"{tmp_path}/r.yaml:1:") and wrong in message


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("epochs: 12", "epochs", 12),
        ("seed: 0x1F", "seed", 31),
        ("clip_grad: 1.5", "clip_grad", 1.5),
    ],
)
def test_numbers(text: str, key: str, value: float, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(text)
    assert getattr(read_recipe(tmp_path / "r.yaml"), key) == value


def test_one_sample_is_too_few_for_a_normalisation_over_the_batch(
    tmp_path: Path, raises: Raises
) -> None:
    spec = (
        "model m(classes=10) { input 1x8x8; conv 8 3x3 -> gap -> bn -> flatten -> linear classes }"
    )
    message = raises(fit, spec, {**SHORT, "batch_size": 1}, out=tmp_path / "run", quiet=True)
    assert message.startswith("a batch of one sample: `bn` (2) has one value")
    assert fit(spec, {**SHORT, "batch_size": 2}, out=tmp_path / "two", quiet=True).step == 2


def test_nan_in_the_weights_is_named_as_the_cause(tmp_path: Path, raises: Raises) -> None:
    module = small_net()
    module[4 + 2].bias.data[3] = float("nan")  # type: ignore[union-attr, operator]
    message = raises(fit, module, SHORT, input=(1, 8, 8), out=tmp_path / "run", quiet=True)
    assert message.startswith("the loss is nan at step 0: the weights that training began with")
    assert "nan in 6.bias" in message


def test_more_workers_than_a_machine_has_are_said(tmp_path: Path) -> None:
    recipe = Recipe.model_validate({**RECIPE, "data": {"name": "digits", "workers": 5000}})
    source = open_source(recipe.data, Wanted((1, 8, 8), 10, "cross_entropy"))
    most = count_workers(recipe, 1)
    assert most < 5000
    notes = load_data(source, recipe, (1, 8, 8)).notes
    assert notes == [f"data.workers: 5,000 are more than this machine can use; {most} it is"]


@pytest.mark.parametrize("value", [None, 7, "text", [], {}, [["odd"]], {"odd": 1}])
def test_damaged_checkpoints_are_one_error(value: Any, tmp_path: Path, raises: Raises) -> None:
    """Each field once with each value, and once without the field."""
    fit(SPEC, SHORT, out=tmp_path / "run", quiet=True)
    path = tmp_path / "run" / "last.pt"
    whole = torch.load(path, weights_only=True)
    parts = [(k,) for k in whole] + [("model_from", k) for k in whole["model_from"]]
    parts += [("fit", k) for k in whole["fit"]] + [("model", next(iter(whole["model"])))]
    refused = 0
    for keys in parts:
        found = torch.load(path, weights_only=True)
        holder = found if len(keys) == 1 else found[keys[0]]
        if value is None:
            del holder[keys[-1]]
        else:
            holder[keys[-1]] = value
        torch.save(found, tmp_path / "run" / "odd.pt")
        more = [Override.parse("max_steps=3")]
        try:
            fit(None, resume=tmp_path / "run" / "odd.pt", overrides=more, quiet=True)
        except Exception as error:
            assert type(error).__name__ in ("TrainError", "SpecProblem"), (keys, error)
            assert "\n  File" not in str(error)
            refused += 1
    assert refused > len(parts) / 2


def test_a_whole_checkpoint_is_read(tmp_path: Path) -> None:
    fit(SPEC, SHORT, out=tmp_path / "run", quiet=True)
    assert read_checkpoint(tmp_path / "run" / "last.pt")["step"] == 2


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("".join(f"k{n}: 1\n" for n in range(300_000)), "over 200,000 characters"),
        ("# nothing\n" * 100_000, "over 200,000 characters"),
        ("a: [" + "1," * 50_000 + "]", "over 10,000 values"),
    ],
)
def test_recipes_of_any_size_end_at_a_limit(
    text: str, limit: str, tmp_path: Path, raises: Raises
) -> None:
    (tmp_path / "r.yaml").write_text(text)
    assert limit in raises(read_recipe, tmp_path / "r.yaml")


def test_a_recipe_is_a_regular_file(tmp_path: Path, raises: Raises) -> None:
    os.mkfifo(tmp_path / "r.yaml")  # nobody writes into it
    for path in (tmp_path / "r.yaml", Path("/dev/zero")):
        assert "it is no regular file" in raises(read_recipe, path)


def test_a_long_line_is_shown_around_the_error(tmp_path: Path, raises: Raises) -> None:
    (tmp_path / "r.yaml").write_text("data: {name: " + "x" * 5000 + ", sample: 3}")
    shown = raises(read_recipe, tmp_path / "r.yaml").splitlines()
    assert "sample: 3" in shown[1] and max(map(len, shown[1:3])) < 120
    assert shown[1][shown[2].index("^")] == "s"


def test_all_files_that_are_left_out_are_listed(tmp_path: Path) -> None:
    for n in range(130):
        file = tmp_path / "d" / "ab"[n % 2] / f"{n}.png"
        if n < 10:
            image(file, 9 * n)
        else:
            file.write_text("no image")
    data = {"name": f"folder:{tmp_path}/d", "on_bad_image": "skip", "val_fraction": 0}
    spec = SPEC.replace("classes=10", "classes=2").replace("1x8x8", "3x8x8")
    fit(spec, {**SHORT, "data": data, "batch_size": 4}, out=tmp_path / "run", quiet=True)
    log = (tmp_path / "run/log.txt").read_text()
    assert "and 20 more" in log and all(f"{n}.png: " in log for n in range(10, 130))


NAMES = ["last.pt", "best.pt", "best.safetensors", "metrics.csv", "recipe.yaml", "curves.png"]


@pytest.mark.parametrize("name", NAMES)
def test_links_are_followed(name: str, tmp_path: Path) -> None:
    """Whoever has moved a file of a run to a larger disk finds the next one there too."""
    fit(SPEC, {**SHORT, "plots": True}, out=tmp_path / "run", quiet=True)
    link, moved = tmp_path / "run" / name, tmp_path / "elsewhere"
    os.rename(link, moved)
    link.symlink_to(moved)
    before = moved.stat().st_mtime_ns
    more = [Override.parse("max_steps=30")]
    fit(None, resume=tmp_path / "run", overrides=more, quiet=True)
    assert link.is_symlink() and moved.stat().st_mtime_ns > before
    assert read_checkpoint(tmp_path / "run/last.pt")["step"] == 30


@pytest.mark.parametrize("name", ["best.pt", "best.safetensors", "metrics.csv", "recipe.yaml"])
def test_a_pipe_is_written_into(name: str, tmp_path: Path) -> None:
    fit(SPEC, SHORT, out=tmp_path / "run", quiet=True)
    pipe = tmp_path / "run" / name
    pipe.unlink()
    os.mkfifo(pipe)
    got = []

    def drain() -> None:
        while True:
            got.append(pipe.read_bytes())

    threading.Thread(target=drain, daemon=True).start()
    fit(None, resume=tmp_path / "run", overrides=[Override.parse("max_steps=30")], quiet=True)
    assert pipe.is_fifo() and any(got)


def test_a_link_to_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    (tmp_path / "run").symlink_to(tmp_path / "disk")
    fit(SPEC, SHORT, out=tmp_path / "run", quiet=True)
    assert (tmp_path / "disk/last.pt").is_file() and (tmp_path / "run").is_symlink()
