"""The training loop.

In: a model that suits its data, a whole recipe, perhaps a state to go on from. Out: trained
weights, and records of what happens (`records.py`) for whoever listens. All randomness comes from
positions (`sampling.py`) and the learning rate from the step (`Recipe.rate`), so a loop that starts
at step n does what one that came there would do, bit for bit.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Generator, Iterator
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from archdsl._version import __version__
from archdsl.train.data.batches import Batches
from archdsl.train.data.load import LoadedData
from archdsl.train.data.sampling import seed_step
from archdsl.train.engine import distributed
from archdsl.train.engine.distributed import Ranks
from archdsl.train.engine.measure import measure
from archdsl.train.engine.objective import Objective, autocast, make_optimizer
from archdsl.train.engine.records import (
    Ended,
    Epoch,
    EpochBegan,
    EpochTrained,
    Record,
    SoFar,
    State,
    Step,
    StoppedEarly,
)
from archdsl.train.engine.stopping import Agreement, Stopped, StopSignals
from archdsl.train.errors import TrainError, shown
from archdsl.train.recipe.schema import Recipe
from archdsl.train.tasks import saved_task, to_save
from archdsl.train.tasks.task import TEST, TRAIN, Row, Task, Tested, best_row, stale_tests

WINDOW = 64  # losses kept on the device between two looks at them


class Sums:
    """An epoch's loss and its task's count. They stay on the device; `flush` looks at a whole
    window of them.

    Values are added one by one in order, so that the sum does not depend on when it was flushed.
    """

    def __init__(self, device: torch.device) -> None:
        self.losses = torch.zeros(WINDOW, device=device)
        self.counts = torch.zeros(WINDOW, device=device)
        self.waiting: list[tuple[int, int]] = []  # (step, samples)
        self.total = [0.0, 0.0, 0.0]  # loss, count, samples

    def add(self, step: int, loss: Tensor, counted: Tensor | None, samples: int) -> None:
        at = len(self.waiting)
        self.losses[at].copy_(loss.detach())
        if counted is not None:
            self.counts[at].copy_(counted)
        self.waiting.append((step, samples))
        if len(self.waiting) == WINDOW:
            self.flush()

    def flush(self) -> None:
        count = len(self.waiting)
        for (step, samples), loss, counted in zip(
            self.waiting, self.losses[:count].tolist(), self.counts[:count].tolist(), strict=True
        ):
            if not math.isfinite(loss):
                raise NotFinite(step, loss)
            self.total[0] += loss * samples
            self.total[1] += counted
            self.total[2] += samples
        self.waiting.clear()


class NotFinite(Exception):
    def __init__(self, step: int, loss: float) -> None:
        self.step, self.loss = step, loss


class Trainer:
    """One rank's training state and the verbs on it: run, step, test, restore."""

    def __init__(
        self,
        module: nn.Module,
        data: LoadedData,
        recipe: Recipe,
        ranks: Ranks,
        model_from: dict[str, Any],
    ) -> None:
        self.recipe, self.ranks, self.model_from = recipe, ranks, model_from
        self.data, self.task = data, data.task
        self.batches = Batches(data, recipe, ranks.device, ranks.rank, ranks.world)
        weights = self.task.weights(data.train.samples.y, recipe)
        self.objective = Objective(recipe, None if weights is None else weights.to(ranks.device))
        self.tested_by = Objective(recipe)
        self.mix = self.task.mixer(recipe.augment)
        self.module = module.to(ranks.device)
        if recipe.channels_last:
            self.module.to(memory_format=torch.channels_last)
        self.ema = None
        if recipe.ema is not None:
            average = get_ema_multi_avg_fn(recipe.ema.decay)  # type: ignore[no-untyped-call]
            self.ema = AveragedModel(self.module, multi_avg_fn=average, use_buffers=True)
        if recipe.compile:
            self.module.compile()  # in place, so that the weights keep their names
        self.fsdp = recipe.strategy == "fsdp" and ranks.world > 1
        self.model: nn.Module = self.module
        if self.fsdp:
            distributed.cut_up(self.module)
        elif ranks.world > 1:
            self.model = DistributedDataParallel(self.module)
        self.optimizer = make_optimizer(
            self.module, recipe, fused=not self.fsdp and ranks.device.type != "mps"
        )
        self.scaler = torch.amp.GradScaler(ranks.device.type, enabled=recipe.precision == "fp16")
        self.step_number = self.epoch = 0
        self.sums = Sums(ranks.device)
        self.history: list[Row] = []
        self.tested: Tested | None = None
        self.saved_at = self.epoch_began = time.monotonic()
        self.epoch_seconds = self.rate = 0.0

    def run(self, signals: StopSignals) -> Generator[Record]:
        """Trains to the end of the recipe, or until a signal; the last record says which."""
        agreed, stopped = Agreement(self.ranks, signals), 0
        while not stopped and self.epoch < self.recipe.epochs and not self._at_last_step():
            if stale := self._stale():
                yield StoppedEarly(stale)
                break
            stopped = yield from self._epoch(agreed)
        yield Ended(self.step_number, stopped)

    def _epoch(self, agreed: Agreement) -> Generator[Record, None, int]:
        """One epoch, or what is left of it; the signal that ended it, or 0."""
        steps = self.batches.steps_per_epoch
        first = self.step_number - self.epoch * steps
        yield EpochBegan(self.epoch + 1, self.recipe.epochs, steps, first)
        self.model.train()
        self.epoch_began = time.monotonic() - self.epoch_seconds
        with contextlib.closing(self._steps(first)) as records:
            for record in records:
                yield record
                stop, save = agreed(self._late())
                if stop or save or self._by_step():
                    yield from self._kept(best=False)
                if stop:
                    return stop
                if self._at_last_step():
                    break
        yield EpochTrained(self.epoch + 1)
        try:
            yield from self._end_epoch(agreed)
        except Stopped as stopped:
            yield from self._kept(best=False)  # trained but not tested: resuming tests it
            return stopped.number
        return agreed(now=True)[0]

    def _steps(self, first: int) -> Generator[Step]:
        for x, y, size in self.batches.train(self.epoch, first):
            self.step(x, y, size)
            yield Step(self.step_number, self.rate, self._so_far)

    def step(self, x: Tensor, y: Tensor, size: int) -> None:
        """One optimizer step on this rank's share of a batch of `size` samples."""
        recipe, ranks = self.recipe, self.ranks
        self.rate = recipe.rate(self.step_number, self.batches.steps_per_epoch)
        seed_step(recipe.seed, self.step_number, ranks.rank, ranks.device)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate
        if self.mix is not None:
            x, y = self.mix(x, y)
        if recipe.channels_last and x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        self.optimizer.zero_grad(set_to_none=True)
        # A last batch may be too small: batch normalisation cannot work on one sample.
        count = max(1, min(recipe.grad_accum, len(x) // 2))
        pieces = list(zip(x.tensor_split(count), y.tensor_split(count), strict=True))
        for number, (x_piece, y_piece) in enumerate(pieces, 1):
            with self._synced(number == len(pieces)):
                with self.autocast():
                    output = self.model(x_piece)
                loss, main = self.objective(output, y_piece)
                # Ranks and pieces are averaged, so each counts by its share of the batch.
                share = len(x_piece) * ranks.world / size
                scaled = self.scaler.scale(loss if share == 1 else loss * share)
                scaled.backward()  # type: ignore[no-untyped-call]
            counted = self.task.counted(main.detach(), y_piece)
            self.sums.add(self.step_number, loss, counted, len(x_piece))
        if recipe.clip_grad is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.module.parameters(), recipe.clip_grad)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.step_number += 1
        if self.ema is not None and recipe.ema and self.step_number % recipe.ema.every == 0:
            self.ema.update_parameters(self.module)

    def _synced(self, last: bool) -> contextlib.AbstractContextManager[Any]:
        """Gradients travel between ranks with the last piece of a step only."""
        if isinstance(self.model, DistributedDataParallel) and not last:
            return self.model.no_sync()
        return contextlib.nullcontext()

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        return autocast(self.recipe, self.ranks.device)

    def _so_far(self) -> SoFar:
        self.sums.flush()
        loss, counted, samples = self.sums.total
        return SoFar(loss / samples, counted / samples)

    def _end_epoch(self, agreed: Agreement) -> Iterator[Record]:
        """The epoch's row, with a test where it is due, and then the state to keep."""
        partial = self.step_number < (self.epoch + 1) * self.batches.steps_per_epoch
        row, first, tested = self._row(), not self.history, None
        if partial or self._is_due():
            self.tested = tested = self.test(agreed)
            if math.isnan(tested.loss):
                raise NotFinite(self.step_number, tested.loss)
            row["test_loss"], row[TEST] = tested.loss, tested.figure
        while self.history and self.history[-1]["epoch"] == row["epoch"]:
            self.history.pop()  # of the same epoch, when it had been stopped half-way
        self.history.append(row)
        if not partial:
            self.epoch, self.epoch_seconds, self.sums = self.epoch + 1, 0.0, Sums(self.ranks.device)
        yield Epoch(row, self.history, tested, first)
        if tested is not None:
            yield from self._kept(best=best_row(self.history, self.task) is row)

    def _is_due(self) -> bool:
        """Whether a test follows the epoch that is trained now."""
        done, recipe = self.epoch + 1, self.recipe
        return done == recipe.epochs or self._at_last_step() or done % recipe.eval_every == 0

    def _row(self) -> Row:
        self.sums.flush()
        loss, counted, samples = self.ranks.sum(self.sums.total)
        seconds = time.monotonic() - self.epoch_began
        return {
            "epoch": self.epoch + 1,
            "step": self.step_number,
            "train_loss": loss / samples,
            TRAIN: counted / samples if self.task.panel else None,
            "test_loss": None,
            TEST: None,
            "lr": self.recipe.rate(self.step_number - 1, self.batches.steps_per_epoch),
            "seconds": round(seconds, 3),
            "samples_per_second": round(samples / max(seconds, 1e-9), 1),
        }

    @property
    def tested_model(self) -> nn.Module:
        """The model, or its average where one is kept."""
        return self.module if self.ema is None else self.ema.module

    def test(self, agreed: Agreement | None = None) -> Tested:
        """One pass over the test split."""
        if not self.fsdp:
            self.ranks.same_buffers(self.tested_model)
        return measure(
            self.tested_model,
            self.batches.test(),
            self.tested_by,
            self.task.meter(self.ranks.device),
            self.ranks,
            self.autocast,
            None if agreed is None else agreed.check,
        )

    def _samples(self) -> list[int]:
        return [len(self.data.train), len(self.data.test)]

    def _at_last_step(self) -> bool:
        most = self.recipe.max_steps
        return most is not None and self.step_number >= most

    def _stale(self) -> int:
        """How many tests have passed without improvement, where they are too many."""
        plan = self.recipe.early_stop
        if plan is None:
            return 0
        stale = stale_tests(self.history, self.task, plan.min_delta)
        return stale if stale >= plan.patience else 0

    def _by_step(self) -> bool:
        steps = self.recipe.checkpoint.steps
        return steps is not None and self.step_number % steps == 0

    def _late(self) -> bool:
        minutes = self.recipe.checkpoint.minutes
        return minutes is not None and time.monotonic() - self.saved_at > 60 * minutes

    def _kept(self, best: bool) -> Iterator[State]:
        """The state, to be kept by whoever listens."""
        self.sums.flush()
        yield State(self.state(), best)
        self.saved_at = time.monotonic()

    def state(self) -> dict[str, Any]:
        """All that going on needs, as tensors and plain values."""
        if self.fsdp:
            model, optimizer = distributed.state_dicts(self.module, self.optimizer)
        else:
            model, optimizer = self.module.state_dict(), self.optimizer.state_dict()
        return {
            "archdsl": __version__,
            "torch": str(torch.__version__),
            "model_from": self.model_from,
            "recipe": self.recipe.resolved(),
            **to_save(self.task),
            "samples": self._samples(),
            "fingerprint": self.data.fingerprint,
            "fit": {**asdict(self.data.fit), "input_shape": list(self.data.fit.input_shape)},
            "model": model,
            "optimizer": optimizer,
            "scaler": self.scaler.state_dict(),
            "ema": None if self.ema is None else self.ema.state_dict(),
            "step": self.step_number,
            "epoch": self.epoch,
            "sums": self.ranks.gather(self.sums.total),
            "epoch_seconds": time.monotonic() - self.epoch_began,
            "history": self.history,
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Takes up where `state` was taken; only the same data makes that the same run."""
        before = saved_task(saved, self.recipe.loss.name)
        if (before.names, saved["samples"]) != (self.task.names, self._samples()):
            raise TrainError(
                f"{self.recipe.data.name} has changed since the run began: "
                f"{_data(saved['samples'], before)} then, "
                f"{_data(self._samples(), self.task)} now" + _renamed(before, self.task),
                "put the data back as it was to go on, or start a new run",
            )
        if saved.get("fingerprint", self.data.fingerprint) != self.data.fingerprint:
            raise TrainError(
                f"{self.recipe.data.name} has changed since the run began: as many samples, but "
                "some have another name, size or value",
                "put the data back as it was to go on, or start a new run",
            )
        if self.fsdp:
            distributed.set_state_dicts(
                self.module, self.optimizer, saved["model"], saved["optimizer"]
            )
        else:
            self.module.load_state_dict(saved["model"])
            self.optimizer.load_state_dict(saved["optimizer"])
        self.scaler.load_state_dict(saved["scaler"])
        if self.ema is not None:
            self.ema.load_state_dict(saved["ema"])
        self.step_number, self.epoch = saved["step"], saved["epoch"]
        self.history, self.epoch_seconds = saved["history"], saved["epoch_seconds"]
        sums = saved["sums"]
        if len(sums) == self.ranks.world:
            self.sums.total = sums[self.ranks.rank]
        elif self.ranks.first:  # another number of ranks: the first one carries the whole sum
            self.sums.total = [sum(column) for column in zip(*sums, strict=True)]


def _renamed(before: Task, now: Task) -> str:
    """Some of the names that only one of two data sets has."""
    other = sorted({*before.names} ^ {*now.names})
    return f"; only one of the two has {shown(*other[:5])}" if other else ""


def _data(samples: list[int], task: Task) -> str:
    amount = task.amount()
    return f"{samples[0]} to train on, {samples[1]} to test on" + (f", {amount}" * bool(amount))
