"""What the language server knows while it runs: the open files, and their analyses.

An analysis holds as long as its text and those of the files that it uses stay as they are; open
files are read as they stand in the editor, saved or not, all others from disk.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from lsprotocol import types as lsp
from pygls.lsp.server import LanguageServer

from archdsl import __version__
from archdsl.diagnostics.source import Source
from archdsl.editor.analysis import Analysis
from archdsl.editor.convert import Convert
from archdsl.editor.positions import Encoding
from archdsl.editor.workspace import Protocol, Workspace, name_of, path_of
from archdsl.loading import Files
from archdsl.names.symbols import SHARED, Occurrence, Symbol

MOST_FILES = 300  # are searched for references


class Server(LanguageServer):
    """The server and what it knows."""

    def __init__(self) -> None:
        super().__init__("archdsl", __version__, protocol_cls=Protocol)
        self.known: dict[str, Analysis] = {}
        self.newest: dict[str, int | None] = {}
        self.took: dict[str, float] = {}

    @property
    def workspace(self) -> Workspace:
        found = self.protocol.workspace
        assert isinstance(found, Workspace)
        return found

    @property
    def convert(self) -> Convert:
        uris = {name_of(document.uri): document.uri for document in self.workspace.open}
        return Convert(cast(Encoding, str(self.workspace.position_encoding or "utf-16")), uris)

    @property
    def files(self) -> Files:
        """Open documents before the disk."""
        paths = ((path_of(document.uri), document.source) for document in self.workspace.open)
        return Files({path: text for path, text in paths if path is not None})

    def analysis(self, uri: str) -> Analysis:
        """Of a file's text as it stands now."""
        text, known = self.workspace.get_text_document(uri).source, self.known.get(uri)
        if known is not None and known.source.text == text and self.is_current(known):
            return known
        path = path_of(uri)
        folder = path.parent if path is not None else Path.cwd()
        began = time.perf_counter()
        analysis = Analysis(Source(name_of(uri), text), folder, known, self.files)
        if self.workspace.is_open(uri):
            _ = analysis.checked  # now, so that the time is known
            self.took[uri] = time.perf_counter() - began
            self.known[uri] = analysis
        return analysis

    def is_current(self, analysis: Analysis) -> bool:
        return self.files.are(analysis.spec.loaded.texts)

    def forget(self, uri: str) -> None:
        self.known.pop(uri, None)
        self.newest.pop(uri, None)
        self.took.pop(uri, None)

    def publish(self, uri: str) -> None:
        if not self.workspace.is_open(uri):
            return
        version = self.workspace.get_text_document(uri).version
        found = self.convert.diagnostics(self.analysis(uri))
        self.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(uri, found, version))

    def refresh(self) -> None:
        """Check the open files anew whose used files have changed."""
        stale = []
        for document in self.workspace.open:
            known = self.known.get(document.uri)
            if known is not None and not self.is_current(known):
                stale.append(document.uri)
        for uri in stale:
            self.publish(uri)
        asked = self.client_capabilities.workspace
        if stale and asked and asked.inlay_hint and asked.inlay_hint.refresh_support:
            self.workspace_inlay_hint_refresh(None)

    # ---- other files -------------------------------------------------------------------------

    def project(self, near: Analysis | None = None, symbol: Symbol | None = None) -> list[Analysis]:
        """The open files, those that `near` uses, those beside it and beside the definition of
        `symbol`, and those in the client's folders."""
        found = [self.analysis(document.uri) for document in self.workspace.open]
        seen = {analysis.source.name for analysis in found}
        files = self.files
        for path in self._paths(near, symbol):
            if str(path) not in seen and len(seen) < MOST_FILES:
                seen.add(str(path))
                source, problems = files.read(path)
                if not problems:
                    found.append(Analysis(source, path.parent, files=files))
        if near is not None and near.source.name not in seen:
            found.append(near)
        return found

    def _paths(self, near: Analysis | None, symbol: Symbol | None) -> Iterator[Path]:
        folders = [path_of(uri) for uri in self.workspace.folders]
        beside: list[Path] = []
        if near is not None:
            yield from near.spec.loaded.texts
            beside.append(near.folder)
        if symbol is not None and symbol.span is not None:
            beside.append(Path(symbol.span.source.name).parent)
        for folder, pattern in (
            *((folder, "*.arch") for folder in beside),
            *((folder, "**/*.arch") for folder in folders if folder is not None),
        ):
            if folder not in (Path.home(), Path("/")):
                yield from (path.resolve() for path in sorted(folder.glob(pattern)))

    def references(self, near: Analysis, symbol: Symbol) -> list[Occurrence]:
        """Every word that names a symbol, in all files where there may be one."""
        files = self.project(near, symbol) if symbol.kind in SHARED else [near]
        return [word for analysis in files for word in analysis.named(symbol)]


server = Server()
