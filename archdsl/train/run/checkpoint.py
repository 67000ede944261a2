"""Checkpoints: written whole or not at all, read without running anything in them.

A file holds tensors and plain values only: the spec's text, the resolved recipe, classes, the
model, optimizer, scaler and average, the step, the sums of the epoch under way, and the table so
far. It holds no generator state: see `sampling.py`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from archdsl.diagnostics.terminal import typed
from archdsl.files import is_special
from archdsl.train.engine.trainer import Trainer
from archdsl.train.errors import TrainError, shown
from archdsl.train.tasks.task import SavedTask

FORMAT = 1
LAST, PREVIOUS, BEST = "last.pt", "last.prev.pt", "best.pt"
FOLDS = "folds.json"  # in the folder of a cross-validation, around those of its runs


def save_checkpoint(state: Mapping[str, Any], folder: Path, best: bool) -> None:
    """Writes last.pt, keeping the one before it; `best` makes it best.pt as well."""
    last = folder / LAST
    whole = {"format": FORMAT, **state}
    _replace(last, lambda at: _save(whole, at), folder / PREVIOUS)
    if best:
        # A link costs nothing and cannot change later: last.pt is replaced, never rewritten.
        lost = is_special(last)  # a device does not give back what was written to it
        _replace(folder / BEST, lambda at: _save(whole, at) if lost else _link(last, at))


def _save(state: dict[str, Any], path: Path) -> None:
    with path.open("wb") as file:  # not by its path: then the system's own error is lost
        torch.save(state, file)


def save_weights(weights: Mapping[str, Tensor], path: Path) -> None:
    """The weights alone, as safetensors."""
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights.items()}
    # Not save_file: it makes a file that nobody else may read.
    _replace(path, lambda at: at.write_bytes(save(plain)))


def _replace(path: Path, write: Any, keep: Path | None = None) -> None:
    """Writes beside, flushes to the disk, and takes the file's place in one move. Links are
    followed; into a device or a pipe the file is written."""
    path = Path(os.path.realpath(path))
    new = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        if is_special(path):
            write(path)
            return
        write(new)
        with open(new, "rb+") as file:
            os.fsync(file.fileno())
        if keep is not None and path.exists():
            _link(path, Path(os.path.realpath(keep)))
        os.replace(new, path)
        _sync_folder(path.parent)
    except (OSError, RuntimeError) as error:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        system = error if isinstance(error, OSError) else error.__context__  # torch hides it
        reason = system.strerror if isinstance(system, OSError) else str(error).splitlines()[0]
        raise TrainError(
            f"{shown(path)}: the checkpoint cannot be written: {reason}", good_help(path.parent)
        ) from None


def _link(path: Path, to: Path) -> None:
    path = Path(os.path.realpath(path))  # a link's file, not the link
    if is_special(to):
        shutil.copyfileobj(path.open("rb"), to.open("wb"))
        return
    to.unlink(missing_ok=True)
    try:
        os.link(path, to)
    except OSError:  # a file system without links
        shutil.copyfile(path, to)


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not every system lets a folder be opened
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def find_checkpoint(run: str | Path, prefer: str = LAST) -> Path:
    """The file meant by a run folder or a checkpoint's own path."""
    path = Path(run).expanduser()
    if path.is_file():
        return path
    if not path.is_dir():
        raise TrainError(f"{shown(path)}: no such run folder or checkpoint")
    for name in dict.fromkeys([prefer, LAST, BEST, PREVIOUS]):
        if (path / name).is_file():
            return path / name
    if (path / FOLDS).is_file():
        raise TrainError(
            f"{shown(path)}: holds a run for each fold", f"name one: {typed(path / 'fold-1')}"
        )
    raise TrainError(f"{shown(path)}: holds no checkpoint ({LAST} or {BEST})")


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint's contents, on the CPU; one that cannot be read names one that can."""
    try:
        found = _read(path)
    except TrainError as error:
        raise TrainError(error.message, good_help(path.parent, path)) from None
    if "format" not in found or "recipe" not in found:
        raise TrainError(
            f"{shown(path)}: not a checkpoint of archdsl train",
            "weights alone are loaded with --weights",
        )
    if isinstance(found["format"], int) and found["format"] > FORMAT:
        raise TrainError(
            f"{shown(path)}: written by a newer archdsl ({found.get('archdsl')})", "update archdsl"
        )
    try:
        _Saved.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise TrainError(
            f"{shown(path)}: a damaged checkpoint: `{where}`: {first['msg']}",
            good_help(path.parent, path),
        ) from None
    data = found["recipe"].get("data")
    if isinstance(data, dict):  # of a run from before parts were held out by class
        data.setdefault("stratify", False)
    return found


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, arbitrary_types_allowed=True)


class _Spec(_Part):
    files: dict[str, str]
    root: str
    model: str | None
    origin: str | None


class _ModelFrom(_Part):
    name: str
    params: dict[str, Any]
    spec: _Spec | None
    input: Annotated[list[int], Field(min_length=1)] | None


class _Fit(_Part):
    input_shape: Annotated[list[int], Field(min_length=1)]
    image: bool
    resize: int | None
    mean: list[float] | None
    std: list[float] | None


class _Saved(_Part, SavedTask):
    """What a checkpoint holds (`Trainer.state`)."""

    format: int
    model_from: _ModelFrom
    recipe: dict[str, Any]
    samples: list[int]
    fit: _Fit
    model: dict[str, Tensor]
    optimizer: dict[str, Any]
    scaler: dict[str, Any]
    ema: dict[str, Tensor] | None
    step: Annotated[int, Field(ge=0)]
    epoch: Annotated[int, Field(ge=0)]
    sums: list[list[float]]
    epoch_seconds: float
    history: list[dict[str, float | None]]


def read_weights(path: Path) -> dict[str, Tensor]:
    """The weights in a .safetensors file, a checkpoint (the tested ones), or a state_dict."""
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return dict(load_file(path))
        except (OSError, SafetensorError) as error:
            raise TrainError(f"{shown(path)}: cannot be read: {error}") from None
    found = _read(path)
    return tested_weights(found) if "format" in found else found


def tested_weights(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights that were tested: the average's, where there is one."""
    if state.get("ema") is None:
        return dict(state["model"])
    return {
        name.removeprefix("module."): tensor
        for name, tensor in state["ema"].items()
        if name.startswith("module.")
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        path.open("rb").close()
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        raise TrainError(f"{shown(path)}: cannot be read: {error.strerror or error}") from None
    except Exception as error:  # pickle, zip and torch each have their own for a broken file
        text = str(error).strip()
        unsafe = "weights_only" in text.lower() and "unsupported" in text.lower()
        reason = "holds more than tensors and plain values" if unsafe else "truncated or damaged"
        raise TrainError(f"{shown(path)}: not a whole checkpoint ({reason})") from None
    if not isinstance(found, dict):
        raise TrainError(f"{shown(path)}: not a checkpoint")
    return found


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


def good_help(folder: Path, bad: Path | None = None) -> str:
    """Which checkpoint of the folder can be read, and how far it is."""
    for name in (LAST, PREVIOUS, BEST):
        path = folder / name
        if path == bad or not path.is_file():
            continue
        try:
            found = _read(path)
            good = f"{shown(path)} is good (step {found['step']})"
            return f"{good}; go on from it with --resume {typed(path)}"
        except (TrainError, KeyError):
            continue
    return "there is no earlier checkpoint"
