"""Initialisation: from the rules of a graph to the branches of one loop over `self.modules()`.

For every layer and each of its parameters the last rule that matches is drawn, and no other: one
draw for each parameter, in the order of the layer's state.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from archdsl.emit.code import is_attribute, literal, parsed
from archdsl.emit.tree import Apply, Branch, Code, Expr, Fill, Lit, Member
from archdsl.ir.graph import Graph, Node, Scope
from archdsl.ops.init import RULES, Attribute, Rule

MODULE = "m"


@dataclass
class _Layers:
    """The layers of one torch class: the operators among them, their parameters in the state's
    order, and whether all of them have each."""

    kinds: set[str]
    params: dict[str, bool]
    #: parameters that torch says the class may lack
    may_lack: set[str]

    def lacks(self, name: str) -> bool:
        return not self.params[name] or name in self.may_lack


def branches(graph: Graph) -> tuple[Branch, ...]:
    """The branches for a graph's own rules: single layers first, then torch classes."""
    if not graph.inits:
        return ()
    layers: dict[str, _Layers] = {}
    single: dict[str, tuple[str, Node]] = {}
    wanted = {init.path for init in graph.inits if init.path is not None}
    nodes = [(path, node) for path, node in _nodes(graph, ())]
    for path, node in nodes:
        direct = node.op.direct(*node.input_shapes)
        target = (direct[0] if direct else node.op.module(*node.input_shapes)).target
        if ".".join(path) in wanted:
            single[".".join(path)] = (target, node)
        names = [weight.name for weight in node.weights if not weight.buffer]
        _note(layers, target, node.op.name, names)
        layers[target].may_lack.update(node.op.may_lack)
        for kind, inner in node.op.holds:
            for params in _inside(names):
                _note(layers, inner, kind, params)
    result = [
        Branch(_test(path, target), _fills(_rules(graph, target, layers, path), node))
        for path, (target, node) in single.items()
    ]
    return tuple(branch for branch in (*result, *_by_class(graph, layers)) if branch.fills)


def own_rule(rule: Rule, target: Member) -> tuple[str, Expr | None]:
    """How to make a parameter with this rule: the function of torch, and the call that fills it."""
    if rule.name in ("zeros", "ones"):
        return rule.name, None
    return "empty", _draw(rule, target)


def _nodes(graph: Graph, prefix: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Node]]:
    """Every layer with weights and its path; walks as `modules()` does."""
    for place in graph.declared:
        item = graph.items[place]
        if isinstance(item, Scope):
            yield from _nodes(item.graph, (*prefix, item.name))
        elif isinstance(item, Node) and item.weights:
            yield (*prefix, str(item.name)), item


def _inside(names: list[str]) -> list[list[str]]:
    """The parameters of each layer inside of one: `qkv.weight` and `qkv.bias`, ..."""
    layers: dict[str, list[str]] = {}
    for name in names:
        layer, _, param = name.rpartition(".")
        if layer:
            layers.setdefault(layer, []).append(param)
    return [*layers.values()]


def _note(layers: dict[str, _Layers], target: str, kind: str, names: list[str]) -> None:
    known = layers.get(target)
    if known is None:
        layers[target] = _Layers({kind}, dict.fromkeys(names, True), set())
        return
    known.kinds.add(kind)
    for name in known.params:
        known.params[name] &= name in names
    if new := [name for name in names if name not in known.params]:
        # in the order of a layer that has all
        order = names if len(names) > len(known.params) else [*known.params, *new]
        known.params = {name: known.params.get(name, False) for name in order}


def _rules(
    graph: Graph, target: str, layers: dict[str, _Layers], path: str | None
) -> dict[str, Rule]:
    """param -> the last rule that matches these layers."""
    last: dict[str, Rule] = {}
    for init in graph.inits:
        if init.kind in layers[target].kinds or (path is not None and init.path == path):
            last[init.param] = init.rule
    return last


