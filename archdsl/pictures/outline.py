"""A structure as nodes, nested groups and edges, for programs that lay out for themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from archdsl.ops.table import Shape
from archdsl.pictures.layout import lines
from archdsl.pictures.scene import Edge, Element
from archdsl.pictures.structure import Leaf, Parallel, Repeated, Series, Tangle
from archdsl.pictures.wording import shape_text
from archdsl.text import count_text

Way = Literal["flow", "skip", "aside"]


@dataclass
class Item:
    """A node, or a group where it has `items`."""

    id: str
    element: Element
    items: list[Item] | None = None


@dataclass(frozen=True)
class Link:
    """Without a target while it waits for one."""

    source: str
    target: str
    shape: Shape
    style: Way
    #: which operand of its target it is, where that matters
    mark: str = ""


def link_text(link: Link) -> str:
    """The shape, and which operand it is: `2: 8×32×32`."""
    return f"{link.mark}: " * bool(link.mark) + shape_text(link.shape)


@dataclass
class Outline:
    items: list[Item] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)


def outline(series: Series) -> Outline:
    return _Writer().write(series)


def elements(items: list[Item]) -> Iterator[Element]:
    """Those of nodes and groups, from the outside in."""
    for item in items:
        yield item.element
        yield from elements(item.items or [])


def node_lines(element: Element) -> list[str]:
    """What a node says: name, what it is, how often, and its parameters."""
    text = lines(element)
    if element.times > 1:
        text[0] += f" ×{element.times}"
    if element.shared:
        text.append("shared")
    elif element.params:
        text.append(f"{count_text(element.params)} parameters")
    return text


def group_title(element: Element) -> str:
    times = f"×{element.times}" if element.times > 1 else ""
    title = element.title if element.title != element.label else ""
    shared = "(shared)" if element.shared else ""
    return " ".join(filter(None, (element.label, title, times, shared)))


class _Writer:
    def __init__(self) -> None:
        self.made = Outline()
        self.number = 0

    def write(self, series: Series) -> Outline:
        self._series(series, [], self.made.items)
        return self.made

    def _series(self, series: Series, loose: list[Link], into: list[Item]) -> list[Link]:
        for part in series.parts:
            match part:
                case Leaf():
                    loose = self._leaf(part, loose, into)
                case Parallel():
                    ends: list[Link] = []
                    for branch, mark in zip(part.branches, part.marks, strict=True):
                        made = self._series(branch, loose, into)
                        ends += [replace(link, mark=mark) for link in made] if mark else made
                    if part.skips:
                        ends += [replace(link, style="skip", mark=part.skipped) for link in loose]
                    loose = ends
                case Repeated():
                    element = Element("block", "", "", times=part.times)
                    loose = self._group(element, part.series, loose, into)
                case Tangle():
                    loose = self._tangle(part, loose, into)
        return loose

    def _leaf(self, leaf: Leaf, loose: list[Link], into: list[Item]) -> list[Link]:
        element = leaf.element
        if element.kind in ("entry", "exit"):
            return loose
        if leaf.begins:
            loose = []
        if leaf.inner is not None:
            after = self._group(element, leaf.inner, loose, into)
        else:
            node = self._node(element, loose, into)
            after = [Link(node, "", element.shape, "flow")]
        for aside in leaf.asides:
            self._series(aside, [replace(link, style="aside") for link in after], into)
        return after

    def _node(self, element: Element, loose: list[Link], into: list[Item]) -> str:
        node = f"n{self.number}"
        self.number += 1
        into.append(Item(node, element))
        self.made.links += [replace(link, target=node) for link in loose]
        return node

    def _group(
        self, element: Element, series: Series, loose: list[Link], into: list[Item]
    ) -> list[Link]:
        group = Item(f"g{self.number}", element, [])
        self.number += 1
        into.append(group)
        return self._series(series, loose, group.items if group.items is not None else into)

    def _tangle(self, part: Tangle, loose: list[Link], into: list[Item]) -> list[Link]:
        ends: dict[int, list[Link]] = {-1: loose}
        for number, leaf in enumerate(part.parts):
            given: list[Link] = [
                self._along(edge, link, "flow" if edge.source == number - 1 else "skip")
                for edge in part.edges
                if edge.target == number
                for link in ends[edge.source]
            ]
            ends[number] = self._leaf(leaf, given, into)
        return [
            self._along(edge, link, "flow")
            for edge in part.edges
            if edge.target == len(part.parts)
            for link in ends[edge.source]
        ]

    def _along(self, edge: Edge, link: Link, style: Way) -> Link:
        return replace(link, shape=edge.shape, style=style, mark=edge.mark)
