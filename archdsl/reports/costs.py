"""What each layer costs, as a table for spreadsheets and scripts."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import asdict, dataclass

from archdsl.ir.graph import Node, Param, Program
from archdsl.ops.table import Shape
from archdsl.text import inputs_text, shape_text


@dataclass(frozen=True, slots=True)
class Cost:
    """One operator, or a scope's own parameter. Shapes and counts are for one sample.

    `activation`: the numbers in its output. `training_only`: part of an aux head.
    """

    name: str
    op: str
    input: str
    output: str
    params: int
    buffers: int
    macs: int
    activation: int
    training_only: bool


def costs(program: Program) -> list[Cost]:
    """Every operator in the order of execution; an aux head's are those of training."""
    rows: list[Cost] = []
    aside: list[str] = []
    for name, item in program.walk():
        only = any(name.startswith(prefix) for prefix in aside)
        if isinstance(item, Param):
            sizes = (0, math.prod(item.shape)) if item.buffer else (math.prod(item.shape), 0)
            kind = "buffer" if item.buffer else "param"
            rows.append(Cost(name, kind, "", shape_text(item.shape), *sizes, 0, 0, only))
        elif isinstance(item, Node):
            rows.append(_cost(name, item, only or item.training_only))
        elif item.training_only:
            aside.append(name + ".")
    return rows


def _cost(name: str, node: Node, only: bool) -> Cost:
    params = node.params
    buffers = sum(w.size for w in node.weights if w.buffer)
    inputs = " ".join(map(_shape, node.input_shapes))
    size = math.prod(node.shape)
    return Cost(
        name, node.op.name, inputs, _shape(node.shape), params, buffers, node.macs, size, only
    )


def _shape(shape: Shape) -> str:
    return shape_text(shape, empty="")


def show_costs(program: Program, *, format: str = "csv") -> str:
    """`csv`: a row for each layer. `json`: the same, with the program's totals."""
    rows = [asdict(cost) for cost in costs(program)]
    if format == "json":
        totals = {
            "model": program.name,
            "input": inputs_text(program.inputs),
            "outputs": {name: _shape(shape) for name, shape in program.output_shapes.items()},
            "params": program.params,
            "macs": program.macs,
            "layers": rows,
        }
        return json.dumps(totals, indent=1) + "\n"
    text = io.StringIO()
    table = csv.DictWriter(text, [*Cost.__dataclass_fields__], lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()
