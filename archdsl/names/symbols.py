"""What the walk over a file's names learns.

`Resolved` is what `resolve` returns: for each call what it calls, for each word what it names, and
what is wrong. The elaborator reads the calls; go to definition, references, rename, colours and
half of the hover texts are read off the words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

from archdsl.diagnostics.model import Diagnostic
from archdsl.diagnostics.source import Span
from archdsl.names.units import Block, Target, Unit
from archdsl.syntax import tree as t

Kind = Literal[
    "block", "model", "parameter", "variable", "tap", "label",
    "operator", "argument", "word", "function", "rule", "file",
]  # fmt: skip

SHARED = ("block", "model", "parameter")  # what another file may name


class Symbol(NamedTuple):
    """What a name names. `span`: the name where it is defined, None for what the language has.
    `owner`: the definition that it belongs to, or the operator of an argument."""

    kind: Kind
    name: str
    span: Span | None = None
    owner: str = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Equal for the same symbol in trees of the same text; that of what other files may name
        does not depend on its place."""
        if self.span is None:
            return self.kind, self.name, self.owner, ""
        place = "" if self.kind in SHARED else str(self.span.start)
        return self.kind, self.name, f"{self.span.source.name}:{self.owner}", place


class Occurrence(NamedTuple):
    """A word that names something."""

    span: Span
    symbol: Symbol
    defines: bool = False


Mark = tuple[Span, Symbol | Target, bool]  # an occurrence to be


@dataclass(frozen=True)
class Resolved:
    """A file whose names are looked up. `targets` and `bound`: for every call what it calls, and
    which argument goes where; `flawed`: the calls whose arguments are in error; `unused`: a warning
    for each name that nothing in the file uses; `found`: what is wrong."""

    unit: Unit
    found: tuple[Diagnostic, ...] = ()
    targets: Mapping[t.Call, Target] = field(default_factory=dict)
    bound: Mapping[t.Call, dict[str, t.Argument]] = field(default_factory=dict)
    flawed: frozenset[t.Call] = frozenset()
    unused: tuple[Diagnostic, ...] = ()
    marks: tuple[Mark, ...] = ()

    @cached_property
    def occurrences(self) -> list[Occurrence]:
        """Every word that names something, in the order of the text."""
        found = [
            Occurrence(span, symbol if isinstance(symbol, Symbol) else symbol_of(symbol), defines)
            for span, symbol, defines in self.marks
        ]
        return sorted(found, key=lambda o: (o.span.start, o.span.end))


#: what each file of a spec is resolved to
Names = Mapping[Unit, Resolved]


def symbol_of(target: Target) -> Symbol:
    if not isinstance(target, Block):
        return Symbol("operator", target.name)
    kind: Kind = "block" if isinstance(target.tree, t.Block) else "model"
    return Symbol(kind, target.name, target.tree.name_span)


def argument_of(target: Target, name: str) -> Symbol | None:
    """The argument of an operator, or the parameter of a block or of the model behind an alias."""
    if not isinstance(target, Block):
        return Symbol("argument", name, owner=target.name) if name in target.args else None
    base = target.base
    params = base.params if base is not None else ()
    owner = base.name if base is not None else ""
    return next((parameter(p, owner) for p in params if p.name == name), None)


def parameter(param: t.Param, owner: str) -> Symbol:
    return Symbol("parameter", param.name, param.name_span, owner)
