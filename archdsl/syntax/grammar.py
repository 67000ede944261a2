"""The grammar, ready to parse with.

Lark takes 60 ms to build LALR tables; `grammar.json` holds them, made from `grammar.lark` by
`python -m archdsl.syntax.grammar`. They are used where they are of this grammar and this version of
Lark; otherwise Lark builds them anew, which only costs time.
"""

from __future__ import annotations

import json
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import lark
from lark.grammar import Rule
from lark.lexer import TerminalDef

from archdsl.syntax.lexer import Refine

FOLDER = Path(__file__).parent
INT_KEYS = "#"  # marks a dictionary with whole numbers for keys, which JSON does not have


@cache
def grammar() -> lark.Lark:
    """The parser of .arch files, with the start rules `file` and `expr`."""
    text = (FOLDER / "grammar.lark").read_text(encoding="utf-8")
    try:
        saved = json.loads(
            (FOLDER / "grammar.json").read_text(encoding="utf-8"), object_hook=_decode
        )
    except (OSError, ValueError):
        saved = {}
    if saved.get("made_of") == _made_of(text):
        parser = lark.Lark.__new__(lark.Lark)
        return parser._load(saved["tables"], postlex=Refine())
    return _build(text)


@cache
def keywords() -> frozenset[str]:
    """The words that are the language's own."""
    found = (t.pattern.value for t in grammar().terminals)
    return frozenset(word for word in found if word.isalpha())


def tables(text: str) -> str:
    """The contents of grammar.json for a grammar's text."""
    data, memo = _build(text).memo_serialize([TerminalDef, Rule])
    data["options"]["postlex"] = None
    document = {"made_of": _made_of(text), "tables": {"data": data, "memo": memo}}
    return json.dumps(_encode(document), separators=(",", ":")) + "\n"


def _made_of(text: str) -> list[str]:
    return [lark.__version__, f"{zlib.crc32(text.encode()):08x}"]


def _build(text: str) -> lark.Lark:
    return lark.Lark(
        text,
        parser="lalr",
        lexer="basic",
        start=["file", "expr"],
        postlex=Refine(),
        propagate_positions=True,
        maybe_placeholders=True,
    )


def _encode(value: Any) -> Any:
    if isinstance(value, dict):
        if any(isinstance(key, int) for key in value):
            return {INT_KEYS: [[key, _encode(item)] for key, item in value.items()]}
        return {str(key): _encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_encode(item) for item in value]
    return str(value) if isinstance(value, str) else value


def _decode(value: dict[str, Any]) -> Any:
    return dict(value[INT_KEYS]) if INT_KEYS in value else value


if __name__ == "__main__":
    source = (FOLDER / "grammar.lark").read_text(encoding="utf-8")
    (FOLDER / "grammar.json").write_text(tables(source), encoding="utf-8")
