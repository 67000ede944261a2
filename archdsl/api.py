"""The public functions. A spec is a path, `path:model`, a shipped name (`resnet50`), or text."""

from __future__ import annotations

import contextlib
import enum
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from archdsl.artefacts import ARTEFACTS, Artefact, Request, by_suffix, make_text, write
from archdsl.diagnostics.model import Diagnostic
from archdsl.ir.graph import Program
from archdsl.pipeline import Spec, as_value, open_spec, shipped

if TYPE_CHECKING:
    import torch
    from torch import nn

    from archdsl.reports.diff import Difference


Shape = tuple[int, ...]
#: what stands for an input's shape; a mapping for those of several by name
Given = Sequence[int] | int | str | Mapping[str, Sequence[int] | int | str]


def _picture(program: Program, include: Any = None, exclude: Any = None) -> dict[str, str]:
    """What a notebook shows of a program."""
    from archdsl.pictures.notebook import bundle

    return bundle(program)


Program._repr_mimebundle_ = _picture


@dataclass(frozen=True)
class Report:
    """What `check` found. `program` is the checked model, or None where there are errors."""

    diagnostics: tuple[Diagnostic, ...]
    program: Program | None

    @property
    def ok(self) -> bool:
        """No errors (there may be warnings)."""
        return not self.errors

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(d for d in self.diagnostics if d.severity == "error")

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        return tuple(d for d in self.diagnostics if d.severity == "warning")

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """What a notebook shows: what was found, or else the program's picture."""
        if self.program is not None and not self.diagnostics:
            return {**_picture(self.program), "text/plain": repr(self)}
        from archdsl.diagnostics.html import to_html

        return {"text/html": to_html(self.diagnostics), "text/plain": str(self)}

    def __repr__(self) -> str:
        name = self.program.name if self.program else "no program"
        return f"<Report: {name}, {len(self.errors)} errors, {len(self.warnings)} warnings>"

    def __str__(self) -> str:
        from archdsl.diagnostics.formats import summary
        from archdsl.diagnostics.render import render

        return "\n".join(filter(None, (render(self.diagnostics), summary(self.diagnostics))))


def check(spec: str | Path, *, input: Given | None = None, **params: Any) -> Report:
    """Parse and check a spec, every shape included, without torch.

    `input`: the input's shape without the batch, `(3, 64, 64)`, in place of the spec's own;
    `params`: values for the model's parameters. Raises nothing: everything wrong is in the report.
    """
    opened = _open(spec, input, params)
    return Report(tuple(opened.diagnostics), opened.program)


