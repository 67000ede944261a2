"""A user's own data: `module:attribute` or `file.py:attribute`.

In: the name. Out: training and test samples and class names. Naming such data runs the user's
code; whatever that code raises, and whatever it gives that cannot be trained on, is one error.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from archdsl.diagnostics.terminal import escaped
from archdsl.train.data.images import BadSample, as_sample
from archdsl.train.data.samples import Wrapped
from archdsl.train.data.sources import Source, Wanted
from archdsl.train.errors import TrainError, is_first
from archdsl.train.recipe.schema import Data
from archdsl.train.tasks import read_targets
from archdsl.train.tasks.task import Targets

HELP = (
    "give module:attribute or file.py:attribute; the attribute is a Dataset of (sample, target) "
    "pairs, a (train, test) pair of Datasets, or a function of `train`"
)


def tell_code(name: str, origin: object) -> None:
    """Says that a recipe (or run) that lies elsewhere has code run: it may be from a stranger."""
    if not isinstance(origin, str | Path) or not is_first():
        return
    path = Path(origin).expanduser()
    if path.is_file() and Path.cwd() not in path.resolve().parents:
        text = f"note: {path}, which is not in this folder, runs code: data {name}"
        print(escaped(text), file=sys.stderr, flush=True)


def opened(name: str, data: Data, wanted: Wanted) -> Source:
    module, loss = data.name.partition(":")[0], wanted.loss
    place = f"data {module}:{name}"
    made = _made(_import(module, name, place), place)
    if isinstance(made, tuple) and len(made) == 2 and all(map(_is_array, made)):
        raise TrainError(
            f"{place}: two arrays, not a Dataset",
            "make one of them: torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))",
        )
    train, test = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    first = _first(train, place)
    if test is not None:
        _first(test, place)
    found = [_targets(one, place) for one in (train, test) if one is not None]
    targets = read_targets(found, loss, place)
    classes = _classes(train, targets, place)
    split = [Wrapped(one, y) for one, y in zip((train, test), targets.values, strict=False)]
    image = first.dtype == torch.uint8
    test = split[1] if len(split) > 1 else None
    return Source(split[0], test, classes, first.shape[0] if image else None)


def _classes(train: Any, targets: Targets, place: str) -> tuple[str, ...]:
    if not targets.classes:
        return ()
    named = getattr(train, "classes", None)
    names = tuple(map(str, named if named is not None else range(targets.classes)))
    if len(names) < targets.classes:
        raise TrainError(
            f"{place}: {len(names)} names in `classes`, but labels up to {targets.classes - 1}",
            "labels count from 0, one name each",
        )
    return names


def _is_array(value: Any) -> bool:
    return isinstance(value, Tensor | np.ndarray)


def _made(found: Any, place: str) -> Any:
    if isinstance(found, type) or (callable(found) and not hasattr(found, "__getitem__")):
        try:
            if "train" in inspect.signature(found).parameters:
                return found(train=True), found(train=False)
            return found()
        except Exception as error:
            raise _raised(place, error) from None
    return found


def _first(dataset: Any, place: str) -> Tensor:
    """A first sample, after making sure that the thing is a Dataset at all."""
    if isinstance(dataset, IterableDataset) or not (
        hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")
    ):
        kind = "None" if dataset is None else f"of type {type(dataset).__name__}"
        raise TrainError(f"{place}: {kind}, which has no len() or cannot be indexed", HELP)
    try:
        count = len(dataset)
        first = dataset[0] if count else None
    except Exception as error:
        raise _raised(place, error) from None
    if not count:
        raise TrainError(f"{place}: the dataset is empty")
    if not isinstance(first, tuple | list) or len(first) != 2:
        kind = "None" if first is None else f"of type {type(first).__name__}"
        if isinstance(first, tuple | list):
            kind = f"{len(first)} values"
        raise TrainError(
            f"{place}: a sample is {kind}, not a (sample, target) pair",
            "return two values from __getitem__: the input as a tensor, and its target",
        )
    try:
        return as_sample(first[0])
    except BadSample as error:
        raise TrainError(f"{place}: {error}") from None


def _targets(dataset: Any, place: str) -> Tensor:
    known = getattr(dataset, "targets", None)
    try:
        values = known if known is not None else [dataset[n][1] for n in range(len(dataset))]
    except Exception as error:
        raise _raised(place, error) from None
    if len(values) != len(dataset):
        raise TrainError(f"{place}: {len(values)} targets for {len(dataset)} samples")
    if isinstance(values, Tensor):
        return values
    try:
        return torch.stack([torch.as_tensor(np.asarray(one)) for one in values])
    except (TypeError, ValueError, RuntimeError) as error:
        odd = next((one for one in values if isinstance(one, str | bytes | dict | None)), None)
        if "equal size" in str(error):
            text, help = "targets of different shapes", "give all of them one shape"
        elif isinstance(odd, str):
            text, help = (
                f"the target {odd!r} is text",
                "give the class's number, and the names as the Dataset's attribute `classes`",
            )
        else:
            kind = type(odd if odd is not None else values[0]).__name__
            text, help = f"a target of type {kind}", "give a class number, or a tensor of numbers"
        raise TrainError(f"{place}: {text}", help) from None


def _import(module: str, name: str, place: str) -> Any:
    try:
        if module.endswith(".py"):
            if not Path(module).is_file():
                raise TrainError(f"{place}: there is no file {module}", HELP)
            spec = importlib.util.spec_from_file_location(Path(module).stem, module)
            assert spec is not None and spec.loader is not None
            loaded = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = loaded  # worker processes must find its classes
            spec.loader.exec_module(loaded)
        else:
            if not all(part.isidentifier() for part in module.split(".")):
                raise TrainError(f"{place}: {module!r} is not the name of a module", HELP)
            if os.getcwd() not in sys.path:
                sys.path.insert(0, os.getcwd())
            try:
                loaded = importlib.import_module(module)
            except ModuleNotFoundError as error:
                raise TrainError(f"{place}: {error}", HELP) from None
    except TrainError:
        raise
    except SyntaxError as error:
        raise TrainError(f"{place}: {error.filename}:{error.lineno}: {error.msg}") from None
    except (Exception, SystemExit) as error:
        raise _raised(place, error) from None
    if not hasattr(loaded, name):
        raise TrainError(f"{place}: {module} has no attribute {name!r}", HELP)
    return getattr(loaded, name)


def _raised(place: str, error: BaseException) -> TrainError:
    """The user's code raised: what, and the line of it that did."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    text = str(error).strip()
    what = f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__
    where = HELP if last.filename == __file__ else f"at {last.filename}:{last.lineno}: {last.line}"
    return TrainError(f"{place}: it raised {what}", where)
