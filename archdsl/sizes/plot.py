"""A picture of the sizes that a network takes: H upwards, W to the right."""

from __future__ import annotations

from pathlib import Path

from archdsl.ir import expr as e
from archdsl.sizes.result import InputSizes

LEAST, MOST, WITH_FORMULAS = 64, 640, 160  # sides that are drawn
COLORS = "#e9e9ee", "#3a6ea5"


def plot(sizes: InputSizes, path: Path) -> None:
    """Write the picture, in the format that the file's name says. Raises ValueError where the
    input is no C×H×W or the format is unknown, and OSError."""
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure

    if sizes.letters != ("H", "W"):
        raise ValueError("a picture shows H and W: the input must be C×H×W")
    side = drawn(sizes)
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.subplots()
    edges = (0.5, side + 0.5) * 2
    axes.imshow(
        grid(sizes, side), ListedColormap(COLORS), vmin=0, vmax=1, origin="lower", extent=edges
    )
    height, width = sizes.declared
    axes.plot(width, height, "o", color="#d1495b", label=f"declared, {height}x{width}")
    axes.set(xlabel="W", ylabel="H", title=f"{sizes.program.name}: the sizes that it takes")
    axes.legend(loc="upper left")
    figure.savefig(path)


def drawn(sizes: InputSizes) -> int:
    """The largest side to draw: twice the declared one, and all that is bounded."""
    ends = [len(s.early) for box in sizes.boxes for s in box]
    most = WITH_FORMULAS if sizes.formulas else MOST
    wanted = max(LEAST, 2 * max(sizes.declared), *(end + 8 for end in ends if end < most))
    return max(min(wanted, most), *sizes.declared)


def grid(sizes: InputSizes, side: int) -> list[list[int]]:
    """For each H from 1 to `side` a row: which W are taken."""
    rows = [[0] * side for _ in range(side)]
    for box in sizes.boxes:
        high, wide = (s.first(side) for s in box)
        for row in (row for row, taken in zip(rows, high, strict=True) if taken):
            row[:] = [int(old or taken) for old, taken in zip(row, wide, strict=True)]
    conds = [demand.cond for demand in sizes.formulas]
    for h, row in enumerate(rows, 1):
        for w, taken in enumerate(row, 1):
            if taken and conds:
                row[w - 1] = int(all(map(e.At((h, w)), conds)))
    return rows
