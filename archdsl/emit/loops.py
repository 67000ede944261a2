"""Numbered parts that are alike, as a loop over them: the layers of a dense block.

In: the body of a class. Out: the same, or where all that it does is to call `layer1`, `layer2`, ...
each in the same way on what the one before returned, a body with one `Loop`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from archdsl.emit.code import is_attribute
from archdsl.emit.tree import (
    Body,
    Child,
    Code,
    Expr,
    Infix,
    Lit,
    Loop,
    Make,
    Member,
    Step,
    Value,
    found,
    rewrite,
)

#: what the source calls the number of a part, and the part
NUMBER, PART = "i", "layer"
FEWEST = 3


def looped(content: Body) -> Body:
    """The body with a loop, or as it is. In a loop the steps are those of one turn: from value 0 to
    the only output, with the part as `PART`."""
    children = [member for member in content.members if isinstance(member, Child)]
    makes = [child.expr for child in children if isinstance(child.expr, Make)]
    alone = content.inputs == len(content.outputs) == 1 and not content.inits
    if not alone or not len(content.members) == len(makes) >= FEWEST:
        return content
    numbered = [re.fullmatch(r"(\w*?)(0|[1-9]\d*)", child.name) for child in children]
    names = [(m[1], int(m[2])) for m in numbered if m is not None]
    stem, first = names[0] if names else ("", 0)
    expected = [(stem, number) for number in range(first, first + len(makes))]
    item, turn = _item(makes), _turn(content, [child.name for child in children])
    if names != expected or not is_attribute(f"{stem}0") or item is None or turn is None:
        return content
    loop = Loop(stem, first, item, Lit(len(makes), "repeats"))
    return replace(content, members=(loop,), steps=turn, outputs=(Value(turn[-1].results[0]),))


def _item(makes: list[Make]) -> Expr | None:
    """One class, and arguments that are equal or grow evenly."""
    if any(make.cls is not makes[0].cls for make in makes):
        return None
    args: list[Expr] = []
    for column in zip(*(make.args for make in makes), strict=True):
        lits = [arg for arg in column if isinstance(arg, Lit)]
        if len(lits) != len(column) or len({lit.silent for lit in lits}) > 1:
            return None
        values = [lit.value for lit in lits]
        if len({(repr(lit.value), lit.free) for lit in lits}) == 1:
            args.append(lits[0])
            continue
        if any(lit.free for lit in lits):
            return None
        if not all(type(value) is int for value in values):
            return None
        step = values[1] - values[0]
        if values != [values[0] + step * i for i in range(len(values))] or step < 0:
            return None
        growth = Infix("*", (Lit(step, "growth"), Code(NUMBER)))
        args.append(Infix("+", (lits[0], growth)))
    return Make(makes[0].cls, tuple(args))


def _turn(content: Body, names: list[str]) -> tuple[Step, ...] | None:
    """The steps for the first part, where those for all others are the same."""
    plain = tuple(step for step in content.steps if isinstance(step, Step))
    size, rest = divmod(len(plain), len(names))
    if rest or not size:
        return None
    source, turns = 0, []
    for number, name in enumerate(names):
        steps = plain[number * size : (number + 1) * size]
        turn = _renamed(steps, source, name)
        if turn is None:
            return None
        turns.append(turn)
        source = steps[-1].results[0]
    if content.outputs != (Value(source),):
        return None
    literals = {repr([(lit.value, lit.free) for lit in found(turn, Lit)]) for turn in turns}
    return turns[0] if turns.count(turns[0]) == len(turns) and len(literals) == 1 else None


def _renamed(steps: tuple[Step, ...], source: int, name: str) -> tuple[Step, ...] | None:
    """With values from 0 on, and the part as `PART`; None where they use anything else."""
    values = {source: 0}
    for step in steps:
        for result in step.results:
            values[result] = len(values)
    known = all(value.number in values for value in found(steps, Value))
    own = all(member.name == name for member in found(steps, Member))
    if not known or not own or any(step.training_only for step in steps):
        return None

    def change(leaf: Any) -> Any:
        if isinstance(leaf, Value):
            return Value(values[leaf.number])
        return Code(PART) if isinstance(leaf, Member) else leaf

    return tuple(
        replace(
            step,
            expr=rewrite(step.expr, change),
            results=tuple(values[result] for result in step.results),
            label=None,
        )
        for step in steps
    )
