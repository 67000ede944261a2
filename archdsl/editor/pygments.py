"""Colours for .arch in documentation: Pygments finds the lexer by its entry point."""

from __future__ import annotations

from typing import ClassVar

from pygments import token
from pygments.lexer import RegexLexer

from archdsl.editor.patterns import LABEL, PATTERNS

__all__ = ["ArchLexer"]

KINDS = {
    "comment": token.Comment.Single,
    "string": token.String.Double,
    "tap": token.Name.Variable,
    "argument": token.Name.Attribute,
    "label": token.Name.Label,
    "number": token.Number,
    "keyword": token.Keyword,
    "constant": token.Keyword.Constant,
    "operation": token.Name.Builtin,
    "name": token.Name,
    "operator": token.Operator,
}
_WORDS = [(pattern, KINDS[kind]) for kind, pattern in PATTERNS.items()]
_REST = [(r"[{};:,.]", token.Punctuation), (r"\s+", token.Whitespace)]


class ArchLexer(RegexLexer):
    """Neural-network architectures in archdsl."""

    name = "arch"
    aliases: ClassVar = ["arch", "archdsl"]
    filenames: ClassVar = ["*.arch"]
    mimetypes: ClassVar = ["text/x-arch"]
    tokens: ClassVar = {
        "root": [
            *_WORDS[:3],
            (LABEL, token.Name.Label),
            *_WORDS,
            (r"[(\[]", token.Punctuation, "brackets"),
            (r"[)\]]", token.Punctuation),
            *_REST,
        ],
        "brackets": [
            *_WORDS,
            (r"[(\[]", token.Punctuation, "#push"),
            (r"[)\]]", token.Punctuation, "#pop"),
            *_REST,
        ],
    }
