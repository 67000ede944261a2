"""CSV files: read line by line, their separator and header found; `csv:PATH` is data of them.

In: a path. Out: a `Table`: column names (the header's, or "1", "2", ... without one) and an
iterator over its rows. Only regular files up to a limit are read.
"""

from __future__ import annotations

import csv
import io
import math
import stat
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import torch

from archdsl.train.data.samples import Tensors
from archdsl.train.data.sources import Source, Wanted
from archdsl.train.errors import TrainError, shown
from archdsl.train.recipe.schema import Data
from archdsl.train.tasks.classify import BINARY

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


def opened(name: str, data: Data, wanted: Wanted) -> Source:
    path = Path(name).expanduser()
    table = open_table(path, data.target)
    names = table.names
    if data.target is not None and data.target not in names:
        raise TrainError(
            f"data.target: {shown(path)} has no column {data.target!r}",
            f"its columns are {shown(*names)}",
        )
    if len(names) < 2:
        raise TrainError(
            f"{shown(path)}: one column only, {names[0]!r}; a sample needs numbers and a target",
            f"columns are divided by a {', '.join(SEPARATORS.values())}",
        )
    target = names.index(data.target) if data.target is not None else len(names) - 1
    x, y, lines = array("f"), list[str](), array("q")
    for line, row in table.rows():
        y.append(row[target].strip())
        lines.append(line)
        x.extend(table.number(line, n, cell) for n, cell in enumerate(row) if n != target)
    if not y:
        raise TrainError(f"{shown(path)}: holds no rows below its header")
    features = torch.frombuffer(x, dtype=torch.float32).reshape(len(y), len(names) - 1)
    columns = tuple(name for n, name in enumerate(names) if n != target)
    made = partial(Source, columns=columns, target=names[target], named=table.named)
    if wanted.regression or _shares(y, data, wanted, path, names[target]):
        values = [table.number(lines[n], target, one) for n, one in enumerate(y)]
        return made(Tensors(features, torch.tensor(values)[:, None]), None)
    classes = tuple(sorted(set(y), key=lambda one: (number(one) is None, number(one) or 0, one)))
    numbers = {name: n for n, name in enumerate(classes)}
    return made(Tensors(features, torch.tensor([numbers[one] for one in y])), None, classes)


def _shares(y: list[str], data: Data, wanted: Wanted, path: Path, column: str) -> bool:
    """Whether a classification's targets are shares from 0 to 1, which bce takes; other numbers
    that are not whole are no classes."""
    values = [number(one) for one in y]
    odd = next((one for one in values if one is not None and one != round_or_none(one)), None)
    if odd is None or any(one is None for one in values):
        return False
    if wanted.loss in BINARY and all(one is not None and 0 <= one <= 1 for one in values):
        return True
    raise TrainError(
        f"{shown(path)}: column {shown(column)} holds numbers such as {odd:g}; "
        f"{wanted.loss} wants classes",
        "--set loss=mse compares numbers; --set data.target=NAME names another column",
    )


def round_or_none(value: float) -> float | None:
    return round(value) if math.isfinite(value) else None
