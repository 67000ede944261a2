"""Names: scopes and labels that give the module's keys, order of construction, parameters, taps.

In: the body of the root, with the modules' paths. Out: the same, with labels where the language's
positions would give another name, groups for containers that are never called, `declare` where
modules are constructed in another order than they run, and all parameters. Raises `CannotImport`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import nn

from archdsl.importer.capture import Value
from archdsl.importer.errors import CannotImport, Place, Problem
from archdsl.importer.pieces import (
    Body,
    Join,
    Param,
    Piece,
    Scope,
    Step,
    Tap,
    Use,
    bodies,
    same_scope,
    walk,
)
from archdsl.ir.labels import LABEL, RESERVED
from archdsl.ops.shape import Identity


def name_everything(body: Body, module: nn.Module) -> Scope:
    """The root as a scope."""
    naming = _Naming(module)
    root = Scope(body=body, module=module, path="")
    naming.params(root)
    naming.scope(root)
    if naming.problems:
        raise CannotImport(naming.problems)
    return root


@dataclass
class _Naming:
    module: nn.Module
    problems: list[Problem] = field(default_factory=list)

    def scope(self, scope: Scope) -> None:
        scope.body = _spliced(scope.body)
        scope.body = self._grouped(scope.body, scope.path)
        self._order(scope)
        self._labels(scope)
        scope.declare = self._declared(scope)
        for piece in same_scope(scope.body):
            if isinstance(piece, Scope):
                self.scope(piece)

    def _problem(self, path: str, message: str) -> None:
        self.problems.append(Problem(Place(path, "", ""), message))

    # ---- groups ------------------------------------------------------------------------------

    def _grouped(self, body: Body, path: str) -> Body:
        """What lies in containers that are never called stands in a scope of the container's."""
        result: Body = []
        place = 0
        while place < len(body):
            heads = _heads(body[place])
            if len(heads) == 1 and next(iter(heads))[1]:
                (head,) = heads
                end = place + 1
                for later in range(place + 1, len(body)):
                    there = _heads(body[later])
                    if there == {head}:
                        end = later + 1
                    elif there:
                        break
                result.append(_container(head[0], body[place:end], path))
                place = end
                continue
            if any(deep for _, deep in heads):
                for inner in bodies(body[place]):
                    inner[:] = self._grouped(inner, path)
            result.append(body[place])
            place += 1
        return result

    # ---- labels ------------------------------------------------------------------------------

    def _labels(self, scope: Scope) -> None:
        pieces = [p for p in same_scope(scope.body) if isinstance(p, (Step, Scope))]
        wanted = [p.names[0] for p in pieces if _stateful(p)]
        for name in sorted({n for n in wanted if wanted.count(n) > 1}):
            where = f"{scope.path}.{name}".strip(".")
            message = "is used more than once, or between other modules"
            self._problem(where, f"the module {message}: weights cannot be shared")
        taken: set[str] = set()
        ahead = {name for name in wanted if name.isdigit()}
        for piece in pieces:
            kept = _stateful(piece) or piece.aux is not None
            own: str | None = piece.names[0] if kept else None
            position = next(str(n) for n in range(len(pieces) * 2 + 2) if str(n) not in taken)
            if own is not None:
                self._valid(own, scope.path)
                piece.positional = own == position
                # a group has its name by its label alone
                positional = piece.positional and isinstance(piece, Step) and piece.aux is None
                piece.label = None if positional else own
                ahead.discard(own)
            elif position in ahead:
                piece.label = own = _fresh(_kind(piece), {*taken, *wanted})
            taken.add(position if own is None else own)

    def _valid(self, name: str, path: str) -> None:
        if name in RESERVED or not LABEL.fullmatch(name):
            self._problem(f"{path}.{name}".strip("."), f"`{name}` cannot be a label")

    # ---- order -------------------------------------------------------------------------------

    def _order(self, scope: Scope) -> None:
        """What may stand in several places stands where its module is constructed: a part for
        training alone, and the two sides of a sum or product."""
        module = scope.module or self.module.get_submodule(scope.path)
        order = {name: place for place, (name, _) in enumerate(module.named_children())}
        for aux in [p for p in scope.body if p.aux is not None]:
            runs = scope.body.index(aux)
            scope.body.remove(aux)
            place = order.get(aux.names[0], len(order))
            before = [n for n, p in enumerate(scope.body) if _first(p, order) < place]
            scope.body.insert(max(runs, *(n + 1 for n in before), 0), aux)
        for piece in same_scope(scope.body):
            free = isinstance(piece, Join) and piece.sorts
            sides = piece.branches if isinstance(piece, Join) and free else []
            if len(sides) == 2 and all(sides):
                sides.sort(key=lambda side: min(_first(p, order) for p in side))
        for piece in same_scope(scope.body):
            if isinstance(piece, Join):
                _say_identity(piece)

    def _declared(self, scope: Scope) -> tuple[str, ...]:
        """The names that must be declared first, for the modules' order of construction."""
        pieces = [p for p in same_scope(scope.body) if isinstance(p, (Step, Scope))]
        text = [p.names[0] for p in pieces if _stateful(p) and p.names]
        module = scope.module or self.module.get_submodule(scope.path)
        order = [n for n, _ in module.named_children() if n in text]
        for count in range(len(order)):
            first = order[:count]
            if first + [n for n in text if n not in first] == order:
                return tuple(first)
        return ()

    # ---- parameters --------------------------------------------------------------------------

    def params(self, root: Scope) -> None:
        """Every parameter and buffer that no layer has stands in its module's scope."""
        scopes = {"": root}
        scopes |= {p.path: p for p in walk(root.body) if isinstance(p, Scope)}
        held = set()
        for piece in walk(root.body):
            if isinstance(piece, Step) and piece.stateful:
                held.add(piece.path)
        learned: dict[str, torch.Tensor] = dict(self.module.named_parameters())
        own: dict[str, list[Param]] = {}
        for key in self.module.state_dict():
            path, _, name = key.rpartition(".")
            if any(key.startswith(f"{layer}.") for layer in held):
                continue
            buffer = key not in learned
            tensor = self.module.get_buffer(key) if buffer else learned[key]
            if buffer and tensor.dtype != torch.float32:
                kind = str(tensor.dtype).removeprefix("torch.")
                message = f"a buffer of {kind} that no operator has"
                if name == "num_batches_tracked":
                    key, message = path, "this layer never runs, and a spec holds what runs"
                self._problem(key, message)
                continue
            made = Param(label=name, shape=tuple(tensor.shape), buffer=buffer, rule=_rule(tensor))
            self._valid(name, path)
            own.setdefault(path, []).append(made)
        for path, made_here in own.items():
            _scope_of(path, scopes).body[:0] = made_here


