"""From a structure to places: columns of boxes, branches side by side, skips beside them.

A series goes down an axis; the branches of a parallel stand beside each other; a skip runs down the
right of what it skips and enters its join from the side.
"""

from __future__ import annotations

from collections.abc import Sequence

from archdsl.backends.diagram.drawing import Box, Drawn, Frame, Note, Point, Sheet, Wire, moved
from archdsl.backends.diagram.metrics import text_width
from archdsl.backends.diagram.scene import Element
from archdsl.backends.diagram.structure import Leaf, Parallel, Part, Repeated, Series, Tangle
from archdsl.backends.diagram.wording import shape_text
from archdsl.backends.diagram.wrap import INSET, wrapped
from archdsl.ops.table import Shape
from archdsl.text import count_text

TITLE, SMALL, TINY = 12.0, 10.5, 9.5
PAD = 11.0  # beside the text in a box
GAP, LABELLED = 17.0, 27.0  # between boxes, without and with a shape beside the arrow
LANE = 15.0  # between a skip and what it skips
APART = 18.0  # between branches
HEAD = 27.0  # the height of a frame's title
STACK = 6.0  # what repeated boxes show of those behind them
FORK = 10.0  # from where a wire enters to where others leave it
ASIDE = 34.0  # between a column and what stands beside it


# ---- boxes ---------------------------------------------------------------------------------------


def lines(element: Element) -> list[str]:
    """The lines of text in a box: what a person calls it, and what it is."""
    if element.kind in ("input", "output"):
        return [f"{element.title}  {shape_text(element.shape)}"]
    what = " · ".join(filter(None, (element.title, *element.notes)))
    return [line for line in (element.label, what) if line] or ["…"]


def first_line(element: Element) -> str:
    return lines(element)[0] + (f" ×{element.times}" if element.times > 1 else "")


def small(element: Element) -> bool:
    """Whether it is one low line: what has no weights and hardly a name."""
    return element.kind in ("join", "pill", "input", "output") and len(lines(element)) == 1


def corner(element: Element) -> str:
    """What stands at the right of a box's first line."""
    return count_text(element.params) if element.params else ""


def box_size(element: Element) -> tuple[float, float]:
    text = lines(element)
    if element.kind == "join" and len(element.title) == 1:
        return 20.0, 20.0
    if small(element):
        return text_width(text[0], SMALL) + 2 * PAD, 20.0
    first = text_width(first_line(element), TITLE, bold=True)
    first += text_width(corner(element), TINY) + 16 if element.params else 0.0
    second = max((text_width(line, SMALL) for line in text[1:]), default=0.0)
    return max(112.0, max(first, second) + 2 * PAD + 4), 41.0 if len(text) > 1 else 27.0


def leaf_sheet(leaf: Leaf, width: float, wrap: bool = False) -> Sheet:
    element = leaf.element
    if leaf.inner is not None:
        return frame(element, series(leaf.inner, wrap=wrap))
    w, h = box_size(element)
    if not small(element):
        w = max(w, width)
    extra = STACK if element.times > 1 else 0.0
    sheet = Sheet(w + extra, h + extra, w / 2, (w, h / 2))
    sheet.drawn = [Box(0, 0, w, h, element)]
    return sheet


def frame(element: Element, inside: Sheet) -> Sheet:
    title = text_width(element.label, TITLE, bold=True) + text_width(element.title, SMALL)
    title += text_width(corner(element), TINY) + 2 * PAD + 24 + (26 if element.times > 1 else 0)
    missing = max(0.0, title - 2 * INSET - inside.w)
    left, right = inside.axis + missing / 2, inside.right + missing / 2
    w, h = left + right + 2 * INSET, inside.h + HEAD + INSET
    dx = INSET + left - inside.axis
    around = Frame(0, 0, w, h, element)
    extra = STACK if element.times > 1 else 0.0
    sheet = Sheet(w + extra, h + extra, INSET + left, (w, HEAD / 2))
    sheet.drawn = [around, *inside.at(dx, HEAD)]
    return sheet


