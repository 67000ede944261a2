"""The language server, driven by a real client over its pipes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_lsp
from lsprotocol import types as lsp
from pytest_lsp import ClientServerConfig, LanguageClient

from archdsl.pipeline import specs_folder

CONFIG = ClientServerConfig(server_command=[sys.executable, "-m", "archdsl", "lsp"])
pytestmark = pytest.mark.asyncio(loop_scope="module")

LIBRARY = """\
# A convolution and its activation.
block unit(out, act=relu) { conv out 3x3 pad=1 -> act }
"""
NET = """\
use "library.arch"

model net(classes=10) { # 😀 中
  input 3x32x32
  unit 16 -> tap early
  residual { unit 16 act=gelu }
  gap; flatten
  head: linear classes
}
"""


Told = dict[tuple[str, int | None], list[lsp.Diagnostic]]  # by file and version
TOLD: dict[LanguageClient, Told] = {}


async def start(client: LanguageClient, encoding: str) -> AsyncIterator[None]:
    general = lsp.GeneralClientCapabilities(position_encodings=[lsp.PositionEncodingKind(encoding)])
    markdown = [lsp.MarkupKind.Markdown]
    item = lsp.ClientCompletionItemOptions(snippet_support=True, documentation_format=markdown)
    completion = lsp.CompletionClientCapabilities(completion_item=item)
    document = lsp.TextDocumentClientCapabilities(completion=completion)
    capabilities = lsp.ClientCapabilities(general=general, text_document=document)
    result = await client.initialize_session(lsp.InitializeParams(capabilities=capabilities))
    assert result.capabilities.position_encoding == encoding
    TOLD[client] = listen(client)
    yield
    await client.shutdown_session()


@pytest_lsp.fixture(config=CONFIG, scope="module")
async def client(lsp_client: LanguageClient) -> AsyncIterator[None]:
    async for _ in start(lsp_client, "utf-16"):
        yield


@pytest_lsp.fixture(config=CONFIG, scope="module")
async def client8(lsp_client: LanguageClient) -> AsyncIterator[None]:
    async for _ in start(lsp_client, "utf-8"):
        yield


@pytest_lsp.fixture(config=CONFIG, scope="module")
async def client32(lsp_client: LanguageClient) -> AsyncIterator[None]:
    async for _ in start(lsp_client, "utf-32"):
        yield


def listen(client: LanguageClient) -> Told:
    """What the server publishes from now on. (To wait for one notification at a time would miss
    the second of two that arrive together.)"""
    told: Told = {}

    def hear(params: lsp.PublishDiagnosticsParams) -> None:
        told[params.uri, params.version] = list(params.diagnostics)
        client.protocol.wait_for_notification(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS, hear)

    client.protocol.wait_for_notification(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS, hear)
    return told


async def published(client: LanguageClient, uri: str, version: int) -> list[lsp.Diagnostic]:
    async with asyncio.timeout(120):  # a server that says nothing shall not hang the suite
        while (uri, version) not in TOLD[client]:
            await asyncio.sleep(0.002)
    return TOLD[client].pop((uri, version))


class File:
    """An open file."""

    def __init__(self, client: LanguageClient, path: Path, text: str) -> None:
        self.client, self.path, self.uri, self.text, self.version = (
            client, path, path.as_uri(), text, 1,
        )  # fmt: skip
        path.write_text(text, encoding="utf-8")
        item = lsp.TextDocumentItem(self.uri, "arch", 1, text)
        client.text_document_did_open(lsp.DidOpenTextDocumentParams(item))

    @property
    def id(self) -> lsp.TextDocumentIdentifier:
        return lsp.TextDocumentIdentifier(self.uri)

    async def problems(self) -> list[lsp.Diagnostic]:
        """Those of the newest version, warnings too."""
        return await published(self.client, self.uri, self.version)

    async def diagnostics(self) -> list[lsp.Diagnostic]:
        """The errors of the newest version."""
        error = lsp.DiagnosticSeverity.Error
        return [d for d in await self.problems() if d.severity == error]

    async def change(self, text: str) -> list[lsp.Diagnostic]:
        self.version += 1
        self.text = text
        document = lsp.VersionedTextDocumentIdentifier(self.version, self.uri)
        changes = [lsp.TextDocumentContentChangeWholeDocument(text)]
        self.client.text_document_did_change(lsp.DidChangeTextDocumentParams(document, changes))
        return await self.diagnostics()

    def at(self, words: str, more: int = 0) -> lsp.Position:
        """In UTF-16: where some words begin."""
        before = self.text[: self.text.index(words) + more]
        line = before.rpartition("\n")[2]
        return lsp.Position(before.count("\n"), len(line.encode("utf-16-le")) // 2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "library.arch").write_text(LIBRARY)
    return tmp_path


async def opened(client: LanguageClient, folder: Path, text: str = NET) -> File:
    file = File(client, folder / "net.arch", text)
    assert await file.diagnostics() == []
    return file


async def test_diagnostics_as_you_type(client: LanguageClient, folder: Path) -> None:
    file = await opened(client, folder)
    (found,) = await file.change(NET.replace("linear classes", "linear clases"))
    assert found.code == "E0102" and "did you mean `classes`?" in found.message
    assert found.range == lsp.Range(file.at("clases"), file.at("clases", 6))
    (found,) = await file.change(NET.replace("unit 16 act=gelu", "unit 32"))
    assert found.code == "E0203" and found.related_information
    (found,) = await file.change(NET.replace("  head: linear classes\n}\n", "  head: lin"))
    assert found.code == "E0001"
    assert await file.change(NET) == []
    client.text_document_did_close(lsp.DidCloseTextDocumentParams(file.id))


async def test_warnings(client: LanguageClient, folder: Path) -> None:
    """What is not used is shown as such; a file of blocks is for other files."""
    text = NET.replace(" -> tap early", "").replace("classes=10", "classes=10, width=3")
    file = File(client, folder / "net.arch", text)
    (found,) = await file.problems()
    assert found.severity == lsp.DiagnosticSeverity.Warning and found.code == "W0004"
    assert list(found.tags or ()) == [lsp.DiagnosticTag.Unnecessary]
    assert found.range == lsp.Range(file.at("width"), file.at("width", 5))
    assert await File(client, folder / "library.arch", LIBRARY).problems() == []


async def test_an_error_in_a_used_file_stands_at_the_use(
    client: LanguageClient, folder: Path
) -> None:
    (folder / "library.arch").write_text(LIBRARY.replace("conv out", "cnv out"))
    file = File(client, folder / "net.arch", NET)
    (found,) = await file.diagnostics()
    assert found.range.start == file.at('"library') and "unknown operation" in found.message


async def test_inlay_hints_stay_while_a_line_is_broken(
    client: LanguageClient, folder: Path
) -> None:
    file = await opened(client, folder)
    whole = lsp.Range(lsp.Position(0, 0), lsp.Position(99, 0))

    async def hints() -> dict[int, str]:
        params = lsp.InlayHintParams(file.id, whole)
        found = await client.text_document_inlay_hint_async(params)
        return {h.position.line: str(h.label) for h in found or ()}

    good = await hints()
    assert good == {4: "16x32x32", 5: "16x32x32", 6: "16", 7: "10"}
    await file.change(NET.replace("  gap;", "  conv 3 (\n  gap;"))
    assert await hints() == {4: "16x32x32", 5: "16x32x32", 7: "16", 8: "10"}


async def test_hover(client: LanguageClient, folder: Path) -> None:
    file = await opened(client, folder)

    async def hover(words: str) -> str:
        found = await client.text_document_hover_async(lsp.HoverParams(file.id, file.at(words)))
        assert found is not None and isinstance(found.contents, lsp.MarkupContent)
        return found.contents.value

    assert "A convolution and its activation." in await hover("unit 16 ->")
    assert "| 3x32x32 | 16x32x32 | 448 | 442,368 | 3x3 |" in await hover("unit 16 ->")
    assert "Fully connected" in await hover("linear") and "linear out" in await hover("linear")
    assert "| 16 | 10 | 170 | 160 | all |" in await hover("linear")
    assert "parameter of `net`" in await hover("classes=10")


async def test_completion(client: LanguageClient, folder: Path) -> None:
    file = await opened(client, folder)
    await file.change(NET.replace("  head: linear classes\n}\n", "  head: linear classes -> con"))
    position = file.at("-> con", 6)
    found = await client.text_document_completion_async(lsp.CompletionParams(file.id, position))
    assert isinstance(found, lsp.CompletionList)
    items = {item.label: item for item in found.items}
    assert {"conv", "concat", "unit", "residual"} <= items.keys()
    edit = items["concat"].text_edit
    assert isinstance(edit, lsp.TextEdit) and edit.new_text == "concat {\n  $0\n}"
    assert edit.range.start == file.at("-> con", 3)
    item = await client.completion_item_resolve_async(items["conv"])
    assert isinstance(item.documentation, lsp.MarkupContent)
    assert "Convolution" in item.documentation.value


async def test_signature_help(client: LanguageClient, folder: Path) -> None:
    file = await opened(client, folder)
    params = lsp.SignatureHelpParams(file.id, file.at("unit 16 act=", 12))
    found = await client.text_document_signature_help_async(params)
    assert found is not None and found.active_parameter == 1
    assert found.signatures[0].label == "unit out [act=relu]"


async def test_definition_across_files_and_the_prelude(
    client: LanguageClient, folder: Path
) -> None:
    file = await opened(client, folder, NET.replace("  gap;", "  convbn 16 1x1\n  gap;"))

    async def definition(words: str) -> lsp.Location:
        params = lsp.DefinitionParams(file.id, file.at(words))
        found = await client.text_document_definition_async(params)
        assert isinstance(found, lsp.Location)
        return found

    found = await definition("unit 16 ->")
    assert found.uri == (folder / "library.arch").as_uri()
    assert found.range == lsp.Range(lsp.Position(1, 6), lsp.Position(1, 10))
    assert (await definition("act=gelu")).range.start == lsp.Position(1, 16)
    assert (await definition("convbn")).uri.endswith("prelude.arch")
    assert (await definition('"library')).uri == (folder / "library.arch").as_uri()
    assert (await definition("classes\n")).range.start == file.at("classes=10")


async def test_references_and_rename_across_files(client: LanguageClient, folder: Path) -> None:
    file = await opened(client, folder)
    context = lsp.ReferenceContext(include_declaration=True)
    params = lsp.ReferenceParams(context, file.id, file.at("unit 16 ->"))
    found = await client.text_document_references_async(params)
    assert found is not None and len(found) == 3
    rename = lsp.RenameParams(file.id, file.at("unit 16 ->"), "part")
    edit = await client.text_document_rename_async(rename)
    assert edit is not None and edit.changes is not None
    assert {uri.rpartition("/")[2]: len(edits) for uri, edits in edit.changes.items()} == {
        "net.arch": 2,
        "library.arch": 1,
    }
    for name, words in [("9", "unit 16 ->"), ("input", "unit 16 ->"), ("x", "linear")]:
        with pytest.raises(Exception, match=r"no name|nothing here"):
            await client.text_document_rename_async(lsp.RenameParams(file.id, file.at(words), name))


async def test_symbols_folding_and_colours(client: LanguageClient, folder: Path) -> None:
    file = await opened(client, folder)
    symbols = await client.text_document_document_symbol_async(lsp.DocumentSymbolParams(file.id))
    assert symbols is not None and symbols[0].name == "net"
    assert [child.name for child in symbols[0].children or ()] == ["head"]  # type: ignore[union-attr]
    ranges = await client.text_document_folding_range_async(lsp.FoldingRangeParams(file.id))
    assert ranges is not None and [(r.start_line, r.end_line) for r in ranges] == [(2, 7)]
    tokens = await client.text_document_semantic_tokens_full_async(
        lsp.SemanticTokensParams(file.id)
    )
    assert tokens is not None and len(tokens.data) % 5 == 0 and len(tokens.data) > 100
    named = await client.text_document_document_highlight_async(
        lsp.DocumentHighlightParams(file.id, file.at("classes=10"))
    )
    assert named is not None and len(named) == 2


async def test_formatting_and_actions(client: LanguageClient, folder: Path) -> None:
    file = await opened(client, folder)
    await file.change(NET.replace("unit 16 ->", "unit   16->"))
    options = lsp.FormattingOptions(tab_size=2, insert_spaces=True)
    params = lsp.DocumentFormattingParams(file.id, options)
    (edit,) = await client.text_document_formatting_async(params) or ()
    assert edit.new_text == NET.replace("{ # 😀", "{  # 😀")
    found = await file.change(NET.replace("linear classes", "linear clases"))
    assert await client.text_document_formatting_async(params)
    where = lsp.Range(file.at("clases"), file.at("clases"))
    context = lsp.CodeActionContext(found)
    actions = await client.text_document_code_action_async(
        lsp.CodeActionParams(file.id, where, context)
    )
    assert actions
    action = actions[0]
    assert isinstance(action, lsp.CodeAction) and action.edit and action.edit.changes
    assert action.edit.changes[file.uri][0].new_text == "classes"
    await file.change(NET + "model (")
    assert not await client.text_document_formatting_async(params)


async def check_encoding(client: LanguageClient, folder: Path, column: int) -> None:
    text = 'model net() {\n  input 3\n  "😀中": lineer 3\n}\n'
    file = File(client, folder / "net.arch", text)
    found = await file.diagnostics()
    assert [d.range.start.character for d in found if d.code == "E0101"] == [column]
    hover = lsp.HoverParams(file.id, lsp.Position(1, 2))
    await client.text_document_hover_async(hover)
    await file.change(text.replace("lineer", "linear"))
    found_hover = await client.text_document_hover_async(
        lsp.HoverParams(file.id, lsp.Position(2, column + 1))
    )
    assert found_hover is not None and found_hover.range is not None
    assert found_hover.range.start == lsp.Position(2, column)


async def test_emoji_utf16(client: LanguageClient, folder: Path) -> None:
    await check_encoding(client, folder, 9)


async def test_emoji_utf8(client8: LanguageClient, folder: Path) -> None:
    await check_encoding(client8, folder, 13)


async def test_emoji_utf32(client32: LanguageClient, folder: Path) -> None:
    await check_encoding(client32, folder, 8)


async def test_half_written(client: LanguageClient, folder: Path) -> None:
    """Every beginning of a file, as it is typed; the server answers all the way."""
    file = File(client, folder / "net.arch", "")
    await file.diagnostics()
    for end in range(3, len(NET), 7):
        await file.change(NET[:end])
        line = NET[:end].rpartition("\n")[2]
        position = lsp.Position(NET[:end].count("\n"), len(line.encode("utf-16-le")) // 2)
        await client.text_document_completion_async(lsp.CompletionParams(file.id, position))
        await client.text_document_hover_async(lsp.HoverParams(file.id, position))
        await client.text_document_signature_help_async(lsp.SignatureHelpParams(file.id, position))
        await client.text_document_document_symbol_async(lsp.DocumentSymbolParams(file.id))
    assert await file.change(NET) == []


async def test_the_shipped_specs_have_no_problems(client: LanguageClient) -> None:
    for path in sorted(specs_folder().glob("*.arch"))[::6]:
        item = lsp.TextDocumentItem(path.as_uri(), "arch", 7, path.read_text(encoding="utf-8"))
        client.text_document_did_open(lsp.DidOpenTextDocumentParams(item))
        assert await published(client, path.as_uri(), 7) == [], path.name
        closed = lsp.TextDocumentIdentifier(path.as_uri())
        client.text_document_did_close(lsp.DidCloseTextDocumentParams(closed))


async def test_what_else_the_server_answers(client: LanguageClient, folder: Path) -> None:
    """Over the wire: what `test_session` asks for in process."""
    text = NET.replace("unit 16 ->", "unit   16 ->").replace("{ # 😀", "{  # 😀\u2028\x0c")
    file = File(client, folder / "net.arch", text)
    await file.problems()
    at, options = file.at("linear"), lsp.FormattingOptions(tab_size=2, insert_spaces=True)
    (chain,) = await client.text_document_selection_range_async(
        lsp.SelectionRangeParams(file.id, [at])
    )
    assert chain.range.start == at and chain.parent is not None
    lenses = await client.text_document_code_lens_async(lsp.CodeLensParams(file.id))
    assert [lens.command and lens.command.title for lens in lenses or ()] == [
        "2.94k parameters, 2.8M MACs"
    ]
    line = lsp.Range(lsp.Position(4, 0), lsp.Position(5, 0))
    params = lsp.DocumentRangeFormattingParams(file.id, line, options)
    (edit,) = await client.text_document_range_formatting_async(params) or ()
    assert (edit.range, edit.new_text) == (line, "  unit 16 -> tap early\n")
    await file.change(text.replace("gap; flatten", "conv 8 3 padding=1; gap; flatten"))
    context = lsp.CodeActionContext([], only=[lsp.CodeActionKind.SourceFixAll])
    (action,) = (
        await client.text_document_code_action_async(lsp.CodeActionParams(file.id, line, context))
        or ()
    )
    assert isinstance(action, lsp.CodeAction) and action.edit is not None
    assert action.edit.changes is not None and "pad=1" in action.edit.changes[file.uri][0].new_text
    found = await client.workspace_symbol_async(lsp.WorkspaceSymbolParams("net"))
    assert file.uri in {symbol.location.uri for symbol in found or ()}
    # an edit of one place, behind what is no end of a line
    version = lsp.VersionedTextDocumentIdentifier(9, file.uri)
    start, end = file.at("linear classes"), file.at("linear classes", 6)
    change = lsp.TextDocumentContentChangePartial(lsp.Range(start, end), "lineer")
    client.text_document_did_change(lsp.DidChangeTextDocumentParams(version, [change]))
    file.version = 9
    assert lsp.Range(start, end) in [problem.range for problem in await file.diagnostics()]
    gone = lsp.TextDocumentIdentifier((folder / "gone.arch").as_uri())
    assert not await client.text_document_hover_async(lsp.HoverParams(gone, at))


async def test_the_picture_beside(client: LanguageClient, tmp_path: Path) -> None:
    """Of the model around a line; while the text is broken, of the last that was not."""

    async def asked(line: int, draw: bool = True) -> Any:
        params = {"uri": file.uri, "line": line, "draw": draw}
        return await client.protocol.send_request_async("archdsl/picture", params)

    two = "model a { input 3x8x8; conv 4 3x3 }\n\nmodel b {\n  input 3x8x8\n  gap\n}\n"
    file = File(client, tmp_path / "two.arch", two)
    await file.problems()
    found = await asked(0)
    assert (found.model, found.params, found.stale) == ("a", "112", False)
    assert found.svg.startswith("<svg") and [0, 0] in [*map(list, found.boxes[-1].lines)]
    found = await asked(4, draw=False)
    assert (found.model, found.flow) == ("b", "3x8x8 → 3x1x1") and not hasattr(found, "svg")
    await file.change(two.replace("conv 4", "conv ("))
    found = await asked(0)
    assert (found.model, found.stale) == ("a", True)
    empty = File(client, tmp_path / "empty.arch", "block x { relu }\n")
    file = empty
    assert await asked(0) is None