def _scope_of(path: str, scopes: dict[str, Scope]) -> Scope:
    """The scope of a module; one that never runs gets one, for its parameters."""
    if path not in scopes:
        above, _, name = path.rpartition(".")
        outer = _scope_of(above, scopes)
        scopes[path] = Scope((name,), path=path)
        outer.body.append(scopes[path])
    return scopes[path]


def _rule(tensor: torch.Tensor) -> str:
    """An initialisation that gives values such as these."""
    if tensor.is_meta or not tensor.numel():
        return "zeros"
    tensor = tensor.detach()
    low, high = float(tensor.min()), float(tensor.max())
    if low == high:
        return {0.0: "zeros", 1.0: "ones"}.get(low, f"constant {_short(low)}")
    return f"normal std={float(tensor.std()):.2g}"


def _short(value: float) -> str:
    for digits in range(1, 9):
        text = f"{value:.{digits}g}"
        if float(torch.tensor(float(text))) == value:
            return text
    return repr(value)


def _say_identity(join: Join) -> None:
    """A branch that is what flows in has a word and a position, unless the join says it."""
    if join.residual:
        return
    if join.sorts and len(join.branches) == 2 and not join.branches[1]:
        join.branches.reverse()  # what flows first: the product is the same
    if join.with_taps:
        return
    for branch in join.branches:
        if not branch:
            branch.append(Step(op=Identity()))


