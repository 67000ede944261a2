"""Measuring a model, and using one: `evaluate` and `predict` for a run or a checkpoint."""

from __future__ import annotations

import contextlib
import csv
import functools
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archdsl.train.checkpoint import BEST, find_checkpoint, read_checkpoint, tested_weights
from archdsl.train.data import Batches, Fit, load_data
from archdsl.train.distributed import Ranks, pick_device
from archdsl.train.errors import TrainError
from archdsl.train.images import IMAGE_SUFFIXES, BadSample, read_image
from archdsl.train.model import Model
from archdsl.train.objective import Objective, autocast
from archdsl.train.recipe import Recipe
from archdsl.train.recipe_file import Override, read_recipe
from archdsl.train.samples import to_channels
from archdsl.train.sources import Wanted, open_source


@dataclass
class Tested:
    """One pass over a test split. The shares are None where there are no classes."""

    loss: float
    count: int
    top1: float | None = None
    top5: float | None = None
    classes: tuple[str, ...] = ()
    per_class: dict[str, float | None] = field(default_factory=dict)
    confusion: list[list[int]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"{'samples':>8}  {self.count}", f"{'loss':>8}  {self.loss:.4f}"]
        if self.top1 is not None:
            lines.append(f"{'top-1':>8}  {self.top1:.2%}")
        if self.top5 is not None:
            lines.append(f"{'top-5':>8}  {self.top5:.2%}")
        if self.per_class:
            width = max(len(name) for name in self.per_class)
            lines.append("")
            for number, (name, share) in enumerate(self.per_class.items()):
                total = sum(self.confusion[number])
                shown = "-" if share is None else f"{share:.2%}"
                lines.append(f"  {name:<{width}}  {shown:>8} of {total}")
        return "\n".join(lines)


@torch.inference_mode()
def test_model(
    model: nn.Module,
    batches: Batches,
    objective: Objective,
    ranks: Ranks,
    autocast: Any = None,
    stop: Any = None,
) -> Tested:
    """Loss and accuracy over the test split, each sample counted once whatever the ranks and batch
    size. `stop()` may end it early by raising."""
    model.eval()
    classes = batches.data.classes
    size = len(classes) if 0 < len(classes) <= 1000 else 0
    confusion = torch.zeros(size * size, dtype=torch.int64, device=ranks.device)
    loss_sum = torch.zeros((), dtype=torch.float64, device=ranks.device)
    hits = torch.zeros(2, dtype=torch.int64, device=ranks.device)
    count = 0
    for x, y in batches.test():
        with autocast() if autocast else contextlib.nullcontext():
            output = model(x)
        if not len(y):
            continue  # a pass that only keeps this rank in step with the others
        loss, main = objective(output, y)
        loss_sum += loss.double() * len(y)
        count += len(y)
        if classes and y.ndim == 1:
            answers = objective.classes(main)
            hits[0] += (answers == y).sum()
            if main.ndim == 2 and main.shape[1] > 5:
                hits[1] += (main.topk(5, 1).indices == y[:, None]).sum()
            if size and (main.ndim == 1 or main.shape[1] in (1, size)):
                confusion += torch.bincount(y * size + answers, minlength=size * size)
        if stop is not None:
            stop()
    sums = ranks.sum([float(loss_sum), count, *hits.tolist(), *confusion.tolist()])
    total = int(sums[1])
    tested = Tested(sums[0] / total, total, classes=classes)
    if classes:
        tested.top1 = sums[2] / total
        tested.top5 = sums[3] / total if len(classes) > 5 else None
        rows = [[int(n) for n in sums[4 + i * size : 4 + (i + 1) * size]] for i in range(size)]
        tested.confusion = rows
        tested.per_class = {
            name: rows[i][i] / sum(rows[i]) if sum(rows[i]) else None
            for i, name in enumerate(classes[:size])
        }
    return tested


@dataclass
class Trained:
    """A model out of a checkpoint, ready for use."""

    path: Path
    module: nn.Module
    recipe: Recipe
    classes: tuple[str, ...]
    fit: Fit
    device: torch.device


def load_trained(
    run: str | Path,
    device: str = "auto",
    module: nn.Module | None = None,
    overrides: Sequence[Override] = (),
) -> Trained:
    """The best model of a run (or the one in a checkpoint), with the weights that were tested."""
    path = find_checkpoint(run, BEST)
    saved = read_checkpoint(path)
    recipe = read_recipe(saved["recipe"], overrides)
    target = pick_device(device)
    built = Model.from_plain(saved["model_from"]).build() if module is None else module
    try:
        built.load_state_dict(tested_weights(saved))
    except RuntimeError as error:
        raise TrainError(
            f"{path}: the weights do not belong to this model: "
            f"{str(error).splitlines()[-1].strip()}"
        ) from None
    shape = tuple(saved["fit"]["input_shape"])
    fit = Fit(**{**saved["fit"], "input_shape": shape})
    return Trained(path, built.to(target).eval(), recipe, tuple(saved["classes"]), fit, target)


def evaluate(
    run: str | Path,
    *,
    device: str = "auto",
    module: nn.Module | None = None,
    overrides: Sequence[Override] = (),
) -> Tested:
    """Tests a run's best model on its test split, or on the data that the overrides name."""
    trained = load_trained(run, device, module, overrides)
    recipe = trained.recipe
    # Nothing of the training split is needed but what divides the two.
    outputs = len(trained.classes) or None
    wanted = Wanted(trained.fit.input_shape, outputs, recipe.regression)
    data = load_data(open_source(recipe.data, wanted), recipe, trained.fit.input_shape)
    if data.classes != trained.classes:
        raise TrainError(
            f"the data's classes are not the model's: {', '.join(data.classes[:8])} "
            f"instead of {', '.join(trained.classes[:8])}"
        )
    data.fit = trained.fit
    batches = Batches(data, recipe, trained.device)
    ranks = Ranks(0, 1, trained.device)
    cast = functools.partial(autocast, recipe, trained.device)
    return test_model(trained.module, batches, Objective(recipe), ranks, cast)


