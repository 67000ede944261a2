"""Order, randomness and learning rate as functions of the position."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from archdsl.train import read_recipe
from archdsl.train.data import augment
from archdsl.train.data.augment import Batch, PerImage, erase, shift
from archdsl.train.data.sampling import (
    batch_bounds,
    epoch_order,
    seed_of,
    seed_sample,
    seed_step,
    share,
)
from archdsl.train.recipe.schema import Augment
from archdsl.train.tasks import task_of


def test_positions_do_not_collide() -> None:
    seeds = {seed_of(stream, a, b, c) for stream in range(4) for a in range(10) for b in range(20)
             for c in range(20)}  # fmt: skip
    assert len(seeds) == 4 * 10 * 20 * 20
    assert all(0 <= one < 2**63 for one in seeds)
    assert seed_of(1, 2) != seed_of(2, 1)


def test_order_depends_on_seed_and_epoch_only() -> None:
    assert torch.equal(epoch_order(0, 3, 50), epoch_order(0, 3, 50))
    assert not torch.equal(epoch_order(0, 3, 50), epoch_order(0, 4, 50))
    assert not torch.equal(epoch_order(0, 3, 50), epoch_order(1, 3, 50))
    assert epoch_order(0, 3, 50).sort().values.tolist() == list(range(50))


def test_seeding_does_what_manual_seed_does() -> None:
    seed_sample(1, 2, 3)
    a = torch.rand(3)
    torch.manual_seed(seed_of(1, 1, 2, 3))
    assert torch.equal(a, torch.rand(3))
    seed_step(1, 2, 0, torch.device("cpu"))
    b = torch.rand(3)
    seed_step(1, 2, 1, torch.device("cpu"))
    assert not torch.equal(b, torch.rand(3))


def test_shares_are_exact_and_unpadded() -> None:
    """DistributedSampler would give 8 ranks 368 of these 361 samples."""
    parts = [share(torch.arange(361), rank, 8) for rank in range(8)]
    assert sorted(torch.cat(parts).tolist()) == list(range(361))


def test_last_batch() -> None:
    assert batch_bounds(10, 4, 1, False) == [(0, 4), (4, 8), (8, 10)]
    assert batch_bounds(10, 4, 1, True) == [(0, 4), (4, 8)]
    assert batch_bounds(9, 4, 1, False) == [(0, 4), (4, 8)]  # one sample: batch norm could not work
    assert batch_bounds(10, 4, 2, False) == [(0, 4), (4, 8)]
    assert batch_bounds(1, 4, 1, False) == [(0, 1)]


def recipe(**keys: Any) -> Any:
    return read_recipe({"epochs": 10, "optimizer": {"lr": 0.1}, **keys})


def rates(plan: Any, steps: int = 100) -> list[float]:
    return [plan.rate(step, 10) for step in range(steps)]


@pytest.mark.parametrize("warmup", [10, 20])
def test_warmup_as_long_as_training(warmup: int) -> None:
    """torch's CosineAnnealingLR(T_max=0) divides by zero here."""
    found = rates(recipe(scheduler={"name": "cosine", "warmup_epochs": warmup}))
    assert found == sorted(found) and found[0] == pytest.approx(0.001) and found[-1] <= 0.1


def test_schedules_are_torchs() -> None:
    def torchs(make: Any) -> list[float]:
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        scheduler = make(optimizer)
        out = []
        for _ in range(100):
            out.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        return out

    torch_lr = torch.optim.lr_scheduler
    for plan, make in (
        ("constant", lambda o: torch_lr.ConstantLR(o, 1.0)),
        ({"name": "step", "step_size": 3}, lambda o: torch_lr.StepLR(o, 30)),
        ({"name": "multistep", "milestones": [4, 7]}, lambda o: torch_lr.MultiStepLR(o, [40, 70])),
        ({"name": "cosine", "min_lr": 0.01}, lambda o: torch_lr.CosineAnnealingLR(o, 100, 0.01)),
        (
            {"name": "onecycle", "pct_start": 0.2},
            lambda o: torch_lr.OneCycleLR(o, 0.1, 101, pct_start=20.2 / 101),
        ),
    ):  # fmt: skip
        if isinstance(plan, dict) and plan["name"] == "onecycle":
            make = lambda o: torch_lr.OneCycleLR(o, 0.1, 100, pct_start=0.2, cycle_momentum=False)  # noqa: E731
            expected = _until_last(torchs, make)
        else:
            expected = torchs(make)
        assert rates(recipe(scheduler=plan)) == pytest.approx(expected), plan


