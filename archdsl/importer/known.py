"""Which operators a class or function of torch may be lifted to: the table, read backwards."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from torch import nn
from torch.nn.modules import container

from archdsl.ops import TABLE, Op

#: torch's modules that hold others, and have no computation of their own
CONTAINERS = tuple(
    c for c in vars(container).values() if inspect.isclass(c) and c.__module__ == container.__name__
)


@functools.cache
def lifters() -> dict[str, tuple[type[Op], ...]]:
    """For each name that `Seen` may have, the operators that lift it, the general ones last."""
    found: dict[str, list[type[Op]]] = {}
    for op in sorted(TABLE.values(), key=lambda op: op.general):
        for name in op.lifts:
            found.setdefault(name, []).append(op)
    return {name: tuple(ops) for name, ops in found.items()}


def class_name(module: nn.Module) -> str:
    """The name by which a module's computation is known: of the class that says what it does."""
    cls: Any = type(module)
    return _known_name(cls)


def is_leaf(module: nn.Module) -> bool:
    """Whether a module is called as a whole: the table knows it."""
    return class_name(module) in lifters()


def torch_name(module: nn.Module) -> str:
    """The name of torch's own layers, such as `nn.LSTM`; "" for others and for containers."""
    own = type(module).__module__.startswith("torch.nn.modules.")
    return _name(type(module)) if own and not isinstance(module, CONTAINERS) else ""


@functools.cache
def _known_name(cls: Any) -> str:
    """A class computes what its base does unless it has a `forward` of its own."""
    for base in cls.__mro__:
        if _name(base) in lifters():
            return _name(base)
        if "forward" in vars(base):
            break
    return _name(cls)


def _name(cls: type) -> str:
    if cls.__module__.startswith("torch.nn.modules."):
        return f"nn.{cls.__qualname__}"
    support = _support(cls)
    return support or f"{cls.__module__}.{cls.__qualname__}"


@functools.cache
def _support(cls: type) -> str:
    """The class's name where its text is one that our own emitted sources hold."""
    begins = f"class {cls.__name__}("
    texts = {t for op in TABLE.values() for t in op.defines() if t.startswith(begins)}
    if not texts:
        return ""
    try:
        text = inspect.getsource(cls)
    except (OSError, TypeError):
        return ""
    return cls.__name__ if _plain(text) in map(_plain, texts) else ""


def _plain(text: str) -> str:
    """Without the line breaks, which the emitter may set anew."""
    return "".join(text.split())
