"""`archdsl lsp`: the language server.

Every answer is read off the `Analysis` of the text as it stands; this module only takes requests
apart and puts answers together. Nothing may print to standard output: it is the protocol's.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import cast

from lsprotocol import types as lsp
from pygls import uris
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from archdsl._version import __version__
from archdsl.diagnostics.fixes import splice
from archdsl.diagnostics.source import Source, Span
from archdsl.editor import docs
from archdsl.editor.analysis import Analysis
from archdsl.editor.complete import complete, page, signature_at
from archdsl.editor.convert import LEGEND, Convert, uri_of
from archdsl.editor.outline import foldable, outline
from archdsl.editor.patterns import CONSTANTS, KEYWORDS
from archdsl.editor.positions import Encoding
from archdsl.ir.symbols import SHARED, Occurrence, Symbol
from archdsl.loading import PACKAGE, read, specs_folder
from archdsl.syntax.format import format

QUICK = 0.05  # an analysis that takes longer waits until the writer pauses
LONGEST_WAIT = 0.4
MOST_FILES = 300  # are searched for references
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
KINDS = {
    "operator": lsp.CompletionItemKind.Function,
    "block": lsp.CompletionItemKind.Class,
    "keyword": lsp.CompletionItemKind.Keyword,
    "argument": lsp.CompletionItemKind.Property,
    "variable": lsp.CompletionItemKind.Variable,
    "word": lsp.CompletionItemKind.EnumMember,
    "function": lsp.CompletionItemKind.Function,
    "tap": lsp.CompletionItemKind.Reference,
    "label": lsp.CompletionItemKind.Field,
    "rule": lsp.CompletionItemKind.Function,
    "file": lsp.CompletionItemKind.File,
}


class Server(LanguageServer):
    """What is known of the open files."""

    def __init__(self) -> None:
        super().__init__("archdsl", __version__)
        self.known: dict[str, tuple[str, Analysis]] = {}
        self.newest: dict[str, int | None] = {}
        self.took: dict[str, float] = {}

    @property
    def convert(self) -> Convert:
        return Convert(cast(Encoding, str(self.workspace.position_encoding or "utf-16")))

    def analysis(self, uri: str) -> Analysis:
        """Of an open file's text as it stands now."""
        text = self.workspace.get_text_document(uri).source
        known = self.known.get(uri)
        if known is None or known[0] != text:
            path = uris.to_fs_path(uri) if uri.startswith("file:") else None
            name = str(Path(path).resolve()) if path else uri
            folder = Path(name).parent if path else Path.cwd()
            began = time.perf_counter()
            analysis = Analysis(Source(name, text), folder, known[1] if known else None)
            self.took[uri] = time.perf_counter() - began
            self.known[uri] = known = text, analysis
        return known[1]

    def publish(self, uri: str) -> None:
        version = self.workspace.get_text_document(uri).version
        found = self.convert.diagnostics(self.analysis(uri))
        self.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(uri, found, version))

    def files(self, near: Analysis) -> Iterator[Analysis]:
        """The open files, then those beside this one and in the client's folders."""
        seen = set()
        for uri in list(self.workspace.text_documents):
            analysis = self.analysis(uri)
            seen.add(analysis.source.name)
            yield analysis
        folders = [near.folder, *(Path(uris.to_fs_path(f) or ".") for f in self.workspace.folders)]
        for folder in folders:
            if folder in (Path.home(), Path("/")):
                continue
            for path in sorted(folder.glob("*.arch" if folder == near.folder else "**/*.arch")):
                name = str(path.resolve())
                if name not in seen and len(seen) < MOST_FILES:
                    seen.add(name)
                    source, problems = read(Path(name))
                    if not problems:
                        yield Analysis(source, path.parent)

    def references(self, near: Analysis, symbol: Symbol) -> list[Occurrence]:
        """Every word that names a symbol, in all files where there may be one."""
        files = self.files(near) if symbol.kind in SHARED else iter([near])
        return [word for analysis in files for word in analysis.named(symbol)]


server = Server()


def serve() -> None:
    """Answer on standard input and output until the client ends it."""
    server.start_io()


# ---- the text --------------------------------------------------------------------------------


@server.feature(lsp.TEXT_DOCUMENT_DID_OPEN)
def did_open(ls: Server, params: lsp.DidOpenTextDocumentParams) -> None:
    ls.publish(params.text_document.uri)


