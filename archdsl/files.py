"""Writing files so that nothing is ever half-written."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path of the same name in a new folder beside the target, for those who write files
    themselves. What lies in that folder at the end replaces what the target's folder has of those
    names; on an error nothing does. Links are followed; a device or a pipe gets the file's bytes.
    Raises OSError."""
    target = Path(os.path.realpath(path))
    through = is_special(target)
    where = None if through else target.parent
    with tempfile.TemporaryDirectory(dir=where, prefix=f".{target.name}."[:200]) as folder:
        beside = Path(folder) / target.name
        yield beside
        if through:
            target.write_bytes(beside.read_bytes())
            return
        # the file that was asked for comes last: it may refer to the others
        for file in sorted(Path(folder).iterdir(), key=lambda file: file == beside):
            _replace(file, target.parent / file.name)


def write_atomic(path: Path, data: str | bytes) -> None:
    """Write beside the target, then rename over it. Links are followed; a device or a pipe is
    written to. Raises OSError, the old file then untouched."""
    content = data.encode() if isinstance(data, str) else data
    target = Path(os.path.realpath(path))
    if is_special(target):
        target.write_bytes(content)
        return
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}."[:200])
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _replace(Path(temporary), target)
    except BaseException:
        os.unlink(temporary)
        raise


def is_special(path: Path) -> bool:
    """A device, a pipe, a socket: what a file in its place would destroy."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _replace(new: Path, target: Path) -> None:
    os.chmod(new, target.stat().st_mode if target.exists() else 0o666 & ~_umask())
    os.replace(new, target)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
