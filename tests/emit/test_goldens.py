"""The emitted source, word for word: each spec of tests/cases/emit beside its source, below the
docstring. `pytest --update-goldens` rewrites these; read what changed."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch

import archdsl
from archdsl.pipeline import open_spec
from archdsl.runtime.module import build

FOLDER = Path(__file__).parents[1] / "cases" / "emit"
SPECS = sorted(FOLDER.glob("*.arch"))


def _below_the_docstring(source: str) -> str:
    end = ast.parse(source).body[0].end_lineno
    assert end is not None
    return "\n".join(source.splitlines()[end:]).lstrip("\n") + "\n"


@pytest.mark.parametrize("path", SPECS, ids=[path.stem for path in SPECS])
def test_source(path: Path, pytestconfig: pytest.Config) -> None:
    golden, source = path.with_suffix(".py"), _below_the_docstring(archdsl.compile(str(path)))
    if pytestconfig.getoption("--update-goldens"):
        golden.write_text(source, encoding="utf-8")
    assert source == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", SPECS, ids=[path.stem for path in SPECS])
def test_it_is_the_program(path: Path) -> None:
    """What is read here has the program's state, and runs."""
    program = open_spec(str(path)).checked()
    module = build(program).eval()
    shapes = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    assert shapes == {key: weight.shape for key, weight in program.state()}
    out = module(torch.rand(2, *program.input_shape))
    outs = out if isinstance(out, tuple) else (out,)
    found = [tuple(t.shape[1:]) for t in outs if t is not None]
    assert found == [*program.output_shapes.values()]
