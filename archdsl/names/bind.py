"""Which argument of a call goes where.

In: a call as written, and the signature of what it calls. Out: its arguments by name, and what is
wrong with them; values are looked at elsewhere.
"""

from __future__ import annotations

from collections.abc import Container
from itertools import pairwise
from typing import NamedTuple

from archdsl.diagnostics.catalogue import (
    GivenTwice,
    MissingArgument,
    NameApart,
    NeedsBranches,
    NotAValue,
    TakesNoBody,
    TakesNoTaps,
    TooManyArguments,
    UnknownArgument,
)
from archdsl.diagnostics.model import Diagnostic, Fix
from archdsl.diagnostics.source import Span
from archdsl.names.foreign import NEEDLESS, advice, fixes, similar
from archdsl.names.units import Block, Slot, Target, show_signature, signature
from archdsl.ops import TABLE
from archdsl.ops.table import Op
from archdsl.ops.types import is_int
from archdsl.syntax import tree as t
from archdsl.text import plural


class Bound(NamedTuple):
    """Arguments by name, and what is wrong with them."""

    values: dict[str, t.Argument]
    problems: list[Diagnostic]


def bind_call(
    call: t.Call,
    target: Target,
    args: tuple[t.Argument, ...] | None = None,
    scope: Container[str] = (),
) -> Bound:
    """The arguments of a call (or `args`, where more are fixed) to what it calls, and whether it
    may have branches. `scope`: the names that hold values."""
    args = call.args if args is None else args
    name, where, problems = call.name, call.name_span, list[Diagnostic]()
    flows = {p.name for p in target.values} if isinstance(target, Block) else set()
    join = is_join(target)
    if not join and call.body is not None:
        problems.append(TakesNoBody(call.body.span, name))
    if flows and isinstance(target, Block):
        rest = bind(name, signature(target), tuple(a for a in args if a.name not in flows), where)
        given = _values(call, target, [a for a in args if a.name in flows])
        values = rest.values | given.values
        return Bound(values, [*problems, *rest.problems, *given.problems])
    if not join and call.taps:  # alone: what it stands for would be missing, or be another argument
        return Bound({}, [_no_taps(call, call.taps[0], target)])
    if join and (call.body is None) == (not call.taps) and not _alone(call, target, args, scope):
        return Bound({}, [NeedsBranches(call.span, name, hint=_branches(call))])
    example = "" if isinstance(target, Block) else target.example
    bound = bind(name, signature(target), args, where, example, target)
    return bound._replace(problems=[*problems, *bound.problems])


def _no_taps(call: t.Call, use: t.TapUse, target: Target) -> Diagnostic:
    """A value for what takes none: perhaps its size was meant."""
    if not any(not slot.keyword for slot in signature(target)):
        return TakesNoTaps(use.span, call.name)
    name = use.name.rpartition(".")[0] or use.name
    return TakesNoTaps(use.span, call.name, sized=f"@{name}.c")


def _branches(call: t.Call) -> str:
    """How the branches of a join are written, of what stands there as arguments."""
    given = [a.value for a in call.args if not a.name]
    items = [i for v in given for i in (v.items if isinstance(v, t.List) else (v,))]
    names = [i.name for i in items if isinstance(i, t.Name)]
    names += [i.use.name for i in items if isinstance(i, t.ValueOf)]
    if names and all(name in TABLE for name in names):
        return f"its branches stand in braces: `{call.name} {{ {'; '.join(names)} }}`"
    taps = "".join(f" @{name}" for name in names) or " @tap"
    return f"`{call.name} {{ ... }}` with a branch a line, or `{call.name}{taps}`"


def _alone(
    call: t.Call, target: Target, args: tuple[t.Argument, ...], scope: Container[str]
) -> bool:
    """Whether an argument stands for the other branches of a join: `add 1.0`. The name of no value
    was to be a branch."""
    key = "" if isinstance(target, Block) else target.instead
    by_name = any(a.name == key for a in args)
    first = next((a.value for a in args if a.name is None), None)
    named = isinstance(first, t.Name) and first.name != "in" and first.name not in scope
    number = first is not None and not named and not isinstance(first, t.List)
    return bool(key) and call.body is None and (by_name or number)


