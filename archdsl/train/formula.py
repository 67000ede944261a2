"""`formula:y`: samples with a known truth, to see whether training finds it.

In: an expression of the language (`x1 + 2*x2 + 5`), and the shape that the spec takes. Out: inputs
drawn from the normal distribution, the same ones each time, and the expression's value for each.
The inputs are called x1, x2, ... in order; a single one is also x.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from archdsl.diagnostics.source import Source as Text
from archdsl.ir.values import Evaluator, Problem, names_in
from archdsl.syntax import tree as t
from archdsl.syntax.parse import parse_expression
from archdsl.train.errors import TrainError

HELP = "for example 'formula:x1 + 2*x2 + 5', over the numbers that the spec takes"


def open_formula(text: str, shape: tuple[int, ...], samples: int) -> tuple[Tensor, Tensor]:
    """Inputs of the shape, and the target of each as a column."""
    count = math.prod(shape)
    x = torch.randn(samples, *shape, generator=torch.Generator().manual_seed(0))
    names = [f"x{n}" for n in range(1, count + 1)]
    expr = _parsed(text, [*names, "x"] if count == 1 else names)
    rows = x.double().reshape(samples, count).tolist()
    y = [_value(expr, dict(zip(names, row, strict=True)) | {"x": row[0]}) for row in rows]
    return x, torch.tensor(y)[:, None]


def _parsed(text: str, names: list[str]) -> t.Expr:
    expr, problems = parse_expression(Text("formula", text), 0, len(text))
    if expr is None:
        raise TrainError(f"formula:{text}: {problems[0].message}", HELP)
    for used in names_in(expr):
        if isinstance(used, t.Name) and used.name not in names:
            known = ", ".join(names) if len(names) < 9 else f"{names[0]} to {names[-1]}"
            raise TrainError(
                f"formula:{text}: there is no {used.name!r}", f"the spec's inputs are {known}"
            )
    return expr


def _value(expr: t.Expr, variables: dict[str, float]) -> float:
    try:
        value = Evaluator(variables, None, lambda name: None)(expr)
    except Problem as problem:
        found = problem.diagnostic
        reason = found.message if found else "it has no value"
        raise TrainError(f"formula:{expr.span.text}: {reason}", HELP) from None
    if not isinstance(value, int | float):
        raise TrainError(f"formula:{expr.span.text}: its value is no number", HELP)
    return float(value)
