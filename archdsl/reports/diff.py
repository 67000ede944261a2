"""What changed from one program to another.

In: two checked programs. Out: a `Difference`. The parts of a model, then those of each block, are
paired in the order of execution, by what they are and the names that people gave them; numbers in
names (positions) do not count, so that a layer that is put in between does not change those after
it. A block that is all new, or gone, is one change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from math import prod
from typing import Any

from archdsl.ir.graph import Graph, Param, Program, Scope
from archdsl.ir.show import as_document
from archdsl.ir.wording import block_text, varying
from archdsl.ops.table import Op
from archdsl.text import inputs_text, shape_text

#: beyond so many layers that differ, they are paired by their place alone
MOST = 3000


@dataclass(frozen=True)
class Part:
    """An operator, a parameter of a scope, or a scope. `key`: its name without positions;
    `labelled`: a person gave it. `op`: as a spec has it. `inside`: a scope's parts."""

    name: str
    key: str
    op: str
    kind: str
    shape: str
    params: int
    macs: int
    labelled: bool
    inside: tuple[Part, ...] = field(default=(), repr=False)

    @property
    def same(self) -> Hashable:
        """What is equal for parts that do not differ: a scope is what is inside it."""
        if self.inside:
            return self.key, self.shape, tuple(part.same for part in self.inside)
        return self.key, self.op, self.shape, self.params, self.macs

    def as_dict(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k not in ("labelled", "inside")}


@dataclass(frozen=True)
class Change:
    """A part that is gone (`new` None), has come (`old` None), or is another."""

    old: Part | None
    new: Part | None

    @property
    def follows(self) -> bool:
        """Whether nobody wrote it: its shape or size follows from what comes before."""
        old, new = self.old, self.new
        return old is not None and new is not None and (old.key, old.op) == (new.key, new.op)


@dataclass(frozen=True)
class Difference:
    """False where there is none. `others`: what differs besides layers, a line each."""

    names: tuple[str, str]
    params: tuple[int, int]
    macs: tuple[int, int]
    changes: tuple[Change, ...]
    others: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.changes or self.others)

    def __str__(self) -> str:
        return show_difference(self)

    def as_dict(self) -> dict[str, Any]:
        sides = ((change.old, change.new) for change in self.changes)
        changes = [
            {"old": old and old.as_dict(), "new": new and new.as_dict()} for old, new in sides
        ]
        return {**vars(self), "changes": changes}


def compare(old: Program, new: Program) -> Difference:
    changes = tuple(_changes(_parts(old), _parts(new)))
    others = list(_others(old, new))
    if not changes and not others and _wiring(old) != _wiring(new):
        others.append("the same layers are connected in another way")
    return Difference(
        (old.name, new.name),
        (old.params, new.params),
        (old.macs, new.macs),
        changes,
        tuple(others),
    )


def _parts(program: Program) -> tuple[Part, ...]:
    differs = varying(program)

    def parts(graph: Graph, prefix: str) -> Iterator[Part]:
        for item in graph.items:
            name = prefix + item.name if item.name else prefix.rstrip(".")
            key = ".".join("*" if part.isdigit() else part for part in name.split("."))
            shape = _shape(item.shapes[0])
            if isinstance(item, Scope):
                inside = tuple(parts(item.graph, name + "."))
                sizes = item.graph.sizes
                kind = item.graph.block or "group"
                text = block_text(item.graph, differs) or kind
                costs = sizes.params, sizes.macs
                yield Part(name, key, text, kind, shape, *costs, item.labelled, inside)
            elif isinstance(item, Param):
                kind = "buffer" if item.buffer else "param"
                size = 0 if item.buffer else prod(item.shape)
                yield Part(name, key, f"{kind} {shape}", kind, shape, size, 0, True)
            else:
                params = item.params
                text, kind = op_text(item.op), item.op.name
                yield Part(name, key, text, kind, shape, params, item.macs, item.labelled)

    return tuple(parts(program.graph, ""))