# ---- series --------------------------------------------------------------------------------------


def series(whole: Series, told: Shape | None = None, *, wrap: bool = False) -> Sheet:
    """A column. `told`: the shape that enters, where a note beside it says so already. `wrap`: a
    long one as several."""
    parts = [p for p in whole.parts if not isinstance(p, Leaf) or not _end(p.element)]
    width = sole_width(parts)
    y = 0.0
    placed: list[tuple[Part, Sheet, float]] = []
    #: x from the axis, until the column's width is known
    drawn: list[Drawn] = []
    gaps: list[tuple[int, bool]] = []  # where a column may end: the wire in `drawn`, and its note
    reach = 0.0  # of skips, to the right
    for part in parts:
        sheet = _part(part, width, told, wrap)
        before = placed[-1] if placed else None
        if before is not None and not isinstance(part, Parallel | Tangle):
            if isinstance(before[0], Parallel | Tangle):
                for wire in before[1].open:
                    lane = _lanes(wire, before, (sheet, y))
                    drawn.append(lane)
                    reach = max(reach, *(x for x, _ in lane.points))
            else:
                shape = _shape(before[0])
                new = shape is not None and shape != told and not _first(before[0])
                if isinstance(part, Leaf) and part.element.kind == "output":
                    new = False  # as does an output
                gap = LABELLED if new else GAP
                gaps.append((len(drawn), new))
                drawn.append(Wire(((0, y), (0, y + gap))))
                if new and shape is not None:
                    drawn.append(Note(6, y + gap / 2, shape_text(shape)))
                    told = shape
                y += gap
        placed.append((part, sheet, y))
        if isinstance(part, Parallel | Tangle):
            told = part.shape
        y += sheet.h
    if placed and isinstance(placed[-1][0], Parallel | Tangle):
        for wire in placed[-1][1].open:  # nothing to enter: back to the axis
            lane = _lanes(wire, placed[-1], None)
            drawn.append(lane)
            reach = max(reach, *(x for x, _ in lane.points))
    sheet = _column(placed, drawn, reach, y)
    return wrapped(sheet, gaps, inside=len(parts) < len(whole.parts)) if wrap else sheet


def _first(part: Part) -> bool:
    """An input says its shape itself."""
    return isinstance(part, Leaf) and part.element.kind == "input"


def _end(element: Element) -> bool:
    return element.kind in ("entry", "exit")


def _column(
    placed: list[tuple[Part, Sheet, float]], drawn: list[Drawn], reach: float, height: float
) -> Sheet:
    axis = max((sheet.axis for _, sheet, _ in placed), default=0.0)
    right = max([reach, *(sheet.right for _, sheet, _ in placed)])
    whole = Sheet(axis + right, height, axis, drawn=[moved(shape, axis, 0) for shape in drawn])
    low = 0.0
    for part, sheet, y in placed:
        whole.drawn += sheet.at(axis - sheet.axis, y)
        if isinstance(part, Leaf):
            for aside in part.asides:
                top = _port(sheet, axis, y)[1]
                low = _aside(whole, aside, axis + right + ASIDE, low, _port(sheet, axis, y))
                whole.whole.append((top, low))
    if placed and placed[0][1].port != (0.0, 0.0):
        whole.port = _port(placed[0][1], axis, placed[0][2])
    return whole


def _port(sheet: Sheet, axis: float, y: float) -> Point:
    return axis - sheet.axis + sheet.port[0], y + sheet.port[1]


def _aside(whole: Sheet, aside: Series, x: float, low: float, start: Point) -> float:
    """Draws what leaves the column at `start` and never comes back; returns how far it reaches."""
    sheet = series(aside)
    first = sheet.port[1]
    y = max(low, start[1] - first)
    left = x + sheet.axis - (sheet.port[0] - sheet.axis)
    middle = x - ASIDE / 2
    points = (start, (middle, start[1]), (middle, y + first), (left, y + first))
    whole.drawn += [Wire(points if y + first != start[1] else (start, points[-1]), "aside")]
    whole.drawn += sheet.at(x, y)
    whole.w = max(whole.w, x + sheet.w)
    whole.h = max(whole.h, y + sheet.h)
    return y + sheet.h + GAP


