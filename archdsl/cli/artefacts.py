"""Commands that make something of specs: compile, draw, diff."""

from __future__ import annotations

import enum
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archdsl.artefacts import (
    ARTEFACTS,
    DYNAMIC,
    PICTURES,
    WITH_WEIGHTS,
    Request,
    by_suffix,
    make_text,
    write,
)
from archdsl.cli import completion
from archdsl.cli.options import (
    InputOption,
    LimitOption,
    ParamOption,
    SpecArgument,
    fail,
    spec_errors,
    spec_from,
    usage,
)
from archdsl.runtime.errors import ArtefactError

if TYPE_CHECKING:
    from archdsl.pipeline import Spec


Target = enum.StrEnum("Target", [(n, n) for n, row in ARTEFACTS.items() if not row.picture])  # type: ignore[misc]
ENDINGS = {name: ARTEFACTS[name].suffixes[0] for name in PICTURES}


class Dynamic(enum.StrEnum):
    size = "size"


class DiffFormat(enum.StrEnum):
    text = "text"
    json = "json"


OutputOption = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="FILE", help="Where to; default, and -: print it."),
]
DepthOption = Annotated[
    int | None,
    typer.Option(
        "--depth",
        min=0,
        show_default=False,
        help="How deep to open blocks, 0 not at all; default: as deep as it stays readable.",
    ),
]


def compile(
    spec: SpecArgument,
    to: Annotated[
        Target | None,
        typer.Option(
            show_default=False,
            help="What to compile to; default: what FILE's ending says, or else python.",
        ),
    ] = None,
    output: OutputOption = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights", metavar="FILE", help=f"The weights of {', '.join(WITH_WEIGHTS)}."
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Of the initial weights, without --weights.")
    ] = 0,
    optimize: Annotated[
        bool,
        typer.Option(
            "--optimize",
            help="For inference alone: fold batch normalisation, drop dropout and identities.",
        ),
    ] = False,
    dynamic: Annotated[
        Dynamic | None,
        typer.Option(
            "--dynamic",
            show_default=False,
            help="What onnx and pt2 leave open beside the batch: every size that is taken, or "
            "promised by `where`.",
        ),
    ] = None,
    outputs: Annotated[
        str | None,
        typer.Option(
            "--outputs",
            metavar="PATHS",
            help="Values to give instead, such as layer2,layer4, and what they need alone.",
        ),
    ] = None,
    param: ParamOption = None,
    input: InputOption = None,
    limit: LimitOption = None,
) -> None:
    """Compile a spec: standalone Python, ONNX, torch.export, weights, costs, or a compiler stage.

    onnx, pt2 and safetensors are files: give -o. `ir` is YAML, or JSON for FILE.json with --to ir;
    `costs` CSV or JSON.

    \b
    Examples:
      archdsl compile resnet50 -o resnet50.py
      archdsl compile resnet50 -o resnet50.onnx --weights resnet50.pth --optimize
      archdsl compile mynet.arch -o mynet.pt2 -p classes=10 --input 3x64x64
      archdsl compile mynet.arch --to costs -o mynet.csv
      archdsl compile mynet.arch --to ir
      archdsl compile resnet50 --outputs layer2,layer4 -o features.py
    """
    name = "python" if to is None else to.value
    if to is None and output is not None and str(output) != "-":
        name = _named(output)
        if name in PICTURES:
            usage(f"{output} is a picture: `archdsl draw` makes it")
    if weights is not None and name not in WITH_WEIGHTS:
        usage(f"--weights is for {', '.join(WITH_WEIGHTS)}: {name} holds none")
    paths = tuple(path.strip() for path in outputs.split(",")) if outputs else ()
    if dynamic is not None and name not in DYNAMIC:
        usage(f"--dynamic is for {', '.join(DYNAMIC)}: {name} leaves sizes open anyway")
    free = () if dynamic is None else (dynamic.value,)
    request = Request("", weights, seed, optimize, free, paths, say=_say)
    with spec_errors(), _file_errors(output):
        _make(name, spec_from(spec, param, input, limit), output, request)


