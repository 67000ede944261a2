"""From our values to those of the language server protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lsprotocol import types as lsp
from pygls import uris

from archdsl.diagnostics.fixes import edits_of
from archdsl.diagnostics.source import Source, Span
from archdsl.editor.analysis import Analysis
from archdsl.editor.outline import Colour, Entry, colours
from archdsl.editor.positions import Encoding, offset, position, units
from archdsl.editor.problems import Shown, fixes, shown, shown_here

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
        return [self.diagnostic(one) for one in shown(analysis)]

    def diagnostic(self, one: Shown) -> lsp.Diagnostic:
        error = one.problem.severity == "error"
        return lsp.Diagnostic(
            range=self.range(one.span),
            message=one.message,
            severity=lsp.DiagnosticSeverity.Error if error else lsp.DiagnosticSeverity.Warning,
            code=one.problem.code,
            source="archdsl",
            tags=[lsp.DiagnosticTag.Unnecessary] if one.unused else None,
            related_information=[
                lsp.DiagnosticRelatedInformation(self.location(span), text)
                for span, text in one.related
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
                    diagnostics=[self.diagnostic(shown_here(problem))],
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


def uri_of(source: Source) -> str:
    name = source.name
    return (
        name if "://" in name or name.startswith("untitled:") else uris.from_fs_path(name) or name
    )