@dataclass(frozen=True)
class Prediction:
    source: str
    top: tuple[tuple[str, float], ...]  # class and probability, best first; or output and value
    classes: bool = True

    def __str__(self) -> str:
        form = "{} {:.1%}" if self.classes else "{} {:.5g}" if len(self.top) > 1 else "{1:.5g}"
        return f"{self.source}: " + ", ".join(form.format(*pair) for pair in self.top)


def predict(
    run: str | Path,
    inputs: Iterable[str | Path],
    *,
    top: int = 5,
    device: str = "auto",
    module: nn.Module | None = None,
) -> list[Prediction]:
    """The classes of images (files or folders of them), or of the rows of a CSV file."""
    trained = load_trained(run, device, module)
    found: list[Prediction] = []
    for group in _grouped(_samples(inputs, trained.fit), 64):
        names, tensors = [name for name, _ in group], torch.stack([x for _, x in group])
        found += _predict(trained, names, tensors, top)
    return found


def predict_pretrained(
    spec: str | Path,
    weights: str | Path,
    inputs: Iterable[str | Path],
    *,
    top: int = 5,
    device: str = "auto",
) -> list[Prediction]:
    """The classes of images by torchvision's weights (or a file) for a spec of theirs, with the
    transforms and class names that torchvision publishes for them."""
    from archdsl.backends import pretrained
    from archdsl.backends.weights import WeightsError
    from archdsl.pipeline import open_spec

    target, opened = pick_device(device), open_spec(spec)
    try:
        loaded = pretrained.load(opened, weights, device=target, new_head=False)
        source = loaded.source or pretrained.pretrained(loaded.program.name, "DEFAULT")
    except WeightsError as error:
        raise TrainError(str(error)) from None
    module, transforms = loaded.module.eval(), source.transforms()
    categories = source.categories()
    out = []
    with torch.inference_mode():
        for file in _images(inputs):
            try:
                image = to_channels(read_image(file, fast=False), 3)
            except BadSample as error:
                raise TrainError(str(error)) from None
            scores = module(transforms(image).unsqueeze(0).to(target))[0].softmax(0)
            best = scores.topk(min(top, len(scores)))
            pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
            out.append(Prediction(str(file), tuple((categories[i], p) for i, p in pairs)))
    return out


@torch.inference_mode()
def _predict(trained: Trained, names: list[str], x: Tensor, top: int) -> list[Prediction]:
    objective = Objective(trained.recipe)
    x = normalised(x, trained.fit).to(trained.device)
    output = trained.module(x)
    main = (output if isinstance(output, Tensor) else output[0]).float().cpu()
    if not trained.classes:
        return [
            Prediction(
                name,
                tuple((f"output{i}", float(one)) for i, one in enumerate(row.flatten())),
                classes=False,
            )
            for name, row in zip(names, main, strict=True)
        ]
    out = []
    for name, row in zip(names, objective.probabilities(main), strict=True):
        best = row.topk(min(top, len(row)))
        pairs = [
            (trained.classes[i], p)
            for p, i in zip(best.values.tolist(), best.indices.tolist(), strict=True)
        ]
        out.append(Prediction(name, tuple(pairs)))
    return out


def normalised(x: Tensor, fit: Fit) -> Tensor:
    from archdsl.train.augment import Batch
    from archdsl.train.recipe import Augment

    return Batch(Augment(), fit.mean, fit.std, torch.device("cpu"), 0).plain(x)


def _samples(inputs: Iterable[str | Path], fit: Fit) -> Iterable[tuple[str, Tensor]]:
    if not fit.image:
        for one in inputs:
            yield from _rows(_existing(one), fit)
        return
    for file in _images(inputs):
        try:
            yield str(file), fit(read_image(file, fast=False))
        except BadSample as error:
            raise TrainError(str(error)) from None


def _images(inputs: Iterable[str | Path]) -> Iterable[Path]:
    """Files as they are, and the images in folders."""
    for one in inputs:
        path = _existing(one)
        if path.is_file():
            yield path
            continue
        files = sorted(p for p in path.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
        if not files:
            raise TrainError(f"{path}: holds no images")
        yield from files


def _existing(one: str | Path) -> Path:
    path = Path(one).expanduser()
    if not path.exists():
        raise TrainError(f"{path}: no such file or folder")
    return path


def _rows(path: Path, fit: Fit) -> Iterable[tuple[str, Tensor]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError) as error:
        raise TrainError(f"{path}: cannot be read: {error}") from None
    for number, row in enumerate(rows, 1):
        try:
            yield f"{path}:{number}", fit(torch.tensor([float(cell) for cell in row]))
        except ValueError:
            if number > 1:  # the first line may name the columns
                raise TrainError(f"{path}:{number}: a cell is not a number") from None
        except BadSample as error:
            raise TrainError(f"{path}:{number}: {error}") from None


def _grouped(items: Iterable[tuple[str, Tensor]], size: int) -> Iterable[list[tuple[str, Tensor]]]:
    group: list[tuple[str, Tensor]] = []
    for item in items:
        group.append(item)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
