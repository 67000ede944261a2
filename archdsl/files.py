"""Writing files so that nothing is ever half-written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path of the same name in a new folder beside the target, for those who write files
    themselves. What lies in that folder at the end replaces what the target's folder has of those
    names; on an error nothing does. Raises OSError."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        beside = Path(folder) / path.name
        yield beside
        # the file that was asked for comes last: it may refer to the others
        made = sorted(Path(folder).iterdir(), key=lambda file: file == beside)
        for file in made:
            target = path.parent / file.name
            os.chmod(file, target.stat().st_mode if target.exists() else 0o666 & ~_umask())
            os.replace(file, target)


def write_atomic(path: Path, data: str | bytes) -> None:
    """Write beside the target, then rename over it. Raises OSError, the old file then untouched."""
    content = data.encode() if isinstance(data, str) else data
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        mode = path.stat().st_mode if path.exists() else 0o666 & ~_umask()
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
