"""Using a model: `predict` for a run or a checkpoint, `predict_pretrained` for a spec.

An input that cannot be read is a `Prediction` with a problem in place of an answer, so that the
others still get theirs.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from archdsl.diagnostics.terminal import escaped
from archdsl.train.data.augment import Batch
from archdsl.train.data.fit import Fit, to_channels, to_size
from archdsl.train.data.images import IMAGE_SUFFIXES, BadSample, read_image
from archdsl.train.data.tables import Table, open_table
from archdsl.train.engine.distributed import pick_device
from archdsl.train.errors import TrainError, shown
from archdsl.train.evaluation import Trained, load_trained
from archdsl.train.recipe.schema import Augment

GROUP = 64  # samples that go through the model together


@dataclass(frozen=True)
class Prediction:
    """`top`: names and numbers, which are `shares` of 1, the largest first, or values of outputs.
    Empty where `problem` says why there is none."""

    source: str
    top: tuple[tuple[str, float], ...]
    shares: bool = True
    problem: str = ""

    def __str__(self) -> str:
        if self.problem:
            return escaped(self.problem)
        form = "{} {:.1%}" if self.shares else "{} {:.5g}" if len(self.top) > 1 else "{1:.5g}"
        answers = (form.format(escaped(name), value) for name, value in self.top)
        return f"{escaped(self.source)}: " + ", ".join(answers)


Item = tuple[str, Tensor | str]  # a name, and the sample or why there is none


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
    for group in _grouped(_samples(list(inputs), trained.fit)):
        good = [(name, x) for name, x in group if isinstance(x, Tensor)]
        answers = iter(_predict(trained, good, top) if good else [])
        found += [
            Prediction(name, (), problem=x) if isinstance(x, str) else next(answers)
            for name, x in group
        ]
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
    from archdsl.pipeline import open_spec
    from archdsl.runtime import pretrained
    from archdsl.runtime.errors import WeightsError

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
        for file in _images(list(inputs)):
            try:
                image = to_channels(read_image(file, fast=False), 3)
            except BadSample as error:
                out.append(Prediction(str(file), (), problem=str(error)))
                continue
            scores = module(transforms(image).unsqueeze(0).to(target))[0].softmax(0)
            best = scores.topk(min(top, len(scores)))
            pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
            out.append(Prediction(str(file), tuple((categories[i], p) for i, p in pairs)))
    return out


@torch.inference_mode()
def _predict(trained: Trained, items: list[tuple[str, Tensor]], top: int) -> list[Prediction]:
    x = normalised(torch.stack([x for _, x in items]), trained.fit).to(trained.device)
    output = trained.module(x)
    main = (output if isinstance(output, Tensor) else output[0]).float().cpu()
    answers = trained.task.answers(main, top)
    return [
        Prediction(name, found, shares=trained.task.shares)
        for (name, _), found in zip(items, answers, strict=True)
    ]


def normalised(x: Tensor, fit: Fit) -> Tensor:
    return Batch(Augment(), fit.mean, fit.std, torch.device("cpu"), 0).plain(x)


def _samples(inputs: list[str | Path], fit: Fit) -> Iterator[Item]:
    shape = fit.input_shape
    if not fit.image and not (fit.floats and len(shape) == 3 and shape[0] in (1, 3)):
        for one in inputs:
            yield from _rows(_existing(one), fit)
        return
    if not fit.image and fit.floats and not (fit.floats[0] >= 0 and 0.5 < fit.floats[1] <= 1):
        raise TrainError(
            f"the model was trained on floats from {fit.floats[0]:.3g} to {fit.floats[1]:.3g} that "
            "the dataset's own code made; an image file's pixels cannot be turned into these",
            "let the Dataset give pixels as uint8, or floats from 0 to 1 that "
            "--set data.mean=... normalises; or call the model on its samples in Python",
        )
    for file in _images(inputs):
        try:
            yield str(file), _fitted(read_image(file, fast=False), fit)
        except BadSample as error:
            yield str(file), str(error)


def _fitted(image: Tensor, fit: Fit) -> Tensor:
    if fit.image:
        return fit(image)
    channels, height, width = fit.input_shape
    return to_size(to_channels(image, channels), (height, width), fit.resize).float() / 255


def _images(inputs: list[str | Path]) -> Iterator[Path]:
    """Files as they are, and the images in folders."""
    for path in map(_existing, inputs):
        if not path.is_dir():
            yield path
            continue
        files = sorted(
            Path(at) / name
            for at, _, names in os.walk(path)
            for name in names
            if name.lower().endswith(IMAGE_SUFFIXES)
        )
        if not files:
            raise TrainError(f"{shown(path)}: holds no images")
        yield from files


def _existing(one: str | Path) -> Path:
    path = Path(one).expanduser()
    if not path.exists():
        raise TrainError(f"{shown(path)}: no such file or folder")
    return path


def _rows(path: Path, fit: Fit) -> Iterator[Item]:
    if path.suffix.lower() in IMAGE_SUFFIXES:
        raise TrainError(
            f"{shown(path)}: the model takes rows of numbers, not images", "give a CSV file"
        )
    table = open_table(path, fit.target)
    at = _columns(table, fit)
    for line, row in table.rows():
        name = f"{path}:{line}"
        try:
            values = [table.number(line, n, row[n]) for n in at]
            yield name, fit(torch.tensor(values))
        except TrainError as error:
            yield name, error.message
        except BadSample as error:
            yield name, f"{name}: {error}"


def _columns(table: Table, fit: Fit) -> list[int]:
    """Which columns the model takes, in its order: by name where both have names."""
    wanted, given = fit.columns, list(table.names)
    if wanted is not None and table.named:
        missing = [name for name in wanted if name not in given]
        if missing:
            raise TrainError(
                f"{shown(table.path)}: has no column {missing[0]!r}",
                f"the model takes {shown(*wanted)}; the file has {shown(*given)}",
            )
        return [given.index(name) for name in wanted]
    count = len(wanted) if wanted is not None else fit.input_shape[0]
    at = list(range(len(given)))
    number = fit.target is not None and wanted is None and fit.target.isdecimal()
    if len(given) == count + 1 and number and int(fit.target or 0) <= len(given):
        at.pop(int(fit.target or 0) - 1)  # a table such as it was trained on, without a header too
    if len(at) != count and len(fit.input_shape) == 1:
        names = f": {shown(*wanted)}" if wanted is not None else ""
        raise TrainError(
            f"{shown(table.path)}: {len(at)} columns; the model takes {count}{names}",
            "give a header that names the columns, or the model's columns alone, in its order",
        )
    return at


def _grouped(items: Iterable[Item]) -> Iterator[list[Item]]:
    group: list[Item] = []
    for item in items:
        group.append(item)
        if len(group) == GROUP:
            yield group
            group = []
    if group:
        yield group
