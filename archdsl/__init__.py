"""archdsl: a compiler for neural-network architectures.

`load` a spec as a torch module, `check` it without torch, `compile` it to an artefact. Importing
the package loads next to nothing; torch is imported by what needs it.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = [
    "Diagnostic",
    "Program",
    "Report",
    "SpecError",
    "WeightsError",
    "check",
    "compile",
    "diff",
    "draw",
    "export",
    "load",
    "operators",
    "specs",
    "summary",
]

if TYPE_CHECKING:
    from archdsl.api import (
        Diagnostic,
        Program,
        Report,
        SpecError,
        check,
        compile,
        diff,
        draw,
        export,
        load,
        operators,
        specs,
        summary,
    )
    from archdsl.backends.errors import WeightsError


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def __getattr__(name: str) -> Any:
    if name == "WeightsError":
        from archdsl.backends.errors import WeightsError

        return WeightsError
    if name in __all__:
        from archdsl import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
