"""Trees and programs are made without Python's search for cycles, of which they have none: it grows
faster than a text, and took a third of the time for 2,000 lines."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collection() -> Iterator[None]:
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
