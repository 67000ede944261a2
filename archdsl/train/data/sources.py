"""Datasets by name: what a recipe's `data.name` stands for.

In: the recipe's `data`, and what the spec wants (`fake` makes that up, and a regression reads its
targets as numbers). Out: a `Source`: samples for training and, where the dataset has its own, for
testing; class names; published mean and deviation.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from archdsl.train.data.folder import open_folder
from archdsl.train.data.formula import open_formula
from archdsl.train.data.images import BadSample
from archdsl.train.data.own import open_own
from archdsl.train.data.samples import Samples, Tensors
from archdsl.train.data.tables import SEPARATORS, number, open_table
from archdsl.train.errors import TrainError, shown
from archdsl.train.recipe.schema import Data
from archdsl.train.tasks import NUMBERS, task_of
from archdsl.train.tasks.classify import BINARY
from archdsl.train.tasks.task import Task

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True)
class Wanted:
    """What the spec takes and gives, as far as it is known."""

    input_shape: tuple[int, ...] | None
    outputs: int | None
    loss: str
    classes: tuple[str, ...] = ()  # a trained model's, where one is tested
    output_shape: tuple[int, ...] | None = None

    @property
    def regression(self) -> bool:
        """Whether targets are read as numbers."""
        return self.loss in NUMBERS


@dataclass(frozen=True)
class Source:
    train: Samples
    test: Samples | None
    classes: tuple[str, ...] = ()  # none: regression, or several labels a sample
    channels: int | None = None  # none: not images
    mean_std: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    columns: tuple[str, ...] = ()  # of a table, without the target
    target: str | None = None  # a table's target column
    named: bool = False  # whether the table's header names them
    final: Samples | None = None  # tested once, at the end; `test` then selects the best model
    split: tuple[str, str] = ("", "")  # what `test` and `final` are called there

    def task(self, loss: str) -> Task:
        """What a model learns from it under a loss of the recipe."""
        return task_of(self.classes, loss)

    @property
    def shape(self) -> tuple[int, ...]:
        """One sample's own shape."""
        for index in range(min(100, len(self.train.y))):
            try:
                return tuple(self.train.read(index).shape)
            except BadSample:
                continue
        raise TrainError("none of the first 100 samples can be read")


def open_source(data: Data, wanted: Wanted) -> Source:
    """The dataset of that name, with only the classes asked for."""
    kind, _, rest = data.name.partition(":")
    if kind in KINDS and (rest or kind == "fake"):
        source = KINDS[kind][1](rest, data, wanted)
    elif is_code(data.name):
        source = _own(kind, rest, wanted)
    elif data.name in NAMED:
        source = NAMED[data.name](Path(data.dir).expanduser() if data.dir else default_dir())
    else:
        known = [*NAMED, *(written for written, _ in KINDS.values()), "module:attribute"]
        raise TrainError(f"there is no dataset {data.name!r}", f"known: {', '.join(known)}")
    return _only(source, tuple(data.classes)) if data.classes else source


def _folder(root: Path, known: tuple[str, ...] = ()) -> Source:
    found = open_folder(root, known)
    return Source(
        found.train, found.test, found.classes, 3, IMAGENET, final=found.final, split=found.names
    )


def default_dir() -> Path:
    """Where datasets are kept when nobody says: $ARCHDSL_DATA, or the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("ARCHDSL_DATA") or f"{cache}/archdsl/data").expanduser()


def _only(source: Source, classes: tuple[str, ...]) -> Source:
    """The samples of these classes, numbered as they stand here."""
    unknown = [name for name in classes if name not in source.classes]
    if unknown:
        raise TrainError(
            f"data.classes: there is no class {unknown[0]!r}",
            f"the dataset has {shown(*source.classes) or 'no classes'}",
        )
    if source.train.y.ndim > 1:
        raise TrainError("data.classes: each sample has a share of every class")
    return _numbered(source, classes)


def as_trained(source: Source, names: tuple[str, ...]) -> Source:
    """The source with the class numbers of a model that was trained on `names`; some of these may
    be missing in it."""
    if source.classes == names:
        return source
    unknown = [name for name in source.classes if name not in names]
    if unknown or not source.classes or source.train.y.ndim > 1:
        raise TrainError(
            f"the data's classes are not the model's: {shown(*source.classes[:8]) or 'none'} "
            f"instead of {shown(*names[:8]) or 'none'}"
        )
    return _numbered(source, names)


def _numbered(source: Source, classes: tuple[str, ...]) -> Source:
    numbers = torch.tensor([classes.index(n) if n in classes else -1 for n in source.classes])

    def pick(samples: Samples) -> Samples:
        chosen = samples.subset((numbers[samples.y] >= 0).nonzero().flatten())
        chosen.y = numbers[chosen.y]
        return chosen

    test = pick(source.test) if source.test else None
    final = pick(source.final) if source.final else None
    return replace(source, train=pick(source.train), test=test, final=final, classes=classes)


def _digits(_: Path) -> Source:
    """scikit-learn's 1797 handwritten digits of 8x8 pixels: needs no download."""
    from sklearn.datasets import load_digits

    found = load_digits()
    pixels = torch.from_numpy(found.images).mul(255 / 16).round().to(torch.uint8)[:, None]
    labels = torch.from_numpy(found.target).long()
    return Source(Tensors(pixels, labels), None, tuple("0123456789"), 1)


