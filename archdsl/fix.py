"""A spec mended: the safe fixes of its diagnostics put into its text, again and again.

In: a spec. Out: the spec of the mended text, or that text in its file, which keeps its line ends.
One fix may make room for another (`Conv2d 16 3 padding=1` needs two), hence the rounds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from archdsl.diagnostics.fixes import apply
from archdsl.diagnostics.model import Diagnostic
from archdsl.diagnostics.source import Source
from archdsl.files import write_atomic
from archdsl.pipeline import Spec

_ROUNDS = 20
_BOM = b"\xef\xbb\xbf"


def fixed(spec: Spec, wanted: Callable[[Diagnostic], bool]) -> tuple[Spec, list[Diagnostic]]:
    """The spec with what is wanted mended in its own text, not in the files that it uses; and what
    was, at its place in the text of its round."""
    mended: list[Diagnostic] = []
    for _ in range(_ROUNDS):
        checked = spec.every
        found = filter(wanted, checked.diagnostics)
        text, now = apply(spec.source.text, found, checked.source)
        if text == spec.source.text:
            break
        mended += now
        spec = replace(spec, source=Source(spec.source.name, text))
    return spec, mended


def save(source: Source) -> None:
    """Write a source's text over its file, whole or not at all. Raises OSError."""
    path = Path(source.name).resolve()
    old, new = path.read_bytes(), source.text.encode()
    if b"\r\n" in old:
        new = new.replace(b"\n", b"\r\n")
    write_atomic(path, (_BOM if old.startswith(_BOM) else b"") + new)
