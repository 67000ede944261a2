"""Text to tree.

In: a `Source`. Out: its `File`, or None, and the syntax errors. After an error the statement that
holds it is left out and parsing starts over, so that one run names every error. All nesting is
bounded before the parser runs, so that nothing after it can exhaust Python's stack.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from lark import Token
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from archdsl.diagnostics.catalogue import SyntaxProblem, TooDeep, TooLong
from archdsl.diagnostics.model import Diagnostic, Label
from archdsl.diagnostics.source import Source, Span
from archdsl.syntax import tree as t
from archdsl.syntax.build import Builder
from archdsl.syntax.grammar import grammar
from archdsl.syntax.lexer import CLOSING, OPENING

MAX_DEPTH = 40
MAX_OPERATORS = 60  # in one statement: expressions nest to the left as deep as they are long
MAX_ERRORS = 20
MAX_CHARACTERS = 1_000_000

_OPERATORS = frozenset(
    [
        "PLUS",
        "MINUS",
        "STAR",
        "SLASH",
        "INTDIV",
        "PERCENT",
        "POWER",
        "COMPARE",
        "OR",
        "AND",
        "NOT",
        "IF",
        "ELSE",
        "AUX",
        "INDEX",
    ]
)
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


def parse(source: Source, *, start: str = "file") -> tuple[t.File | None, list[Diagnostic]]:
    """The tree of a whole file; with errors, of what is left without the statements at fault."""
    errors: list[Diagnostic] = []
    if len(source.text) > MAX_CHARACTERS:
        where = Span(source, 0, 0)
        size = len(source.text)
        return None, [TooLong(where, "the text", size, "characters", MAX_CHARACTERS, "characters")]
    tokens = _tokens(source, errors)
    if deep := _too_deep(source, tokens):
        return None, [*errors, deep]
    while True:
        try:
            parsed = grammar().parser.parser.parse(_Stream(tokens), start)
        except UnexpectedToken as problem:
            errors.append(_syntax_problem(source, tokens, problem))
            at = _index_of(tokens, problem.token)
            first, last = _statement_around(tokens, at)
            if last <= first or len(errors) >= MAX_ERRORS or at >= len(tokens):
                return None, errors
            del tokens[first:last]
        else:
            return cast(t.File, Builder(source, parse_expression).build(parsed)), errors


def parse_expression(
    source: Source, start: int, end: int
) -> tuple[t.Expr | None, list[Diagnostic]]:
    """The expression at [start, end) of the source, with spans in the whole of it."""
    padded = Source(source.name, " " * start + source.text[start:end])
    errors: list[Diagnostic] = []
    tokens = _tokens(padded, errors)
    if errors:
        return None, [
            SyntaxProblem(Span(source, e.span.start, e.span.end), e.message) for e in errors
        ]
    try:
        parsed = grammar().parser.parser.parse(_Stream(tokens), "expr")
    except UnexpectedToken:
        span = Span(source, start, end)
        return None, [SyntaxProblem(span, "this is not an expression", "between the braces")]
    return cast(t.Expr, Builder(source, parse_expression).build(parsed)), []


class _Stream:
    """A list of tokens as Lark's parser takes its input."""

    state = None
    _Token = Token  # what Lark's InteractiveParser.accepts() makes its trial tokens of

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens

    def lex(self, _state: object) -> Iterator[Token]:
        return iter(self.tokens)


def _tokens(source: Source, errors: list[Diagnostic]) -> list[Token]:
    """The refined tokens; characters that begin none are reported and read as spaces."""
    text = source.text
    while True:
        try:
            return list(grammar().lex(text))
        except UnexpectedCharacters as problem:
            at = problem.pos_in_stream or 0
            end = at + 1
            hint = ""
            if text[at] == '"':
                what, hint = "this string does not end on its line", 'close it with `"`'
            elif text[at].isalnum():
                while end < len(text) and (text[end].isalnum() or text[end] == "_"):
                    end += 1
                what = f"`{text[at:end]}` is no number, size or name"
            else:
                what = f"unexpected character `{text[at]}`"
            errors.append(SyntaxProblem(Span(source, at, end), what, hint=hint))
            if len(errors) >= MAX_ERRORS:
                return []
            text = text[:at] + " " * (end - at) + text[end:]


def _too_deep(source: Source, tokens: list[Token]) -> Diagnostic | None:
    depth = operators = 0
    for token in tokens:
        if token.type in OPENING:
            depth += 1
        elif token.type in CLOSING:
            depth -= 1
        elif token.type == "_SEPARATOR":
            operators = 0
        operators += token.type in _OPERATORS
        if depth > MAX_DEPTH or operators > MAX_OPERATORS:
            limit = MAX_DEPTH if depth > MAX_DEPTH else MAX_OPERATORS
            return TooDeep(_span(source, token), limit)
    return None


def _span(source: Source, token: Token) -> Span:
    return Span(source, token.start_pos or 0, token.end_pos or 0)


# ---- errors ----------------------------------------------------------------------------------


def _index_of(tokens: list[Token], token: Token) -> int:
    for index, candidate in enumerate(tokens):
        if candidate is token:
            return index
    return len(tokens)


def _statement_around(tokens: list[Token], at: int) -> tuple[int, int]:
    """The range of tokens of the statement that holds token `at`, with one separator."""
    at = min(at, len(tokens) - 1)
    depth, first = 0, at
    while first > 0:
        kind = tokens[first - 1].type
        if depth == 0 and kind in ("_SEPARATOR", "LBRACE"):
            break
        depth += (kind in CLOSING) - (kind in OPENING)
        first -= 1
    depth, last = 0, at
    while last < len(tokens):
        kind = tokens[last].type
        if depth <= 0 and kind == "_SEPARATOR":
            last += 1
            break
        if depth <= 0 and kind == "RBRACE":
            break
        depth += (kind in OPENING) - (kind in CLOSING)
        last += 1
    return first, last


def _syntax_problem(source: Source, tokens: list[Token], problem: UnexpectedToken) -> Diagnostic:
    token = problem.token
    expected = sorted(problem.accepts or problem.expected)
    if token.type == "$END":
        end = len(source.text.rstrip())
        error = SyntaxProblem(
            Span(source, end, end), "the file ends too early", "here", "close it with `}`"
        )
        opened = _unclosed(tokens)[-1:]
        labels = [Label(_span(source, token), "this is not closed") for token in opened]
        return error.with_related(*labels)
    if token.type == "_SEPARATOR":
        what = "the line ends too early"
        start = token.start_pos or 0
        span = Span(source, start, start)
    else:
        what, span = f"unexpected `{token}`", _span(source, token)
    return SyntaxProblem(span, what, _expectation(expected), _hint(token))


def _unclosed(tokens: list[Token]) -> list[Token]:
    stack: list[Token] = []
    for token in tokens:
        if token.type in OPENING:
            stack.append(token)
        elif token.type in CLOSING and stack:
            stack.pop()
    return stack


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


def _hint(token: Token) -> str:
    hints: dict[str, str] = {
        "PLUS": "put arithmetic in parentheses: `conv (2*mid) 1x1`",
        "STAR": "put arithmetic in parentheses: `conv (2*mid) 1x1`",
        "MINUS": "put arithmetic in parentheses: `conv (mid-1) 1x1`",
        "INTDIV": "put arithmetic in parentheses: `conv (mid//2) 1x1`",
        "COMPARE": "a condition needs `if`",
        "COMMA": "arguments are separated by spaces",
        "RBRACE": "there is one `}` too many, or a statement before it is not finished",
    }
    return hints.get(token.type, "")
