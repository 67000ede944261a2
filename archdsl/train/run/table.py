"""Figures as a person reads them: the table's lines, spans of time, small models' parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archdsl.train.tasks.task import TEST, TRAIN, Row, Task


def table_header(task: Task) -> str:
    train, test = task.titles()
    return f"  epoch  train loss{train}   test loss{test}        lr     time"


def table_line(row: Row, task: Task) -> str:
    def loss(value: float | int | None) -> str:
        return (
            f"{'':>10}"
            if value is None
            else f"{value:>10.4f}"
            if 1e-3 <= value < 1e5
            else f"{value:>10.2e}"
        )

    return (
        f"{row['epoch']:>7}  {loss(row['train_loss'])}{task.cell(row[TRAIN], 9)}  "
        f"{loss(row['test_loss'])}{task.cell(row[TEST], 8)}  {row['lr']:>8.2g}  "
        f"{spent(row['seconds'] or 0):>7}"
    )


def spent(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def learned(parameters: Mapping[str, Any]) -> str:
    """The parameters themselves, for models small enough to read."""
    lines = []
    for name, tensor in parameters.items():
        values = ", ".join(f"{one:.5g}" for one in tensor.flatten().tolist())
        lines.append(f"{name:>12} = {values}")
    return "\n".join(lines)
