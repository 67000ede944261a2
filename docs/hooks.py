"""For MkDocs: Pygments knows the language, installed or not."""

from __future__ import annotations

from typing import Any

from pygments.lexers import _mapping


def on_config(config: Any) -> Any:
    found = ("archdsl.editor.pygments", "arch", ("arch",), ("*.arch",), ())
    _mapping.LEXERS["ArchLexer"] = found
    return config
