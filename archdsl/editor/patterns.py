"""The words of the language as regular expressions: what every highlighter is made of.

In order; the first that matches at a place counts. `LABEL` stands only outside brackets, where `:`
belongs to a slice. Written so that Python's `re` and Oniguruma (TextMate, VS Code) read them alike.
`python -m archdsl.editor.patterns FILE` writes the TextMate grammar.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from archdsl.ops import TABLE
from archdsl.syntax.language import CONSTANTS, KEYWORDS, SOFT

_END = "(?![A-Za-z0-9_])"
_NAME = "[A-Za-z_][A-Za-z0-9_]*"
_START = "(?<![A-Za-z0-9_.])"
_NO_NAME = "(?<!tap )(?<!param )(?<!buffer )(?<!shortcut )"
_SIDE = "x(?:[0-9]+|_)"
LABEL = rf"{_START}{_NAME}(?:\{{[^{{}}\n:]*\}}[A-Za-z0-9_]*)*(?=[ \t]*:)"


def _words(words: tuple[str, ...]) -> str:
    return f"{_START}(?:{'|'.join(words)}){_END}"


#: kind -> pattern
PATTERNS: dict[str, str] = {
    "comment": r"#[^\n]*",
    "string": r'"[^"\n]*"',
    "tap": f"@{_NAME}(?:[\\w.]|\\{{[^{{}}\\n]*\\}})*",
    "argument": rf"{_START}{_NAME}(?=[ \t]*=(?!=))",
    # a repetition, the sides of a size on either side of `(n)`, a whole size, a number
    "number": rf"(?<![A-Za-z0-9_])(?:{_NO_NAME}x[0-9]+{_END}|(?<=[)\]])(?:(?:{_SIDE})+{_END}"
    rf"|(?:{_SIDE})*x(?=\())|[0-9]+(?:{_SIDE})*x(?=\()|(?:[0-9]+|(?<=assert )_)(?:{_SIDE})+{_END}"
    rf"|[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?{_END})",
    "keyword": _words((*KEYWORDS, *SOFT)),
    "constant": _words(CONSTANTS),
    "operation": _words(tuple(sorted(TABLE))),
    "name": _NAME,
    "operator": r"->|\*\*|//|[=!<>]=|[-+*/%=<>]",
}

SCOPES = {
    "comment": "comment.line.number-sign",
    "string": "string.quoted.double",
    "tap": "variable.other.tap",
    "argument": "variable.parameter",
    "label": "entity.name.label",
    "number": "constant.numeric",
    "keyword": "keyword.control",
    "constant": "constant.language",
    "operation": "support.function",
    "name": "variable.other",
    "operator": "keyword.operator",
}


def textmate() -> dict[str, Any]:
    """The TextMate grammar."""

    def rule(kind: str, pattern: str) -> dict[str, str]:
        return {"name": f"{SCOPES[kind]}.arch", "match": pattern}

    words = [rule(kind, pattern) for kind, pattern in PATTERNS.items()]
    return {
        "$schema": "https://raw.githubusercontent.com/martinring/tmlanguage/master/tmlanguage.json",
        "name": "arch",
        "scopeName": "source.arch",
        "fileTypes": ["arch"],
        "patterns": [*words[:3], rule("label", LABEL), {"include": "#inner"}],
        "repository": {
            "inner": {"patterns": [*words, {"include": "#brackets"}]},
            "brackets": {
                "patterns": [
                    {"begin": begin, "end": end, "patterns": [{"include": "#inner"}]}
                    for begin, end in ((r"\(", r"\)"), (r"\[", r"\]"))
                ]
            },
        },
    }


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(textmate(), indent=2) + "\n", encoding="utf-8")
