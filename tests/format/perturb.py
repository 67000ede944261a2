"""Texts that say the same as another, with other whitespace and comments."""

from __future__ import annotations

from hypothesis import strategies as st

from archdsl.syntax.grammar import grammar
from archdsl.syntax.lexer import CLOSING, CONTINUES, OPENING

COMMENTS = st.sampled_from(["#", "# why", "#no space", '# "{', "#: 16x16x16", "# é 😀"])
SPACE = st.sampled_from([" ", "  ", "\t", " \t "])
NOTHING = st.sampled_from(["", "", " ", "  "])


@st.composite
def lines(draw: st.DrawFn) -> str:
    """At least one line break, with comments and empty lines."""
    text = draw(NOTHING)
    for _ in range(draw(st.integers(1, 3))):
        if draw(st.integers(0, 3)) == 0:
            text += draw(COMMENTS)
        text += "\n" + draw(NOTHING)
    return text


@st.composite
def perturbed(draw: st.DrawFn, text: str) -> str:
    """Another text with the same tokens."""
    tokens = list(grammar().lex(text))
    result, brackets, end = draw(st.one_of(NOTHING, lines())), [], 0
    before = ""
    for token in tokens:
        kind = token.type
        if kind == "_SEPARATOR":
            result += draw(st.one_of(st.sampled_from([";", " ; ", "; \n", ";;"]), lines()))
            before, end = kind, -1
            continue
        adjacent = end == token.start_pos and end > 0
        in_brackets = bool(brackets) and brackets[-1] != "LBRACE"
        free = before in ("LBRACE",) or kind == "RBRACE" or kind in CONTINUES or in_brackets
        if before and before != "_SEPARATOR":
            called = kind == "LPAR" and before in ("FUNC", "TIMES_OF")
            touching = adjacent and kind != "RBRACE" and before != "LBRACE"
            if called or touching or kind == "INDEX":
                pass
            elif free and draw(st.integers(0, 4)) == 0:
                result += draw(lines())
            else:
                result += draw(SPACE)
        result += token
        if kind in OPENING:
            brackets.append(kind)
        elif kind in CLOSING:
            brackets.pop()
        before, end = kind, token.end_pos or 0
    return result + draw(st.one_of(NOTHING, lines()))