def _lanes(wire: Wire, fork: tuple[Part, Sheet, float], join: tuple[Sheet, float] | None) -> Wire:
    """An open wire of a fork, on to the side of what follows; x from the axis."""
    _, sheet, y = fork
    points = [(px - sheet.axis, py + y) for px, py in wire.points]
    if join is None:
        end = y + sheet.h - FORK / 2
        return Wire((*points, (points[-1][0], end), (0, end)), wire.style, arrow=False)
    after, top = join
    x, height = after.port[0] - after.axis, top + after.port[1]
    lane = max(points[-1][0], x + LANE)
    points = [(lane if i and px == points[-1][0] else px, py) for i, (px, py) in enumerate(points)]
    return Wire((*points, (lane, height), (x, height)), wire.style)


def sole_width(parts: Sequence[Part]) -> float:
    """Boxes of a column are equally wide."""
    boxes = [p.element for p in parts if isinstance(p, Leaf) and p.inner is None]
    return max((box_size(e)[0] for e in boxes if not small(e)), default=0.0)


def _shape(part: Part) -> Shape | None:
    """What leaves a part."""
    if isinstance(part, Leaf):
        return part.element.shape
    if isinstance(part, Repeated):
        return next((s for p in reversed(part.series.parts) if (s := _shape(p))), None)
    return None


def _part(part: Part, width: float, told: Shape | None, wrap: bool = False) -> Sheet:
    match part:
        case Leaf():
            return leaf_sheet(part, width, wrap)
        case Parallel():
            return parallel(part, told)
        case Tangle():
            return tangle(part)
        case Repeated():
            params = _params(part.series)
            element = Element("block", "", "", params=params, times=part.times)
            return frame(element, series(part.series))


def _params(whole: Series) -> int:
    total = 0
    for part in whole.parts:
        match part:
            case Leaf():
                total += part.element.params
            case Parallel():
                total += sum(map(_params, part.branches))
            case Repeated():
                total += _params(part.series)
            case Tangle():
                total += _params(Series(part.parts))
    return total


# ---- branches ------------------------------------------------------------------------------------


def parallel(part: Parallel, told: Shape | None) -> Sheet:
    """Branches from a fork at the top of the axis to its bottom."""
    branches = [series(branch, part.shape) for branch in part.branches]
    note = part.shape != told
    if len(branches) == 1:
        return _beside(part, branches[0], None, note)
    by_length = sorted(range(len(branches)), key=lambda i: branches[i].h)
    if (
        len(branches) == 2
        and not part.skips
        and branches[by_length[0]].h < 0.6 * (branches[by_length[1]].h)
    ):
        return _beside(part, branches[by_length[1]], branches[by_length[0]], note)
    return _fan(part, branches, note)


def _beside(part: Parallel, main: Sheet, shortcut: Sheet | None, note: bool) -> Sheet:
    """The main branch on the axis, and what skips it on the right."""
    top = LABELLED if note else GAP
    bottom = GAP
    axis, y = main.axis, top + main.h
    sheet = Sheet(main.w, y + bottom, axis)
    sheet.drawn = [*main.at(0, top), Wire(((axis, 0), (axis, top)))]
    sheet.drawn.append(Wire(((axis, y), (axis, y + bottom))))
    if note:
        sheet.drawn.append(Note(axis - 6, top / 2 + 1, shape_text(part.shape), "end"))
    fork = FORK * 0.7
    if shortcut is None:
        x = main.w + LANE
        sheet.open = [Wire(((axis, fork), (x, fork)), "skip")]
        sheet.w = x
        return sheet
    x = main.w + APART + shortcut.axis
    down = top + max(0.0, (main.h - shortcut.h) / 2)
    sheet.drawn += shortcut.at(x - shortcut.axis, down)
    sheet.drawn.append(Wire(((axis, fork), (x, fork), (x, down)), "skip"))
    sheet.open = [Wire(((x, down + shortcut.h),), "skip")]
    sheet.w = x + shortcut.right
    return sheet


