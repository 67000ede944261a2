"""The training loop.

In: a model that suits its data, a whole recipe, perhaps a checkpoint to go on from. Out: trained
weights, a table, and checkpoints. All randomness comes from positions (`sampling.py`) and the
learning rate from the step (`schedule.py`), so a loop that starts at step n does what one that came
there would do, bit for bit.
"""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from archdsl._version import __version__
from archdsl.train.data.augment import mixer
from archdsl.train.data.load import Batches, LoadedData
from archdsl.train.data.sampling import seed_step
from archdsl.train.engine import distributed
from archdsl.train.engine.checkpoint import (
    good_help,
    read_checkpoint,
    save_checkpoint,
    save_weights,
    tested_weights,
)
from archdsl.train.engine.distributed import Ranks
from archdsl.train.engine.objective import Objective, autocast, make_optimizer
from archdsl.train.engine.schedule import learning_rate
from archdsl.train.engine.stopping import Agreement, Stopped, StopSignals
from archdsl.train.errors import TrainError, shown
from archdsl.train.evaluation import test_model
from archdsl.train.recipe.schema import Recipe
from archdsl.train.run.folder import RunFolder, table_header, table_line
from archdsl.train.tasks import task_of
from archdsl.train.tasks.task import TEST, TRAIN, Row, Tested, best_row, stale_tests

