"""An inference module for this machine's CPU alone.

In: a module in evaluation mode, as `export.inference` makes it, and its input's shape. Out: another
with the same results, to the rounding. Each convolution does the activation or the addition that
follows it, while its result is still in the cache, with weights that lie as the CPU reads them: the
kernels that torch.compile would choose, without its compiler. What cannot be traced, and what is no
such convolution, stays as it is.
"""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp
from torch.nn import functional as F

from archdsl.ops.table import Shape

#: what computes an activation -> oneDNN's name of it
ACTIVATIONS: dict[Any, str] = {
    **dict.fromkeys((nn.ReLU, F.relu, torch.relu), "relu"),
    **dict.fromkeys((nn.Tanh, F.tanh, torch.tanh), "tanh"),
    **dict.fromkeys((nn.Sigmoid, F.sigmoid, torch.sigmoid), "sigmoid"),
    **dict.fromkeys((nn.SiLU, F.silu), "swish"),
    **dict.fromkeys((nn.Hardswish, F.hardswish), "hardswish"),
}
ADDITIONS = (operator.add, operator.iadd, torch.add)


class FusedConv2d(nn.Module):
    """activation(conv(x) + other), where there is another. `reuse`: the sum may lie in `other`."""

    def __init__(self, conv: nn.Conv2d, shape: list[int], activation: str, reuse: bool) -> None:
        super().__init__()
        self.geometry = (conv.padding, conv.stride, conv.dilation, conv.groups)
        weight = conv.weight.detach().contiguous(memory_format=torch.channels_last)
        # no buffer: it is not a tensor that other code could read
        self.packed = torch.ops.mkldnn._reorder_convolution_weight(weight, *self.geometry, shape)
        self.bias = conv.bias
        self.activation = activation
        self.reuse = reuse

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        given = (self.packed, self.bias, *self.geometry)
        if other is None:
            plain = torch.ops.mkldnn._convolution_pointwise.default
            out: Tensor = plain(x, *given, self.activation, [], "")
            return out
        # oneDNN knows "relu" after an addition, or nothing
        how: tuple[Any, ...] = (
            "add",
            1.0,
            None if self.activation == "none" else self.activation,
            [],
            None,
        )
        if self.reuse:
            out = torch.ops.mkldnn._convolution_pointwise_.binary(other, x, *given, *how)
        else:
            out = torch.ops.mkldnn._convolution_pointwise.binary(x, other, *given, *how)
        return out


def for_cpu(module: nn.Module, *inputs: Shape) -> nn.Module:
    """The module with its convolutions fused."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return module
    try:
        traced = fx.symbolic_trace(module)
    except Exception:  # whatever its own code raises on being given no tensors
        return module
    with torch.no_grad():
        # of two samples: one alone is too little for statistics of the batch
        ShapeProp(traced).propagate(*(torch.zeros(2, *shape) for shape in inputs))
        for node in list(traced.graph.nodes):
            if node.op == "call_module" and _fits(conv := traced.get_submodule(node.target)):
                _fuse(traced, node, conv)
    traced.delete_all_unused_submodules()
    traced.recompile()
    return traced


def _fits(module: nn.Module) -> bool:
    return (
        type(module) is nn.Conv2d
        and module.padding_mode == "zeros"
        and not isinstance(module.padding, str)
        and module.weight.dtype == torch.float32
    )


def _fuse(traced: fx.GraphModule, node: fx.Node, conv: Any) -> None:
    """Put a fused convolution where the last operator stands that it takes along."""
    source, last, other, reuse = node.args[0], node, None, False
    assert isinstance(source, fx.Node)
    user = _only_user(last)
    if user is not None and user.target in ADDITIONS and not user.kwargs:
        found = user.args[1] if user.args[0] is last else user.args[0]
        if isinstance(found, fx.Node) and found is not last and _shape(found) == _shape(last):
            last, other = user, found
            reuse = found is not source and _is_free(traced, found, user)
            user = _only_user(last)
    activation = "none" if user is None else _activation(traced, user)
    if other is not None and activation != "relu":
        activation = "none"
    if user is not None and activation != "none":
        last = user
    made = FusedConv2d(conv, [1, *_shape(source)[1:]], activation, reuse)
    name = f"{node.name}_fused"
    traced.add_submodule(name, made)
    with traced.graph.inserting_before(last):
        new = traced.graph.call_module(name, (source,) if other is None else (source, other))
    new.meta = last.meta
    last.replace_all_uses_with(new)
    while last is not node:
        before = next(one for one in last.all_input_nodes if one is not other)
        traced.graph.erase_node(last)
        last = before
    traced.graph.erase_node(node)


def _only_user(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _shape(node: fx.Node) -> list[int]:
    return list(node.meta["tensor_meta"].shape) if "tensor_meta" in node.meta else []


def _activation(traced: fx.GraphModule, node: fx.Node) -> str:
    called = node.op == "call_module"
    what = type(traced.get_submodule(str(node.target))) if called else node.target
    return ACTIVATIONS.get(what, "none")


def _is_free(traced: fx.GraphModule, tensor: fx.Node, addition: fx.Node) -> bool:
    """Whether nobody needs the tensor after the addition, under any name: a fused convolution made
    it, and others were all that used it before."""

    def fused(node: fx.Node) -> bool:
        return node.op == "call_module" and isinstance(
            traced.get_submodule(str(node.target)), FusedConv2d
        )

    others = (user for user in tensor.users if user is not addition)
    return fused(tensor) and all(fused(user) and user < addition for user in others)
