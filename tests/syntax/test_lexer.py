"""Tokens and what their neighbours make of them."""

from __future__ import annotations

import pytest

from archdsl.diagnostics.model import Diagnostic
from archdsl.diagnostics.source import Source
from archdsl.syntax.language import MAX_TOKENS
from archdsl.syntax.parse import _tokens


def kinds(text: str) -> str:
    errors: list[Diagnostic] = []
    tokens = _tokens(Source("x", text), errors, MAX_TOKENS)
    assert not errors
    return " ".join(token.type for token in tokens)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("f(x)", "FUNC LPAR NAME RPAR"),
        ("f (x)", "NAME LPAR NAME RPAR"),
        ("relu x(3)", "NAME TIMES_OF LPAR NUMBER RPAR"),
        ("relu x3 x", "NAME TIMES NAME"),
        ("x3y x_3", "NAME NAME"),
        ("a[0] [0]", "NAME INDEX NUMBER RSQB LSQB NUMBER RSQB"),
        ("f(1)[0]", "FUNC LPAR NUMBER RPAR INDEX NUMBER RSQB"),
        ("in[0]", "IN INDEX NUMBER RSQB"),
        ("a: b", "LABEL COLON NAME"),
        ("repeat: b", "LABEL COLON NAME"),
        ("a[b:c]", "NAME INDEX NAME COLON NAME RSQB"),
        ("a{i+1}b: c", "TEMPLATE COLON NAME"),
        ("a{i} : c", "TEMPLATE COLON NAME"),
        ("a {i}", "NAME LBRACE NAME RBRACE"),
        ('"a:b": c', "STRING COLON NAME"),
        ("3x3 3 3.5 1e-5 2E3", "SIZE NUMBER NUMBER NUMBER NUMBER"),
        ("1x7x3", "SIZE"),
        ("@a -> b", "TAP ARROW NAME"),
        ("a // b / c ** d", "NAME INTDIV NAME SLASH NAME POWER NAME"),
        ("a <= b", "NAME COMPARE NAME"),
        ("# only a comment", ""),
        ("", ""),
    ],
)
def test_kinds(text: str, expected: str) -> None:
    assert kinds(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\nb", "NAME _SEPARATOR NAME"),
        ("a;b", "NAME _SEPARATOR NAME"),
        ("a ;\n\n; # x\n ; b", "NAME _SEPARATOR NAME"),
        ("\n\na\n\n", "NAME"),
        ("a\n-> b", "NAME ARROW NAME"),
        ("{\na\n}\n", "LBRACE NAME RBRACE"),
        ("(a\n+ b)", "LPAR NAME PLUS NAME RPAR"),
        ("[a,\n\nb]", "LSQB NAME COMMA NAME RSQB"),
        ("a }\nelse {", "NAME RBRACE ELSE LBRACE"),
        ("}\nshortcut {", "RBRACE SHORTCUT LBRACE"),
        ("a\r\nb", "NAME _SEPARATOR NAME"),
        ("(a {\nb\nc\n} d\ne", "LPAR NAME LBRACE NAME _SEPARATOR NAME RBRACE NAME _SEPARATOR NAME"),
    ],
)
def test_separators(text: str, expected: str) -> None:
    assert kinds(text) == expected


def test_places() -> None:
    errors: list[Diagnostic] = []
    source = Source("x", "ab: conv 3x3 # c\n  $ relu")
    tokens = _tokens(source, errors, MAX_TOKENS)
    shown = [source.text[t.start_pos : t.end_pos] for t in tokens]
    assert shown == ["ab", ":", "conv", "3x3", "\n", "relu"]
    assert [error.span.text for error in errors] == ["$"]


def test_stops_soon_after_the_limit() -> None:
    assert len(_tokens(Source("x", "a " * 1000), [], 10)) == 11
