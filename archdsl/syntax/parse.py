"""Text to tree.

In: a `Source`. Out: its `File`, or None, and the syntax errors. Brackets are matched first; after
an error the statement that holds it is left out and parsing starts over, so that one run names
every error. Length and nesting are bounded before the parser runs, so that nothing after it can
take long or exhaust Python's stack.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from lark import Token
from lark.exceptions import UnexpectedCharacters, UnexpectedToken
from lark.lexer import LexerThread

from archdsl.diagnostics.catalogue import NotAnExpression, TooDeep, TooLong
from archdsl.diagnostics.model import Diagnostic
from archdsl.diagnostics.source import Source, Span
from archdsl.syntax import tree as t
from archdsl.syntax.build import Builder
from archdsl.syntax.grammar import grammar
from archdsl.syntax.language import MAX_TOKENS
from archdsl.syntax.lexer import CLOSING, OPENING, Refine
from archdsl.syntax.mistakes import bad_character, bad_token, is_python, unbalanced

MAX_DEPTH = 40
MAX_OPERATORS = 60  # in one statement: expressions nest to the left as deep as they are long
MAX_ERRORS = 20
MAX_CHARACTERS = 1_000_000
MAX_REPARSED = 2 * MAX_TOKENS  # tokens, after errors

_OPERATORS = frozenset(
    [
        "PLUS",
        "MINUS",
        "STAR",
        "SLASH",
        "DIVIDE",
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
_DEFINITIONS = ("MODEL", "BLOCK", "USE")


def parse(
    source: Source, *, start: str = "file", max_tokens: int = MAX_TOKENS, cut: bool = False
) -> tuple[t.File | None, list[Diagnostic]]:
    """The tree of a whole file; with errors, of what is left without the statements at fault.
    `cut`: a text that is too long has the tree of its beginning."""
    errors: list[Diagnostic] = []
    size = len(source.text)
    if size > max(MAX_CHARACTERS, 50 * max_tokens) and not cut:
        return None, [TooLong(Span(source, 0, 0), f"{size:,} characters", max_tokens)]
    tokens = _tokens(source, errors, max_tokens)
    long = _too_long(source, tokens, max_tokens)
    problem = _too_deep(source, tokens) if cut else long or _too_deep(source, tokens)
    if problem or len(errors) >= MAX_ERRORS:
        return None, [*errors, problem] if problem else errors
    doubtful = None if long else _doubtful(tokens)
    unreadable = {source.position(error.span.start)[0] for error in errors}
    if long is not None:
        tokens, _ = unbalanced(source, _beginning(tokens))
        errors.append(long)
    else:
        tokens, found = unbalanced(source, tokens)
        errors += found
    work = MAX_REPARSED
    while True:
        try:
            parsed = grammar().parser.parser.parse(_Stream(tokens), start)
        except UnexpectedToken as unexpected:
            at = _index_of(tokens, unexpected.token)
            error = bad_token(source, tokens, at, unexpected.accepts or unexpected.expected)
            if source.position(error.span.start)[0] not in unreadable:
                errors.append(error)
            first, last = _part_at_fault(tokens, at)
            work -= at
            if last <= first or len(errors) >= MAX_ERRORS or work < 0 or is_python(tokens, at):
                return None, errors
            del tokens[first:last]
        else:
            builder = Builder(source, parse_expression)
            tree = cast(t.File, builder.build(parsed))
            errors += builder.problems
            hollow(tree, [error.span.start for error in errors], doubtful)
            return tree, errors


def parse_expression(
    source: Source, start: int, end: int
) -> tuple[t.Expr | None, list[Diagnostic]]:
    """The expression at [start, end) of the source, with spans in the whole of it."""
    errors: list[Diagnostic] = []
    tokens = _tokens(source, errors, MAX_TOKENS, start, end)
    problem = _too_long(source, tokens, MAX_TOKENS) or _too_deep(source, tokens)
    if problem or errors:
        return None, [*errors, problem] if problem else errors
    try:
        parsed = grammar().parser.parser.parse(_Stream(tokens), "expr")
    except UnexpectedToken:
        span = Span(source, start, end)
        return None, [NotAnExpression(span, span.text)]
    builder = Builder(source, parse_expression)
    expr = cast(t.Expr, builder.build(parsed))
    return (None, builder.problems) if builder.problems else (expr, [])


class _Stream:
    """A list of tokens as Lark's parser takes its input."""

    state = None
    _Token = Token  # what Lark's InteractiveParser.accepts() makes its trial tokens of

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens

    def lex(self, _state: object) -> Iterator[Token]:
        return iter(self.tokens)


# ---- tokens ----------------------------------------------------------------------------------


def _tokens(
    source: Source, errors: list[Diagnostic], limit: int, start: int = 0, end: int | None = None
) -> list[Token]:
    """The refined tokens of [start, end), a few more than `limit` at most."""
    found: list[Token] = []
    for token in Refine().process(_raw_tokens(source, source.text[start:end], start, errors)):
        found.append(token)
        if len(found) > limit:
            break
    return found


def _raw_tokens(
    source: Source, text: str, offset: int, errors: list[Diagnostic]
) -> Iterator[Token]:
    """The tokens of a text that stands at an offset; characters that begin none are reported and
    left out."""
    lexer, reported = grammar().parser.lexer.lexer, 0
    state = LexerThread.from_text(lexer, text).state
    assert state is not None
    while len(errors) < MAX_ERRORS:
        try:
            token = lexer.next_token(state, None)
        except EOFError:
            return
        except UnexpectedCharacters:
            at = state.line_ctr.char_pos
            end = at + 1
            if text[at].isalnum():
                while end < len(text) and (text[end].isalnum() or text[end] == "_"):
                    end += 1
            if state.line_ctr.line > reported:  # one a line: the others mostly follow from it
                errors.append(bad_character(Span(source, offset + at, offset + end)))
                reported = state.line_ctr.line
            state.line_ctr.feed(text[at:end], False)
        else:
            token.start_pos += offset
            token.end_pos += offset
            yield token


