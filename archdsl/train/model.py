"""The contact with the compiler: what is trained, described and built.

In: a spec (path, shipped name or text) or a ready `nn.Module`. Out: a `Model`, plain enough to be
sent to another process and to be written into a checkpoint, that builds the module when asked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl.diagnostics.formats import summary
from archdsl.diagnostics.render import render
from archdsl.ir.graph import Node, Program
from archdsl.pipeline import Spec, open_spec
from archdsl.text import shape_text
from archdsl.train.errors import TrainError, told_by_first
from archdsl.train.spec_files import SpecFiles

if TYPE_CHECKING:
    from torch import nn

    from archdsl.train.data.sources import Source

CLASS_PARAMS = ("classes", "num_classes", "n_classes", "nclasses")


@dataclass(frozen=True)
class Model:
    """`input` and `params` are what differs from the spec's own; a module has no `spec`."""

    name: str
    spec: SpecFiles | None
    params: Mapping[str, Any] = field(default_factory=dict)
    input: tuple[int, ...] | None = None
    input_shape: tuple[int, ...] | None = None
    outputs: int | None = None
    output_shapes: tuple[tuple[int, ...], ...] = ()  # but for those of training alone
    module: nn.Module | None = None
    opened: Spec | None = field(default=None, compare=False, repr=False)
    norm: str | None = None  # a normalisation over the batch alone, of which one sample is too few

    @property
    def output_shape(self) -> tuple[int, ...] | None:
        return self.output_shapes[0] if self.output_shapes else None

    def build(self, weights: str | Path | None = None) -> nn.Module:
        """A new module with its initial weights, those of a file, or torchvision's of that name."""
        if self.module is not None:
            if weights is not None:
                _load_weights(self.module, Path(weights))
            return self.module
        from archdsl.runtime.module import build

        spec = self._opened
        return build(spec.checked()) if weights is None else _pretrained(spec, weights)

    @property
    def _opened(self) -> Spec:
        assert self.spec is not None
        return self.opened or self.spec.opened(self.params, self.input)

    def __getstate__(self) -> dict[str, Any]:
        """For another process, which checks the spec again."""
        return {**self.__dict__, "opened": None}

    def given(self, params: Mapping[str, Any], input: tuple[int, ...] | None) -> Model:
        """The same model with other values."""
        return _described(self._opened.given(params, input), self.spec)

    def plain(self) -> dict[str, Any]:
        """For a checkpoint: plain values only."""
        params = {name: _plain(value) for name, value in self.params.items()}
        return {
            "name": self.name,
            "params": params,
            "spec": self.spec and self.spec.plain(),
            "input": None if self.input is None else list(self.input),
        }

    @classmethod
    def from_plain(cls, saved: Mapping[str, Any]) -> Model:
        """The model of a checkpoint, from the spec that it holds."""
        if saved["spec"] is None:
            raise TrainError(
                f"the run's model ({saved['name']}) was a Python module, not a spec",
                "hand the same module over: fit(module, resume=...), evaluate(run, module=...)",
            )
        params = {name: _from_plain(value) for name, value in saved["params"].items()}
        shape = None if saved["input"] is None else tuple(saved["input"])
        files = SpecFiles(**saved["spec"])
        return _described(files.opened(params, shape), files)

    def fitted(self, source: Source, change: bool) -> tuple[Model, list[str]]:
        """This model and no flags where it suits the data. Where not: an error that names the flags
        which make it suit; with `change`, the model made to suit, and the flags."""
        if self.spec is None:
            return self, []
        if len(self.output_shapes) > 1:
            shapes = " and ".join(map(shape_text, self.output_shapes))
            raise TrainError(
                f"{self.name} has {len(self.output_shapes)} outputs ({shapes}); archdsl trains and "
                "measures models of one",
                "leave one output; a head for training alone is `name: aux ...`; for a loop of "
                "your own, archdsl.load(...) gives the module",
            )
        flags: list[str] = []
        model = self
        shape = _wanted_shape(self.input_shape or (), source)
        if shape is not None:
            flags.append(f"--input {shape_text(shape)}")
            try:
                model = self.given(self.params, shape)
            except SpecProblem:
                own = f"{shape_text(shape)} which this model cannot take"
                raise TrainError(
                    _misfit(self, source, shape, False), f"the data is {own}"
                ) from None
        count = len(source.classes)
        out = model.output_shape
        if count and source.train.y.ndim == 1 and out is not None and len(out) != 1:
            raise TrainError(
                f"{self.name} gives {shape_text(out)} for a sample, the data wants one of {count} "
                "classes",
                "archdsl trains classifiers, one score a class: put `flatten` (or `gap -> "
                "flatten`) and a `linear` at the end; with --set loss=mse or l1 it trains any "
                "output on targets of the same shape, from your own Dataset (--data file.py:NAME)",
            )
        wrong = bool(count) and self.outputs is not None and not _suits(self.outputs, count)
        if wrong:
            found = _with_classes(model, count)
            if found is None:
                raise TrainError(
                    f"{self.name} has {self.outputs} outputs, the data {count} classes",
                    f"give the model a parameter for it, `model {self.name}"
                    f"(classes={count})`, and use it in the last layer",
                )
            flags.append(f"-p {found[0]}={count}")
            model = found[1]
        if flags and not change:
            grey = shape is not None and source.channels == 3
            raise TrainError(
                _misfit(self, source, shape, wrong),
                f"add {' '.join(flags)}, or --fit to do so automatically"
                + (
                    "; --set data.channels=1 keeps the spec and turns the images grey"
                    if grey
                    else ""
                ),
            )
        return model, flags


