"""Train, val and test: who is who, in which shares; folds; what makes up for rare classes."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from archdsl.train import Override, evaluate, fit
from archdsl.train.data.roles import Roles, roles
from archdsl.train.data.samples import Tensors
from archdsl.train.data.sampling import SPLIT, balanced_order, generator
from archdsl.train.data.sources import Source
from archdsl.train.engine.trainer import Trainer
from archdsl.train.recipe.schema import Recipe
from archdsl.train.tasks import task_of
from archdsl.train.tasks.losses import loss_of
from tests.train.nets import RECIPE, SPEC, measured, same, small_net, weights
from tests.train.test_selection import folder

COUNTS = (60, 25, 11, 3, 1)


def source(counts: tuple[int, ...] = COUNTS, **more: Any) -> Source:
    """Samples that hold their own number, of classes of these sizes, mixed."""
    y = torch.cat([torch.full((n,), k) for k, n in enumerate(counts)])
    y = y[torch.randperm(len(y), generator=torch.Generator().manual_seed(1))]
    x = torch.arange(len(y)).float()[:, None]
    return Source(Tensors(x, y), None, tuple("abcdefgh"[: len(counts)]), **more)


def cut(found: Source, **data: Any) -> Roles:
    return roles(found, Recipe.model_validate({"data": data}).data)


def held(samples: Any) -> list[int]:
    return [int(samples.read(n)) for n in range(len(samples.y))]


def counts(samples: Any, kinds: int) -> list[int]:
    return torch.bincount(samples.y, minlength=kinds).tolist()


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.2, 0.37, 0.5])
@pytest.mark.parametrize("sizes", [COUNTS, (10, 10, 10), (7,), (1, 1, 98)])
def test_what_is_held_out_has_the_classes_shares(fraction: float, sizes: tuple[int, ...]) -> None:
    found = cut(source(sizes), test_fraction=fraction, val_fraction=0)
    assert found.test is not None
    assert sorted(held(found.train) + held(found.test.samples)) == list(range(sum(sizes)))
    for own, whole in zip(counts(found.test.samples, len(sizes)), sizes, strict=True):
        assert abs(own - whole * fraction) <= 1 and own < whole
    assert abs(len(found.test.samples.y) - fraction * sum(sizes)) <= 1


def test_classes_of_one_sample_each() -> None:
    assert len(cut(source((1,) * 8), val_fraction=0.25).val.samples.y) == 2
    spared = cut(source((1, 1, 6)), val_fraction=0.5)
    assert counts(spared.train, 3) == [1, 1, 2]


def test_it_is_the_same_each_time_and_follows_its_seed_alone() -> None:
    first, again = (held(cut(source(), val_fraction=0.3).val.samples) for _ in range(2))
    other = held(cut(source(), val_fraction=0.3, split_seed=1).val.samples)
    assert first == again != other and len(first) == len(other)


def test_without_classes_or_where_asked_chance_alone_decides() -> None:
    order = torch.randperm(100, generator=generator(SPLIT, 0, 100))[:20].sort().values.tolist()
    assert held(cut(source(), val_fraction=0.2, stratify=False).val.samples) == order
    numbers = Source(Tensors(torch.arange(100.0)[:, None], torch.rand(100, 1)), None)
    assert held(cut(numbers, val_fraction=0.2).val.samples) == order


def test_folds_are_all_samples_once_each_with_the_classes_shares() -> None:
    parts = [cut(source(), folds=4, fold=n) for n in (1, 2, 3, 4)]
    assert sorted(n for part in parts for n in held(part.val.samples)) == list(range(100))
    for part in parts:
        assert sorted(held(part.train) + held(part.val.samples)) == list(range(100))
        for own, whole in zip(counts(part.val.samples, 5), COUNTS, strict=True):
            assert whole // 4 <= own <= -(-whole // 4)


OWN = Tensors(torch.full((5, 1), -1.0), torch.arange(5))
LAST = Tensors(torch.full((6, 1), -2.0), torch.arange(6) % 5)
WITH_TEST = source()
WITH_TEST = Source(WITH_TEST.train, OWN, WITH_TEST.classes)
WITH_VAL = Source(WITH_TEST.train, OWN, WITH_TEST.classes, split=("val", ""))
WITH_BOTH = Source(WITH_TEST.train, OWN, WITH_TEST.classes, final=LAST, split=("val", "test"))


@pytest.mark.parametrize(
    ("found", "data", "sizes"),
    [
        (source(), {}, (80, 20, 0)),
        (source(), {"val_fraction": 0}, (100, 100, 0)),
        (source(), {"test_fraction": 0.1}, (72, 18, 10)),
        (source(), {"test_fraction": 0.1, "val_fraction": 0}, (90, 90, 10)),
        (source(), {"folds": 5}, (80, 20, 0)),
        (WITH_TEST, {}, (100, 5, 0)),  # as the lecture does: its test split selects
        (WITH_TEST, {"val_fraction": 0.1}, (90, 10, 5)),  # which is not that of the test split
        (WITH_TEST, {"folds": 10, "fold": 3}, (90, 10, 5)),
        (WITH_VAL, {}, (100, 5, 0)),
        (WITH_VAL, {"test_fraction": 0.1}, (90, 5, 10)),
        (WITH_BOTH, {}, (100, 5, 6)),
        (WITH_BOTH, {"val_fraction": 0.1}, (90, 10, 6)),
    ],
)
def test_who_is_who(found: Source, data: dict[str, Any], sizes: tuple[int, int, int]) -> None:
    part = cut(found, **data)
    test = 0 if part.test is None else len(part.test.samples.y)
    assert (len(part.train.y), len(part.val.samples.y), test) == sizes


def test_a_test_split_of_its_own_needs_no_fraction(raises: Any) -> None:
    for found in (WITH_TEST, WITH_BOTH):
        assert "has a test split of its own" in raises(cut, found, test_fraction=0.1)
    assert "100 samples are too few for 101 folds" in raises(cut, source(), folds=101)
    for wrong in ({"fold": 2}, {"folds": 5, "fold": 6}, {"folds": 5, "val_fraction": 0.1}):
        with pytest.raises(ValueError, match="folds"):
            cut(source(), **wrong)


def test_the_test_split_is_tested_once_and_reported_apart(tmp_path: Path) -> None:
    recipe = {**RECIPE, "data": {"name": "digits", "test_fraction": 0.25}, "epochs": 2}
    result = fit(SPEC, recipe, out="r", quiet=True)
    told = json.loads(Path("r/test.json").read_text())
    assert result.tested.count == 270 and result.final.count == told["count"] == 449
    assert told["top1"] == result.final.top1 == evaluate("r").top1
    assert evaluate("r").data.endswith("the 449 of 1,797 that were held out from training and "
                                       "selecting")  # fmt: skip


def test_a_checkpoint_from_before_goes_on_with_its_own_split(tmp_path: Path) -> None:
    """There, chance alone decided what was held out; the recipe had no word for it."""
    data = {"name": "digits", "stratify": False}
    whole = fit(SPEC, {**RECIPE, "data": data, "max_steps": 12}, out="whole", quiet=True)
    fit(SPEC, {**RECIPE, "data": data, "max_steps": 6}, out="cut", quiet=True)
    saved = torch.load("cut/last.pt", weights_only=True)
    del saved["recipe"]["data"]["stratify"]
    torch.save(saved, "cut/last.pt")
    more = [Override.parse("max_steps=12")]
    rest = fit(None, resume="cut", overrides=more, quiet=True)
    assert same(weights("whole/last.pt"), weights("cut/last.pt"))
    assert measured(rest.history) == measured(whole.history)


FOLDED = {**RECIPE, "data": {"name": "digits", "limit": 60, "folds": 3}, "epochs": 1}


def test_folds_train_once_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = fit(SPEC, FOLDED, out="r")
    assert len(found.folds) == 3 and found.module is None and not found.signal
    rows = Path("r/folds.csv").read_text().splitlines()
    assert rows[0].startswith("fold,epoch,test_loss,test_accuracy") and len(rows) == 6
    losses = [one.best["test_loss"] for one in found.folds]  # type: ignore[index]
    assert rows[4].startswith(f"mean,,{sum(losses) / 3:.12g}"[:16])
    told = capsys.readouterr().out
    assert "fold   3 of 3" in told and "deviation" in told and "r/fold-2" in told
    assert "fold 2 of 3" in evaluate("r/fold-2").data
    alone = {**FOLDED, "data": {**FOLDED["data"], "fold": 2}}  # type: ignore[dict-item]
    fit(SPEC, alone, out="alone", quiet=True)
    assert same(weights("alone/last.pt"), weights("r/fold-2/last.pt"))


def test_folds_that_are_stopped_go_on_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raises: Any
) -> None:
    fit(SPEC, FOLDED, out="whole", quiet=True)
    real, steps = Trainer.step, []

    def stop_in_second(trainer: Trainer, *args: Any) -> None:
        steps.append(1)
        if len(steps) == 6:  # of four each
            os.kill(os.getpid(), signal.SIGTERM)
        real(trainer, *args)

    monkeypatch.setattr(Trainer, "step", stop_in_second)
    cut = fit(SPEC, FOLDED, out="cut", quiet=True)
    assert cut.signal == signal.SIGTERM and len(cut.folds) == 2
    assert "holds a run for each fold" in raises(evaluate, "cut")
    rest = fit(None, resume="cut", quiet=True)
    assert len(rest.folds) == 3 and not rest.signal
    for n in (1, 2, 3):
        assert same(weights(f"whole/fold-{n}/last.pt"), weights(f"cut/fold-{n}/last.pt"))
    assert Path("whole/folds.csv").read_text() == Path("cut/folds.csv").read_text()


def test_each_fold_begins_with_the_modules_own_weights(tmp_path: Path) -> None:
    net = small_net()
    before = {name: one.clone() for name, one in net.state_dict().items()}
    found = fit(net, FOLDED, input=(1, 8, 8), out="r", quiet=True)
    assert same(net.state_dict(), before) and len(found.folds) == 3


@pytest.mark.parametrize("name", ["cross_entropy", "nll"])
def test_balanced_weights_count_each_class_alike(name: str) -> None:
    recipe = Recipe.model_validate({"loss": {"name": name, "class_weights": "balanced"}})
    y = torch.tensor([0] * 6 + [1] * 2)
    found = task_of("ab", name).weights(y, recipe)
    assert found is not None and found.tolist() == pytest.approx([8 / 12, 8 / 4])
    out = torch.randn(8, 2, generator=torch.Generator().manual_seed(0)).log_softmax(1)
    each = F.nll_loss(out, y, reduction="none")
    loss = loss_of(recipe, found)(out, y)
    assert float(loss) == pytest.approx(float((each[:6].mean() + each[6:].mean()) / 2), rel=1e-6)
    parts = loss_of(recipe, found)(out[:4], y[:4]) + loss_of(recipe, found)(out[4:], y[4:])
    assert float(parts) / 2 == pytest.approx(float(loss), rel=1e-6)  # pieces of a batch add up


def test_weights_act_in_training_alone(tmp_path: Path, raises: Any) -> None:
    def run(out: str, **loss: Any) -> Any:
        recipe = {**RECIPE, "loss": {"name": "cross_entropy", **loss}, "max_steps": 2}
        return fit(SPEC, {**recipe, "optimizer": {"name": "sgd", "lr": 1e-30}}, out=out, quiet=True)

    plain, weighted = run("a"), run("b", class_weights=[2.0] * 10)
    assert weighted.tested.loss == plain.tested.loss
    assert weighted.history[0]["train_loss"] == pytest.approx(2 * plain.history[0]["train_loss"])
    assert "3 numbers, the data has 10 classes" in raises(run, "c", class_weights=[1.0, 2.0, 3.0])


@pytest.mark.parametrize("sizes", [(50, 3, 10), (1, 99), (4, 4, 4), (7, 0, 2)])
def test_a_balanced_epoch_has_each_class_as_often(sizes: tuple[int, ...]) -> None:
    y = torch.cat([torch.full((n,), k) for k, n in enumerate(sizes)])
    order = balanced_order(3, 1, y)
    assert len(order) == len(y) and torch.equal(order, balanced_order(3, 1, y))
    assert not torch.equal(order, balanced_order(3, 2, y))
    there = [n for n in torch.bincount(y[order]).tolist() if n]
    assert max(there) - min(there) <= 1
    for kind, count in enumerate(sizes):  # none twice before all have come
        times = torch.bincount(order[y[order] == kind], minlength=len(y))[y == kind].tolist()
        assert not count or max(times) - min(times) <= 1


def test_a_balanced_run_goes_on_bit_for_bit(tmp_path: Path, raises: Any) -> None:
    recipe = {**RECIPE, "data": {"name": "digits", "sampler": "balanced"}, "max_steps": 14}
    fit(SPEC, recipe, out="whole", quiet=True)
    fit(SPEC, {**recipe, "max_steps": 5}, out="cut", quiet=True)
    fit(None, resume="cut", overrides=[Override.parse("max_steps=14")], quiet=True)
    assert same(weights("whole/last.pt"), weights("cut/last.pt"))
    plan = {"data": {"name": "tests.train.nets:line", "sampler": "balanced"}, "loss": "mse"}
    text = raises(fit, "model m { input 3; linear 1 }", plan, quiet=True)
    assert "balanced is for data with one class a sample" in text


def test_a_rare_class_is_said_once(tmp_path: Path) -> None:
    data = folder(tmp_path / "d", "a", count=150)
    folder(tmp_path / "d", "b", count=1)
    plan = {**RECIPE, "data": {"name": data, "val_fraction": 0}, "max_steps": 1, "batch_size": 4}
    spec = "model tiny(classes=2) {\n  input 3x8x8\n  flatten -> linear classes\n}\n"
    fit(spec, plan, out="a", quiet=True)
    said = Path("a/log.txt").read_text()
    assert said.count("of class b are 1 of 151 training samples (0.7%)") == 1
    assert "--set data.sampler=balanced or loss.class_weights=balanced" in said
    fit(spec, {**plan, "loss": {"class_weights": "balanced"}}, out="b", quiet=True)
    assert "of class b" not in Path("b/log.txt").read_text()
