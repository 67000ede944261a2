"""Commands for writing specs: fmt, new, explain, lsp."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archdsl.cli import completion
from archdsl.cli.options import fail, show, unified, usage

if TYPE_CHECKING:
    from archdsl.diagnostics.model import Diagnostic


def fmt(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Files, folders (all .arch files below), or - for standard input.",
            show_default=False,
        ),
    ],
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit code 1 where something would be.")
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Write nothing; show what would change, code as --check.")
    ] = False,
) -> None:
    """Format specs in the one style. Comments stay, and so does what the spec says.

    A file with a syntax error is left as it is: exit code 1, as where --check or --diff find work.

    \b
    Examples:
      archdsl fmt mynet.arch
      archdsl fmt --check specs
      archdsl fmt - < mynet.arch
    """
    from archdsl.diagnostics.terminal import escaped
    from archdsl.files import write_atomic

    if "-" in paths and len(paths) > 1:
        usage("- stands alone")
    errors: list[Diagnostic] = []
    changed = same = 0
    for path in (None,) if paths == ["-"] else specs_in(paths):
        name, old, new, problems = _formatted(path)
        errors += problems
        if new is None:
            continue
        if diff:
            typer.echo(unified(name, old, new), nl=False)
        if path is None and not (check or diff):
            typer.echo(new, nl=False)
        changed, same = changed + (old != new), same + (old == new)
        if old == new or path is None:
            continue
        if check:
            typer.echo(f"would reformat {escaped(name)}")
        elif not diff:
            try:
                write_atomic(path, new)
            except OSError as error:
                fail(f"cannot write {escaped(name)}: {error.strerror}")
            typer.echo(f"reformatted {escaped(name)}")
    if errors:
        show(errors, err=True)
    if paths != ["-"]:
        typer.echo(_count(changed, same, would=check or diff), err=diff)
    raise typer.Exit(bool(errors) or (changed > 0 and (check or diff)))


def specs_in(paths: list[str]) -> Iterator[Path]:
    """The files of these names, each once; those in hidden folders are passed over."""
    seen: set[Path] = set()
    for path in map(Path, paths):
        found = [path]
        if path.is_dir():
            inside = sorted(path.rglob("*.arch"))
            found = [p for p in inside if not any(s[0] == "." for s in p.relative_to(path).parts)]
        for file in found:
            if file.resolve() not in seen:
                seen.add(file.resolve())
                yield file


def _formatted(path: Path | None) -> tuple[str, str, str | None, list[Diagnostic]]:
    """A spec's name, its text as it is and as it should be, and why there is no such."""
    from archdsl.loading import read
    from archdsl.pipeline import open_spec
    from archdsl.syntax.format import format

    if path is None:
        spec = open_spec("-")
        source, problems = spec.source, list(spec.found)
        old = source.text
    else:
        source, problems = read(path)
        old = path.read_bytes().decode("utf-8", "replace") if not problems else ""
    if problems:
        return source.name, old, None, problems
    new, problems = format(source)
    if new is not None and "\r\n" in old:  # a file keeps its line ends
        new = new.replace("\n", "\r\n")
    return source.name, old, new, problems


def _count(changed: int, same: int, *, would: bool) -> str:
    parts = []
    if changed:
        files = "1 file" if changed == 1 else f"{changed} files"
        parts.append(f"{files} {'would be reformatted' if would else 'reformatted'}")
    if same or not changed:
        files = "1 file" if same == 1 else f"{same} files"
        parts.append(f"{files} already formatted")
    return ", ".join(parts)


def explain(
    code: Annotated[
        str | None,
        typer.Argument(
            help="A code, such as E0203.", show_default=False, autocompletion=completion.codes
        ),
    ] = None,
) -> None:
    """What a diagnostic means, with an example of the mistake and of its cure; all, without a code.

    \b
    Examples:
      archdsl explain
      archdsl explain E0203
    """
    from archdsl.explain import find, index, page

    if code is None:
        typer.echo(index())
        return
    found = find(code)
    if found is None:
        fail(f"there is no diagnostic `{code}`", help="`archdsl explain` lists them")
    typer.echo(page(found))


def new(
    name: Annotated[
        str, typer.Argument(help="What to call it; a path puts it there.", show_default=False)
    ],
    like: Annotated[
        str | None,
        typer.Option(
            "--like",
            metavar="SPEC",
            help="Begin with a variant of a shipped spec (resnet50).",
            autocompletion=completion.shipped_specs,
        ),
    ] = None,
) -> None:
    """Start a spec and its training recipe: NAME.arch and NAME.yaml, which check and train as they
    are (a small residual network on scikit-learn's digits).

    \b
    Examples:
      archdsl new mynet
      archdsl new mynet --like resnet50
    """
    from archdsl.diagnostics.terminal import escaped, typed
    from archdsl.files import write_atomic
    from archdsl.new import CannotStart
    from archdsl.new import new as texts_of

    try:
        files = texts_of(name, like)
    except CannotStart as error:
        fail(escaped(error.message), help=error.help)
    for path in files:
        if path.exists():
            fail(
                f"{escaped(str(path))} is there already",
                help="choose another name; nothing is written",
            )
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, text)
    except OSError as error:
        fail(f"cannot write {escaped(str(error.filename or name))}: {error.strerror}")
    spec, recipe = files
    typer.echo(f"Wrote {escaped(str(spec))} and {escaped(str(recipe))}. What next:\n")
    typer.echo(f"  archdsl check {typed(spec)} --shapes\n  archdsl train {typed(spec)}")


def lsp() -> None:
    """The language server for editors, on standard input and output.

    Needs the extra `archdsl[lsp]`. Editors start it; the guide (specs/README.md) says how.
    """
    try:
        from archdsl.editor.server import serve
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("pygls", "lsprotocol"):
            raise
        fail("the language server needs pygls", help='pip install "archdsl[lsp]"', code=2)
    if sys.stdin.isatty():
        fail("an editor starts this: it speaks the language server protocol, not with people")
    serve()


def register(app: typer.Typer) -> None:
    for command in (fmt, new, explain, lsp):
        app.command()(command)
