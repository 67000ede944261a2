"""`formula:y`: samples with a known truth, to see whether training finds it.

In: an expression of the language (`x[0] + 2*x[1] + 5`), and the shape that the spec takes. Out:
inputs drawn from the normal distribution, the same ones each time, and the expression's value for
each. `x` is the list of a sample's inputs; where the spec takes one number, `x` is that number.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from archdsl.checker.problem import Problem
from archdsl.checker.values import Evaluator
from archdsl.diagnostics.source import Source as Text
from archdsl.syntax import tree as t
from archdsl.syntax.parse import parse_expression
from archdsl.syntax.tree import names_in
from archdsl.train.data.samples import Tensors
from archdsl.train.data.sources import Source, Wanted
from archdsl.train.errors import TrainError
from archdsl.train.recipe.schema import Data

HELP = "such as 'formula:x**2 + 3' for one input, 'formula:x[0] + 2*x[1] + 5' for two"


def points(text: str, shape: tuple[int, ...], samples: int) -> tuple[Tensor, Tensor]:
    """Inputs of the shape, and the target of each as a column."""
    expr = _parsed(text)
    x = torch.randn(samples, *shape, generator=torch.Generator().manual_seed(0))
    rows = x.double().reshape(samples, math.prod(shape)).tolist()
    y = [_value(expr, tuple(row) if len(row) > 1 else row[0]) for row in rows]
    return x, torch.tensor(y)[:, None]


def _parsed(text: str) -> t.Expr:
    expr, problems = parse_expression(Text("formula", text), 0, len(text))
    if expr is None:
        raise TrainError(f"formula:{text}: {problems[0].message}", HELP)
    for used in names_in(expr):
        if isinstance(used, t.Name) and used.name != "x":
            raise TrainError(f"formula:{text}: there is no {used.name!r}, the input is `x`", HELP)
    return expr


def _value(expr: t.Expr, x: float | tuple[float, ...]) -> float:
    try:
        value = Evaluator({"x": x}, lambda name: None)(expr)
    except Problem as problem:
        found = problem.diagnostic
        reason = found.message if found else "it has no value"
        raise TrainError(f"formula:{expr.span.text}: {reason}", HELP) from None
    if not isinstance(value, int | float):
        raise TrainError(f"formula:{expr.span.text}: its value is no number", HELP)
    return float(value)


def opened(text: str, data: Data, wanted: Wanted) -> Source:
    if not wanted.regression:
        raise TrainError(
            "a formula gives numbers, this loss wants classes", "--set loss=mse compares numbers"
        )
    return Source(Tensors(*points(text, wanted.input_shape or (1,), data.samples)), None)
