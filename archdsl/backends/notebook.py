"""What Jupyter shows for a program, or for a module that was built from one."""

from __future__ import annotations

from archdsl.ir.graph import Program


def bundle(program: Program, text: str | None = None) -> dict[str, str]:
    """The picture; and `text`, or the table of layers, where there are no pictures. Not the
    Mermaid text too: JupyterLab would prefer it to the picture."""
    from archdsl.backends import diagram
    from archdsl.ir.table import shape_table

    return {
        "image/svg+xml": diagram.draw_svg(program),
        "text/plain": shape_table(program) if text is None else text,
    }
