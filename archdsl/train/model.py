"""The only contact with the compiler: what is trained, described and built.

In: a spec (path, shipped name or text) or a ready `nn.Module`. Out: a `Model`, plain enough to be
sent to another process and to be written into a checkpoint, that builds the module when asked.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl.train.errors import TrainError

if TYPE_CHECKING:
    from torch import nn

    from archdsl.train.sources import Source

CLASS_PARAMS = ("classes", "num_classes", "n_classes", "nclasses")


@dataclass(frozen=True)
class Model:
    name: str
    spec: str | None  # the text; none for a module that somebody wrote in Python
    origin: str | None  # the path or name that the text came from
    params: Mapping[str, Any] = field(default_factory=dict)
    input: tuple[int, ...] | None = None  # where it differs from the spec's own
    input_shape: tuple[int, ...] | None = None
    outputs: int | None = None
    module: nn.Module | None = None

    def build(self, weights: str | Path | None = None) -> nn.Module:
        """A new module with its initial weights, or those of a file."""
        import torch

        if self.module is not None:
            module = self.module
        else:
            import archdsl

            module = archdsl.load(self.source(), input=self.input, **self.params)
        if weights is not None:
            _load_weights(module, Path(weights))
        assert isinstance(module, torch.nn.Module)
        return module

    def source(self) -> str:
        """What to hand to the compiler: the file, so that its `use` lines work, while it still
        holds the text that was checked; the text otherwise."""
        assert self.spec is not None
        if self.origin and _read_spec(self.origin) == self.spec:
            return self.origin
        return self.spec

    def fitted(self, source: Source, change: bool) -> tuple[Model, list[str]]:
        """This model if it suits the data; else the flags that make it suit, or, with `change`,
        the model made to suit and what was changed."""
        flags: list[str] = []
        model = self
        if self.spec is None:
            return self, []
        shape = _wanted_shape(self.input_shape or (), source)
        if shape is not None:
            by = "x".join(map(str, shape))
            flags.append(f"--input {by}")
            model = describe(self.source(), shape, self.params, self.origin)
        count = len(source.classes)
        wrong = count and model.outputs is not None and not _suits(model.outputs, count)
        if wrong:
            found = _with_classes(model, count)
            if found is None:
                raise TrainError(f"{self.name} has {model.outputs} outputs, the data {count} classes",
                                 "give the model a parameter for it, `model "
                                 f"{self.name}(classes={count})`, and use it in the last layer")  # fmt: skip
            flags.append(f"-p {found[0]}={count}")
            model = found[1]
        if flags and not change:
            raise TrainError(_misfit(self, source, shape, bool(wrong)),
                             f"add {' '.join(flags)}, or --fit to do so automatically"
                             + _grey_help(shape, source))  # fmt: skip
        return model, flags


def describe(
    spec: Any, input: tuple[int, ...] | None = None, params: Mapping[str, Any] | None = None,
    origin: str | None = None,
) -> Model:  # fmt: skip
    """Checks a spec without building it; a module passes as it is."""
    if not isinstance(spec, str | Path):
        return Model(type(spec).__name__.lower(), None, None, input_shape=input, module=spec)
    import archdsl

    report = archdsl.check(str(spec), input=input, **(params or {}))
    if not report.ok:
        raise TrainError(str(report))
    program = report.program
    shape = next(iter(program.output_shapes.values()))
    known = origin or (str(spec) if "\n" not in str(spec) else None)
    return Model(
        name=program.name,
        spec=_read_spec(known) or program.text if known else str(spec),
        origin=known,
        params=dict(params or {}),
        input=input,
        input_shape=tuple(program.input_shape),
        outputs=shape[0] if len(shape) == 1 else None,
    )


def _read_spec(origin: str) -> str | None:
    path = Path(origin)
    try:
        return path.read_text(encoding="utf-8") if path.is_file() else None
    except (OSError, UnicodeDecodeError):
        return None


def _suits(outputs: int, classes: int) -> bool:
    return outputs == classes or (outputs == 1 and classes == 2)


def _wanted_shape(shape: tuple[int, ...], source: Source) -> tuple[int, ...] | None:
    """The input that the data needs where the spec's will not do. Images are resized to any size,
    and grey ones made colour; colour is not thrown away unasked."""
    if source.channels is None:
        own = source.shape
        return None if own == shape else own
    if len(shape) != 3:
        return source.shape
    if shape[0] in (source.channels, 3) and shape[0] >= source.channels:
        return None
    return (source.channels, *shape[1:])


def _with_classes(model: Model, count: int) -> tuple[str, Model] | None:
    for name in CLASS_PARAMS:
        try:
            found = describe(model.source(), model.input, {**model.params, name: count}, model.origin)
        except TrainError:
            continue
        if found.outputs == count:
            return name, replace(found, params={**model.params, name: count})
    return None


def _misfit(model: Model, source: Source, shape: tuple[int, ...] | None, classes: bool) -> str:
    def by(one: tuple[int, ...] | None) -> str:
        return "x".join(map(str, one or ()))

    parts: list[str] = []
    if shape is not None:
        own = f"{source.channels} channels" if source.channels else f"samples of shape {by(shape)}"
        parts.append(f"takes an input of {by(model.input_shape)}, the data has {own}")
    if classes:
        parts.append(f"has {model.outputs} outputs, the data {len(source.classes)} classes")
    return f"{model.name} {', and '.join(parts)}"


def _grey_help(shape: tuple[int, ...] | None, source: Source) -> str:
    if shape is None or source.channels != 3:
        return ""
    return "; --set data.channels=1 keeps the spec and turns the images grey"


def _load_weights(module: nn.Module, path: Path) -> None:
    """Weights from .safetensors, a checkpoint of ours, or a plain state_dict."""
    from archdsl.train.checkpoint import read_weights

    state = read_weights(path)
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        lines = str(error).splitlines()
        raise TrainError(f"{path}: these weights are not of this model:\n" + "\n".join(lines[1:8])) from None


def unchanged(model: Model, saved: Mapping[str, Any]) -> None:
    """Refuses to go on with a run whose spec is another one now, showing the difference."""
    import difflib

    text = saved["text"]
    if text == model.spec:
        return
    diff = difflib.unified_diff(
        (text or "").splitlines(), (model.spec or "").splitlines(),
        "the run's spec", os.fspath(model.origin or "the spec now"), lineterm="",
    )  # fmt: skip
    raise TrainError("the spec has changed since the run began:\n" + "\n".join(diff),
                     "start a new run, or go on with the run's own spec by leaving the spec out and "
                     "putting the file back as it was")  # fmt: skip