@server.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)
async def did_change(ls: Server, params: lsp.DidChangeTextDocumentParams) -> None:
    uri, version = params.text_document.uri, params.text_document.version
    ls.newest[uri] = version
    took = ls.took.get(uri, 0)
    if took > QUICK:
        await asyncio.sleep(min(2 * took, LONGEST_WAIT))
    else:
        await asyncio.sleep(0)  # keystrokes that came together are looked at together
    if ls.newest.get(uri) == version:
        ls.publish(uri)


@server.feature(lsp.TEXT_DOCUMENT_DID_SAVE)
def did_save(ls: Server, params: lsp.DidSaveTextDocumentParams) -> None:
    """Other open files may use this one."""
    for uri in list(ls.workspace.text_documents):
        if uri != params.text_document.uri:
            ls.known.pop(uri, None)
        ls.publish(uri)


@server.feature(lsp.TEXT_DOCUMENT_DID_CLOSE)
def did_close(ls: Server, params: lsp.DidCloseTextDocumentParams) -> None:
    uri = params.text_document.uri
    for known in (ls.known, ls.newest, ls.took):
        known.pop(uri, None)
    ls.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(uri, []))


# ---- reading ---------------------------------------------------------------------------------


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
    at = convert.offset(analysis.source, params.position)
    word = analysis.word(at)
    span = word.span if word is not None else _word_at(analysis.source, at)
    if span is None:
        return None
    parts = [docs.flow_page(analysis, span)]
    parts.append(docs.symbol_page(analysis, word.symbol) if word is not None else "")
    text = "\n\n".join(part for part in parts if part)
    if not text:
        return None
    return lsp.Hover(lsp.MarkupContent(lsp.MarkupKind.Markdown, text), convert.range(span))


def _word_at(source: Source, at: int) -> Span | None:
    start = end = at
    while start > 0 and (source.text[start - 1].isalnum() or source.text[start - 1] == "_"):
        start -= 1
    while end < len(source.text) and (source.text[end].isalnum() or source.text[end] == "_"):
        end += 1
    return Span(source, start, end) if end > start else None


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
    uri = uri_of(symbol.span.source)
    if uri in ls.workspace.text_documents:  # it may have changed since it was read
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


# ---- writing ---------------------------------------------------------------------------------


@server.feature(
    lsp.TEXT_DOCUMENT_COMPLETION,
    lsp.CompletionOptions(trigger_characters=[*'@= (."'], resolve_provider=True),
)
def completion(ls: Server, params: lsp.CompletionParams) -> lsp.CompletionList:
    analysis, convert = ls.analysis(params.text_document.uri), ls.convert
    at = convert.offset(analysis.source, params.position)
    start, candidates = complete(analysis, at)
    where = convert.range(Span(analysis.source, start, at))
    items = []
    for candidate in candidates:
        snippet = candidate.snippet if candidate.snippet and _takes_snippets(ls) else ""
        items.append(
            lsp.CompletionItem(
                candidate.name,
                kind=KINDS[candidate.kind],
                detail=candidate.detail or None,
                sort_text=f"{candidate.rank}{candidate.name}",
                insert_text_format=lsp.InsertTextFormat.Snippet if snippet else None,
                text_edit=lsp.TextEdit(where, snippet or candidate.name),
                data={"uri": params.text_document.uri},
            )
        )
    return lsp.CompletionList(is_incomplete=False, items=items)


@server.feature(lsp.COMPLETION_ITEM_RESOLVE)
def resolve(ls: Server, item: lsp.CompletionItem) -> lsp.CompletionItem:
    uri = item.data.get("uri", "") if isinstance(item.data, dict) else ""
    if uri in ls.workspace.text_documents:
        text = page(ls.analysis(uri), item.label)
        item.documentation = lsp.MarkupContent(lsp.MarkupKind.Markdown, text) if text else None
    return item


def _takes_snippets(ls: Server) -> bool:
    document = ls.client_capabilities.text_document
    item = document.completion and document.completion.completion_item if document else None
    return bool(item and item.snippet_support)


