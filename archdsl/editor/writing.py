"""What the server writes: completions, the one style, fixes, other names."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcInvalidParams

from archdsl.diagnostics.source import Span
from archdsl.editor.complete import complete, page, signature_at
from archdsl.editor.edits import fixed_text, hunks, renamed, styled
from archdsl.editor.session import Server, server
from archdsl.loading import PACKAGE, specs_folder
from archdsl.names.symbols import Symbol
from archdsl.syntax.language import CONSTANTS, KEYWORDS

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
    if uri and ls.workspace.is_open(uri):
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
    text = styled(source)
    if text is None or text == source.text:
        return []
    whole = Span(source, 0, len(source.text))
    return [lsp.TextEdit(ls.convert.range(whole), text)]


@server.feature(lsp.TEXT_DOCUMENT_RANGE_FORMATTING)
def range_formatting(ls: Server, params: lsp.DocumentRangeFormattingParams) -> list[lsp.TextEdit]:
    """What the one style changes in these lines."""
    source, wanted = ls.analysis(params.text_document.uri).source, params.range
    first, last = wanted.start.line, wanted.end.line
    last += wanted.end.character > 0 or last == first  # a range of whole lines ends in the next
    found = hunks(source, styled(source) or source.text)
    return [
        lsp.TextEdit(ls.convert.range(hunk.span), hunk.text)
        for hunk in found
        if hunk.first < last and max(hunk.last, hunk.first + 1) > first
    ]


@server.feature(
    lsp.TEXT_DOCUMENT_CODE_ACTION,
    lsp.CodeActionOptions([lsp.CodeActionKind.QuickFix, lsp.CodeActionKind.SourceFixAll]),
)
def code_action(ls: Server, params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
    analysis, convert = ls.analysis(params.text_document.uri), ls.convert
    uri, found = params.text_document.uri, []
    if _is_wanted(lsp.CodeActionKind.QuickFix, params.context):
        ends = (params.range.start, params.range.end)
        first, last = (convert.offset(analysis.source, at) for at in ends)
        found += convert.actions(analysis, uri, first, last)
    if _is_wanted(lsp.CodeActionKind.SourceFixAll, params.context):
        changes = hunks(analysis.source, fixed_text(analysis))
        edits = [lsp.TextEdit(convert.range(hunk.span), hunk.text) for hunk in changes]
        if edits:
            found.append(
                lsp.CodeAction(
                    "Mend all that can be mended safely",
                    kind=lsp.CodeActionKind.SourceFixAll,
                    edit=lsp.WorkspaceEdit(changes={uri: edits}),
                )
            )
    return found


def _is_wanted(kind: lsp.CodeActionKind, context: lsp.CodeActionContext) -> bool:
    """A kind counts for those below it: `source` for `source.fixAll`."""
    asked = [str(getattr(one, "value", one)) for one in context.only or ()]
    return not asked or any(f"{kind.value}.".startswith(f"{one}.") for one in asked)


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
    project = ls.project(analysis, word.symbol)
    found, reason = renamed(project, word.symbol, new, ls.files)
    if reason:
        raise JsonRpcInvalidParams(f"`{new}` would clash: {reason}")
    changes: dict[str, list[lsp.TextEdit]] = {}
    for occurrence in found:
        edit = lsp.TextEdit(convert.range(occurrence.span), new)
        changes.setdefault(convert.uri(occurrence.span.source), []).append(edit)
    return lsp.WorkspaceEdit(changes=changes)


def _is_ours(symbol: Symbol) -> bool:
    """A name that this person gave: not the language's, the prelude's or a shipped spec's."""
    if symbol.span is None:
        return False
    path = Path(symbol.span.source.name)
    installed = specs_folder() if specs_folder().is_relative_to(PACKAGE) else PACKAGE / "prelude"
    return not path.is_relative_to(PACKAGE / "prelude") and not path.is_relative_to(installed)