def describe(
    spec: Any, input: tuple[int, ...] | None = None, params: Mapping[str, Any] | None = None
) -> Model:
    """Checks a spec without building it; a module passes as it is."""
    if not isinstance(spec, str | Path):
        return Model(type(spec).__name__.lower(), None, input_shape=input, module=spec)
    opened = open_spec(spec, params=params, input=None if input is None else tuple(input))
    return _described(opened)


def _described(opened: Spec, files: SpecFiles | None = None) -> Model:
    program = opened.program
    if program is None:
        found = opened.diagnostics
        raise SpecProblem("\n".join(filter(None, (render(found), summary(found)))))
    shapes = tuple(tuple(shape) for shape in program.output_shapes.values())
    shape = shapes[0]
    return Model(
        name=program.name,
        spec=files or SpecFiles.of(opened),
        opened=opened,
        params=dict(opened.params),
        input=opened.input,
        input_shape=tuple(program.input_shape),
        outputs=shape[0] if len(shape) == 1 else None,
        output_shapes=shapes,
        norm=_norm_of_the_batch(program),
    )


def _norm_of_the_batch(program: Program) -> str | None:
    for name, item in program.walk():
        if isinstance(item, Node) and item.op.of_batch and math.prod(item.input_shapes[0][1:]) == 1:
            return f"`{item.op.name}` ({name})"
    return None


class SpecProblem(TrainError):
    """The compiler's own report; its text stands by itself."""


def unchanged(before: SpecFiles, now: SpecFiles) -> None:
    """Refuses to go on with a run whose spec is another one now, showing the difference."""
    changes = before.difference(now)
    if changes:
        raise TrainError(
            f"the spec has changed since the run began:\n{changes}",
            "put the file back as it was to go on, or start a new run",
        )


def _plain(value: Any) -> Any:
    return [_plain(one) for one in value] if isinstance(value, tuple | list) else value


def _from_plain(value: Any) -> Any:
    if isinstance(value, dict):  # as runs of before 2026-12 have texts
        return value["text"]
    return tuple(map(_from_plain, value)) if isinstance(value, list) else value


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
    if shape[0] == source.channels or (source.channels == 1 and shape[0] == 3):
        return None
    return (source.channels, *shape[1:])


def _with_classes(model: Model, count: int) -> tuple[str, Model] | None:
    program = model._opened.checked()
    for name in (name for name in CLASS_PARAMS if name in dict(program.graph.args)):
        try:
            found = model.given({**model.params, name: count}, model.input)
        except SpecProblem:
            continue
        if found.outputs == count:
            return name, found
    return None


def _misfit(model: Model, source: Source, shape: tuple[int, ...] | None, classes: bool) -> str:
    parts: list[str] = []
    if shape is not None:
        own = (
            f"{source.channels} channels"
            if source.channels
            else f"samples of shape {shape_text(shape)}"
        )
        parts.append(f"takes an input of {shape_text(model.input_shape or ())}, the data has {own}")
    if classes:
        parts.append(f"has {model.outputs} outputs, the data {len(source.classes)} classes")
    return f"{model.name} {', and '.join(parts)}"


def _pretrained(spec: Spec, weights: str | Path) -> nn.Module:
    """The spec's module to train on from there; says which layers begin anew."""
    from archdsl.runtime import pretrained
    from archdsl.runtime.errors import WeightsError

    try:
        loaded = pretrained.load(spec, weights)
    except WeightsError as error:
        raise TrainError(str(error)) from None
    if loaded.note:
        told_by_first(loaded.note)
    return loaded.module


def _load_weights(module: nn.Module, path: Path) -> None:
    """Weights from .safetensors, a checkpoint of ours, or a plain state_dict."""
    from archdsl.train.engine.checkpoint import read_weights

    try:
        module.load_state_dict(read_weights(path))
    except RuntimeError as error:
        lines = "\n".join(str(error).splitlines()[1:8])
        raise TrainError(f"{path}: these weights are not of this model:\n{lines}") from None
