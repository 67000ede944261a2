"""From a layout to marks that any renderer can draw: rectangles, lines, arrowheads, text.

Colours are named by their role, so that a renderer may have a light and a dark set; a tint is a
colour laid thinly over the card's, so that it suits both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from archdsl.ir.graph import Item, Program
from archdsl.pictures.drawing import Box, Frame, Note, Point, Sheet, Wire, moved
from archdsl.pictures.layout import (
    PAD,
    SMALL,
    STACK,
    TINY,
    TITLE,
    corner,
    first_line,
    lines,
    small,
)
from archdsl.pictures.metrics import text_width
from archdsl.pictures.scene import Element
from archdsl.pictures.wording import shape_text
from archdsl.text import count_text, inputs_text

MARGIN = 22.0
HEADING = 46.0
ROUND = 7.0  # a wire's corners
HEADLINE = 16.0

Role = Literal["ink", "muted", "card", "page", "line", "skip", "frame"]

LIGHT: dict[str, str] = {
    "page": "#ffffff",
    "card": "#ffffff",
    "frame": "#f4f6f9",
    "ink": "#1c2530",
    "muted": "#66717f",
    "line": "#8a94a3",
    "skip": "#e4572e",
}
DARK: dict[str, str] = {
    "page": "#0d1117",
    "card": "#161b22",
    "frame": "#12171e",
    "ink": "#e6edf3",
    "muted": "#9aa5b1",
    "line": "#717c89",
    "skip": "#ff7b54",
}
#: families of operators, in colours that colour-blind readers can tell apart
FAMILIES = {
    "convolution": "#3778c2",
    "linear": "#8759b8",
    "pooling": "#2a9d8f",
    "normalisation": "#c9962a",
    "activation": "#c9962a",
    "regularisation": "#8a94a3",
    "attention": "#c8457b",
    "recurrent": "#c8457b",
    "patches": "#4f6d8f",
    "arithmetic": "#8a94a3",
    "reduction": "#8a94a3",
    "shape": "#8a94a3",
    "join": "#8a94a3",
    "data": "#8a94a3",
}
#: blocks, in the order of their appearance
BLOCKS = ("#e08a2c", "#5a9e3d", "#3aa0c9", "#b0574f", "#7a6fd0", "#8a6d3b")

#: in the legend: from few parameters to many
SCALE, TINTS = "#5f7fa3", (0.08, 0.22, 0.36, 0.5)


@dataclass(frozen=True)
class Rect:
    x: float
    y: float
    w: float
    h: float
    radius: float
    fill: Role | None = None
    stroke: Role | None = None
    #: a colour of its own instead of a role's, and how much of it
    colour: str = ""
    tint: float = 0.0
    edge: float = 0.0
    dashed: bool = False


@dataclass(frozen=True)
class Line:
    points: tuple[Point, ...]
    role: Role
    width: float
    dashed: bool = False
    radius: float = ROUND


@dataclass(frozen=True)
class Triangle:
    points: tuple[Point, Point, Point]
    role: Role


@dataclass(frozen=True)
class Text:
    """`y` is the baseline."""

    x: float
    y: float
    text: str
    size: float
    role: Role = "ink"
    bold: bool = False
    anchor: Literal["start", "middle", "end"] = "start"


Mark = Rect | Line | Triangle | Text


@dataclass(frozen=True)
class Area:
    """Where a picture shows these items of the program; what lies inside another comes later."""

    x: float
    y: float
    w: float
    h: float
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Picture:
    w: float
    h: float
    marks: tuple[Mark, ...]
    title: str
    summary: str
    areas: tuple[Area, ...] = ()


def paint(program: Program, sheet: Sheet) -> Picture:
    """A sheet with its heading and its legend."""
    elements = [shape.element for shape in sheet.drawn if isinstance(shape, (Box, Frame))]
    colours = family_colours(elements)
    most = max([e.params for e in elements if e.kind != "entry"], default=0)
    summary = _summary(program)
    heading = max(text_width(program.name, HEADLINE, bold=True), text_width(summary, SMALL))
    legend, low = _legend(elements, colours, sheet, max(sheet.w, heading, 300))
    width = max(sheet.w, heading, 300) + 2 * MARGIN
    dx = (width - sheet.w) / 2
    dy = MARGIN + HEADING
    marks: list[Mark] = [
        Rect(0, 0, width, dy + sheet.h + low + MARGIN, 8, fill="page"),
        Text(MARGIN, MARGIN + 12, program.name, HEADLINE, bold=True),
        Text(MARGIN, MARGIN + 28, summary, SMALL, "muted"),
    ]
    wires: list[Mark] = []
    last: list[Mark] = []
    areas: list[Area] = []
    for shape in sheet.drawn:
        placed = moved(shape, dx, dy)
        if isinstance(placed, (Box, Frame)):
            items = tuple(item for copy in placed.element.shows for item in copy)
            areas.append(Area(placed.x, placed.y, placed.w, placed.h, items))
        if isinstance(placed, Box):
            last += _box(placed, colours, most)
        elif isinstance(placed, Frame):
            marks += _frame(placed, colours)
        elif isinstance(placed, Wire):
            wires += _wire(placed)
            last += [_operand(placed)] if placed.mark else []
        else:
            last.append(_note(placed))
    marks += wires
    marks += last
    marks += [_shift(mark, MARGIN, dy + sheet.h) for mark in legend]
    title = f"{program.name}: {summary}"
    areas.sort(key=lambda area: -area.w * area.h)
    height = dy + sheet.h + low + MARGIN
    return Picture(width, height, tuple(marks), program.name, title, tuple(areas))


def _summary(program: Program) -> str:
    outputs = ", ".join(map(shape_text, program.output_shapes.values()))
    sizes = f"{count_text(program.params)} parameters · {count_text(program.macs)} MACs"
    return f"{inputs_text(program.inputs, by='×')} → {outputs} · {sizes}"


def family_colours(elements: list[Element]) -> dict[str, str]:
    hues = dict.fromkeys(e.hue for e in elements if e.hue and e.hue not in FAMILIES)
    named = [hue for hue in hues if hue != "group"]
    colours = {hue: BLOCKS[i % len(BLOCKS)] for i, hue in enumerate(named)}
    return {**FAMILIES, "": "#8a94a3", "group": "#5f7fa3", **colours}


def tint(element: Element, most: int) -> float:
    """How much of its colour: the more parameters, the deeper; by their logarithm."""
    if not element.params or most <= 1:
        return 0.08
    share = math.log1p(element.params) / math.log1p(most)
    return 0.10 + 0.40 * max(0.0, share - 0.4) / 0.6


def _box(box: Box, colours: dict[str, str], most: int) -> Iterator[Mark]:
    element = box.element
    x, y, w, h = box.x, box.y, box.w, box.h
    colour = colours.get(element.hue, colours[""])
    dashed = element.training_only
    radius = h / 2 if small(element) else 5.0
    strength = tint(element, most)
    if element.times > 1:
        for k in (2, 1):
            d = STACK * k / 2
            yield Rect(x + d, y + d, w, h, radius, fill="card")
            yield Rect(x + d, y + d, w, h, radius, colour=colour, tint=strength, edge=0.55)
    yield Rect(x, y, w, h, radius, fill="card")
    if small(element):
        symbol = element.kind == "join" and len(element.title) == 1
        yield Rect(x, y, w, h, radius, colour=colour, tint=0.06, edge=0.9, dashed=dashed)
        if symbol:
            yield from _symbol(x + w / 2, y + h / 2, element.title)
        else:
            word = lines(element)[0]
            role: Role = "ink" if element.kind in ("input", "output") else "muted"
            yield Text(x + w / 2, y + h / 2 + 3.7, word, SMALL, role, anchor="middle")
        return
    yield Rect(x, y, w, h, radius, colour=colour, tint=strength, edge=0.85, dashed=dashed)
    text = lines(element)
    base = y + (17 if len(text) > 1 else h / 2 + 4.2)
    yield Text(x + PAD, base, first_line(element), TITLE, bold=True)
    if corner(element):
        yield Text(x + w - PAD, base - 0.5, corner(element), TINY, "muted", anchor="end")
    for line in text[1:]:
        yield Text(x + PAD, y + 32.5, line, SMALL, "muted")


def _symbol(x: float, y: float, title: str) -> Iterator[Mark]:
    r = 5.0 if title == "+" else 3.8
    ways = ((1, 0), (0, 1)) if title == "+" else ((1, 1), (1, -1))
    for dx, dy in ways:
        ends = ((x - r * dx, y - r * dy), (x + r * dx, y + r * dy))
        yield Line(ends, "ink", 1.6)


def _frame(frame: Frame, colours: dict[str, str]) -> Iterator[Mark]:
    element = frame.element
    x, y, w, h = frame.x, frame.y, frame.w, frame.h
    colour = colours.get(element.hue, colours[""])
    if element.times > 1:
        for k in (2, 1):
            d = STACK * k / 2
            yield Rect(x + d, y + d, w, h, 8, fill="frame")
            yield Rect(x + d, y + d, w, h, 8, colour=colour, edge=0.5)
    yield Rect(x, y, w, h, 8, fill="frame")
    yield Rect(x, y, w, h, 8, colour=colour, tint=0.035, edge=0.6, dashed=element.training_only)
    at = x + PAD
    title = element.title if element.title != element.label else ""
    words = [(element.label, TITLE, True), (title, SMALL, False)]
    if element.times > 1:
        words.append((f"×{element.times}", TITLE, True))
    for word, size, bold in words:
        if word:
            yield Text(at, y + 17, word, size, "ink" if bold else "muted", bold=bold)
            at += text_width(word, size, bold=bold) + 6
    if corner(element):
        yield Text(x + w - PAD, y + 16.5, corner(element), TINY, "muted", anchor="end")


def _note(note: Note) -> Text:
    role: Role = "ink" if note.strong else "muted"
    return Text(note.x, note.y + 3.3, note.text, TINY, role, note.strong, note.anchor)


def _operand(wire: Wire) -> Text:
    """Beside the arrow's head: left of one that goes down, above one that comes from the right."""
    (x1, _), (x2, y2) = wire.points[-2:]
    if abs(x1 - x2) < 0.5:
        return _note(Note(x2 - 5, y2 - 6, wire.mark, "end", strong=True))
    return _note(Note(x2 + 9, y2 - 7, wire.mark, strong=True))


