"""The language server's answers, in process: edits, several files, files that are gone."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest
from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcInvalidParams
from pygls.workspace import Workspace as PyglsWorkspace

from archdsl.diagnostics.fixes import splice
from archdsl.diagnostics.source import Source
from archdsl.editor import reading, writing
from archdsl.editor.positions import offset
from archdsl.editor.server import (
    did_change,
    did_change_watched_files,
    did_close,
    did_open,
    initialized,
)
from archdsl.editor.session import Server

LIBRARY = "# A part.\nblock unit(out, act=relu) { conv out 3x3 pad=1 -> act }\n"
NET = """\
use "../lib/l.arch"

model net(classes=10) {
  input 3x8x8
  unit 8 -> unit 16 act=gelu
  gap; flatten
  head: linear classes
}

model small = net classes=3
"""


class Recorder(Server):
    """A server that has started, and what it publishes."""

    def __init__(self, *folders: Path) -> None:
        super().__init__()
        self.told: dict[str, list[lsp.Diagnostic]] = {}
        self.protocol.client_capabilities = lsp.ClientCapabilities()
        kind = lsp.TextDocumentSyncKind.Incremental
        named = [lsp.WorkspaceFolder(folder.as_uri(), folder.name) for folder in folders]
        self.protocol._workspace = PyglsWorkspace(None, kind, named, "utf-16")

    def text_document_publish_diagnostics(self, params: lsp.PublishDiagnosticsParams) -> None:
        self.told[params.uri] = list(params.diagnostics)

    def open(self, path: Path, text: str) -> File:
        item = lsp.TextDocumentItem(path.as_uri(), "arch", 1, text)
        self.workspace.put_text_document(item)
        did_open(self, lsp.DidOpenTextDocumentParams(item))
        return File(self, path.as_uri())


class File:
    def __init__(self, ls: Recorder, uri: str) -> None:
        self.ls, self.uri, self.id = ls, uri, lsp.TextDocumentIdentifier(uri)

    @property
    def text(self) -> str:
        return self.ls.workspace.get_text_document(self.uri).source

    def at(self, words: str, more: int = 0) -> lsp.Position:
        source = Source("", self.text)
        return self.ls.convert.position(source, self.text.index(words) + more)

    def edit(self, start: lsp.Position, end: lsp.Position, text: str) -> None:
        """As a client tells of it."""
        document = self.ls.workspace.get_text_document(self.uri)
        version = lsp.VersionedTextDocumentIdentifier((document.version or 0) + 1, self.uri)
        change = lsp.TextDocumentContentChangePartial(lsp.Range(start, end), text)
        self.ls.workspace.update_text_document(version, change)
        asyncio.run(did_change(self.ls, lsp.DidChangeTextDocumentParams(version, [change])))

    def replace(self, old: str, new: str) -> None:
        self.edit(self.at(old), self.at(old, len(old)), new)

    def problems(self) -> list[str]:
        return [str(d.message) for d in self.ls.told[self.uri]]

    def hints(self) -> dict[int, str]:
        whole = lsp.Range(lsp.Position(0, 0), lsp.Position(9999, 0))
        found = reading.inlay_hint(self.ls, lsp.InlayHintParams(self.id, whole))
        return {hint.position.line: str(hint.label) for hint in found}

    def hover(self, words: str) -> str:
        found = reading.hover(self.ls, lsp.HoverParams(self.id, self.at(words)))
        assert found is not None and isinstance(found.contents, lsp.MarkupContent)
        return found.contents.value

    def rename(self, words: str, new: str) -> dict[str, str]:
        """The changed texts, by file name."""
        edit = writing.rename(self.ls, lsp.RenameParams(self.id, self.at(words), new))
        return applied(self.ls, edit)


def applied(ls: Recorder, edit: lsp.WorkspaceEdit) -> dict[str, str]:
    found = {}
    for uri, edits in (edit.changes or {}).items():
        source = Source("", ls.workspace.get_text_document(uri).source)
        places = [
            (*(ls.convert.offset(source, at) for at in (e.range.start, e.range.end)), e.new_text)
            for e in edits
        ]
        found[uri.rpartition("/")[2]] = splice(source.text, sorted(places))
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("lib/l.arch", LIBRARY), ("nets/net.arch", NET)):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    return tmp_path


# ---- lines -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "odd", ["\u2028", "\u2029", "\x0b", "\x0c", "\x85", "\x1c", "\x1d", "\x1e"]
)
def test_only_line_feeds_and_carriage_returns_end_lines(tmp_path: Path, odd: str) -> None:
    text = f"# a {odd} b {odd}\nmodel net {{\n  input 3\n  linear 5\n}}\n"
    file = Recorder().open(tmp_path / "net.arch", text)
    file.edit(lsp.Position(3, 9), lsp.Position(3, 10), "77")
    assert file.text == text.replace("5", "77") and file.hints() == {3: "77"}
    file.edit(lsp.Position(1, 0), lsp.Position(1, 0), f"# {odd}\n")
    assert file.hints() == {4: "77"} and file.problems() == []
    file.replace("linear", "lineer")
    assert file.ls.told[file.uri][0].range.start == lsp.Position(4, 2)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("edit", [(0, 3, 2, 1), (1, 99, 2, 0), (2, 0, 99, 0), (3, 0, 3, 0)])
def test_edits_are_the_clients(end: str, edit: tuple[int, int, int, int], tmp_path: Path) -> None:
    """As an editor would do them on its lines."""
    lines = ["abc 😀def", "", "ghi"]
    file = Recorder().open(tmp_path / "a.arch", end.join(lines))
    first, begin, last, stop = edit
    file.edit(lsp.Position(first, begin), lsp.Position(last, stop), "X")
    whole = [line + end for line in lines[:-1]] + [lines[-1]]
    head = "".join(whole[:first]) + (lines[first][:begin] if first < 3 else "")
    tail = (lines[last][stop:] + whole[last][len(lines[last]) :] if last < 3 else "") + "".join(
        whole[last + 1 :]
    )
    assert file.text == head + "X" + tail


def test_positions_count_carriage_returns() -> None:
    source = Source("", "a\rb\r\nc\nd")
    assert source.lines == ["a", "b", "c", "d"]
    assert [offset(source, line, 0, "utf-16") for line in range(5)] == [0, 2, 5, 7, 8]


# ---- several files ---------------------------------------------------------------------------


def test_unsaved_edits_of_a_library_reach_its_users(folder: Path) -> None:
    ls = Recorder()
    net = ls.open(folder / "nets" / "net.arch", NET)
    library = ls.open(folder / "lib" / "l.arch", LIBRARY)
    assert net.problems() == [] and net.hints()[4] == "16x8x8"
    library.replace("pad=1", "pad=0")
    assert net.problems() == [] and net.hints()[4] == "16x4x4"
    library.replace("conv", "cnv")
    assert "unknown operation" in net.problems()[0] and "l.arch" in net.problems()[0]
    did_close(ls, lsp.DidCloseTextDocumentParams(library.id))  # nothing was saved
    ls.workspace.remove_text_document(library.uri)
    did_change_watched_files(ls, lsp.DidChangeWatchedFilesParams([]))
    assert net.problems() == [] and net.hints()[4] == "16x8x8"


def test_a_library_changed_on_disk_is_checked_anew(folder: Path) -> None:
    ls = Recorder()
    net = ls.open(folder / "nets" / "net.arch", NET)
    changed = lsp.FileEvent((folder / "lib" / "l.arch").as_uri(), lsp.FileChangeType.Changed)

    def tell() -> None:
        did_change_watched_files(ls, lsp.DidChangeWatchedFilesParams([changed]))

    (folder / "lib" / "l.arch").write_text(LIBRARY.replace("conv", "cnv"))
    tell()
    assert "unknown operation" in net.problems()[0]
    (folder / "lib" / "l.arch").unlink()
    tell()
    assert "no such file" in net.problems()[0]
    (folder / "lib" / "l.arch").write_text(LIBRARY.replace("3x3 pad=1", "1x1 /2"))
    tell()
    assert net.problems() == [] and net.hints()[4] == "16x2x2"


@pytest.mark.parametrize("where", ["net", "library"])
def test_rename_across_folders(folder: Path, where: str) -> None:
    """From either end; the other file need not be open."""
    ls = Recorder(folder)
    path, text = (
        (folder / "nets" / "net.arch", NET) if where == "net" else (folder / "lib/l.arch", LIBRARY)
    )
    file = ls.open(path, text)
    changed = file.rename("unit", "part")
    assert changed == {
        "l.arch": LIBRARY.replace("unit", "part"),
        "net.arch": NET.replace("unit", "part"),
    }
    changed = file.rename("act=", "activation")
    assert changed["net.arch"] == NET.replace("act=gelu", "activation=gelu")
    assert "{ conv out 3x3 pad=1 -> activation }" in changed["l.arch"]


def test_rename_finds_a_library_beyond_the_clients_folders(folder: Path) -> None:
    net = Recorder().open(folder / "nets" / "net.arch", NET)
    assert set(net.rename("unit", "part")) == {"net.arch", "l.arch"}


def test_rename_is_of_the_edited_texts(folder: Path) -> None:
    ls = Recorder()
    net = ls.open(folder / "nets" / "net.arch", NET)
    library = ls.open(folder / "lib" / "l.arch", LIBRARY)
    library.replace("# A part.", "# A part.\n# Of two lines.\nblock more(out) { unit out }")
    assert net.rename("unit", "part")["l.arch"] == library.text.replace("unit", "part")


@pytest.mark.parametrize(
    ("words", "new", "why"),
    [
        ("unit", "conv", "`conv` reaches itself"),  # its own step would be itself
        ("unit", "gap", "net.arch: `gap` needs `out`"),
        ("unit", "net", "net.arch"),
        ("classes=10", "in", "no name"),
        ("head", "class", "cannot be a label"),
        ("head", "forward", "clash"),
        ("net(", "small", "`small` is taken"),
        ("linear", "dense", "nothing here"),
    ],
)
def test_no_rename_changes_what_anything_means(
    folder: Path, words: str, new: str, why: str
) -> None:
    net = Recorder().open(folder / "nets" / "net.arch", NET)
    with pytest.raises(JsonRpcInvalidParams, match=why):
        net.rename(words, new)


def test_a_rename_takes_no_other_words(tmp_path: Path) -> None:
    """Nothing would be wrong, but a step would be another one."""
    net = Recorder().open(
        tmp_path / "a.arch", "block end() { relu }\nmodel a { input 3; end; gelu }\n"
    )
    with pytest.raises(JsonRpcInvalidParams, match=r"in a\.arch something else is called `gelu`"):
        net.rename("end", "gelu")
    loop = "model a(n=1) { input 3; for k in [1, 2] { linear k }; linear n }\n"
    net = Recorder().open(tmp_path / "b.arch", loop)
    assert net.rename("n=1", "m")["b.arch"] == loop.replace("n=1", "m=1").replace("r n", "r m")
    assert net.rename("n=1", "k")["b.arch"].count("k") == 4  # `k` of the loop ends before
    inner = loop.replace("linear k }", "linear (k * n) }")
    net.edit(lsp.Position(0, 0), lsp.Position(9, 0), inner)
    with pytest.raises(JsonRpcInvalidParams, match="something else is called `k`"):
        net.rename("n=1", "k")


def test_rename_waits_for_syntax_errors(folder: Path) -> None:
    net = Recorder().open(folder / "nets" / "net.arch", NET.replace("gelu", "gelu -> unit ("))
    with pytest.raises(JsonRpcInvalidParams, match=r"net\.arch has syntax errors"):
        net.rename("classes", "outputs")


def test_the_project_has_symbols(folder: Path) -> None:
    ls = Recorder(folder)

    def ask(query: str) -> dict[str, str]:
        found = reading.workspace_symbols(ls, lsp.WorkspaceSymbolParams(query))
        return {symbol.name: str(symbol.container_name) for symbol in found}

    assert ask("") == {"unit": "l.arch", "net": "net.arch", "small": "net.arch"}
    assert ask("NT") == {"unit": "l.arch", "net": "net.arch"} and ask("x") == {}


# ---- aliases, lenses, ranges -----------------------------------------------------------------


def test_hover_on_an_alias_tells_its_own_values(folder: Path) -> None:
    net = Recorder().open(folder / "nets" / "net.arch", NET)
    assert "small [classes=3]" in net.hover("small")
    assert "here: 3" in net.hover("classes=3")
    assert "net [classes=10]" in net.hover("net(") and "here: 10, 3" in net.hover("classes=10")
    chain = NET + "model tiny = small\nmodel large = tiny classes=20\n"
    net.edit(lsp.Position(0, 0), lsp.Position(999, 0), chain)
    assert "tiny [classes=3]" in net.hover("tiny =") and "here: 20" in net.hover("classes=20")
    assert "large [classes=20]" in net.hover("large")


def test_lenses_tell_costs(folder: Path) -> None:
    net = Recorder(folder).open(
        folder / "nets" / "net.arch", NET + "block half(o) { conv o 1x1 }\n"
    )

    def shown() -> dict[int, str]:
        found = reading.code_lens(net.ls, lsp.CodeLensParams(net.id))
        return {one.range.start.line: str(one.command and one.command.title) for one in found}

    # 3*8*9+8, 8*16*9+16, 16*10+10; nobody calls `half`
    assert shown() == {2: "1.56k parameters, 87.7k MACs", 9: "1.44k parameters, 87.6k MACs"}
    net.replace("unit 16 act=gelu", "half 4 -> half 8 -> unit 16 act=gelu")
    assert shown()[10] == "36 to 40 parameters, 2.05k MACs in 2 different calls"
    net.replace("flatten", "flatten -> (")
    assert shown()[10] == "36 to 40 parameters, 2.05k MACs in 2 different calls"


def test_selections_grow(folder: Path) -> None:
    net = Recorder().open(folder / "nets" / "net.arch", NET)
    params = lsp.SelectionRangeParams(net.id, [net.at("gelu", 2), lsp.Position(999, 0)])
    found, end = reading.selection_range(net.ls, params)
    texts, one = [], found
    source = Source("", NET)
    while one is not None:
        ends = (one.range.start, one.range.end)
        texts.append(NET[slice(*(net.ls.convert.offset(source, at) for at in ends))])
        one = one.parent  # type: ignore[assignment]
    assert texts[:3] == ["gelu", "act=gelu", "unit 16 act=gelu"]
    assert "unit 8 -> unit 16 act=gelu" in texts and texts[-1] == NET
    assert all(a in b for a, b in pairwise(texts))
    assert end.range.end == lsp.Position(len(source.lines) - 1, 0)


# ---- the one style, fixes --------------------------------------------------------------------


UGLY = "model net {\n  input   3\n  linear  4;relu\n\n\n\n  linear   5\n}\n"


def ranged(file: File, first: int, last: int, character: int = 0) -> str:
    where = lsp.Range(lsp.Position(first, 0), lsp.Position(last, character))
    options = lsp.FormattingOptions(2, True)
    params = lsp.DocumentRangeFormattingParams(file.id, where, options)
    edits = writing.range_formatting(file.ls, params)
    return applied(file.ls, lsp.WorkspaceEdit(changes={file.uri: edits}))["a.arch"] if edits else ""


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_range_formatting(tmp_path: Path, end: str) -> None:
    text = UGLY.replace("\n", end)
    file = Recorder().open(tmp_path / "a.arch", text)
    assert ranged(file, 1, 2) == text.replace("input   3", "input 3")
    assert ranged(file, 6, 6, 3) == text.replace("linear   5", "linear 5")
    assert ranged(file, 0, 1) == "" and ranged(file, 7, 8) == ""
    params = lsp.DocumentFormattingParams(file.id, lsp.FormattingOptions(2, True))
    (edit,) = writing.formatting(file.ls, params)
    assert ranged(file, 0, 99) == edit.new_text
    styled = Recorder().open(tmp_path / "b.arch", edit.new_text)
    params.text_document = styled.id
    assert writing.formatting(styled.ls, params) == []
    assert ("\r" in edit.new_text) == (end == "\r\n")


def actions(file: File, *only: str) -> list[lsp.CodeAction]:
    where = lsp.Range(lsp.Position(0, 0), lsp.Position(0, 0))
    context = lsp.CodeActionContext([], [lsp.CodeActionKind(kind) for kind in only] or None)
    return writing.code_action(file.ls, lsp.CodeActionParams(file.id, where, context))


def test_fix_all(tmp_path: Path) -> None:
    text = (
        "model net {\n  input 3x8x8\n  Conv2d 16 3 padding=1 -> bn\n  conv 8 3x3 pad 1 -> relu\n}\n"
    )
    text += "model other {\n  input 3x8x8\n  Conv2d 16 3\n}\n"
    file = Recorder().open(tmp_path / "a.arch", text.replace("\n", "\r\n"))
    for only in ([], ["source"], ["source.fixAll"]):
        (action,) = [a for a in actions(file, *only) if a.kind == "source.fixAll"]
        assert action.edit is not None
        (mended,) = applied(file.ls, action.edit).values()
        assert mended == (
            "model net {\n  input 3x8x8\n  conv 16 3 pad=1 bias=false -> bn\n"
            "  conv 8 3x3 pad=1 -> relu\n}\nmodel other {\n  input 3x8x8\n  conv 16 3\n}\n"
        ).replace("\n", "\r\n")
    assert actions(file, "refactor") == actions(file, "source.organizeImports") == []
    assert actions(file, "quickfix") == []  # none on the first line
    clean = Recorder().open(tmp_path / "b.arch", NET.replace('use "../lib/l.arch"\n', ""))
    assert actions(clean, "source.fixAll") == []


# ---- files that are not open -----------------------------------------------------------------


@pytest.mark.parametrize("state", ["on disk", "gone", "a folder", "bytes", "untitled", "closed"])
def test_every_question_about_a_file_that_is_not_open_has_an_answer(
    tmp_path: Path, state: str
) -> None:
    ls, path = Recorder(), tmp_path / "net.arch"
    text = NET.replace(
        'use "../lib/l.arch"\n', "block unit(out, act=relu) { conv out 1x1 -> act }\n"
    )
    if state in ("on disk", "closed"):
        path.write_text(text)
    elif state == "a folder":
        path.mkdir()
    elif state == "bytes":
        path.write_bytes(b"\xff\xfe model")
    uri = "untitled:Untitled-1" if state == "untitled" else path.as_uri()
    file = File(ls, uri)
    if state == "closed":
        ls.open(path, "model other { input 3 }")
        ls.workspace.remove_text_document(uri)
        did_close(ls, lsp.DidCloseTextDocumentParams(file.id))
    at = lsp.Position(4, 3)
    whole = lsp.Range(lsp.Position(0, 0), at)
    options = lsp.FormattingOptions(2, True)
    here = {"text_document": file.id, "position": at}
    answers = [
        reading.hover(ls, lsp.HoverParams(**here)),
        reading.go_to_definition(ls, lsp.DefinitionParams(**here)),
        reading.highlight(ls, lsp.DocumentHighlightParams(**here)),
        reading.document_symbols(ls, lsp.DocumentSymbolParams(file.id)),
        reading.inlay_hint(ls, lsp.InlayHintParams(file.id, whole)),
        reading.code_lens(ls, lsp.CodeLensParams(file.id)),
        reading.references(ls, lsp.ReferenceParams(lsp.ReferenceContext(True), **here)),
    ]
    known = state in ("on disk", "closed")
    assert all(bool(answer) == known for answer in answers), answers
    reading.folding(ls, lsp.FoldingRangeParams(file.id))
    reading.semantic_tokens(ls, lsp.SemanticTokensParams(file.id))
    reading.selection_range(ls, lsp.SelectionRangeParams(file.id, [at]))
    writing.signature_help(ls, lsp.SignatureHelpParams(**here))
    writing.completion(ls, lsp.CompletionParams(**here))
    writing.formatting(ls, lsp.DocumentFormattingParams(file.id, options))
    writing.prepare_rename(ls, lsp.PrepareRenameParams(**here))
    actions(file)
    told = dict(ls.told)
    file.edit(at, at, "x")  # of a file that the client has not opened
    assert ls.told == told and ls.known == {}


def test_names_of_files_with_spaces(tmp_path: Path) -> None:
    """The client's URI is the one that is answered with."""
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "l.arch").write_text(LIBRARY)
    ls = Recorder()
    net = ls.open(tmp_path / "a b" / "n 1.arch", NET.replace("../lib/", ""))
    (tmp_path / "a b" / "l.arch").write_text("block unit(out, act=relu) { conv out 1x1 -> }")
    did_change_watched_files(ls, lsp.DidChangeWatchedFilesParams([]))
    assert "%20" in net.uri and set(ls.told) == {net.uri} and net.problems()


