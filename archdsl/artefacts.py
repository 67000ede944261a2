"""What a spec compiles to: every artefact under its name, as text or as a file.

A text artefact is a function of a program (or a spec) that returns the text; a file artefact writes
to a path. Neither imports torch before it is asked for something that needs it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.backends.errors import ArtefactError
from archdsl.files import replacing, write_atomic
from archdsl.ir.graph import Program
from archdsl.pipeline import Spec, SpecError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class Request:
    """How an artefact is wanted. `format`: one of the artefact's own. `weights` and `seed` (of the
    initial weights) matter to those that hold weights."""

    format: str = ""
    weights: Path | None = None
    seed: int = 0
    optimize: bool = False
    #: how deep a picture opens blocks; None: as deep as it stays readable
    depth: int | None = None


@dataclass(frozen=True, slots=True)
class Artefact:
    """`text`, `image` or `write` makes it. `suffixes`: the endings of file names that mean it;
    `formats`: those that choose one of its formats."""

    name: str
    what: str
    suffixes: tuple[str, ...] = ()
    formats: Mapping[str, str] = field(default_factory=dict)
    text: Callable[[Spec, Request], str] | None = None
    image: Callable[[Spec, Request], bytes] | None = None
    write: Callable[[Program, nn.Module, Path], None] | None = None

    @property
    def binary(self) -> bool:
        return self.text is None


def make_text(artefact: Artefact, spec: Spec, request: Request) -> str:
    """Raises SpecError where the spec has errors."""
    if artefact.text is None:
        raise ValueError(f"{artefact.name} is no text: it needs a file")
    return artefact.text(spec, request)


def write(artefact: Artefact, spec: Spec, path: Path, request: Request) -> None:
    """Write an artefact; the file is there whole, or not at all.

    Raises SpecError, OSError and ArtefactError.
    """
    _spare(spec, path)
    if request.format == "":
        request = replace(request, format=artefact.formats.get(path.suffix.lower(), ""))
    if artefact.text is not None:
        write_atomic(path, artefact.text(spec, request))
        return
    if artefact.image is not None:
        write_atomic(path, artefact.image(spec, request))
        return
    program = spec.checked()
    from archdsl.backends.export import module_for

    with replacing(path) as beside:  # first: a folder that is not there costs no work
        module = module_for(
            program, weights=request.weights, seed=request.seed, optimized=request.optimize
        )
        if artefact.write is not None:
            artefact.write(_program(spec, request), module, beside)


def by_suffix(path: Path) -> str:
    """The artefact that a file's name asks for. Raises ValueError where it asks for none."""
    ending = path.suffix.lower()
    for name, artefact in ARTEFACTS.items():
        if ending in artefact.suffixes:
            return name
    known = ", ".join(suffix for a in ARTEFACTS.values() for suffix in a.suffixes)
    if ending in (".pt", ".pth"):
        raise ValueError(f"{path}: weights are written as .safetensors, a program as .pt2")
    raise ValueError(f"{path}: no artefact has this ending; those known are {known}")


def _spare(spec: Spec, path: Path) -> None:
    """Refuses to write over the spec, or a file that it uses."""
    for unit in spec.loaded.units:
        with contextlib.suppress(OSError):
            if os.path.samefile(path, unit.source.name):
                raise ArtefactError(f"{path} is the spec itself\ngive another name")


def _program(spec: Spec, request: Request) -> Program:
    program = spec.checked()
    if request.optimize:
        from archdsl.backends.optimize import optimize

        program = optimize(program).program
    return program


def _python(spec: Spec, request: Request) -> str:
    from archdsl.backends.python import emit

    return emit(_program(spec, request))


def _tree(spec: Spec, request: Request) -> str:
    from archdsl.syntax.show import show_tree

    if spec.tree is None:
        raise SpecError(spec.diagnostics)
    return show_tree(spec.tree)


def _ir(spec: Spec, request: Request) -> str:
    from archdsl.ir.show import show_program

    return show_program(_program(spec, request), format=request.format or "yaml")


def _costs(spec: Spec, request: Request) -> str:
    from archdsl.backends.costs import show_costs

    return show_costs(_program(spec, request), format=request.format or "csv")


def _svg(spec: Spec, request: Request) -> str:
    from archdsl.backends import diagram

    return diagram.draw_svg(_program(spec, request), depth=request.depth)


def _png(spec: Spec, request: Request) -> bytes:
    from archdsl.backends import diagram

    return diagram.draw_png(_program(spec, request), depth=request.depth)


def _mermaid(spec: Spec, request: Request) -> str:
    from archdsl.backends import diagram

    return diagram.draw_mermaid(_program(spec, request), depth=request.depth)


def _dot(spec: Spec, request: Request) -> str:
    from archdsl.backends import diagram

    return diagram.draw_dot(_program(spec, request), depth=request.depth)


def _onnx(program: Program, module: nn.Module, path: Path) -> None:
    from archdsl.backends.export import write_onnx

    write_onnx(program, module, path)


def _pt2(program: Program, module: nn.Module, path: Path) -> None:
    from archdsl.backends.export import write_pt2

    write_pt2(program, module, path)


def _safetensors(program: Program, module: nn.Module, path: Path) -> None:
    from archdsl.backends.export import write_safetensors

    write_safetensors(program, module, path)


PICTURES = ("svg", "png", "mermaid", "dot")
JSON = {".json": "json"}
ARTEFACTS: dict[str, Artefact] = {
    a.name: a
    for a in (
        Artefact("python", "standalone source that imports torch alone", (".py",), text=_python),
        Artefact("onnx", "ONNX, with a dynamic batch", (".onnx",), write=_onnx),
        Artefact("pt2", "torch.export's program", (".pt2",), write=_pt2),
        Artefact("safetensors", "the weights", (".safetensors",), write=_safetensors),
        Artefact("svg", "a picture", (".svg",), text=_svg),
        Artefact("png", "a picture", (".png",), image=_png),
        Artefact("mermaid", "a picture as Mermaid text", (".mmd", ".mermaid"), text=_mermaid),
        Artefact("dot", "a picture as text for Graphviz", (".dot", ".gv"), text=_dot),
        Artefact("costs", "what each layer costs", (".csv",), JSON, text=_costs),
        Artefact(
            "ir",
            "the checked program, which reads back",
            (".yaml", ".yml", ".json"),
            JSON,
            text=_ir,
        ),
        Artefact("tree", "the syntax tree", text=_tree),
    )
}
