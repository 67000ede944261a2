"""What a spec may expand to, and what its model may need."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.syntax.language import MAX_TOKENS

#: the limits that have flags of their own: what the model may need
BUDGETS = ("max_params", "max_macs", "max_memory", "batch")


@dataclass(frozen=True, slots=True)
class Limits:
    """Raised by name: `--limit nodes=200000`. `tokens`: of one file; `steps`: of the expansion;
    `elements`: of one tensor of one sample. The last four are budgets for what the model needs:
    `max_memory` in bytes, of a training step with this `batch`."""

    tokens: int = MAX_TOKENS
    steps: int = 1_000_000
    nodes: int = 50_000
    elements: int = 2**34
    params: int = 10**12
    nesting: int = 60
    max_params: int | None = None
    max_macs: int | None = None
    max_memory: int | None = None
    batch: int = 1
