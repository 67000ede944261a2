"""From our values to those of the language server protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from lsprotocol import types as lsp
from pygls import uris

from archdsl.diagnostics.fixes import edits_of
from archdsl.diagnostics.model import Diagnostic, Fix
from archdsl.diagnostics.source import Source, Span
from archdsl.editor.analysis import Analysis
from archdsl.editor.outline import Colour, Entry, colours
from archdsl.editor.positions import Encoding, offset, position, units

COLOURS: tuple[Colour, ...] = (
    "keyword", "function", "type", "parameter", "variable", "number", "string", "comment",
    "operator", "property", "label", "tap", "enumMember",
)  # fmt: skip
#: the protocol's own names for them, which every colour scheme knows
LEGEND = [
    {"label": "property", "tap": "variable", "property": "parameter"}.get(c, c) for c in COLOURS
]
SYMBOLS = {
    "model": lsp.SymbolKind.Class,
    "block": lsp.SymbolKind.Function,
    "part": lsp.SymbolKind.Field,
}


class Convert:
    """Positions depend on the encoding that client and server have agreed on."""

    def __init__(self, encoding: Encoding, uris: Mapping[str, str] | None = None) -> None:
        """`uris`: how the client names the files that it has open, by our names for them."""
        self.encoding, self.uris = encoding, uris or {}

    def uri(self, source: Source) -> str:
        return self.uris.get(source.name) or uri_of(source)

    def offset(self, source: Source, at: lsp.Position) -> int:
        return offset(source, at.line, at.character, self.encoding)

    def position(self, source: Source, at: int) -> lsp.Position:
        return lsp.Position(*position(source, at, self.encoding))

    def range(self, span: Span) -> lsp.Range:
        source = span.source
        return lsp.Range(self.position(source, span.start), self.position(source, span.end))

    def location(self, span: Span) -> lsp.Location:
        return lsp.Location(self.uri(span.source), self.range(span))

    # -- problems

    def diagnostics(self, analysis: Analysis) -> list[lsp.Diagnostic]:
        found = [self.diagnostic(problem) for problem in analysis.diagnostics]
        uses = analysis.unit.file.uses if analysis.unit is not None else ()
        for use in uses:
            name = use.path.rpartition("/")[2]
            wrong = [p for p in analysis.elsewhere if Path(p.span.source.name).name == name]
            if wrong:
                more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
                first = self.diagnostic(wrong[0])
                first.range = self.range(use.path_span)
                first.message = f"`{use.path}`: {wrong[0].message}{more}"
                first.related_information = [
                    lsp.DiagnosticRelatedInformation(self.location(wrong[0].span), wrong[0].message)
                ]
                found.append(first)
        return found

    def diagnostic(self, problem: Diagnostic) -> lsp.Diagnostic:
        lines = [problem.message, problem.primary.text, *problem.notes]
        lines += [f"help: {text}" for text in problem.helps]
        unused = problem.slug.startswith("unused")
        error = problem.severity == "error"
        return lsp.Diagnostic(
            range=self.range(problem.span),
            message="\n".join(line for line in lines if line),
            severity=lsp.DiagnosticSeverity.Error if error else lsp.DiagnosticSeverity.Warning,
            code=problem.code,
            source="archdsl",
            tags=[lsp.DiagnosticTag.Unnecessary] if unused else None,
            related_information=[
                lsp.DiagnosticRelatedInformation(self.location(label.span), label.text)
                for label in problem.related
            ],
        )

    def actions(self, analysis: Analysis, uri: str, first: int, last: int) -> list[lsp.CodeAction]:
        """The fixes of the problems between two offsets."""
        found = []
        for problem in analysis.diagnostics:
            if problem.span.start > last or problem.span.end < first:
                continue
            for index, fix in enumerate(fixes(problem)):
                edits = edits_of(fix, analysis.source)
                if edits is None:
                    continue
                changes = [
                    lsp.TextEdit(self.range(Span(analysis.source, start, end)), text)
                    for start, end, text in edits
                ]
                action = lsp.CodeAction(
                    fix.title,
                    kind=lsp.CodeActionKind.QuickFix,
                    diagnostics=[self.diagnostic(problem)],
                    is_preferred=index == 0,
                    edit=lsp.WorkspaceEdit(changes={uri: changes}),
                )
                found.append(action)
        return found

    # -- outline and colours

    def symbols(self, entries: Iterable[Entry]) -> list[lsp.DocumentSymbol]:
        return [
            lsp.DocumentSymbol(
                name=entry.name,
                kind=SYMBOLS[entry.kind],
                range=self.range(entry.span),
                selection_range=self.range(entry.name_span),
                detail=entry.detail,
                children=self.symbols(entry.parts),
            )
            for entry in entries
        ]

    def colours(self, analysis: Analysis) -> list[int]:
        """Semantic tokens, each relative to the one before."""
        data: list[int] = []
        line = character = 0
        for start, end, colour, defines in colours(analysis):
            at = self.position(analysis.source, start)
            length = units(analysis.source.text[start:end], self.encoding)
            after = at.character - (character if at.line == line else 0)
            data += [at.line - line, after, length, COLOURS.index(colour), int(defines)]
            line, character = at.line, at.character
        return data


def fixes(problem: Diagnostic) -> list[Fix]:
    """The checker's fixes; where it has none but knows similar names, those."""
    if problem.fixes:
        return list(problem.fixes)
    names: tuple[str, ...] = getattr(problem, "similar", ())
    mark = problem.span.text[:1] if problem.span.text[:1] == "@" else ""
    return [Fix(f"Change to `{n}`", ((problem.span, mark + n),)) for n in names]


def uri_of(source: Source) -> str:
    name = source.name
    return (
        name if "://" in name or name.startswith("untitled:") else uris.from_fs_path(name) or name
    )