def _first(piece: Piece, order: dict[str, int]) -> int:
    """When the first module in a piece is constructed; those without weights come last."""
    names = (p.names[0] for p in same_scope([piece]) if _stateful(p) and p.names)
    return min((order.get(n, len(order)) for n in names), default=len(order))


def _stateful(piece: Piece) -> bool:
    if isinstance(piece, Step):
        return piece.stateful
    return isinstance(piece, Scope)


def _kind(piece: Piece) -> str:
    return piece.op.name if isinstance(piece, Step) else "group"


def _fresh(stem: str, taken: set[str]) -> str:
    return next(name for n in range(1, len(taken) + 2) if (name := f"{stem}{n}") not in taken)


def _heads(piece: Piece) -> set[tuple[str, bool]]:
    """The first names of the modules in a piece, and whether more names follow."""
    return {(p.names[0], len(p.names) > 1) for p in same_scope([piece]) if _stateful(p) and p.names}


def _container(name: str, body: Body, path: str) -> Scope:
    for piece in same_scope(body):
        inside = piece.names[:1] == (name,)
        piece.names = piece.names[1:] if inside else ()
    return Scope((name,), body=body, path=f"{path}.{name}".strip("."), value=body[-1].value)


def _spliced(body: Body) -> Body:
    """Modules without weights need no scope: what they compute stands in the text around."""
    result: Body = []
    for piece in body:
        if isinstance(piece, Scope) and piece.aux is None and not _has_weights(piece):
            for inner in walk(piece.body):
                inner.names = ()
            result += _spliced(piece.body)
            continue
        if not isinstance(piece, Scope):
            for inside in bodies(piece):
                inside[:] = _spliced(inside)
        result.append(piece)
    return result


def _has_weights(scope: Scope) -> bool:
    return any(
        isinstance(p, Param) or (isinstance(p, Step) and p.stateful) for p in walk(scope.body)
    )


# ---- taps ----------------------------------------------------------------------------------------


def name_taps(scope: Scope, within: frozenset[str] = frozenset()) -> None:
    """Name the values that a scope's text takes up again, and its parameters. What one block's
    text taps is known in it alone."""
    wanted = {p.used: None for p in _visible(scope.body) if isinstance(p, Use) and not p.name}
    taken = set(within) | {p.name for p in _visible(scope.body) if isinstance(p, Tap)}
    names = {}
    for value in wanted:
        if value is None:
            continue
        if value.param is not None:
            names[value] = value.param.rpartition(".")[2]
            continue
        names[value] = next(n for k in range(1, 9999) if (n := f"x{k}") not in taken)
        taken.add(names[value])
    for piece in _visible(scope.body):
        if isinstance(piece, Use) and piece.used in names:
            piece.name = names[piece.used]
    values = {v: n for v, n in names.items() if v.param is None}
    if scope.source in values:
        scope.body.insert(_after_params(scope.body), Tap(name=values.pop(scope.source)))
    _insert_taps(scope.body, values)


def _visible(body: Body) -> list[Piece]:
    return list(walk(body))


def _after_params(body: Body) -> int:
    return next((n for n, p in enumerate(body) if not isinstance(p, Param)), len(body))


def _insert_taps(body: Body, values: dict[Value, str]) -> None:
    for place in range(len(body) - 1, -1, -1):
        piece = body[place]
        inner = bodies(piece)
        for inside in inner:
            _insert_taps(inside, values)
        if piece.value in values and not isinstance(piece, Use):
            body.insert(place + 1, Tap(name=values.pop(piece.value)))
