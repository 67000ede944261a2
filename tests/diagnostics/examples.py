"""Diagnostics that exist only here, and spans found by the text they cover."""

from __future__ import annotations

from archdsl.diagnostics.model import Diagnostic, Fix, Label
from archdsl.diagnostics.source import Source, Span


class Wrong(Diagnostic):
    """Something is wrong.

    A longer explanation, for `archdsl explain`.
    """

    code = "T0001"
    slug = "some-thing-wrong"
    title = "{says}"
    label = "{here}"
    note = "{fact}"
    help = "{advice}"

    says: str = "something is wrong"
    here: str = ""
    fact: str = ""
    advice: str = ""


class Odd(Wrong):
    code = "T1001"
    slug = "odd"
    severity = "warning"


def at(source: Source, text: str, occurrence: int = 0) -> Span:
    start = -1
    for _ in range(occurrence + 1):
        start = source.text.index(text, start + 1)
    return Span(source, start, start + len(text))


def label(source: Source, text: str, says: str = "", occurrence: int = 0) -> Label:
    return Label(at(source, text, occurrence), says)


def fix(title: str, *edits: tuple[Span, str], safe: bool = True) -> Fix:
    return Fix(title, edits, safe)
