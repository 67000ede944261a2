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
from archdsl.text import inputs_text, shape_text
from archdsl.train.errors import TrainError, told_by_first
from archdsl.train.sizes import refused
from archdsl.train.spec_files import SpecFiles

if TYPE_CHECKING:
    from torch import nn

    from archdsl.train.data.sources import Source
    from archdsl.train.tasks.task import Task


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

    def fitted(self, source: Source, task: Task, change: bool) -> tuple[Model, list[str]]:
        """This model and no flags where it suits the data. Where not: an error that names the flags
        which make it suit; with `change`, the model made to suit, and the flags."""
        if self.spec is None:
            return self, []
        if len(self.output_shapes) > 1:
            raise _several_outputs(self)
        model, flags, wrong, keeps = self, list[str](), list[str](), ""
        shape = _wanted_shape(self.input_shape or (), source)
        if shape is not None:
            model = _resized(self, source, shape)
            flags.append(f"--input {shape_text(shape)}")
            wrong.append(_takes(self, source, shape))
            if source.channels == 3:
                keeps = "; --set data.channels=1 keeps the spec and turns the images grey"
        task.check(self.name, model.output_shape, source.train.y)
        count = task.outputs(self.outputs)
        if count is not None:
            model, flag = _with_outputs(self, model, task, count)
            flags.append(flag)
            wrong.append(f"has {self.outputs} outputs, the data {task.amount()}")
            keeps += task.keeps(self.outputs)
        if flags and not change:
            raise TrainError(
                f"{self.name} {', and '.join(wrong)}",
                f"add {' '.join(flags)}, or --fit to do so automatically{keeps}",
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
        if (wrong := refused(opened)) is not None:
            raise SpecProblem(*wrong)
        found = opened.diagnostics
        raise SpecProblem("\n".join(filter(None, (render(found), summary(found)))))
    if len(program.inputs) > 1 or program.whole or isinstance(opened.input, Mapping):
        raise TrainError(
            f"{program.name} takes {inputs_text(program.inputs)}; the trainer feeds one input of "
            "numbers\ntrain such a model from Python: `archdsl.load` gives a torch module"
        )
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


def _several_outputs(model: Model) -> TrainError:
    shapes = " and ".join(map(shape_text, model.output_shapes))
    return TrainError(
        f"{model.name} has {len(model.output_shapes)} outputs ({shapes}); archdsl trains and "
        "measures models of one",
        "leave one output; a head for training alone is `name: aux ...`; for a loop of "
        "your own, archdsl.load(...) gives the module",
    )


def _resized(model: Model, source: Source, shape: tuple[int, ...]) -> Model:
    try:
        return model.given(model.params, shape)
    except SpecProblem as problem:
        raise TrainError(
            f"{model.name} {_takes(model, source, shape)}",
            problem.help or f"the data is {shape_text(shape)} which this model cannot take",
        ) from None


def _takes(model: Model, source: Source, shape: tuple[int, ...]) -> str:
    channels = source.channels
    own = f"{channels} channels" if channels else f"samples of shape {shape_text(shape)}"
    return f"takes an input of {shape_text(model.input_shape or ())}, the data has {own}"


def _with_outputs(before: Model, model: Model, task: Task, count: int) -> tuple[Model, str]:
    """The model with that many outputs by one of its parameters, and the flag that gives them."""
    own = dict(model._opened.checked().graph.args)
    for name in (name for name in task.parameters if name in own):
        try:
            found = model.given({**model.params, name: count}, model.input)
        except SpecProblem:
            continue
        if found.outputs == count:
            return found, f"-p {name}={count}"
    raise TrainError(
        f"{before.name} has {before.outputs} outputs, the data {task.amount()}",
        f"give the model a parameter for it, `model {before.name}({task.parameters[0]}={count})`, "
        f"and use it in the last layer{task.keeps(before.outputs)}",
    )


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
    from archdsl.train.run.checkpoint import read_weights

    try:
        module.load_state_dict(read_weights(path))
    except RuntimeError as error:
        lines = "\n".join(str(error).splitlines()[1:8])
        raise TrainError(f"{path}: these weights are not of this model:\n{lines}") from None
