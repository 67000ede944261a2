"""A spec's text and that of all the files it uses, so that a checkpoint holds the whole of it."""

from __future__ import annotations

import difflib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class SpecFiles:
    """`files` by their path below their common folder; `root` is the one that was named, `model`
    the model in it where it was named too; `origin` how a person would name it again."""

    files: Mapping[str, str]
    root: str
    model: str | None = None
    origin: str | None = None

    @classmethod
    def gather(cls, spec: str | Path) -> SpecFiles:
        """The files of a spec given as a path, `path:model`, a shipped name, or its text."""
        from archdsl.pipeline import open_spec

        opened = open_spec(spec)
        if opened.source.name.startswith("<"):
            start = opened.folder / "spec.arch"
            origin = None
        else:
            start = Path(opened.source.name).resolve()
            origin = str(start)
        texts: dict[Path, str] = {start: opened.source.text}
        waiting = [(opened.tree, opened.folder)]
        while waiting:
            tree, folder = waiting.pop()
            for use in () if tree is None else tree.uses:
                local = (folder / use.path).resolve()
                # Not beside the spec: one of the shipped ones, which open_spec finds by name.
                used = open_spec(str(local) if local.exists() else use.path)
                path = Path(used.source.name).resolve()
                if path not in texts:
                    texts[path] = used.source.text
                    waiting.append((used.tree, used.folder))
        top = os.path.commonpath([path.parent for path in texts])
        files = {path.relative_to(top).as_posix(): text for path, text in texts.items()}
        return cls(files, start.relative_to(top).as_posix(), opened.model, origin)

    @property
    def text(self) -> str:
        return self.files[self.root]

    def plain(self) -> dict[str, Any]:
        return {
            "files": dict(self.files),
            "root": self.root,
            "model": self.model,
            "origin": self.origin,
        }

    def as_now(self) -> SpecFiles | None:
        """The same spec as its file reads now; None where there is no such file any more."""
        if self.origin is None or not Path(self.origin).is_file():
            return None
        return SpecFiles.gather(self._named(self.origin))

    @contextmanager
    def opened(self) -> Iterator[str]:
        """What to hand to the compiler: the file itself while it is unchanged, else a copy."""
        now = self.as_now()
        if now is not None and now.files == self.files:
            assert self.origin is not None
            yield self._named(self.origin)
            return
        with tempfile.TemporaryDirectory(prefix="archdsl-") as folder:
            for name, text in self.files.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            yield self._named(str(Path(folder, self.root)))

    def _named(self, path: str) -> str:
        return f"{path}:{self.model}" if self.model else path

    def difference(self, other: SpecFiles) -> str:
        """What another version changes; empty when nothing."""
        lines: list[str] = []
        for name in dict.fromkeys([self.root, *self.files, *other.files]):
            before, after = self.files.get(name, ""), other.files.get(name, "")
            lines += difflib.unified_diff(
                before.splitlines(),
                after.splitlines(),
                f"{name} in the run",
                f"{name} now",
                lineterm="",
            )
        return "\n".join(lines)
