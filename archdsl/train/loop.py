"""The training loop.

In: a `Job` (see `job.py`): a model that suits its data, a whole recipe, perhaps a checkpoint to go
on from. Out: a `Result`, and the run folder. All randomness comes from positions (`sampling.py`) and
the learning rate from the step (`schedule.py`), so a loop that starts at step n does what one that
came there would do, bit for bit.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from archdsl.train import distributed
from archdsl.train.augment import mixer
from archdsl.train.checkpoint import save_checkpoint, save_weights
from archdsl.train.data import Batches, LoadedData
from archdsl.train.distributed import Ranks
from archdsl.train.errors import TrainError
from archdsl.train.evaluate import Tested, test_model
from archdsl.train.objective import Objective, make_optimizer
from archdsl.train.recipe import Recipe
from archdsl.train.run_folder import Row, RunFolder, best_row, table_header, table_line
from archdsl.train.sampling import seed_step
from archdsl.train.schedule import learning_rate
from archdsl.train.stopping import Stopped, StopSignals, stale_tests

WINDOW = 64  # losses kept on the device between two looks at them
AGREE_EVERY = 8  # steps between two agreements of all ranks on whether to stop or save
AMP = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass
class Result:
    """What training came to. `module` holds the last weights; the best are in `run`."""

    run: Path | None
    module: nn.Module | None
    history: list[Row]
    best: Row | None
    step: int
    signal: int = 0  # the one that ended it early, if any
    tested: Tested | None = None


class Sums:
    """An epoch's loss and hits. They stay on the device; `flush` looks at a whole window of them.

    Values are added one by one in order, so that the sum does not depend on when it was flushed.
    """

    def __init__(self, device: torch.device) -> None:
        self.losses = torch.zeros(WINDOW, device=device)
        self.hits = torch.zeros(WINDOW, device=device)
        self.waiting: list[tuple[int, int]] = []  # (step, samples)
        self.total = [0.0, 0.0, 0.0]  # loss, hits, samples

    def add(self, step: int, loss: Tensor, hits: Tensor | None, samples: int) -> None:
        at = len(self.waiting)
        self.losses[at].copy_(loss.detach())
        if hits is not None:
            self.hits[at].copy_(hits)
        self.waiting.append((step, samples))
        if len(self.waiting) == WINDOW:
            self.flush()

    def flush(self) -> None:
        count = len(self.waiting)
        for (step, samples), loss, hits in zip(
            self.waiting, self.losses[:count].tolist(), self.hits[:count].tolist(), strict=True
        ):
            if not math.isfinite(loss):
                raise NotFinite(step, loss)
            self.total[0] += loss * samples
            self.total[1] += hits
            self.total[2] += samples
        self.waiting.clear()


class NotFinite(Exception):
    def __init__(self, step: int, loss: float) -> None:
        self.step, self.loss = step, loss


class Trainer:
    """One rank's training state and the verbs on it: run, step, test, save, restore."""

    def __init__(self, module: nn.Module, data: LoadedData, recipe: Recipe, ranks: Ranks,
                 folder: RunFolder, spec: dict[str, Any]) -> None:  # fmt: skip
        self.recipe, self.ranks, self.folder, self.spec = recipe, ranks, folder, spec
        self.data = data
        self.batches = Batches(data, recipe, ranks.device, ranks.rank, ranks.world)
        self.objective = Objective(recipe)
        self.mix = mixer(recipe.augment, len(data.classes)) if data.classes else None
        self.module = module.to(ranks.device)
        if recipe.channels_last:
            self.module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema = None
        if recipe.ema is not None:
            average = get_ema_multi_avg_fn(recipe.ema.decay)
            self.ema = AveragedModel(self.module, multi_avg_fn=average, use_buffers=True)
        if recipe.compile:
            self.module.compile()  # in place, so that the weights keep their names
        self.fsdp = recipe.strategy == "fsdp" and ranks.world > 1
        self.model: nn.Module = self.module
        if self.fsdp:
            distributed.cut_up(self.module)
        elif ranks.world > 1:
            self.model = DistributedDataParallel(self.module)
        self.optimizer = make_optimizer(self.module, recipe, fused=not self.fsdp and ranks.device.type != "mps")
        self.scaler = torch.amp.GradScaler(ranks.device.type, enabled=recipe.precision == "fp16")
        self.step_number = self.epoch = 0
        self.sums = Sums(ranks.device)
        self.history: list[Row] = []
        self.tested: Tested | None = None
        self.saved_at = self.epoch_began = time.monotonic()
        self.epoch_seconds = 0.0

    def run(self, signals: StopSignals) -> int:
        """Trains to the end of the recipe; the number of the signal that stopped it, or 0."""
        recipe = self.recipe
        while self.epoch < recipe.epochs and not self._finished():
            first = self.step_number - self.epoch * self.batches.steps_per_epoch
            self.folder.start_bar(self.epoch + 1, recipe.epochs, self.batches.steps_per_epoch, first)
            self.model.train()
            self.epoch_began = time.monotonic() - self.epoch_seconds
            with contextlib.closing(self._steps(first)) as steps:
                for _ in steps:
                    stop, save = self._agreed(signals)
                    if stop or save:
                        self.save(best=False)
                    if stop:
                        return stop
                    if self.step_number == recipe.max_steps:
                        break
            self.folder.close_bar()
            try:
                self.end_epoch(signals)
            except Stopped:
                self.save(best=False)  # the epoch is trained but not tested: resuming tests it
                return signals.caught
            stop = self.ranks.most(signals.caught)
            if stop:
                return stop
        return 0

    def _steps(self, first: int) -> Iterator[None]:
        for x, y, size in self.batches.train(self.epoch, first):
            self.step(x, y, size)
            yield

    def step(self, x: Tensor, y: Tensor, size: int) -> None:
        """One optimizer step on this rank's share of a batch of `size` samples."""
        recipe, ranks = self.recipe, self.ranks
        seed_step(recipe.seed, self.step_number, ranks.rank, ranks.device)
        rate = learning_rate(recipe, self.step_number, self.batches.steps_per_epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        if self.mix is not None:
            x, y = self.mix(x, y)
        if recipe.channels_last and x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        self.optimizer.zero_grad(set_to_none=True)
        pieces = list(zip(x.chunk(recipe.grad_accum), y.chunk(recipe.grad_accum), strict=True))
        for number, (x_piece, y_piece) in enumerate(pieces, 1):
            with self._synced(number == len(pieces)):
                with self.autocast():
                    output = self.model(x_piece)
                loss, main = self.objective(output, y_piece)
                # Ranks and pieces are averaged, so each counts by its share of the batch.
                share = len(x_piece) * ranks.world / size
                self.scaler.scale(loss if share == 1 else loss * share).backward()
            hits = self.objective.hits(main.detach(), y_piece)
            self.sums.add(self.step_number, loss, hits, len(x_piece))
        if recipe.clip_grad is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.module.parameters(), recipe.clip_grad)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.step_number += 1
        if self.ema is not None and recipe.ema and self.step_number % recipe.ema.every == 0:
            self.ema.update_parameters(self.module)
        self._show(rate)

    def _synced(self, last: bool) -> contextlib.AbstractContextManager[Any]:
        """Gradients travel between ranks with the last piece of a step only."""
        if isinstance(self.model, DistributedDataParallel) and not last:
            return self.model.no_sync()
        return contextlib.nullcontext()

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        kind = AMP.get(self.recipe.precision)
        if kind is None:
            return contextlib.nullcontext()
        return torch.autocast(self.ranks.device.type, dtype=kind)

    def end_epoch(self, signals: StopSignals) -> None:
        """The epoch's row; with it, when it is due: test, table line, checkpoint, plot."""
        recipe, steps = self.recipe, self.batches.steps_per_epoch
        partial = self.step_number < (self.epoch + 1) * steps
        last = partial or self.epoch + 1 == recipe.epochs or self.step_number == recipe.max_steps
        due = last or (self.epoch + 1) % recipe.eval_every == 0
        self.sums.flush()
        loss, hits, samples = self.ranks.sum(self.sums.total)
        seconds = time.monotonic() - self.epoch_began
        row: Row = {
            "epoch": self.epoch + 1,
            "step": self.step_number,
            "train_loss": loss / samples,
            "train_accuracy": hits / samples if self.data.classes else None,
            "test_loss": None,
            "test_accuracy": None,
            "lr": learning_rate(recipe, self.step_number - 1, steps),
            "seconds": round(seconds, 3),
            "samples_per_second": round(samples / max(seconds, 1e-9), 1),
        }
        if due:
            tested = self.test(signals)
            row["test_loss"], row["test_accuracy"] = tested.loss, tested.top1
        if not self.history or (len(self.history) == 1 and not partial):
            self.folder.table([])
            if not self.history:
                self.folder.say(table_header(bool(self.data.classes)))
        self.history = [*[old for old in self.history if old["epoch"] != row["epoch"]], row]
        self.folder.table(self.history) if due else None
        if not partial:
            self.epoch, self.epoch_seconds, self.sums = self.epoch + 1, 0.0, Sums(self.ranks.device)
        if due:
            self.folder.say(table_line(row, bool(self.data.classes)))
            self.save(best=best_row(self.history, bool(self.data.classes)) is row)
            self.folder.plot(self.history, now=False)
