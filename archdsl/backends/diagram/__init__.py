"""Pictures of a program: SVG, PNG, Mermaid and DOT, without torch and without system packages.

scene (what one sees) -> structure (chains, branches, skips) -> layout (where) -> paint (marks)
-> svg, png. Mermaid and DOT lay out for themselves: they take the scene.
"""

from __future__ import annotations

from archdsl.ir.graph import Program

__all__ = ["dot", "mermaid", "png", "svg"]


def svg(program: Program, *, depth: int | None = None) -> str:
    """`depth`: how deep to open blocks, 0 not at all; None: as deep as it stays readable."""
    from archdsl.backends.diagram.svg import to_svg

    return to_svg(_picture(program, depth))


def png(program: Program, *, depth: int | None = None) -> bytes:
    from archdsl.backends.diagram.png import to_png

    return to_png(_picture(program, depth))


def _picture(program: Program, depth: int | None):  # type: ignore[no-untyped-def]
    from archdsl.backends.diagram.compose import compose
    from archdsl.backends.diagram.paint import paint
    from archdsl.backends.diagram.scene import scene

    return paint(program, compose(scene(program, depth), insides=depth is None))
