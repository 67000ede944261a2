"""What ONNX has no words for, said in those that it has.

In: a program of torch.export, its sizes known but for the batch. Out: one that computes the same
to the rounding, without pools whose last window torch drops where ONNX keeps it, without pools into
cells of unequal size, and without transposed convolutions that are padded by a step or more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

Sides = Sequence[int]
aten = torch.ops.aten
MAX_POOLS = (F.max_pool1d, F.max_pool2d, F.max_pool3d)
AVG_POOLS = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)
DECONVS = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)


def sayable(exported: Any, sizes: bool = False) -> Any:
    """The program in ONNX's words; the very program where it is so already. `sizes`: those of its
    input are not known; raises ValueError where its words would depend on them."""
    lacking = [node for node in exported.graph.nodes if _lacks(node)]
    if not lacking:
        return exported
    if sizes:
        raise ValueError(f"ONNX says `{lacking[0].target}` otherwise for each size")
    return exported.run_decompositions({target: words for target, (words, _) in WORDS.items()})


def _lacks(node: Any) -> bool:
    """Whether an operator is used in a way that ONNX may have no words for."""
    if node.target not in WORDS:
        return False
    _, place = WORDS[node.target]
    if place is None:
        return True
    given = node.args[place] if len(node.args) > place else False
    return any(given) if isinstance(given, Sequence) else bool(given)


# ---- pools that keep a last window ---------------------------------------------------------------


def _max_pool(
    x: Tensor,
    kernel: Sides,
    stride: Sides = (),
    padding: Sides = (0,),
    dilation: Sides = (1,),
    ceil: bool = False,
) -> Any:
    pool = _Windows(x, kernel, stride, padding, dilation)
    if not ceil or pool.onnx_agrees:
        return NotImplemented
    rest: dict[str, Any] = {"stride": pool.stride, "dilation": pool.dilation}
    compute = MAX_POOLS[pool.n - 1]
    if pool.plain:
        return compute(x, pool.kernel, padding=pool.padding, **rest)
    return compute(F.pad(x, pool.border, value=-math.inf), pool.kernel, **rest)


def _avg_pool(
    x: Tensor,
    kernel: Sides,
    stride: Sides = (),
    padding: Sides = (0,),
    ceil: bool = False,
    count_include_pad: bool = True,
    divisor: int | None = None,
) -> Any:
    pool = _Windows(x, kernel, stride, padding, (1,))
    if not ceil or divisor is not None:
        return NotImplemented
    compute = AVG_POOLS[pool.n - 1]
    if pool.plain:
        return compute(
            x, pool.kernel, pool.stride, pool.padding, count_include_pad=count_include_pad
        )
    # the share of each window that counts; what lies beyond the padding never does
    ones = x.new_ones(1, 1, *pool.sides)
    if count_include_pad:
        ones = F.pad(ones, pool.own, value=1.0)
    border = [b - o * count_include_pad for b, o in zip(pool.border, pool.own, strict=True)]
    mean, share = F.pad(x, pool.border), F.pad(ones, border)
    return compute(mean, pool.kernel, pool.stride) / compute(share, pool.kernel, pool.stride)


class _Windows:
    """Where the windows of a pool lie that keeps a last one which begins inside of the input or
    its first padding, as torch has it."""

    def __init__(
        self, x: Tensor, kernel: Sides, stride: Sides, padding: Sides, dilation: Sides
    ) -> None:
        self.sides = [int(side) for side in x.shape[2:]]
        self.n = n = len(self.sides)
        self.kernel = _spread(kernel, n)
        self.stride = _spread(stride or kernel, n)
        self.padding, self.dilation = _spread(padding, n), _spread(dilation, n)
        # as F.pad has them: the last dimension first
        self.own: list[int] = []
        self.border: list[int] = []
        self.plain = self.onnx_agrees = True
        for side, k, s, p, d in zip(
            self.sides, self.kernel, self.stride, self.padding, self.dilation, strict=True
        ):
            reach = d * (k - 1) + 1
            floor = (side + 2 * p - reach) // s + 1
            ceil = -(-(side + 2 * p - reach) // s) + 1
            count = ceil - ((ceil - 1) * s >= side + p)
            self.plain &= count == floor
            self.onnx_agrees &= count == ceil
            self.border = [p, max(p, (count - 1) * s + reach - side - p), *self.border]
            self.own = [p, p, *self.own]


def _spread(sides: Sides, n: int) -> list[int]:
    return list(sides) * n if len(sides) == 1 else list(sides)


# ---- pools into cells ----------------------------------------------------------------------------


def _adaptive_max(x: Tensor, out: Sides) -> Any:
    # torch says where each was found, too, which no network of ours reads
    return _cells(x, out, MAX_POOLS, torch.amax), torch.empty(0, dtype=torch.long)


def _adaptive_avg(x: Tensor, out: Sides) -> Any:
    return _cells(x, out, AVG_POOLS, torch.mean)


def _cells(x: Tensor, out: Sides, pools: Sequence[Any], reduce: Callable[..., Tensor]) -> Tensor:
    """One dimension after the other: a cell is a box."""
    sides = [int(side) for side in x.shape[2:]]
    if all(side % cells == 0 for side, cells in zip(sides, out, strict=True)):
        kernel = [side // cells for side, cells in zip(sides, out, strict=True)]
        made: Tensor = pools[len(sides) - 1](x, kernel)
        return made
    for dim, (side, cells) in enumerate(zip(sides, out, strict=True), 2):
        edges = [(i * side // cells, -(-(i + 1) * side // cells)) for i in range(cells)]
        parts = [reduce(x.narrow(dim, a, b - a), dim, keepdim=True) for a, b in edges]
        x = torch.cat(parts, dim)
    return x


# ---- transposed convolutions ---------------------------------------------------------------------


def _deconv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sides = (1,),
    padding: Sides = (0,),
    output_padding: Sides = (0,),
    groups: int = 1,
    dilation: Sides = (1,),
) -> Any:
    n = x.dim() - 2
    steps, cut, more = (_spread(sides, n) for sides in (stride, padding, output_padding))
    if all(m < s for m, s in zip(more, steps, strict=True)):
        return NotImplemented
    whole = DECONVS[n - 1](x, weight, None, steps, groups=groups, dilation=_spread(dilation, n))
    border = [b for c, m in zip(cut[::-1], more[::-1], strict=True) for b in (-c, m - c)]
    made = F.pad(whole, border)
    return made if bias is None else made + bias.reshape(-1, *[1] * n)


#: torch's operators that ONNX lacks, what computes them then, and the place of the argument that
#: it lacks them for; None: for any
WORDS: dict[Any, tuple[Callable[..., Any], int | None]] = {
    aten.max_pool1d.default: (_max_pool, 5),
    aten.max_pool2d.default: (_max_pool, 5),
    aten.max_pool3d.default: (_max_pool, 5),
    aten.avg_pool1d.default: (_avg_pool, 4),
    aten.avg_pool2d.default: (_avg_pool, 4),
    aten.avg_pool3d.default: (_avg_pool, 4),
    aten.adaptive_max_pool1d.default: (_adaptive_max, None),
    aten.adaptive_max_pool2d.default: (_adaptive_max, None),
    aten.adaptive_max_pool3d.default: (_adaptive_max, None),
    aten.adaptive_avg_pool3d.default: (_adaptive_avg, None),
    aten.conv_transpose1d.default: (_deconv, 5),
    aten.conv_transpose2d.input: (_deconv, 5),
    aten.conv_transpose3d.input: (_deconv, 5),
}
