"""The command that says which inputs a network takes: sizes."""

from __future__ import annotations

import enum
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
from archdsl.text import shape_text

if TYPE_CHECKING:
    from archdsl.sizes import InputSizes, Reason
    from archdsl.sizes.walk import Cause


class SizesFormat(enum.StrEnum):
    text = "text"
    json = "json"


def sizes(
    spec: SpecArgument,
    param: ParamOption = None,
    input: InputOption = None,
    limit: LimitOption = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="HxW", help="Whether it takes this size: exit code 0 or 1."),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the set of H and W: .png, .svg or .pdf."),
    ] = None,
    output_format: Annotated[
        SizesFormat, typer.Option(help="Sentences, or JSON.")
    ] = SizesFormat.text,
) -> None:
    """Which sizes of the input a network takes, once it is built, and which line refuses others.

    The module is built for the declared size, with its weights; in evaluation it is fed another
    one. The answer holds for all sizes: it is computed from the shape rules, not tried. Needs no
    torch, takes milliseconds.

    \b
    Examples:
      archdsl sizes alexnet
      archdsl sizes unet.arch --at 250x333
      archdsl sizes mynet.arch -p width=8 --output-format json
      archdsl sizes lenet5 --plot sizes.png
    """
    with spec_errors():
        program = spec_from(spec, param, input, limit).checked()
    found = program.sizes
    size = None if at is None else _size(at, found)
    refused = size is not None and found.refusal(size)
    if plot is not None:
        _draw(found, plot)
    if output_format is SizesFormat.json:
        typer.echo(json.dumps(_data(found, size), indent=2, ensure_ascii=False))
    else:
        lines = [*_told(found)] if size is None else [*_answer(found, size)]
        typer.echo("\n".join(lines))
    raise typer.Exit(bool(refused))


def _size(text: str, sizes: InputSizes) -> tuple[int, ...]:
    """`250x333`; a single number is a square."""
    sides = text.split("x")
    if all(side.isascii() and side.isdigit() and int(side) > 0 for side in sides):
        given = tuple(map(int, sides))
        if len(given) == 1:
            given *= len(sizes.axes)
        if len(given) == len(sizes.axes) > 0:
            return given
    wanted = "x".join(sizes.letters)
    if not wanted:
        usage(f"--at: an input of {shape_text(sizes.program.input_shape)} has no other size")
    return usage(f"--at takes {wanted}, such as {shape_text(sizes.declared)}, not {text!r}")


def _draw(sizes: InputSizes, path: Path) -> None:
    from archdsl.sizes.plot import plot

    try:
        plot(sizes, path)
    except ValueError as error:
        usage(f"--plot: {error}")
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror}")


def _told(sizes: InputSizes) -> list[str]:
    others = sizes.others()
    first = f"{next(iter(sizes.program.inputs))} " if others else ""
    lines = [f"{sizes.program.name} takes {first}{sizes.describe()}"]
    lines += [f"  with {name} {text}" for name, text in others.items()]
    reasons = sizes.reasons()
    width = max((len(r.clause) for r in reasons), default=0)
    lines += [f"  {r.clause:{width}}  from {_from(r.cause)}: {_why(r)}" for r in reasons]
    if not sizes.single and sizes.axes:
        lines.append(f"smallest: {shape_text(sizes.smallest())}")
    if not sizes.exact:
        lines.append("it may take more: not every rule could be followed for all sizes")
    return lines


def _answer(sizes: InputSizes, size: tuple[int, ...]) -> list[str]:
    name, shown = sizes.program.name, shape_text(size)
    cause = sizes.refusal(size)
    if cause is None:
        outputs = sizes.outputs(size)
        given = ", ".join(
            shape_text(shape) if len(outputs) == 1 else f"{output} {shape_text(shape)}"
            for output, shape in outputs.items()
        )
        return [f"{name} takes {shown}, and gives {given}"]
    near = ", ".join(map(shape_text, sizes.nearest(size)))
    return [
        f"{name} does not take {shown}: {cause.message}",
        f"  from {_from(cause)}",
        f"nearest: {near}",
    ]


def _why(reason: Reason) -> str:
    return f"at {shape_text(reason.at)} {reason.why}"


def _from(cause: Cause) -> str:
    """The step and its place; behind it the place in the model's own file that leads there."""
    inner, *outer = cause.spans
    place = _place(inner)
    calls = [span for span in outer if span.source is not inner.source]
    if calls:
        place += f", called at {_place(calls[0])}"
    return f"`{cause}`, {place}"


def _place(span: Any) -> str:
    return f"{Path(span.source.name).name}:{span.source.position(span.start)[0]}"


def _data(sizes: InputSizes, size: tuple[int, ...] | None) -> dict[str, Any]:
    from archdsl.sizes.words import show

    program = sizes.program
    data: dict[str, Any] = {
        "model": program.name,
        "input": shape_text(program.input_shape),
        "takes": sizes.describe(),
        **({"others": sizes.others()} if len(program.inputs) > 1 else {}),
        "exact": sizes.exact,
        "single": sizes.single,
        "smallest": list(sizes.smallest()),
        "boxes": sizes.described_boxes(),
        "formulas": [show(demand.cond) for demand in sizes.formulas],
        "bounds": [_bound(r) for r in sizes.reasons()],
    }
    if size is not None:
        cause = sizes.refusal(size)
        data["at"] = {"size": list(size), "taken": cause is None}
        if cause is None:
            data["at"]["outputs"] = {k: list(v) for k, v in sizes.outputs(size).items()}
        else:
            data["at"] |= _caused(cause, cause.message)
            data["at"]["nearest"] = [list(near) for near in sizes.nearest(size)]
    return data


def _bound(reason: Reason) -> dict[str, Any]:
    caused = _caused(reason.cause, reason.why)
    return {"clause": reason.clause, **caused, "refused": list(reason.at)}


def _caused(cause: Cause, why: str) -> dict[str, Any]:
    span = cause.span
    line = span.source.position(span.start)[0]
    return {"step": str(cause), "file": span.source.name, "line": line, "why": why}


def register(app: typer.Typer) -> None:
    app.command()(sizes)
