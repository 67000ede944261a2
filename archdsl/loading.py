"""Where texts come from: a spec's file, and those that it uses, read once each and parsed.

In: a path. Out: its text, or what is wrong with it; `Loader` reads a whole spec. `Files` says what
a path reads as: the disk, or texts that somebody holds, such as an editor or a checkpoint.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from archdsl.diagnostics.catalogue import CannotRead, NotText, Recursion
from archdsl.diagnostics.model import MAX_FOUND, Diagnostic
from archdsl.diagnostics.source import Source, Span
from archdsl.names.foreign import similar
from archdsl.names.units import Unit
from archdsl.syntax import tree as t
from archdsl.syntax.parse import parse
from archdsl.text import did_you_mean

PACKAGE = Path(__file__).parent
MAX_BYTES = 4_000_000
MAX_FILES = 64  # that one spec uses
MAX_CHAIN = 30  # files that use one another
MAX_WORDS = 2  # in all files that are used, as many times as one file may have
_WORDS = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class Files:
    """What paths read as: `held` texts, by resolved path, go before the disk's. Without `disk`
    there is nothing else, but the shipped specs."""

    held: Mapping[Path, str] = field(default_factory=dict)
    disk: bool = True

    def read(self, path: Path) -> tuple[Source, list[Diagnostic]]:
        """A file's text, or what is wrong with it."""
        if path in self.held:
            return Source(str(path), self.held[path].replace("\r\n", "\n")), []
        if self.disk or path.is_relative_to(specs_folder()):
            return read(path)
        return _unreadable(path, "there is no such file")

    def text(self, path: Path) -> str | None:
        """None where it cannot be read."""
        source, problems = self.read(path)
        return None if problems else source.text

    def are(self, texts: Mapping[Path, str | None]) -> bool:
        """Whether all of these read so now."""
        return all(self.text(path) == text for path, text in texts.items())

    def exists(self, path: Path) -> bool:
        shipped = path.is_relative_to(specs_folder())
        return path in self.held or ((self.disk or shipped) and exists(path))


DISK = Files()


@cache
def specs_folder() -> Path:
    """The shipped specs: inside an installed package, beside it in a checkout."""
    inside = PACKAGE / "specs"
    return inside if inside.is_dir() else PACKAGE.parent / "specs"


def shipped() -> list[str]:
    """The names of the shipped specs."""
    return sorted(path.stem for path in specs_folder().glob("*.arch"))


def exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long, a NUL byte: reading it will say so
        return False


def read(path: Path) -> tuple[Source, list[Diagnostic]]:
    """A file's text, or what is wrong with it."""
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            what = "it is a folder" if path.is_dir() else "it is no regular file"
            return _unreadable(path, what)
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        if not isinstance(error, FileNotFoundError):
            return _unreadable(path, str(error.strerror or error))
        near = " or ".join(f"`{name}`" for name in similar(path.stem, shipped()))
        near = f"the shipped spec {near}" if near else ""
        hint = did_you_mean([near] if near else [], "`archdsl specs` lists the shipped specs")
        return _unreadable(path, "there is no such file", hint)
    except ValueError:  # a NUL byte, or half a character
        return _unreadable(path, "that is not a path")
    if len(data) > MAX_BYTES:
        return _unreadable(path, "it is no spec, it is far too long")
    return decode(data, str(path))


def _unreadable(path: Path, reason: str, hint: str = "") -> tuple[Source, list[Diagnostic]]:
    nothing = Source(str(path), "")
    return nothing, [CannotRead(Span(nothing, 0, 0), str(path), reason, hint)]


def decode(data: bytes, name: str) -> tuple[Source, list[Diagnostic]]:
    """A text, or what is wrong with its bytes."""
    nothing = Source(name, "")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return nothing, [NotText(Span(nothing, 0, 0), name, error.start)]
    if "\0" in text:
        return nothing, [NotText(Span(nothing, 0, 0), name, data.index(0))]
    return Source(name, text.replace("\r\n", "\n")), []


class Loader:
    """Reads a spec's file and those that it uses, each once."""

    def __init__(self, files: Files, max_tokens: int, *, cut: bool = False) -> None:
        """`cut`: of a file that is too long the beginning counts."""
        self.cut = cut
        self.files, self.max_tokens = files, max_tokens
        self.found: list[Diagnostic] = []
        self.units: list[Unit] = []  # used files first
        self.by_path: dict[Path, Unit] = {}
        self.texts: dict[Path, str | None] = {}  # of the files used; None: it cannot be read
        self.root: Unit | None = None
        self.words = 0

    def load(self, source: Source, folder: Path, above: tuple[Path, ...]) -> Unit | None:
        tree, problems = parse(source, max_tokens=self.max_tokens, cut=self.cut and not above)
        self.found.extend(problems)
        if tree is None:
            return None
        paths = {use.path: use for use in reversed(tree.uses)}
        uses = [unit for use in paths.values() if (unit := self._use(use, folder, above))]
        unit = Unit(source, tree, tuple(reversed(uses)), prelude)
        self.units.append(unit)
        return unit

    def _use(self, use: t.UseFile, folder: Path, above: tuple[Path, ...]) -> Unit | None:
        if len(self.found) > MAX_FOUND:
            return None
        if not use.path.endswith(".arch"):
            hint = "`use` reads .arch files only"
            self.found.append(CannotRead(use.path_span, use.path, "it is no .arch file", hint))
            return None
        try:
            path = (folder / use.path).resolve()
            if not self.files.exists(path) and (specs_folder() / use.path).is_file():
                self.texts[path] = None
                path = (specs_folder() / use.path).resolve()
        except (OSError, ValueError, RuntimeError):  # too long, a NUL byte, links in a circle
            self.found.append(CannotRead(use.path_span, use.path, "that is not a path"))
            return None
        if len(above) > MAX_CHAIN:
            reason = f"files use one another more than {MAX_CHAIN} deep"
            self.found.append(CannotRead(use.path_span, use.path, reason))
            return None
        if path not in self.by_path and len(self.by_path) + len(above) >= MAX_FILES:
            reason = f"a spec may use at most {MAX_FILES} files"
            self.found.append(CannotRead(use.path_span, use.path, reason))
            return None
        if path in above:
            trail = " -> ".join(p.name for p in (*above, path))
            hint = "put what both need into a third file"
            self.found.append(Recursion(use.path_span, "the file", use.path, trail, hint))
            return None
        if path not in self.by_path:
            source, problems = self.files.read(path)
            self.texts[path] = None if problems else source.text
            for problem in problems:
                reason = getattr(problem, "reason", "it is not text")
                self.found.append(CannotRead(use.path_span, use.path, reason))
            self.words += len(_WORDS.findall(source.text))
            if self.words > MAX_WORDS * self.max_tokens:
                reason = f"the files used have over {MAX_WORDS * self.max_tokens:,} words together"
                self.found.append(CannotRead(use.path_span, use.path, reason))
                return None
            unit = None if problems else self.load(source, path.parent, (*above, path))
            if unit is None:
                return None
            self.by_path[path] = unit
        return self.by_path[path]


@cache
def prelude() -> Unit:
    """The blocks that every spec may use, written in the language itself."""
    source, problems = read(PACKAGE / "prelude" / "prelude.arch")
    tree, errors = parse(source)
    if tree is None or problems or errors:
        raise RuntimeError(f"the prelude is broken: {[*problems, *errors]}")
    return Unit(source, tree)