def _iris(_: Path) -> Source:
    from sklearn.datasets import load_iris

    found = load_iris()
    x, y = torch.from_numpy(found.data).float(), torch.from_numpy(found.target).long()
    return Source(Tensors(x, y), None, tuple(str(name) for name in found.target_names))


def _vision(
    name: str, where: str, mean_std: tuple[tuple[float, ...], tuple[float, ...]]
) -> Callable[[Path], Source]:
    def open_it(root: Path) -> Source:
        from torchvision import datasets

        make = getattr(datasets, name)

        def split(train: bool) -> Any:
            with contextlib.suppress(RuntimeError):  # not there, or not whole
                return make(str(root), train=train)
            try:
                with _alone(root):
                    return make(str(root), train=train, download=True)
            except (OSError, RuntimeError) as error:
                reason = str(error).strip().splitlines()[0] if str(error).strip() else "no internet"
                raise TrainError(
                    f"{name} is not in {shown(root)}, and downloading it failed: {reason}",
                    f"download it where there is internet ({where}) and put it into "
                    f"{shown(root)}/{SUBFOLDER[name]}, or name the folder that holds "
                    f"{SUBFOLDER[name]} with --data-dir; `--data digits` needs no "
                    "download",
                ) from None

        def tensors(found: Any) -> Tensors:
            pixels = torch.as_tensor(found.data)
            pixels = (
                pixels[:, None] if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2).contiguous()
            )
            return Tensors(pixels, torch.as_tensor(found.targets).long())

        train, test = split(True), split(False)
        classes = tuple(str(one).split(" - ")[0] for one in train.classes)
        return Source(tensors(train), tensors(test), classes, len(mean_std[0]), mean_std)

    return open_it


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """One process downloads; the others of a run wait, and then find the files there."""
    root.mkdir(parents=True, exist_ok=True)
    with open(root / ".lock", "w") as file:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


SUBFOLDER = {
    "MNIST": "MNIST/raw",
    "FashionMNIST": "FashionMNIST/raw",
    "CIFAR10": "cifar-10-batches-py",
    "CIFAR100": "cifar-100-python",
}


def _caltech(root: Path) -> Source:
    from torchvision.datasets import Caltech101

    folder = root / "caltech101" / "101_ObjectCategories"
    if not folder.is_dir():
        try:
            with _alone(root):
                Caltech101(str(root), download=True)
        except (OSError, RuntimeError) as error:
            raise TrainError(
                f"Caltech-101 is not in {folder}, and downloading it failed: {error}",
                "download caltech-101.zip from https://data.caltech.edu/records/mzrjq-6wc02, "
                f"unpack its 101_ObjectCategories into {shown(root)}/caltech101, or name "
                "another folder with --data-dir",
            ) from None
    every = _folder(folder)
    return _only(every, tuple(name for name in every.classes if name != "BACKGROUND_Google"))


def _imagenet(root: Path) -> Source:
    folder = root if (root / "train").is_dir() else root / "imagenet"
    if not (folder / "train").is_dir() or not (folder / "val").is_dir():
        raise TrainError(
            f"ImageNet is not in {folder}: it needs the folders train and val",
            "ImageNet is given out after registration at https://image-net.org; unpack "
            "its archives to train/<class>/*.JPEG and val/<class>/*.JPEG and name the "
            "folder with --data-dir",
        )
    return _folder(folder)


