"""What stands above each block and model: how many parameters and multiply-accumulates."""

from __future__ import annotations

from archdsl.diagnostics.source import Span
from archdsl.editor.analysis import Analysis
from archdsl.ir.graph import Graph
from archdsl.ir.walk import graphs
from archdsl.syntax import tree as t
from archdsl.text import count_text, plural


def lenses(analysis: Analysis) -> list[tuple[Span, str]]:
    """The name of each definition that is computed, and its costs; of a block those of its
    different calls. While the text is broken, those of the last text that was not."""
    unit, good = analysis.unit, analysis.good
    if unit is None:
        return []
    models = {program.name: [program.graph] for program in good.programs}
    blocks: dict[str, dict[object, Graph]] = {}  # by what a call gives
    for graph in (graph for program in good.programs for graph in graphs(program.graph)):
        if graph.block is not None and graph.span.source.name == analysis.source.name:
            calls = blocks.setdefault(graph.block, {})
            calls.setdefault((graph.args, graph.input_shapes), graph)
    found = []
    for tree in unit.file.definitions:
        block = isinstance(tree, t.Block)
        same = [*blocks.get(tree.name, {}).values()] if block else models.get(tree.name)
        if same:
            found.append((tree.name_span, _costs(same, block)))
    return found


def _costs(calls: list[Graph], block: bool) -> str:
    params = _range([graph.sizes.params for graph in calls])
    macs = _range([graph.sizes.macs for graph in calls])
    shown = f"{params} parameters, {macs} MACs"
    different = plural(len(calls), "different call")
    return f"{shown} in {different}" if block and len(calls) > 1 else shown


def _range(numbers: list[int]) -> str:
    least, most = count_text(min(numbers)), count_text(max(numbers))
    return least if least == most else f"{least} to {most}"
