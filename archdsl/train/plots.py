"""The pictures of a run folder, drawn without a display and without matplotlib's global state."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#2a6fbb", "#e07b39", "#888888"


def plot_curves(history: Sequence[dict[str, Any]], path: Path) -> None:
    """Loss, accuracy (where there are classes), and learning rate over the epochs."""
    classes = any(row["test_accuracy"] is not None for row in history)
    figure = Figure(figsize=(13 if classes else 9, 3.6), layout="constrained")
    axes = list(figure.subplots(1, 3 if classes else 2))
    panels = [("loss", "train_loss", "test_loss")]
    if classes:
        panels.append(("accuracy (%)", "train_accuracy", "test_accuracy"))
    for axis, (title, train, test) in zip(axes, panels, strict=False):
        for key, label, color in ((train, "train", BLUE), (test, "test", ORANGE)):
            factor = 100 if "accuracy" in key else 1
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
    for axis in axes:
        axis.set_xlabel("epoch")
        axis.grid(alpha=0.25)
    _save(figure, path)


def plot_confusion(confusion: Sequence[Sequence[int]], classes: Sequence[str], path: Path) -> None:
    """Rows are the true classes, columns the answers, each row in percent of its samples."""
    size = min(12.0, 3 + 0.45 * len(classes))
    figure = Figure(figsize=(size, size), layout="constrained")
    axis = figure.subplots()
    shares = [[100 * n / max(1, sum(row)) for n in row] for row in confusion]
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    if len(classes) <= 40:
        axis.set_xticks(range(len(classes)), classes, rotation=90)
        axis.set_yticks(range(len(classes)), classes)
    if len(classes) <= 15:
        for i, row in enumerate(confusion):
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
    figure = Figure(figsize=(10, 0.4 + 1.9 * -(-len(titles) // 6)), layout="constrained")
    axes = figure.subplots(-(-len(titles) // 6), 6, squeeze=False).flatten()
    for axis in axes:
        axis.axis("off")
    for axis, image, title, good in zip(axes, images, titles, right, strict=False):
        pixels = image.permute(1, 2, 0).numpy()
        axis.imshow(
            pixels[..., 0] if pixels.shape[-1] == 1 else pixels, cmap="gray", vmin=0, vmax=255
        )
        axis.set_title(title, fontsize=8, color="black" if good else ORANGE)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    new = path.with_name(f".{path.name}")
    figure.savefig(new, dpi=110, format="png")
    new.replace(path)
