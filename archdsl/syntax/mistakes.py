"""What is wrong with a text that does not parse, and what to write instead.

In: the place where the lexer or the parser gave up. Out: the diagnostic. This is wording alone:
nothing here decides what is accepted, and every piece of advice is a guess from the words around.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from lark import Token

from archdsl.diagnostics.catalogue import SyntaxProblem
from archdsl.diagnostics.model import Diagnostic, Label
from archdsl.diagnostics.source import Source, Span
from archdsl.syntax.grammar import grammar
from archdsl.syntax.lexer import CLOSING, OPENING

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
    "TIMES": "a repeat count",
}
_CHARACTERS = {
    '"': 'close the string with `"` on its line',
    "'": 'strings stand in double quotes: `"..."`',
    "“": 'strings stand in plain double quotes: `"..."`',
    "”": 'strings stand in plain double quotes: `"..."`',
    "×": "write the letter x: `3x3`",
    "→": "write `->`",
    "–": "write a plain `-`",
    "&": "write `and`",
    "|": "write `or`",
    "!": "write `not`, or `!=` for unequal",
    "^": "write `**` for a power",
    "@": "a tap is `@name`, without a space",
    "\u00a0": "a no-break space; write a plain one",
    "\ufeff": "a byte order mark; it may only stand first in a file",
    "\r": "a carriage return without a line feed; save the file with ordinary line ends",
}
_PYTHON = frozenset(["class", "def", "import", "from", "self", "return"])
_ARITHMETIC = frozenset(["PLUS", "MINUS", "STAR", "SLASH", "INTDIV", "PERCENT", "POWER"])
_PARTNERS = {"RPAR": ")", "RSQB": "]"}
_DEFINITIONS = "a file is made of `model name { ... }`, `block name(...) { ... }` and `use`"


def bad_character(span: Span) -> Diagnostic:
    """A character, or a run of letters and digits, that begins no token."""
    text = span.text
    if text == '"':
        return SyntaxProblem(span, "this string does not end on its line", "", _CHARACTERS[text])
    if not text.isalnum() and len(text) == 1:
        return SyntaxProblem(span, f"unexpected character `{text}`", "", _CHARACTERS.get(text, ""))
    hint = "a name begins with a letter, a size is such as `3x3`"
    if re.fullmatch(r"[0-9]+([X×*][0-9]+)+", text):
        hint = f"write a lower-case x: `{re.sub('[^0-9]', 'x', text)}`"
    elif re.fullmatch(r"[0-9]+(_[0-9]+)+", text):
        hint = f"write `{text.replace('_', '')}`"
    elif not text.isascii():
        hint = "names are made of the letters a to z, digits and `_`"
    return SyntaxProblem(span, f"`{text}` is no number, size or name", "", hint)


def bad_token(source: Source, tokens: list[Token], at: int, expected: Iterable[str]) -> Diagnostic:
    """A token that the grammar has no place for; `at` is past the last one at the file's end."""
    if at >= len(tokens):
        end = len(source.text.rstrip())
        return SyntaxProblem(Span(source, end, end), "the file ends too early", "here", "")
    token = tokens[at]
    label = _expectation(sorted(expected))
    hint = _hint(_Place(tokens, at))
    if token.type == "_SEPARATOR":
        start = tokens[at - 1].end_pos or 0 if at else 0
        return SyntaxProblem(Span(source, start, start), "the line ends too early", label, hint)
    what = f"unexpected `{token}`"
    if token.type == "RBRACE":
        what = "the statement before `}` is not finished"
    elif hint == _DEFINITIONS:
        label = ""
    return SyntaxProblem(_span(source, token), what, label, hint)


def is_python(tokens: list[Token], at: int) -> bool:
    """Whether this is no spec at all, so that one error is enough."""
    return at < len(tokens) and str(tokens[at]) in _PYTHON


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
            while stack and kept[stack[-1]].type != "LBRACE":
                _drop_unclosed(source, kept, stack, found)
            if not stack:
                hint = "leave it out; or a `{` is missing before it"
                what = "this `}` closes nothing"
                found.append(SyntaxProblem(_span(source, token), what, "", hint))
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
                what = f"this `{token}` closes nothing"
                found.append(SyntaxProblem(_span(source, token), what, "", "leave it out"))
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
        found.append(_unclosed(source, kept[at]))
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


def _unclosed(source: Source, token: Token) -> Diagnostic:
    close = _PARTNERS["RPAR" if token.type == "LPAR" else "RSQB"]
    what, hint = f"this `{token}` is not closed", f"close it with `{close}`"
    return SyntaxProblem(_span(source, token), what, "", hint)


