"""`archdsl`: the commands together."""

from __future__ import annotations

import contextlib
import gc
import os
import platform
import sys
from typing import Annotated

import typer

from archdsl._version import __version__
from archdsl.cli import artefacts, bring, inspect, sizes, train, write
from archdsl.diagnostics.terminal import escaped

app = typer.Typer(
    name="archdsl",
    help="A compiler for neural networks: check, summarise, compile and train .arch specs.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"archdsl {__version__} (Python {platform.python_version()}, {_torch()})")
        raise typer.Exit


def _torch() -> str:
    """Its version, without importing it."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"torch {version('torch')}"
    except PackageNotFoundError:
        return "no torch"


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the versions.")
    ] = False,
) -> None:
    pass


inspect.register(app)
sizes.register(app)
artefacts.register(app)
bring.register(app)
train.register(app)
write.register(app)


def _open_streams() -> None:
    """Somewhere to write to, whatever it is, and no character that it has no code for."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed: `>&-`
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _close_output() -> None:
    """What is left in the buffer goes nowhere, so that Python's end does not fail on it too."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> None:
    """The console script."""
    # Typer builds every command it knows, which takes longer than to check a spec
    if named := [command for command in app.registered_commands if command.name in sys.argv[1:2]]:
        app.registered_commands = named
    _open_streams()
    try:
        app()
        sys.stdout.flush()
    except BrokenPipeError:  # `archdsl ops | head`
        _close_output()
        sys.exit(141)
    except OSError as error:  # a full disk behind standard output, a working folder that is gone
        _close_output()
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {escaped(where + (error.strerror or str(error)))}", file=sys.stderr)
        sys.exit(1)
    finally:
        if "torch" not in sys.modules:
            gc.freeze()  # or Python looks for cycles once more at its end, for a fifth of the time


if __name__ == "__main__":
    main()
