"""The whole picture: the model, and beside it the inside of the blocks that it shows closed."""

from __future__ import annotations

from archdsl.backends.diagram.drawing import Sheet
from archdsl.backends.diagram.hairpin import hairpin
from archdsl.backends.diagram.layout import frame, series
from archdsl.backends.diagram.scene import Element, Flow
from archdsl.backends.diagram.structure import Leaf, Parallel, Repeated, Series, count, structure

BETWEEN = 48.0
PANELS = 2
#: an inside with more boxes than this explains nothing
LARGEST = 16


def compose(flow: Flow, *, insides: bool) -> Sheet:
    """`insides`: show what the closed blocks hold."""
    whole = structure(flow)
    main = hairpin(whole) or series(whole, wrap=True)
    panels = [_panel(element) for element in _explained(whole)] if insides else []
    if not panels:
        return main
    x, y = main.w + BETWEEN, 0.0
    height = sum(panel.h for panel in panels) + BETWEEN / 2 * (len(panels) - 1)
    sheet = Sheet(main.w, max(main.h, height), main.axis, drawn=list(main.drawn))
    for panel in panels:
        sheet.drawn += panel.at(x, y)
        sheet.w = max(sheet.w, x + panel.w)
        y += panel.h + BETWEEN / 2
    return sheet


def _explained(whole: Series) -> list[Element]:
    """One closed block of each kind, the most common: of the kinds that occur most."""
    kinds: dict[str, dict[object, list[Element]]] = {}
    for element in _closed(whole):
        if element.inner is not None and element.hue != "group" and not element.training_only:
            alike = kinds.setdefault(element.hue, {})
            alike.setdefault(element.alike, []).append(element)
    chosen = []
    for variants in kinds.values():
        total = sum(e.times for group in variants.values() for e in group)
        group = max(variants.values(), key=lambda group: sum(e.times for e in group))
        inner = group[0].inner
        if inner is not None and 2 <= count(structure(inner)) <= LARGEST:
            chosen.append((total, group[0]))
    chosen.sort(key=lambda pair: -pair[0])
    return [element for _, element in chosen[:PANELS]]


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
    title = Element(
        "block", f"inside {element.hue}", element.label or element.title, hue=element.hue
    )
    return frame(title, series(structure(inner), element.shape))
