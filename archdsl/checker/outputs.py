"""The names of a model's outputs: fields of one named tuple, so no two may be the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from archdsl.checker.build import Value
from archdsl.diagnostics.catalogue import DuplicateName
from archdsl.diagnostics.model import Diagnostic, Label
from archdsl.diagnostics.source import Span
from archdsl.syntax import tree as t

AGAIN = "a tap has one field: `tap` the value under a second name, or leave it out here"
AUX = "an aux output is a field beside the others: take another label"


def same_names(stated: t.Output | None, aux: Iterable[tuple[str, Value]]) -> Iterator[Diagnostic]:
    """An error for each output whose name another has. A model without `output` has one of this
    name."""
    taken: dict[str, Span | None] = {} if stated else {"output": None}
    named = (
        [(tap.name.rpartition(".")[2], tap.span, AGAIN) for tap in stated.taps] if stated else []
    )
    for name, span, hint in (*named, *((name, value.span, AUX) for name, value in aux)):
        # a field begins with no `_`
        field = name.lstrip("_") or name
        if field in taken:
            first = taken[field]
            labels = (Label(first, "the first one is here"),) if first else ()
            yield DuplicateName(span, name, "output", hint).with_related(*labels)
        taken.setdefault(field, span)
