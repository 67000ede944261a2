"""What may be written at a place.

In: an analysis and an offset into its text. Out: the candidates, which the editor filters by the
word being written, and the signature of the call around the place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

from archdsl.editor.analysis import Analysis
from archdsl.editor.docs import (
    Signature,
    call_signature,
    rule_signature,
    target_page,
)
from archdsl.editor.place import Place, place
from archdsl.names.units import Block, Target, signature
from archdsl.ops import TABLE, Op
from archdsl.ops.init import RULES, Attribute
from archdsl.ops.manual import signature as op_signature
from archdsl.pipeline import shipped
from archdsl.syntax import tree as t
from archdsl.syntax.language import CONSTANTS, FUNCTIONS, SIDES

Kind = Literal["operator", "block", "keyword", "argument", "variable", "word", "function", "tap",
               "label", "rule", "file"]  # fmt: skip

#: what begins a statement or step, as a snippet ($1, $0: where the cursor goes)
STATEMENTS = {
    "input": "input ${1:3x224x224}",
    "let": "let ${1:name} = $0",
    "init": "init ${1:conv} ${0:kaiming_normal}",
    "param": "param ${1:name} ${2:[in, 1, 1]} ${0:zeros}",
    "buffer": "buffer ${1:name} ${2:[in, 1, 1]} ${0:zeros}",
    "part": "part ${1:name}: $0",
    "declare": "declare $0",
    "output": "output @$0",
    "assert": "assert $0",
    "residual": "residual {\n  $0\n}",
    "repeat": "repeat ${1:n} {\n  $0\n}",
    "for": "for ${1:x} in ${2:list} {\n  $0\n}",
    "if": "if ${1:condition} {\n  $0\n}",
    "tap": "tap $0",
    "aux": "aux $0",
}
ITEMS = {
    "model": "model ${1:name}(${2:classes=10}) {\n  input ${3:3x32x32}\n  $0\n}",
    "block": "block ${1:name}(${2:out}) {\n  $0\n}",
    "use": 'use "$0"',
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """`snippet`: what is written, where it is more than `name`. `page`: asked for later."""

    name: str
    kind: Kind
    detail: str = ""
    snippet: str = ""
    rank: int = 1  # lower first


def complete(analysis: Analysis, offset: int) -> tuple[int, list[Candidate]]:
    """Where the word being written begins, and what it may become."""
    here = place(analysis.source.text, offset)
    found: dict[str, Candidate] = {}
    for candidate in _candidates(analysis, here):
        found.setdefault(candidate.name, candidate)
    return here.start, list(found.values())


def page(analysis: Analysis, name: str) -> str:
    """The manual of a candidate."""
    target = _target(analysis, name)
    return (
        target_page(target)
        if target is not None
        else FUNCTIONS[name].doc
        if name in FUNCTIONS
        else ""
    )


def signature_at(analysis: Analysis, offset: int) -> tuple[Signature, int] | None:
    """The call around a place and which of its arguments is being written (-1: none)."""
    here = place(analysis.source.text, offset)
    if here.silent or (here.inside in ("(", "[") and not here.outer):
        return None
    if here.first == "init" and len(here.statement) > 2 and here.statement[2].text in RULES:
        shown = rule_signature(here.statement[2].text)
        positional, _, waiting = here.given()
        names = [name for name, _, _ in shown.parts]
        return shown, names.index(waiting) if waiting in names else max(positional - 2, 0)
    target = _target(analysis, here.call) if here.call else None
    if target is None or (not here.inside and not here.statement):
        return None
    shown = call_signature(target)
    positional, _, waiting = here.given()
    names = [name for name, _, _ in shown.parts]
    keyword = {slot.name for slot in signature(target) if slot.keyword}
    active = names.index(waiting) if waiting in names else positional
    if active >= len(names) or (names[active] in keyword and not waiting):
        active = -1
    return shown, active


def _candidates(analysis: Analysis, here: Place) -> Iterator[Candidate]:
    if here.silent:
        return
    if here.string:
        if here.first == "use":
            yield from (
                Candidate(f"{name}.arch", "file", "shipped spec", rank=2) for name in shipped()
            )
            here_is = analysis.source.name.rpartition("/")[2]
            for path in sorted(analysis.folder.glob("*.arch"))[:200]:
                if path.name != here_is:
                    yield Candidate(path.name, "file", "beside this file")
        return
    if here.prefix.startswith("@") or here.first == "output":
        yield from _taps(here)
        return
    if here.last == "." and [w.text for w in here.statement[-2:-1]] == ["in"]:
        yield Candidate("h", "word", "height of what enters this block")
        yield Candidate("w", "word", "width of what enters this block")
        return
    if here.inside == "":
        yield from _item(analysis, here)
    elif here.inside in ("(", "["):
        yield from _bracket(analysis, here)
    else:
        yield from _statement(analysis, here)


def _taps(here: Place) -> Iterator[Candidate]:
    yield from (Candidate(f"@{tap}", "tap", rank=0) for tap in dict.fromkeys(here.taps))


def _item(analysis: Analysis, here: Place) -> Iterator[Candidate]:
    words = [w.text for w in here.statement]
    if not words:
        for name, snippet in ITEMS.items():
            yield Candidate(name, "keyword", snippet=snippet)
    elif words[0] == "model" and len(words) == 3 and words[2] == "=":
        for name, target in _definitions(analysis):
            if not isinstance(target.tree, t.Block):
                yield Candidate(name, "block", "model")
    elif words[0] == "model" and len(words) > 3 and words[2] == "=":
        yield from _arguments(analysis, here, _target(analysis, words[3]))


def _bracket(analysis: Analysis, here: Place) -> Iterator[Candidate]:
    """Inside parentheses: a value, or an argument of the block or operator before them."""
    target = _target(analysis, here.call) if here.outer and here.inside == "(" else None
    header = here.outer and here.outer[0].text in ("block", "model")
    if target is not None and not header:
        _, names, waiting = here.given()
        if not waiting:
            for name, detail in _slots(target):
                if name not in names:
                    yield Candidate(name, "argument", detail, f"{name}=$0", 0)
        else:
            yield from _words(target, waiting)
    yield from _values(here)
    if header or target is not None:
        yield from _callables(analysis)


def _statement(analysis: Analysis, here: Place) -> Iterator[Candidate]:
    first, last, count = here.first, here.last, len(here.statement)
    if not first:
        for name in here.names:
            yield Candidate(name, "variable", here.names[name], rank=0)
        yield from (Candidate(part, "block", "part", rank=0) for part in here.parts)
        yield from _callables(analysis)
        for name, snippet in STATEMENTS.items():
            yield Candidate(name, "keyword", snippet=snippet, rank=2)
    elif first == "init":
        yield from _init(here)
    elif first in ("param", "buffer") and count >= 3:
        yield from (Candidate(rule, "rule", rule_signature(rule).label) for rule in RULES)
    elif first == "input" and count >= 2:
        yield from _promise(here)
    elif first == "declare":
        yield from (Candidate(label, "label") for label in here.labels)
    elif last == "{":
        word = {"residual": "shortcut", "if": "else"}.get(first)
        if word:
            yield Candidate(word, "keyword", snippet=f"{word} {{ $0 }}", rank=0)
    elif last in ("residual", "shortcut"):
        yield Candidate("if", "keyword", snippet="if ${1:condition}")
    elif first in ("let", "if", "repeat", "for", "residual"):
        yield from _values(here)
        if first == "let":
            yield from _callables(analysis)
    elif first == "aux":
        yield from _taps(here)
        yield from _callables(analysis)
    elif first not in ("tap", "input", "assert") and last != ".":
        target = _target(analysis, first)
        yield from _arguments(analysis, here, target)


def _promise(here: Place) -> Iterator[Candidate]:
    """Behind the shape of an input."""
    if "where" not in (w.text for w in here.statement):
        yield Candidate("where", "keyword", "which sizes may come in", "where $0", 0)
        return
    for name, doc in SIDES.items():
        yield Candidate(name, "word", doc, rank=0)
    for name in ("and", "or", "not"):
        yield Candidate(name, "keyword")
    yield from _values(here)


def _init(here: Place) -> Iterator[Candidate]:
    words = [w.text for w in here.statement]
    if words[-1] == ".":
        yield from (Candidate(name, "word") for name in ("weight", "bias"))
    elif len(words) == 1:
        yield from (Candidate(label, "label", rank=0) for label in here.labels)
        for name, op in TABLE.items():
            if op.weights is not Op.weights:
                yield Candidate(name, "operator", op_signature(op))
    elif not any(word in RULES for word in words):
        yield from (Candidate(rule, "rule", rule_signature(rule).label) for rule in RULES)
    else:
        rule = next(word for word in words if word in RULES)
        _, names, waiting = here.given()
        for arg in RULES[rule]:
            if arg.name == waiting:
                yield from (Candidate(word, "word", rank=0) for word in arg.type.words())
            elif arg.name not in names and not waiting:
                yield Candidate(arg.name, "argument", arg.doc, f"{arg.name}=$0", 0)
        if waiting:
            yield from _values(here)
            yield from (Candidate(name, "word", "of the torch layer") for name in Attribute.NAMES)


def _arguments(analysis: Analysis, here: Place, target: Target | None) -> Iterator[Candidate]:
    """What may follow the name of a call."""
    positional, names, waiting = here.given()
    if here.first == "model":
        positional -= 2
    if waiting:
        if target is not None:
            yield from _words(target, waiting)
        yield from _values(here)
        if isinstance(target, Block) or target is None:
            yield from _callables(analysis)
        return
    if target is not None:
        slots = signature(target) if here.first != "model" else ()
        taken = [slot.name for slot in slots if not slot.keyword][:positional]
        for name, detail in _slots(target):
            if name not in names and name not in taken:
                yield Candidate(name, "argument", detail, f"{name}=$0", 0)
        free = [slot.name for slot in slots if not slot.keyword][positional:]
        if free:
            yield from _words(target, free[0])
    if target is not None and not isinstance(target, Block) and target.arity is None:
        yield from _taps(here)
    yield from _values(here)
    if isinstance(target, Block):
        yield from _callables(analysis)


def _slots(target: Target) -> list[tuple[str, str]]:
    """The arguments of a call, with what to say of each."""
    if isinstance(target, Block):
        return [(name, text) for name, text, _ in call_signature(target).parts]
    return [(arg.name, arg.doc) for arg in target.args.values()]


def _words(target: Target, name: str) -> Iterator[Candidate]:
    """The words that an operator's argument takes."""
    arg = None if isinstance(target, Block) else target.args.get(name)
    if arg is not None:
        words = ("true", "false") if isinstance(arg.default, bool) else arg.type.words()
        yield from (Candidate(word, "word", arg.doc, rank=0) for word in words)


