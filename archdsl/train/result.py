"""What training came to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from archdsl.train.tasks.task import Row, Tested


@dataclass
class Result:
    """What training came to. `module` holds the last weights; the best are in `run`."""

    run: Path | None
    module: nn.Module | None
    history: list[Row]
    best: Row | None
    step: int
    signal: int = 0  # the one that ended it early, if any
    tested: Tested | None = None
    final: Tested | None = None  # of the best model, where the data has val and test
    folds: tuple[Result, ...] = ()  # of a cross-validation: each fold's, and nothing above
    panel: str | None = None  # what the task's figure is called, where it has one

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """What a notebook shows: the curves; a run that has none yet, its text."""
        if not self.history:
            return {"text/plain": repr(self)}
        from archdsl.train.run.plots import draw_curves

        return {"image/png": draw_curves(self.history, self.panel), "text/plain": self._summary()}

    def _summary(self) -> str:
        figures = {k: v for k, v in (self.best or self.history[-1]).items() if v is not None}
        told = ", ".join(f"{k} {v:.4g}" for k, v in figures.items())
        return f"best epoch: {told}\nrun: {self.run}" if self.best else told
