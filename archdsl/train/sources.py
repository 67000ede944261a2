"""Datasets by name: what a recipe's `data.name` stands for.

In: the recipe's `data`, and what the spec wants (`fake` makes that up, and a regression reads its
targets as numbers). Out: a `Source`: samples for training and, where the dataset has its own, for
testing; class names; published mean and deviation.
"""

from __future__ import annotations

import contextlib
import csv
import importlib
import importlib.util
import math
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from archdsl.train.errors import TrainError
from archdsl.train.folder import open_folder
from archdsl.train.formula import open_formula
from archdsl.train.images import BadSample, as_sample
from archdsl.train.recipe import Data
from archdsl.train.samples import Samples, Tensors, Wrapped

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True)
class Wanted:
    """What the spec takes and gives, as far as it is known."""

    input_shape: tuple[int, ...] | None
    outputs: int | None
    regression: bool


@dataclass(frozen=True)
class Source:
    train: Samples
    test: Samples | None
    classes: tuple[str, ...] = ()  # none: regression
    channels: int | None = None  # none: not images
    mean_std: tuple[tuple[float, ...], tuple[float, ...]] | None = None

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
    if kind == "folder" and rest:
        train, test, classes = open_folder(Path(rest).expanduser())
        source = Source(train, test, classes, 3, IMAGENET)
    elif kind == "csv" and rest:
        source = _csv(Path(rest).expanduser(), data, wanted)
    elif kind == "formula" and rest:
        source = _formula(rest, data, wanted)
    elif rest and kind not in NAMED:
        source = _attribute(kind, rest, wanted)
    elif kind == "fake":
        source = _fake(data, wanted)
    elif data.name in NAMED:
        source = NAMED[data.name](Path(data.dir).expanduser() if data.dir else default_dir())
    else:
        raise TrainError(
            f"there is no dataset {data.name!r}",
            f"known: {', '.join(NAMED)}, fake, folder:PATH, csv:PATH, formula:EXPRESSION, "
            "module:attribute",
        )
    return _only(source, tuple(data.classes)) if data.classes else source


