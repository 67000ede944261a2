"""What an editor shows beside a text: the picture of a model, and what it costs.

`archdsl/picture`, a request of ours beside the protocol's: of the model around a line, or the
file's first. While the text is broken, the picture of the last text that was not.
"""

from __future__ import annotations

from typing import Any

from archdsl.diagnostics.source import Span
from archdsl.editor.analysis import Analysis
from archdsl.editor.convert import Convert
from archdsl.editor.session import Server, server
from archdsl.ir.graph import Program
from archdsl.pictures import draw_live
from archdsl.runtime.errors import ArtefactError
from archdsl.text import count_text, inputs_text, shape_text


@server.feature("archdsl/picture")
def picture(ls: Server, params: Any) -> dict[str, Any] | None:
    """`params`: `uri`, `line` (from 0), and `draw`: with the picture, or its summary alone."""
    analysis = ls.analysis(str(params.uri))
    program = around(analysis, int(getattr(params, "line", 0)))
    if program is None:
        return None
    outputs = ", ".join(map(shape_text, program.output_shapes.values()))
    found: dict[str, Any] = {
        "model": program.name,
        "flow": f"{inputs_text(program.inputs)} → {outputs}",
        "params": count_text(program.params),
        "macs": count_text(program.macs),
        "stale": analysis.good is not analysis,
    }
    if getattr(params, "draw", False):
        found |= _drawn(analysis.good, program, ls.convert)
    return found


def around(analysis: Analysis, line: int) -> Program | None:
    """The model whose definition is the last to begin before the end of a line, or the first."""
    programs = {program.name: program for program in analysis.good.programs}
    first = next(iter(programs.values()), None)
    unit = analysis.good.unit
    for tree in unit.file.definitions if unit is not None else ():
        begins = analysis.good.source.position(tree.span.start)[0] - 1
        if begins <= line and tree.name in programs:
            first = programs[tree.name]
    return first


def _drawn(analysis: Analysis, program: Program, convert: Convert) -> dict[str, Any]:
    try:
        svg, areas = draw_live(program)
    except ArtefactError as error:
        return {"error": str(error)}
    boxes = []
    for area in areas:
        here = {s: None for s in (i.span for i in area.items) if s.source is analysis.source}
        if here:
            lines = [_lines(span, convert) for span in here]
            boxes.append({"at": [area.x, area.y, area.w, area.h], "lines": lines})
    return {"svg": svg, "boxes": boxes}


def _lines(span: Span, convert: Convert) -> list[int]:
    found = convert.range(span)
    return [found.start.line, found.end.line]
