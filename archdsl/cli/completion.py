"""What the shell offers for an argument (Tab); Typer drops what does not begin as the word does.

Nothing heavy is imported: the shell waits.
"""

from __future__ import annotations

from pathlib import Path


def specs(incomplete: str) -> list[str]:
    """The shipped specs, the .arch files here, and the folders that may hold some."""
    folder, slash, _ = incomplete.rpartition("/")
    names = [] if slash else shipped_specs()
    for path in sorted(Path(folder + slash).glob("[!.]*")):
        if path.suffix == ".arch" or path.is_dir():
            names.append(folder + slash + path.name + "/" * path.is_dir())
    return names


def shipped_specs() -> list[str]:
    from archdsl.pipeline import shipped

    return shipped()


def operators() -> list[str]:
    from archdsl.ops import TABLE

    return list(TABLE)


def codes() -> list[str]:
    from archdsl.diagnostics.examples import EXAMPLES  # every code has one

    return list(EXAMPLES)
