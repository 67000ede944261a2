"""Commands that look at specs: check, summary, specs, ops."""

from __future__ import annotations

import enum
import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archdsl.cli import completion
from archdsl.cli.options import (
    BATCH,
    SPEC_HELP,
    InputOption,
    LimitOption,
    ParamOption,
    SpecArgument,
    amount,
    fail,
    show,
    spec_errors,
    spec_from,
    unified,
    usage,
)
from archdsl.text import did_you_mean, inputs_text

if TYPE_CHECKING:
    from archdsl.diagnostics.model import Diagnostic
    from archdsl.diagnostics.select import Selection
    from archdsl.pipeline import Spec


class Format(enum.StrEnum):
    full = "full"
    concise = "concise"
    json = "json"
    github = "github"
    sarif = "sarif"


class TableFormat(enum.StrEnum):
    table = "table"
    json = "json"


def check(
    specs: Annotated[
        list[str],
        typer.Argument(
            metavar="SPEC...",
            help=SPEC_HELP,
            show_default=False,
            autocompletion=completion.specs,
        ),
    ],
    param: ParamOption = None,
    input: InputOption = None,
    limit: LimitOption = None,
    shapes: Annotated[
        bool, typer.Option("--shapes", help="Show every layer's shape, reach and cost.")
    ] = False,
    max_params: Annotated[
        str | None, typer.Option(metavar="N", help="At most so many parameters: 25M.")
    ] = None,
    max_macs: Annotated[
        str | None, typer.Option(metavar="N", help="At most so many multiply-accumulates: 4G.")
    ] = None,
    max_memory: Annotated[
        str | None, typer.Option(metavar="BYTES", help="At most so much to train: 8G, 8GiB.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, max=BATCH, help="The batch of --max-memory.")] = 1,
    output_format: Annotated[Format, typer.Option(help="How to show what is found.")] = Format.full,
    select: Annotated[
        list[str] | None, typer.Option(metavar="CODES", help="Show these alone: W, E02, W0001, ...")
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(metavar="CODES", help="Show all but these.")
    ] = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Mend in the files what can be mended safely.")
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Write nothing; show what --fix would change.")
    ] = False,
    error_on_warning: Annotated[
        bool, typer.Option("--error-on-warning", help="Exit code 1 for warnings, too.")
    ] = False,
) -> None:
    """Check specs: syntax, names, arguments and every shape. Needs no torch, takes milliseconds.

    A file's models are all checked, and a folder's files.

    Exit code 0: no errors; 1: errors; 2: wrong usage. CODES are codes, beginnings of codes, slugs
    or ALL, separated by commas; of --select and --ignore the longer decides. An error that is not
    shown still counts. `# archdsl: ignore W0002` behind a line hides a warning there.

    \b
    Examples:
      archdsl check specs/resnet50.arch
      archdsl check mynet.arch -p classes=10 --input 3x64x64 --shapes
      archdsl check specs/*.arch --output-format github --error-on-warning
      archdsl check mynet.arch --max-params 25M --max-macs 4G --max-memory 8GiB --batch 64
      archdsl check mynet.arch --fix --ignore W0003,unused-tap
    """
    from archdsl.diagnostics.formats import summary
    from archdsl.reports.table import shape_table

    chosen = _selection(select, ignore)
    budgets = {
        "max_params": amount(max_params, "--max-params"),
        "max_macs": amount(max_macs, "--max-macs"),
        "max_memory": amount(max_memory, "--max-memory"),
        "batch": batch,
    }
    found: list[Diagnostic] = []
    mended: list[Diagnostic] = []
    tables = []
    for text in _files(specs):
        spec = spec_from(text, param, input, limit, **budgets)
        if fix or diff:
            spec, done = _mend(spec, chosen, write=not diff)
            mended += done
        found.extend(spec.every.diagnostics)
        if shapes:
            tables += [shape_table(program) for program in spec.every.programs.values()]
    shown = list(filter(chosen, found))
    hidden = sum(d.severity == "error" for d in found) - sum(d.severity == "error" for d in shown)
    failed = bool(hidden) or any(d.severity == "error" or error_on_warning for d in shown)
    if diff:
        typer.echo(f"{len(mended)} would be mended. {summary(shown, 0, hidden)}", err=True)
        raise typer.Exit(failed or bool(mended))
    show(shown, format=output_format.value)
    if output_format is Format.full:
        for table in tables:
            typer.echo(table)
    if output_format in (Format.full, Format.concise):
        typer.echo(("\n" if shown else "") + summary(shown, len(mended), hidden))
    elif hidden:
        typer.echo(summary(shown, len(mended), hidden), err=True)
    raise typer.Exit(failed)


def _files(specs: list[str]) -> Iterator[str]:
    """The specs named, and for a folder those in it."""
    from archdsl.cli.write import specs_in

    for text in specs:
        if not os.path.isdir(text):
            yield text
            continue
        inside = [str(path) for path in specs_in([text])]
        if not inside:
            usage(f"{text} holds no .arch file")
        yield from inside


def _selection(select: list[str] | None, ignore: list[str] | None) -> Selection:
    from archdsl.diagnostics.select import Selection

    both = (
        [w.strip() for text in given or () for w in text.split(",")] for given in (select, ignore)
    )
    try:
        return Selection(*both)
    except ValueError as error:
        usage(str(error))


def _mend(spec: Spec, chosen: Selection, *, write: bool) -> tuple[Spec, list[Diagnostic]]:
    """The spec with its safe fixes applied, in its file or in a diff on standard output."""
    from archdsl.diagnostics.formats import concise
    from archdsl.diagnostics.terminal import escaped
    from archdsl.fix import fixed, save

    name, old = spec.source.name, spec.source.text
    if name.startswith("<"):
        usage("--fix and --diff need a file")
    spec, mended = fixed(spec, chosen)
    if mended and not write:
        typer.echo(unified(name, old, spec.source.text), nl=False)
    elif mended:
        try:
            save(spec.source)
        except OSError as error:
            fail(f"cannot write {escaped(name)}: {error.strerror}")
        for line in concise(mended).splitlines():
            typer.echo(f"fixed {line.replace(' [*]', '', 1)}", err=True)
    return spec, mended


def summary(
    spec: SpecArgument,
    param: ParamOption = None,
    input: InputOption = None,
    limit: LimitOption = None,
    depth: Annotated[int, typer.Option(min=1, help="How deep to open the blocks.")] = 3,
    batch: Annotated[
        int, typer.Option(min=1, max=BATCH, help="Batch size of the shapes shown.")
    ] = 1,
    format: Annotated[TableFormat, typer.Option(help="A table, or JSON.")] = TableFormat.table,
) -> None:
    """torchinfo's table of the compiled module, on the meta device: no memory, no weights.

    \b
    Examples:
      archdsl summary resnet50
      archdsl summary specs/vgg16.arch --depth 1 --batch 32
      archdsl summary mynet.arch -p classes=10 --format json
    """
    from archdsl.runtime.summary import summarise

    with spec_errors():
        program = spec_from(spec, param, input, limit).checked()
    table, data = summarise(program, depth=depth, batch=batch)
    typer.echo(json.dumps(data, indent=2) if format is TableFormat.json else table)


def specs(
    format: Annotated[TableFormat, typer.Option(help="A table, or JSON.")] = TableFormat.table,
) -> None:
    """List the shipped specs, with their input, parameters and multiply-accumulates.

    \b
    Examples:
      archdsl specs
      archdsl specs --format json
    """
    from archdsl.pipeline import open_spec, shipped
    from archdsl.reports.table import rows

    entries: list[dict[str, Any]] = []
    for name in shipped():
        program = open_spec(name).program
        if program is not None:
            size = inputs_text(program.inputs)
            sizes = {"params": program.params, "macs": program.macs}
            entries.append({"name": name, "input": size, **sizes})
    if format is TableFormat.json:
        typer.echo(json.dumps(entries, indent=2))
        return
    lines = [["name", "input", "params", "MACs"]]
    lines += [[e["name"], e["input"], f"{e['params']:,}", f"{e['macs']:,}"] for e in entries]
    typer.echo(rows(lines, right=(2, 3)))


def ops(
    name: Annotated[
        str | None,
        typer.Argument(
            help="One operator, in full.",
            show_default=False,
            autocompletion=completion.operators,
        ),
    ] = None,
) -> None:
    """The operators: all in a line each, or one with its arguments and an example.

    \b
    Examples:
      archdsl ops
      archdsl ops conv
    """
    from archdsl.names.foreign import similar
    from archdsl.ops import TABLE
    from archdsl.ops.manual import index, page

    if name is None:
        typer.echo(index())
    elif name in TABLE:
        typer.echo(page(TABLE[name]))
    else:
        near = similar(name, TABLE)
        fail(
            f"there is no operator `{name}`",
            help=did_you_mean(near, "`archdsl ops` lists them"),
        )


def register(app: typer.Typer) -> None:
    for command in (check, summary, specs, ops):
        app.command()(command)
