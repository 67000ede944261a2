"""From a structure to places: columns of boxes, branches side by side, skips beside them.

A series goes down an axis; the branches of a parallel stand beside each other; a skip runs down the
right of what it skips and enters its join from the side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from archdsl.ops.table import Shape
from archdsl.pictures.drawing import Box, Drawn, Frame, Note, Point, Sheet, Style, Wire, moved
from archdsl.pictures.lanes import LANE, Lanes
from archdsl.pictures.metrics import text_width
from archdsl.pictures.scene import Element
from archdsl.pictures.structure import Leaf, Parallel, Part, Repeated, Series, Tangle
from archdsl.pictures.wording import joined, shape_text
from archdsl.pictures.wrap import INSET, wrapped
from archdsl.text import count_text

TITLE, SMALL, TINY = 12.0, 10.5, 9.5
PAD = 11.0  # beside the text in a box
GAP, LABELLED = 17.0, 27.0  # between boxes, without and with a shape beside the arrow
APART = 18.0  # between branches
HEAD = 27.0  # the height of a frame's title
STACK = 6.0  # what repeated boxes show of those behind them
FORK = 10.0  # from where a wire enters to where others leave it
TAKEN = 6.0  # below a box, where what leaves to the side does so
ASIDE = 34.0  # between a column and what stands beside it
BESIDE = 8.0  # between the lines that go there


# ---- boxes ---------------------------------------------------------------------------------------


def lines(element: Element) -> list[str]:
    """The lines of text in a box: what a person calls it, and what it is."""
    if element.kind in ("input", "output"):
        return [f"{element.title}  {shape_text(element.shape)}"]
    what = joined([word for word in (element.title, *element.notes) if word])
    if what == element.label:
        return [what]
    return [line for line in (element.label, what) if line] or ["…"]


def first_line(element: Element) -> str:
    return lines(element)[0] + (f" ×{element.times}" if element.times > 1 else "")


def small(element: Element) -> bool:
    """Whether it is one low line: what has no weights and hardly a name."""
    return element.kind in ("join", "pill", "input", "output", "param") and len(lines(element)) == 1


def corner(element: Element) -> str:
    """What stands at the right of a box's first line."""
    if element.shared:
        return "shared"
    return count_text(element.params) if element.params else ""


def box_size(element: Element) -> tuple[float, float]:
    text = lines(element)
    if element.kind == "join" and len(element.title) == 1:
        return 20.0, 20.0
    if small(element):
        return text_width(text[0], SMALL) + 2 * PAD, 20.0
    first = text_width(first_line(element), TITLE, bold=True)
    first += text_width(corner(element), TINY) + 16 if corner(element) else 0.0
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
    sheet = Sheet(w + extra, h + extra, w / 2, (w, h / 2), (0, h / 2))
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
    sheet = Sheet(w + extra, h + extra, INSET + left)
    sheet.port, sheet.left = (w, HEAD / 2), (0, HEAD / 2)
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
        sheet = _part(part, width, told, wrap, part is parts[-1])
        before = placed[-1] if placed else None
        if before is not None and not isinstance(part, Parallel | Tangle):
            if isinstance(before[0], Parallel | Tangle):
                for wire in before[1].open:
                    lane = _lanes(wire, before, (sheet, y))
                    drawn.append(lane)
                    reach = max(reach, *(x for x, _ in lane.points))
            elif _begins(part):  # what stands before leads nowhere
                y += LABELLED
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


def _begins(part: Part) -> bool:
    return isinstance(part, Leaf) and part.begins


def _end(element: Element) -> bool:
    return element.kind in ("entry", "exit")


def _column(
    placed: list[tuple[Part, Sheet, float]], drawn: list[Drawn], reach: float, height: float
) -> Sheet:
    axis = max((sheet.axis for _, sheet, _ in placed), default=0.0)
    right = max([reach, *(sheet.right for _, sheet, _ in placed)])
    whole = Sheet(axis + right, height, axis, low=height)
    whole.drawn = [moved(shape, axis, 0) for shape in drawn]
    beside: list[tuple[Point, Series]] = []
    for part, sheet, y in placed:
        whole.drawn += sheet.at(axis - sheet.axis, y)
        if isinstance(part, Leaf):
            beside += [((axis, y + sheet.h), aside) for aside in part.asides]
    _asides(whole, beside)
    if placed:
        _, first, top = placed[0]
        whole.left = (axis - first.axis + first.left[0], top + first.left[1])
    return whole


def _port(sheet: Sheet, axis: float, y: float) -> Point:
    return axis - sheet.axis + sheet.port[0], y + sheet.port[1]


