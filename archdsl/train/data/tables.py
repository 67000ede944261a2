"""CSV files: read line by line, their separator and header found.

In: a path. Out: a `Table`: column names (the header's, or "1", "2", ... without one) and an
iterator over its rows. Only regular files up to a limit are read.
"""

from __future__ import annotations

import csv
import io
import math
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from archdsl.train.errors import TrainError, shown

CSV_BYTES = 2**30
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
LOOK = 50  # rows that the separator and the header are told from


@dataclass(frozen=True)
class Table:
    path: Path
    names: tuple[str, ...]
    named: bool  # whether the first line holds the names
    separator: str

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Line number and cells of each row that is not empty, the header left out."""
        first = True
        for line, row in _rows(self.path, self.separator):
            if first and self.named:
                first = False
                continue
            first = False
            if len(row) != len(self.names):
                wrong = f"{len(row)} columns, not {len(self.names)}"
                raise TrainError(f"{shown(self.path)}:{line}: {wrong}")
            yield line, row

    def number(self, line: int, column: int, text: str) -> float:
        value = number(text)
        if value is None or not math.isfinite(value):
            comma = _loosely(text) is not None
            raise TrainError(
                f"{shown(self.path)}:{line}: column {shown(self.names[column])}: "
                f"{text.strip()!r} is not a number" + (" (write 1.5 for 1,5)" if comma else "")
            )
        return value


def open_table(path: Path, target: str | None = None) -> Table:
    """The file's table. `target` may be text in every row and so tells nothing of a header; the
    last column is it by default."""
    _regular(path)
    start = _first_lines(path)
    separator = max(SEPARATORS, key=lambda one: _score(start, one))
    rows = [row for _, row in islice(_rows(path, separator), LOOK)]
    if not rows:
        raise TrainError(f"{shown(path)}: holds no rows")
    first, rest = [cell.strip() for cell in rows[0]], rows[1:]
    at = first.index(target) if target in first else len(first) - 1
    features = [cell for n, cell in enumerate(first) if n != at] or first
    named = any(_loosely(cell) is None for cell in features)
    if not named and number(first[at]) is None and rest:  # columns such as 2019, 2020, kind
        named = all(len(row) == len(first) and number(row[at]) is not None for row in rest)
    names = tuple(first) if named else tuple(str(n + 1) for n in range(len(first)))
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise TrainError(f"{shown(path)}: two columns are named {twice!r}", "name each differently")
    return Table(path, names, named, separator)


def number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _loosely(text: str) -> float | None:
    """A number with a decimal comma too."""
    return number(text.replace(",", ".", 1))


def _score(lines: Sequence[str], separator: str) -> tuple[bool, float]:
    """How well a separator divides the lines: into rows of one length, with many numbers."""
    try:
        rows = [row for row in csv.reader(lines, delimiter=separator) if row]
    except csv.Error:
        return False, 0
    even = bool(rows) and len(rows[0]) > 1 and len({len(row) for row in rows}) == 1
    cells = sum(_loosely(cell) is not None for row in rows for cell in row)
    return even, cells


def _regular(path: Path) -> None:
    """A device or a FIFO has no end."""
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise TrainError(f"{shown(path)}: cannot be read: {reason}") from None
    if not stat.S_ISREG(found.st_mode):
        raise TrainError(f"{shown(path)}: cannot be read: not a regular file")
    if found.st_size > CSV_BYTES:
        raise TrainError(
            f"{shown(path)}: {found.st_size / 2**30:.1f} GiB; a table is held in memory and may "
            f"have {CSV_BYTES / 2**30:g} GiB",
            "hand it over as a Dataset of your own: --data file.py:NAME",
        )


def _first_lines(path: Path) -> list[str]:
    with _problems(path) as file:
        return [line for line in islice(file, LOOK) if line.strip()]


def _rows(path: Path, separator: str) -> Iterator[tuple[int, list[str]]]:
    with _problems(path) as file:
        reader = csv.reader(file, delimiter=separator)
        for row in reader:
            if any(cell.strip() for cell in row):
                yield reader.line_num, row


class _problems:
    """The open file; what goes wrong while it is read is a `TrainError`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> io.TextIOWrapper:
        try:
            self.file = self.path.open(newline="", encoding="utf-8-sig")
        except OSError as error:
            raise TrainError(f"{shown(self.path)}: cannot be read: {error.strerror}") from None
        return self.file

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self.file.close()
        if isinstance(error, UnicodeDecodeError):
            raise TrainError(
                f"{shown(self.path)}: cannot be read: not UTF-8 text", "save it as CSV UTF-8"
            ) from None
        if isinstance(error, OSError | csv.Error):
            reason = error.strerror if isinstance(error, OSError) else error
            raise TrainError(f"{shown(self.path)}: cannot be read: {reason}") from None
