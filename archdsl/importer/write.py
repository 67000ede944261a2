"""From pieces to the text of a spec."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from archdsl.importer.pieces import (
    BlockCall,
    Body,
    Expr,
    For,
    If,
    Join,
    Output,
    Param,
    Piece,
    Repeat,
    Scope,
    Step,
    Tap,
    Use,
)
from archdsl.ops.join import Add
from archdsl.ops.table import Shape
from archdsl.ops.types import Size
from archdsl.syntax.grammar import keywords

WIDTH = 96
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass
class Block:
    """A block's text: `params` are names with their defaults, or None."""

    name: str
    params: list[tuple[str, Any]]
    body: Body
    declare: tuple[str, ...] = ()
    stride: bool = False


def write(name: str, shape: Shape, root: Scope, blocks: Iterable[Block], comment: str) -> str:
    """The spec, not yet aligned by the formatter."""
    lines = [f"# {line}".rstrip() for line in comment.splitlines()]
    for block in blocks:
        params = ", ".join(n if d is None else f"{n}={word(d)}" for n, d in block.params)
        head = f"block {block.name}({params})"
        lines += ["", *_braced(head, _statements(block.body, block.declare))]
    size = "x".join(map(str, shape))
    body = [f"input {size}", *_statements(root.body, root.declare)]
    lines += ["", f"model {name}() {{", *_indented(body), "}"]
    return "\n".join(lines) + "\n"


# ---- statements --------------------------------------------------------------------------------


def _statements(body: Body, declare: tuple[str, ...] = ()) -> list[str]:
    lines = [f"declare {' '.join(map(_declared, declare))}"] if declare else []
    for chain in _chains(body):
        lines += _chain(chain)
    return lines


def _chains(body: Body) -> Iterator[list[Piece]]:
    """What stands on a line: a layer, and what follows it without weights."""
    chain: list[Piece] = []
    for piece in body:
        if chain and not _follows(piece, chain):
            yield chain
            chain = []
        chain.append(piece)
    if chain:
        yield chain


def _follows(piece: Piece, chain: list[Piece]) -> bool:
    last = chain[-1]
    if last.aux is not None or piece.aux is not None:
        return False
    if isinstance(piece, Tap):
        return not isinstance(last, Param)
    if isinstance(last, (Join, Param, If, For, Repeat, Scope)) or not isinstance(piece, Step):
        return False
    if piece.label is not None or len(chain) > 5:
        return False
    return not (piece.op.linear or piece.op.macs(*piece.inputs))


def _chain(chain: list[Piece]) -> list[str]:
    """One line where it fits; blocks of lines where a piece has some of its own."""
    lines: list[str] = []
    for part in map(_piece, chain):
        joins = len(part) == 1 and bool(lines)
        short = joins and len(lines[-1]) + len(part[0]) < WIDTH and lines[-1] != "}"
        if short or (joins and part[0].startswith("tap ")):
            lines[-1] += f" -> {part[0]}"
        else:
            lines += part
    return lines


def _piece(piece: Piece) -> list[str]:
    label = f"{_label(piece.label)}: " if piece.label is not None else ""
    label += f"aux @{piece.aux.name} " if piece.aux is not None else ""
    match piece:
        case Step() if "*op" in piece.args:
            return [label + value(piece.args["*op"])]
        case Step():
            return [label + _call(piece.op.name, _arguments(piece))]
        case BlockCall():
            times = _times(piece.times)
            return [label + _call(piece.block, [*_given(piece), *times])]
        case Scope() if _single(piece):
            lines = _piece(piece.body[0])
            return [f"{label}{lines[0]}", *lines[1:]]
        case Scope():
            return _braced(label.rstrip(), _statements(piece.body, piece.declare))
        case Use():
            return [f"@{piece.name}"]
        case Output():
            return [" ".join(["output", *(f"@{use.name}" for use in piece.used)])]
        case Tap():
            return [f"tap {piece.name}"]
        case Param():
            kind = "buffer" if piece.buffer else "param"
            return [f"{kind} {piece.label} {value(tuple(piece.shape))} {piece.rule}"]
        case Join():
            return _join(piece)
        case If():
            lines = _braced(f"if {piece.condition}", _statements(piece.body))
            if piece.otherwise:
                other = _braced("else", _statements(piece.otherwise))
                lines = [*lines[:-1], f"{lines[-1]} {other[0]}", *other[1:]]
            return lines
        case For():
            items = value(tuple(piece.items))
            return _braced(f"for {piece.variable} in {items}", _statements(piece.body))
        case Repeat():
            head = f"{label}repeat {atom(piece.count)}"
            head += f" as {piece.variable}" if piece.variable else ""
            return _braced(head, _statements(piece.body))
    raise TypeError(piece)


def _single(scope: Scope) -> bool:
    """Whether a scope is one piece, which may have its label: that is a scope, too."""
    if len(scope.body) != 1 or scope.declare:
        return False
    piece = scope.body[0]
    if isinstance(piece, BlockCall):
        return piece.times != 1 and piece.label is None
    return isinstance(piece, Join) or (isinstance(piece, Repeat) and piece.label is None)


def _braced(head: str, inner: list[str]) -> list[str]:
    """A body in braces, on one line where that is short and readable."""
    simple = len(inner) <= 2 and not any(line.endswith(("{", "}")) for line in inner)
    line = f"{head} {{ {'; '.join(inner)} }}".strip()
    if simple and len(line) <= WIDTH - 8:
        return [line.replace("{  }", "{ }")]
    return [f"{head} {{".strip(), *_indented(inner), "}"]


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _join(join: Join) -> list[str]:
    branches = join.branches
    if isinstance(join.op, Add) and len(branches) == 2:
        residual = _residual(join, f" if {join.condition}" if join.condition else "")
        if residual is not None:
            return residual
    bare = {join.op.instead, *(k for k, a in join.op.args.items() if a.required)}
    given = ((("" if k in bare else f"{k}="), v) for k, v in join.args.items())
    name = _call(join.op.name, [f"{key}{atom(v)}" for key, v in given])
    if join.with_taps:
        taps = (b[0].name for b in branches[1:] if isinstance(b[0], Use))
        return [" ".join([name, *(f"@{tap}" for tap in taps)])]
    lines: list[str] = []
    for branch in branches:
        lines += _branch(branch)
    return _braced(name, lines)