def _asides(whole: Sheet, beside: list[tuple[Point, Series]]) -> None:
    """Draws what leaves the column below a box and never comes back, in the order of their starts.
    Their lines go down beside each other where they cannot go straight."""
    placed: list[tuple[Point, Sheet, float, int]] = []
    low, lane = 0.0, 0
    for start, aside in beside:
        sheet = series(aside)
        y = max(low, start[1] + TAKEN - sheet.left[1])
        if not placed or placed[-1][2] + placed[-1][1].left[1] < start[1]:
            lane = 0
        elif start != placed[-1][0]:
            lane += 1
        placed.append((start, sheet, y, lane))
        low = y + sheet.h + GAP
        whole.whole.append((start[1], y + sheet.h))
    x = whole.w + ASIDE + BESIDE * max((lane for *_, lane in placed), default=0)
    for start, sheet, y, lane in placed:
        level, across = start[1] + TAKEN, x - ASIDE / 2 - BESIDE * lane
        end = (x + sheet.left[0], y + sheet.left[1])
        turn = [(across, level), (across, end[1])] if end[1] != level else []
        whole.drawn.append(Wire((start, (start[0], level), *turn, end), "aside"))
        whole.drawn += sheet.at(x, y)
        whole.w, whole.h = max(whole.w, x + sheet.w), max(whole.h, y + sheet.h)


def _lanes(wire: Wire, fork: tuple[Part, Sheet, float], join: tuple[Sheet, float] | None) -> Wire:
    """An open wire of a fork, on to the side of what follows; x from the axis."""
    _, sheet, y = fork
    points = [(px - sheet.axis, py + y) for px, py in wire.points]
    if join is None:
        end = y + sheet.h - FORK / 2
        way = (*points, (points[-1][0], end), (0, end))
        return replace(wire, points=way, arrow=False)
    after, top = join
    x, height = after.port[0] - after.axis, top + after.port[1]
    lane = max(points[-1][0], x + LANE)
    if len(points) == 1 and lane != points[0][0]:  # from below a box
        (px, py) = points[0]
        points += [(px, py + TAKEN), (lane, py + TAKEN)]
    elif lane > points[-1][0] and sheet.right > points[-1][0]:  # around what stands beside
        low = y + sheet.h - FORK / 2
        points += [(points[-1][0], low), (lane, low)]
        return replace(wire, points=(*points, (lane, height), (x, height)))
    points = [(lane if i and px == points[-1][0] else px, py) for i, (px, py) in enumerate(points)]
    return replace(wire, points=(*points, (lane, height), (x, height)))


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


def _part(part: Part, width: float, told: Shape | None, wrap: bool, last: bool) -> Sheet:
    match part:
        case Leaf():
            return leaf_sheet(part, width, wrap)
        case Parallel():
            return parallel(part, told, last)
        case Tangle():
            return tangle(part, last)
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


def parallel(part: Parallel, told: Shape | None, last: bool = False) -> Sheet:
    """Branches from a fork at the top of the axis to its bottom. `last`: nothing follows there."""
    branches = [series(branch, part.shape) for branch in part.branches]
    note = bool(part.shape) and part.shape != told
    owned = [i for i, branch in enumerate(part.branches) if _owned(branch)]
    if len(owned) == 1 and len(branches) + part.skips == 2:
        main = [i for i in range(len(branches)) if i not in owned]
        return _beside(part, branches, main[0] if main else None, owned[0], note, last)
    if len(branches) == 1:
        return _beside(part, branches, 0, None, note, last)
    if len(branches) == 2 and not part.skips:
        short, long = sorted(range(2), key=lambda i: branches[i].h)
        if branches[short].h < 0.6 * branches[long].h:
            return _beside(part, branches, long, short, note, last)
    return _fan(part, branches, note, last)


def _owned(branch: Series) -> bool:
    """Whether nothing flows into it, for it begins with a parameter."""
    return bool(branch.parts) and _begins(branch.parts[0])


def _forks(branch: Series) -> bool:
    """Whether it begins with a fork: no arrow leads there, for there is nothing to point at."""
    return bool(branch.parts) and isinstance(branch.parts[0], Parallel | Tangle)


def _beside(
    part: Parallel,
    branches: list[Sheet],
    main: int | None,
    other: int | None,
    note: bool,
    last: bool,
) -> Sheet:
    """A branch on the axis, and on the right what skips it, or begins at a parameter. None: a line
    without a box."""
    top, bottom = LABELLED if note else GAP, GAP
    inside = Sheet(0.0, 0.0, 0.0) if main is None else branches[main]
    side = Sheet(0.0, 0.0, 0.0) if other is None else branches[other]
    height, axis = max(inside.h, side.h), inside.axis
    end = top + height + bottom
    sheet = Sheet(inside.w, end, axis, drawn=inside.at(0, top))
    if main is None:
        mark = part.skipped
        sheet.drawn.append(Wire(((axis, 0), (axis, end)), arrow=not last, mark=mark))
    else:
        sheet.drawn.append(Wire(((axis, 0), (axis, top)), arrow=not _forks(part.branches[main])))
        way = ((axis, top + inside.end), (axis, end))
        sheet.drawn.append(Wire(way, arrow=not last, mark=part.marks[main]))
    if note:
        sheet.drawn.append(Note(axis - 6, top / 2 + 1, shape_text(part.shape), "end"))
    fork = FORK * 0.7
    if other is None:
        x = inside.w + LANE
        sheet.open = [Wire(((axis, fork), (x, fork)), "skip", mark=part.skipped)]
        sheet.w = x
        return sheet
    x = inside.w + APART + side.axis
    down = top + (height - side.h) / 2
    sheet.drawn += side.at(x - side.axis, down)
    branch = part.branches[other]
    if not _owned(branch):
        begin = ((axis, fork), (x, fork), (x, down))
        sheet.drawn.append(Wire(begin, "skip", arrow=not _forks(branch)))
    style: Style = "flow" if _owned(branch) else "skip"
    sheet.open = [Wire(((x, down + side.end),), style, mark=part.marks[other])]
    sheet.w = x + side.right
    return sheet


