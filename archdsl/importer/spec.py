"""A module's spec: its text, and the proof that it is.

In: a module and the shape of its input. Out: `Imported`. The module itself is left as it was.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from torch import nn
from torch.utils._pytree import tree_leaves

from archdsl.diagnostics.source import Source
from archdsl.importer.capture import Trace, Value, capture
from archdsl.importer.errors import CannotImport, Place, Problem
from archdsl.importer.lift import lift
from archdsl.importer.naming import name_everything
from archdsl.importer.proof import Proof, prove
from archdsl.importer.structure import structure
from archdsl.importer.unify import unify
from archdsl.importer.write import write
from archdsl.ir.labels import LABEL
from archdsl.ops.table import Shape
from archdsl.pipeline import open_spec
from archdsl.syntax.format import format
from archdsl.syntax.grammar import keywords


@dataclass(frozen=True)
class Imported:
    """The text of a module, and the proof that it is."""

    text: str
    proof: Proof

    def proved(self) -> str:
        """The text; raises `CannotImport` where it is not the module's."""
        if not self.proof:
            raise CannotImport([Problem(Place("", "", ""), f"its text is {self.proof}")])
        return self.text


def import_module(module: nn.Module, shape: Shape, name: str = "") -> Imported:
    """The spec of a module for an input of this shape. Raises `CannotImport`."""
    made = _proved(module, shape, name)
    if not made.proof:
        # a function that does nothing in evaluation is seen in training alone; and the order of
        # the terms of a sum may decide the layout, and so the last bit
        change = {"exact": True} if not made.proof.evaluated else {"training": True}
        other = _proved(module, shape, name, **change)
        made = other if other.proof else made
    return made


def _proved(module: nn.Module, shape: Shape, name: str, **how: bool) -> Imported:
    text = text_of(module, shape, name, **how)
    spec = open_spec(text)
    if spec.program is None:
        raise AssertionError(f"{spec.diagnostics[0]}\n{text}")
    return Imported(text, prove(module, spec.program))


def text_of(
    module: nn.Module,
    shape: Shape,
    name: str = "",
    *,
    training: bool = False,
    exact: bool = False,
) -> str:
    """The text alone, before it is proved; `training`: of what runs in training, `exact`: with
    the terms of sums in their order. Raises `CannotImport`."""
    trace, results, aux = _traced(module, shape, training)
    graph = lift(trace, [*aux, *results])
    root = name_everything(structure(graph, aux, exact=exact), module)
    root.source = graph.inputs[0]
    blocks = unify(root)
    cls = type(module)
    comment = f"Imported from {cls.__module__}.{cls.__qualname__}"
    text = write(name or _name(module), shape, root, blocks, comment)
    formatted, problems = format(Source("<imported>", text))
    if formatted is None:
        raise AssertionError(f"{problems[0].message}\n{text}")
    return formatted


def _traced(
    module: nn.Module, shape: Shape, training: bool
) -> tuple[Trace, list[Value], list[Value]]:
    """The run that shows most, its outputs, and those that training alone has."""
    trace = capture(module, [shape])
    results = _values(trace)
    used = {path.rpartition(".")[0] or path for path in trace.paths()} | trace.paths()
    parts = [name for name, m in module.named_modules() if any(True for _ in m.parameters(False))]
    if training or any(name not in used for name in parts):
        try:
            other = capture(module, [shape], training=True)
        except CannotImport:
            return trace, results, []
        more, count = _values(other), len(results)
        if training or len(more) > count:
            return other, more[:count], more[count:]
    return trace, results, []


def _values(trace: Trace) -> list[Value]:
    return [v for v in tree_leaves(trace.result) if isinstance(v, Value)]


def _name(module: nn.Module) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(module).__name__).lower()
    return words if LABEL.fullmatch(words) and words not in keywords() else f"net_{words}"
