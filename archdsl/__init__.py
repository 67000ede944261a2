"""archdsl: a compiler for neural-network architectures.

`load` a spec as a torch module, `check` it without torch, `compile` it to an artefact. Importing
the package loads next to nothing; torch is imported by what needs it.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Report", "SpecError", "check", "compile", "export", "load"]

if TYPE_CHECKING:
    from archdsl.api import Report, check, compile, export, load
    from archdsl.pipeline import SpecError


def __getattr__(name: str) -> Any:
    if name in __all__:
        from archdsl import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
