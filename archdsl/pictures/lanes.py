"""Places beside a column for the edges that pass elements by."""

from __future__ import annotations

LANE = 15.0  # between a skip and what it skips


class Lanes:
    """The lines beside a column, from the inside out."""

    def __init__(self, first: float) -> None:
        self.first = first
        self.of: dict[int, int] = {}
        self.free: list[float] = []  # for each lane the height where it is free again

    def place(self, target: int, top: float, low: float) -> float:
        """Where to go down to a target."""
        if target not in self.of:
            lane = next((i for i, end in enumerate(self.free) if end < top), len(self.free))
            self.free[lane : lane + 1] = [low]
            self.of[target] = lane
        return self.first + LANE * self.of[target]
