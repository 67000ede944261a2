"""Every operator of the table, exported: the file computes what torch computes. No test knows an
operator; arguments and inputs are drawn from the table, as in `tests/ops/test_against_torch.py`."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from torch import Tensor, nn

from archdsl.ir.graph import Node, Program
from archdsl.ops import TABLE, Op
from archdsl.ops.table import Shape
from archdsl.runtime.export import write_onnx, write_pt2
from archdsl.runtime.module import build
from archdsl.runtime.refusal import alone
from tests.emit.building import SPAN, op
from tests.ops.test_against_torch import batch as samples
from tests.ops.test_against_torch import inputs, operators, refusal

#: of each operator in the slow tests
EXAMPLES = 8
DRAWN = settings(
    max_examples=300,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
Case = tuple[Op, tuple[Shape, ...]]
#: what ONNX lacks words for, as torch has it: a last window that torch drops (in all dimensions, in
#: some), one that is kept, cells of unequal size, a border as wide as the step
HARD: list[Case] = [
    (op("maxpool", kernel=3, pad=1, ceil=True), ((2, 1, 5, 4),)),
    (op("maxpool", kernel=1, stride=2, ceil=True), ((3, 12, 12),)),
    (op("maxpool", kernel=(2, 3), stride=(2, 3), pad=1, dilation=2, ceil=True), ((2, 9, 11),)),
    (op("maxpool", kernel=3, stride=2, ceil=True), ((2, 8),)),
    (op("avgpool", kernel=3, pad=1, ceil=True), ((4, 2),)),
    (op("avgpool", kernel=3, pad=1, stride=2, ceil=True), ((4, 6, 7),)),
    (
        op("avgpool", kernel=3, pad=1, stride=(3, 2), ceil=True, count_include_pad=False),
        ((4, 2, 8),),
    ),
    (op("avgpool", kernel=2, stride=5, ceil=True, count_include_pad=False), ((8, 3, 1),)),
    (op("adaptive_maxpool", out=5), ((3, 12, 12),)),
    (op("adaptive_maxpool", out=3), ((2, 7),)),
    (op("gap", out=3), ((2, 3, 4, 6),)),
    (
        op("deconv", out=4, kernel=2, pad=3, dilation=3, output_pad=1),
        ((2, 5, 5),),
    ),
    (op("deconv", out=4, kernel=2, dilation=3, output_pad=2, bias=False), ((2, 4),)),
]


def program_of(case: Case) -> Program:
    kind, shapes = case
    return alone(Node("0", False, kind, (0,), shapes, kind.shape(*shapes), SPAN))


def module_of(program: Program) -> nn.Module:
    """With weights that leave nothing at 0 or 1."""
    torch.manual_seed(0)
    module = build(program).eval()
    with torch.no_grad():
        for weight in module.parameters():
            weight.normal_(0, 0.5)
        for name, buffer in module.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.uniform_(0.5, 2)
    return module


def in_onnx(program: Program, module: nn.Module, path: Path) -> Callable[[Tensor], Tensor]:
    onnxruntime = pytest.importorskip("onnxruntime")
    write_onnx(program, module, path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda x: torch.from_numpy(session.run(None, {"input": x.numpy()})[0])


def in_pt2(program: Program, module: nn.Module, path: Path) -> Callable[[Tensor], Tensor]:
    write_pt2(program, module, path)
    loaded: Callable[[Tensor], Tensor] = torch.export.load(path).module()
    return loaded


FORMATS = pytest.mark.parametrize("into", [in_onnx, in_pt2])


def assert_same(case: Case, into: Callable[..., Callable[[Tensor], Tensor]], path: Path) -> None:
    program = program_of(case)
    module = module_of(program)
    found = into(program, module, path)
    for batch in (1, 3):
        x = samples(case[0], (program.input_shape,), batch)[0]
        with torch.no_grad():
            expected = module(x)
        if case[0].random:  # another stream of random numbers
            results = torch.stack([found(x) for _ in range(200)])
            assert results[0].shape == expected.shape
            assert abs(results.mean()) < 0.3
            assert abs(results.std() - 1) < 0.3
            continue
        limit = 1e-5 * max(1, expected.abs().max().item())
        torch.testing.assert_close(
            found(x), expected, rtol=1e-4, atol=limit, equal_nan=True, msg=lambda m: f"{case}: {m}"
        )


@pytest.mark.parametrize("case", HARD, ids=str)
def test_what_onnx_has_no_words_for(case: Case, tmp_path: Path) -> None:
    assert_same(case, in_onnx, tmp_path / "m.onnx")


def drawn(kind: type[Op]) -> list[Case]:
    """Some of what the operator accepts, and torch computes at a batch of one sample too."""
    found: dict[Case, None] = {}

    @DRAWN
    @given(operators(kind), inputs(kind))
    def draw(made: Op, shapes: tuple[Shape, ...]) -> None:
        if refusal(made, shapes) is None and not (kind.arity is None and () in shapes):
            found[made, shapes] = None

    draw()
    cases = list(found)
    random.Random(1).shuffle(cases)
    return list(itertools.islice(filter(takes_one, cases), EXAMPLES))


def takes_one(case: Case) -> bool:
    """Normalisation over the batch alone refuses a single sample."""
    program = program_of(case)
    try:
        module_of(program)(torch.zeros(1, *program.input_shape))
    except ValueError as error:
        assert "more than 1 value" in str(error)
        return False
    return True


@pytest.mark.slow
@FORMATS
@pytest.mark.parametrize("kind", TABLE.values(), ids=list(TABLE))
def test_every_operator(kind: type[Op], into: Callable[..., Any], tmp_path: Path) -> None:
    cases = drawn(kind)
    assert cases
    for case in cases:
        assert_same(case, into, tmp_path / "m")


@FORMATS
@pytest.mark.parametrize("name", ["mha", "concat"])
def test_an_operator_of_each_sort(name: str, into: Callable[..., Any], tmp_path: Path) -> None:
    assert_same(drawn(TABLE[name])[0], into, tmp_path / "m")
