"""Whether one module can compute what two items of a program do.

What a use of a module computes with is decided anew by the shape that comes to it; the module was
made for the first. So the weights must have the same shapes, and the steps inside be the same.
"""

from __future__ import annotations

from archdsl.ir.graph import Graph, Item, Node, Param, Scope
from archdsl.text import shape_text


def difference(first: Item, other: Item, name: str = "") -> str:
    """Why the module of the first item cannot compute the other; nothing where it can."""
    if isinstance(first, Scope) and isinstance(other, Scope):
        return _graphs(first.graph, other.graph, name)
    if isinstance(first, Param) and isinstance(other, Param):
        return "" if first.shape == other.shape else f"`{name}` has another shape"
    if isinstance(first, Node) and isinstance(other, Node):
        return _nodes(first, other, name)
    return f"`{name}` is another step"


def _nodes(first: Node, other: Node, name: str) -> str:
    if first.op != other.op:
        return f"`{name}` is another step"
    for one, two in zip(first.weights, other.weights, strict=False):
        if one != two:
            shapes = shape_text(one.shape), shape_text(two.shape)
            return f"`{name}.{one.name}` is {shapes[0]} there, and would be {shapes[1]} here"
    calls = [
        (node.op.function(*node.input_shapes), node.op.module(*node.input_shapes))
        if node.name is not None
        else (node.op.function(*node.input_shapes),)
        for node in (first, other)
    ]
    if calls[0] != calls[1]:
        return f"`{name or first.op.name}` is made for the size that comes to it"
    return ""


def _graphs(first: Graph, other: Graph, name: str) -> str:
    if first is other:
        return ""
    if any(first.input_shapes[0][s] != other.input_shapes[0][s] for s in first.reads):
        return f"`{name}` computes with the size that comes to it"
    if len(first.items) != len(other.items) or first.outputs != other.outputs:
        return f"`{name}` has other steps inside"
    for one, two in zip(first.items, other.items, strict=True):
        inside = f"{name}.{one.name}" if one.name else name
        if one.inputs != two.inputs or one.name != two.name:
            return f"`{inside}` reads other values"
        if said := difference(one, two, inside):
            return said
    return ""