#: kinds of data by what stands before the colon: how a name is written, and what opens it
KINDS: dict[str, tuple[str, Callable[[str, Data, Wanted], Source]]] = {
    "fake": ("fake", lambda _, data, wanted: _fake(data, wanted)),
    "folder": (
        "folder:PATH",
        lambda path, _, wanted: _folder(Path(path).expanduser(), wanted.classes),
    ),
    "csv": ("csv:PATH", lambda path, data, wanted: _csv(Path(path).expanduser(), data, wanted)),
    "formula": ("formula:EXPRESSION", lambda text, data, wanted: _formula(text, data, wanted)),
}
NAMED: dict[str, Callable[[Path], Source]] = {
    "mnist": _vision(
        "MNIST", "https://ossci-datasets.s3.amazonaws.com/mnist/", ((0.1307,), (0.3081,))
    ),
    "fashion-mnist": _vision(
        "FashionMNIST",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ((0.286,), (0.353,)),
    ),
    "cifar10": _vision(
        "CIFAR10",
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    ),
    "cifar100": _vision(
        "CIFAR100",
        "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    ),
    "caltech101": _caltech,
    "imagenet": _imagenet,
    "digits": _digits,
    "iris": _iris,
}


def _fake(data: Data, wanted: Wanted) -> Source:
    """Random samples of the spec's own shape, a little like their class, so it can be learnt."""
    shape, outputs = wanted.input_shape or (3, 32, 32), wanted.outputs or 10
    pool = max(1, min(data.samples, 2**28 // math.prod(shape)))
    noise = torch.Generator().manual_seed(0)
    image = len(shape) == 3 and shape[0] in (1, 3)
    y = torch.arange(data.samples) % pool % max(2, outputs)
    if image:
        x = torch.randint(0, 256, (pool, *shape), generator=noise, dtype=torch.uint8)
        x[:, :, : max(1, shape[1] // 4)] = (
            (y[:pool] * 255 // max(2, outputs)).to(torch.uint8).view(-1, 1, 1, 1)
        )
    else:
        x = torch.randn(pool, *shape, generator=noise) + y[:pool].view(-1, *[1] * len(shape))
    if wanted.regression:
        given = wanted.output_shape or (outputs,)
        mean = x.float().flatten(1).mean(1)
        target = mean.view(-1, *[1] * len(given)).expand(-1, *given)
        target = target[torch.arange(data.samples) % pool]
        return Source(Tensors(x, target), None, (), shape[0] if image else None)
    classes = tuple(str(number) for number in range(max(2, outputs)))
    return Source(Tensors(x, y), None, classes, shape[0] if image else None)


def _formula(text: str, data: Data, wanted: Wanted) -> Source:
    if not wanted.regression:
        raise TrainError(
            "a formula gives numbers, this loss wants classes", "--set loss=mse compares numbers"
        )
    return Source(Tensors(*open_formula(text, wanted.input_shape or (1,), data.samples)), None)


def _csv(path: Path, data: Data, wanted: Wanted) -> Source:
    """Columns of numbers and one target column; the first line may name them."""
    table = open_table(path, data.target)
    names = table.names
    if data.target is not None and data.target not in names:
        raise TrainError(
            f"data.target: {shown(path)} has no column {data.target!r}",
            f"its columns are {shown(*names)}",
        )
    if len(names) < 2:
        raise TrainError(
            f"{shown(path)}: one column only, {names[0]!r}; a sample needs numbers and a target",
            f"columns are divided by a {', '.join(SEPARATORS.values())}",
        )
    target = names.index(data.target) if data.target is not None else len(names) - 1
    x, y, lines = array("f"), list[str](), array("q")
    for line, row in table.rows():
        y.append(row[target].strip())
        lines.append(line)
        x.extend(table.number(line, n, cell) for n, cell in enumerate(row) if n != target)
    if not y:
        raise TrainError(f"{shown(path)}: holds no rows below its header")
    features = torch.frombuffer(x, dtype=torch.float32).reshape(len(y), len(names) - 1)
    columns = tuple(name for n, name in enumerate(names) if n != target)
    made = partial(Source, columns=columns, target=names[target], named=table.named)
    if wanted.regression or _shares(y, data, wanted, path, names[target]):
        values = [table.number(lines[n], target, one) for n, one in enumerate(y)]
        return made(Tensors(features, torch.tensor(values)[:, None]), None)
    classes = tuple(sorted(set(y), key=lambda one: (number(one) is None, number(one) or 0, one)))
    numbers = {name: n for n, name in enumerate(classes)}
    return made(Tensors(features, torch.tensor([numbers[one] for one in y])), None, classes)


def _shares(y: list[str], data: Data, wanted: Wanted, path: Path, column: str) -> bool:
    """Whether a classification's targets are shares from 0 to 1, which bce takes; other numbers
    that are not whole are no classes."""
    values = [number(one) for one in y]
    odd = next((one for one in values if one is not None and one != round_or_none(one)), None)
    if odd is None or any(one is None for one in values):
        return False
    if wanted.loss in BINARY and all(one is not None and 0 <= one <= 1 for one in values):
        return True
    raise TrainError(
        f"{shown(path)}: column {shown(column)} holds numbers such as {odd:g}; "
        f"{wanted.loss} wants classes",
        "--set loss=mse compares numbers; --set data.target=NAME names another column",
    )


def round_or_none(value: float) -> float | None:
    return round(value) if math.isfinite(value) else None


def _own(module: str, name: str, wanted: Wanted) -> Source:
    train, test, classes, first = open_own(module, name, wanted.loss)
    image = first.dtype == torch.uint8
    return Source(train, test, classes, first.shape[0] if image else None)


def is_code(name: str) -> bool:
    """Whether opening the data of that name runs code of the user's."""
    kind, _, rest = name.partition(":")
    return bool(rest) and kind not in KINDS and kind not in NAMED
