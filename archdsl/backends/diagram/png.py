"""A picture as PNG, through matplotlib: the very marks of the SVG, text as outlines."""

from __future__ import annotations

import io
from typing import Any

from archdsl.backends.diagram.drawing import Point
from archdsl.backends.diagram.metrics import text_width
from archdsl.backends.diagram.paint import LIGHT, Line, Mark, Picture, Rect, Text, Triangle
from archdsl.backends.diagram.svg import corner_points

#: pixels for each unit of the layout; fewer where the picture would be too large to look at
SCALE, LARGEST = 2.0, 12_000


def to_png(picture: Picture, *, scale: float = SCALE) -> bytes:
    from matplotlib.figure import Figure

    scale = min(scale, LARGEST / max(picture.w, picture.h))
    dpi = 100.0
    figure = Figure(figsize=(picture.w * scale / dpi, picture.h * scale / dpi), dpi=dpi)
    axes: Any = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(0, picture.w)
    axes.set_ylim(picture.h, 0)
    axes.axis("off")
    point = scale * 72 / dpi  # a unit in matplotlib's points
    for order, mark in enumerate(picture.marks):
        for artist in _artists(mark, point):
            artist.set_zorder(order)
            axes.add_patch(artist)
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def _artists(mark: Mark, point: float) -> list[Any]:
    from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon

    match mark:
        case Rect():
            radius = min(mark.radius, mark.w / 2, mark.h / 2)
            style = f"round,pad=0,rounding_size={radius}"
            colour = mark.colour or LIGHT[mark.fill or "card"]
            patch = FancyBboxPatch(
                (mark.x, mark.y),
                mark.w,
                mark.h,
                boxstyle=style,
                mutation_aspect=1,
                facecolor=(colour, 1.0 if mark.fill else mark.tint),
                edgecolor=(colour, mark.edge) if mark.edge else "none",
                linewidth=point,
                linestyle=(0, (4, 3)) if mark.dashed else "solid",
            )
            return [patch]
        case Line():
            line = PathPatch(
                _path(mark.points, mark.radius),
                facecolor="none",
                edgecolor=LIGHT[mark.role],
                linewidth=mark.width * point,
                capstyle="round",
                joinstyle="round",
                linestyle=(0, (4, 3)) if mark.dashed else "solid",
            )
            return [line]
        case Triangle():
            return [Polygon(mark.points, closed=True, facecolor=LIGHT[mark.role], linewidth=0)]
        case Text():
            return _text(mark, point)


def _text(mark: Text, point: float) -> list[Any]:
    """matplotlib's own font, as wide as the SVG's."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.patches import PathPatch
    from matplotlib.textpath import TextPath
    from matplotlib.transforms import Affine2D

    if not mark.text.strip():
        return []
    wanted = text_width(mark.text, mark.size, bold=mark.bold)
    font = FontProperties(family="DejaVu Sans", weight="bold" if mark.bold else "normal")
    path = TextPath((0, 0), mark.text, size=mark.size, prop=font, usetex=False)
    extent = path.get_extents()
    # its letters are wider than Helvetica's, and a little larger
    stretch = wanted / (extent.x1 or 1.0)
    shift = {"start": 0.0, "middle": -wanted / 2, "end": -wanted}[mark.anchor]
    place = (
        Affine2D().scale(stretch, -min(1.0, max(stretch, 0.9))).translate(mark.x + shift, mark.y)
    )
    shape = place.transform_path(path)
    return [PathPatch(shape, facecolor=LIGHT[mark.role], linewidth=0)]


def _path(points: tuple[Point, ...], radius: float) -> Any:
    from matplotlib.path import Path

    vertices, codes = [points[0]], [Path.MOVETO]
    for before, here, after in zip(points, points[1:], points[2:], strict=False):
        enter, leave = corner_points(before, here, after, radius)
        vertices += [enter, here, leave]
        codes += [Path.LINETO, Path.CURVE3, Path.CURVE3]
    vertices.append(points[-1])
    codes.append(Path.LINETO)
    return Path(vertices, codes)
