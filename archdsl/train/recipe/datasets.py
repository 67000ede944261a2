"""The data that a recipe may name, and the file that opens each; torch is not needed to know them.

A kind of data is a file of `archdsl/train/data` with a function `opened(rest, data, wanted)`, and a
row here.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

#: by their whole name; the function is called like the dataset
NAMED = {
    "digits": "named",
    "iris": "named",
    "mnist": "named",
    "fashion-mnist": "named",
    "cifar10": "named",
    "cifar100": "named",
    "caltech101": "named",
    "imagenet": "named",
}
#: by what stands before the colon: how it is written, and the file
KINDS = {
    "fake": ("fake", "fake"),
    "folder": ("folder:PATH", "folder"),
    "csv": ("csv:PATH", "tables"),
    "formula": ("formula:EXPRESSION", "formula"),
}
CODE = "module:attribute"


def known() -> list[str]:
    """Each as it is written."""
    return [*NAMED, *(written for written, _ in KINDS.values()), CODE]


def is_code(name: str) -> bool:
    """Whether opening the data of that name runs code of the user's."""
    kind, _, rest = name.partition(":")
    return bool(rest) and kind not in KINDS and kind not in NAMED


def opener(name: str) -> Callable[..., Any] | None:
    """What opens the data of that name; None where nothing does."""
    kind, _, rest = name.partition(":")
    if kind in KINDS and (rest or kind == "fake"):
        return _opened(KINDS[kind][1])
    if is_code(name):
        return _opened("own")
    return _opened(NAMED[name]) if name in NAMED else None


def _opened(file: str) -> Callable[..., Any]:
    function: Callable[..., Any] = import_module(f"archdsl.train.data.{file}").opened
    return function
