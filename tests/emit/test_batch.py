"""Parameters have no batch: what a module gives for batches of any size."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import archdsl
from archdsl.ir.read import read_ir
from archdsl.ir.show import show_program

CASES = Path(__file__).parents[1] / "cases" / "good"


@pytest.mark.parametrize("name", ["parameters", "parameters_batch"])
def test_any_batch(name: str) -> None:
    report = archdsl.check(CASES / f"{name}.arch")
    assert report.program is not None
    torch.manual_seed(0)
    module = archdsl.load(CASES / f"{name}.arch")
    shapes = list(report.program.output_shapes.values())
    more = [report.program.values[value] for _, value in report.program.aux]
    for batch in (1, 2, 5):
        x = torch.randn(batch, *report.program.input_shape)
        module.train()
        found = [tuple(o.shape) for o in _outputs(module(x))]
        assert found == [(batch, *shape) for shape in (*shapes, *more)]
        module.eval()
        together = _outputs(module(x))
        assert [tuple(o.shape) for o in together] == [(batch, *shape) for shape in shapes]
        alone = _outputs(module(x[-1:]))
        for one, other in zip(together, alone, strict=True):
            assert torch.allclose(one[-1:], other, atol=1e-6)


@pytest.mark.parametrize("name", ["parameters", "parameters_batch"])
def test_the_ir_says_which_values_have_no_batch(name: str) -> None:
    program = archdsl.check(CASES / f"{name}.arch").program
    assert program is not None
    text = show_program(program, format="json")
    assert show_program(read_ir(text), format="json") == text


def _outputs(out: object) -> list[torch.Tensor]:
    parts = out if isinstance(out, tuple) else (out,)
    return [part for part in parts if isinstance(part, torch.Tensor)]
