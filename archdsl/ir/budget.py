"""Whether a checked model needs more than it may: `archdsl check --max-params 25M`."""

from __future__ import annotations

import math
from collections.abc import Iterable

from archdsl.diagnostics.catalogue import OverMacs, OverMemory, OverParams
from archdsl.diagnostics.model import Diagnostic
from archdsl.diagnostics.source import Span
from archdsl.ir.graph import Node, Param, Program
from archdsl.ir.limits import Limits
from archdsl.text import count_text

LARGEST = 3  # contributors that are told


def over_budget(program: Program, limits: Limits, span: Span) -> list[Diagnostic]:
    """One for each figure that passes its budget, at the model's name."""
    found: list[Diagnostic] = []
    name, params, macs = f"`{program.name}`", limits.max_params, limits.max_macs
    if params is not None and program.params > params:
        need = f"{name} has {count_text(program.params)} parameters"
        found.append(OverParams(span, need, count_text(params), largest(_params(program))))
    if macs is not None and program.macs > macs:
        need = f"{name} takes {count_text(program.macs)} multiply-accumulates a sample"
        found.append(OverMacs(span, need, count_text(macs), largest(_macs(program))))
    if limits.max_memory is not None:
        found += _memory(program, limits.batch, limits.max_memory, span)
    return found


def _memory(program: Program, batch: int, limit: int, span: Span) -> list[Diagnostic]:
    from archdsl.ir.memory import fitting_batch, training_memory

    memory = training_memory(program, batch=batch)
    if memory.peak <= limit:
        return []
    fits = fitting_batch(program, limit)
    hint = f"a batch of {fits} fits; " if fits else "not even one sample fits; "
    need = f"training `{program.name}` with a batch of {batch} takes {count_text(memory.peak)}B"
    return [OverMemory(span, need, f"{count_text(limit)}B", largest(memory.layers, "B"), hint)]


def _params(program: Program) -> Iterable[tuple[str, int]]:
    for name, item in program.walk():
        if isinstance(item, Param) and not item.buffer:
            yield name, math.prod(item.shape)
        elif isinstance(item, Node):
            yield name, item.params


def _macs(program: Program) -> Iterable[tuple[str, int]]:
    return ((name, item.macs) for name, item in program.walk() if isinstance(item, Node))


def largest(parts: Iterable[tuple[str, int]], unit: str = "") -> str:
    """The greatest contributors, with their shares."""
    chosen = sorted(parts, key=lambda part: -part[1])[:LARGEST]
    return ", ".join(f"`{name}` {count_text(size)}{unit}" for name, size in chosen if size)
