"""The torch backend: a program as a live `nn.Module`.

In: a checked program. Out: an instance of the class that the source backend writes. The source is
executed as a real module, which tracebacks, `inspect.getsource` and torch.compile can see; pickles
carry it along, so that another process can load them, for a pickle runs code anyway.
"""

from __future__ import annotations

import hashlib
import inspect
import linecache
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from archdsl.emit.python import Emitted, emit_module
from archdsl.ir.expose import select
from archdsl.ir.graph import Program
from archdsl.runtime.errors import WeightsError
from archdsl.runtime.weights import assign_weights, load_weights, read_weights

__all__ = ["WeightsError", "build", "load_weights"]

PACKAGE = "archdsl._generated"
_lock = threading.Lock()


def build(
    program: Program,
    *,
    device: torch.device | str | None = None,
    weights: str | Path | Mapping[str, Tensor] | None = None,
) -> nn.Module:
    """A new module for a program, in training mode, with `module.program` to go back to it.

    Initial weights are drawn on the CPU whatever the device, so that a seed means the same
    everywhere; `device="meta"` draws nothing. With `weights`, a file that `load_weights` takes, or
    what is in one, nothing is drawn either: the file is mapped into memory. Raises `WeightsError`.
    """
    emitted = _emitted(program)
    cls = getattr(_execute(emitted.text, emitted.model), emitted.model)
    cls.program = program  # of the class: copies share it, pickles leave it behind
    module: nn.Module
    if weights is not None:
        module = _loaded(cls, weights)
    elif device is not None and torch.device(device).type == "meta":
        with torch.device("meta"), _Undrawn():
            module = cls()
    else:
        module = cls()
    return module if device is None else module.to(device)


def examples(program: Program, batch: int, *, device: str = "cpu") -> tuple[Tensor, ...]:
    """Inputs of the module, all zeros."""
    return tuple(
        torch.zeros(
            batch, *shape, dtype=torch.int64 if place in program.whole else None, device=device
        )
        for place, shape in enumerate(program.graph.input_shapes)
    )


def with_outputs(
    program: Program, module: nn.Module, outputs: Sequence[str]
) -> tuple[Program, nn.Module]:
    """A program and its module that give the values at these paths, as a named tuple, and have what
    they need alone of the weights of `module`, the whole program's. Raises ValueError where there
    is no such value."""
    part, state = select(program, outputs), module.state_dict()
    made = build(part, weights={key: state[key] for key, _ in part.state()})
    return part, made.train(module.training)


@lru_cache(maxsize=32)
def _emitted(program: Program) -> Emitted:
    return emit_module(program)


def _loaded(cls: Callable[[], nn.Module], weights: str | Path | Mapping[str, Tensor]) -> nn.Module:
    state = weights if isinstance(weights, Mapping) else read_weights(weights)
    with torch.device("meta"), _Undrawn():
        module = cls()
    kept = module.state_dict(keep_vars=True)
    if any(name not in kept for name, _ in module.named_buffers()):
        # a buffer that no file holds must be computed
        module = cls()
        load_weights(module, state)
    else:
        assign_weights(module, state)
    return module


class _Undrawn(TorchFunctionMode):
    """On the meta device there is nothing to draw; finding that out takes `normal_` a third of the
    time of loading ResNet-50."""

    drawing = (Tensor.normal_, Tensor.uniform_, nn.init.uniform_, nn.init.kaiming_uniform_)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in self.drawing:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


# ---- the source as a module ----------------------------------------------------------------------


def _execute(source: str, model: str) -> ModuleType:
    """The module with this source; programs with equal sources share it."""
    full = f"{PACKAGE}.{model.lower()}_{hashlib.sha256(source.encode()).hexdigest()[:12]}"
    with _lock:
        if full in sys.modules:
            return sys.modules[full]
        file = f"<{full}>"
        module = ModuleType(full)
        module.__file__ = file
        # no time of change: linecache never looks for such a file
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        sys.modules[full] = module
        try:
            exec(compile(source, file, "exec", dont_inherit=True), vars(module))
        except BaseException:
            del sys.modules[full], linecache.cache[file]
            raise
        vars(module)[model].program = None  # until `build` knows one
        vars(module)[model]._repr_mimebundle_ = _bundle
        # in the state_dict's metadata: torchvision's MNASNet takes 1 for its first edition
        vars(module)[model]._version = 2
        for cls in list(vars(module).values()):
            if inspect.isclass(cls) and cls.__module__ == full:
                _carry_source(cls, source, model)
        return module


def _bundle(self: Any, include: Any = None, exclude: Any = None) -> dict[str, str]:
    """What a notebook shows: the program's picture; after a pickle, which has none, the text."""
    shown = {} if self.program is None else self.program._repr_mimebundle_()
    return {**shown, "text/plain": repr(self)}


def _carry_source(cls: type, source: str, model: str) -> None:
    """Lets instances pickle with the source instead of a reference to a module that only this
    process has."""

    def reduce(self: Any, protocol: Any) -> Any:
        made = object.__reduce_ex__(self, max(int(protocol), 2))
        if type(self) is not cls or not isinstance(made, tuple):
            return made  # a subclass of the user's own is the user's to pickle
        return (_new, (source, model, cls.__qualname__, *made[1][1:]), *made[2:])

    cls.__reduce_ex__ = reduce  # type: ignore[assignment,method-assign]


def _new(source: str, model: str, cls: str, *args: Any) -> Any:
    """An empty instance of a class of that source; its state follows in the pickle."""
    made = getattr(_execute(source, model), cls)
    return made.__new__(made, *args)
