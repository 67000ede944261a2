"""Options and endings that commands share."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from archdsl.cli import completion

if TYPE_CHECKING:
    from archdsl.diagnostics.model import Diagnostic
    from archdsl.pipeline import Spec

BATCH = 2**20  # a number of bytes stays below 2^63, whatever the samples
SPEC_HELP = "A path, a shipped name (resnet50), FILE.arch:MODEL, or - for standard input."

SpecArgument = Annotated[
    str,
    typer.Argument(
        metavar="SPEC", help=SPEC_HELP, show_default=False, autocompletion=completion.specs
    ),
]
ParamOption = Annotated[
    list[str] | None,
    typer.Option("-p", "--param", metavar="NAME=VALUE", help="Set a parameter of the model."),
]
InputOption = Annotated[
    str | None,
    typer.Option(
        "--input",
        metavar="SHAPE",
        help="Replace the model's input shape, such as 3x64x64; of several inputs "
        "image=3x64x64,depth=1x64x64.",
    ),
]
LimitOption = Annotated[
    list[str] | None,
    typer.Option(
        "--limit", metavar="NAME=N", help="Raise a limit: nodes, elements, params, nesting."
    ),
]


def fail(message: str, *, help: str = "", code: int = 1) -> NoReturn:
    """End with one clear error."""
    from archdsl.diagnostics.terminal import paint, use_color

    color = use_color(sys.stderr)
    lines = [paint("error", "error", color) + f": {message}"]
    if help:
        lines.append(paint("help", "help", color) + f": {help}")
    typer.echo("\n".join(lines), err=True, color=color)
    raise typer.Exit(code)


def usage(message: str) -> NoReturn:
    """End with how the command is called; what the message names may be any text."""
    from archdsl.diagnostics.terminal import escaped

    raise typer.BadParameter(escaped(message))


def inputs(text: str | None) -> tuple[int, ...] | dict[str, tuple[int, ...]] | None:
    """`3x64x64` as a shape; `image=3x64x64,depth=1x64x64` as those of several inputs."""
    if text is None or "=" not in text:
        return shape(text)
    found = {}
    for part in text.split(","):
        name, _, sides = part.partition("=")
        found[name.strip()] = shape(sides.strip()) or ()
    return found


def shape(text: str | None) -> tuple[int, ...] | None:
    """`3x64x64` as a shape."""
    if text is None:
        return None
    sides = text.split("x")
    if not all(side.isascii() and side.isdigit() and int(side) > 0 for side in sides):
        usage(f"--input takes a shape such as 3x64x64, not {text!r}")
    return tuple(int(side) for side in sides)


def amount(text: str | None, flag: str) -> int | None:
    """`25M` as a number. k, M, G and T are powers of 1000, Ki, Mi, Gi and Ti those of 1024; a B
    behind them says bytes."""
    if text is None:
        return None
    found = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) *([kKMGT]?)(i?)B?", text)
    if found is None or (found[3] and not found[2]):
        usage(f"{flag} takes a number such as 25M, 4G or 8GiB, not {text!r}")
    power = " KMGT".index(found[2].upper() or " ")
    return int(float(found[1]) * (1024 if found[3] else 1000) ** power)


def pairs(items: Sequence[str] | None, flag: str) -> dict[str, str]:
    """`name=value` items as a dictionary."""
    result: dict[str, str] = {}
    for item in items or ():
        name, equals, value = item.partition("=")
        if not equals or not name or not value:
            usage(f"{flag} takes NAME=VALUE, not {item!r}")
        result[name.strip()] = value
    return result


def spec_from(
    text: str,
    params: Sequence[str] | None,
    input: str | None,
    limits: Sequence[str] | None = None,
    **budgets: int | None,
) -> Spec:
    """The spec that the flags describe."""
    from archdsl.ir.limits import BUDGETS, Limits
    from archdsl.pipeline import open_spec

    raised: dict[str, Any] = {**budgets}
    known = [f.name for f in fields(Limits) if f.name not in BUDGETS]
    for name, value in pairs(limits, "--limit").items():
        if name not in known or not value.isdigit():
            usage(f"--limit takes one of {', '.join(known)} and a whole number, not {name}={value}")
        raised[name] = int(value)
    given = pairs(params, "-p")
    size, allowed = inputs(input), Limits(**raised)
    return open_spec(text, params=given, input=size, limits=allowed, text=False)


@contextmanager
def spec_errors() -> Iterator[None]:
    """Show a spec's errors on standard error and end with code 1."""
    from archdsl.pipeline import SpecError

    try:
        yield
    except SpecError as error:
        show(error.diagnostics, err=True)
        raise typer.Exit(1) from None


def show(diagnostics: Sequence[Diagnostic], *, format: str = "full", err: bool = False) -> None:
    """Print diagnostics as the terminal can show them."""
    from archdsl.diagnostics.formats import FORMATS
    from archdsl.diagnostics.terminal import use_color, use_unicode, width

    stream = sys.stderr if err else sys.stdout
    color = use_color(stream)
    text = FORMATS[format](
        diagnostics, color=color, unicode=use_unicode(stream), width=width(stream)
    )
    typer.echo(text, nl=False, err=err, color=color)  # typer would judge by the terminal alone


def unified(name: str, old: str, new: str) -> str:
    """A diff of two texts, as patch reads it."""
    from difflib import unified_diff

    from archdsl.diagnostics.terminal import escaped

    shown = escaped(name)
    lines = unified_diff(old.splitlines(True), new.splitlines(True), shown, shown)
    return "".join(
        line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines
    )
