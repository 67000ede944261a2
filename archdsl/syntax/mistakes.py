"""What is wrong with a text that does not parse, and what to write instead.

In: the place where the lexer or the parser gave up. Out: the diagnostic. This is wording alone:
nothing here decides what is accepted, and every piece of advice is a guess from the words around.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from lark import Token

from archdsl.diagnostics.catalogue import (
    ClosesNothing,
    EarlyEnd,
    EarlyLineEnd,
    MissingBrace,
    NoSuchWord,
    NotClosed,
    UnexpectedCharacter,
    UnexpectedWord,
    UnfinishedStatement,
    UnfinishedString,
)
from archdsl.diagnostics.model import Diagnostic, Fix, Label
from archdsl.diagnostics.source import Source, Span
from archdsl.syntax.advice import DEFINITIONS, PYTHON, advice
from archdsl.syntax.grammar import grammar
from archdsl.syntax.lexer import CLOSING, OPENING
from archdsl.syntax.place import Place

_NAMES = {
    "_SEPARATOR": "the end of the line",
    "$END": "the end of the file",
    "NAME": "a name",
    "LABEL": "a label",
    "NUMBER": "a number",
    "STRING": "a string",
    "SIZE": "a size",
    "FUNC": "a function",
    "TAP": "a tap",
    "SIZE_OF": "a size",
    "TIMES": "a repeat count",
}
#: what to write for a character, and that text where it is certain
_CHARACTERS = {
    '"': ('close the string with `"` on its line', ""),
    "'": ('strings stand in double quotes: `"..."`', '"'),
    "“": ('strings stand in plain double quotes: `"..."`', '"'),
    "”": ('strings stand in plain double quotes: `"..."`', '"'),
    "×": ("write the letter x: `3x3`", "x"),
    "→": ("write `->`", "->"),
    "–": ("write a plain `-`", "-"),
    "&": ("write `and`", ""),
    "&&": ("write `and`", "and"),
    "|": ("write `->` between steps, `or` between conditions", ""),
    "||": ("write `or`", "or"),
    "!": ("write `not`, or `!=` for unequal", ""),
    "^": ("write `**` for a power", "**"),
    "@": ("a tap is `@name`, without a space", ""),
    "\u00a0": ("a no-break space; write a plain one", " "),
    "\ufeff": ("a byte order mark; it may only stand first in a file", ""),
    "\r": ("a carriage return without a line feed; save the file with ordinary line ends", ""),
}
_PARTNERS = {"RPAR": ")", "RSQB": "]"}


def bad_character(span: Span) -> Diagnostic:
    """A character, or a run of letters and digits, that begins no token."""
    text, source = span.text, span.source
    if not text.isalnum() and len(text) == 1:
        double = Span(source, span.start, span.start + 2)
        span = double if double.text in _CHARACTERS else span
        hint, instead = _CHARACTERS.get(span.text, ("", ""))
        edits = [(span, instead)] if instead else []
        if instead == '"':  # as every quote of its line
            start = source.line_starts[source.position(span.start)[0] - 1]
            end = span.start + len(re.split("[\n#]", source.text[span.start :], maxsplit=1)[0])
            quotes = re.finditer("['“”]", source.text[start:end])
            edits = [(Span(source, start + q.start(), start + q.end()), '"') for q in quotes]
        fixes = (Fix(hint, tuple(edits), safe=True),) if edits else ()
        if text == '"':
            return UnfinishedString(span, hint=hint, fixes=fixes)
        return UnexpectedCharacter(span, text, hint=hint, fixes=fixes)
    hint, instead = "a name begins with a letter, a size is such as `3x3`", ""
    if re.fullmatch(r"[0-9]+([X×*][0-9]+)+", text):
        instead = re.sub("[^0-9]", "x", text)
        hint = f"write a lower-case x: `{instead}`"
    elif re.fullmatch(r"[0-9]+(_[0-9]+)+", text):
        instead = text.replace("_", "")
        hint = f"write `{instead}`"
    elif re.fullmatch("[0-9]+[xX]", text):
        count, behind = text[:-1], span.source.text[span.end :].lstrip()[:1]
        hint = f"a repetition stands behind its step: `conv 64 3x3 x{count}`"
        hint = f"`repeat {count} {{ ... }}` repeats a group" if behind == "{" else hint
        hint = "every side is a number: `3x224x224`" if behind == "?" else hint
    elif not text.isascii():
        hint = "names are made of the letters a to z, digits and `_`"
    fixes = (Fix(hint, ((span, instead),), safe=True),) if instead else ()
    return NoSuchWord(span, text, hint=hint, fixes=fixes)


def bad_token(source: Source, tokens: list[Token], at: int, expected: Iterable[str]) -> Diagnostic:
    """A token that the grammar has no place for; `at` is past the last one at the file's end."""
    if at >= len(tokens):
        end = len(source.text.rstrip())
        return EarlyEnd(Span(source, end, end))
    token = tokens[at]
    label = _expectation(sorted(expected))
    hint, edits = advice(Place(source, tokens, at))
    fixes = (Fix(hint, tuple(edits), safe=True),) if edits else ()
    if token.type == "_SEPARATOR":
        start = tokens[at - 1].end_pos or 0 if at else 0
        before = Span(source, start, start)
        return EarlyLineEnd(before, expected=label, hint=hint, fixes=fixes)
    where = _span(source, token)
    if token.type == "RBRACE":
        return UnfinishedStatement(where, expected=label, hint=hint, fixes=fixes)
    label = "" if hint == DEFINITIONS else label
    return UnexpectedWord(where, str(token), expected=label, hint=hint, fixes=fixes)


