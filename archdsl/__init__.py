"""archdsl: a compiler for neural-network architectures.

`load` a spec as a torch module, `check` it without torch, `compile` it to an artefact. Importing
the package loads next to nothing; torch is imported by what needs it.
"""

from typing import TYPE_CHECKING, Any

from archdsl._version import __version__ as __version__

__all__ = [
    "CannotImport",
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
    "spec",
    "specs",
    "summary",
]

if TYPE_CHECKING:
    from archdsl.api import (
        Report,
        check,
        compile,
        diff,
        draw,
        export,
        load,
        operators,
        spec,
        specs,
        summary,
    )
    from archdsl.diagnostics.model import Diagnostic
    from archdsl.importer.errors import CannotImport
    from archdsl.ir.graph import Program
    from archdsl.pipeline import SpecError
    from archdsl.runtime.errors import WeightsError


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


#: where the public names stand that are not functions of the API
_ELSEWHERE = {
    "CannotImport": "archdsl.importer.errors",
    "Diagnostic": "archdsl.diagnostics.model",
    "Program": "archdsl.ir.graph",
    "SpecError": "archdsl.pipeline",
    "WeightsError": "archdsl.runtime.errors",
    "load_ipython_extension": "archdsl.notebook",  # `%load_ext archdsl`
}


def __getattr__(name: str) -> Any:
    if name in __all__ or name in _ELSEWHERE:
        from importlib import import_module

        return getattr(import_module(_ELSEWHERE.get(name, "archdsl.api")), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
