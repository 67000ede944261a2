"""Modules of one class become calls of one block.

In: the root with all names. Out: the blocks, the innermost first, and the root, in which calls
stand where modules were. Classes are taken from the inside outwards, so that an outer class's
modules differ in the arguments of inner blocks alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from archdsl.importer.capture import Value
from archdsl.importer.fold import fold
from archdsl.importer.known import CONTAINERS
from archdsl.importer.merge import CannotMerge, merge
from archdsl.importer.naming import name_taps
from archdsl.importer.pieces import BlockCall, Body, If, Param, Scope, Tap, Use, bodies, walk
from archdsl.importer.solve import solve
from archdsl.importer.write import Block
from archdsl.ops import TABLE
from archdsl.syntax.grammar import keywords


def unify(root: Scope, *, plain: bool = False) -> list[Block]:
    """Replace modules by calls of blocks, and fold runs; `plain`: no blocks. The root is changed in
    place."""
    blocks: list[Block] = []
    classes = [] if plain else _classes(root)
    for cls in sorted(classes, key=lambda c: _height(root, c)):
        scopes = [s for s in _scopes(root.body) if type(s.module) is cls and s.alone]
        if len(scopes) < 2 and not any(_names_again(scope, root) for scope in scopes):
            continue
        block = _block(_free(cls.__name__, blocks), scopes, root)
        if block is not None:
            blocks.append(block)
    root.body = fold(root.body, _tapped(root.body))
    name_taps(root)
    return blocks


def _names_again(scope: Scope, root: Scope) -> bool:
    """Whether a parameter of a module's own has a name that another has: only blocks may."""
    own = {p.label for p in scope.body if isinstance(p, Param)}
    others = (p.label for p in walk(root.body) if isinstance(p, Param) and p not in scope.body)
    return not own.isdisjoint(others)


def _classes(root: Scope) -> list[type]:
    found = (type(s.module) for s in _scopes(root.body) if s.module is not None)
    return [c for c in dict.fromkeys(found) if c not in CONTAINERS]


def _scopes(body: Body) -> Iterator[Scope]:
    return (p for p in walk(body) if isinstance(p, Scope))


def _height(root: Scope, cls: type) -> int:
    """How deep the modules inside a class's modules are nested."""
    return max(_depth(s) for s in _scopes(root.body) if type(s.module) is cls)


def _depth(scope: Scope) -> int:
    inner = [_depth(s) for s in _scopes(scope.body)]
    return 1 + max(inner, default=0)


def _block(name: str, scopes: list[Scope], root: Scope) -> Block | None:
    copies = []
    for scope in scopes:
        scope.body = fold(scope.body, _tapped(scope.body))
        copy = Scope(body=_copied(scope.body), source=scope.source, value=scope.value)
        name_taps(copy)
        copies.append(copy)
    if any(s.declare != scopes[0].declare for s in scopes):
        return None
    entering = [s.source.sample for s in scopes if s.source is not None]
    leaving = [s.value.sample for s in scopes if s.value is not None]
    if len(entering) != len(scopes) or len(leaving) != len(scopes):
        return None
    try:
        body = merge([copy.body for copy in copies])
    except CannotMerge:
        return None
    if _taps_differ(body):
        return None
    if _size(body) > max(3 * max(_size(copy.body) for copy in copies) // 2, 3):
        return None  # they have little in common
    solution = solve(body, entering, leaving)
    calls = {}
    for scope, given in zip(scopes, solution.calls, strict=True):
        label = None if scope.positional and scope.aux is None else scope.label
        ordered = {key: given[key] for key in solution.params if key in given}
        calls[scope] = BlockCall(
            scope.names,
            label,
            scope.value,
            scope.positional,
            scope.aux,
            name,
            ordered,
            solution.params,
        )
    _replace(root.body, calls)
    return Block(name, list(solution.params.items()), body, scopes[0].declare)


def _taps_differ(body: Body) -> bool:
    """Whether a tap is set by some modules alone, or by others elsewhere."""
    names = [p.name for p in walk(body) if isinstance(p, Tap)]
    chosen = (p for p in walk(body) if isinstance(p, If))
    return len(set(names)) < len(names) or any(
        isinstance(inner, Tap) for piece in chosen for inner in walk([piece])
    )


def _tapped(body: Body) -> frozenset[Value]:
    """The values that a body takes up again."""
    return frozenset(p.used for p in walk(body) if isinstance(p, Use) and p.used is not None)


def _size(body: Body) -> int:
    return sum(not isinstance(piece, If) for piece in walk(body))


def _copied(body: Body) -> Body:
    """A copy whose values are still the same."""
    same: dict[int, Any] = {id(p.value): p.value for p in walk(body)}
    same |= {id(p.used): p.used for p in walk(body) if isinstance(p, Use)}
    for scope in _scopes(body):
        same |= {id(scope.module): scope.module, id(scope.source): scope.source}
    return deepcopy(body, same)


def _replace(body: Body, calls: dict[Scope, BlockCall]) -> None:
    for place, piece in enumerate(body):
        if isinstance(piece, Scope) and piece in calls:
            body[place] = calls[piece]
            continue
        for inner in bodies(piece):
            _replace(inner, calls)


def _free(cls: str, blocks: list[Block]) -> str:
    """`BasicBlock` as `basic_block`, which no operator, word or block is called."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", cls.strip("_")).lower()
    taken = {*TABLE, *keywords(), *(b.name for b in blocks)}
    words = f"{words}_block" if words in TABLE or words in keywords() else words
    return (
        words
        if words not in taken
        else next(n for k in range(2, 999) if (n := f"{words}{k}") not in taken)
    )