def test_the_server_asks_to_be_told_of_changes_on_disk() -> None:
    asked: list[lsp.RegistrationParams] = []

    class Registering(Recorder):
        async def client_register_capability_async(self, params: lsp.RegistrationParams) -> None:
            asked.append(params)

    ls = Registering()
    asyncio.run(initialized(ls, lsp.InitializedParams()))
    assert not asked  # the client cannot
    watched = lsp.DidChangeWatchedFilesClientCapabilities(dynamic_registration=True)
    workspace = lsp.WorkspaceClientCapabilities(did_change_watched_files=watched)
    ls.protocol.client_capabilities = lsp.ClientCapabilities(workspace=workspace)
    asyncio.run(initialized(ls, lsp.InitializedParams()))
    (registration,) = asked[0].registrations
    assert registration.method == "workspace/didChangeWatchedFiles"
    options = registration.register_options
    assert isinstance(options, lsp.DidChangeWatchedFilesRegistrationOptions)
    assert [watcher.glob_pattern for watcher in options.watchers] == ["**/*.arch"]


def test_a_file_behind_a_link_is_edited_where_it_is_open(folder: Path) -> None:
    (folder / "link").symlink_to(folder / "nets")
    ls = Recorder()
    net = ls.open(folder / "link" / "net.arch", NET)
    library = ls.open(folder / "lib" / "l.arch", LIBRARY)
    edit = writing.rename(ls, lsp.RenameParams(library.id, library.at("unit"), "part"))
    assert edit.changes is not None and set(edit.changes) == {net.uri, library.uri}
    found = reading.go_to_definition(ls, lsp.DefinitionParams(net.id, net.at("classes\n")))
    assert found is not None and found.uri == net.uri


def test_a_library_that_comes_to_stand_before_a_shipped_one(tmp_path: Path) -> None:
    ls = Recorder()
    text = 'use "resnet18.arch"\nmodel own = resnet18 classes=5\n'
    net = ls.open(tmp_path / "net.arch", text)
    assert net.hints() == {1: "5"}
    (tmp_path / "resnet18.arch").write_text(
        "model resnet18(classes=3) { input 4; linear (classes*2) }"
    )
    did_change_watched_files(ls, lsp.DidChangeWatchedFilesParams([]))
    assert net.hints() == {1: "10"}