def _fan(part: Parallel, branches: list[Sheet], note: bool) -> Sheet:
    top, bottom = FORK + 24.0, 34.0
    bus = 20.0 if note else FORK
    height = max(branch.h for branch in branches)
    places, x = [], 0.0
    for branch in branches:
        places.append(x)
        x += branch.w + APART
    axes = [place + branch.axis for place, branch in zip(places, branches, strict=True)]
    axis = (axes[0] + axes[-1]) / 2
    # a branch that is nearly in the middle stands there
    axis = next((a for a in axes if abs(a - axis) < 24), axis)
    end = top + height + bottom
    sheet = Sheet(x - APART, end, axis)
    if note:
        sheet.drawn.append(Note(axis + 6, bus / 2, shape_text(part.shape)))
    for branch, place, middle, inside in zip(branches, places, axes, part.branches, strict=True):
        y = top + (height - branch.h) / 2
        sheet.drawn += branch.at(place, y)
        low = y + branch.h
        sheet.drawn.append(_elbow((axis, 0), bus, (middle, y)))
        sheet.drawn.append(_elbow((middle, low), end - 13.0, (axis, end)))
        shape = _shape(inside.parts[-1]) if inside.parts else None
        if shape is not None:
            sheet.drawn.append(Note(middle + 5, low + 9.5, shape_text(shape)))
    if part.skips:
        lane = sheet.w + LANE
        sheet.open = [Wire(((axis, FORK / 2), (lane, FORK / 2)), "skip")]
        sheet.w = lane
    return sheet


def _elbow(start: Point, height: float, end: Point) -> Wire:
    """Down, across at a height, and down."""
    if abs(start[0] - end[0]) < 0.5:
        return Wire((start, end))
    return Wire((start, (start[0], height), (end[0], height), end))


def tangle(part: Tangle) -> Sheet:
    """A column in the order of execution, with lanes for what goes further than to the next."""
    leaves = [leaf_sheet(leaf, sole_width(part.parts)) for leaf in part.parts]
    axis = max(leaf.axis for leaf in leaves)
    tops, y = [], LABELLED
    for leaf in leaves:
        tops.append(y)
        y += leaf.h + LABELLED
    sheet = Sheet(axis + max(leaf.right for leaf in leaves), y, axis)
    for leaf, top in zip(leaves, tops, strict=True):
        sheet.drawn += leaf.at(axis - leaf.axis, top)
    free: list[float] = []  # for each lane the height where it is free again
    last = len(leaves)
    for edge in sorted(part.edges, key=lambda e: (e.source, e.target)):
        low = tops[edge.source] + leaves[edge.source].h if edge.source >= 0 else 0.0
        high = tops[edge.target] if edge.target < last else y
        if edge.target == edge.source + 1:
            sheet.drawn.append(Wire(((axis, low), (axis, high))))
            if edge.source >= 0:
                note = Note(axis + 6, (low + high) / 2, shape_text(edge.shape))
                sheet.drawn.append(note)
            continue
        start = (
            (axis, 4.0) if edge.source < 0 else _port(leaves[edge.source], axis, tops[edge.source])
        )
        lane = next((i for i, end in enumerate(free) if end <= start[1]), len(free))
        free[lane : lane + 1] = [high]
        x = sheet_right(leaves, axis) + LANE * (lane + 1)
        if edge.target == last:
            sheet.open.append(Wire((start, (x, start[1])), "skip"))
        else:
            end = _port(leaves[edge.target], axis, tops[edge.target])
            sheet.drawn.append(Wire((start, (x, start[1]), (x, end[1]), end), "skip"))
        sheet.w = max(sheet.w, x)
    return sheet


def sheet_right(leaves: list[Sheet], axis: float) -> float:
    return axis + max(leaf.right for leaf in leaves)
