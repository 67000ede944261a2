"""Pictures of a program: SVG, PNG, Mermaid and DOT, without torch and without system packages.

scene (what one sees) -> structure (chains, branches, skips) -> layout (where) -> paint (marks)
-> svg, png. Mermaid and DOT lay out for themselves: they take the structure, as an outline.

`depth` is how deep to open blocks, 0 not at all; None: as deep as the picture stays readable, and
beside it the inside of the blocks that are closed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from archdsl.ir.graph import Program
from archdsl.runtime.errors import ArtefactError

if TYPE_CHECKING:
    from archdsl.pictures.outline import Outline
    from archdsl.pictures.paint import Area, Picture

__all__ = ["draw_dot", "draw_live", "draw_mermaid", "draw_png", "draw_svg"]


DEEPEST = 6000  # Python calls inside one another; what lies in what is read recursively


def draw_svg(program: Program, *, depth: int | None = None) -> str:
    from archdsl.pictures.svg import to_svg

    with _deep(program):
        return to_svg(_picture(program, depth))


def draw_live(program: Program, *, depth: int | None = None) -> tuple[str, tuple[Area, ...]]:
    """As SVG, with what it shows where: for a page that one can click."""
    from archdsl.pictures.svg import to_svg

    with _deep(program):
        picture = _picture(program, depth)
        return to_svg(picture), picture.areas


def draw_png(program: Program, *, depth: int | None = None) -> bytes:
    from archdsl.pictures.png import to_png

    with _deep(program):
        return to_png(_picture(program, depth))


def draw_mermaid(program: Program, *, depth: int | None = None) -> str:
    from archdsl.pictures.mermaid import to_mermaid

    with _deep(program):
        return to_mermaid(_outline(program, depth))


def draw_dot(program: Program, *, depth: int | None = None) -> str:
    from archdsl.pictures.dot import to_dot

    with _deep(program):
        return to_dot(_outline(program, depth), program.name)


@contextmanager
def _deep(program: Program) -> Iterator[None]:
    """Room for pictures whose parts lie deep in one another, and one error where it ends."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, DEEPEST))
    try:
        yield
    except RecursionError:
        raise ArtefactError(
            f"{program.name}: its blocks lie too deep in one another to draw them all open\n"
            "`--depth 3` opens those of the first three levels"
        ) from None
    finally:
        sys.setrecursionlimit(before)


def _picture(program: Program, depth: int | None) -> Picture:
    from archdsl.pictures.compose import compose
    from archdsl.pictures.depth import opened
    from archdsl.pictures.paint import paint
    from archdsl.sizes.named import named

    program = named(program)
    return paint(program, compose(opened(program, depth), insides=depth is None))


def _outline(program: Program, depth: int | None) -> Outline:
    from archdsl.pictures.depth import opened
    from archdsl.pictures.outline import outline
    from archdsl.pictures.structure import structure
    from archdsl.sizes.named import named

    program = named(program)

    return outline(structure(opened(program, depth)))
