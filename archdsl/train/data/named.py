"""Datasets with a name: those of scikit-learn, and torchvision's, which are downloaded once."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from archdsl.train.data.folder import open_images
from archdsl.train.data.samples import Tensors
from archdsl.train.data.sources import Source, Wanted, only
from archdsl.train.errors import TrainError, shown
from archdsl.train.recipe.schema import Data


def opened(_: str, data: Data, wanted: Wanted) -> Source:
    return OPENERS[data.name](Path(data.dir).expanduser() if data.dir else default_dir())


def default_dir() -> Path:
    """Where datasets are kept when nobody says: $ARCHDSL_DATA, or the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("ARCHDSL_DATA") or f"{cache}/archdsl/data").expanduser()


def digits(_: Path) -> Source:
    """scikit-learn's 1797 handwritten digits of 8x8 pixels: needs no download."""
    from sklearn.datasets import load_digits

    found = load_digits()
    pixels = torch.from_numpy(found.images).mul(255 / 16).round().to(torch.uint8)[:, None]
    labels = torch.from_numpy(found.target).long()
    return Source(Tensors(pixels, labels), None, tuple("0123456789"), 1)


def iris(_: Path) -> Source:
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


def caltech(root: Path) -> Source:
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
    every = open_images(folder)
    return only(every, tuple(name for name in every.classes if name != "BACKGROUND_Google"))


def imagenet(root: Path) -> Source:
    folder = root if (root / "train").is_dir() else root / "imagenet"
    if not (folder / "train").is_dir() or not (folder / "val").is_dir():
        raise TrainError(
            f"ImageNet is not in {folder}: it needs the folders train and val",
            "ImageNet is given out after registration at https://image-net.org; unpack "
            "its archives to train/<class>/*.JPEG and val/<class>/*.JPEG and name the "
            "folder with --data-dir",
        )
    return open_images(folder)


OPENERS: dict[str, Callable[[Path], Source]] = {
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
    "caltech101": caltech,
    "imagenet": imagenet,
    "digits": digits,
    "iris": iris,
}
