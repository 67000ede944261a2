"""A module's spec: its text, and the proof that it is.

In: a module and the shape of its input. Out: `Imported`. The module itself is left as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import torch
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


#: how the text may be found: the order of a sum's terms, and what lays values out anew, may decide
#: the last bit; and what was taken for one block may be too different
_EXACT: tuple[dict[str, bool], ...] = (
    {},
    {"exact": True},
    {"layout": True},
    {"exact": True, "layout": True},
)
_WAYS = (*_EXACT, *({"plain": True, **way} for way in _EXACT))


def import_module(module: nn.Module, shape: Shape, name: str = "") -> Imported:
    """The spec of a module for an input of this shape. The module and torch's random numbers are
    left as they were. Raises `CannotImport`."""
    if shared := list(_shared(module)):
        raise CannotImport(shared)
    kept = [(buffer, buffer.clone()) for buffer in module.buffers()]
    try:
        with torch.random.fork_rng(devices=[]):
            tried: list[Imported] = []
            for way in _WAYS:
                tried.append(_proved(module, shape, name, **way))
                if tried[-1].proof.evaluated and not tried[-1].proof:
                    # what does nothing in evaluation is seen in training alone
                    tried.append(_proved(module, shape, name, training=True, **way))
                if tried[-1].proof:
                    break
    finally:
        with torch.no_grad():
            for buffer, before in kept:
                buffer.copy_(before)
    return tried[-1] if tried[-1].proof else tried[0]


def _shared(module: nn.Module) -> Iterator[Problem]:
    """Weights that two layers share: each layer of a spec has its own."""
    first: dict[int, str] = {}
    for name, tensor in module.named_parameters(remove_duplicate=False):
        other = first.setdefault(id(tensor), name)
        if other != name:
            yield Problem(Place(name, "", ""), f"these are the weights of {other}, used again")


def _proved(module: nn.Module, shape: Shape, name: str, **how: bool) -> Imported:
    text = text_of(module, shape, name, **how)
    spec = open_spec(text)
    if spec.program is None:
        wrong = next(d for d in spec.diagnostics if d.severity == "error")
        return Imported(text, Proof(0, 0, 0, False, f"it is no spec: {wrong.message}"))
    return Imported(text, prove(module, spec.program))


def text_of(
    module: nn.Module,
    shape: Shape,
    name: str = "",
    *,
    training: bool = False,
    exact: bool = False,
    layout: bool = False,
    plain: bool = False,
) -> str:
    """The text alone, before it is proved; `training`: of what runs in training, `exact`: with
    the terms of sums in their order, `layout`: with what orders memory alone, `plain`: without
    blocks. Raises `CannotImport`."""
    trace, results, aux = _traced(module, shape, training)
    graph = lift(trace, [*aux, *results], layout=layout)
    aux = graph.outputs[: len(aux)]
    root = name_everything(structure(graph, aux, exact=exact), module)
    root.source = graph.inputs[0]
    blocks = unify(root, plain=plain)
    cls = type(module)
    comment = f"Imported from {cls.__module__}.{cls.__qualname__}" + _frozen(module)
    text = write(name or _name(module), shape, root, blocks, comment)
    formatted, _ = format(Source("<imported>", text))
    return text if formatted is None else formatted


def _traced(
    module: nn.Module, shape: Shape, training: bool
) -> tuple[Trace, list[Value], list[Value]]:
    """The run that shows most, its outputs, and those that training alone has."""
    trace = capture(module, [shape])
    results = _values(trace)
    used = {path.rpartition(".")[0] or path for path in trace.paths()} | trace.paths()
    parts = [
        name
        for name, m in module.named_modules()
        if any(True for _ in (*m.parameters(False), *m.buffers(False)))
    ]
    if training or any(name not in used for name in parts):
        try:
            other = capture(module, [shape], training=True)
        except CannotImport:
            return trace, results, []
        more, count = _values(other), len(results)
        if training or len(more) > count:
            return other, more[:count], more[count:]
    return trace, results, []


def _frozen(module: nn.Module) -> str:
    """A line about what does not learn there: a spec has no word for it."""
    names = [name for name, p in module.named_parameters() if not p.requires_grad]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    shown = f"{', '.join(names[:3])}{more}"
    return f"\nthere with requires_grad=False, here they learn: {shown}" if names else ""


def _values(trace: Trace) -> list[Value]:
    return [v for v in tree_leaves(trace.result) if isinstance(v, Value)]


def _name(module: nn.Module) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(module).__name__).lower()
    return words if LABEL.fullmatch(words) and words not in keywords() else f"net_{words}"
