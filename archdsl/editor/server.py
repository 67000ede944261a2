"""`archdsl lsp`: the language server.

Every answer is read off the `Analysis` of the text as it stands; the features only take requests
apart and put answers together: here those that follow the texts; in `reading`, `writing` and
`beside` those that answer. Nothing may print to standard output: it is the protocol's.
"""

from __future__ import annotations

import asyncio

from lsprotocol import types as lsp

from archdsl.editor import beside, reading, writing
from archdsl.editor.session import Server, server

__all__ = ["Server", "beside", "reading", "serve", "server", "writing"]

QUICK = 0.05  # an analysis that takes longer waits until the writer pauses
LONGEST_WAIT = 0.4


def serve() -> None:
    """Answer on standard input and output until the client ends it."""
    server.start_io()


@server.feature(lsp.INITIALIZED)
async def initialized(ls: Server, params: lsp.InitializedParams) -> None:
    """Ask to be told of changes on disk."""
    asked = ls.client_capabilities.workspace
    watched = asked.did_change_watched_files if asked else None
    if watched is None or not watched.dynamic_registration:
        return
    options = lsp.DidChangeWatchedFilesRegistrationOptions([lsp.FileSystemWatcher("**/*.arch")])
    method = lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES
    registration = lsp.Registration("archdsl-files", method, options)
    await ls.client_register_capability_async(lsp.RegistrationParams([registration]))


@server.feature(lsp.TEXT_DOCUMENT_DID_OPEN)
def did_open(ls: Server, params: lsp.DidOpenTextDocumentParams) -> None:
    ls.publish(params.text_document.uri)
    ls.refresh()


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
        await asyncio.sleep(QUICK)
        if ls.newest.get(uri) == version:
            ls.refresh()


@server.feature(lsp.TEXT_DOCUMENT_DID_SAVE)
def did_save(ls: Server, params: lsp.DidSaveTextDocumentParams) -> None:
    ls.publish(params.text_document.uri)
    ls.refresh()


@server.feature(lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES)
def did_change_watched_files(ls: Server, params: lsp.DidChangeWatchedFilesParams) -> None:
    """A library changed on disk is checked anew for its users."""
    ls.refresh()


@server.feature(lsp.TEXT_DOCUMENT_DID_CLOSE)
def did_close(ls: Server, params: lsp.DidCloseTextDocumentParams) -> None:
    uri = params.text_document.uri
    ls.forget(uri)
    ls.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(uri, []))
    ls.refresh()
