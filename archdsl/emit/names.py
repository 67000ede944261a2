"""Names in the emitted source: what they may be, and how to make one."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Container

#: what an emitted module may use besides its own classes
OURS = frozenset(
    (
        "torch",
        "nn",
        "F",
        "Tensor",
        "math",
        "OrderedDict",
        "Callable",
        "layers",
        "NamedTuple",
        "self",
        "m",
        "x",
        "_",
        "i",
        "part",
    )
)
TAKEN = frozenset(keyword.kwlist) | frozenset(keyword.softkwlist) | frozenset(dir(builtins)) | OURS


def camel(name: str) -> str:
    """`inverted_residual` -> `InvertedResidual`; empty where nothing of the name remains."""
    parts = re.findall(r"[A-Za-z0-9]+", name)
    return "".join(part[0].upper() + part[1:] for part in parts).lstrip("0123456789")


def variable(name: str) -> str:
    """A name as a variable or parameter: lower case, so that it cannot hide a class."""
    plain = "_".join(re.findall(r"[A-Za-z0-9]+", name)).lower().lstrip("0123456789_")
    return plain or "value"


def unique(name: str, taken: Container[str]) -> str:
    """The name, or where it is taken one like it: `class_`, `x2`, `layer1_2`."""
    if keyword.iskeyword(name) or hasattr(builtins, name):
        name += "_"
    if name not in taken:
        return name
    name += "_" if name[-1:].isdigit() else ""
    number = 2
    while f"{name}{number}" in taken:
        number += 1
    return f"{name}{number}"


def defined(support: str) -> list[str]:
    """The names that an operator's support source defines."""
    return re.findall(r"^(?:class|def)\s+(\w+)", support, re.M) + re.findall(
        r"^(\w+)\s*(?::[^=\n]*)?=", support, re.M
    )
