"""A long column as several beside each other, so that a picture is no ribbon."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass

from archdsl.pictures.drawing import Drawn, Note, Sheet, Wire, moved

#: a picture is wrapped where it is higher than this
TALLEST = 900.0
#: width by height of what fits a page and a screen
NARROWEST, WIDEST = 0.75, 1.7
#: columns, and how much room another one must save, for the eye has to jump
MOST, TURNING = 6, 0.15
BETWEEN = 52.0  # from column to column
TURN = 15.0  # how far below and above a column its wire turns
INSET = 14.0  # inside a frame


@dataclass(frozen=True)
class _Break:
    """Where a column may end: at a wire between two parts, and its note."""

    wire: Wire
    note: Note | None

    @property
    def top(self) -> float:
        return self.wire.points[0][1]

    @property
    def bottom(self) -> float:
        return self.wire.points[-1][1]


def unfitness(sheet: Sheet) -> float:
    """How much room it takes, and more where it is too narrow or too wide; less is better."""
    ratio = sheet.w / max(sheet.h, 1.0)
    return sheet.w * sheet.h * max(1.0, NARROWEST / ratio, ratio / WIDEST)


def wrapped(sheet: Sheet, gaps: list[tuple[int, bool]], *, inside: bool) -> Sheet:
    """The sheet in columns, or as it is where it fits or cannot be broken. `gaps`: the wires where
    it can, by their number in `drawn`; and whether a note comes right after. `inside`: of a block,
    which the flow leaves where it entered it."""
    if sheet.h <= TALLEST:
        return sheet
    whole = _merged(sheet.whole)
    breaks = [
        _Break(wire, note if noted and isinstance(note, Note) else None)
        for number, noted in gaps
        if isinstance(wire := sheet.drawn[number], Wire)
        for note in [sheet.drawn[number + 1] if noted else None]
        if not _inside(wire.points[0][1], whole)
    ]
    best, least = sheet, unfitness(sheet)
    for count in _counts(sheet, len(breaks) + 1):
        columns = _columns(sheet, _chosen(sheet.h, breaks, count), inside)
        if (cost := unfitness(columns) * (1 + TURNING * (count - 1))) < least:
            best, least = columns, cost
    return best


def _merged(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Spans in order, those that touch as one."""
    merged: list[tuple[float, float]] = []
    for top, low in sorted(spans):
        if merged and top <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(low, merged[-1][1]))
        else:
            merged.append((top, low))
    return merged


def _inside(height: float, spans: list[tuple[float, float]]) -> bool:
    place = bisect_right(spans, (height, math.inf)) - 1
    return place >= 0 and height <= spans[place][1]


def _counts(sheet: Sheet, most: int) -> range:
    """How many columns to try; of what is very long as many as make it a square."""
    square = math.ceil(math.sqrt(sheet.h / max(sheet.w + BETWEEN, 1.0)))
    if square > MOST:
        return range(min(square, most), min(square, most) + 1)
    return range(2, min(MOST, most) + 1)


def _chosen(height: float, breaks: list[_Break], count: int) -> list[_Break]:
    """Where to break for so many columns as equally high as can be: the breaks nearest to equal
    parts of what is left."""
    tops = [b.top for b in breaks]
    chosen: list[_Break] = []
    at, start = 0, 0.0
    for left in range(count, 1, -1):
        wanted = start + (height - start) / left
        place = bisect_left(tops, wanted, at, len(tops) - left + 2)
        if place > at and (
            place == len(tops) - left + 2 or wanted - tops[place - 1] < tops[place] - wanted
        ):
            place -= 1
        chosen.append(breaks[place])
        at, start = place + 1, breaks[place].bottom
    return chosen


def _columns(sheet: Sheet, chosen: list[_Break], inside: bool) -> Sheet:
    tops = [0.0, *(b.bottom for b in chosen)]
    lows = [*(b.top for b in chosen), sheet.h]
    columns = _in_columns(sheet, chosen, lows)
    extents = [_extent(sheet, column) for column in columns]
    whole = Sheet(0, 0, sheet.axis - extents[0][0], sheet.port)
    x = drop = 0.0
    axes, heights = [], []
    for (left, right), top, low, column in zip(extents, tops, lows, columns, strict=True):
        drop = TURN if top else 0.0  # room for the wire that comes from the column before
        whole.drawn += [moved(shape, x - left, drop - top) for shape in column]
        axes.append(x + sheet.axis - left)
        heights.append(drop + (sheet.end if low == lows[-1] else low) - top)
        x += right - left + BETWEEN
    for i, part in enumerate(chosen):
        lane = axes[i + 1] - (sheet.axis - extents[i + 1][0]) - BETWEEN / 2
        low = heights[i] + TURN
        points = [(axes[i], heights[i]), (axes[i], low), (lane, low), (lane, -TURN / 2)]
        points += [(axes[i + 1], -TURN / 2), (axes[i + 1], TURN)]
        whole.drawn.append(Wire(tuple(points), part.wire.style))
        if part.note is not None:
            whole.drawn.append(Note(axes[i + 1] + 6, 3, part.note.text))
    whole.w = x - BETWEEN
    whole.h = max(*heights, drop + lows[-1] - tops[-1]) + TURN
    if inside:
        low = whole.h + TURN / 2
        end = low + TURN + INSET
        points = [(axes[-1], heights[-1]), (axes[-1], low), (axes[0], low), (axes[0], end)]
        whole.drawn.append(Wire(tuple(points), arrow=False))
        whole.h = low + TURN
    return whole


def _in_columns(sheet: Sheet, chosen: list[_Break], lows: list[float]) -> list[list[Drawn]]:
    """What stands in each, without the wires between them and their notes."""
    cut = {id(b.wire) for b in chosen} | {id(b.note) for b in chosen}
    columns: list[list[Drawn]] = [[] for _ in lows]
    for shape in sheet.drawn:
        if id(shape) not in cut:
            columns[min(bisect_left(lows, _middle(shape)), len(lows) - 1)].append(shape)
    return columns


def _middle(shape: Drawn) -> float:
    match shape:
        case Wire():
            return (shape.points[0][1] + shape.points[-1][1]) / 2
        case Note():
            return shape.y
    return shape.y + shape.h / 2


def _extent(sheet: Sheet, column: list[Drawn]) -> tuple[float, float]:
    """How far left and right they reach."""
    left, right = sheet.axis, sheet.axis
    for shape in column:
        if isinstance(shape, Wire):
            xs = [x for x, _ in shape.points]
        elif isinstance(shape, Note):
            xs = [shape.x]
        else:
            xs = [shape.x, shape.x + shape.w + 6]
        left, right = min(left, *xs), max(right, *xs)
    return left, right
