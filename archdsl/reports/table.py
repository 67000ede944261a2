"""The program as a table of shapes and costs, for terminals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from archdsl.ir import receptive_field
from archdsl.ir.graph import Item, Node, Param, Program
from archdsl.text import shape_text


def shape_table(program: Program) -> str:
    """Every layer in the order of execution: name, operator, output shape, receptive field,
    parameters, MACs."""
    lines = [["layer", "operator", "output", "sees", "params", "MACs"]]
    for name, shape in program.inputs.items():
        lines.append([name, "", shape_text(shape), "", "", ""])
    lines += [[name, *cells] for name, _, cells in layers(program)]
    lines.append([program.name, "", "", "", f"{program.params:,}", f"{program.macs:,}"])
    return rows(lines, right=(4, 5))


def layers(program: Program) -> Iterator[tuple[str, Item, list[str]]]:
    """The table's rows: a layer's name, the layer, and the cells beside its name."""
    for (name, item), field in zip(program.walk(), receptive_field.fields(program), strict=True):
        if isinstance(item, Node):
            params, sees = item.params, receptive_field.show(field)
            cost = [f"{params:,}" if params else "", f"{item.macs:,}" if item.macs else ""]
            yield name, item, [item.op.name, shape_text(item.shape), sees, *cost]
        elif isinstance(item, Param):
            kind = "buffer" if item.buffer else "param"
            yield name, item, [kind, shape_text(item.shape), "", "", ""]


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
