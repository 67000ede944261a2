"""The tree as indented text, for `archdsl compile --to tree`."""

from __future__ import annotations

from archdsl.diagnostics.source import Span
from archdsl.syntax import tree as t


def show_tree(tree: t.Tree) -> str:
    """One line a part; simple values stand on their owner's line."""
    return "\n".join(_lines(tree, "")) + "\n"


def _lines(part: t.Tree, name: str, depth: int = 0) -> list[str]:
    simple, nested = [], []
    for field in part.fields:
        value = getattr(part, field)
        if isinstance(value, Span) or field.endswith("spans") or value is None:
            continue
        children = [
            v for v in (value if isinstance(value, tuple) else (value,)) if isinstance(v, t.Tree)
        ]
        if children:
            nested += [(field, child) for child in children]
        elif value != ():
            simple.append(f"{field}={value!r}")
    head = "  " * depth + (f"{name}: " if name else "") + " ".join([type(part).__name__, *simple])
    lines = [head]
    for field, child in nested:
        lines += _lines(child, field, depth + 1)
    return lines
