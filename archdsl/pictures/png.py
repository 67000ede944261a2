"""A picture as PNG, through matplotlib's renderer: the very marks of the SVG, text as outlines.

Straight to the renderer, without matplotlib's figures: a picture may have a hundred thousand marks.
"""

from __future__ import annotations

import io
import math
from functools import cache
from typing import Any

from archdsl.pictures.drawing import Point
from archdsl.pictures.metrics import text_width
from archdsl.pictures.paint import LIGHT, Line, Mark, Picture, Rect, Text, Triangle
from archdsl.pictures.svg import corner_points
from archdsl.runtime.errors import ArtefactError

#: pixels for each unit of the layout; fewer where the picture would be too large to hold
SCALE, LARGEST, MOST_PIXELS = 2.0, 16_000, 25e6
#: below it nobody can read the text
LEAST = 0.5


def to_png(picture: Picture, *, scale: float = SCALE) -> bytes:
    from matplotlib.backends import backend_agg
    from PIL import Image

    fits = min(LARGEST / max(picture.w, picture.h), math.sqrt(MOST_PIXELS / picture.w / picture.h))
    if fits < LEAST:
        raise ArtefactError(
            f"{picture.title}: {picture.w:,.0f} x {picture.h:,.0f} is too large for a PNG that one "
            "can read\nwrite a .svg, in which one can zoom"
        )
    scale = min(scale, fits)
    width, height = math.ceil(picture.w * scale), math.ceil(picture.h * scale)
    agg: Any = backend_agg  # which has no types
    renderer = agg.RendererAgg(width, height, 72.0)
    pen = _Pen(renderer, scale, height)
    for mark in picture.marks:
        pen.draw(mark)
    image = Image.frombuffer("RGBA", (width, height), renderer.buffer_rgba(), "raw", "RGBA", 0, 1)
    out = io.BytesIO()
    image.save(out, format="png", compress_level=2)
    return out.getvalue()


class _Pen:
    """Draws marks; the renderer counts in pixels, upwards."""

    def __init__(self, renderer: Any, scale: float, height: int) -> None:
        from matplotlib.transforms import Affine2D

        self.renderer = renderer
        self.scale = scale
        self.pens: dict[tuple[Any, ...], Any] = {}
        self.place = Affine2D().scale(scale, -scale).translate(0, height)

    def draw(self, mark: Mark) -> None:
        match mark:
            case Rect():
                self._rect(mark)
            case Line():
                way = _path(mark.points, mark.radius)
                self._stroke(way, LIGHT[mark.role], 1.0, mark.width, mark.dashed)
            case Triangle():
                self._fill(_closed(mark.points), LIGHT[mark.role], 1.0)
            case Text():
                self._text(mark)

    def _rect(self, rect: Rect) -> None:
        path = _rounded(rect.x, rect.y, rect.w, rect.h, min(rect.radius, rect.w / 2, rect.h / 2))
        colour = rect.colour or LIGHT[rect.fill or "card"]
        strength = 1.0 if rect.fill else rect.tint
        if rect.edge:
            self._stroke(path, colour, rect.edge, 1.0, rect.dashed, strength)
        elif strength:
            self._fill(path, colour, strength)

    def _fill(self, path: Any, colour: str, alpha: float, place: Any = None) -> None:
        place = self.place if place is None else place + self.place
        self.renderer.draw_path(self._pen(colour, 1.0, 0.0), path, place, (*_rgb(colour), alpha))

    def _stroke(
        self, path: Any, colour: str, alpha: float, width: float, dashed: bool, fill: float = 0.0
    ) -> None:
        pen = self._pen(colour, alpha, width, dashed)
        self.renderer.draw_path(pen, path, self.place, (*_rgb(colour), fill) if fill else None)

    def _pen(self, colour: str, alpha: float, width: float, dashed: bool = False) -> Any:
        """One for each kind of line; making one takes as long as drawing with it."""
        key = colour, alpha, width, dashed
        if key not in self.pens:
            pen = self.pens[key] = self.renderer.new_gc()
            pen.set_foreground((*_rgb(colour), alpha), isRGBA=True)
            pen.set_linewidth(width * self.scale)
            pen.set_capstyle("round")
            pen.set_joinstyle("round")
            if dashed:
                pen.set_dashes(0, (4 * self.scale, 3 * self.scale))
        return self.pens[key]

    def _text(self, mark: Text) -> None:
        """In matplotlib's own font, as wide as the SVG's."""
        from matplotlib.transforms import Affine2D

        if not mark.text.strip():
            return
        path, extent = _outline(mark.text, mark.bold)
        wanted = text_width(mark.text, mark.size, bold=mark.bold)
        # its letters are wider than Helvetica's, and a little larger
        stretch = wanted / (extent or 1.0)
        shift = {"start": 0.0, "middle": -wanted / 2, "end": -wanted}[mark.anchor]
        tall = mark.size / UNIT
        high = min(1.0, max(stretch / tall, 0.9)) * tall
        place = Affine2D().scale(stretch, -high).translate(mark.x + shift, mark.y)
        self._fill(path, LIGHT[mark.role], 1.0, place)


UNIT = 100.0  # the size that text is outlined in


@cache
def _outline(text: str, bold: bool) -> tuple[Any, float]:
    """A text's path at size UNIT, letter by letter, and how wide it is."""
    import numpy as np
    from matplotlib.path import Path

    vertices, codes, x = [], [], 0.0
    for letter in text:
        path, advance = _letter(letter, bold)
        if path is not None:
            vertices.append(np.add(path.vertices, (x, 0.0)))
            codes.append(path.codes)
        x += advance
    whole = Path(np.concatenate(vertices), np.concatenate(codes)) if vertices else Path([(0, 0)])
    return whole, x


@cache
def _letter(letter: str, bold: bool) -> tuple[Any, float]:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath, text_to_path

    font = FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal", size=UNIT)
    width, _, _ = text_to_path.get_text_width_height_descent(letter, font, False)
    if letter.isspace():
        return None, width
    return TextPath((0, 0), letter, size=UNIT, prop=font, usetex=False), width


@cache
def _rgb(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def _closed(points: tuple[Point, ...]) -> Any:
    from matplotlib.path import Path

    codes = [Path.MOVETO, *[Path.LINETO] * (len(points) - 1), Path.CLOSEPOLY]
    return Path([*points, points[0]], codes)


ROUND = 0.5523  # how far the handles of a curve lie that looks like a quarter of a circle


def _rounded(x: float, y: float, w: float, h: float, r: float) -> Any:
    from matplotlib.path import Path

    right, low, k = x + w, y + h, r * (1 - ROUND)
    points = [
        *((x + r, y), (right - r, y), (right - k, y), (right, y + k), (right, y + r)),
        *((right, low - r), (right, low - k), (right - k, low), (right - r, low)),
        *((x + r, low), (x + k, low), (x, low - k), (x, low - r)),
        *((x, y + r), (x, y + k), (x + k, y), (x + r, y), (x + r, y)),
    ]
    side = [Path.LINETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]
    return Path(points, [Path.MOVETO, *side * 4, Path.CLOSEPOLY])


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