def _until_last(torchs: Any, make: Any) -> list[float]:
    """OneCycleLR refuses a step after the last one, which `torchs` would take."""

    class Careful:
        def __init__(self, optimizer: Any) -> None:
            self.inner, self.taken = make(optimizer), 0

        def step(self) -> None:
            self.taken += 1
            if self.taken < 100:
                self.inner.step()

    found: list[float] = torchs(Careful)
    return found


def test_seeding_a_sample_is_not_torch_manual_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """That queues the seed for every accelerator with a stack trace: 173 microseconds, not 1."""
    monkeypatch.setattr(torch, "manual_seed", None)
    seed_sample(1, 2, 3)
    seed_step(1, 2, 3, torch.device("cpu"))


def test_no_mixup_where_alpha_is_0() -> None:
    """torchvision's MixUp(alpha=0) raises."""
    x, y = torch.rand(4, 1, 8, 8), torch.tensor([0, 1, 2, 0])
    task = task_of("abc", "cross_entropy")
    for plan in (Augment(cutmix=1.0), Augment(mixup=0.2), Augment(mixup=0.2, cutmix=1.0)):
        assert task.mixer(plan)(x, y)[1].shape == (4, 3)
    assert task.mixer(Augment()) is None


def test_each_image_of_a_batch_is_augmented_by_itself() -> None:
    """A v2 transform on the whole batch tosses one coin: all images flipped, or none."""
    from torchvision.transforms import v2

    x = torch.arange(8).repeat(64, 1, 8, 1).to(torch.uint8)
    flipped = v2.RandomHorizontalFlip()(x)
    assert len({row.tolist() == x[0, 0, 0].tolist() for row in flipped[:, 0, 0]}) == 1  # the trap
    batch = Batch(Augment(hflip=0.5), None, None, torch.device("cpu"), seed=0)
    ours = batch.train(x, 0, torch.arange(64), 64)[:, 0, 0, 0]
    assert 16 < int((ours > 0).sum()) < 48


def test_large_images_one_by_one_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randint(0, 256, (9, 3, 112, 112), dtype=torch.uint8)
    before = x.clone()

    def batch() -> Tensor:
        whole = Batch(Augment(hflip=0.5), [0.4] * 3, [0.3] * 3, torch.device("cpu"), seed=0)
        return whole.train(x, 0, torch.arange(9), 9)

    assert augment._large(x)
    one_by_one = batch()
    monkeypatch.setattr(augment, "LARGE", 2**60)
    assert not augment._large(x)
    assert torch.equal(one_by_one, batch()) and torch.equal(x, before)


def test_augmentation_depends_on_the_sample_not_on_its_batch() -> None:
    x = torch.randint(0, 256, (20, 3, 8, 8), dtype=torch.uint8)
    plan = Augment(crop="pad", pad=2, hflip=0.5, erase=0.5)
    batch = Batch(plan, [0.5] * 3, [0.5] * 3, torch.device("cpu"), seed=0)
    whole = batch.train(x, 1, torch.arange(20), 20)
    some = torch.tensor([17, 3, 11])
    again = Batch(plan, [0.5] * 3, [0.5] * 3, torch.device("cpu"), seed=0)
    assert torch.equal(again.train(x[some], 1, some, 20), whole[some])
    assert not torch.equal(again.train(x, 2, torch.arange(20), 20), whole)


def test_shift_moves_and_fills_with_black() -> None:
    x = torch.arange(1, 10, dtype=torch.uint8).view(1, 1, 3, 3)
    still = shift(x, 1, torch.tensor([0.5]), torch.tensor([0.5]))
    assert torch.equal(still, x)
    moved = shift(x, 1, torch.tensor([0.0]), torch.tensor([0.5]))
    assert moved[0, 0].tolist() == [[0, 0, 0], [1, 2, 3], [4, 5, 6]]


def test_erase_blanks_a_rectangle_of_the_chosen_images() -> None:
    x = torch.ones(2, 1, 20, 20)
    u = torch.tensor([[0.1, 0.5, 0.5, 0.0, 0.0], [0.9, 0.5, 0.5, 0.0, 0.0]])
    out = erase(x, 0.5, u)
    assert torch.equal(out[1], x[1])
    hole = out[0, 0] == 0
    assert hole.sum() == 64 and hole[:8, :8].all()  # 0.175 of 400 samples, as a square


def test_per_image_transforms_draw_from_the_position() -> None:
    image = torch.randint(0, 256, (3, 16, 16), dtype=torch.uint8)
    one = PerImage(Augment(crop="random_resized", auto="trivialaugment"), (8, 8), seed=0)
    a, b = one(image, 0, 5), one(image, 0, 6)
    torch.rand(7)
    assert torch.equal(one(image, 0, 5), a) and not torch.equal(a, b)
    assert not PerImage(Augment(hflip=0.5), (8, 8), 0)
