"""The memory of a training step, from the program alone: no torch, nothing is run.

What an operator keeps for its backward pass is its own to say (`Op.saved`). Here a step is walked
as torch walks it: forward, where what is kept adds up; backward, where it is given back while
gradients appear; and the optimizer's update. The most that is held at once is the estimate. Work
space inside of a kernel and the allocator's losses come on top.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from archdsl.ir.flow import Flow
from archdsl.ir.graph import Graph, Node, Param, Program, Scope
from archdsl.ops.table import OUTPUT

FLOAT, HALF = 4, 2  # bytes of a number; a weight is a FLOAT
WORDS = {"int64": 8}


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes. `saved`: what the forward pass keeps, of a whole batch, with mixed precision the
    weights' copies too. `layers`: what each layer
    keeps of that and has in weights, gradients and optimizer state."""

    weights: int
    gradients: int
    optimizer: int
    saved: int
    peak: int
    layers: tuple[tuple[str, int], ...]

    @property
    def fixed(self) -> int:
        """What does not depend on the batch."""
        return self.weights + self.gradients + self.optimizer


def training_memory(
    program: Program, *, batch: int, slots: int = 1, copies: int = 0, mixed: str = ""
) -> Memory:
    """`slots`: values that the optimizer keeps for each weight (SGD with momentum 1, Adam 2);
    `copies`: of the weights, such as a moving average; `mixed`: the device ("cpu", "cuda") whose
    autocast chooses half or full precision for each operator."""
    params = FLOAT * program.params
    state = sum(WORDS.get(w.dtype, FLOAT) * w.size for _, w in program.state() if w.buffer)
    tape = _Tape(batch, mixed)
    entering = [
        _Tensor(batch * FLOAT * math.prod(s), kept=True) for s in program.graph.input_shapes
    ]
    outputs = tape.run(program.graph, "", entering)
    # the loss, its gradient and its own work take the outputs in full precision
    loss = 3 * FLOAT * sum(t.size // t.width for t in outputs if t.width < FLOAT)
    weights = params * (1 + copies) + state
    base = weights + slots * params + sum(t.size for t in entering)
    saved = sum(step.saved for step in tape.steps)
    # Adam takes a root: of each weight by itself on a CPU, in two copies, of all together on a GPU
    largest = max((FLOAT * w.size for _, w in program.state() if not w.buffer), default=0)
    update = base + params + (max(params, 2 * largest) if slots > 1 else 0)
    each = (
        (step.name, step.saved + (2 + slots) * step.params)
        for step in sorted(tape.steps, key=lambda s: -s.saved - (2 + slots) * s.params)
    )
    peak = max(update, base + saved + loss, base + tape.backward(saved))
    return Memory(weights, params, slots * params, saved, peak, tuple(each))


def fitting_batch(program: Program, limit: int, **more: Any) -> int:
    """The largest batch whose step stays within `limit` bytes; 0 where none does."""
    fits, over = 0, 1
    while over < 2**30 and training_memory(program, batch=over, **more).peak <= limit:
        fits, over = over, 2 * over
    while over - fits > 1:
        middle = (fits + over) // 2
        if training_memory(program, batch=middle, **more).peak <= limit:
            fits = middle
        else:
            over = middle
    return fits


@dataclass(eq=False, slots=True)
class _Tensor:
    """A value of a batch, with the bytes of it and of one number. `learned`: a gradient flows to
    it; `owner`: whose memory it is."""

    size: int
    width: int = FLOAT
    learned: bool = False
    kept: bool = False
    owner: _Tensor | None = None

    @property
    def memory(self) -> _Tensor:
        return self.owner or self


@dataclass(frozen=True, slots=True)
class _Step:
    """What an operator adds to what is kept, and the bytes of its parameters."""

    name: str
    saved: int
    params: int
    inputs: tuple[_Tensor, ...]
    output: _Tensor


class _Tape:
    """The operators in the order of execution."""

    def __init__(self, batch: int, mixed: str) -> None:
        self.batch, self.mixed = batch, mixed
        self.steps: list[_Step] = []

    def run(self, graph: Graph, prefix: str, inputs: Sequence[_Tensor]) -> list[_Tensor]:
        values, flow = list(inputs), Flow(graph, graph.outputs)
        for item in graph.items:
            name, given = prefix + (item.name or ""), tuple(values[v] for v in item.inputs)
            if isinstance(item, Scope):
                values += self.run(item.graph, f"{name}.", given)
            elif isinstance(item, Param):
                size = FLOAT * math.prod(item.shape)
                values.append(_Tensor(size, learned=not item.buffer, kept=True))
                if not item.buffer:
                    self.steps.append(_Step(name, 0, size, (), values[-1]))
            else:
                inplace = flow.inplace(item) and not item.op.fresh
                values.append(self._node(name or item.op.name, item, given, inplace))
        return [values[v] for v in graph.outputs]

    def _width(self, node: Node, inputs: tuple[_Tensor, ...]) -> int:
        """Of the numbers that an operator reads and gives. A CPU's autocast leaves those alone that
        a GPU's runs in full precision."""
        if self.mixed and node.op.autocast == "half":
            return HALF
        if self.mixed == "cuda" and node.op.autocast == "full":
            return FLOAT
        return max(t.width for t in inputs)

    def _node(self, name: str, node: Node, inputs: tuple[_Tensor, ...], inplace: bool) -> _Tensor:
        params, width = FLOAT * node.params, self._width(node, inputs)
        said = node.op.saved(*node.input_shapes)
        if said.input and inplace:  # the output has taken the input's place
            said = OUTPUT
        output = _Tensor(
            self.batch * width * math.prod(node.shape),
            width,
            learned=params > 0 or any(t.learned for t in inputs),
            owner=inputs[0].memory if said.view else None,
        )
        saved = self.batch * said.more * width // FLOAT if output.learned else 0
        if width == HALF:
            saved += self.batch * said.full
            copied = node.params if node.op.autocast == "half" else 0
            saved += HALF * copied
        read = [*inputs[: len(inputs) * said.input], *[output][: said.output]]
        for tensor in {t.memory: None for t in read}:
            if output.learned and tensor.width != width:  # a copy in the other precision
                saved += tensor.size * width // tensor.width
            elif output.learned and not tensor.kept:
                tensor.kept = True
                saved += tensor.size
        self.steps.append(_Step(name, saved, params, inputs, output))
        return output

    def backward(self, saved: int) -> int:
        """The most that is held at once of what is saved and of gradients."""
        most, gradients = saved, 0
        alive: dict[_Tensor, int] = {}
        for step in reversed(self.steps):
            if not step.output.learned:
                continue
            gradients += step.params
            for tensor in (*step.inputs, step.output):
                if tensor.learned:
                    alive[tensor] = tensor.size
            most = max(most, saved + gradients + sum(alive.values()))
            saved -= step.saved
            alive.pop(step.output, None)
        return most