def _values(here: Place) -> Iterator[Candidate]:
    for name, what in here.names.items():
        yield Candidate(name, "variable", what)
    if here.names or here.inside:
        yield Candidate("in", "variable", "channels that enter this block", rank=2)
    for name, function in FUNCTIONS.items():
        yield Candidate(name, "function", function.doc, f"{name}($0)", 2)
    for name in CONSTANTS:
        yield Candidate(name, "keyword", rank=3)


def _callables(analysis: Analysis) -> Iterator[Candidate]:
    for name, block in _definitions(analysis):
        if isinstance(block.tree, t.Block):
            yield Candidate(name, "block", call_signature(block).label)
    yield from _operators()


@cache
def _operators() -> tuple[Candidate, ...]:
    found = []
    for name, op in TABLE.items():
        snippet = f"{name} {{\n  $0\n}}" if op.arity is None else ""
        found.append(Candidate(name, "operator", op_signature(op), snippet))
    return tuple(found)


def _definitions(analysis: Analysis) -> Iterator[tuple[str, Block]]:
    for unit in (analysis.unit, analysis.good.unit):
        if unit is not None:
            prelude = unit.prelude()
            for part in (unit, *unit.uses, *([prelude] if prelude is not None else ())):
                yield from part.definitions.items()


def _target(analysis: Analysis, name: str) -> Target | None:
    for unit in (analysis.unit, analysis.good.unit):
        if unit is not None and (target := unit.target(name)) is not None:
            return target
    return TABLE.get(name)
