"""Watches a module run: which modules and functions it calls, on which values.

In: a module and the shape of its input. Out: a `Trace`, the tree of the calls. Every call of torch
is seen at the level that the module's author wrote it on, with real sizes, so that loops and
conditions on sizes and settings are followed as Python follows them. Tensors are fake: nothing is
computed. Modules of the operator table are leaves. The module's own code runs.
"""

from __future__ import annotations

import inspect
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor as TorchTensor
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.operator_schemas import get_signature_for_torch_op
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from archdsl.importer.errors import CannotImport, Place, Problem
from archdsl.importer.known import class_name, is_leaf
from archdsl.ops.seen import Batch, Tensor
from archdsl.ops.table import Shape

#: the batch that is run: a prime that no side has, so that what is computed from it shows
BATCH = 1009
_patching = threading.RLock()
#: in one of these folders no line is the user's
_OURS = tuple(f"{Path(file).parent}{os.sep}" for file in (torch.__file__, __file__))


@dataclass(eq=False)
class Value:
    """A tensor of the run. `param`: it is a parameter or buffer of the module, by its path."""

    shape: tuple[int, ...]
    param: str | None = None

    @property
    def at(self) -> int | None:
        """The dimension of the batch; None: there is none."""
        places = [n for n, side in enumerate(self.shape) if side and not side % BATCH]
        return places[0] if self.param is None and len(places) == 1 else None

    @property
    def batched(self) -> bool:
        return self.at is not None

    @property
    def inner(self) -> Shape:
        """What lies in one dimension with the batch: as many windows of each sample, say."""
        at = self.at
        return () if at is None or self.shape[at] == BATCH else (self.shape[at] // BATCH,)

    @property
    def behind(self) -> int:
        """How many dimensions come after the batch."""
        return len(self.shape) - 1 - (self.at or 0)

    @property
    def plain(self) -> bool:
        """Whether the batch comes first, and alone."""
        return self.shape[:1] == (BATCH,)

    @property
    def sample(self) -> Shape:
        at = self.at
        return self.shape if at is None else (*self.shape[:at], *self.inner, *self.shape[at + 1 :])


@dataclass(eq=False)
class Function:
    """A call of a function or of a leaf: `name` and `args` as `Seen` has them."""

    name: str
    args: dict[str, Any]
    inputs: list[Value]
    outputs: list[Value]
    path: str  # of the module in which it is called; of a leaf: its own
    leaf: nn.Module | None
    place: Place


@dataclass(eq=False)
class Call:
    """A call of a module that is no leaf, and what it calls in turn."""

    path: str
    module: nn.Module
    inputs: list[Value]
    outputs: list[Value] = field(default_factory=list)
    events: list[Function | Call] = field(default_factory=list)


@dataclass(frozen=True)
class Trace:
    root: Call
    result: Any  # the outputs, `Value`s for tensors

    def paths(self) -> set[str]:
        """Of all modules that ran, and those that hold the parameters that were read."""
        return {self.root.path, *_paths(self.root)}


def _paths(call: Call) -> Iterator[str]:
    for event in call.events:
        yield event.path
        if isinstance(event, Call):
            yield from _paths(event)


def capture(module: nn.Module, shapes: Sequence[Shape], *, training: bool = False) -> Trace:
    """Run a module on fake inputs of these shapes. Raises `CannotImport`."""
    watch = _Watch(module)
    was = [m.training for m in module.modules()]
    module.train(training)
    try:
        with _patching, FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
            inputs = [torch.zeros(BATCH, *shape) for shape in shapes]
            result = watch.run(inputs)
    finally:
        for each, before in zip(module.modules(), was, strict=True):
            each.training = before
    return Trace(watch.root, result)


class _Watch(TorchFunctionMode):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.paths = {id(m): name for name, m in module.named_modules()}
        tensors = (*module.named_parameters(), *module.named_buffers())
        self.params = {id(t): (name, t) for name, t in tensors}
        self.values: dict[int, tuple[Value, Any]] = {}  # holds the tensors, whose ids are keys
        self.root = Call("", module, [])
        self.stack = [self.root]
        self.inside = 0  # of a leaf

    def run(self, inputs: list[TorchTensor]) -> Any:
        self.root.inputs = [self._new(t) for t in inputs]
        original = nn.Module.__call__

        def watched(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            return self._module(original, module, args, kwargs)

        nn.Module.__call__ = watched  # type: ignore[method-assign]
        try:
            with self:
                result = self.module(*inputs)
        except CannotImport:
            raise
        except Exception as error:
            place = self._place(self.stack[-1].path, error)
            text = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
            raise CannotImport([Problem(place, f"it cannot be run: {text}")]) from error
        finally:
            nn.Module.__call__ = original  # type: ignore[method-assign]
        return tree_map(lambda t: self._value(t) if isinstance(t, TorchTensor) else t, result)

    # ---- modules -----------------------------------------------------------------------------

    def _module(
        self, original: Callable[..., Any], module: nn.Module, args: Any, kwargs: Any
    ) -> Any:
        if self.inside or id(module) not in self.paths:
            return original(module, *args, **kwargs)
        if module is self.module:
            result = original(module, *args, **kwargs)
            self.root.outputs = self._values(result)
            return result
        path = self.paths[id(module)]
        inputs = self._values((args, kwargs))
        if not is_leaf(module):
            call = Call(path, module, inputs)
            self.stack[-1].events.append(call)
            self.stack.append(call)
            result = original(module, *args, **kwargs)
            self.stack.pop()
            call.outputs = self._values(result)
            return result
        self.inside += 1
        try:
            result = original(module, *args, **kwargs)
        finally:
            self.inside -= 1
        settings = {k: v for k, v in vars(module).items() if not k.startswith("_")}
        settings |= {**module._parameters, **module._buffers}
        self._add(class_name(module), settings, inputs, result, path, module)
        return result

    # ---- functions ---------------------------------------------------------------------------

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        if self.inside or not any(isinstance(t, TorchTensor) for t in tree_leaves(result)):
            return result
        if name == "__get__" and not isinstance(result, TorchTensor):
            return result
        path = self.stack[-1].path
        if name == "__getitem__":
            self._index(args[0], args[1], result, path)
            return result
        name, given = _bound(func, args, kwargs)
        if name in _TURNED and not isinstance(given.get("other"), TorchTensor):
            self._turned(name, given, result, path)
            return result
        inputs: list[Value] = []
        shown = {key: self._shown(value, inputs) for key, value in given.items()}
        if result is not None and not (name in _SAME and self._is(result, args)):
            self._add(name, shown, inputs, result, path, None)
        return result

    def _turned(self, name: str, given: dict[str, Any], result: Any, path: str) -> None:
        """A number before the sign: `1 - x` is `-x + 1`, to the last bit."""
        first, args, second = _TURNED[name]
        if (second, given["other"]) == ("mul", 1):
            self._add(
                first,
                {"input": Tensor(0), **args},
                [self._value(given["input"])],
                result,
                path,
                None,
            )
            return
        source = self._value(given["input"])
        between, place = Value(source.shape), self._place(path)
        one = {"input": Tensor(0), **args}
        self.stack[-1].events.append(Function(first, one, [source], [between], path, None, place))
        other = {"input": Tensor(0), "other": given["other"]}
        made = Function(second, other, [between], [self._new(result)], path, None, place)
        self.stack[-1].events.append(made)

    def _is(self, result: Any, args: Any) -> bool:
        return bool(args) and result is args[0]

    def _shown(self, value: Any, inputs: list[Value]) -> Any:
        """An argument as `Seen` has it; tensors are added to the inputs."""
        if isinstance(value, TorchTensor):
            inputs.append(self._value(value))
            return Tensor(len(inputs) - 1)
        if isinstance(value, (tuple, list)):
            return tuple(self._shown(item, inputs) for item in value)
        if isinstance(value, int) and not isinstance(value, bool) and value and not value % BATCH:
            return Batch(value // BATCH)
        return value

    def _index(self, source: Any, index: Any, result: Any, path: str) -> None:
        """`x[:, 0, None, ::2]` as a step for each dimension."""
        items = list(index) if isinstance(index, tuple) else [index]
        simple = (int, slice, type(Ellipsis), type(None))
        if not all(isinstance(i, simple) and not isinstance(i, bool) for i in items):
            self._add("__getitem__", {"index": index}, [self._value(source)], result, path, None)
            return
        if Ellipsis in items:
            at = items.index(Ellipsis)
            missing = source.dim() - sum(i is not None for i in items) + 1
            items[at : at + 1] = [slice(None)] * missing
        value = self._value(source)
        steps = _steps(items, value.shape)
        for number, (name, args, shape) in enumerate(steps, 1):
            new = self._new(result) if number == len(steps) else Value(shape)
            place = self._place(path)
            self.stack[-1].events.append(Function(name, args, [value], [new], path, None, place))
            value = new
        if not steps:
            self.values[id(result)] = (value, result)

    # ---- values ------------------------------------------------------------------------------

    def _add(
        self,
        name: str,
        args: dict[str, Any],
        inputs: list[Value],
        result: Any,
        path: str,
        leaf: nn.Module | None,
    ) -> None:
        tensors = [t for t in tree_leaves(result) if isinstance(t, TorchTensor)]
        if leaf is not None and len(tensors) > 1:
            tensors = tensors[:1]
        outputs = [self._new(t) for t in tensors]
        made = Function(name, args, inputs, outputs, path, leaf, self._place(path))
        self.stack[-1].events.append(made)

    def _new(self, tensor: TorchTensor) -> Value:
        value = Value(tuple(tensor.shape))
        self.values[id(tensor)] = (value, tensor)
        return value

    def _value(self, tensor: TorchTensor) -> Value:
        if id(tensor) not in self.values:
            name, _ = self.params.get(id(tensor), (None, None))
            self.values[id(tensor)] = (Value(tuple(tensor.shape), name or CONSTANT), tensor)
        return self.values[id(tensor)][0]

    def _values(self, given: Any) -> list[Value]:
        return [self._value(t) for t in tree_leaves(given) if isinstance(t, TorchTensor)]

    def _place(self, path: str, error: BaseException | None = None) -> Place:
        """The line of the user's that is running, or in which an error was raised."""
        line = ""
        if error is not None:
            for frame, number in _raised(error):
                line = _line(frame.f_code.co_filename, number) or line
            return Place(path, line, "")
        for frame in _frames():
            if line := _line(frame.f_code.co_filename, frame.f_lineno):
                break
        return Place(path, line, "")


#: stands for a parameter's path where a tensor is a constant
CONSTANT = "?"
_SAME = ("contiguous", "to", "requires_grad", "float", "type_as")


def _frames() -> Iterator[Any]:
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        yield frame
        frame = frame.f_back


def _raised(error: BaseException) -> Iterator[tuple[Any, int]]:
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next


def _line(file: str, number: int) -> str:
    return "" if file.startswith(_OURS) else f"{file}:{number}"


def _steps(items: list[Any], shape: tuple[int, ...]) -> list[tuple[str, dict[str, Any], Shape]]:
    """An index as calls, with what each gives; what takes all of a dimension is none."""
    found, here, sides = [], 0, list(shape)
    for item in items:
        args: dict[str, Any] = {"dim": here}
        if item is None:
            name = "unsqueeze"
            sides.insert(here, 1)
        elif isinstance(item, int):
            name = "select"
            args["index"] = item
            del sides[here]
        else:
            name = "slice"
            taken = range(*item.indices(sides[here]))
            args |= {"start": taken.start, "end": taken.stop, "step": taken.step}
            if taken == range(sides[here]):
                here += 1
                continue
            sides[here] = len(taken)
        found.append((name, args, tuple(sides)))
        here += not isinstance(item, int)
    return found


_FORMS = {"iadd": "add", "radd": "add", "imul": "mul", "rmul": "mul", "isub": "sub"}
#: what a number before its sign is: a function of the other side, and what joins the number to it
_TURNED: dict[str, tuple[str, dict[str, Any], str]] = {
    "rsub": ("neg", {}, "add"),
    "rdiv": ("pow", {"exponent": -1.0}, "mul"),
}
_FORMS |= {"clip": "clamp", "rtruediv": "rdiv"}
_FORMS |= {"truediv": "div", "itruediv": "div"}


def _bound(func: Any, args: Any, kwargs: Any) -> tuple[str, dict[str, Any]]:
    """A function's name, and its arguments by torch's names, what is default among them."""
    name = str(getattr(func, "__name__", func)).strip("_")
    if name in _TURNED and len(args) == 2:
        return name, {"input": args[0], "other": args[1], **kwargs}
    if name in ("clamp_min", "clamp_max") and len(args) == 2:
        return "clamp", {"input": args[0], name.removeprefix("clamp_"): args[1]}
    name = _FORMS.get(name, name)
    if name in ("add", "mul", "sub", "div") and len(args) == 2:
        return name, {"input": args[0], "other": args[1], **kwargs}
    written = getattr(F, f"_{name}", func)  # what may return indices too is found by another name
    try:
        signature = inspect.signature(written)
        bound = signature.bind(*args, **kwargs)
    except (TypeError, ValueError):
        return name, _by_schema(name, func, args, kwargs)
    if any(p.kind is p.VAR_POSITIONAL for p in signature.parameters.values()):
        return name, _by_schema(name, func, args, kwargs)
    bound.apply_defaults()
    return name, dict(bound.arguments)


def _by_schema(name: str, func: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    signatures = get_signature_for_torch_op(getattr(torch, name, func)) or []
    if not signatures and name == "view":
        signatures = get_signature_for_torch_op(torch.reshape) or []
    for signature in signatures:
        for given in (args, (args[0], args[1:]) if len(args) > 1 else args):
            try:
                bound = signature.bind(*given, **kwargs)
            except TypeError:
                continue
            if not _fits(signature, bound.arguments):
                continue
            bound.apply_defaults()
            return dict(bound.arguments)
    return {**{str(n): a for n, a in enumerate(args)}, **kwargs}


def _fits(signature: inspect.Signature, given: dict[str, Any]) -> bool:
    """Whether whole numbers, lists and names stand where the signature wants them."""
    for key, value in given.items():
        wanted = str(signature.parameters[key].annotation)
        many = isinstance(value, (tuple, list))
        number = isinstance(value, int) and not isinstance(value, bool)
        if number and not any(word in wanted for word in ("int", "float", "umber")):
            return False
        if many and "ist" not in wanted and "uple" not in wanted:
            return False
        if isinstance(value, str) and "str" not in wanted:
            return False
    return True
