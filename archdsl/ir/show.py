"""The program as YAML, for `archdsl compile --to ir`."""

from __future__ import annotations

from typing import Any

from archdsl.ir.graph import Graph, Item, Node, Param, Program, Scope
from archdsl.ops.table import Op

VERSION = 1


def show_program(program: Program) -> str:
    """YAML, one item a line; a graph that occurs again is written once and referred to."""
    import yaml

    text: str = yaml.safe_dump(
        _Document().program(program), sort_keys=False, width=120, default_flow_style=None
    )
    return text


class _Document:
    def __init__(self) -> None:
        self.graphs: dict[Graph, str] = {}
        self.written: dict[str, Any] = {}

    def program(self, program: Program) -> dict[str, Any]:
        root = self.graph(program.graph)
        return {
            "archdsl_ir": VERSION,
            "model": program.name,
            "params": program.params,
            "macs": program.macs,
            "outputs": dict(program.outputs),
            "aux": dict(program.aux),
            "root": root,
            "graphs": self.written,
        }

    def graph(self, graph: Graph) -> str:
        if graph in self.graphs:
            return self.graphs[graph]
        base = graph.block or "group"
        name = f"{base}_{sum(n.startswith(base + '_') for n in self.graphs.values())}"
        self.graphs[graph] = name
        items = [self.item(item) for item in graph.items]
        self.written[name] = {
            "inputs": [_shape(s) for s in graph.input_shapes],
            "items": items,
            "declared": list(graph.declared),
            "outputs": list(graph.outputs),
            "init": [
                f"{i.path or i.kind}.{i.param} {_call(i.rule.name, dict(i.rule.args))}"
                for i in graph.inits
            ],
        }
        return name

    def item(self, item: Item) -> dict[str, Any]:
        entry: dict[str, Any] = {"name": item.name, "inputs": list(item.inputs)}
        match item:
            case Node():
                entry |= {"op": item.op.name, **_arguments(item.op), "shape": _shape(item.shape)}
            case Scope():
                entry |= {
                    "graph": self.graph(item.graph),
                    "shape": [_shape(s) for s in item.shapes],
                }
            case Param():
                kind = "buffer" if item.buffer else "param"
                entry |= {
                    kind: _shape(item.shape),
                    "init": _call(item.rule.name, dict(item.rule.args)),
                }
        if not isinstance(item, Param) and item.training_only:
            entry["training_only"] = True
        return entry


def _arguments(op: Op) -> dict[str, Any]:
    given = {k: getattr(op, k) for k, a in op.args.items() if getattr(op, k) != a.default}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in given.items()}


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _call(name: str, args: dict[str, Any]) -> str:
    return " ".join([name, *(f"{k}={getattr(v, 'text', v)}" for k, v in args.items())])
