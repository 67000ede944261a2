"""Reads a drawn SVG back, by following its lines from end point to end point."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from archdsl.pictures.drawing import Box, Frame, Sheet
from archdsl.pictures.layout import HEAD, STACK
from archdsl.pictures.paint import HEADING, MARGIN
from archdsl.pictures.scene import Element

Point = tuple[float, float]


class Wrong(AssertionError):
    """A picture that says what is not so."""


@dataclass(eq=False)
class Group:
    """What stands in a frame."""

    element: Element
    members: list[Element | Group] = field(default_factory=list)

    def elements(self) -> Iterator[Element]:
        for member in self.members:
            yield from member.elements() if isinstance(member, Group) else [member]


Pairs = set[tuple[int, int]]  # ids of elements


def read_svg(text: str, sheet: Sheet) -> tuple[Group, Pairs]:
    """The frames, with what stands in them, and which box leads to which."""
    return _Reader(text, sheet).read()


NEAR = 0.06
Place = tuple[float, float, float, float]  # x, y, w, h
Spot = tuple[str, int]  # "box", "in" and "out" of a wire, "entry" and "exit" of a frame; which one


class _Reader:
    """Follows the lines of an SVG; where the boxes stand comes from the sheet."""

    def __init__(self, text: str, sheet: Sheet) -> None:
        width = float(re.findall(r'width="([\d.]+)"', text)[0])
        dx, dy = (width - sheet.w) / 2, MARGIN + HEADING
        boxes = [s for s in sheet.drawn if isinstance(s, Box)]
        frames = sorted((s for s in sheet.drawn if isinstance(s, Frame)), key=lambda s: -s.w * s.h)
        self.boxes: list[Place] = [(s.x + dx, s.y + dy, s.w, s.h) for s in boxes]
        self.frames: list[Place] = [(s.x + dx, s.y + dy, s.w, s.h) for s in frames]
        #: what is repeated stands before others like it: lines leave the last of them
        self.box_stacks = [STACK * (s.element.times > 1) for s in boxes]
        self.frame_stacks = [STACK * (s.element.times > 1) for s in frames]
        self.elements = [s.element for s in boxes]
        self.groups = [Group(s.element) for s in frames]
        self.wires = list(_wires(text, dy + sheet.h))
        self.links: dict[Spot, list[Spot]] = {}
        self._check_marks(text)

    def _check_marks(self, text: str) -> None:
        found = re.findall(r'<rect [^>]*?x="([-\d.]+)" y="([-\d.]+)" width="([\d.]+)"', text)
        marks = [tuple(map(float, numbers)) for numbers in found]
        for x, y, w, _ in self.boxes:
            place = (x, y, w)
            if not any(
                all(abs(a - b) < NEAR for a, b in zip(m, place, strict=True)) for m in marks
            ):
                raise Wrong(f"no mark for a box at {x}, {y}")

    def read(self) -> tuple[Group, Pairs]:
        top = Group(Element("block", "", ""))
        for number, place in enumerate(self.frames):
            self._home(place, top, number).members.append(self.groups[number])
        for number, place in enumerate(self.boxes):
            self._home(place, top).members.append(self.elements[number])
        for number in range(len(self.wires)):
            self._wire(number)
        for number in range(len(self.frames)):
            self._entry(number)
        for number in reversed(range(len(self.frames))):  # from the inside out
            self._exit(number)
        self._clear()
        self._distinct()
        return top, set(self._pairs())

    def _clear(self) -> None:
        """No line runs through a box, or in and out of a frame."""
        for points, _ in self.wires:
            for one, other in pairwise(points):
                if through := next((p for p in self.boxes if _crosses(one, other, p)), None):
                    raise Wrong(f"a line runs through a box: {one}, {other}, {through}")
                for place in self.frames:
                    inside = all(_within(point, place) for point in points)
                    if not inside and _crosses(one, other, place):
                        raise Wrong(f"a line runs through a frame: {one}, {other}, {place}")

    def _distinct(self) -> None:
        """Lines that lie on one another come from the same place, or go there."""
        pieces = [
            (number, min(ends), max(ends))
            for number, (points, _) in enumerate(self.wires)
            for ends in pairwise(points)
        ]
        back: dict[Spot, list[Spot]] = {}
        for one, spots in self.links.items():
            for other in spots:
                back.setdefault(other, []).append(one)
        for place, (number, a, b) in enumerate(pieces):
            for other, c, d in pieces[:place]:
                if number != other and _overlap(a, b, c, d) > 1:
                    ends = self._boxes(self.links, ("out", number), ("out", other))
                    begins = self._boxes(back, ("in", number), ("in", other))
                    if not ends and not begins:
                        raise Wrong(f"lines on one another: {a}, {b}, {c}, {d}")

    def _boxes(self, links: dict[Spot, list[Spot]], one: Spot, other: Spot) -> set[Spot]:
        """What both lead to."""
        found = [{one}, {other}]
        for seen in found:
            open_ = list(seen)
            while open_:
                for spot in links.get(open_.pop(), ()):
                    if spot not in seen:
                        seen.add(spot)
                        open_ += [spot] if spot[0] != "box" else []
        return {spot for spot in found[0] & found[1] if spot[0] in ("box", "entry", "exit")}

    def _home(self, place: Place, top: Group, itself: int = -1) -> Group:
        number = self._around(place, itself)
        return top if number is None else self.groups[number]

    def _around(self, place: Place, itself: int = -1) -> int | None:
        """The innermost frame around a place."""
        x, y, w, h = place
        inside = [
            number
            for number, (fx, fy, fw, fh) in enumerate(self.frames)
            if number != itself
            and fx - NEAR <= x
            and fy - NEAR <= y
            and x + w <= fx + fw + NEAR
            and y + h <= fy + fh + NEAR
        ]
        return inside[-1] if inside else None  # they stand by their size

    def _link(self, one: Spot, other: Spot) -> None:
        self.links.setdefault(one, []).append(other)

    def _wire(self, number: int) -> None:
        points, _ = self.wires[number]
        self._link(("in", number), ("out", number))
        self._begin(number, points[0])
        self._end(number, points[-1], points[-2])

    def _begin(self, number: int, start: Point) -> None:
        if (box := _on(start, self.boxes, self.box_stacks)) is not None:
            self._link(("box", box), ("in", number))
        elif (frame := _on(start, self.frames, self.frame_stacks)) is not None:
            self._link(("exit", frame), ("in", number))
        elif any(points[-1] == start for points, _ in self.wires):
            pass  # it goes on from there: the other's end says so
        elif others := self._passing(start, number):
            for other in others:
                self._link(("in", other), ("in", number))
        elif (home := self._around((*start, 0, 0))) is not None and self._at_top(start, home):
            self._link(("entry", home), ("in", number))
        else:
            raise Wrong(f"a line begins nowhere: {start}")

    def _end(self, number: int, end: Point, before: Point) -> None:
        if (box := _on(end, self.boxes, self.box_stacks)) is not None:
            self._link(("out", number), ("box", box))
        elif (frame := _on(end, self.frames, self.frame_stacks)) is not None:
            x, y, w, h = self.frames[frame]
            leaves = abs(end[1] - y - h) < NEAR and x < before[0] < x + w and before[1] < y + h
            self._link(("out", number), ("exit" if leaves else "entry", frame))
        elif others := [o for o, (points, _) in enumerate(self.wires) if points[0] == end]:
            for other in others:
                self._link(("out", number), ("in", other))
        elif others := [o for o in self._passing(end, number) if self.wires[o][0][-1] != end]:
            for other in others:
                self._link(("out", number), ("out", other))
        elif (home := self._around((*end, 0, 0))) is not None:
            self._link(("out", number), ("exit", home))
        else:
            raise Wrong(f"a line ends nowhere: {end}")

    def _passing(self, point: Point, itself: int) -> list[int]:
        return [
            number
            for number, (points, _) in enumerate(self.wires)
            if number != itself
            and any(_between(point, a, b) for a, b in pairwise(points))
            and points[0] != point
        ]

    def _at_top(self, point: Point | Place, frame: int) -> bool:
        return abs(point[1] - self.frames[frame][1] - HEAD) < NEAR

    def _entry(self, number: int) -> None:
        if any(spot == ("entry", number) for spot in self.links):
            return
        tops = [
            child for child in self._children(number) if self._at_top(self._place(child), number)
        ]
        if tops:
            kind, child = min(tops, key=lambda child: self._place(child)[0])
            self._link(("entry", number), ("box" if kind == "box" else "entry", child))

    def _exit(self, number: int) -> None:
        if any(("exit", number) in spots for spots in self.links.values()):
            return
        aside = self._asides(number)
        ends = [
            child
            for child in self._children(number)
            if child not in aside and not self._leaving(child)
        ]
        if ends:
            last = max(ends, key=lambda child: self._place(child)[1] + self._place(child)[3])
            self._link(last, ("exit", number))

    def _children(self, number: int) -> list[Spot]:
        boxes = [("box", i) for i, place in enumerate(self.boxes) if self._around(place) == number]
        frames = [
            ("exit", i) for i, place in enumerate(self.frames) if self._around(place, i) == number
        ]
        return [*boxes, *frames]

    def _place(self, child: Spot) -> Place:
        return (self.boxes if child[0] == "box" else self.frames)[child[1]]

    def _leaving(self, child: Spot) -> bool:
        return any(kind == "in" and not self.wires[i][1] for kind, i in self.links.get(child, ()))

    def _asides(self, frame: int) -> set[Spot]:
        """What leaves the column in a frame."""
        open_: list[Spot] = [
            ("out", i)
            for i, (points, dashed) in enumerate(self.wires)
            if dashed and self._around((*points[1], 0, 0)) == frame
        ]
        return self._reached(open_, through=True)

    def _reached(self, open_: list[Spot], *, through: bool) -> set[Spot]:
        seen: set[Spot] = set()
        while open_:
            spot = open_.pop()
            if spot in seen:
                continue
            seen.add(spot)
            if spot[0] != "box" or through:
                open_ += self.links.get(spot, ())
            if spot[0] == "entry" and through:
                open_.append(("exit", spot[1]))
        return seen

    def _pairs(self) -> Iterator[tuple[int, int]]:
        for number, element in enumerate(self.elements):
            for kind, other in self._reached([*self.links.get(("box", number), ())], through=False):
                if kind == "box":
                    yield id(element), id(self.elements[other])


def _wires(text: str, low: float) -> Iterator[tuple[list[Point], bool]]:
    """The corners of each line, and whether it is dashed; with an arrow, up to its tip."""
    rows = text.split("\n")
    for row, after in pairwise([*rows, ""]):
        if not row.startswith(('<path class="line-s"', '<path class="skip-s"')):
            continue
        path = row.partition(' d="')[2].partition('"')[0]
        steps = re.findall(r"([MLQ])([-\d. ]+)", path)
        numbers = [(kind, [float(n) for n in given.split()]) for kind, given in steps]
        points = [(n[0], n[1]) for kind, n in numbers if kind in "MQ"]
        points.append((numbers[-1][1][-2], numbers[-1][1][-1]))
        if after.startswith("<polygon"):
            tip = after.partition('points="')[2].split(" ")[0].split(",")
            points[-1] = (float(tip[0]), float(tip[1]))
        if points[0][1] <= low:  # below it stands the legend
            yield points, "dasharray" in row


def _on(point: Point, places: list[Place], stacks: list[float]) -> int | None:
    """The smallest of the places on whose border a point lies."""
    x, y = point
    found = [
        number
        for number, ((px, py, w, h), stack) in enumerate(zip(places, stacks, strict=True))
        for down in {0.0, stack}
        if px - NEAR <= x <= px + w + NEAR
        and py - NEAR <= y <= py + h + down + NEAR
        and min(abs(x - px), abs(x - px - w), abs(y - py), abs(y - py - h - down)) < NEAR
    ]
    return found[-1] if found else None


def _within(point: Point, place: Place) -> bool:
    (x, y), (px, py, w, h) = point, place
    return px - NEAR <= x <= px + w + NEAR and py - NEAR <= y <= py + h + NEAR


def _crosses(one: Point, other: Point, place: Place) -> bool:
    """Whether a piece of a line lies inside a place, not only on its border."""
    x, y, w, h = place
    left, right = sorted((one[0], other[0]))
    top, low = sorted((one[1], other[1]))
    return left < x + w - 1 and x + 1 < right and top < y + h - 1 and y + 1 < low


def _overlap(a: Point, b: Point, c: Point, d: Point) -> float:
    """How long two pieces, each from its lesser end, lie on one another."""
    for one in (0, 1):
        if max(p[one] for p in (a, b, c, d)) - min(p[one] for p in (a, b, c, d)) < NEAR:
            return min(b[1 - one], d[1 - one]) - max(a[1 - one], c[1 - one])
    return 0.0


def _between(point: Point, one: Point, other: Point) -> bool:
    (x, y), (x1, y1), (x2, y2) = point, one, other
    inside = min(x1, x2) - NEAR <= x <= max(x1, x2) + NEAR
    inside &= min(y1, y2) - NEAR <= y <= max(y1, y2) + NEAR
    return inside and (abs(x1 - x2) < NEAR or abs(y1 - y2) < NEAR)
