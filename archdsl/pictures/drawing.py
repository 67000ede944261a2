"""What a layout yields and a renderer draws: boxes, frames, wires and text, at their places.

One unit is one pixel of an SVG at its natural size; y goes down.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from archdsl.pictures.scene import Element

Point = tuple[float, float]
Style = Literal["flow", "skip", "aside"]


@dataclass(frozen=True)
class Box:
    """An element that is no open block."""

    x: float
    y: float
    w: float
    h: float
    element: Element


@dataclass(frozen=True)
class Frame:
    """Around the contents of an open block, or of what is repeated."""

    x: float
    y: float
    w: float
    h: float
    element: Element


@dataclass(frozen=True)
class Wire:
    """A path of straight pieces with round corners; `arrow`: at its end; `mark`: which operand of
    what it leads to."""

    points: tuple[Point, ...]
    style: Style = "flow"
    arrow: bool = True
    mark: str = ""


@dataclass(frozen=True)
class Note:
    """A shape beside a wire, or which operand it is. `anchor`: which end of the text is at the
    point."""

    x: float
    y: float
    text: str
    anchor: Literal["start", "middle", "end"] = "start"
    strong: bool = False


Drawn = Box | Frame | Wire | Note


@dataclass
class Sheet:
    """What is drawn, with its extent.

    `axis`: where the flow enters at the top and leaves at the bottom. `port`: where a wire enters
    from the right, `left`: from the left. `open`: wires that end inside, and go on to the port of
    what follows. `low`: where the axis ends, if what stands beside it reaches further down.
    """

    w: float
    h: float
    axis: float
    port: Point = (0.0, 0.0)
    left: Point = (0.0, 0.0)
    low: float | None = None
    drawn: list[Drawn] = field(default_factory=list)
    open: list[Wire] = field(default_factory=list)
    #: heights between which it must not be broken
    whole: list[tuple[float, float]] = field(default_factory=list)

    @property
    def end(self) -> float:
        return self.h if self.low is None else self.low

    @property
    def right(self) -> float:
        """How far it reaches on that side of the axis."""
        return self.w - self.axis

    def at(self, dx: float, dy: float) -> list[Drawn]:
        return [moved(shape, dx, dy) for shape in self.drawn]


def moved(shape: Drawn, dx: float, dy: float) -> Drawn:
    match shape:
        case Wire():
            points = tuple([(x + dx, y + dy) for x, y in shape.points])
            return Wire(points, shape.style, shape.arrow, shape.mark)
        case Note():
            return replace(shape, x=shape.x + dx, y=shape.y + dy)
        case Box():
            return Box(shape.x + dx, shape.y + dy, shape.w, shape.h, shape.element)
        case Frame():
            return Frame(shape.x + dx, shape.y + dy, shape.w, shape.h, shape.element)
