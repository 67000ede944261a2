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
from archdsl.ops.table import Shape
from archdsl.pipeline import open_spec
from archdsl.syntax.format import format


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
    made = _proved(module, shape, name, training=False)
    if not made.proof.trained:
        # a function that does nothing in evaluation is seen in training alone
        other = _proved(module, shape, name, training=True)
        made = other if other.proof else made
    return made


def _proved(module: nn.Module, shape: Shape, name: str, *, training: bool) -> Imported:
    text = text_of(module, shape, name, training=training)
    spec = open_spec(text)
    if spec.program is None:
        raise AssertionError(f"{spec.diagnostics[0]}\n{text}")
    return Imported(text, prove(module, spec.program))


def text_of(module: nn.Module, shape: Shape, name: str = "", *, training: bool = False) -> str:
    """The text alone, before it is proved; `training`: of what runs in training. Raises
    `CannotImport`."""
    trace, results, aux = _traced(module, shape, training)
    graph = lift(trace, [*aux, *results])
    root = name_everything(structure(graph, aux), module)
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
    trace = capture(module, [shape], training=training)
    results = _values(trace)
    used = {path.rpartition(".")[0] or path for path in trace.paths()}
    used |= set(trace.paths())
    parts = [name for name, m in module.named_modules() if any(True for _ in m.parameters(False))]
    if len(results) == 1 and any(name not in used for name in parts):
        try:
            other = capture(module, [shape], training=True)
        except CannotImport:
            return trace, results, []
        more = _values(other)
        if len(more) > 1:
            return other, more[:1], more[1:]
    return trace, results, []


def _values(trace: Trace) -> list[Value]:
    return [v for v in tree_leaves(trace.result) if isinstance(v, Value)]


def _name(module: nn.Module) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(module).__name__).lower()
