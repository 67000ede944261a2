"""`folder:PATH`: a folder of images for each class.

PATH holds `train` and `test` (or `val`, `valid`, `validation`), or the class folders themselves.
The class list is the training split's, for every split: a split's own alphabetical order would
give another number to the same class as soon as a folder is missing.
"""

from __future__ import annotations

import os
from pathlib import Path

import torch

from archdsl.train.errors import TrainError
from archdsl.train.images import IMAGE_SUFFIXES
from archdsl.train.samples import Files

TEST_NAMES = ("test", "val", "valid", "validation")


def open_folder(root: Path) -> tuple[Files, Files | None, tuple[str, ...]]:
    """Training files, test files where the folder has such a split, and the classes."""
    if not root.is_dir():
        raise TrainError(
            f"{root}: no such folder",
            "folder:PATH takes a folder with one folder "
            "of images per class, or with train and test folders of that form",
        )
    top = _folders(root)
    if "train" not in top:
        return _split(root, tuple(top)), None, tuple(top)
    classes = tuple(_folders(root / "train"))
    train = _split(root / "train", classes)
    found = next((name for name in TEST_NAMES if name in top), None)
    if found is None:
        return train, None, classes
    unknown = [name for name in _folders(root / found) if name not in classes]
    if unknown:
        raise TrainError(
            f"{root / found}: class {unknown[0]!r} is not in {root / 'train'}",
            f"the classes for training are {_some(classes)}",
        )
    return train, _split(root / found, classes, may_miss=True), classes


def _folders(root: Path) -> list[str]:
    """The class folders, without .ipynb_checkpoints and its like."""
    try:
        return sorted(e.name for e in os.scandir(root) if e.is_dir() and not e.name.startswith("."))
    except OSError as error:
        raise TrainError(f"{root}: cannot be read: {error.strerror}") from None


def _split(root: Path, classes: tuple[str, ...], may_miss: bool = False) -> Files:
    if not classes:
        raise TrainError(
            f"{root}: holds no class folders",
            "put the images of each class into a folder of its own, named by the class",
        )
    paths: list[str] = []
    labels: list[int] = []
    for number, name in enumerate(classes):
        files = _images(root / name) if (root / name).is_dir() else []
        if not files and not may_miss:
            raise TrainError(
                f"{root / name}: class {name!r} has no images",
                "remove the folder or add images (" + ", ".join(IMAGE_SUFFIXES) + ")",
            )
        paths += [f"{name}/{file}" for file in files]
        labels += [number] * len(files)
    if not paths:
        raise TrainError(f"{root}: holds no images")
    return Files(root, paths, torch.tensor(labels))


def _images(folder: Path) -> list[str]:
    def fail(error: OSError) -> None:
        raise TrainError(f"{error.filename}: cannot be read: {error.strerror}")

    found: list[str] = []
    for at, folders, files in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        inner = os.path.relpath(at, folder)
        prefix = "" if inner == "." else f"{inner}/"
        found += [
            prefix + name
            for name in files
            if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")
        ]
    return sorted(found)


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
