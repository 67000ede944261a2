"""Encoder and decoder as a U: down on the left, up on the right, skips straight across."""

from __future__ import annotations

import math
from dataclasses import dataclass

from archdsl.ops.table import Shape
from archdsl.pictures.drawing import Drawn, Note, Point, Sheet, Wire
from archdsl.pictures.layout import LABELLED, leaf_sheet, sole_width
from archdsl.pictures.structure import Leaf, Parallel, Series
from archdsl.pictures.wording import shape_text

ACROSS = 120.0  # the least between the two arms
BESIDE = 30.0  # between an arm and what lies at the bottom


@dataclass(frozen=True)
class _Level:
    """One floor: what goes down before its skip leaves, and what goes up from where it arrives."""

    down: tuple[Leaf, ...]
    up: tuple[Leaf, ...]
    shape: Shape


def u_shape(whole: Series) -> Sheet | None:
    """The series as a U; None where it is none."""
    levels: list[_Level] = []
    parts = [p for p in whole.parts if not (isinstance(p, Leaf) and p.element.kind == "entry")]
    while True:
        forks = [i for i, part in enumerate(parts) if not isinstance(part, Leaf)]
        if not forks:
            break
        fork = parts[forks[0]]
        if len(forks) > 1 or not isinstance(fork, Parallel) or len(fork.branches) != 1:
            return None
        down = tuple(p for p in parts[: forks[0]] if isinstance(p, Leaf))
        up = tuple(p for p in parts[forks[0] + 1 :] if isinstance(p, Leaf))
        if not down or not up or not _dips(fork) or fork.skipped:  # whose ends would need marks
            return None
        levels.append(_Level(down, up, fork.shape))
        parts = list(fork.branches[0].parts)
    bottom = [p for p in parts if isinstance(p, Leaf)]
    every = [leaf for level in levels for leaf in (*level.down, *level.up)] + bottom
    if not levels or not bottom or any(leaf.asides or leaf.begins for leaf in every):
        return None
    return _U(levels, bottom).sheet()


def _dips(fork: Parallel) -> bool:
    """Whether what is skipped goes to a lower resolution and comes back."""
    first = next((p for p in fork.branches[0].parts if isinstance(p, Leaf)), None)
    if first is None or len(fork.shape) < 2:
        return False
    return math.prod(first.element.shape[1:]) < math.prod(fork.shape[1:])


class _U:
    def __init__(self, levels: list[_Level], bottom: list[Leaf]) -> None:
        self.levels = levels
        every = [leaf for level in levels for leaf in (*level.down, *level.up)] + bottom
        width = sole_width(every)
        self.sheets = {id(leaf): leaf_sheet(leaf, width) for leaf in every}
        # what changes the resolution stands in the arms, what is between at the bottom
        several = len(bottom) > 2
        self.last_down = bottom[:1] if several else []
        self.first_up = bottom[-1:] if several else []
        self.middle = bottom[1:-1] if several else bottom
        self.drawn: list[Drawn] = []

    def sheet(self) -> Sheet:
        sheets = self.sheets.values()
        axis, reach = max(s.axis for s in sheets), max(s.right for s in sheets)
        middle_axis = axis + reach + BESIDE + axis
        other = max(middle_axis + reach + BESIDE + axis, axis + reach + ACROSS + axis)
        middle_axis = (axis + other) / 2
        low_left, low_right = self._arms(axis, other)
        left_end = self._stack(self.last_down, axis, low_left, down=True)
        right_end = self._stack(self.first_up[::-1], other, low_right, down=False)
        y = max(left_end, right_end) + LABELLED / 2
        height = sum(self.sheets[id(m)].h for m in self.middle) + LABELLED * (len(self.middle) - 1)
        first, last = self.sheets[id(self.middle[0])], self.sheets[id(self.middle[-1])]
        enter = y + first.port[1]
        shape = (self.last_down or [self.levels[-1].down[-1]])[-1].element.shape
        self._wire((axis, left_end), (axis, enter), (middle_axis - first.axis, enter))
        self._note(axis + 6, enter - 10, shape)
        place = y
        for before, leaf in zip([None, *self.middle], self.middle, strict=False):
            if before is not None:
                self._wire((middle_axis, place), (middle_axis, place + LABELLED))
                self._note(middle_axis + 6, place + LABELLED / 2, before.element.shape)
                place += LABELLED
            sheet = self.sheets[id(leaf)]
            self.drawn += sheet.at(middle_axis - sheet.axis, place)
            place += sheet.h
        leave = place - last.h + last.port[1]
        start = middle_axis - last.axis + last.port[0]
        self._wire((start, leave), (other, leave), (other, right_end))
        self._note(other + 6, leave - 10, self.middle[-1].element.shape)
        return Sheet(other + reach + 44, y + height, (axis + other) / 2, drawn=self.drawn)

    def _arms(self, axis: float, other: float) -> tuple[float, float]:
        """Draws the levels; returns how far down both arms are."""
        low_left = low_right = 0.0
        for number, level in enumerate(self.levels):
            down = [self.sheets[id(leaf)] for leaf in level.down]
            up = [self.sheets[id(leaf)] for leaf in level.up]
            gaps = LABELLED * (len(down) - 1), LABELLED * (len(up) - 1)
            above = sum(s.h for s in down[:-1]) + gaps[0] + down[-1].port[1]
            over = sum(s.h for s in up[1:]) + gaps[1] + up[0].port[1]
            between = LABELLED if number else 0.0
            line = max(low_left + above, low_right + over) + between
            top_left, top_right = line - above, line - over
            if number:
                shape = self.levels[number - 1].down[-1].element.shape
                self._wire((axis, low_left), (axis, top_left))
                self._note(axis + 6, (low_left + top_left) / 2, shape)
                self._wire((other, top_right), (other, low_right))
                self._note(other + 6, (low_right + top_right) / 2, level.up[-1].element.shape)
            low_left = self._stack(level.down, axis, top_left, down=True, joined=False)
            low_right = self._stack(level.up[::-1], other, top_right, down=False, joined=False)
            start = axis - down[-1].axis + down[-1].port[0]
            self._wire((start, line), (other - up[0].axis, line), style="skip")
            middle = (start + other - up[0].axis) / 2
            self.drawn.append(Note(middle, line - 7, shape_text(level.shape), "middle"))
        return low_left, low_right

    def _stack(
        self,
        leaves: tuple[Leaf, ...] | list[Leaf],
        x: float,
        y: float,
        *,
        down: bool,
        joined: bool = True,
    ) -> float:
        """Leaves from top to bottom, with wires down or up; `joined`: to what is above them."""
        for number, leaf in enumerate(leaves):
            sheet = self.sheets[id(leaf)]
            if number or joined:
                points = ((x, y), (x, y + LABELLED))
                self._wire(*(points if down else points[::-1]))
                above = leaves[number - 1] if number else self.levels[-1].down[-1]
                told = above.element if down else leaf.element
                if told.kind not in ("input", "output") and above.element.kind != "output":
                    self._note(x + 6, y + LABELLED / 2, told.shape)
                y += LABELLED
            self.drawn += sheet.at(x - sheet.axis, y)
            y += sheet.h
        return y

    def _wire(self, *points: Point, style: str = "flow") -> None:
        self.drawn.append(Wire(points, "skip" if style == "skip" else "flow"))

    def _note(self, x: float, y: float, shape: Shape) -> None:
        self.drawn.append(Note(x, y, shape_text(shape)))
