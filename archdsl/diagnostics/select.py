"""Which diagnostics are shown: `--select` and `--ignore`, and the comments of a text.

In: diagnostics. Out: those that are wanted. A selector is `ALL`, a code, the beginning of codes
(`W`, `E02`) or a slug. Where both options name a diagnostic the longer selector decides, as in
ruff. A comment hides warnings alone: an error says that there is no network.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from archdsl.diagnostics import catalogue, warnings
from archdsl.diagnostics.model import Diagnostic, subclasses
from archdsl.diagnostics.source import Source, Span
from archdsl.diagnostics.suggest import closest
from archdsl.text import did_you_mean

ALL = "ALL"
#: `# archdsl: ignore`, alone or with codes or slugs; what follows them is the reason
_COMMENT = re.compile(r"#\s*archdsl:\s*ignore\b[ \t]*([^#\n]*)")
_WORD = re.compile(r"[EWew]\d+|[a-z]+(?:-[a-z]+)+")


@cache
def codes() -> dict[str, type[Diagnostic]]:
    """The catalogue by code, in order."""
    modules = (catalogue.__name__, warnings.__name__)
    found = [entry for entry in subclasses(Diagnostic) if entry.__module__.startswith(modules)]
    return {entry.code: entry for entry in sorted(found, key=lambda entry: entry.code)}


def selector(word: str) -> str:
    """A selector as the beginning of codes; raises ValueError where it selects nothing."""
    for code, entry in codes().items():
        if word.lower() == entry.slug:
            return code
    start = "" if word.upper() == ALL else word.upper()
    if not any(code.startswith(start) for code in codes()) or not word:
        slugs = [entry.slug for entry in codes().values()]
        near = closest(word.upper(), codes()) or closest(word, slugs)
        advice = did_you_mean(near[:1], "`archdsl explain` lists them")
        raise ValueError(f"no code begins with {word!r}; {advice}")
    return start


class Selection:
    """What the two options choose; all where neither is given."""

    def __init__(self, select: Sequence[str] = (), ignore: Sequence[str] = ()) -> None:
        self.select = [selector(word) for word in select] or [""]
        self.ignore = [selector(word) for word in ignore]

    def __call__(self, diagnostic: Diagnostic) -> bool:
        """Whether it is shown."""
        wanted, unwanted = (
            max((len(start) for start in starts if diagnostic.code.startswith(start)), default=-1)
            for starts in (self.select, self.ignore)
        )
        return wanted > unwanted


def without_ignored(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """All but the warnings that a comment on their line hides."""
    return [d for d in diagnostics if d.severity == "error" or not _is_ignored(d)]


def _is_ignored(warning: Diagnostic) -> bool:
    source = warning.span.source
    comment = _COMMENT.search(source.line(source.position(warning.span.start)[0]))
    if comment is None:
        return False
    words = [word.lower() for word, _ in _words(comment)]
    return not comment[1].strip() or bool({warning.code.lower(), warning.slug} & {*words})


def bad_comments(source: Source) -> Iterator[Diagnostic]:
    """What such comments name and cannot hide."""
    slugs = {entry.slug: entry for entry in codes().values()}
    for comment in _COMMENT.finditer(source.text):
        words = list(_words(comment))
        if not words and (rest := comment[1].strip()):
            first = rest.split()[0]
            words = [(first, comment.start(1))]
        for word, at in words:
            entry = codes().get(word.upper()) or slugs.get(word)
            if entry is None or entry.severity == "error":
                reason = "there is no such warning" if entry is None else "errors cannot be ignored"
                span = Span(source, at, at + len(word))
                yield warnings.BadIgnore(span, word, reason)


def _words(comment: re.Match[str]) -> Iterator[tuple[str, int]]:
    """The codes and slugs that a comment begins with, and where they stand."""
    at, end = comment.span(1)
    while word := _WORD.match(comment.string, at, end):
        yield word[0], word.start()
        at = word.end()
        while at < end and comment.string[at] in ", \t":
            at += 1
