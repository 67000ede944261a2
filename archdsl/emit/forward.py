"""The forward as straight-line code: which calls nest, and what the variables are called.

In: a body's steps, in the order of execution. Out: lines. The order never changes: a call is nested
into another only where it is evaluated at the same place as before. A variable is bound again once
its value is dead; what is kept for later has a name of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from archdsl.emit.code import STEP, WIDTH, flat, is_attribute, lay
from archdsl.emit.loops import PART
from archdsl.emit.names import unique, variable
from archdsl.emit.tree import (
    Apply,
    Attr,
    Body,
    Choice,
    Code,
    Expr,
    Infix,
    Loop,
    Many,
    Member,
    Step,
    Value,
    found,
    rewrite,
)

INDENT = 2
DEEPEST = 3
GUARD = " if self.training else None"
#: functions without types in torch
UNTYPED = frozenset(
    [f"F.{kind}max_pool{n}d" for kind in ("", "adaptive_") for n in (1, 2, 3)]
    + ["torch.linalg.vector_norm"]
)


def forward(
    body: Body,
    taken: frozenset[str],
    names: dict[int, str] | None = None,
    leave: Callable[[list[str]], list[str]] | None = None,
    indent: int = INDENT,
) -> list[str]:
    """The lines of the body of `forward`.

    `taken`: names that no variable may have. `names`: value -> the name that the model gives it.
    `leave`: makes the return statement's lines from the outputs' expressions; where it is None the
    outputs are returned as they are.
    """
    if not any(isinstance(member, Loop) for member in body.members):
        return _Writer(body, taken, names or {}, indent).write(leave)
    margin = STEP * (INDENT + 1)
    turn = _Writer(body, taken, {}, INDENT + 1).write(
        lambda texts: [f"{margin}x = {texts[0]}"] if texts != ["x"] else []
    )
    return [f"{STEP * INDENT}for {PART} in self:", *turn, f"{STEP * INDENT}return x"]


def _places(body: Body) -> Iterator[Any]:
    """The steps one after the other; what leaves a choice stands behind its steps, the outputs at
    the end."""
    for row in body.steps:
        if isinstance(row, Choice):
            yield from (*row.yes, *row.no)
            yield row.taken, row.otherwise
        else:
            yield row
    yield body.outputs


def inputs(body: Body) -> list[str]:
    """The parameters of `forward`."""
    count = body.inputs
    if len(body.input_names) == count:
        return [unique(variable(name), ["self"]) for name in body.input_names]
    if len(body.input_names) == count - 1:
        return ["x", *map(variable, body.input_names)]
    return ["x", *(f"skip{i}" if count > 2 else "skip" for i in range(1, count))]


@dataclass
class _Pending:
    """A call that is not written yet, for its only user may nest it."""

    place: int
    step: Step
    expr: Expr
    depth: int


class _Writer:
    def __init__(
        self, body: Body, taken: frozenset[str], names: dict[int, str], indent: int = INDENT
    ) -> None:
        self.indent = self.outer = indent
        self.body, self.taken, self.given = body, taken, names
        self.lines: list[str] = []
        self.pending: list[_Pending] = []
        self.place = 0
        #: what the values are called that leave the side of a choice that is being written
        self.leaving: dict[int, str] = {}
        self.variables: dict[int, str] = dict(enumerate(inputs(body)))
        self.parameters = {*self.variables.values()}
        #: variables so far; those that are anything to a type checker: from the first, and now
        self.known, self.untyped, self.loose = {*self.parameters}, set[str](), set[str]()
        #: where each got its first value: the line, how many, at which depth
        self.first: dict[str, tuple[int, int, int, Expr]] = {}
        #: value -> how many uses are not written yet
        self.left: dict[int, int] = {}
        #: value -> the steps that use it; the outputs count as the step after the last
        self.users: dict[int, set[int]] = {}
        self.places = [*_places(body)]
        inside = {id(s) for row in body.steps if isinstance(row, Choice) for s in row.yes + row.no}
        self.within = {
            place
            for place, row in enumerate(self.places)
            if id(row) in inside or (isinstance(row, tuple) and row is not body.outputs)
        }
        for place, tree in enumerate(self.places):
            for value in found(tree, Value):
                self.left[value.number] = self.left.get(value.number, 0) + 1
                self.users.setdefault(value.number, set()).add(place)

    def write(self, leave: Callable[[list[str]], list[str]] | None) -> list[str]:
        for row in self.body.steps:
            if isinstance(row, Choice):
                self._choice(row)
            else:
                self._step(row)
        outputs = self.body.outputs
        left = [Value(p.step.results[0]) for p in self.pending]
        only = len(left) == 1 and left == [*outputs]  # one call is left, and it is the output
        if leave is None and only and self._typed(self.pending[0].expr):
            return [*self.lines, *lay(self._bound(self.pending[0].expr), self.indent, "return ")]
        self._flush()
        texts = [flat(self._bound(expr)) for expr in outputs]
        if len(texts) == 1 and texts[0] in self.loose & self.first.keys():
            self._annotate(texts[0])
        return [*self.lines, *(leave(texts) if leave else _return(texts, self.indent))]

    def _step(self, step: Step) -> None:
        place, self.place = self.place, self.place + 1
        nested = self._nested(step)
        if nested is None:
            self._flush()
            nested = []
        parts = {p.step.results[0]: p.expr for p in nested}
        expr = rewrite(step.expr, lambda leaf: _inner(leaf, parts))
        depth = 1 + max((p.depth for p in nested), default=0)
        del self.pending[len(self.pending) - len(nested) :]
        self.pending.append(_Pending(place, step, expr, depth))
        alone = len(self.users.get(step.results[0], ())) == 1 and self.left[step.results[0]] == 1
        if len(step.results) > 1 or not alone:
            self._flush()

    def _nested(self, step: Step) -> list[_Pending] | None:
        """The calls to write inside this one; None: none, and all before must be written first."""
        values = [value.number for value in found(step.expr, Value)]
        waiting = {p.step.results[0] for p in self.pending}
        wanted = [value for value in values if value in waiting]
        if not wanted:
            return []
        top = self.pending[-len(wanted) :]
        if [p.step.results[0] for p in top] != wanted:
            return None
        if any(p.step.training_only != step.training_only for p in top):
            return None
        if not step.join:
            inner = top[-1]
            if step.scope or len(wanted) > 1 or inner.step.nonlinear or inner.depth >= DEEPEST:
                return None
        parts = {p.step.results[0]: p.expr for p in top}
        expr = rewrite(step.expr, lambda leaf: _inner(leaf, parts))
        text = flat(rewrite(expr, lambda leaf: _named(leaf, self.variables)))
        around = len(STEP * self.indent + "return ") + len(GUARD if step.training_only else "")
        return top if around + len(text) <= WIDTH else None

    def _flush(self) -> None:
        """Writes all that is pending, in order."""
        waiting, self.pending = self.pending, []
        for item in waiting:
            self._statement(item)

    def _statement(self, item: _Pending) -> None:
        expr, step = self._bound(item.expr, keep=True), item.step
        read = [value.number for value in found(item.expr, Value)]
        for number in read:
            self.left[number] -= 1
        if not any(self.left.get(result) for result in step.results):
            self.lines += lay(expr, self.indent)
            return
        names: list[str] = []
        for result in step.results:
            names.append(self._name(result, item, read, names))
        loose = len(names) > 1 or not self._typed(item.expr)
        for result, name in zip(step.results, names, strict=True):
            self.variables[result] = name
            if name not in self.known:
                self.known.add(name)
                self.untyped |= {name} if loose else set()
            if name not in self.parameters:
                self._now(name, loose=loose or name in self.untyped)
        target = ", ".join(names)
        if not step.training_only:
            written = lay(expr, self.indent, f"{target} = ")
            self.first.setdefault(target, (len(self.lines), len(written), self.indent, expr))
            self.lines += written
            return
        line = lay(expr, self.indent, f"{target} = ", GUARD)
        if len(line) == 1 and len(step.results) == 1:
            self.lines += line
        else:
            absent = ", ".join(["None"] * len(names))
            self.lines.append(f"{STEP * self.indent}{target} = {absent}")
            self.lines.append(f"{STEP * self.indent}if self.training:")
            self.lines += lay(expr, self.indent + 1, f"{target} = ")

    def _now(self, name: str, *, loose: bool) -> None:
        """What a type checker knows of a variable without an annotation: of its last value. Behind
        a choice that is what either side left."""
        if loose:
            self.loose.add(name)
        elif self.indent == self.outer:
            self.loose.discard(name)

    def _annotate(self, name: str) -> None:
        """Says that a variable is a tensor, where it gets its first value."""
        place, count, indent, expr = self.first[name]
        self.lines[place : place + count] = lay(expr, indent, f"{name}: Tensor = ")

    def _typed(self, expr: Expr) -> bool:
        """Whether a type checker knows it for a tensor: what a module returns is anything to it,
        and so is a variable that got such a value first."""
        match expr:
            case Infix():
                return all(map(self._typed, expr.operands))
            case Apply(target=Code(text=text)):
                return not text.startswith(("self[", PART)) and text not in UNTYPED
            case Apply(target=Attr(owner=owner)):
                return self._typed(owner)
            case Apply():
                return False
            case Member():
                return is_attribute(expr.name)
            case Value():
                return self.variables[expr.number] not in self.loose
        return True

    def _bound(self, expr: Expr, keep: bool = False) -> Expr:
        result: Expr = rewrite(expr, lambda leaf: _named(leaf, self.variables))
        if not keep:
            for value in found(expr, Value):
                self.left[value.number] -= 1
        return result

    def _name(self, value: int, item: _Pending, read: list[int], others: list[str]) -> str:
        if not self.left.get(value):
            return "_"
        live = {name for number, name in self.variables.items() if self.left.get(number)}
        live.update(others)
        if self.leaving.get(value, "_") not in {"_", *live}:
            return self.leaving[value]
        if value in self.given:
            return unique(self.given[value], live | self.taken)
        if (label := item.step.label) and self._kept(value, item.place):
            # branch_1, branch_2, ...: what leaves the last is `branch`
            name, stem = variable(label), re.sub(r"_\d+$", "", variable(label))
            return unique(name if stem in live else stem, live | self.taken)
        for name in ("x", "y", "z", *(self.variables[number] for number in read)):
            if name not in live:
                return name
        return unique("y", live | self.taken)

    def _kept(self, value: int, place: int) -> bool:
        """Whether it is more than a stop on the way: used twice, later, or as one of several."""
        users, after = self.users[value], place + 1
        if place not in self.within:  # what only some take does not count
            users = users - self.within
            while after in self.within:
                after += 1
        if len(users) > 1 or min(users, default=after) > after:
            return True
        following = self.places[place + 1]
        inside = place + 1 in self.within and place not in self.within
        return isinstance(following, Step) and following.join and not inside

    # ---- steps that not all instances take -------------------------------------------------------

    def _choice(self, choice: Choice) -> None:
        """What leaves it has the same name on both sides."""
        self._flush()
        sides = [v.number for v in found((choice.taken, choice.otherwise), Value)]
        outer = [number for number in sides if number in self.variables]
        for number in outer:
            self.left[number] -= 1
        names = self._names(choice, {self.variables[number] for number in outer})
        if not choice.no:
            self._moves(choice.otherwise, names)
        self.lines.append(f"{STEP * self.indent}if {flat(choice.flag)}:")
        self._side(choice.yes, choice.taken, names)
        if choice.no:
            self.lines.append(f"{STEP * self.indent}else:")
            self._side(choice.no, choice.otherwise, names)
        self.place += 1
        self.variables.update(zip(choice.results, names, strict=True))

    def _names(self, choice: Choice, sides: set[str]) -> list[str]:
        """What leaves the choice is called as what one side passes on, where nobody needs that
        later; `sides`: what comes in and is passed on."""
        inside = [value.number for value in found((choice.yes, choice.no), Value)]
        live = {name for number, name in self.variables.items() if self.left.get(number)} | sides
        names: list[str] = []
        for taken, otherwise in zip(choice.taken, choice.otherwise, strict=True):
            passed = [otherwise, taken] if choice.no else [otherwise]
            same = [
                self.variables[value.number]
                for value in passed
                if isinstance(value, Value) and value.number in self.variables
                if self.left[value.number] == inside.count(value.number)
            ]
            free = [name for name in ("x", "y", "z") if name not in live]
            options = [name for name in (*same, *free) if name not in names]
            names.append(options[0] if options else unique("y", {*live, *names} | self.taken))
        return names

    def _side(self, steps: tuple[Step, ...], ends: tuple[Expr, ...], names: list[str]) -> None:
        outer = [v.number for v in found(ends, Value) if v.number in self.variables]
        for number in outer:
            self.left[number] += 1
        pairs = [*zip(ends, names, strict=True)]
        inner = {v.number: name for v, name in pairs if isinstance(v, Value)}
        self.leaving = {n: name for n, name in inner.items() if n not in self.variables}
        self.indent += 1
        for step in steps:
            self._step(step)
        self._flush()
        self._moves(ends, names)
        self.indent -= 1
        self.leaving = {}
        for number in inner:
            self.left[number] -= 1

    def _moves(self, ends: tuple[Expr, ...], names: list[str]) -> None:
        """`y = x`, where what is passed on has another name; all at once."""
        texts = [flat(self._bound(end, keep=True)) for end in ends]
        moves = [(name, text) for name, text in zip(names, texts, strict=True) if name != text]
        if moves:
            self.known.update(name for name, _ in moves)
            left, right = (", ".join(part) for part in zip(*moves, strict=True))
            self.lines.append(f"{STEP * self.indent}{left} = {right}")


def _return(texts: list[str], indent: int) -> list[str]:
    line = f"{STEP * indent}return {', '.join(texts)}"
    if len(line) <= WIDTH:
        return [line]
    return lay(Many(tuple(map(Code, texts)), "()"), indent, "return ")


def _inner(leaf: Expr, parts: dict[int, Expr]) -> Expr:
    return parts.get(leaf.number, leaf) if isinstance(leaf, Value) else leaf


def _named(leaf: Expr, variables: dict[int, str]) -> Expr:
    return Code(variables[leaf.number]) if isinstance(leaf, Value) else leaf
