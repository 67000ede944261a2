"""Lifting is the inverse of lowering: for every operator of the table, with random arguments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from torch import Tensor, nn

from archdsl.importer.capture import Value, capture
from archdsl.importer.lift import Node, lift, nodes
from archdsl.ops import Op
from archdsl.ops.table import Blame, Call, Shape
from archdsl.runtime.module import _execute
from tests.ops.test_against_torch import (
    PROFILE,
    batch,
    build,
    equal,
    every_operator,
    inputs,
    operators,
    run,
    seeded,
)

HEAD = """\
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F"""


class Functional(nn.Module):
    """Calls what an operator is lowered to as a function."""

    def __init__(self, op: Op, shapes: tuple[Shape, ...]) -> None:
        super().__init__()
        self.op, self.shapes = op, shapes

    def forward(self, *xs: Tensor) -> Any:
        return run(self.op, self.op.function(*self.shapes), xs, self.training)


class Holder(nn.Module):
    """Holds the module that an operator is lowered to, as the emitted source would."""

    def __init__(self, op: Op, shapes: tuple[Shape, ...]) -> None:
        super().__init__()
        source = "\n\n\n".join([HEAD, *op.defines(), "class Holder(nn.Module):\n    pass\n"])
        space = vars(_execute(source, "Holder"))
        lowered = op.module(*shapes)
        self.layer = _made(lowered, space)

    def forward(self, *xs: Tensor) -> Any:
        return self.layer(*xs)


def _made(lowered: Call, space: dict[str, Any]) -> nn.Module:
    made: nn.Module = eval(lowered.target, space)(*lowered.args, **dict(lowered.kwargs))
    return made


def lifted(
    module: nn.Module, shapes: Sequence[Shape], training: bool = False
) -> tuple[list[Node], list[Value]]:
    """The nodes, and the values that come in."""
    trace = capture(module, shapes, training=training)
    assert isinstance(trace.result, Value)
    return list(nodes(lift(trace, [trace.result]))), trace.root.inputs


def same(op: Op, given: tuple[list[Node], list[Value]], shapes: tuple[Shape, ...]) -> None:
    """What was lifted has the shape and the weights of the operator, and its values."""
    found, values = given
    read = list(range(len(values)))
    if not found:  # nothing: what comes in goes out
        found_op: Op | None = None
    else:
        assert len(found) == 1, found
        found_op = found[0].op
        read = [values.index(v) for v in found[0].inputs]  # of `fit` one: a border of numbers
        mine = tuple(shapes[n] for n in read)
        assert found_op.shape(*mine) == op.shape(*shapes)
        assert found_op.weights(*mine) == op.weights(*shapes)
    xs = batch(op, shapes)
    torch.manual_seed(0)
    one = build(op, shapes)
    other = one
    if found_op is not None:
        torch.manual_seed(0)
        other = build(found_op, tuple(shapes[n] for n in read))
    if isinstance(one, nn.Module) and isinstance(other, nn.Module):
        other.load_state_dict(one.state_dict())
    for training in (True, False):
        for layer in (one, other):
            if isinstance(layer, nn.Module):
                layer.train(training)
        with torch.no_grad():
            theirs = seeded(one, *xs)
            ours = xs[0] if found_op is None else seeded(other, *(xs[n] for n in read))
        assert equal(theirs, ours), (op, found_op)


@every_operator
def test_modules_and_functions_come_back(kind: type[Op]) -> None:
    @settings(PROFILE, max_examples=8)
    @given(operators(kind), inputs(kind))
    def check(op: Op, shapes: tuple[Shape, ...]) -> None:
        try:
            op.shape(*shapes)
        except Blame:
            assume(False)
        # a sum of branches and a number is lifted as two
        assume(len(shapes) == 1 or not op.instead or getattr(op, op.instead) is None)
        if op.arity is not None:
            same(op, lifted(Holder(op, shapes), shapes), shapes)
        if op.function(*shapes) is not None:
            # some functions do nothing in evaluation
            same(op, lifted(Functional(op, shapes), shapes, training=True), shapes)

    check()


def test_what_is_not_in_the_table_is_named_with_its_place() -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cumprod(x, 1)

    from archdsl.importer import CannotImport

    with pytest.raises(CannotImport) as caught:
        lifted(Odd(), [(4,)])
    (problem,) = caught.value.problems
    assert "cumprod" in problem.message
    line = int(problem.place.line.rpartition(":")[2])
    assert "cumprod" in Path(__file__).read_text(encoding="utf-8").splitlines()[line - 1]
