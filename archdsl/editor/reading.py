"""What the server answers about a text: shapes, meanings, places, parts."""

from __future__ import annotations

import re
from pathlib import Path

from lsprotocol import types as lsp
from pygls import uris

from archdsl.editor import docs
from archdsl.editor.convert import LEGEND, SYMBOLS
from archdsl.editor.hover import hover as hover_at
from archdsl.editor.lenses import lenses
from archdsl.editor.outline import around, foldable, outline
from archdsl.editor.session import Server, server
from archdsl.loading import specs_folder

MOST_SYMBOLS = 500  # of a workspace


@server.feature(lsp.TEXT_DOCUMENT_INLAY_HINT)
def inlay_hint(ls: Server, params: lsp.InlayHintParams) -> list[lsp.InlayHint]:
    analysis, convert = ls.analysis(params.text_document.uri), ls.convert
    source, found = analysis.source, []
    for line, shapes in sorted(analysis.hints().items()):
        if params.range.start.line <= line <= params.range.end.line and shapes:
            end = source.line_starts[line] + len(source.line(line + 1))
            hint = lsp.InlayHint(
                convert.position(source, end), docs.hint(shapes), padding_left=True
            )
            if len(shapes) > 1:
                hint.tooltip = docs.all_shapes(shapes)
            found.append(hint)
    return found


@server.feature(lsp.TEXT_DOCUMENT_HOVER)
def hover(ls: Server, params: lsp.HoverParams) -> lsp.Hover | None:
    analysis, convert = ls.analysis(params.text_document.uri), ls.convert
    found = hover_at(analysis, convert.offset(analysis.source, params.position))
    if found is None:
        return None
    span, text = found
    return lsp.Hover(lsp.MarkupContent(lsp.MarkupKind.Markdown, text), convert.range(span))


@server.feature(lsp.TEXT_DOCUMENT_DEFINITION)
def go_to_definition(ls: Server, params: lsp.DefinitionParams) -> lsp.Location | None:
    analysis, convert = ls.analysis(params.text_document.uri), ls.convert
    word = analysis.word(convert.offset(analysis.source, params.position))
    if word is None:
        return None
    symbol = word.symbol
    if symbol.kind == "file":
        for folder in (analysis.folder, specs_folder()):
            if (folder / symbol.name).is_file():
                uri = uris.from_fs_path(str((folder / symbol.name).resolve())) or ""
                return lsp.Location(uri, lsp.Range(lsp.Position(0, 0), lsp.Position(0, 0)))
    if symbol.span is None:
        return None
    uri = convert.uri(symbol.span.source)
    if ls.workspace.is_open(uri):  # it may have changed since it was read
        fresh = [o for o in ls.analysis(uri).named(symbol) if o.defines]
        if fresh:
            return convert.location(fresh[0].span)
    return convert.location(symbol.span)


@server.feature(lsp.TEXT_DOCUMENT_REFERENCES)
def references(ls: Server, params: lsp.ReferenceParams) -> list[lsp.Location]:
    analysis, convert = ls.analysis(params.text_document.uri), ls.convert
    word = analysis.word(convert.offset(analysis.source, params.position))
    if word is None:
        return []
    wanted = params.context.include_declaration
    found = ls.references(analysis, word.symbol)
    return [convert.location(o.span) for o in found if wanted or not o.defines]


@server.feature(lsp.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT)
def highlight(ls: Server, params: lsp.DocumentHighlightParams) -> list[lsp.DocumentHighlight]:
    analysis, convert = ls.analysis(params.text_document.uri), ls.convert
    word = analysis.word(convert.offset(analysis.source, params.position))
    named = analysis.named(word.symbol) if word is not None else []
    return [lsp.DocumentHighlight(convert.range(o.span)) for o in named]


@server.feature(lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
def document_symbols(ls: Server, params: lsp.DocumentSymbolParams) -> list[lsp.DocumentSymbol]:
    return ls.convert.symbols(outline(ls.analysis(params.text_document.uri)))


@server.feature(lsp.TEXT_DOCUMENT_FOLDING_RANGE)
def folding(ls: Server, params: lsp.FoldingRangeParams) -> list[lsp.FoldingRange]:
    kinds = {True: lsp.FoldingRangeKind.Comment, False: None}
    return [
        lsp.FoldingRange(first, last, kind=kinds[comment])
        for first, last, comment in foldable(ls.analysis(params.text_document.uri).source)
    ]


@server.feature(
    lsp.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL, lsp.SemanticTokensLegend(LEGEND, ["definition"])
)
def semantic_tokens(ls: Server, params: lsp.SemanticTokensParams) -> lsp.SemanticTokens:
    return lsp.SemanticTokens(ls.convert.colours(ls.analysis(params.text_document.uri)))


@server.feature(lsp.TEXT_DOCUMENT_SELECTION_RANGE)
def selection_range(ls: Server, params: lsp.SelectionRangeParams) -> list[lsp.SelectionRange]:
    """What each place stands in, step by step outwards."""
    analysis, convert = ls.analysis(params.text_document.uri), ls.convert
    found = []
    for position in params.positions:
        chain: lsp.SelectionRange | None = None
        for span in reversed(around(analysis, convert.offset(analysis.source, position))):
            chain = lsp.SelectionRange(convert.range(span), chain)
        assert chain is not None  # the whole text, at least
        found.append(chain)
    return found


@server.feature(lsp.TEXT_DOCUMENT_CODE_LENS)
def code_lens(ls: Server, params: lsp.CodeLensParams) -> list[lsp.CodeLens]:
    analysis, convert = ls.analysis(params.text_document.uri), ls.convert
    return [
        lsp.CodeLens(convert.range(span), lsp.Command(text, "")) for span, text in lenses(analysis)
    ]


@server.feature(lsp.WORKSPACE_SYMBOL)
def workspace_symbols(ls: Server, params: lsp.WorkspaceSymbolParams) -> list[lsp.SymbolInformation]:
    """The definitions of the open files and of the client's folders whose names hold the letters
    asked for, in their order."""
    letters = ".*".join(map(re.escape, params.query))
    wanted = re.compile(letters, re.IGNORECASE)
    found = []
    for analysis in ls.project():
        for entry in outline(analysis):
            if wanted.search(entry.name):
                kind = SYMBOLS[entry.kind]
                where = ls.convert.location(entry.name_span)
                name = Path(analysis.source.name).name
                found.append(lsp.SymbolInformation(where, entry.name, kind, container_name=name))
    return found[:MOST_SYMBOLS]
