"""Numbers that the module computes from the sides of its values: `x.shape[-2] // 2`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from archdsl.emit.tree import Attr, Expr, Infix, Lit, Value
from archdsl.ir import expr as e
from archdsl.ir.graph import Graph, Item, Node, Program, Scope
from archdsl.sizes.walk import Varying


def settled(program: Program) -> Program:
    """The program in which only that follows from sides what may be another number at all, in some
    call."""
    if not any(isinstance(item, Node) and item.follows for _, item in program.walk()):
        return program
    loose = Varying(program).loose
    done: dict[Graph, Graph] = {}

    def changed(item: Item, graph: Graph) -> Item:
        if isinstance(item, Scope):
            return replace(item, graph=settle(item.graph))
        if isinstance(item, Node) and item.follows and not item.sides & loose(graph):
            return replace(item, follows=())
        return item

    def settle(graph: Graph) -> Graph:
        if graph not in done:
            done[graph] = replace(graph, items=tuple(changed(i, graph) for i in graph.items))
        return done[graph]

    return replace(program, graph=settle(program.graph))


def measured(value: Any, graph: Graph) -> Expr:
    """The expression in Python."""
    if isinstance(value, int):
        return Lit(value, "size")
    match value:
        case e.Var():
            owner, place = value.parts[0]
            rank = len(graph.value_shapes[owner]) - (owner in graph.unbatched)
            return Attr(Value(owner), f"shape[{place - rank}]")
        case e.Mul():
            return Infix("*", tuple(measured(part, graph) for part in value.parts))
        case e.Div() | e.Mod():
            sign = "//" if isinstance(value, e.Div) else "%"
            return Infix(sign, tuple(measured(part, graph) for part in value.parts))
        case e.Lin():
            return _sum(value, graph)
    raise TypeError(value)


def _sum(value: e.Lin, graph: Graph) -> Expr:
    """What is added first, then what is taken away."""
    terms, constant = e.split(value)
    pairs = [(measured(term, graph), factor) for term, factor in terms.items()]
    pairs += [(Lit(abs(constant), "size"), 1 if constant > 0 else -1)] if constant else []
    pairs.sort(key=lambda pair: pair[1] < 0)
    made: Expr | None = None
    for term, factor in pairs:
        size = abs(factor)
        part = term if size == 1 else Infix("*", (Lit(size, "size"), term))
        if made is None:
            made = part if factor > 0 else Infix("*", (Lit(factor, "size"), term))
        else:
            made = Infix("+" if factor > 0 else "-", (made, part))
    assert made is not None
    return made