def _values(call: t.Call, block: Block, named: list[t.Argument]) -> Bound:
    """The values that a call gives to a block, by name and then by position."""
    bound: dict[str, t.Argument] = {}
    found: list[Diagnostic] = []
    for argument in named:
        if isinstance(argument.value, t.ValueOf):
            bound.setdefault(argument.name or "", argument)
        elif not (isinstance(argument.value, t.Literal) and argument.value.value is None):
            found.append(NotAValue(argument.value.span, argument.name or ""))
            bound.setdefault(argument.name or "", argument)
    free = [p for p in block.values if p.name not in bound]
    for param, use in zip(free, call.taps, strict=False):
        bound[param.name] = t.Argument(use.span, None, None, t.ValueOf(use.span, use))
    shown = " ".join(f"@{p.name}" for p in block.values)
    for use in call.taps[len(free) :]:
        by_name = next((p.name for p in block.values if p not in free), "")
        found.append(TakesNoTaps(use.span, call.name, taken=shown, named=by_name))
        break
    missing = [f"`@{p.name}`" for p in free[len(call.taps) :] if p.default is None]
    if missing:
        example = " ".join([call.name, *(p.name for p in block.params if not p.value), shown])
        hint = f"give it a value that was tapped or labelled: `{example}`"
        names = " and ".join(missing)
        found.append(MissingArgument(call.name_span, call.name, names, "", hint))
    return Bound(bound, found)


def is_join(target: Target) -> bool:
    return not isinstance(target, Block) and target.arity is None


def bind(
    name: str,
    slots: tuple[Slot, ...],
    args: tuple[t.Argument, ...],
    where: Span,
    example: str = "",
    target: Target | None = None,
) -> Bound:
    """Which argument goes where; what fits nowhere is reported and left out."""
    known, label = {s.name for s in slots}, f"the signature is `{show_signature(name, slots)}`"
    pairs = apart(args, slots)
    problems = [_apart(name, *pair) for pair in pairs]
    bound = {word.span.text: value for word, value in reversed(pairs)}
    taken = {id(part) for pair in pairs for part in pair}
    args = tuple(a for a in args if id(a) not in taken)
    extra: list[t.Argument] = []
    for argument in args:
        key = argument.name
        if key is None:
            key = next((s.name for s in slots if not s.keyword and s.name not in bound), None)
        if key is None:
            extra.append(argument)
        elif key not in known:
            problems.append(_unknown(name, argument, key, known, label, example))
        elif key in bound:
            hint = f"leave `{argument.span.text}` out, or what gives `{key}` before it"
            problems.append(GivenTwice(argument.span, key, hint=hint))
        else:
            bound[key] = argument
    if extra:
        free = known - bound.keys()
        problems.append(_extra(name, slots, args, extra[0], free, label, target))
    missing = [f"`{s.name}`" for s in slots if s.required and s.name not in bound]
    if missing and all(a.name is None or a.name in known for a in args):
        names = " and ".join(missing[:3]) + (" and more" if len(missing) > 3 else "")
        hint = f"such as `{example}`" if example else ""
        problems.append(MissingArgument(where, name, names, label, hint))
    return Bound(bound, problems)


def _apart(name: str, word: t.Argument, value: t.Argument) -> Diagnostic:
    between = Span(word.span.source, word.span.end, value.span.start)
    title = f"an argument's name ends with `=`: `{word.span.text}={value.span.text}`"
    fix = Fix(title, ((between, "="),), safe=True)
    return NameApart(word.span.to(value.span), name, hint=title, fixes=(fix,))


def _unknown(
    name: str, argument: t.Argument, key: str, known: set[str], label: str, example: str
) -> Diagnostic:
    where, near = argument.name_span or argument.span, similar(key, known)
    hint = advice(key) or ("" if near or not example else f"such as `{example}`")
    if key == "stride" and argument.name_span is None:
        hint = "`/` stands for a stride; a quotient stands in parentheses: `(1/2)`"
    fix = fixes(key, where, known) if argument.name_span else ()
    if key in NEEDLESS:
        fix = (Fix(hint, ((_with_space(argument.span), ""),), safe=True),)
    return UnknownArgument(where, key, near, hint, owner=name, signature=label, fixes=fix)


