"""Runs of equal pieces become one: `unit 64 x3`, `repeat 6 as j { layer{j+1}: ... }`."""

from __future__ import annotations

import re
from typing import Any

from archdsl.importer.capture import Value
from archdsl.importer.pieces import (
    BlockCall,
    Body,
    Expr,
    For,
    Join,
    Param,
    Piece,
    Repeat,
    Scope,
    Step,
    Tap,
    Use,
    bodies,
    same_scope,
    walk,
)

LONGEST = 6
VARIABLES = "ijklmn"
_NUMBER = re.compile(r"[0-9]+")


def fold(body: Body, tapped: frozenset[Value] = frozenset(), depth: int = 0) -> Body:
    """The body with its runs folded, those inside first; `tapped`: what is taken up elsewhere, and
    so must be in no loop but at its end."""
    for piece in body:
        for inner in bodies(piece):
            inner[:] = fold(inner, tapped, depth + (not isinstance(piece, Scope)))
    result: Body = []
    place = 0
    while place < len(body):
        period, count = _run(body, place, tapped)
        series = _series(body, place, tapped) if count == 1 else 1
        if series > 2:
            result.append(_for(body[place : place + series], VARIABLES[min(depth, 5)]))
            place += series
        elif count > 1:
            result.append(_repeat(body[place : place + period * count], period, count, depth))
            place += period * count
        else:
            result.append(body[place])
            place += 1
    return result


def _run(body: Body, place: int, tapped: frozenset[Value]) -> tuple[int, int]:
    """The period and length of the run that begins here and saves most; a length of 1: none."""
    best = (0, 1, 1)
    for period in range(1, LONGEST + 1):
        first = body[place : place + period]
        if len(first) < period or any(isinstance(p, (Param, Tap)) or p.aux for p in first):
            break
        count = 1
        while _continues(body, place, period, count) and not _taken(
            body[place : place + period * count], tapped
        ):
            count += 1
        layers = any(isinstance(p, (BlockCall, Scope, Join)) for p in same_scope(first))
        saved = (count - 1) * period
        if saved > best[0] and (layers or (count > 2 and saved > 3)):
            best = (saved, period, count)
    return best[1], best[2]


def _taken(body: Body, tapped: frozenset[Value]) -> bool:
    return any(piece.value in tapped for piece in walk(body))


def _series(body: Body, place: int, tapped: frozenset[Value]) -> int:
    """How many calls from here on differ in one and the same argument."""
    first, keys = body[place], None
    if not isinstance(first, BlockCall) or first.label is not None or first.aux is not None:
        return 1
    count = 1
    for piece in body[place + 1 :]:
        if not isinstance(piece, BlockCall) or piece.label is not None or piece.times != 1:
            break
        if _taken([body[place + count - 1]], tapped):
            break
        if piece.block != first.block or piece.args.keys() != first.args.keys():
            break
        differ = [k for k in first.args if repr(first.args[k]) != repr(piece.args[k])]
        if len(differ) != 1 or keys not in (None, differ):
            break
        keys, count = differ, count + 1
    return count


def _for(run: Body, variable: str) -> Piece:
    """The calls in a loop: over what is computed from their number, or over a list."""
    calls = [p for p in run if isinstance(p, BlockCall)]
    first = calls[0]
    (key,) = (k for k, v in first.args.items() if repr(v) != repr(calls[1].args[k]))
    items = [call.args[key] for call in calls]
    rising = _progression(items, variable)
    first.args[key] = Expr(rising or key)
    value = run[-1].value
    if rising:
        return Repeat(value=value, count=len(run), variable=variable, body=[first])
    return For(value=value, variable=key, items=items, body=[first])


def _progression(items: list[Any], variable: str) -> str:
    """Floats that rise evenly, as `0.1*(i+6)/17`: a number of few digits in equal parts."""
    if not all(isinstance(item, float) for item in items):
        return ""
    step = (items[-1] - items[0]) / (len(items) - 1)
    if step <= 0 or abs(items[0] / step - round(items[0] / step)) > 1e-6:
        return ""
    start = round(items[0] / step)
    for parts in range(1, 400):
        whole = float(f"{step * parts:.3g}")
        made = [whole * (start + n) / parts for n in range(len(items))]
        if all(abs(a - b) <= 1e-12 for a, b in zip(items, made, strict=True)):
            count = f"({variable}+{start})" if start else variable
            return f"{whole:g}*{count}/{parts}"
    return ""


def _continues(body: Body, place: int, period: int, count: int) -> bool:
    start = place + period * count
    again = body[start : start + period]
    if len(again) < period:
        return False
    first, numbers = _form(body[place : place + period])
    form, there = _form(again)
    if form != first:
        return False
    before = _form(body[start - period : start])[1]
    steps = {b - a for a, b in zip(before, there, strict=True)}
    origin = {b - a for a, b in zip(numbers, there, strict=True)}
    return steps <= {0, 1, period} and all(o in (0, count, count * period) for o in origin)


def _form(body: Body) -> tuple[Any, list[int]]:
    """What pieces say, but for the numbers in the labels of their scope."""
    numbers: list[int] = []
    return tuple(_shape(piece, numbers, True) for piece in body), numbers


def _shape(piece: Piece, numbers: list[int], own: bool) -> Any:
    label = piece.label
    if own and label is not None and isinstance(piece, (Step, Scope, BlockCall, Repeat)):
        numbers += [int(n) for n in _NUMBER.findall(label)]
        label = _NUMBER.sub("#", label)
    inner = own and not isinstance(piece, Scope)
    inside = tuple(tuple(_shape(p, numbers, inner) for p in b) for b in bodies(piece))
    match piece:
        case Step():
            return ("step", label, piece.op.name, _args(piece.args))
        case BlockCall():
            return ("call", label, piece.block, _args(piece.args), piece.times)
        case Scope():
            return ("scope", label, piece.declare, inside)
        case Join():
            return ("join", piece.op.name, _args(piece.args), inside)
        case Repeat():
            return ("repeat", label, piece.count, inside)
        case Use() if piece.used is not None and piece.used.param is not None:
            return ("param", piece.used.param)
        case Param():
            return ("param", label, piece.shape, piece.rule)
    return (type(piece).__name__, id(piece))


def _args(args: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((k, repr(v)) for k, v in args.items())


def _repeat(run: Body, period: int, count: int, depth: int) -> Piece:
    first = run[:period]
    call = first[0]
    if period == 1 and isinstance(call, BlockCall) and call.label is None and call.times == 1:
        call.times = count
        call.value = run[-1].value
        return call
    variable = VARIABLES[min(depth, len(VARIABLES) - 1)]
    used = False
    later = list(same_scope(run[period : 2 * period]))
    for piece, after in zip(same_scope(first), later, strict=True):
        if piece.label is not None and after.label is not None and piece.label != after.label:
            piece.label = _counting(piece.label, after.label, variable)
            used = True
    return Repeat(count=count, variable=variable if used else None, body=first, value=run[-1].value)


def _counting(label: str, after: str, variable: str) -> str:
    """`layer1`, which `layer2` follows, as `layer{i+1}`."""
    following = iter(_NUMBER.findall(after))

    def count(found: re.Match[str]) -> str:
        start, step = int(found[0]), int(next(following)) - int(found[0])
        if step == 0:
            return found[0]
        shown = variable if step == 1 else f"{step}*{variable}"
        return f"{{{shown}+{start}}}" if start else f"{{{shown}}}"

    return _NUMBER.sub(count, label)