def draw(
    spec: SpecArgument,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help=f"A file {', '.join(ENDINGS.values())}."
        ),
    ] = None,
    depth: DepthOption = None,
    param: ParamOption = None,
    input: InputOption = None,
    limit: LimitOption = None,
) -> None:
    """Draw a spec: SVG, PNG, Mermaid or Graphviz's DOT. Needs no torch and no system package.

    Without -o, prints Mermaid, which GitHub and GitLab draw in Markdown. By default blocks are open
    as deep as the picture stays readable, and what they hold stands beside it.

    \b
    Examples:
      archdsl draw resnet50 -o resnet50.svg
      archdsl draw googlenet -o googlenet.png --depth 2
      archdsl draw mynet.arch -p classes=10 > mynet.mmd
    """
    name = "mermaid"
    if output is not None and str(output) != "-":
        name = next((p for p in PICTURES if output.suffix.lower() in ARTEFACTS[p].suffixes), "")
    if name not in PICTURES:
        *first, last = ENDINGS.values()
        usage(f"{output} must end in {', '.join(first)} or {last}")
    with spec_errors(), _file_errors(output):
        _make(name, spec_from(spec, param, input, limit), output, Request(depth=depth))


def diff(
    old: SpecArgument,
    new: Annotated[
        str,
        typer.Argument(
            metavar="OTHER",
            show_default=False,
            help="The other spec.",
            autocompletion=completion.specs,
        ),
    ],
    format: Annotated[DiffFormat, typer.Option(help="For people, or JSON.")] = DiffFormat.text,
    param: ParamOption = None,
    input: InputOption = None,
    limit: LimitOption = None,
) -> None:
    """What changed from one spec to another: layers, shapes, parameters, multiply-accumulates.

    Layers are the same where their names are; -p and --input hold for both. Exit code 0: no
    difference; 1: differences, or errors in a spec; 2: wrong usage.

    \b
    Examples:
      archdsl diff resnet18 resnet34
      archdsl diff old.arch new.arch --format json
      git show HEAD:net.arch | archdsl diff - net.arch
    """
    import json

    from archdsl.reports.diff import compare, show_difference

    if old == new == "-":
        usage("standard input can be only one of the two")
    with spec_errors():
        before = spec_from(old, param, input, limit).checked()
        after = spec_from(new, param, input, limit).checked()
    difference = compare(before, after)
    if format is DiffFormat.json:
        typer.echo(json.dumps(difference.as_dict(), indent=2))
    else:
        from archdsl.diagnostics.terminal import use_color

        typer.echo(show_difference(difference, color=use_color(sys.stdout)))
    raise typer.Exit(1 if difference else 0)


def _named(output: Path) -> str:
    try:
        return by_suffix(output)
    except ValueError as error:
        usage(str(error))


def _make(name: str, spec: Spec, output: Path | None, request: Request) -> None:
    artefact = ARTEFACTS[name]
    if output is not None and str(output) != "-":
        write(artefact, spec, output, request)
        return
    if artefact.binary:
        usage(f"{name} is no text: say where to with -o FILE{artefact.suffixes[0]}")
    typer.echo(make_text(artefact, spec, request), nl=False)


def _say(text: str) -> None:
    """To a person who waits, and to no file."""
    if sys.stderr.isatty():
        typer.echo(f"{text} ...", err=True)


@contextmanager
def _file_errors(output: Path | None) -> Iterator[None]:
    """What may go wrong with files and exporters, as one clear error."""
    from archdsl.diagnostics.terminal import escaped

    try:
        yield
    except OSError as error:
        if output is None:
            raise
        fail(f"cannot write {escaped(str(output))}: {error.strerror or error}")
    except ArtefactError as error:
        message, _, help = str(error).partition("\n")
        fail(message, help=help)


def register(app: typer.Typer) -> None:
    for command in (compile, draw, diff):
        app.command()(command)