def _extra(
    name: str,
    slots: tuple[Slot, ...],
    args: tuple[t.Argument, ...],
    argument: t.Argument,
    free: set[str],
    label: str,
    target: Target | None,
) -> Diagnostic:
    """For the first argument too many."""
    extra = [a for a in args[args.index(argument) :] if a.name is None]
    fix = _as_steps(extra)
    if not fix and all(s.name != "out" for s in slots):
        fix = _by_name(extra, free) or _by_keyword(extra, free, target)
    hint = fix[0].title if fix else _extra_hint(name, slots, args)
    count = plural(sum(not s.keyword for s in slots), "argument").replace("0 ", "no ")
    return TooManyArguments(argument.span, name, count, signature=label, hint=hint, fixes=fix)


def apart(
    args: tuple[t.Argument, ...], slots: tuple[Slot, ...]
) -> list[tuple[t.Argument, t.Argument]]:
    """Names of arguments that stand before their values as words: `stride 2`. Only where there are
    more words than there may be."""
    plain = [a for a in args if a.name is None]
    known = {s.name for s in slots}
    if len(plain) <= sum(not s.keyword for s in slots):
        return []
    pairs = pairwise(args)
    return [
        (a, b)
        for a, b in pairs
        if a.name is b.name is None and isinstance(a.value, t.Name) and a.value.name in known
    ]


def _as_steps(extra: list[t.Argument]) -> tuple[Fix, ...]:
    """Operators among the arguments: `conv 64 3x3 bn relu`."""
    if not all(isinstance(a.value, t.Name) and a.value.name in TABLE for a in extra):
        return ()
    steps = " ".join(f"-> {a.span.text}" for a in extra)
    edits = tuple((_before(a), "-> ") for a in extra)
    return (Fix(f"a step of its own stands behind `->`: `{steps}`", edits, safe=True),)


def _by_name(extra: list[t.Argument], free: set[str]) -> tuple[Fix, ...]:
    """A pooling's arguments as torch has them by position: kernel, stride, padding."""
    signs = [("stride", "/", "a stride"), ("pad", "pad=", "padding")]
    pairs = list(zip(extra, [sign for sign in signs if sign[0] in free], strict=False))
    title = ", ".join(f"{what} is written `{sign}{a.span.text}`" for a, (_, sign, what) in pairs)
    edits = tuple((_before(a), sign) for a, (_, sign, _) in pairs)
    return (Fix(title, edits, safe=True),) if edits else ()


def _by_keyword(extra: list[t.Argument], free: set[str], target: Target | None) -> tuple[Fix, ...]:
    """Numbers for an operator that takes them by name. A whole number is more likely the channels
    where the operator learns something of each."""
    if target is None or isinstance(target, Block):
        return ()
    keywords = [a for a in target.args.values() if a.keyword and a.name in free]
    plain = [(a, a.value.value) for a in extra if isinstance(a.value, t.Literal)]
    pairs = [(a, v, k) for (a, v), k in zip(plain, keywords, strict=False) if k.type.accepts(v)]
    channels = all(is_int(v) for _, v in plain) and target.weights is not Op.weights
    if channels or len(pairs) < len(extra):
        return ()
    title = f"write `{' '.join(f'{k.name}={a.span.text}' for a, _, k in pairs)}`"
    edits = tuple((_before(a), f"{k.name}=") for a, _, k in pairs)
    return (Fix(title, edits, safe=False),)


def _before(argument: t.Argument) -> Span:
    return Span(argument.span.source, argument.span.start, argument.span.start)


def _with_space(span: Span) -> Span:
    """A word with the space before it."""
    text = span.source.text[: span.start]
    return Span(span.source, len(text.rstrip(" \t")), span.end)


def _extra_hint(name: str, slots: tuple[Slot, ...], args: tuple[t.Argument, ...]) -> str:
    """What people write in the place of an argument too many."""
    names = {s.name for s in slots}
    plain = [a.span.text for a in args if a.name is None]
    if all(s.keyword for s in slots):
        return "leave it out: what comes in is never written; other arguments are `name=value`"
    hints = []
    given = next((word for word in plain if word in names), "")
    if given:
        return f"an argument's name ends with `=` and its value: `{given}=...`"
    if "x" in plain:
        return "a size is one word: `3x3`; `x3` behind a step repeats it"
    if "out" in names:
        hints = [f"what comes in is never written: `{' '.join([name, *plain[1:]])}`"]
    hints += ["a stride is `/2`"] if "stride" in names else []
    hints += ["padding is `pad=1`"] if "pad" in names else []
    return "; ".join(hints) or "leave it out, or give it by name: `name=value`"
