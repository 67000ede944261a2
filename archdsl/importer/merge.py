"""Several bodies of one class as one: where they differ stand `Hole`s, what some lack is optional.

In: the bodies of a class's modules. Out: one body, whose holes know the value in each of them, and
`If`s whose conditions `solve` finds from who has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from archdsl.importer.pieces import (
    BlockCall,
    Body,
    Expr,
    For,
    If,
    Join,
    Param,
    Piece,
    Repeat,
    Scope,
    Step,
    Tap,
    Use,
)
from archdsl.ops.join import Add


class Absent:
    """Stands for the value in a module that lacks the piece."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = Absent()


@dataclass(eq=False)
class Hole:
    """A value that differs: one for each module. `field`: what it is for; `default`: its usual
    value; `label`: of the piece."""

    values: list[Any]
    field: str
    default: Any = None
    label: str | None = None
    linear: bool = False


@dataclass(eq=False)
class Optional(If):
    """An `If` whose condition is not found yet."""

    present: tuple[bool, ...] = ()


class CannotMerge(Exception):
    """The bodies have too little in common."""


def merge(bodies: Sequence[Body | None]) -> Body:
    """One body for all; None for a module that has none here."""
    bodies = _with_skips(bodies)
    slots: list[list[Piece | None]] = []
    for number, body in enumerate(bodies):
        _align(slots, body or [], number)
    for slot in slots:
        slot += [None] * (len(bodies) - len(slot))
    result: Body = []
    have = [body is not None for body in bodies]
    run: list[tuple[tuple[bool, ...], Piece]] = []
    for slot in slots:
        present = tuple(p is not None for p in slot)
        run.append((present, _merged(slot)))
    place = 0
    while place < len(run):
        present, piece = run[place]
        if list(present) == have:
            result.append(piece)
            place += 1
            continue
        end = place
        while end < len(run) and run[end][0] == present:
            end += 1
        inside = [p for _, p in run[place:end]]
        made = Optional(body=inside, present=present, value=inside[-1].value)
        # what the others have in its place
        other = tuple(h and not p for h, p in zip(have, present, strict=True))
        last = end
        while last < len(run) and run[last][0] == other:
            last += 1
        made.otherwise = [p for _, p in run[end:last]]
        result.append(made)
        place = last
    return result


def _with_skips(bodies: Sequence[Body | None]) -> Sequence[Body | None]:
    """Where some bodies have a residual, and the others what is in it alone: that as a residual,
    too, which says that it is none."""
    places = [None if b is None else _skip(b) for b in bodies]
    found = [(b, p) for b, p in zip(bodies, places, strict=True) if b is not None and p is not None]
    lacking = [b for b, p in zip(bodies, places, strict=True) if b is not None and p is None]
    if not found or not lacking or any(isinstance(p, Join) for b in lacking for p in b):
        return bodies
    body, place = found[0]
    model, behind = body[place], len(body) - place - 1
    assert isinstance(model, Join)
    if any(len(b) <= place + behind for b in lacking):
        return bodies
    inside = {_sign(p) for branch in model.branches for p in branch}
    result: list[Body | None] = []
    for each, at in zip(bodies, places, strict=True):
        if each is None or at is not None:
            result.append(each)
            continue
        end = len(each) - behind
        middle = each[place:end]
        if not any(_sign(p) in inside for p in middle):
            return bodies
        branches: list[Body] = [middle if branch else [] for branch in model.branches]
        made = Join(value=middle[-1].value, op=model.op, branches=branches)
        result.append([*each[:place], made, *each[end:]])
    for each in result:
        for piece in each or ():
            if isinstance(piece, Join):
                piece.present = tuple(p is not None for p in places)
    return result


def _skip(body: Body) -> int | None:
    """Where a body has its only sum of a branch and what enters it."""
    found = [n for n, p in enumerate(body) if isinstance(p, Join) and p.op.broadcasts]
    if len(found) != 1:
        return None
    join = body[found[0]]
    assert isinstance(join, Join)
    plain = len(join.branches) == 2 and sum(not b for b in join.branches) == 1
    return found[0] if plain and isinstance(join.op, Add) else None


def _align(slots: list[list[Piece | None]], body: Body, number: int) -> None:
    """Put a module's pieces into the slots of their like, in order."""
    ours = [_sign(next(p for p in slot if p is not None)) for slot in slots]
    theirs = [_sign(p) for p in body]
    matcher = SequenceMatcher(None, ours, theirs, autojunk=False)
    result: list[list[Piece | None]] = []
    for kind, a, b, c, d in matcher.get_opcodes():
        for slot in slots[a:b]:
            result.append(slot)
        if kind == "equal":
            for slot, piece in zip(slots[a:b], body[c:d], strict=True):
                slot.append(piece)
        else:
            for slot in slots[a:b]:
                slot.append(None)
            result += [[*[None] * number, piece] for piece in body[c:d]]
    slots[:] = result