def load(
    spec: str | Path,
    weights: str | Path | bool | enum.Enum | Mapping[str, torch.Tensor] | None = None,
    device: str | torch.device | None = None,
    *,
    input: Given | None = None,
    optimize: bool | Literal["cpu"] = False,
    channels_last: bool = False,
    outputs: Sequence[str] | None = None,
    **params: Any,
) -> nn.Module:
    """The spec as a torch module, on `device` (PyTorch's default: the CPU).

    `weights`: a .pth, .pt or .safetensors file with a state_dict, which must match key for key, or
    the name of torchvision's pretrained weights for the spec ("IMAGENET1K_V2", "DEFAULT", which
    True stands for), a member of torchvision's enum, or a state_dict itself. With
    another number of `classes` the head keeps its initial values, with a warning. Without
    `weights`, the layers' and the spec's own initialisation from torch's current seed. The module
    is ordinary: it pickles, copies, exports and compiles, and `inspect.getsource` shows it.

    `optimize`: for inference alone, in evaluation mode, to the rounding the same results: batch
    normalisation is folded into the layers before it; dropout, identities and train-only parts are
    gone, and the memory layout is `channels_last`. "cpu": besides, convolutions of two dimensions
    do the activation or addition that follows, and their weights lie as this CPU reads them; such a
    module runs here and does nothing else, it has no state_dict to save. `channels_last`: with the
    memory layout that many CPUs and GPUs convolve faster in.

    `outputs`: the values to give instead, by their paths of labels and taps: `["layer2", "layer4"]`
    of a ResNet. The module returns a named tuple of them, and has what they need alone; weights are
    those of the whole model. Raises ValueError where there is no such value.

    Raises SpecError where the spec has errors, WeightsError where the
    weights do not fit.
    """
    if optimize not in (False, True, "cpu"):
        raise ValueError(f"`optimize` is True, False or 'cpu', not {optimize!r}")
    wanted = _named_weights(weights)
    from archdsl.runtime.module import build

    opened, place = _open(spec, input, params), None if optimize else device
    if wanted is None or isinstance(wanted, Mapping):
        program = opened.checked()
        module = build(program, device=place)
        if wanted is not None:
            from archdsl.runtime.weights import load_weights

            load_weights(module, wanted)
    else:
        from archdsl.runtime import pretrained

        loaded = pretrained.load(opened, wanted, device=place, new_head="classes" in params)
        program, module = loaded.program, loaded.module
        if loaded.note is not None:
            warnings.warn(loaded.note, stacklevel=2)
    if outputs is not None:
        from archdsl.runtime.module import with_outputs

        program, module = with_outputs(program, module, _paths(outputs))
        module = module if place is None else module.to(place)
    if optimize:
        from archdsl.runtime.export import inference

        module = inference(program, module)
        if optimize == "cpu":
            from archdsl.runtime.cpu import for_cpu

            return for_cpu(module, *program.graph.input_shapes)
        module = module if device is None else module.to(device)
    if channels_last:
        from archdsl.runtime.export import channels_last as with_channels_last

        return with_channels_last(module)
    return module


def compile(
    spec: str | Path,
    to: str = "python",
    *,
    input: Given | None = None,
    optimize: bool = False,
    outputs: Sequence[str] = (),
    **params: Any,
) -> str:
    """An artefact of the spec, as text: "python", "ir", "costs", "tree", "svg", "mermaid" or "dot".

    `optimize`: of the program for inference alone; `outputs`: of the part of it that gives these
    values (see `load`). Raises SpecError.
    """
    request = Request(optimize=optimize, outputs=tuple(outputs))
    return make_text(_artefact(to), _open(spec, input, params), request)


def export(
    spec: str | Path,
    path: str | Path,
    to: str | None = None,
    *,
    input: Given | None = None,
    weights: str | Path | None = None,
    seed: int = 0,
    optimize: bool = False,
    outputs: Sequence[str] = (),
    dynamic: Literal["size"] | None = None,
    **params: Any,
) -> None:
    """Write an artefact of the spec to a file, whole or not at all. The file's name says which
    (.onnx, .pt2, .safetensors, .py, .svg, ...), or `to` does.

    `weights`, or else `seed`: what an artefact that holds weights holds. `dynamic`: "size" leaves
    the sizes open that the network takes, or promises with `where`, in ONNX and pt2. Raises
    SpecError, OSError, WeightsError, and archdsl.runtime.export.ExportError where the exporter
    cannot.
    """
    if dynamic not in (None, "size"):
        raise ValueError(f"`dynamic` is 'size' or None, not {dynamic!r}")
    _whole("seed", seed, -(2**63), 2**64 - 1)
    path = Path(path)
    to = by_suffix(path) if to is None else to
    given = None if weights is None else Path(weights)
    free = () if dynamic is None else (dynamic,)
    request = Request("", given, seed, optimize, outputs=tuple(outputs), dynamic=free)
    write(_artefact(to), _open(spec, input, params), path, request)


def spec(
    module: nn.Module, *, input: Sequence[int] | int | str = (3, 224, 224), name: str = ""
) -> str:
    """The text of a spec for a torch module that takes inputs of this shape (without the batch).

    The module runs, and is left as it was. The text is proved: compiled again, with the module's
    weights, it has the same keys and the very outputs. Raises CannotImport with every place that
    the language has no words for.
    """
    from archdsl.importer import import_module

    return import_module(module, _shape(input), name).proved()