def is_python(tokens: list[Token], at: int) -> bool:
    """Whether this is no spec at all, so that one error is enough."""
    return at < len(tokens) and str(tokens[at]) in PYTHON


# ---- brackets --------------------------------------------------------------------------------


def unbalanced(source: Source, tokens: list[Token]) -> tuple[list[Token], list[Diagnostic]]:
    """The tokens with every bracket closed: what has no partner is reported and left out (with its
    statement, for one that is not closed) or, for braces at the end of the file, added."""
    found: list[Diagnostic] = []
    kept: list[Token] = []
    stack: list[int] = []  # places in `kept` of open brackets
    pairs: list[tuple[Token, Token]] = []
    for token in tokens:
        if token.type == "RBRACE":
            dropped = len(found)
            while stack and kept[stack[-1]].type != "LBRACE":
                _drop_unclosed(source, kept, stack, found)
            if not stack and len(found) > dropped:
                continue  # its `{` may be what stands there as `(`
            if not stack:
                hint = "leave it out; or a `{` is missing before it"
                found.append(ClosesNothing(_span(source, token), "}", hint=hint))
                continue
        elif token.type == "LBRACE":  # none may stand in other brackets
            while stack and kept[stack[-1]].type != "LBRACE":
                _close(source, token, kept, stack, found)
        elif token.type == "_SEPARATOR" and (not kept or kept[-1].type == "_SEPARATOR"):
            continue  # it separated something that is left out
        if token.type in OPENING:
            stack.append(len(kept))
        elif token.type in CLOSING:
            opener = kept[stack[-1]].type if stack else ""
            other = (token.type == "RPAR") != (opener == "LPAR") or opener in ("", "LBRACE")
            if other and token.type != "RBRACE":
                where = _span(source, token)
                found.append(ClosesNothing(where, str(token), hint="leave it out"))
                continue
            pairs.append((kept[stack.pop()], token))
        kept.append(token)
    while stack and kept[stack[-1]].type != "LBRACE":
        _drop_unclosed(source, kept, stack, found)
    if stack:
        found.append(_unclosed_brace(source, [kept[i] for i in stack], pairs))
        end = len(source.text)
        if kept[-1].type == "_SEPARATOR":
            kept.pop()
        kept += [Token("RBRACE", "}", end, end_pos=end) for _ in stack]
    return kept, sorted(found, key=lambda problem: problem.span.start)


def _drop_unclosed(
    source: Source, kept: list[Token], stack: list[int], found: list[Diagnostic]
) -> None:
    """A round or square bracket that is still open: without it, what follows is not to be trusted,
    so its statement goes."""
    at = stack.pop()
    if not stack or kept[stack[-1]].type == "LBRACE":  # the outermost of its statement
        found.append(_unclosed(source, kept[at], kept[max(at - 2, 0) : at]))
        while at > 0 and kept[at - 1].type not in ("_SEPARATOR", "LBRACE", "RBRACE"):
            at -= 1
        if at > 0 and kept[at - 1].type == "_SEPARATOR":
            at -= 1
        del kept[at:]


def _close(
    source: Source, before: Token, kept: list[Token], stack: list[int], found: list[Diagnostic]
) -> None:
    """End a round or square bracket where a `{` shows that it must have ended."""
    token = kept[stack.pop()]
    found.append(_unclosed(source, token))
    kind, at = "RPAR" if token.type == "LPAR" else "RSQB", before.start_pos or 0
    kept.append(Token(kind, _PARTNERS[kind], at, end_pos=at))


def _unclosed(source: Source, token: Token, before: Sequence[Token] = ()) -> Diagnostic:
    close = _PARTNERS["RPAR" if token.type == "LPAR" else "RSQB"]
    hint = f"close it with `{close}`"
    if [t.type for t in before] in (["MODEL", "FUNC"], ["BLOCK", "FUNC"]):
        hint = f"{hint}: `{before[0]} {before[1]}() {{ ... }}`"
    return NotClosed(_span(source, token), str(token), hint=hint)


def _unclosed_brace(
    source: Source, opened: list[Token], pairs: list[tuple[Token, Token]]
) -> Diagnostic:
    """Which brace was forgotten shows in the layout: its partner stands further left than it."""
    end = len(source.text.rstrip())
    error = MissingBrace(Span(source, end, end))
    suspects = [
        a for a, b in pairs if a.type == "LBRACE" and _indent(source, b) < _indent(source, a)
    ]
    token = suspects[0] if suspects else opened[-1]
    said = "this seems not to be closed" if suspects else "this is not closed"
    return error.with_related(Label(_span(source, token), said))


def _indent(source: Source, token: Token) -> int:
    line = source.line(source.position(token.start_pos or 0)[0])
    return len(line) - len(line.lstrip())


def _expectation(expected: list[str]) -> str:
    names = []
    for name in expected:
        shown = _NAMES.get(name)
        if shown is None:
            terminal = next((d for d in grammar().terminals if d.name == name), None)
            if terminal is None or terminal.pattern.type != "str":
                continue
            shown = f"`{terminal.pattern.value}`"
        names.append(shown)
    if not 0 < len(names) <= 5:
        return ""
    return "expected " + (", ".join(names[:-1]) + " or " if len(names) > 1 else "") + names[-1]


def _span(source: Source, token: Token) -> Span:
    return Span(source, token.start_pos or 0, token.end_pos or 0)