def _fan(part: Parallel, branches: list[Sheet], note: bool, last: bool) -> Sheet:
    top, bottom = FORK + (28.0 if part.skips else 24.0), 34.0
    bus = (24.0 if part.skips else 20.0) if note else FORK
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
        sheet.drawn.append(Note(axis + 6, bus / 2 + 3 * bool(part.skips), shape_text(part.shape)))
    rows = zip(branches, places, axes, part.branches, part.marks, strict=True)
    for branch, place, middle, inside, mark in rows:
        y = top + (height - branch.h) / 2
        sheet.drawn += branch.at(place, y)
        low = y + branch.end
        if not _owned(inside):
            sheet.drawn.append(_elbow((axis, 0), bus, (middle, y), not _forks(inside)))
        sheet.drawn.append(_elbow((middle, low), end - 13.0, (axis, end), not last))
        shape = _shape(inside.parts[-1]) if inside.parts else None
        if shape is not None:
            sheet.drawn.append(Note(middle + 5, low + 9.5, shape_text(shape)))
        if mark:
            sheet.drawn.append(Note(middle - 5, low + 9.5, mark, "end", strong=True))
    if part.skips:
        lane = sheet.w + LANE
        way = ((axis, FORK / 2), (lane, FORK / 2))
        sheet.open = [Wire(way, "skip", mark=part.skipped)]
        sheet.w = lane
    return sheet


def _elbow(start: Point, height: float, end: Point, arrow: bool) -> Wire:
    """Down, across at a height, and down."""
    if abs(start[0] - end[0]) < 0.5:
        return Wire((start, end), arrow=arrow)
    return Wire((start, (start[0], height), (end[0], height), end), arrow=arrow)


def tangle(part: Tangle, ends: bool = False) -> Sheet:
    """A column in the order of execution, with lanes for what goes further than to the next. What
    goes to the same place shares a lane. `ends`: nothing follows."""
    width = sole_width(part.parts)
    leaves = [leaf_sheet(leaf, width) for leaf in part.parts]
    axis = max(leaf.axis for leaf in leaves)
    tops, y = [], LABELLED
    for leaf in leaves:
        tops.append(y)
        y += leaf.h + LABELLED
    right = max(leaf.right for leaf in leaves)
    sheet = Sheet(axis + right, y, axis)
    for leaf, top in zip(leaves, tops, strict=True):
        sheet.drawn += leaf.at(axis - leaf.axis, top)
    lanes = Lanes(axis + right + LANE)
    last = len(leaves)
    for edge in sorted(part.edges, key=lambda e: (e.source, e.target)):
        source, target = edge.source, edge.target
        if target == source + 1:
            continue
        below = tops[source] + leaves[source].h if source >= 0 else 0.0
        level = below + TAKEN
        end = _port(leaves[target], axis, tops[target]) if target < last else (axis, y)
        x = lanes.place(target, level, end[1])
        way = ((axis, below), (axis, level), (x, level))
        if target == last:
            sheet.open.append(Wire(way, "skip", mark=edge.mark))
        else:
            sheet.drawn.append(Wire((*way, (x, end[1]), end), "skip", mark=edge.mark))
        sheet.w = max(sheet.w, x)
    beside = [
        ((axis, top + placed.h), aside)
        for leaf, placed, top in zip(part.parts, leaves, tops, strict=True)
        for aside in leaf.asides
    ]
    _asides(sheet, beside)
    for edge in part.edges:
        if edge.target == edge.source + 1:
            above = tops[edge.source] + leaves[edge.source].h if edge.source >= 0 else 0.0
            below = tops[edge.target] if edge.target < last else sheet.h
            arrow = edge.target < last or not ends
            sheet.drawn.append(Wire(((axis, above), (axis, below)), arrow=arrow, mark=edge.mark))
            if edge.source >= 0:
                note = Note(axis + 6, above + LABELLED / 2, shape_text(edge.shape))
                sheet.drawn.append(note)
    return sheet