def specs() -> list[str]:
    """The names of the shipped specs, which stand for their files."""
    return shipped()


def operators() -> dict[str, str]:
    """The operators by name, with the manual of each."""
    from archdsl.ops import TABLE
    from archdsl.ops.manual import page

    return {name: page(op) for name, op in TABLE.items()}


def draw(
    spec: str | Path,
    *,
    depth: int | None = None,
    input: Given | None = None,
    **params: Any,
) -> str:
    """A picture of the spec as SVG; `export` writes PNG, Mermaid and DOT too. `depth`: how deep to
    open blocks; None: as deep as it stays readable. Raises SpecError."""
    if depth is not None:
        _whole("depth", depth, 0)
    return make_text(ARTEFACTS["svg"], _open(spec, input, params), Request(depth=depth))


def diff(old: str | Path, new: str | Path, **params: Any) -> Difference:
    """What changed from one spec to another; false where nothing did, and its text tells. `params`
    hold for both. Raises SpecError."""
    from archdsl.reports.diff import compare

    before, after = (_open(spec, None, params).checked() for spec in (old, new))
    return compare(before, after)


def summary(
    spec: str | Path,
    *,
    depth: int = 3,
    batch: int = 1,
    input: Given | None = None,
    **params: Any,
) -> str:
    """torchinfo's table of the compiled module. Raises SpecError."""
    from archdsl.runtime.summary import summarise

    _whole("depth", depth, 0)
    _whole("batch", batch, 1, 2**20)

    return summarise(_open(spec, input, params).checked(), depth=depth, batch=batch)[0]


def _named_weights(weights: Any) -> Any:
    """A file, a name, a state_dict, or None."""
    if weights is False or weights is None:
        return None
    if weights is True:
        return "DEFAULT"
    if isinstance(weights, enum.Enum):
        return weights.name
    if isinstance(weights, str | Path | Mapping):
        return weights
    kind = type(weights).__name__
    raise TypeError(f"`weights` is a file, a name of torchvision's, or a state_dict, not a {kind}")


def _artefact(name: str) -> Artefact:
    if name not in ARTEFACTS:
        raise ValueError(f"`to` must be one of {', '.join(ARTEFACTS)}, not {name!r}")
    return ARTEFACTS[name]


def _open(spec: str | Path, input: Given | None, params: dict[str, Any]) -> Spec:
    return open_spec(spec, params=params, input=_inputs(input))


def _paths(outputs: Sequence[str]) -> list[str]:
    if isinstance(outputs, str) or not outputs or not all(isinstance(o, str) for o in outputs):
        raise ValueError(f"`outputs` is a list of paths such as ['layer4'], not {outputs!r}")
    return list(outputs)


def _whole(name: str, value: int, least: int, most: int = 2**63) -> None:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"`{name}` is a whole number from {least} to {most}, not {value!r}")


def _inputs(value: Given | None) -> Shape | dict[str, Shape] | None:
    """A shape, or those of several inputs by their names."""
    if isinstance(value, Mapping):
        return {str(name): _shape(shape) for name, shape in value.items()}
    return None if value is None else _shape(value)


def _shape(value: Sequence[int] | int | str) -> Shape:
    """`(3, 64, 64)`, `"3x64x64"` or `64` as a shape. Raises ValueError."""
    given = as_value(value.split("x") if isinstance(value, str) else value)
    sides = given if isinstance(given, tuple) else (given,)
    with contextlib.suppress(TypeError, ValueError):
        shape = tuple(int(side) for side in sides)
        if shape and all(
            side > 0 and str(side) == str(raw) for side, raw in zip(shape, sides, strict=True)
        ):
            return shape
    raise ValueError(f"`input` is a shape such as (3, 64, 64), without the batch, not {value!r}")