def _sign(piece: Piece) -> Any:
    match piece:
        case Step() if _plain_activation(piece):
            return ("act", piece.label)
        case Step():
            return ("step", piece.op.name, piece.label)
        case BlockCall():
            return ("call", piece.block, piece.label)
        case Scope():
            return ("scope", piece.label)
        case Join():
            return ("join", piece.op.name, len(piece.branches))
        case Use() | Tap():
            return (type(piece).__name__, piece.name)
        case Param():
            return ("param", piece.label)
        case For():
            return ("for", piece.variable, tuple(_sign(p) for p in piece.body))
        case Repeat():
            return ("repeat", piece.label, tuple(_sign(p) for p in piece.body))
    return (type(piece).__name__, id(piece))


def _plain_activation(step: Step) -> bool:
    return step.op.nonlinear and not step.stateful and not step.args


def _merged(slot: list[Piece | None]) -> Piece:
    first = next(p for p in slot if p is not None)
    match first:
        case Step():
            found = [p if isinstance(p, Step) else None for p in slot]
            names = [p.op.name if p else ABSENT for p in found]
            if _differ(names):
                words = [Expr(p.op.name) if p else ABSENT for p in found]
                first.args = {"*op": Hole(words, "act", Expr(first.op.name))}
                return first
            defaults = {k: a.default for k, a in first.op.args.items()}
            first.args = _holes([p.args if p else None for p in found], defaults, first)
            _numbers(first)
        case BlockCall():
            calls = [p if isinstance(p, BlockCall) else None for p in slot]
            first.args = _holes([p.args if p else None for p in calls], first.defaults, first)
            first.times = _hole([p.times if p else ABSENT for p in calls], "n", 1, None)
        case Scope():
            if any(isinstance(p, Scope) and p.declare != first.declare for p in slot):
                raise CannotMerge
            first.body = merge([p.body if isinstance(p, Scope) else None for p in slot])
        case Join():
            first.args = _holes([p.args if isinstance(p, Join) else None for p in slot], {}, first)
            first.branches = [
                merge([p.branches[n] if isinstance(p, Join) else None for p in slot])
                for n in range(len(first.branches))
            ]
        case Repeat():
            counts = [p.count if isinstance(p, Repeat) else ABSENT for p in slot]
            first.count = _hole(counts, "n", None, None)
            first.body = merge([p.body if isinstance(p, Repeat) else None for p in slot])
        case For():
            loops = [p for p in slot if isinstance(p, For)]
            if any(p.items != first.items for p in loops):
                raise CannotMerge
            first.body = merge([p.body if isinstance(p, For) else None for p in slot])
        case Param():
            params = [p if isinstance(p, Param) else None for p in slot]
            if len({len(p.shape) for p in params if p}) > 1:
                raise CannotMerge
            first.shape = tuple(
                _hole([p.shape[n] if p else ABSENT for p in params], "size", None, None)
                for n in range(len(first.shape))
            )
    return first


def _numbers(step: Step) -> None:
    """A size that is one number in all of the modules is a number in the text."""
    for key, hole in step.args.items():
        if isinstance(hole, Hole):
            given = [v for v in hole.values if v is not ABSENT]
            if all(isinstance(v, tuple) and len(v) == 1 for v in given):
                hole.values = [v if v is ABSENT else v[0] for v in hole.values]
                hole.default = hole.default[0] if isinstance(hole.default, tuple) else hole.default
            elif all(isinstance(v, tuple) and len(v) == len(given[0]) for v in given):
                step.args[key] = tuple(
                    _hole([v if v is ABSENT else v[n] for v in hole.values], key, None, step.label)
                    for n in range(len(given[0]))
                )


def _holes(
    args: list[dict[str, Any] | None], defaults: dict[str, Any], piece: Piece
) -> dict[str, Any]:
    keys = list(dict.fromkeys(k for given in args if given for k in given))
    if isinstance(piece, Step):
        keys = [k for k in piece.op.args if k in keys]
    result = {}
    for key in keys:
        default = defaults.get(key)
        values = [ABSENT if a is None else a.get(key, default) for a in args]
        linear = isinstance(piece, Step) and piece.op.linear
        result[key] = _hole(values, key, default, piece.label, linear)
    return result


def _hole(
    values: list[Any], field: str, default: Any, label: str | None, linear: bool = False
) -> Any:
    if not _differ(values):
        return next(v for v in values if v is not ABSENT)
    return Hole(values, field, default, label, linear)


def _differ(values: list[Any]) -> bool:
    return len({(type(v), repr(v)) for v in values if v is not ABSENT}) > 1