def _branch(branch: Body) -> list[str]:
    """One branch: what a loop or a condition holds there would be branches of its own."""
    if not branch:
        return ["identity"]
    piece = branch[0]
    if len(branch) == 1 and isinstance(piece, If):
        lines = _braced(f"if {piece.condition}", _branch(piece.body))
        other = _braced("else", _branch(piece.otherwise))
        return [*lines[:-1], f"{lines[-1]} {other[0]}", *other[1:]]
    if len(branch) == 1 and not isinstance(piece, (Repeat, For)):
        return _piece(piece)
    return _braced("", _statements(branch))


def _residual(join: Join, condition: str) -> list[str] | None:
    """`residual` where one side is what flows in, perhaps projected."""
    first, second = join.branches
    if join.residual:
        return _braced(f"residual{condition}", _statements(first or second))
    if not first or not second or len(second) > 1 or isinstance(first[0], (Use, Tap, If)):
        return None
    side, when = second, ""
    if isinstance(second[0], If) and not second[0].otherwise:
        side, when = second[0].body, f" if {second[0].condition}"
    elif isinstance(second[0], (If, Use, Tap)) or len(set(join.inputs)) > 1:
        return None
    if isinstance(side[0], Step) and side[0].op.arity == 1 and side[0].op.itself(*side[0].inputs):
        return None
    shortcut = _shortcut(side, when)
    lines = _braced("residual", _statements(first))
    return [*lines[:-1], f"{lines[-1]} {shortcut[0]}", *shortcut[1:]]


def _shortcut(side: Body, condition: str) -> list[str]:
    if len(side) == 1 and isinstance(side[0], Scope) and side[0].label is not None:
        name = side[0].label
        shown = name if _PLAIN.fullmatch(name) and name not in keywords() else f'"{name}"'
        return _braced(f"shortcut {shown}{condition}", _statements(side[0].body, side[0].declare))
    return _braced(f"shortcut{condition}", _statements(side))


# ---- words -------------------------------------------------------------------------------------


def _label(label: str) -> str:
    if "{" in label:
        return (
            label
            if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*(\{[^{}]*\}[A-Za-z0-9_]*)+", label)
            else f'"{label}"'
        )
    return label if _PLAIN.fullmatch(label) else f'"{label}"'


def _declared(label: str) -> str:
    return label if _PLAIN.fullmatch(label) and label not in keywords() else f'"{label}"'


def _call(name: str, arguments: list[str]) -> str:
    return " ".join([name, *arguments])


def _arguments(step: Step) -> list[str]:
    """As a person writes them: `64 3x3 /2 pad=1`."""
    result, by_name = [], False
    space = max(len(step.inputs[0]) - 1, 1) if step.inputs else 1
    for key, spec in step.op.args.items():
        if key not in step.args:
            by_name = by_name or not spec.required
            continue
        given = step.args[key]
        if isinstance(spec.type, Size) and isinstance(given, tuple):
            wide = spec.required and len(given) == 1 and space > 1
            shown = size(given * space if wide else given)
        elif isinstance(given, tuple) and len(given) == 1 and spec.required:
            shown = atom(given[0])
        else:
            shown = atom(given)
        if key == "stride":
            result.append(f"/{shown}")
        else:
            result.append(f"{key}={shown}" if by_name or spec.keyword else shown)
    return result


def _given(call: BlockCall) -> list[str]:
    """By position while none is left out; `/2` for a stride."""
    result = []
    for key, given in call.args.items():
        shown = word(given) if isinstance(given, str) else atom(given)
        if key == "stride":
            result.append(f"/{shown}")
        else:
            result.append(shown if call.defaults.get(key) is None else f"{key}={shown}")
    return result


def _times(times: Any) -> list[str]:
    if isinstance(times, Expr):
        return [f"x({times.text})"]
    return [f"x{times}"] if times != 1 else []


def size(sides: tuple[Any, ...]) -> str:
    if any(isinstance(s, Expr) for s in sides):
        return value(sides)
    return "x".join(map(str, sides))


def atom(given: Any) -> str:
    """A value as an argument."""
    if isinstance(given, str) and not _PLAIN.fullmatch(given):
        return f'"{given}"'
    shown = value(given)
    simple = re.fullmatch(r"-?[A-Za-z0-9_.+]+|\[.*\]|in\[.*\]|\".*\"|[0-9.e+-]+", shown)
    return shown if simple and not (isinstance(given, Expr) and "+" in shown) else f"({shown})"


def word(given: Any) -> str:
    """A value for a parameter: a word of an operator's stands in quotes."""
    return f'"{given}"' if isinstance(given, str) else value(given)


def value(given: Any) -> str:
    match given:
        case Expr():
            return given.text
        case bool():
            return "true" if given else "false"
        case None:
            return "none"
        case tuple() | list():
            return f"[{', '.join(map(value, given))}]"
        case float():
            return number(given)
    return str(given)


def number(given: float) -> str:
    """A float as a person would write it: twelve digits say as much as any of torch's numbers."""
    short = f"{given:.12g}"
    return short if len(short) + 3 < len(repr(given)) and "e" not in short else repr(given)