def default_dir() -> Path:
    """Where datasets are kept when nobody says: $ARCHDSL_DATA, or the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("ARCHDSL_DATA") or f"{cache}/archdsl/data").expanduser()


def _only(source: Source, classes: tuple[str, ...]) -> Source:
    unknown = [name for name in classes if name not in source.classes]
    if unknown:
        raise TrainError(
            f"data.classes: there is no class {unknown[0]!r}",
            f"the dataset has {', '.join(source.classes) or 'no classes'}",
        )
    numbers = torch.full((len(source.classes),), -1)
    for new, name in enumerate(classes):
        numbers[source.classes.index(name)] = new

    def pick(samples: Samples) -> Samples:
        chosen = samples.subset((numbers[samples.y] >= 0).nonzero().flatten())
        chosen.y = numbers[chosen.y]
        return chosen

    test = pick(source.test) if source.test else None
    return replace(source, train=pick(source.train), test=test, classes=classes)


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
                    f"{name} is not in {root}, and downloading it failed: {reason}",
                    f"download it where there is internet ({where}) and put it into "
                    f"{root}/{SUBFOLDER[name]}, or name the folder that holds "
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
                f"unpack its 101_ObjectCategories into {root}/caltech101, or name "
                "another folder with --data-dir",
            ) from None
    train, _, classes = open_folder(folder)
    every = Source(train, None, classes, 3, IMAGENET)
    return _only(every, tuple(name for name in classes if name != "BACKGROUND_Google"))


def _imagenet(root: Path) -> Source:
    folder = root if (root / "train").is_dir() else root / "imagenet"
    if not (folder / "train").is_dir() or not (folder / "val").is_dir():
        raise TrainError(
            f"ImageNet is not in {folder}: it needs the folders train and val",
            "ImageNet is given out after registration at https://image-net.org; unpack "
            "its archives to train/<class>/*.JPEG and val/<class>/*.JPEG and name the "
            "folder with --data-dir",
        )
    train, test, classes = open_folder(folder)
    return Source(train, test, classes, 3, IMAGENET)


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
        target = x.float().flatten(1).mean(1, keepdim=True).expand(-1, outputs)
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
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [
                (n, row) for n, row in enumerate(csv.reader(file), 1) if any(map(str.strip, row))
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise TrainError(f"{path}: cannot be read: {reason}") from None
    if not rows:
        raise TrainError(f"{path}: holds no rows")
    names = [cell.strip() for cell in rows[0][1]]
    if any(_number(name) is None for name in names[:-1] or names):
        rows = rows[1:]
    else:
        names = [str(n + 1) for n in range(len(names))]
    if data.target is not None and data.target not in names:
        raise TrainError(
            f"data.target: {path} has no column {data.target!r}",
            f"its columns are {', '.join(names)}",
        )
    target = names.index(data.target) if data.target is not None else len(names) - 1
    x: list[list[float]] = []
    y: list[str] = []
    for line, row in rows:
        if len(row) != len(names):
            raise TrainError(f"{path}:{line}: {len(row)} columns, not {len(names)}")
        y.append(row[target].strip())
        x.append([_cell(path, line, names[n], cell) for n, cell in enumerate(row) if n != target])
    features = torch.tensor(x, dtype=torch.float32)
    if wanted.regression:
        values = [_cell(path, rows[n][0], names[target], one) for n, one in enumerate(y)]
        return Source(Tensors(features, torch.tensor(values)[:, None]), None)
    classes = tuple(sorted(set(y), key=lambda one: (_number(one) is None, _number(one) or 0, one)))
    labels = torch.tensor([classes.index(one) for one in y])
    return Source(Tensors(features, labels), None, classes)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _cell(path: Path, line: int, column: str, text: str) -> float:
    value = _number(text)
    if value is None or not math.isfinite(value):
        raise TrainError(f"{path}:{line}: column {column}: {text.strip()!r} is not a number")
    return value


def _attribute(module: str, name: str, wanted: Wanted) -> Source:
    """A user's Dataset, a (train, test) pair of them, or a function `(train: bool) -> Dataset`."""
    found = _import(module, name)
    if isinstance(found, type) or (callable(found) and not hasattr(found, "__getitem__")):
        made = found(train=True) if _takes_train(found) else found()
        pair = (made, found(train=False)) if _takes_train(found) else made
    else:
        pair = found
    train, test = pair if isinstance(pair, tuple) and len(pair) == 2 else (pair, None)
    if not len(train):
        raise TrainError(f"{module}:{name}: the dataset is empty")
    first = as_sample(train[0][0])
    if wanted.regression:
        classes: tuple[str, ...] = ()
    else:
        top = max(int(_targets(one, False).max()) for one in (train, test) if one is not None)
        classes = tuple(map(str, getattr(train, "classes", range(top + 1))))
    split = [
        Wrapped(one, _targets(one, wanted.regression)) if one is not None else None
        for one in (train, test)
    ]
    assert split[0] is not None
    image = first.dtype == torch.uint8
    return Source(split[0], split[1], classes, first.shape[0] if image else None)


def _import(module: str, name: str) -> Any:
    try:
        if module.endswith(".py"):
            spec = importlib.util.spec_from_file_location(Path(module).stem, module)
            assert spec is not None and spec.loader is not None
            loaded = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = loaded  # worker processes must find its classes
            spec.loader.exec_module(loaded)
        else:
            if os.getcwd() not in sys.path:
                sys.path.insert(0, os.getcwd())
            loaded = importlib.import_module(module)
        return getattr(loaded, name)
    except (ImportError, FileNotFoundError, AttributeError) as error:
        raise TrainError(
            f"data {module}:{name}: {error}",
            "give module:attribute or file.py:attribute; the attribute is a Dataset, a "
            "(train, test) pair, or a function of `train`",
        ) from None


def _takes_train(function: Any) -> bool:
    import inspect

    return "train" in inspect.signature(function).parameters


def _targets(dataset: Any, regression: bool) -> Tensor:
    known = getattr(dataset, "targets", None)
    values = known if known is not None else [dataset[n][1] for n in range(len(dataset))]
    if not isinstance(values, Tensor):
        values = torch.stack([torch.as_tensor(one) for one in values])
    if not regression:
        return values.long()
    values = values.float()
    return values[:, None] if values.ndim == 1 else values
