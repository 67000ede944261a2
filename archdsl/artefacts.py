"""What a spec compiles to: one row for each artefact, and how it is made from its row.

A row names the function that makes it, which is imported when somebody asks for it: the table is
light, and knows no format but by its row. The command line's choices, its help, and the endings of
file names follow from it.
"""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from archdsl.files import replacing, write_atomic
from archdsl.runtime.errors import ArtefactError

if TYPE_CHECKING:
    from archdsl.ir.graph import Program
    from archdsl.pipeline import Spec


@dataclass(frozen=True, slots=True)
class Request:
    """How an artefact is wanted. `format`: one of the artefact's own. `weights` and `seed` (of the
    initial weights) matter to those that hold weights."""

    format: str = ""
    weights: Path | None = None
    seed: int = 0
    optimize: bool = False
    #: what is left open beside the batch: "size"
    dynamic: tuple[str, ...] = ()
    #: the paths of the values to give, in place of the model's own outputs
    outputs: tuple[str, ...] = ()
    #: how deep a picture opens blocks; None: as deep as it stays readable
    depth: int | None = None
    #: told what is done, where that takes seconds
    say: Callable[[str], None] = lambda text: None


@dataclass(frozen=True, slots=True)
class Artefact:
    """`make`: the function that makes it, "module:name". By `kind` it takes the program, gives its
    "text" or an "image"; takes the syntax "tree", gives text; or takes the program, its module with
    weights, and a path, and writes a "file". `suffixes`: the endings of file names that mean it;
    `formats`: those that choose one of its formats. `options`: fields of the request that the
    function takes."""

    name: str
    what: str
    make: str
    suffixes: tuple[str, ...] = ()
    kind: Literal["text", "image", "tree", "file"] = "text"
    formats: Mapping[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    picture: bool = False

    @property
    def binary(self) -> bool:
        return self.kind in ("image", "file")

    @property
    def function(self) -> Callable[..., Any]:
        module, _, name = self.make.partition(":")
        found: Callable[..., Any] = getattr(import_module(module), name)
        return found


def make_text(artefact: Artefact, spec: Spec, request: Request) -> str:
    """Raises SpecError where the spec has errors."""
    if artefact.binary:
        raise ValueError(f"{artefact.name} is no text: it needs a file")
    return str(_made(artefact, spec, request))


def write(artefact: Artefact, spec: Spec, path: Path, request: Request) -> None:
    """Write an artefact; the file is there whole, or not at all.

    Raises SpecError, OSError and ArtefactError.
    """
    _spare(spec, path)
    if request.format == "":
        request = replace(request, format=artefact.formats.get(path.suffix.lower(), ""))
    if artefact.kind != "file":
        write_atomic(path, _made(artefact, spec, request))
        return
    program = spec.checked()
    with replacing(path) as beside, _uncollected():  # first: no folder costs no work
        request.say(f"building {program.name}")
        from archdsl.runtime.export import module_for

        module = module_for(
            program,
            weights=request.weights,
            seed=request.seed,
            optimized=request.optimize,
            outputs=request.outputs,
        )
        given = {name: getattr(request, name) for name in artefact.options}
        artefact.function(_program(spec, request), module, beside, **given)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Without Python's search for circles: of what torch and its exporters import and trace nothing
    is garbage, and looking for some is a tenth of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


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


def _made(artefact: Artefact, spec: Spec, request: Request) -> str | bytes:
    subject = _tree(spec) if artefact.kind == "tree" else _program(spec, request)
    given = {name: getattr(request, name) for name in artefact.options}
    made: str | bytes = artefact.function(subject, **{k: v for k, v in given.items() if v != ""})
    return made


def _program(spec: Spec, request: Request) -> Program:
    program = spec.checked()
    if request.outputs:
        from archdsl.ir.expose import Unknown, select

        try:
            program = select(program, request.outputs)
        except Unknown as error:
            raise ArtefactError(str(error).replace("help: ", "")) from None
    if request.optimize:
        from archdsl.runtime.optimize import optimize

        program = optimize(program).program
    return program


def _tree(spec: Spec) -> object:
    if spec.tree is None:
        from archdsl.pipeline import SpecError

        raise SpecError(spec.diagnostics)
    return spec.tree


_EXPORT, _DRAW, _JSON = "archdsl.runtime.export", "archdsl.pictures", {".json": "json"}
_AS: dict[str, Any] = {"options": ("format",), "formats": _JSON}
_OPEN: dict[str, Any] = {"options": ("depth",), "picture": True}
ARTEFACTS: dict[str, Artefact] = {
    row.name: row
    for row in (
        Artefact("python", "source that imports torch alone", "archdsl.emit.python:emit", (".py",)),
        Artefact(
            "onnx",
            "ONNX, with a dynamic batch",
            f"{_EXPORT}:write_onnx",
            (".onnx",),
            "file",
            options=("weights", "say", "dynamic"),
        ),
        Artefact(
            "pt2",
            "torch.export's program",
            f"{_EXPORT}:write_pt2",
            (".pt2",),
            "file",
            options=("say", "dynamic"),
        ),
        Artefact(
            "safetensors", "weights", f"{_EXPORT}:write_safetensors", (".safetensors",), "file"
        ),
        Artefact("svg", "a picture", f"{_DRAW}:draw_svg", (".svg",), **_OPEN),
        Artefact("png", "a picture", f"{_DRAW}:draw_png", (".png",), "image", **_OPEN),
        Artefact("mermaid", "Mermaid", f"{_DRAW}:draw_mermaid", (".mmd", ".mermaid"), **_OPEN),
        Artefact("dot", "text for Graphviz", f"{_DRAW}:draw_dot", (".dot", ".gv"), **_OPEN),
        Artefact(
            "costs", "what each layer costs", "archdsl.reports.costs:show_costs", (".csv",), **_AS
        ),
        Artefact(
            "ir",
            "the checked program, which reads back",
            "archdsl.ir.show:show_program",
            (".yaml", ".yml", ".json"),
            **_AS,
        ),
        Artefact("tree", "the syntax tree", "archdsl.syntax.show:show_tree", kind="tree"),
    )
}
PICTURES = tuple(row.name for row in ARTEFACTS.values() if row.picture)
DYNAMIC = tuple(row.name for row in ARTEFACTS.values() if "dynamic" in row.options)
WITH_WEIGHTS = tuple(row.name for row in ARTEFACTS.values() if row.kind == "file")
