"""The whole picture: the model, and beside it the inside of the blocks that it shows closed."""

from __future__ import annotations

from collections.abc import Hashable

from archdsl.pictures.drawing import Sheet
from archdsl.pictures.layout import frame, series
from archdsl.pictures.scene import Element, Flow
from archdsl.pictures.structure import Leaf, Parallel, Repeated, Series, count, structure
from archdsl.pictures.u_shape import u_shape
from archdsl.pictures.wrap import unfitness

BETWEEN = 48.0
PANELS = 2
#: an inside with more boxes than this explains nothing
LARGEST = 16


def compose(flow: Flow, *, insides: bool) -> Sheet:
    """`insides`: show what the closed blocks hold."""
    whole = structure(flow)
    main = u_shape(whole) or series(whole, wrap=True)
    panels = [_panel(element) for element in _explained(whole)] if insides else []
    if not panels:
        return main
    return min((_beside(main, panels), _below(main, panels)), key=unfitness)


def _beside(main: Sheet, panels: list[Sheet]) -> Sheet:
    x, y = main.w + BETWEEN, 0.0
    sheet = Sheet(main.w, main.h, main.axis, drawn=list(main.drawn))
    for panel in panels:
        sheet.drawn += panel.at(x, y)
        sheet.w, sheet.h = max(sheet.w, x + panel.w), max(sheet.h, y + panel.h)
        y += panel.h + BETWEEN / 2
    return sheet


def _below(main: Sheet, panels: list[Sheet]) -> Sheet:
    x, y = 0.0, main.h + BETWEEN / 2
    sheet = Sheet(main.w, main.h, main.axis, drawn=list(main.drawn))
    for panel in panels:
        sheet.drawn += panel.at(x, y)
        sheet.w, sheet.h = max(sheet.w, x + panel.w), max(sheet.h, y + panel.h)
        x += panel.w + BETWEEN / 2
    return sheet


def _explained(whole: Series) -> list[Element]:
    """The most common of the closed blocks of each kind, of the kinds that occur most; where there
    is room, those of the same kind that are built in another way."""
    kinds: dict[str, dict[Hashable, dict[Hashable, list[Element]]]] = {}
    for element in _closed(whole):
        if element.inner is not None and element.hue != "group" and not element.training_only:
            ways = kinds.setdefault(element.hue, {}).setdefault(element.build, {})
            ways.setdefault(element.alike, []).append(element)
    first: list[tuple[int, Element]] = []
    others: list[tuple[int, Element]] = []
    for builds in kinds.values():
        chosen = [max(ways.values(), key=_times) for ways in builds.values()]
        ranked = sorted(chosen, key=_times, reverse=True)
        total = sum(_times(group) for ways in builds.values() for group in ways.values())
        first.append((total, ranked[0][0]))
        others += [(_times(group), group[0]) for group in ranked[1:]]
    ranks = [sorted(pairs, key=lambda pair: -pair[0]) for pairs in (first, others)]
    return [e for pairs in ranks for _, e in pairs if _explains(e)][:PANELS]


def _times(group: list[Element]) -> int:
    return sum(element.times for element in group)


def _explains(element: Element) -> bool:
    return element.inner is not None and 2 <= count(structure(element.inner)) <= LARGEST


def _closed(whole: Series) -> list[Element]:
    found: list[Element] = []
    for part in whole.parts:
        match part:
            case Leaf():
                if part.inner is not None:
                    found += _closed(part.inner)
                elif part.element.kind == "block":
                    found.append(part.element)
                for aside in part.asides:
                    found += _closed(aside)
            case Parallel():
                for branch in part.branches:
                    found += _closed(branch)
            case Repeated():
                found += _closed(part.series)
            case _:
                found += _closed(Series(part.parts))
    return found


def _panel(element: Element) -> Sheet:
    inner = element.inner
    if inner is None:
        raise ValueError("nothing inside")
    name = f"inside {element.label or element.title}"
    title = Element("block", name, element.title if element.label else "", hue=element.hue)
    return frame(title, series(structure(inner), element.shape))