WINDOW = 64  # losses kept on the device between two looks at them


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
    final: Tested | None = None  # of the best model, where the data has val and test


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
    """One rank's training state and the verbs on it: run, step, test, save, restore."""

    def __init__(
        self,
        module: nn.Module,
        data: LoadedData,
        recipe: Recipe,
        ranks: Ranks,
        folder: RunFolder,
        model_from: dict[str, Any],
    ) -> None:
        self.recipe, self.ranks, self.folder, self.model_from = recipe, ranks, folder, model_from
        self.data = data
        self.batches = Batches(data, recipe, ranks.device, ranks.rank, ranks.world)
        self.objective = Objective(recipe)
        self.task = task_of(data.classes, recipe.loss.name)
        self.mix = mixer(recipe.augment, len(data.classes)) if data.classes else None
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
        self.epoch_seconds = self.shown_at = 0.0

    def run(self, signals: StopSignals) -> int:
        """Trains to the end of the recipe; the number of the signal that stopped it, or 0."""
        recipe, agreed = self.recipe, Agreement(self.ranks, signals)
        while self.epoch < recipe.epochs and not self._finished():
            first = self.step_number - self.epoch * self.batches.steps_per_epoch
            self.folder.start_bar(
                self.epoch + 1, recipe.epochs, self.batches.steps_per_epoch, first
            )
            self.model.train()
            self.epoch_began = time.monotonic() - self.epoch_seconds
            with contextlib.closing(self._steps(first)) as steps:
                for _ in steps:
                    stop, save = agreed(self._late())
                    save = save or self._by_step()
                    if stop or save:
                        self.save(best=False)
                    if stop:
                        return stop
                    if self.step_number == recipe.max_steps:
                        break
            self.folder.close_bar()
            try:
                self.end_epoch(agreed)
            except Stopped as stopped:
                self.save(best=False)  # the epoch is trained but not tested: resuming tests it
                return stopped.number
            stop, _ = agreed(now=True)
            if stop:
                return stop
        return 0

    def _steps(self, first: int) -> Generator[None]:
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
        self._show(rate)

    def _synced(self, last: bool) -> contextlib.AbstractContextManager[Any]:
        """Gradients travel between ranks with the last piece of a step only."""
        if isinstance(self.model, DistributedDataParallel) and not last:
            return self.model.no_sync()
        return contextlib.nullcontext()

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        return autocast(self.recipe, self.ranks.device)

    def end_epoch(self, agreed: Agreement) -> None:
        """The epoch's row; with it, when it is due: test, table line, checkpoint, plot."""
        recipe, steps = self.recipe, self.batches.steps_per_epoch
        partial = self.step_number < (self.epoch + 1) * steps
        last = partial or self.epoch + 1 == recipe.epochs or self.step_number == recipe.max_steps
        due = last or (self.epoch + 1) % recipe.eval_every == 0
        self.sums.flush()
        loss, counted, samples = self.ranks.sum(self.sums.total)
        seconds = time.monotonic() - self.epoch_began
        row: Row = {
            "epoch": self.epoch + 1,
            "step": self.step_number,
            "train_loss": loss / samples,
            TRAIN: counted / samples if self.task.panel else None,
            "test_loss": None,
            TEST: None,
            "lr": learning_rate(recipe, self.step_number - 1, steps),
            "seconds": round(seconds, 3),
            "samples_per_second": round(samples / max(seconds, 1e-9), 1),
        }
        if due:
            self.tested = self.test(agreed)
            if math.isnan(self.tested.loss):
                raise NotFinite(self.step_number, self.tested.loss)
            row["test_loss"], row[TEST] = self.tested.loss, self.tested.figure
        if not self.history:
            self.folder.say(table_header(self.task))
        while self.history and self.history[-1]["epoch"] == row["epoch"]:
            self.history.pop()  # of the same epoch, when it had been stopped half-way
        self.history.append(row)
        if not partial:
            self.epoch, self.epoch_seconds, self.sums = self.epoch + 1, 0.0, Sums(self.ranks.device)
        if due:
            self.folder.say(table_line(row, self.task))
            self.folder.table(self.history)
            self.folder.events(row)
            self.save(best=best_row(self.history, self.task) is row)
            self.folder.plot(self.history, self.task, now=False)

    @property
    def tested_model(self) -> nn.Module:
        """The model, or its average where one is kept."""
        return self.module if self.ema is None else self.ema.module

    def test(self, agreed: Agreement | None = None) -> Tested:
        """One pass over the test split."""
        if not self.fsdp:
            self.ranks.same_buffers(self.tested_model)
        stop = None if agreed is None else agreed.check
        return test_model(
            self.tested_model, self.batches, self.objective, self.ranks, self.autocast, stop
        )

    def _samples(self) -> list[int]:
        return [len(self.data.train), len(self.data.test)]

    def _finished(self) -> bool:
        recipe = self.recipe
        if recipe.max_steps is not None and self.step_number >= recipe.max_steps:
            return True
        if recipe.early_stop is None:
            return False
        stale = stale_tests(self.history, self.task, recipe.early_stop.min_delta)
        if stale >= recipe.early_stop.patience:
            self.folder.say(f"stopped early: {stale} tests without improvement")
        return stale >= recipe.early_stop.patience

    def _by_step(self) -> bool:
        steps = self.recipe.checkpoint.steps
        return steps is not None and self.step_number % steps == 0

    def _late(self) -> bool:
        minutes = self.recipe.checkpoint.minutes
        return minutes is not None and time.monotonic() - self.saved_at > 60 * minutes

    def _show(self, rate: float) -> None:
        """Moves the progress line; asks the device for numbers only when the line is redrawn."""
        bar = self.folder.bar
        if bar is None:
            return
        if time.monotonic() - self.shown_at > 0.5:
            self.shown_at = time.monotonic()
            self.sums.flush()
            loss, counted, samples = self.sums.total
            shown = f"loss {loss / samples:.4f}, {self.task.progress(counted, samples)}"
            bar.set_postfix_str(f"{shown}lr {rate:.2g}{_memory(self.ranks.device)}", refresh=False)
        bar.update()

    def save(self, best: bool) -> None:
        """Writes last.pt, and the best files when this is the best so far."""
        self.sums.flush()
        state = self.state()
        if self.folder.folder is not None:
            save_checkpoint(state, self.folder.folder, best)
            if best:
                save_weights(tested_weights(state), self.folder.folder / "best.safetensors")
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
            "classes": list(self.data.classes),
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
        if (saved["classes"], saved["samples"]) != (list(self.data.classes), self._samples()):
            raise TrainError(
                f"{self.recipe.data.name} has changed since the run began: "
                f"{_data(saved['samples'], saved['classes'])} then, "
                f"{_data(self._samples(), self.data.classes)} now",
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


def restored(trainer: Trainer, path: Path) -> None:
    """Takes up a run where a checkpoint has it; a damaged one is one error."""
    try:
        trainer.restore(read_checkpoint(path))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise TrainError(
            f"{shown(path)}: does not fit the run, or is damaged: {reason}",
            good_help(path.parent, path),
        ) from None


def _data(samples: list[int], classes: Sequence[str]) -> str:
    return f"{samples[0]} to train on, {samples[1]} to test on, {len(classes)} classes"


def _memory(device: torch.device) -> str:
    """The most memory used so far: the GPU's, or the process's."""
    if device.type == "cuda":
        return f", {torch.cuda.max_memory_reserved(device) / 2**30:.1f} GiB"
    if sys.platform == "win32":
        return ""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return f", {peak / (2**30 if sys.platform == 'darwin' else 2**20):.1f} GiB"
