"""Operators and calls of blocks in a few characters, as a person says them: `conv 64 7×7 /2`."""

from __future__ import annotations

from typing import Any

from archdsl.ir.graph import Graph, Program, Scope
from archdsl.ops.table import Op
from archdsl.ops.types import Float, Int, Size

LONGEST = 36


def op_text(op: Op) -> str:
    """An operator as its spec has it, without what is usual: `conv 64 7×7 /2`."""
    words = [op.name.replace("_", " ")]
    for name, arg in op.args.items():
        value = getattr(op, name)
        if arg.told:
            if value not in (arg.default, None):
                words.append(arg.told.format(_value(value)))
        elif not arg.keyword and isinstance(arg.type, (Int, Size)) and value != arg.default:
            words.append(_size(value) if isinstance(arg.type, Size) else _value(value))
        elif not arg.keyword and isinstance(arg.type, Float) and value != arg.default:
            words.append(_value(value))
    return short(words)


def block_text(graph: Graph, differs: dict[str, set[str]]) -> str:
    """A block's call with the arguments in which it differs from others: `bottleneck 128 /2`."""
    if graph.block is None:
        return ""
    words = [graph.block]
    for name, value in graph.args:
        if name not in differs.get(graph.block, ()):
            continue
        if name in ("stride", "s"):
            words += [f"/{_value(value)}"] if value not in (1, (1,)) else []
        elif value is not None and not isinstance(value, (bool, float)):
            words.append(_value(value))
    return short(words)


def varying(program: Program) -> dict[str, set[str]]:
    """For each block the parameters that not all of its calls give the same value."""
    first: dict[str, dict[str, str]] = {}
    result: dict[str, set[str]] = {}
    seen: set[Graph] = set()
    for _, item in program.walk():
        if not isinstance(item, Scope) or item.graph in seen or item.graph.block is None:
            continue
        seen.add(item.graph)
        args = {name: _value(value) for name, value in item.graph.args}
        known = first.setdefault(item.graph.block, args)
        differ = {name for name, text in args.items() if known.get(name) != text}
        result.setdefault(item.graph.block, set()).update(differ)
    return result


def short(words: list[str], between: str = " ", longest: int = LONGEST) -> str:
    """Words in a row, as far as there is room."""
    text = words[0] if words else ""
    for word in words[1:]:
        if len(text) + len(between) + len(word) > longest:
            return f"{text}{between}…"
        text += between + word
    return text


def _size(value: Any) -> str:
    """`3×3` for one number too: that is how papers say it."""
    if isinstance(value, tuple) and len(value) == 1:
        value *= 2
    return _value(value)


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        sizes = len(value) > 1 and all(isinstance(v, int) for v in value)
        if sizes and len(value) <= 3:
            return "×".join(map(str, value))
        return str(value[0]) if len(value) == 1 else "[…]"
    if isinstance(value, float):
        return f"{value:.3g}"
    return str(getattr(value, "name", value))
