"""The pictures of a run folder, drawn without a display and without matplotlib's global state."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from archdsl.diagnostics.terminal import escaped
from archdsl.files import write_atomic
from archdsl.train.tasks.task import TEST, TRAIN

BLUE, ORANGE, GREY = "#2a6fbb", "#e07b39", "#888888"


def plot_curves(history: Sequence[dict[str, Any]], panel: str | None, path: Path) -> None:
    write_atomic(path, draw_curves(history, panel))


def draw_curves(history: Sequence[dict[str, Any]], panel: str | None) -> bytes:
    """Loss, the task's figure in percent (where it has one), and learning rate over the epochs: a
    PNG."""
    figure = Figure(figsize=(13 if panel else 9, 3.6))
    figure.subplots_adjust(left=0.06, right=0.98, bottom=0.14, top=0.9)
    axes = list(figure.subplots(1, 3 if panel else 2))
    panels = [("loss", "train_loss", "test_loss")]
    if panel:
        panels.append((panel, TRAIN, TEST))
    for axis, (title, train, test) in zip(axes, panels, strict=False):
        for key, label, color in ((train, "train", BLUE), (test, "test", ORANGE)):
            factor = 1 if key.endswith("loss") else 100
            points = [(row["epoch"], row[key] * factor) for row in history if row[key] is not None]
            style = "o-" if len(points) <= 30 else "-"
            axis.plot(
                *zip(*points, strict=True) if points else ((), ()),
                style,
                ms=3,
                color=color,
                label=label,
            )
        axis.set_title(title)
        axis.legend(frameon=False)
    axes[-1].plot([row["epoch"] for row in history], [row["lr"] for row in history], color=GREY)
    axes[-1].set_title("learning rate")
    axes[-1].set_ylim(bottom=0)
    for axis in axes:
        axis.set_xlabel("epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.25)
    return _png(figure)


def plot_table(counts: Sequence[Sequence[int]], titles: Sequence[str], path: Path) -> None:
    """Rows are what is true, columns the answers, each row in percent of its samples."""
    size = min(12.0, 3 + 0.45 * len(titles))
    figure = Figure(figsize=(size, size))
    figure.subplots_adjust(left=0.2, right=0.98, bottom=0.2, top=0.98)
    axis = figure.subplots()
    shares = [[100 * n / max(1, sum(row)) for n in row] for row in counts]
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    if len(titles) <= 40:
        names = list(map(_plain, titles))
        axis.set_xticks(range(len(titles)), names, rotation=90)
        axis.set_yticks(range(len(titles)), names)
    if len(titles) <= 15:
        for i, row in enumerate(counts):
            for j, n in enumerate(row):
                if n:
                    axis.text(
                        j,
                        i,
                        str(n),
                        ha="center",
                        va="center",
                        fontsize=8,
                        color="white" if shares[i][j] > 50 else "black",
                    )
    axis.set_xlabel("answered")
    axis.set_ylabel("true")
    _save(figure, path)


def plot_samples(images: Any, titles: Sequence[str], right: Sequence[bool], path: Path) -> None:
    """Test images (uint8 NxCxHxW) with the answers, wrong ones in colour."""
    wide = 6
    rows = -(-len(titles) // wide)
    height, width = images.shape[-2:]
    gap = height // 4 + 1  # for the text above each image
    figure = Figure(figsize=(10, 10 * rows * (height + gap) / (wide * width)))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.axis("off")
    axis.set_xlim(0, wide * width)
    axis.set_ylim(rows * (height + gap), 0)
    for number, (image, title, good) in enumerate(zip(images, titles, right, strict=False)):
        left, top = number % wide * width, number // wide * (height + gap) + gap
        pixels = image.permute(1, 2, 0).expand(-1, -1, 3).numpy()
        axis.imshow(pixels, extent=(left, left + width * 0.95, top + height * 0.95, top))
        axis.text(
            left, top - gap * 0.2, _plain(title), fontsize=9, color="black" if good else ORANGE
        )
    _save(figure, path)


def _plain(name: str) -> str:
    """A name as it is drawn, not taken for a formula."""
    return escaped(name).replace("$", r"\$")


def _save(figure: Figure, path: Path) -> None:
    write_atomic(path, _png(figure))


def _png(figure: Figure) -> bytes:
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=110, format="png")
    return drawn.getvalue()
