"""What cannot be computed, raised where it is found."""

from __future__ import annotations

from archdsl.diagnostics.model import Diagnostic


class Problem(Exception):
    """What cannot be computed; `diagnostic` None: it is reported already."""

    def __init__(self, diagnostic: Diagnostic | None) -> None:
        super().__init__()
        self.diagnostic = diagnostic
