"""The public functions. A spec is a path, `path:model`, a shipped name (`resnet50`), or text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl.diagnostics.model import Diagnostic
from archdsl.ir.graph import Program
from archdsl.pipeline import Spec, SpecError, open_spec

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["ARTEFACTS", "Report", "SpecError", "check", "compile", "load"]


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

    def __str__(self) -> str:
        from archdsl.diagnostics.formats import summary
        from archdsl.diagnostics.render import render

        return "\n".join(filter(None, (render(self.diagnostics), summary(self.diagnostics))))


def check(spec: str | Path, *, input: Sequence[int] | None = None, **params: Any) -> Report:
    """Parse and check a spec, every shape included, without torch.

    `input`: the input's shape without the batch, `(3, 64, 64)`, in place of the spec's own;
    `params`: values for the model's parameters. Raises nothing: everything wrong is in the report.
    """
    opened = _open(spec, input, params)
    return Report(tuple(opened.diagnostics), opened.program)


def load(
    spec: str | Path,
    weights: str | Path | None = None,
    device: str | torch.device | None = None,
    *,
    input: Sequence[int] | None = None,
    **params: Any,
) -> nn.Module:
    """The spec as a torch module, on `device` (PyTorch's default: the CPU).

    `weights`: a .pth, .pt or .safetensors file with a state_dict, which must match key for key;
    without it, the layers' and the spec's own initialisation from torch's current seed. The module
    is ordinary: it pickles, copies, exports and compiles, and `inspect.getsource` shows it.

    Raises SpecError where the spec has errors, archdsl.backends.weights.WeightsError where the
    weights do not fit.
    """
    from archdsl.backends.torch import build

    return build(_open(spec, input, params).checked(), weights=weights, device=device)


def compile(
    spec: str | Path, to: str = "python", *, input: Sequence[int] | None = None, **params: Any
) -> str:
    """An artefact of the spec, as text; `to` is one of ARTEFACTS. Raises SpecError."""
    if to not in ARTEFACTS:
        raise ValueError(f"`to` must be one of {', '.join(ARTEFACTS)}, not {to!r}")
    return ARTEFACTS[to](_open(spec, input, params))


def _open(spec: str | Path, input: Sequence[int] | None, params: dict[str, Any]) -> Spec:
    values = {name: _value(value) for name, value in params.items()}
    return open_spec(spec, params=values, input=None if input is None else tuple(input))


def _value(value: Any) -> Any:
    return tuple(map(_value, value)) if isinstance(value, (list, tuple)) else value


def _python(spec: Spec) -> str:
    from archdsl.backends.python import emit

    return emit(spec.checked())


def _tree(spec: Spec) -> str:
    from archdsl.syntax.show import show_tree

    tree = spec.tree
    if tree is None:
        raise SpecError(spec.diagnostics)
    return show_tree(tree)


def _ir(spec: Spec) -> str:
    from archdsl.ir.show import show_program

    return show_program(spec.checked())


#: every form that a spec compiles to as text
ARTEFACTS: dict[str, Callable[[Spec], str]] = {"python": _python, "ir": _ir, "tree": _tree}