@server.feature(
    lsp.TEXT_DOCUMENT_SIGNATURE_HELP, lsp.SignatureHelpOptions(trigger_characters=[" ", "=", "("])
)
def signature_help(ls: Server, params: lsp.SignatureHelpParams) -> lsp.SignatureHelp | None:
    analysis, convert = ls.analysis(params.text_document.uri), ls.convert
    found = signature_at(analysis, convert.offset(analysis.source, params.position))
    if found is None:
        return None
    shown, active = found
    markdown = partial(lsp.MarkupContent, lsp.MarkupKind.Markdown)
    parts = [lsp.ParameterInformation(text, markdown(doc)) for _, text, doc in shown.parts]
    chosen = active if active >= 0 else len(parts)  # beyond the last: none is marked
    return lsp.SignatureHelp(
        [lsp.SignatureInformation(shown.label, markdown(shown.doc), parts)], 0, chosen
    )


@server.feature(lsp.TEXT_DOCUMENT_FORMATTING)
def formatting(ls: Server, params: lsp.DocumentFormattingParams) -> list[lsp.TextEdit]:
    source = ls.analysis(params.text_document.uri).source
    text, _ = format(source)
    if text is None or text == source.text:
        return []
    whole = Span(source, 0, len(source.text))
    return [lsp.TextEdit(ls.convert.range(whole), text)]


@server.feature(lsp.TEXT_DOCUMENT_CODE_ACTION, lsp.CodeActionOptions([lsp.CodeActionKind.QuickFix]))
def code_action(ls: Server, params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
    analysis, convert = ls.analysis(params.text_document.uri), ls.convert
    ends = (params.range.start, params.range.end)
    first, last = (convert.offset(analysis.source, at) for at in ends)
    return convert.actions(analysis, params.text_document.uri, first, last)


@server.feature(lsp.TEXT_DOCUMENT_PREPARE_RENAME)
def prepare_rename(ls: Server, params: lsp.PrepareRenameParams) -> lsp.Range | None:
    analysis, convert = ls.analysis(params.text_document.uri), ls.convert
    word = analysis.word(convert.offset(analysis.source, params.position))
    return convert.range(word.span) if word is not None and _is_ours(word.symbol) else None


@server.feature(lsp.TEXT_DOCUMENT_RENAME, lsp.RenameOptions(prepare_provider=True))
def rename(ls: Server, params: lsp.RenameParams) -> lsp.WorkspaceEdit:
    analysis, convert = ls.analysis(params.text_document.uri), ls.convert
    word = analysis.word(convert.offset(analysis.source, params.position))
    new = params.new_name
    if word is None or not _is_ours(word.symbol):
        raise JsonRpcInvalidParams("there is nothing here to rename")
    if not _NAME.fullmatch(new) or new in (*KEYWORDS, *CONSTANTS):
        raise JsonRpcInvalidParams(f"`{new}` is no name")
    found = ls.references(analysis, word.symbol)
    if reason := _clash(analysis, word.symbol, found, new):
        raise JsonRpcInvalidParams(f"`{new}` would clash: {reason}")
    changes: dict[str, list[lsp.TextEdit]] = {}
    for occurrence in found:
        edit = lsp.TextEdit(convert.range(occurrence.span), new)
        changes.setdefault(uri_of(occurrence.span.source), []).append(edit)
    return lsp.WorkspaceEdit(changes=changes)


def _clash(analysis: Analysis, symbol: Symbol, found: list[Occurrence], new: str) -> str:
    """Why a symbol cannot have another name."""
    if any(o.span.source is not analysis.source for o in found):
        taken = analysis.unit is not None and analysis.unit.target(new) is not None
        return "something has this name" if taken and symbol.kind != "parameter" else ""
    edits = sorted((o.span.start, o.span.end, new) for o in found)
    text = splice(analysis.source.text, edits)
    after = Analysis(Source(analysis.source.name, text), analysis.folder)
    more = len(after.problems) > len(analysis.problems)
    return after.problems[0].message if more else ""


def _is_ours(symbol: Symbol) -> bool:
    """A name that this person gave: not the language's, the prelude's or a shipped spec's."""
    if symbol.span is None:
        return False
    path = Path(symbol.span.source.name)
    installed = specs_folder() if specs_folder().is_relative_to(PACKAGE) else PACKAGE / "prelude"
    return not path.is_relative_to(PACKAGE / "prelude") and not path.is_relative_to(installed)
