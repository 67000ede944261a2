"""Where the batch is: calls on values whose batch lies elsewhere, as if it came first.

In: a call of torch, one of whose values has its batch in another dimension than the first, or in
one dimension with others (`view(b * windows, n, c)`). Out: the name and arguments of the call that
computes the same of values `(batch, *sample)`. Raises `NoField` where there is no such call.
"""

from __future__ import annotations

import math
from typing import Any

from archdsl.importer.capture import Function, Value
from archdsl.ops.seen import Batch, NoField, Tensor

#: keep the order of the numbers, and give them another shape
_VIEWS = frozenset(
    ("view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as", "reshape_as")
)
_ORDERS = frozenset(("permute", "transpose", "swapaxes"))
#: what torch calls the arguments that count dimensions
_DIMS = frozenset(("dim", "dims", "axis"))


def batch_first(function: Function, value: Value) -> tuple[str, dict[str, Any]]:
    """The name and arguments of what gives `value`, one of the function's outputs."""
    batched = [v for v in function.inputs if v.batched]
    if not batched or not value.batched or all(v.plain for v in (*batched, value)):
        return function.name, function.args
    source = batched[0]
    if any((v.behind, v.inner) != (source.behind, source.inner) for v in batched):
        raise NoField
    if function.name in _VIEWS:
        return "reshape", _view(source, value)
    if function.name in _ORDERS:
        return _permute(source, value, function.args)
    counted = value if function.name == "stack" else source  # a dimension of what comes out
    args = {k: _moved(v, counted) if k in _DIMS else v for k, v in function.args.items()}
    return function.name, args


def _view(source: Value, value: Value) -> dict[str, Any]:
    """The batch stays where it is among the numbers if as many of them stand before it."""
    before = (math.prod(v.shape[: v.at]) for v in (source, value))
    if len(set(before)) > 1:
        raise NoField
    return {"input": Tensor(0), "shape": (Batch(), *value.sample)}


def _permute(source: Value, value: Value, args: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    rank = len(source.shape)
    order = list(args.get("dims", range(rank)))
    if "dims" not in args:
        names = ("dim0", "dim1") if "dim0" in args else ("axis0", "axis1")
        one, other = (args[name] % rank for name in names)
        order[one], order[other] = other, one
    dims: list[int] = []
    for dim in (d % rank for d in order):
        dims += [1 + dim] * len(source.inner) if dim == source.at else [_place(dim, source)]
    if dims == sorted(dims):  # only the batch moves
        return "contiguous", {"input": Tensor(0)}
    return "permute", {"input": Tensor(0), "dims": (0, *dims)}


def _moved(given: Any, value: Value) -> Any:
    if isinstance(given, (tuple, list)):
        return tuple(_moved(dim, value) for dim in given)
    if given is None:
        raise NoField
    return _place(given % len(value.shape), value)


def _place(dim: int, value: Value) -> int:
    """A dimension of a value, counted where the batch comes first."""
    at = value.at
    if at is None or dim == at:
        raise NoField
    return dim + 1 if dim < at else dim + len(value.inner)
