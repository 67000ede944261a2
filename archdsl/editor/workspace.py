"""The open files, kept as the client edits them.

pygls cuts lines as Python's `splitlines` does, at form feeds and U+2028 too, which would shift
every edit behind one. Here an edit's positions become offsets in one way only: `positions.offset`.
A file that is not open is read from disk; one that is gone has no text.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

from lsprotocol import types as lsp
from pygls import uris
from pygls.protocol import LanguageServerProtocol
from pygls.workspace import TextDocument
from pygls.workspace import Workspace as PyglsWorkspace

from archdsl.diagnostics.source import Source
from archdsl.editor.positions import Encoding, offset
from archdsl.loading import read


class Document(TextDocument):
    """One file's text."""

    @property
    def source(self) -> str:
        if self._source is not None:
            return self._source
        path = path_of(self.uri)
        return read(path)[0].text if path is not None else ""

    def _apply_incremental_change(self, change: lsp.TextDocumentContentChangePartial) -> None:
        source = Source(self.uri, self.source)
        encoding = cast(Encoding, str(self.position_codec.encoding or "utf-16"))
        start, end = (
            offset(source, at.line, at.character, encoding)
            for at in (change.range.start, change.range.end)
        )
        self._source = source.text[:start] + change.text + source.text[max(start, end) :]


class Workspace(PyglsWorkspace):
    """All of them, and the client's folders."""

    def _create_text_document(
        self,
        doc_uri: str,
        source: str | None = None,
        version: int | None = None,
        language_id: str | None = None,
    ) -> TextDocument:
        return Document(
            doc_uri,
            source,
            version,
            language_id,
            sync_kind=self._sync_kind,
            position_codec=self.position_codec,
        )

    def update_text_document(
        self,
        text_doc: lsp.VersionedTextDocumentIdentifier,
        change: lsp.TextDocumentContentChangeEvent,
    ) -> None:
        if self.is_open(text_doc.uri):
            super().update_text_document(text_doc, change)

    def is_open(self, uri: str) -> bool:
        return self.get_text_document(uri) in self.text_documents.values()

    @property
    def open(self) -> list[TextDocument]:
        return list(self.text_documents.values())


class Protocol(LanguageServerProtocol):
    """pygls's, with this workspace."""

    @property
    def workspace(self) -> Workspace:
        known = super().workspace
        if not isinstance(known, Workspace):
            folders = list(known.folders.values())
            known = Workspace(known.root_uri, known._sync_kind, folders, known.position_encoding)
            self._workspace = known
        return known


def name_of(uri: str) -> str:
    """The name of its text: links are followed, so that `use` and the client mean one file."""
    path = path_of(uri)
    return uri if path is None else str(path)


def path_of(uri: str) -> Path | None:
    """The file of a URI, whether there is one or not."""
    path = uris.to_fs_path(uri) if uri.startswith("file:") else None
    return Path(path).resolve() if path else None
