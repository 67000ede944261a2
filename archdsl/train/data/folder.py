"""`folder:PATH`: a folder of images for each class.

PATH holds `train` and `test` (or `val`, `valid`, `validation`), or the class folders themselves.
With both val and test, val selects the best model and test is used once, at the end.
The class list is the training split's, for every split: a split's own alphabetical order would
give another number to the same class as soon as a folder is missing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from archdsl.train.data.images import IMAGE_SUFFIXES
from archdsl.train.data.samples import Files
from archdsl.train.data.sources import Source, Wanted
from archdsl.train.errors import TrainError, shown
from archdsl.train.recipe.schema import Data

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
VAL_NAMES = ("val", "valid", "validation")


@dataclass(frozen=True)
class Folder:
    """`test` selects the best model; `final` is there where the folder has both val and test."""

    train: Files
    test: Files | None
    classes: tuple[str, ...]
    final: Files | None = None
    names: tuple[str, str] = ("", "")  # of test and final


def opened(name: str, _: Data, wanted: Wanted) -> Source:
    return open_images(Path(name).expanduser(), wanted.classes)


def open_images(root: Path, known: tuple[str, ...] = ()) -> Source:
    found = open_folder(root, known)
    return Source(
        found.train, found.test, found.classes, 3, IMAGENET, final=found.final, split=found.names
    )


def open_folder(root: Path, known: tuple[str, ...] = ()) -> Folder:
    """The splits that the folder has, and the classes. With `known` classes, those of a trained
    model, some of them may have no images here."""
    if not root.is_dir():
        raise TrainError(
            f"{shown(root)}: no such folder",
            "folder:PATH takes a folder with one folder "
            "of images per class, or with train and test folders of that form",
        )
    top = _folders(root)
    if "train" not in top:
        return Folder(_split(root, tuple(top), may_miss=bool(known)), None, tuple(top))
    classes = tuple(_folders(root / "train"))
    train = _split(root / "train", classes)
    val = next((name for name in VAL_NAMES if name in top), "")
    test = "test" if "test" in top else ""
    first, final = (val, test) if val else (test, "")
    return Folder(
        train,
        _as_trained(root, first, classes) if first else None,
        classes,
        _as_trained(root, final, classes) if final else None,
        (first, final),
    )


def _as_trained(root: Path, name: str, classes: tuple[str, ...]) -> Files:
    unknown = [one for one in _folders(root / name) if one not in classes]
    if unknown:
        raise TrainError(
            f"{shown(root / name)}: class {unknown[0]!r} is not in {shown(root / 'train')}",
            f"the classes for training are {_some(classes)}",
        )
    return _split(root / name, classes, may_miss=True)


def _folders(root: Path) -> list[str]:
    """The class folders, without .ipynb_checkpoints and its like."""
    try:
        return sorted(e.name for e in os.scandir(root) if e.is_dir() and not e.name.startswith("."))
    except OSError as error:
        raise TrainError(f"{shown(root)}: cannot be read: {error.strerror}") from None


def _split(root: Path, classes: tuple[str, ...], may_miss: bool = False) -> Files:
    if not classes:
        raise TrainError(
            f"{shown(root)}: holds no class folders",
            "put the images of each class into a folder of its own, named by the class",
        )
    paths: list[str] = []
    labels: list[int] = []
    for number, name in enumerate(classes):
        files = _images(root / name) if (root / name).is_dir() else []
        if not files and not may_miss:
            raise TrainError(
                f"{shown(root / name)}: class {name!r} has no images",
                "remove the folder or add images (" + ", ".join(IMAGE_SUFFIXES) + ")",
            )
        paths += [f"{name}/{file}" for file in files]
        labels += [number] * len(files)
    if not paths:
        raise TrainError(f"{shown(root)}: holds no images")
    return Files(root, paths, torch.tensor(labels))


def _images(folder: Path) -> list[str]:
    def fail(error: OSError) -> None:
        raise TrainError(f"{shown(error.filename)}: cannot be read: {error.strerror}")

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
    return shown(*names[:12]) + (", ..." if len(names) > 12 else "")
