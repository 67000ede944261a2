"""What fills the holes: expressions of what enters a block and of its parameters.

In: a merged body, and the shapes that enter and leave each of its modules. Out: the body with
expressions, the block's parameters, and each module's arguments.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from archdsl.importer.merge import ABSENT, Hole, Optional
from archdsl.importer.pieces import BlockCall, Body, Expr, If, Join, Param, Repeat, Step, bodies
from archdsl.ops.table import Shape
from archdsl.syntax.grammar import keywords

FACTORS = range(2, 9)


@dataclass
class Solution:
    """`params`: name to default, None where required; `calls`: the arguments of each module."""

    params: dict[str, Any]
    calls: list[dict[str, Any]]


def solve(body: Body, entering: list[Shape], leaving: list[Shape]) -> Solution:
    return _Solver(entering, leaving).solve(body)


@dataclass
class _Solver:
    entering: list[Shape]
    leaving: list[Shape]
    params: dict[str, list[Any]] = field(default_factory=dict)
    usual: dict[str, Any] = field(default_factory=dict)
    partly: bool = False

    def solve(self, body: Body) -> Solution:
        self.inputs = list(self._inputs())
        for partly in (False, True):  # what only some have may be known from what all have
            self.partly = partly
            self._fill(body)
        self._conditions(body)
        return self._solution()

    def _inputs(self) -> Iterator[tuple[str, list[Any]]]:
        ranks = {len(shape) for shape in self.entering}
        if len(ranks) > 1:
            return
        for place in range(ranks.pop()):
            yield f"in[{place}]" if place else "in", [shape[place] for shape in self.entering]

    # ---- values --------------------------------------------------------------------------------

    def _fill(self, body: Body) -> None:
        for piece in body:
            match piece:
                case Step() | Join():
                    piece.args = {k: self._value(v) for k, v in piece.args.items()}
                case BlockCall():
                    piece.args = {k: self._value(v) for k, v in piece.args.items()}
                    piece.times = self._value(piece.times)
                case Repeat():
                    piece.count = self._value(piece.count)
                case Param():
                    piece.shape = tuple(map(self._value, piece.shape))
            for inner in bodies(piece):
                self._fill(inner)

    def _value(self, given: Any) -> Any:
        if isinstance(given, tuple):
            return tuple(map(self._value, given))
        if not isinstance(given, Hole) or (ABSENT in given.values and not self.partly):
            return given
        return Expr(self._known(given.values) or self._new(given))

    def _known(self, values: list[Any]) -> str:
        """An expression with these values."""
        bases = [*self.params.items(), *self.inputs]
        for name, base in bases:
            if _fits(values, base):
                return name
        whole = all(
            isinstance(v, int) and not isinstance(v, bool) for v in values if v is not ABSENT
        )
        for name, base in bases if whole else ():
            if not all(isinstance(b, int) and not isinstance(b, bool) for b in base):
                continue
            for factor in FACTORS:
                if _fits(values, [factor * b for b in base]):
                    return f"{factor}*{name}"
            for factor in (*FACTORS, 16, 32, 64):
                if _fits(values, [b // factor for b in base]) and any(values):
                    return f"{name} // {factor}"
        return ""

    def _new(self, hole: Hole) -> str:
        outs = [s[0] if len(s) != 2 else s[-1] for s in self.leaving]
        stem = hole.field
        if stem == "out" and not _fits(hole.values, outs):
            stem = "mid"
        name = self._free(stem)
        found = Counter(v for v in hole.values if v is not ABSENT)
        common, times = found.most_common(1)[0]
        usual = hole.default if hole.default in found else None
        if isinstance(common, (bool, str, Expr)) and usual is None and 2 * times > len(hole.values):
            usual = common
        fallback = usual if usual is not None else common
        self.params[name] = [fallback if v is ABSENT else v for v in hole.values]
        self.usual[name] = usual
        return name

    def _free(self, stem: str) -> str:
        stem = f"{stem}_" if stem in keywords() or stem == "in" else stem
        if stem not in self.params:
            return stem
        return next(n for k in range(2, 999) if (n := f"{stem}{k}") not in self.params)

    # ---- conditions ----------------------------------------------------------------------------

    def _conditions(self, body: Body) -> None:
        for place, piece in enumerate(body):
            if isinstance(piece, Join) and piece.present:
                piece.condition = self._condition(list(piece.present), "skip", None)
            if isinstance(piece, Optional):
                label = next((p.label for p in piece.body if p.label), None)
                first = piece.body[0]
                kind = first.op.name if isinstance(first, Step) else "extra"
                condition = self._condition(list(piece.present), kind, label)
                body[place] = If(
                    value=piece.value,
                    condition=condition,
                    body=piece.body,
                    otherwise=piece.otherwise,
                )
            for inner in bodies(body[place]):
                self._conditions(inner)

    def _condition(self, present: list[bool], kind: str, label: str | None) -> str:
        for text, values in self._candidates():
            if values == present:
                return text
            if [not v for v in values] == present and not text.startswith("not "):
                return _negated(text)
        stem = label if label and label.isidentifier() else kind
        name = self._free(f"with_{stem}")
        self.params[name] = list(present)
        self.usual[name] = sum(present) * 2 > len(present)
        return name

    def _candidates(self) -> Iterator[tuple[str, list[bool]]]:
        numbers = {
            n: v for n, v in self.params.items() if all(isinstance(x, (int, float)) for x in v)
        }
        for name, values in numbers.items():
            if all(isinstance(v, bool) for v in values):
                yield name, values
                continue
            for limit in (1, 0):
                yield f"{name} != {limit}", [v != limit for v in values]
                yield f"{name} > {limit}", [v > limit for v in values]
        outs = [s[0] if len(s) != 2 else s[-1] for s in self.leaving]
        ins = [s[0] if len(s) != 2 else s[-1] for s in self.entering]
        channel = "in" if not self.entering or len(self.entering[0]) != 2 else "in[1]"
        out = self._known(outs) if len(set(outs)) > 1 else str(outs[0])
        if out and out != channel:
            changes = [a != b for a, b in zip(ins, outs, strict=True)]
            yield f"{channel} != {out}", changes
            for name, values in numbers.items():
                either = [v != 1 or c for v, c in zip(values, changes, strict=True)]
                yield f"{name} != 1 or {channel} != {out}", either
        for name, values in numbers.items():
            for limit in sorted(set(values))[:12]:
                yield f"{name} == {limit}", [v == limit for v in values]

    # ---- the result ----------------------------------------------------------------------------

    def _solution(self) -> Solution:
        count = len(self.entering)
        required = [n for n in self.params if self.usual[n] is None]
        others = [n for n in self.params if self.usual[n] is not None]
        params = dict.fromkeys(required) | {n: self.usual[n] for n in others}
        calls = []
        for number in range(count):
            given = {n: self.params[n][number] for n in required}
            given |= {
                n: self.params[n][number]
                for n in others
                if not _equal(self.params[n][number], self.usual[n])
            }
            calls.append(given)
        return Solution(params, calls)


def _fits(values: list[Any], base: list[Any]) -> bool:
    return all(v is ABSENT or _equal(v, b) for v, b in zip(values, base, strict=True))


def _equal(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _negated(text: str) -> str:
    if " or " in text:
        return " and ".join(map(_negated, text.split(" or ")))
    for sign, other in ((" != ", " == "), (" == ", " != "), (" > ", " <= ")):
        if sign in text:
            return text.replace(sign, other)
    return f"not {text}"
