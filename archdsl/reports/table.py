"""The program as a table of shapes and costs, for terminals."""

from __future__ import annotations

from collections.abc import Sequence

from archdsl.ir import receptive_field
from archdsl.ir.graph import Node, Param, Program
from archdsl.text import shape_text


def shape_table(program: Program) -> str:
    """Every layer in the order of execution: name, operator, output shape, receptive field,
    parameters, MACs."""
    lines = [["layer", "operator", "output", "sees", "params", "MACs"]]
    lines.append(["input", "", shape_text(program.input_shape), "", "", ""])
    for (name, item), field in zip(program.walk(), receptive_field.fields(program), strict=True):
        if isinstance(item, Node):
            params = item.params
            cost = [f"{params:,}" if params else "", f"{item.macs:,}" if item.macs else ""]
            lines.append(
                [name, item.op.name, shape_text(item.shape), receptive_field.show(field), *cost]
            )
        elif isinstance(item, Param):
            lines.append(
                [name, "buffer" if item.buffer else "param", shape_text(item.shape), "", "", ""]
            )
    lines.append([program.name, "", "", "", f"{program.params:,}", f"{program.macs:,}"])
    return rows(lines, right=(4, 5))


def rows(lines: Sequence[Sequence[str]], *, right: tuple[int, ...] = ()) -> str:
    """Lines of cells in aligned columns; the columns `right` are aligned to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
