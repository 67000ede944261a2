"""What an editor tells of an analysis: each problem at its place, in plain text, with its fixes.

Knows no protocol: the language server and the playground both show what stands here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from archdsl.diagnostics.model import Diagnostic, Fix
from archdsl.diagnostics.source import Span
from archdsl.editor.analysis import Analysis


@dataclass(frozen=True, slots=True)
class Shown:
    """A problem and where this file shows it. `related`: other places, and what they say."""

    problem: Diagnostic
    span: Span
    message: str
    related: tuple[tuple[Span, str], ...]

    @property
    def unused(self) -> bool:
        """Of a name that nothing reads: editors show it pale."""
        return self.problem.slug.startswith("unused")


def shown(analysis: Analysis) -> Iterator[Shown]:
    """The problems of this file in its order; then those of the files it uses, at their `use`."""
    yield from map(shown_here, analysis.diagnostics)
    uses = analysis.unit.file.uses if analysis.unit is not None else ()
    for use in uses:
        name = use.path.rpartition("/")[2]
        wrong = [p for p in analysis.elsewhere if Path(p.span.source.name).name == name]
        if wrong:
            first, *others = wrong
            more = f" (and {len(others)} more)" if others else ""
            message = f"`{use.path}`: {first.message}{more}"
            yield Shown(first, use.path_span, message, ((first.span, first.message),))


def shown_here(problem: Diagnostic) -> Shown:
    lines = [problem.message, problem.primary.text, *problem.notes]
    lines += [f"help: {text}" for text in problem.helps]
    related = tuple((label.span, label.text) for label in problem.related)
    return Shown(problem, problem.span, "\n".join(line for line in lines if line), related)


def fixes(problem: Diagnostic) -> list[Fix]:
    """The checker's fixes; where it has none but knows similar names, those."""
    if problem.fixes:
        return list(problem.fixes)
    names: tuple[str, ...] = getattr(problem, "similar", ())
    mark = problem.span.text[:1] if problem.span.text[:1] == "@" else ""
    return [Fix(f"Change to `{n}`", ((problem.span, mark + n),)) for n in names]
