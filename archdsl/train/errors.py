"""The one exception of the training part."""

from __future__ import annotations

import os

from archdsl.diagnostics.terminal import escaped


class TrainError(Exception):
    """A problem that a person can mend: what is wrong, and what to do about it.

    `str()` of it is what the command line prints, without a traceback.
    """

    def __init__(self, message: str, help: str = "") -> None:
        self.message = message
        self.help = help
        super().__init__(f"{message}\nhelp: {help}" if help else message)

    def __reduce__(self) -> tuple[type[TrainError], tuple[str, str]]:
        return TrainError, (self.message, self.help)


def shown(*names: object) -> str:
    """Paths and names as they may be printed: a file's or a column's name may hold anything."""
    return ", ".join(escaped(str(name)) for name in names)


def is_first() -> bool:
    """Whether this process speaks for all those that a launcher started."""
    return os.environ.get("RANK", "0") == "0"


def told_by_first(text: str) -> None:
    """A line that all of torchrun's processes would print, printed once."""
    if is_first():
        print(text, flush=True)
