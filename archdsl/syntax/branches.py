"""What to write instead of a slip around taps, outputs, joins and residuals."""

from __future__ import annotations

import re

from archdsl.syntax.place import WORDS, Edits, Place

_JOINS = frozenset(["concat", "add", "mul", "cat", "concatenate", "sum", "multiply"])
_ENDS = frozenset(["_SEPARATOR", "RBRACE"])
_ARGUMENT = (
    "a value is no argument: `@name` is a step of its own, or a branch of `concat`, `add`"
    " and `mul`; what flows into a block is its only value"
)


def of_values(place: Place, kind: str) -> tuple[str, Edits] | None:
    """What to say, and the edits that do it."""
    said = _tap(place, kind) or _residual(place, kind) or _group(place, kind) or _sign(place, kind)
    return (said, []) if said else _branches(place, kind)


def joins(place: Place) -> bool:
    """Whether the braces around are those of a join."""
    at = place.opening
    return at > 0 and place.tokens[at].type == "LBRACE" and str(place.tokens[at - 1]) in _JOINS


def _tap(place: Place, kind: str) -> str:
    before, token = place.kind(-1), place.token
    if before == "_TAP" and kind == "TAP":
        return f"`tap {token[1:]}` names a value; `{token}` uses it"
    if before == "_TAP" and kind in _ENDS:
        return "a tap has a name: `tap early`"
    if place.kind(-2) == "_TAP" and kind in WORDS:
        return "a tap has one name; a step follows behind `->` or on a line of its own"
    if before == "_TAP" and kind == "LPAR":
        return f"without parentheses: `tap {place.tokens[place.at + 1]}`"
    if kind == "AS" and place.kind(1) in WORDS and place.first != place.at:
        return f"a value is named behind `->`: `... -> tap {place.tokens[place.at + 1]}`"
    if kind == "EQUAL" and (before == "TAP" or place.kind(-2) == "_TAP"):
        name = str(place.tokens[place.at - 1]).lstrip("@")
        return f"the name stands behind the step: `relu -> tap {name}`"
    if before == "OUTPUT" and kind in ("NUMBER", "SIZE"):
        return "an output is a tapped value: `output @scores`; without it the last value is one"
    if before == "OUTPUT" and kind == "NAME":
        return f"an output is a tapped value: `tap {token}` where it flows, then `output @{token}`"
    if before == "OUTPUT" and kind in _ENDS:
        return "`output @a @b` names several outputs; without it the last value is the output"
    return _ARGUMENT if kind == "TAP" and before == "EQUAL" else ""


def _residual(place: Place, kind: str) -> str:
    before = place.kind(-1)
    if kind == "LPAR" and before == "RESIDUAL":
        steps = place.span(place.at, place.partner(place.at)).text[1:-1]
        return f"what is added to its input stands in braces: `residual {{ {steps} }}`"
    if kind in WORDS and before == "RESIDUAL":
        steps = place.text(place.at, place.last)
        return f"what is added to its input stands in braces: `residual {{ {steps} }}`"
    if kind == "SHORTCUT" and place.kind(1) in ("MINUS", "NUMBER"):
        return "name the earlier value, `tap early`, and add it: `add @early`"
    if (
        kind == "SHORTCUT"
        and before == "RBRACE"
        and place.kind(place.opening - place.at - 1)
        in (
            "SHORTCUT",
            "NAME",
        )
    ):
        return "a residual has one shortcut, with all its steps between the braces"
    if kind == "SHORTCUT":
        return "`shortcut` belongs to `residual { ... } shortcut { ... }`"
    if kind == "LBRACE" and before == "IF":
        return "a condition is missing behind `if`: `if stride != 1 { ... }`"
    return ""


def _group(place: Place, kind: str) -> str:
    """Slips around a group in braces, and the words before it."""
    before, line = place.kind(-1), [t.type for t in place.tokens[place.first : place.at]]
    if before == "RBRACE" and kind in ("TIMES", "STAR"):
        return "`repeat 3 { ... }` repeats a group"
    if before == "RBRACE" and kind == "PLUS":
        return "branches are added in a join: `add { { ... }; { ... } }`"
    if kind == "NUMBER" and not line and place.kind(1) == "STAR":
        return "`repeat 3 { ... }` repeats a group, `x3` behind a step that step"
    if kind in WORDS and "IF" in line[:1]:
        return "what belongs to it stands in braces: `if c { ... }`"
    if kind == "IF" and line and line[0] in WORDS:
        return f"the condition comes first: `if c {{ {place.text(place.first, place.at - 1)} }}`"
    name = str(place.tokens[place.first])
    if kind in ("NUMBER", "SIZE") and before in ("LABEL", "COLON") and name != "input":
        return f"a label names a step; a value has a name by `let {name} = {place.token}`"
    return ""


def _sign(place: Place, kind: str) -> str:
    before = place.kind(-1)
    if kind == "DOT" and place.near(1) and before in ("SIZE", "RPAR", "RSQB") and place.near(-1):
        return "`->` leads from step to step"
    if kind in WORDS and before == "RBRACE" and str(place.token) != "elif":
        return "a step behind `}` follows `->`, or stands on a line of its own"
    if kind == "PLUS" and before == "TAP":
        return f"`add {place.tokens[place.at - 1]}` adds it to what flows"
    if kind == "NUMBER" and place.kind(1) == "COLON":
        return f'a label that begins with a digit stands in quotes: `"{place.token}": ...`'
    if before == "MINUS" and str(place.token) in ("inf", "infinity", "nan"):
        return "numbers are finite: `-3e38` is nearly the smallest"
    return ""


def _branches(place: Place, kind: str) -> tuple[str, Edits] | None:
    """Branches of a join in the brackets of a list or of a call."""
    opening = place.at + 1 if kind == "FUNC" else place.opening
    if opening < 1 or place.tokens[opening].type not in ("LSQB", "LPAR"):
        return None
    name, closing = place.tokens[opening - 1], place.partner(opening)
    if str(name) not in _JOINS or closing == opening:
        return None
    inside = place.span(opening, closing).text[1:-1]
    parts = [part.strip() for part in re.split("[,;\n]", inside) if part.strip()]
    shown = "; ".join(parts) if len(inside) < 60 else "...; ..."
    text = f"{name} {{ {shown} }}"
    taps = all(re.fullmatch(r"@\w+", part) for part in parts)
    edits = [(place.span(opening - 1, closing), text)] if taps and shown != "...; ..." else []
    return f"branches stand in braces, a line each: `{text}`", edits