def _too_long(source: Source, tokens: list[Token], limit: int) -> Diagnostic | None:
    if len(tokens) <= limit:
        return None
    return TooLong(_span(source, tokens[limit]), f"more than {limit:,} words", limit)


def _too_deep(source: Source, tokens: list[Token]) -> Diagnostic | None:
    """Brackets in brackets, or operators in a statement: a `{ }` inside it counts on."""
    outer: list[int] = []
    operators = 0
    for token in tokens:
        operators += token.type in _OPERATORS
        if token.type in OPENING:
            outer.append(operators)
        elif token.type in CLOSING and outer:
            operators = outer.pop()
        elif token.type == "_SEPARATOR":
            operators = 0
        if len(outer) > MAX_DEPTH or operators > MAX_OPERATORS:
            limit = MAX_DEPTH if len(outer) > MAX_DEPTH else MAX_OPERATORS
            return TooDeep(_span(source, token), limit)
    return None


def _span(source: Source, token: Token) -> Span:
    return Span(source, token.start_pos or 0, token.end_pos or 0)


# ---- recovery --------------------------------------------------------------------------------


def _beginning(tokens: list[Token]) -> list[Token]:
    """Tokens without the last, which may be half a statement."""
    separators = [index for index, token in enumerate(tokens) if token.type == "_SEPARATOR"]
    return tokens[: separators[-1]] if separators else []


def _doubtful(tokens: list[Token]) -> int | None:
    """Where a definition begins whose braces do not fit: what stands in what is unknown from there
    on."""
    depth = begin = 0
    for token in tokens:
        if token.type in ("MODEL", "BLOCK"):
            if depth > 0:
                return begin
            begin = token.start_pos or 0
        depth += (token.type == "LBRACE") - (token.type == "RBRACE")
        if depth < 0:
            return begin
    return begin if depth > 0 else None


def hollow(tree: t.File, places: list[int], doubtful: int | None) -> None:
    """Note in a new tree where it lacks something: a `Hole` at each place of an error, and at the
    head of each definition that is in doubt."""
    bodies = [part for part in t.parts(tree) if isinstance(part, t.Body)] if places else []
    for place in places:
        around = [body for body in bodies if body.span.start < place < body.span.end]
        if around:
            _hole(min(around, key=lambda body: body.span.end - body.span.start), place)
    for definition in tree.definitions if places else ():
        start, end = definition.span.start, definition.span.end
        body = getattr(definition, "body", None)
        if isinstance(body, t.Body) and (
            (doubtful is not None and end > doubtful)
            or any(start <= place <= body.span.start for place in places)
        ):
            body.statements = (t.Hole(definition.span, None), *body.statements)


def _hole(body: t.Body, place: int) -> None:
    before = [s for s in body.statements if s.span.end <= place]
    after = [s for s in body.statements if s.span.start > place]
    at = [s for s in body.statements if s not in before and s not in after]
    rest = at[0] if at else None
    span = rest.span if rest else Span(body.span.source, place, place)
    if not isinstance(rest, t.Hole):
        body.statements = (*before, t.Hole(span, rest), *after)


def _index_of(tokens: list[Token], token: Token) -> int:
    for index, candidate in enumerate(tokens):
        if candidate is token:
            return index
    return len(tokens)


def _part_at_fault(tokens: list[Token], at: int) -> tuple[int, int]:
    """The range of tokens to leave out: the statement that holds token `at`, with a separator; or,
    outside of all braces, everything up to the next definition."""
    at = min(at, len(tokens) - 1)
    depth, first = 0, at
    while first > 0:
        kind = tokens[first - 1].type
        if depth <= 0 and kind in ("_SEPARATOR", "LBRACE"):
            break
        depth += (kind in CLOSING) - (kind in OPENING)
        first -= 1
    outside = _depth(tokens[:first]) == 0
    if tokens[first].type in _DEFINITIONS:  # without a brace, what follows has lost its head
        alias = "EQUAL" in (token.type for token in tokens[first + 1 : first + 3])
        outside = tokens[first].type != "USE" and not alias and not _has_body(tokens, first)
    depth, last = max(_depth(tokens[first:at]), 0), at
    while last < len(tokens):
        kind = tokens[last].type
        follows = tokens[last + 1].type if last + 1 < len(tokens) else "MODEL"
        if depth <= 0 and kind == "RBRACE":
            if first > 0 and tokens[first - 1].type == "_SEPARATOR":
                first -= 1
            break
        if depth <= 0 and kind == "_SEPARATOR" and (not outside or follows in _DEFINITIONS):
            last += 1
            break
        depth += (kind in OPENING) - (kind in CLOSING)
        last += 1
    if last == len(tokens) and first > 0 and tokens[first - 1].type == "_SEPARATOR":
        first -= 1
    return first, last


def _depth(tokens: list[Token]) -> int:
    """How many brackets are open at the end."""
    return sum((token.type in OPENING) - (token.type in CLOSING) for token in tokens)


def _has_body(tokens: list[Token], at: int) -> bool:
    """Whether a brace opens in the statement that begins here."""
    kinds = (token.type for token in tokens[at:])
    return next((kind for kind in kinds if kind in ("LBRACE", "_SEPARATOR")), "") == "LBRACE"
