"""The program as YAML or JSON, for `archdsl compile --to ir`. `archdsl.ir.read` reads it back."""

from __future__ import annotations

import json
from typing import Any

from archdsl.ir.condition import as_data
from archdsl.ir.graph import Graph, Init, Item, Node, Param, Program
from archdsl.ops.init import Attribute, Rule
from archdsl.ops.table import Op
from archdsl.text import shape_text

VERSION = 1


def show_program(program: Program, *, format: str = "yaml") -> str:
    """One item a line; a graph that occurs again is written once and referred to."""
    document = as_document(program)
    if format == "json":
        return json.dumps(document, indent=1) + "\n"
    import yaml

    text: str = yaml.dump(
        document, Dumper=_dumper(), sort_keys=False, width=10_000, default_flow_style=None
    )
    return text


def as_document(program: Program) -> dict[str, Any]:
    """The program as plain lists and dicts. Two programs are equal where their documents are:
    everything is in it but the places in the text, and weights, which follow from the operators."""
    return _Document().program(program)


class Row(dict[str, Any]):
    """What YAML has in one line."""


class _Document:
    def __init__(self) -> None:
        self.graphs: dict[Graph, str] = {}
        self.counts: dict[str, int] = {}
        self.written: dict[str, Any] = {}
        self.settable: dict[str, Any] = {}
        #: name -> the different things of that name that blocks were given as arguments
        self.callables: dict[str, list[Any]] = {}

    def program(self, program: Program) -> dict[str, Any]:
        self.settable, promise = dict(program.settable), program.promise
        root = self.graph(program.graph)
        settable = {"settable": self.settable} if self.settable else {}
        return {
            "archdsl_ir": VERSION,
            "model": program.name,
            "params": program.params,
            "macs": program.macs,
            "outputs": dict(program.outputs),
            "aux": dict(program.aux),
            **settable,
            **({"where": as_data(promise.cond)} if promise is not None else {}),
            **({"whole": sorted(program.whole)} if program.whole else {}),
            "root": root,
            "graphs": self.written,
            "text": program.text,
        }

    def graph(self, graph: Graph) -> str:
        if graph in self.graphs:
            return self.graphs[graph]
        base = graph.block or "group"
        number = self.counts[base] = self.counts.get(base, -1) + 1
        name = self.graphs[graph] = f"{base}.{number}"
        items = [self.item(item) for item in graph.items]
        self.written[name] = {
            "block": graph.block,
            "args": {key: self.value(value) for key, value in graph.args},
            "inputs": [_shape(s) for s in graph.input_shapes],
            "items": items,
            "declared": list(graph.declared),
            "outputs": list(graph.outputs),
            "init": [_init(init) for init in graph.inits],
        }
        if graph.input_names:
            self.written[name]["input_names"] = list(graph.input_names)
        if graph.fixed:
            self.written[name]["fixed"] = [list(pair) for pair in graph.fixed]
        for key, numbers in (("bare", sorted(graph.bare)), ("reads", list(graph.reads))):
            if numbers:
                self.written[name][key] = numbers
        if graph.lets:
            self.written[name]["lets"] = dict(graph.lets)
        return name

    def item(self, item: Item) -> dict[str, Any]:
        if isinstance(item, Param):
            kind = "buffer" if item.buffer else "param"
            return Row({kind: item.name, "init": _rule(item.rule), "shape": _shape(item.shape)})
        # `label`: a person's; `name`: the position that torch's Sequential would give
        entry: dict[str, Any] = {"label" if item.labelled else "name": item.name}
        if isinstance(item, Node):
            entry["op"] = item.op.name
            if args := _arguments(item.op):
                entry["args"] = args
            if free := {field: name for field, name in item.free if name in self.settable}:
                entry["free"] = free
            if item.follows:
                entry["follows"] = {field: _follows(value) for field, value in item.follows}
        else:
            entry["graph"] = self.graph(item.graph)
        entry["inputs"] = list(item.inputs)
        entry["shape"] = " ".join(map(_shape, item.shapes))
        if item.training_only:
            entry["training_only"] = True
        if item.shares:
            entry["shares"] = True
        return Row(entry)

    def value(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return [self.value(part) for part in value]
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        known = self.callables.setdefault(str(value.name), [])
        place = next((i for i, other in enumerate(known) if other is value), len(known))
        if place == len(known):
            known.append(value)
        return {"callable": f"{value.name}" + (f" {place}" if place else "")}


def _init(init: Init) -> dict[str, Any]:
    entry = {"op": init.kind} if init.path is None else {"layer": init.path, "op": init.kind}
    return Row({**entry, "param": init.param, **_rule(init.rule)})


def _rule(rule: Rule) -> dict[str, Any]:
    args = {
        key: {"expr": value.text, "names": list(value.names)}
        if isinstance(value, Attribute)
        else value
        for key, value in rule.args
    }
    return {"rule": rule.name, "args": args} if args else {"rule": rule.name}


def _arguments(op: Op) -> dict[str, Any]:
    given = {k: getattr(op, k) for k, a in op.args.items() if getattr(op, k) != a.default}
    return {k: _plain(v) for k, v in given.items()}


def _follows(value: Any) -> Any:
    """A list of numbers, or a number as `condition` has it, in a dictionary."""
    if isinstance(value, tuple):
        return [_follows(part) for part in value]
    return value if isinstance(value, int) else {"is": as_data(value)}


def _plain(value: Any) -> Any:
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


def _shape(shape: tuple[int, ...]) -> str:
    return shape_text(shape, empty="scalar")


def _dumper() -> Any:
    """PyYAML's safe dumper, with the spec's text as a block that a person can read."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    def text(dumper: yaml.SafeDumper, data: str) -> yaml.ScalarNode:
        style = "|" if "\n" in data else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", data, style=style)

    def row(dumper: yaml.SafeDumper, data: Row) -> yaml.MappingNode:
        return dumper.represent_mapping("tag:yaml.org,2002:map", data, flow_style=True)

    Dumper.add_representer(str, text)
    Dumper.add_representer(Row, row)
    return Dumper