def _wire(wire: Wire) -> Iterator[Mark]:
    role: Role = "skip" if wire.style == "skip" else "line"
    width = 1.7 if wire.style == "skip" else 1.3
    points = [p for i, p in enumerate(wire.points) if i == 0 or p != wire.points[i - 1]]
    (x1, y1), (x2, y2) = points[-2], points[-1]
    if not wire.arrow:
        yield Line(tuple(points), role, width)
        return
    length = math.hypot(x2 - x1, y2 - y1) or 1.0
    ux, uy = (x2 - x1) / length, (y2 - y1) / length
    # the line ends inside the head, so that its own end does not show
    end = (x2 - 4 * ux, y2 - 4 * uy)
    yield Line((*points[:-1], end), role, width, dashed=wire.style == "aside")
    back = (x2 - 6.5 * ux, y2 - 6.5 * uy)
    left = (back[0] - 3.2 * uy, back[1] + 3.2 * ux)
    right = (back[0] + 3.2 * uy, back[1] - 3.2 * ux)
    yield Triangle(((x2, y2), left, right), role)


def _legend(
    elements: list[Element], colours: dict[str, str], sheet: Sheet, width: float
) -> tuple[list[Mark], float]:
    """What the colours mean, in rows from 0 down; and their height."""
    shown = [e for e in elements if e.kind in ("layer", "block") and e.hue not in ("", "group")]
    hues = list(dict.fromkeys(e.hue for e in shown))
    marks: list[Mark] = []
    x, y = 0.0, 20.0
    entries = [(hue.replace("_", " "), colours[hue]) for hue in hues]
    if any(isinstance(s, Wire) and s.style == "skip" for s in sheet.drawn):
        entries.append(("skip", ""))
    if any(e.params for e in elements):
        entries.append(("more parameters", "-"))
    for text, colour in entries:
        marked = 15 if colour != "-" else 11 * len(TINTS) + 6
        wide = marked + text_width(text, TINY) + 14
        if x and x + wide > width:
            x, y = 0.0, y + 16
        if colour == "":
            marks.append(Line(((x, y + 5), (x + 11, y + 5)), "skip", 1.7))
        elif colour == "-":
            shades = enumerate(TINTS)
            marks += [
                Rect(x + 11 * i, y, 11, 10, 0, colour=SCALE, tint=t, edge=0.5) for i, t in shades
            ]
        else:
            marks.append(Rect(x, y, 10, 10, 2.5, colour=colour, tint=0.4, edge=0.85))
        marks.append(Text(x + marked, y + 8.5, text, TINY, "muted"))
        x += wide
    return marks, y + 10 if entries else 0.0


def _shift(mark: Mark, dx: float, dy: float) -> Mark:
    if isinstance(mark, (Line, Triangle)):
        return replace(mark, points=tuple((x + dx, y + dy) for x, y in mark.points))  # type: ignore[arg-type]
    return replace(mark, x=mark.x + dx, y=mark.y + dy)
