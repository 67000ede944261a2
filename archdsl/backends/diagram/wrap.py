"""A long column as several beside each other, so that a picture is no ribbon."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.backends.diagram.drawing import Note, Sheet, Wire, moved

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
    breaks = [
        _Break(wire, note if noted and isinstance(note, Note) else None)
        for number, noted in gaps
        if isinstance(wire := sheet.drawn[number], Wire)
        for note in [sheet.drawn[number + 1] if noted else None]
        if not any(top <= wire.points[0][1] <= low for top, low in sheet.whole)
    ]
    if sheet.h <= TALLEST:
        return sheet
    best, least = sheet, unfitness(sheet)
    for count in range(2, min(MOST, len(breaks) + 1) + 1):
        columns = _columns(sheet, _chosen(sheet.h, breaks, count), inside)
        if (cost := unfitness(columns) * (1 + TURNING * (count - 1))) < least:
            best, least = columns, cost
    return best


def _chosen(height: float, breaks: list[_Break], count: int) -> list[_Break]:
    """Where to break for so many columns as equally high as can be."""
    tops = [0.0, *(b.bottom for b in breaks)]
    #: number of breaks passed -> the least sum of squared heights, and the breaks of it
    best: dict[int, tuple[float, list[_Break]]] = {0: (0.0, [])}
    for _ in range(count - 1):
        longer: dict[int, tuple[float, list[_Break]]] = {}
        for passed, (cost, chosen) in best.items():
            for number, b in enumerate(breaks[passed:], passed + 1):
                total = cost + (b.top - tops[passed]) ** 2
                if number not in longer or total < longer[number][0]:
                    longer[number] = (total, [*chosen, b])
        best = longer
    ends = ((c + (height - tops[passed]) ** 2, chosen) for passed, (c, chosen) in best.items())
    return min(ends, key=lambda end: end[0])[1]


def _columns(sheet: Sheet, chosen: list[_Break], inside: bool) -> Sheet:
    tops = [0.0, *(b.bottom for b in chosen)]
    lows = [*(b.top for b in chosen), sheet.h]
    cut = {id(b.wire) for b in chosen} | {id(b.note) for b in chosen}
    extents = [_extent(sheet, top, low, cut) for top, low in zip(tops, lows, strict=True)]
    whole = Sheet(0, 0, sheet.axis - extents[0][0], sheet.port)
    x = 0.0
    axes, heights = [], []
    for (left, right), top, low in zip(extents, tops, lows, strict=True):
        drop = TURN if top else 0.0  # room for the wire that comes from the column before
        for shape in sheet.drawn:
            if id(shape) not in cut and top <= _middle(shape) < low + 0.01:
                whole.drawn.append(moved(shape, x - left, drop - top))
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


def _middle(shape: object) -> float:
    if isinstance(shape, Wire):
        return sum(y for _, y in (shape.points[0], shape.points[-1])) / 2
    return float(shape.y) + float(getattr(shape, "h", 0.0)) / 2  # type: ignore[attr-defined]


def _extent(sheet: Sheet, top: float, low: float, cut: set[int]) -> tuple[float, float]:
    """How far left and right the shapes between two heights reach."""
    left, right = sheet.axis, sheet.axis
    for shape in sheet.drawn:
        if id(shape) in cut or not top <= _middle(shape) < low + 0.01:
            continue
        if isinstance(shape, Wire):
            xs = [x for x, _ in shape.points]
        elif isinstance(shape, Note):
            xs = [shape.x]
        else:
            xs = [shape.x, shape.x + shape.w + 6]
        left, right = min(left, *xs), max(right, *xs)
    return left, right
