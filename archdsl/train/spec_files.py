"""A spec's text and that of all the files it uses, so that a checkpoint holds the whole of it."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from archdsl.diagnostics.source import Source
from archdsl.loading import DISK, Files
from archdsl.ops.table import Shape
from archdsl.pipeline import Spec, open_spec


@dataclass(frozen=True)
class SpecFiles:
    """`files` by their path below their common folder; `root` is the one that was named, `model`
    the model in it where it was named too; `origin` how a person would name it again."""

    files: Mapping[str, str]
    root: str
    model: str | None = None
    origin: str | None = None

    @classmethod
    def of(cls, spec: Spec) -> SpecFiles:
        """What a spec was read from."""
        named = not spec.source.name.startswith("<")
        start = Path(spec.source.name).resolve() if named else spec.folder / "spec.arch"
        used = {path: text for path, text in spec.loaded.texts.items() if text is not None}
        texts = {start: spec.source.text, **used}
        top = os.path.commonpath([path.parent for path in texts])
        files = {path.relative_to(top).as_posix(): text for path, text in texts.items()}
        root = start.relative_to(top).as_posix()
        return cls(files, root, spec.model, str(start) if named else None)

    @property
    def text(self) -> str:
        return self.files[self.root]

    def plain(self) -> dict[str, Any]:
        return {**asdict(self), "files": dict(self.files)}

    def opened(self, params: Mapping[str, Any], input: Shape | None) -> Spec:
        """The spec as it was, whatever the disk has now."""
        start, name = self._top / self.root, self.origin or "<text>"
        files = Files(self._held, disk=False)
        source = Source(name, self.text)
        return Spec(source, start.parent, self.model, params=params, input=input, files=files)

    @property
    def _top(self) -> Path:
        if self.origin is None:
            return Path.cwd()
        return Path(self.origin).parents[self.root.count("/")]

    @property
    def _held(self) -> dict[Path, str]:
        return {self._top / name: text for name, text in self.files.items()}

    def as_now(self) -> SpecFiles | None:
        """The same spec as its file reads now; None where there is no such file any more."""
        if self.origin is None or not Path(self.origin).is_file():
            return None
        if DISK.are(self._held):
            return self
        return SpecFiles.of(open_spec(f"{self.origin}:{self.model}" if self.model else self.origin))

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
