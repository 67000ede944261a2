"""A picture as SVG: no script, no font of its own, nothing from elsewhere; light and dark."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from archdsl.pictures.drawing import Point
from archdsl.pictures.metrics import text_width
from archdsl.pictures.paint import DARK, LIGHT, Line, Mark, Picture, Rect, Text, Triangle

FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif"


def to_svg(picture: Picture) -> str:
    body = "\n".join(filter(None, (_mark(mark) for mark in picture.marks)))
    # several pictures may share a page: rules and names are this one's alone
    name = "a" + hashlib.sha256(body.encode()).hexdigest()[:8]
    w, h = _n(picture.w), _n(picture.h)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" id="{name}" width="{w}" height="{h}" '
        f'viewBox="0 0 {w} {h}" role="img" aria-labelledby="{name}-title" '
        f'font-family="{FONT}">\n'
        f'<title id="{name}-title">{_escape(picture.summary)}</title>\n'
        f"<style>\n{_style(name)}\n</style>\n{body}\n</svg>\n"
    )


def _style(name: str) -> str:
    dark = "\n".join(_rules(name, DARK))
    light = "\n".join(_rules(name, LIGHT))
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}"


def _rules(name: str, roles: dict[str, str]) -> Iterator[str]:
    for role, colour in roles.items():
        yield f"#{name} .{role} {{ fill: {colour} }}"
        if role in ("line", "skip", "ink"):
            yield f"#{name} .{role}-s {{ stroke: {colour}; fill: none }}"


def _mark(mark: Mark) -> str:
    match mark:
        case Rect():
            return _rect(mark)
        case Line():
            dash = ' stroke-dasharray="4 3"' if mark.dashed else ""
            path = rounded(mark.points, mark.radius)
            return (
                f'<path class="{mark.role}-s" d="{path}" stroke-width="{_n(mark.width)}"'
                f'{dash} stroke-linecap="round" stroke-linejoin="round"/>'
            )
        case Triangle():
            points = " ".join(f"{_n(x)},{_n(y)}" for x, y in mark.points)
            return f'<polygon class="{mark.role}" points="{points}"/>'
        case Text():
            # other fonts than the one measured with shall fit too
            width = text_width(mark.text, mark.size, bold=mark.bold)
            weight = ' font-weight="700"' if mark.bold else ""
            anchor = "" if mark.anchor == "start" else f' text-anchor="{mark.anchor}"'
            return (
                f'<text class="{mark.role}" x="{_n(mark.x)}" y="{_n(mark.y)}" '
                f'font-size="{_n(mark.size)}"{weight}{anchor} textLength="{_n(width)}" '
                f'lengthAdjust="spacingAndGlyphs">{_escape(mark.text)}</text>'
            )


def _rect(rect: Rect) -> str:
    size = (
        f'x="{_n(rect.x)}" y="{_n(rect.y)}" width="{_n(rect.w)}" height="{_n(rect.h)}" '
        f'rx="{_n(rect.radius)}"'
    )
    if rect.fill is not None:
        return f'<rect class="{rect.fill}" {size}/>'
    fill = f'fill="{rect.colour}" fill-opacity="{_n(rect.tint)}"' if rect.tint else 'fill="none"'
    edge = f' stroke="{rect.colour}" stroke-opacity="{_n(rect.edge)}"' if rect.edge else ""
    dash = ' stroke-dasharray="4 3"' if rect.dashed else ""
    return f"<rect {size} {fill}{edge}{dash}/>"


def rounded(points: tuple[Point, ...], radius: float) -> str:
    """An SVG path through the points, its corners rounded."""
    parts = [f"M{_n(points[0][0])} {_n(points[0][1])}"]
    for before, here, after in zip(points, points[1:], points[2:], strict=False):
        enter, leave = corner_points(before, here, after, radius)
        parts.append(f"L{_n(enter[0])} {_n(enter[1])}")
        parts.append(f"Q{_n(here[0])} {_n(here[1])} {_n(leave[0])} {_n(leave[1])}")
    parts.append(f"L{_n(points[-1][0])} {_n(points[-1][1])}")
    return "".join(parts)


def corner_points(before: Point, here: Point, after: Point, radius: float) -> tuple[Point, Point]:
    """Where the round part of a corner begins and ends."""

    def towards(other: Point) -> Point:
        dx, dy = other[0] - here[0], other[1] - here[1]
        length = (dx * dx + dy * dy) ** 0.5 or 1.0
        step = min(radius, length / 2)
        return here[0] + dx / length * step, here[1] + dy / length * step

    return towards(before), towards(after)


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _escape(text: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace('"', "&quot;")