def _others(old: Program, new: Program) -> Iterator[str]:
    if old.inputs != new.inputs:
        yield f"input: {inputs_text(old.inputs)} -> {inputs_text(new.inputs)}"
    for what, a, b in (("outputs", old.outputs, new.outputs), ("aux", old.aux, new.aux)):
        one, other = (", ".join(name for name, _ in pairs) or "none" for pairs in (a, b))
        if one != other:
            yield f"{what}: {one} -> {other}"
    for name, shape in old.output_shapes.items():
        if (now := new.output_shapes.get(name, shape)) != shape:
            yield f"{name}: {_shape(shape)} -> {_shape(now)}"
    if _inits(old) != _inits(new):
        yield "the rules of initialisation"


def _inits(program: Program) -> list[Any]:
    found: list[Any] = [
        (i.kind, i.path, i.param, _plain(i.rule.args), i.rule.name) for i in program.graph.inits
    ]
    for name, item in program.walk():
        if isinstance(item, Scope):
            key = ".".join("*" if part.isdigit() else part for part in name.split("."))
            found += [
                (key, i.kind, i.path, i.param, _plain(i.rule.args), i.rule.name)
                for i in item.graph.inits
            ]
    return found


def _plain(args: tuple[tuple[str, Any], ...]) -> tuple[tuple[str, str], ...]:
    return tuple((key, str(getattr(value, "text", value))) for key, value in args)


def _wiring(program: Program) -> Any:
    document = as_document(program)
    graphs = [
        {key: graph[key] for key in ("items", "outputs")} for graph in document["graphs"].values()
    ]
    return graphs, list(document["outputs"].values())


# ---- pairs ---------------------------------------------------------------------------------------

_Pair = tuple[Part | None, Part | None]

#: by what parts are paired, the closest first
_KEYS: tuple[Callable[[Part], Hashable], ...] = (
    lambda part: (part.key, part.kind) if part.labelled else id(part),
    lambda part: part.same,
    lambda part: (part.key, part.op),
    lambda part: (part.key, part.kind),
    lambda part: (part.op, part.shape),
)


def _changes(old: Sequence[Part], new: Sequence[Part]) -> Iterator[Change]:
    for one, other in _pairs(old, new):
        if one is None or other is None:
            yield Change(one, other)
        elif one.same != other.same:
            if one.inside and other.inside:
                yield from _changes(one.inside, other.inside)
            else:
                yield Change(one, other)


def _pairs(old: Sequence[Part], new: Sequence[Part], level: int = 0) -> list[_Pair]:
    """Both in their order, those that belong together paired."""
    if not old or not new or level == len(_KEYS) or len(old) * len(new) > MOST**2:
        return [*((part, None) for part in old), *((None, part) for part in new)]
    key = _KEYS[level]
    matcher = SequenceMatcher(None, [*map(key, old)], [*map(key, new)], autojunk=False)
    pairs: list[_Pair] = []
    for tag, i, j, k, m in matcher.get_opcodes():
        if tag == "equal":
            pairs += zip(old[i:j], new[k:m], strict=True)
        else:
            pairs += _pairs(old[i:j], new[k:m], level + 1)
    return pairs


# ---- text ----------------------------------------------------------------------------------------


def show_difference(difference: Difference, *, color: bool = False) -> str:
    """For people: what somebody wrote in another way, the same change in several places once."""
    if not difference:
        same = f"no difference ({difference.params[0]:,} parameters)"
        return f"{difference.names[0]} and {difference.names[1]}: {same}"
    rows = [*(("~", other, "", "", "") for other in difference.others), *_rows(difference.changes)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)] if rows else []
    paint = {"-": "\033[31m", "+": "\033[32m", "~": "\033[33m"} if color else {}
    lines = []
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        line = " ".join(cells).rstrip()
        lines.append(f"{paint[row[0]]}{line}\033[0m" if color else line)
    follow = sum(change.follows for change in difference.changes)
    if follow:
        have, s = ("has", "") if follow == 1 else ("have", "s")
        lines.append(f"{follow} other layer{s} {have} another size, which follows from this")
    lines.append("")
    lines.append(" -> ".join(difference.names))
    lines.append(f"parameters {_amount(*difference.params)}")
    lines.append(f"MACs       {_amount(*difference.macs)}")
    return "\n".join(lines)


