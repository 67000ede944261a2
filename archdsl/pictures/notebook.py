"""What Jupyter shows for a program."""

from __future__ import annotations

from archdsl.ir.graph import Program
from archdsl.pictures import draw_svg
from archdsl.reports.table import shape_table


def bundle(program: Program) -> dict[str, str]:
    """The picture; and the table of layers, where there are no pictures. Not the Mermaid text too:
    JupyterLab would prefer it to the picture."""
    return {"image/svg+xml": draw_svg(program), "text/plain": shape_table(program)}
