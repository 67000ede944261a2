"""Diagnostics for notebooks: what the terminal shows, with its colours, as HTML."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from archdsl.diagnostics.model import Diagnostic
from archdsl.diagnostics.render import render
from archdsl.diagnostics.terminal import SGR

#: of the styles; middle tones that one can read on white and on black
COLOURS = {"error": "#d93a30", "warning": "#b07a00", "help": "#1f8fa6", "gutter": "#5b8fd6",
           "+": "#2c9a5a", "-": "#d93a30"}  # fmt: skip
_STYLES = {code: name for name, code in SGR.items()}
_PIECE = re.compile("\x1b\\[([0-9;]+)m(.*?)\x1b\\[0m", re.DOTALL)


def to_html(diagnostics: Sequence[Diagnostic], width: int = 110) -> str:
    """Of untrusted text too: all of it is escaped."""
    text = html.escape(render(diagnostics, color=True, width=width), quote=False)
    body = _PIECE.sub(_span, text)
    return f'<pre style="line-height: 1.35; margin: 0">{body}</pre>'


def _span(found: re.Match[str]) -> str:
    style = _STYLES.get(found[1], "")
    weight = "" if style in ("+", "-") else "font-weight: 600; "
    colour = f"color: {COLOURS[style]}" if style in COLOURS else ""
    return f'<span style="{weight}{colour}">{found[2]}</span>'
