"""What changed from one program to another.

In: two checked programs. Out: a `Difference`. Layers are paired in the order of execution, by what
they are and the names that people gave them; numbers in names (positions) do not count, so that a
layer that is put in between does not change those after it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from typing import Any

from archdsl.ir.graph import Node, Param, Program, Scope
from archdsl.ir.show import as_document
from archdsl.ops.table import Op

#: beyond so many layers that differ, they are paired by their place alone
MOST = 3000


@dataclass(frozen=True)
class Layer:
    """One operator, or parameter of a scope. `key`: its name without positions."""

    name: str
    key: str
    op: str
    kind: str
    shape: str
    params: int
    macs: int

    @property
    def same(self) -> Hashable:
        return self.key, self.op, self.shape, self.params, self.macs


@dataclass(frozen=True)
class Change:
    """A layer that is gone (`new` None), has come (`old` None), or is another."""

    old: Layer | None
    new: Layer | None


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

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def compare(old: Program, new: Program) -> Difference:
    pairs = _pairs(list(_layers(old)), list(_layers(new)))
    changes = tuple(Change(a, b) for a, b in pairs if a is None or b is None or a.same != b.same)
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


def _layers(program: Program) -> Iterator[Layer]:
    for name, item in program.walk():
        key = ".".join("*" if part.isdigit() else part for part in name.split("."))
        if isinstance(item, Node):
            params = sum(w.size for w in item.weights if not w.buffer)
            shape = _shape(item.shape)
            text = op_text(item.op)
            yield Layer(name, key, text, item.op.name, shape, params, item.macs)
        elif isinstance(item, Param):
            kind = "buffer" if item.buffer else "param"
            shape = _shape(item.shape)
            text = f"{kind} {shape}"
            size = 0 if item.buffer else _product(item.shape)
            yield Layer(name, key, text, kind, shape, size, 0)


def _others(old: Program, new: Program) -> Iterator[str]:
    if old.input_shape != new.input_shape:
        yield f"input: {_shape(old.input_shape)} -> {_shape(new.input_shape)}"
    for what, a, b in (("outputs", old.outputs, new.outputs), ("aux", old.aux, new.aux)):
        one, other = (", ".join(name for name, _ in pairs) or "none" for pairs in (a, b))
        if one != other:
            yield f"{what}: {one} -> {other}"
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

_Pair = tuple[Layer | None, Layer | None]

#: by what layers are paired, the closest first
_KEYS: tuple[Callable[[Layer], Hashable], ...] = (
    lambda layer: layer.same,
    lambda layer: (layer.key, layer.op),
    lambda layer: (layer.key, layer.kind),
    lambda layer: (layer.op, layer.shape),
)


def _pairs(old: Sequence[Layer], new: Sequence[Layer], level: int = 0) -> list[_Pair]:
    """Both in their order, those that belong together paired."""
    if not old or not new or level == len(_KEYS) or len(old) * len(new) > MOST**2:
        return [*((layer, None) for layer in old), *((None, layer) for layer in new)]
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
    """For people: a line for each layer, with what is other about it."""
    rows = [*(("~", other, "", "", "") for other in difference.others)]
    rows += [_row(change) for change in difference.changes]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)] if rows else []
    paint = {"-": "\033[31m", "+": "\033[32m", "~": "\033[33m"} if color else {}
    lines = []
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        line = " ".join(cells).rstrip()
        lines.append(f"{paint[row[0]]}{line}\033[0m" if color else line)
    lines.append("")
    lines.append(" -> ".join(difference.names))
    lines.append(f"parameters {_amount(*difference.params)}")
    lines.append(f"MACs       {_amount(*difference.macs)}")
    return "\n".join(lines)


def _row(change: Change) -> tuple[str, str, str, str, str]:
    old, new = change.old, change.new
    if old is None or new is None:
        layer = old or new
        if layer is None:
            raise ValueError("a change of nothing")
        sign = "-" if new is None else "+"
        params = f"{sign}{layer.params:,}" if layer.params else ""
        return sign, layer.name, layer.op, layer.shape, params
    name = new.name if old.key == new.key else f"{old.name} -> {new.name}"
    params = f"{new.params - old.params:+,}" if new.params != old.params else ""
    return "~", name, _both(old.op, new.op), _both(old.shape, new.shape), params


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
    return "x".join(map(str, shape)) or "1"


def _product(shape: tuple[int, ...]) -> int:
    product = 1
    for side in shape:
        product *= side
    return product
