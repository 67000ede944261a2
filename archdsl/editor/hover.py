"""What an editor shows over a word: what flows there, and what the word means."""

from __future__ import annotations

from archdsl.diagnostics.source import Source, Span
from archdsl.editor import docs
from archdsl.editor.analysis import Analysis
from archdsl.editor.complete import page


def hover(analysis: Analysis, at: int) -> tuple[Span, str] | None:
    """The word at an offset and its page, in Markdown; None where there is nothing to say."""
    word = analysis.word(at)
    span = word.span if word is not None else _word_at(analysis.source, at)
    if span is None:
        return None
    meaning = docs.symbol_page(analysis, word) if word is not None else page(analysis, span.text)
    text = "\n\n".join(part for part in (docs.flow_page(analysis, span), meaning) if part)
    return (span, text) if text else None


def _word_at(source: Source, at: int) -> Span | None:
    start = end = at
    while start > 0 and (source.text[start - 1].isalnum() or source.text[start - 1] == "_"):
        start -= 1
    while end < len(source.text) and (source.text[end].isalnum() or source.text[end] == "_"):
        end += 1
    return Span(source, start, end) if end > start else None