def _by_class(graph: Graph, layers: dict[str, _Layers]) -> Iterator[Branch]:
    """One branch for the classes that get the same rules."""
    groups: list[tuple[dict[str, Rule], list[str]]] = []
    for target in layers:
        rules = _rules(graph, target, layers, None)
        rules = {name: rules[name] for name in layers[target].params if name in rules}
        for known, targets in groups:
            if list(known.items()) == list(rules.items()):
                targets.append(target)
                break
        else:
            groups.append((rules, [target]))
    for rules, targets in groups:
        fills = tuple(
            _fill(name, rule, any(layers[t].lacks(name) for t in targets))
            for name, rule in rules.items()
        )
        classes = targets[0] if len(targets) == 1 else f"({', '.join(targets)})"
        yield Branch(f"isinstance({MODULE}, {classes})", fills)


def _fills(rules: dict[str, Rule], node: Node) -> tuple[Fill, ...]:
    names = [weight.name for weight in node.weights if not weight.buffer]
    may_lack = node.op.may_lack
    return tuple(_fill(name, rules[name], name in may_lack) for name in names if name in rules)


def _fill(name: str, rule: Rule, optional: bool) -> Fill:
    if not all(map(is_attribute, name.split("."))):
        raise ValueError(f"no parameter of a layer: {name!r}")
    return Fill(name, optional, _draw(rule, Code(f"{MODULE}.{name}")))


def _test(path: str, target: str) -> str:
    """Whether `m` is this layer; a type checker knows its class from a plain attribute alone."""
    same = f"{MODULE} is {_path(path)}"
    return same if is_attribute(path) else f"isinstance({MODULE}, {target}) and {same}"


def _path(path: str) -> str:
    parts = path.split(".")
    if all(map(is_attribute, parts)):
        return ".".join(("self", *parts))
    return f"self.get_submodule({literal(path)})"


def _draw(rule: Rule, target: Expr) -> Expr:
    signature = RULES[rule.name]
    given = dict(rule.args)
    args: list[Expr] = [target]
    kwargs: list[tuple[str, Expr]] = []
    for arg in signature:
        value = given.get(arg.name, arg.default)
        silent = not isinstance(value, Attribute) and value == arg.default
        expr = _value(value, arg.name, silent)
        if arg.required:
            args.append(expr)
        else:
            kwargs.append((arg.name, expr))
    return Apply(Code(f"nn.init.{rule.name}_"), tuple(args), tuple(kwargs))


def _value(value: Any, hint: str, silent: bool) -> Expr:
    if isinstance(value, Attribute):
        return _attribute(value)
    if hint == "gain" and isinstance(value, str):
        return Apply(Code("nn.init.calculate_gain"), (Lit(value, "nonlinearity"),))
    return Lit(value, hint, silent)


# ---- expressions over a layer's attributes ----------------------------------------------------

_FUNCTIONS = {"abs", "min", "max", "sum", "round", "int", "float", "len"}
_SAFE = (
    *(ast.Expression, ast.BinOp, ast.UnaryOp, ast.IfExp, ast.Compare, ast.BoolOp, ast.Call),
    *(ast.Subscript, ast.Tuple, ast.Constant, ast.Name),
    *(ast.operator, ast.unaryop, ast.cmpop, ast.boolop, ast.Load),
)


def _attribute(value: Attribute) -> Expr:
    """The expression with `out_features` as `m.out_features` and `sqrt` as `math.sqrt`.

    It was printed from a checked tree; that it can be nothing but arithmetic is checked here too.
    """
    tree = parsed(value.text, "eval")
    for node in ast.walk(tree):
        if not isinstance(node, _SAFE):
            raise ValueError(f"not an expression over a layer: {value.text!r}")
    made = _Qualify(value.names).visit(tree).body
    if isinstance(made, ast.Call):  # which may need several lines
        args = tuple(Code(ast.unparse(arg)) for arg in made.args)
        return Apply(Code(ast.unparse(made.func)), args)
    return Code(ast.unparse(made))


class _Qualify(ast.NodeTransformer):
    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self.names and is_attribute(node.id):
            return ast.Attribute(ast.Name(MODULE, node.ctx), node.id, node.ctx)
        if node.id in _FUNCTIONS:
            return node
        if hasattr(math, node.id) and not node.id.startswith("_"):
            return ast.Attribute(ast.Name("math", node.ctx), node.id, node.ctx)
        raise ValueError(f"unknown in an expression over a layer: {node.id!r}")