def _unclosed_brace(
    source: Source, opened: list[Token], pairs: list[tuple[Token, Token]]
) -> Diagnostic:
    """Which brace was forgotten shows in the layout: its partner stands further left than it."""
    end = len(source.text.rstrip())
    error = SyntaxProblem(Span(source, end, end), "a `}` is missing", "", "close it with `}`")
    suspects = [
        a for a, b in pairs if a.type == "LBRACE" and _indent(source, b) < _indent(source, a)
    ]
    token = suspects[0] if suspects else opened[-1]
    said = "this seems not to be closed" if suspects else "this is not closed"
    return error.with_related(Label(_span(source, token), said))


def _indent(source: Source, token: Token) -> int:
    line = source.line(source.position(token.start_pos or 0)[0])
    return len(line) - len(line.lstrip())


# ---- advice ----------------------------------------------------------------------------------


class _Place(NamedTuple):
    """A token and its surroundings."""

    tokens: list[Token]
    at: int

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def kind(self, step: int) -> str:
        """The type of a neighbour."""
        place = self.at + step
        return str(self.tokens[place].type) if 0 <= place < len(self.tokens) else ""

    def statement(self) -> list[str]:
        """The types of the statement's tokens up to this one."""
        first = self.at
        while first > 0 and self.tokens[first - 1].type not in ("_SEPARATOR", "LBRACE", "RBRACE"):
            first -= 1
        return [str(t.type) for t in self.tokens[first : self.at + 1]]

    def is_outside(self) -> bool:
        """Whether it stands outside of all braces."""
        kinds = [t.type for t in self.tokens[: self.at]]
        return kinds.count("LBRACE") == kinds.count("RBRACE")


def _hint(place: _Place) -> str:
    token, kind = place.token, place.token.type
    line = place.statement()
    first = line[0]
    if str(token) in _PYTHON:
        return (
            "this looks like Python; a spec has its own form: `model net() { input 3x32x32 ... }`"
        )
    if kind == "INTDIV" and len(line) == 1:
        return "a comment begins with `#`"
    if place.is_outside() and len(line) == 1:
        return _DEFINITIONS
    if first == "USE":
        return 'a file stands in quotes: `use "resnet50.arch"`'
    if first in ("MODEL", "BLOCK") and place.is_outside():
        return _header_hint(place, first, kind)
    if first == "INPUT":
        return "a shape is one word, channels first: `input 3x224x224`"
    if kind == "EQUAL":
        if "IF" in line:
            return "`==` compares"
        return "`name: step` names a layer, `let name = value` a value, `name=value` an argument"
    return _step_hint(place, kind, line)


def _header_hint(place: _Place, first: str, kind: str) -> str:
    if first == "BLOCK" and kind == "LBRACE":
        return "a block's parameters come first, if only `()`: `block name() { ... }`"
    if kind in ("MINUS", "NUMBER", "SIZE", "DOT", "TIMES"):
        return "a name is made of letters, digits and `_`, and begins with a letter"
    return f"`{first.lower()} name(parameter, parameter=default) {{ ... }}`"


def _step_hint(place: _Place, kind: str, line: list[str]) -> str:
    token = place.token
    previous = place.kind(-1)
    if kind == "FUNC" and (len(line) == 1 or previous in ("LABEL", "COLON", "ARROW")):
        return f"arguments stand behind the name, without parentheses: `{token} ...`"
    if kind == "DOT" and place.kind(1) == "NUMBER":
        return f"write `0.{place.tokens[place.at + 1]}`"
    if kind in _ARITHMETIC:
        return "put arithmetic in parentheses: `(2*mid)`; `x3` behind a step repeats it"
    if kind == "COMMA":
        return "arguments are separated by spaces: `conv 64 3x3`"
    if kind == "COMPARE":
        return "put a comparison in parentheses, or after `if`"
    if kind == "ARROW":
        return "a step is missing before `->`"
    if kind == "_SEPARATOR" and previous == "COLON":
        return "a step follows its label on the same line; `label: { ... }` names several"
    if kind in ("LABEL", "COLON"):
        return "a label stands at the beginning of a step: `label: conv 64 3x3`"
    if kind == "ELSE":
        return "`else` needs an `if c { ... }` before it"
    if kind == "SHORTCUT":
        return "`shortcut` belongs to `residual { ... } shortcut { ... }`"
    return ""


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