_Row = tuple[str, str, str, str, str]


def _rows(changes: Sequence[Change]) -> Iterator[_Row]:
    """Sign, name, operator, shape, and by how much the parameters differ."""
    groups: dict[tuple[str, ...], list[tuple[str, str, int]]] = {}
    for change in changes:
        if change.follows:
            continue
        old, new = change.old, change.new
        part = new or old
        if part is None:
            raise ValueError("a change of nothing")
        sign, name, op, shape = "+" if old is None else "-", part.name, part.op, part.shape
        more = part.params if old is None else -part.params
        if old is not None and new is not None:
            sign, op, shape = "~", _words(old.op, new.op), _both(old.shape, new.shape)
            name = new.name if old.key == new.key else f"{old.name} -> {new.name}"
            more = new.params - old.params
        where = shape if part.params else ""  # what has no weights is the same anywhere
        alike = (sign, re.sub(r"\d+", "#", name), op, where)
        groups.setdefault(alike, []).append((name, shape, more))
    for (sign, _, op, _), found in groups.items():
        names, shapes, sizes = zip(*found, strict=True)
        shape = shapes[0] if len({*shapes}) == 1 else ""
        yield sign, _together(names), op, shape, f"{sum(sizes):+,}" if any(sizes) else ""


def _together(names: Sequence[str]) -> str:
    """Names that differ in numbers as one: `layer1.0–2.conv1`."""
    columns = zip(*(re.split(r"(\d+)", name) for name in names), strict=True)
    texts, places = [], 1
    for column in columns:
        numbers = [*dict.fromkeys(column)]
        places *= len(numbers)
        texts.append(_numbers(numbers))
    if places == len({*names}):
        times = f" ×{len(names)}" if len(names) > 1 else ""
        return "".join(texts) + times
    return f"{names[0]} … {names[-1]} ×{len(names)}"


def _numbers(numbers: list[str]) -> str:
    if len(numbers) == 1:
        return numbers[0]
    whole = [*map(int, numbers)]
    if whole == [*range(whole[0], whole[0] + len(whole))]:
        return f"{numbers[0]}–{numbers[-1]}"
    shown = numbers if len(numbers) <= 4 else [*numbers[:3], "…", numbers[-1]]
    return f"{{{','.join(shown)}}}"


def _words(old: str, new: str) -> str:
    """`conv 64->128 3x3`: what is the same is said once."""
    ones, others = old.split(), new.split()
    if len(ones) != len(others) or ones[0] != others[0]:
        return _both(old, new)
    pairs = zip(ones, others, strict=True)
    return " ".join(one if one == other else f"{one}->{other}" for one, other in pairs)


def _both(old: str, new: str) -> str:
    return old if old == new else f"{old} -> {new}"


def _amount(old: int, new: int) -> str:
    if old == new:
        return f"{old:,}"
    share = f", {100 * (new - old) / old:+.1f} %" if old else ""
    return f"{old:,} -> {new:,} ({new - old:+,}{share})"


def op_text(op: Op) -> str:
    """An operator as a spec has it."""
    words = [op.name]
    for name, arg in op.args.items():
        value = getattr(op, name)
        if value == arg.default:
            continue
        text = _value(value)
        if name == "stride":
            words.append(f"/{text}")
        else:
            words.append(f"{name}={text}" if arg.keyword else text)
    return " ".join(words)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "x".join(map(_value, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _shape(shape: tuple[int, ...]) -> str:
    return shape_text(shape, empty="1")
