"""Joins of given numbers of branches: products of matrices, attention, places to look at."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from archdsl.ops.seen import Seen
from archdsl.ops.spatial import DIM, batched, image, resized
from archdsl.ops.table import (
    ALL,
    INPUT,
    Blame,
    Call,
    Input,
    Lifted,
    Mismatch,
    Op,
    Reach,
    Saved,
    Shape,
    arg,
    call,
)
from archdsl.ops.types import Bool, Choice, Equation, Int
from archdsl.text import plural, shape_text


class _Join(Op):
    arity = None
    fresh = True
    ordered = True
    #: what the branches are, in their order
    roles: ClassVar[tuple[str, ...]] = ()

    def taken(self, inputs: tuple[Shape, ...]) -> None:
        """Blames another number of branches."""
        if len(inputs) != len(self.roles):
            need = f"`{self.name}` joins {plural(len(self.roles), 'branch', 'branches')}"
            message = f"{need}, not {len(inputs)}"
            raise Blame(None, message, help=f"in this order: {', '.join(self.roles)}")


class Stack(Op, name="stack", family="join"):
    """Puts equal branches side by side in a dimension of their own: two of C×H×W become 2×C×H×W.

    Source: torch.stack.
    """

    example = "stack { identity; conv in 3x3 pad=1 }"
    arity = None
    fresh = True
    ordered = True
    lifts = ("stack",)
    counting = ("dim",)

    dim: int = arg(Int(), default=0, doc=f"the new {DIM}", keyword=True)

    def shape(self, *inputs: Shape) -> Shape:
        for other in inputs[1:]:
            if other != inputs[0]:
                raise Mismatch(
                    inputs[0], other, "`stack` needs equal ones, `concat` may join these"
                )
        rank = len(inputs[0]) + 1
        if not -rank <= self.dim < rank:
            message = f"there is no place {self.dim} for a dimension in {shape_text(inputs[0])}"
            raise Blame("dim", message, help=f"0 to {rank - 1}, or negative from the end")
        return resized(inputs[0], self.dim % rank, len(inputs), skip=0)

    def function(self, *inputs: Shape) -> Call:
        return call("torch.stack", Input(None), dim=(batched(self.dim), 0))


class MatMul(_Join, name="matmul", family="join"):
    """The product of two matrices, N×K and K×M, or of as many as their first dimensions say: of
    H×N×K and H×K×M, too.

    Source: torch.matmul.
    """

    example = "matmul { identity; permute [0, 2, 1] }"
    example_inputs = ((3, 6, 5), (3, 5, 4))
    autocast = "half"
    lifts = "matmul", "bmm"
    symbol = "@"
    roles = "N×K", "K×M"

    @classmethod
    def of(cls, seen: Seen) -> Lifted | None:
        ranks = [len(shape) for shape in seen.inputs]
        return Lifted(cls()) if len(ranks) == 2 and ranks[0] == ranks[1] > 1 else None

    def shape(self, *inputs: Shape) -> Shape:
        self.taken(inputs)
        one, other = inputs
        for shape in inputs:
            if len(shape) < 2:
                message = f"`matmul` needs matrices, not {shape_text(shape)}"
                raise Blame(None, message, kind="rank", help="`reshape` and `permute` make them")
        if len(one) != len(other):
            raise Mismatch(one, other, "both need as many dimensions")
        if one[-1] != other[-2]:
            rule = f"the last side of the first, {one[-1]}, must be the second last of the other"
            raise Mismatch(one, other, rule)
        if any(a != b and 1 not in (a, b) for a, b in zip(one[:-2], other[:-2], strict=True)):
            rule = "the sides before the matrices must be equal, or 1 in one of them"
            raise Mismatch(one, other, rule)
        return (*self._lead(*inputs), one[-2], other[-1])

    def _lead(self, one: Shape, other: Shape) -> Shape:
        return tuple(b if a == 1 else a for a, b in zip(one[:-2], other[:-2], strict=True))

    def macs(self, *inputs: Shape) -> int:
        return math.prod(self.shape(*inputs)) * inputs[0][-1]

    def saved(self, *inputs: Shape) -> Saved:
        lead = self._lead(*inputs)
        if all(shape[:-2] == lead for shape in inputs):
            return INPUT
        whole = sum(math.prod(lead) * math.prod(shape[-2:]) for shape in inputs)
        return Saved(more=4 * whole)

    def reach(self, *inputs: Shape) -> Reach:
        return ALL

    def function(self, *inputs: Shape) -> Call:
        return call("torch.matmul", *map(Input, range(len(inputs))))


@dataclass(frozen=True)
class _Contraction:
    """What torch does for an equation, two operands at a time from the left: multiply-accumulates,
    and how many values stay for the backward pass."""

    macs: int = 0
    kept: int = 0


class Einsum(_Join, name="einsum", family="join"):
    """Products and sums by Einstein's rule: each letter names a dimension, and what the result does
    not name is summed. The first letter of all is the batch: `"bchw,bkhw->bck"`.

    Source: torch.einsum.
    """

    example = 'einsum "bchw,bkhw->bck" { identity; conv 8 1x1 }'
    example_inputs = ((3, 5, 4), (6, 5, 4))
    autocast = "half"
    lifts = ("einsum",)

    equation: str = arg(Equation(), doc="a term of letters for each branch, and that of the result")

    @classmethod
    def of(cls, seen: Seen) -> Lifted | None:
        equation = seen.args.get("equation", "")
        if not Equation().accepts(equation):
            return None
        made = cls(equation=Equation().convert(equation))
        try:
            fits = made.shape(*seen.inputs) == seen.output
        except Blame:
            return None
        return Lifted(made) if fits else None

    def terms(self) -> tuple[list[str], str]:
        given, _, result = self.equation.partition("->")
        return given.split(","), result

    def shape(self, *inputs: Shape) -> Shape:
        terms, result = self.terms()
        batch = terms[0][0]
        if len(terms) != len(inputs):
            count = plural(len(terms), "term")
            message = f"{count} for {plural(len(inputs), 'branch', 'branches')}"
            raise Blame("equation", message, help="a term for each branch, with commas between")
        for term in (*terms, result):
            if term[0] != batch or batch in term[1:]:
                message = f"`{term}` does not begin with the batch, `{batch}`"
                rule = "every term begins with the same letter, which stands for the batch"
                raise Blame("equation", message, help=rule)
            if len(set(term)) < len(term):
                raise Blame("equation", f"a letter stands twice in `{term}`")
        sides: dict[str, int] = {}
        for term, shape in zip(terms, inputs, strict=True):
            if len(term) - 1 != len(shape):
                message = f"`{term}` names {plural(len(term) - 1, 'dimension')} beside the batch"
                raise Blame("equation", f"{message}, but its branch is {shape_text(shape)}")
            for letter, side in zip(term[1:], shape, strict=True):
                if sides.setdefault(letter, side) != side:
                    both = f"{sides[letter]} and {side}"
                    raise Blame("equation", f"`{letter}` has two sizes, {both}")
        if lost := [letter for letter in result[1:] if letter not in sides]:
            raise Blame("equation", f"`{lost[0]}` of the result is in no branch")
        return tuple(sides[letter] for letter in result[1:])

    def _contracted(self, inputs: tuple[Shape, ...]) -> _Contraction:
        terms, result = self.terms()
        sides = {
            k: n for t, s in zip(terms, inputs, strict=True) for k, n in zip(t[1:], s, strict=True)
        }

        def size(letters: set[str]) -> int:
            return math.prod(sides[letter] for letter in letters)

        macs = kept = 0
        first = set(terms[0][1:])
        for place, term in enumerate(terms[1:], 1):
            other = set(term[1:])
            later = set(result[1:]).union(*terms[place + 1 :])
            one, two = first - (first - other - later), other - (other - first - later)
            summed = {k for k in (one & two) - later if sides[k] != 1}
            macs += size(one | two) if summed else 0
            kept += size(one) + size(two)
            first = (one | two) - summed
        return _Contraction(macs, kept)

    def macs(self, *inputs: Shape) -> int:
        return self._contracted(inputs).macs

    def saved(self, *inputs: Shape) -> Saved:
        kept = self._contracted(inputs).kept
        whole = kept == sum(map(math.prod, inputs))
        return INPUT if whole else Saved(more=4 * kept)

    def reach(self, *inputs: Shape) -> Reach:
        return ALL

    def function(self, *inputs: Shape) -> Call:
        return call("torch.einsum", self.equation, *map(Input, range(len(inputs))))


class ScaledDotProduct(_Join, name="sdpa", family="join"):
    """Attention without weights of its own: each query L×E becomes a mean of the values S×V, by how
    well it agrees with the keys S×E. With heads: H×L×E, H×S×E and H×S×V.

    Source: torch.nn.functional.scaled_dot_product_attention.
    """

    example = "sdpa { identity; identity; identity }"
    example_input = (4, 16, 8)
    example_inputs = ((3, 6, 8), (3, 5, 8), (3, 5, 4))
    autocast = "half"
    lifts = ("scaled_dot_product_attention",)
    fresh = False
    aliases = (("causal", "is_causal"),)
    roles = "queries", "keys", "values"

    causal: bool = arg(
        Bool(), default=False, doc="a query sees the keys up to its own place alone", keyword=True
    )

    @classmethod
    def of(cls, seen: Seen) -> Lifted | None:
        plain = all(seen.args.get(key) is None for key in ("attn_mask", "scale"))
        usual = not seen.args.get("dropout_p") and not seen.args.get("enable_gqa")
        if not plain or not usual or len(seen.inputs) != 3:
            return None
        made = super().of(seen)
        ranks = {len(shape) for shape in seen.inputs}
        many = len(ranks) == 1 and len({shape[:-2] for shape in seen.inputs}) == 1
        return replace(made, merged=max(ranks.pop() - 2, 1)) if made and many else made

    def shape(self, *inputs: Shape) -> Shape:
        self.taken(inputs)
        query, key, value = inputs
        if len(query) < 2:
            message = f"`sdpa` needs queries L×C or H×L×C, not {shape_text(query)}"
            raise Blame(
                None, message, kind="rank", help="`reshape` and `permute` change the layout"
            )
        for name, shape in (("keys", key), ("values", value)):
            sides = zip(shape[:-2], query[:-2], strict=False)
            if len(shape) != len(query) or any(a not in (1, b) for a, b in sides):
                raise Mismatch(query, shape, f"the {name} need the sides of the queries, or 1")
        if query[-1] != key[-1]:
            rule = f"queries of {query[-1]} agree with keys of as many, not of {key[-1]}"
            raise Mismatch(query, key, rule)
        if key[-2] != value[-2]:
            rule = f"each key has its value, but there are {key[-2]} and {value[-2]}"
            raise Mismatch(key, value, rule)
        return (*query[:-1], value[-1])

    def places(self, *inputs: Shape) -> int:
        return inputs[1][-2]

    def macs(self, *inputs: Shape) -> int:
        query, key, value = inputs
        return math.prod(query[:-1]) * key[-2] * (query[-1] + value[-1])

    def saved(self, *inputs: Shape) -> Saved:
        return Saved(input=True, output=True, more=4 * math.prod(inputs[0][:-1]))

    def reach(self, *inputs: Shape) -> Reach:
        return ALL

    def function(self, *inputs: Shape) -> Call:
        given = {"is_causal": (self.causal, False)}
        return call("F.scaled_dot_product_attention", *map(Input, range(len(inputs))), **given)


_GRIDS = {2: "H×W×2", 3: "D×H×W×3"}


class GridSample(_Join, name="grid_sample", family="join"):
    """Looks up a C×H×W map where a grid h×w×2 points to, which becomes C×h×w. -1 and 1 are the ends
    of the map; the first number of a point goes along the width. Of C×D×H×W, too, with d×h×w×3.
    Points that are NaN crash torch's backward on a CPU, where the padding is not `zeros`.

    Source: torch.nn.functional.grid_sample; Jaderberg et al., Spatial Transformer Networks, 2015.
    """

    example = "grid_sample { identity; conv 2 3x3 pad=1 -> tanh -> permute [1, 2, 0] }"
    example_inputs = ((3, 6, 5), (7, 4, 2))
    lifts = ("grid_sample",)
    roles = "the map", "the grid"
    reads = INPUT

    mode: str = arg(
        Choice(("bilinear", "nearest", "bicubic")),
        default="bilinear",
        doc="how it reads between places",
        keyword=True,
    )
    padding_mode: str = arg(
        Choice(("zeros", "border", "reflection")),
        default="zeros",
        doc="what is outside",
        keyword=True,
    )
    align_corners: bool = arg(
        Bool(), default=False, doc="-1 and 1 are the centres of the corners", keyword=True
    )

    def shape(self, *inputs: Shape) -> Shape:
        self.taken(inputs)
        source, grid = inputs
        channels, space = image(self, source, (2, 3))
        n = len(space)
        if len(grid) != n + 1 or grid[n] != n:
            message = f"the grid of `grid_sample` is {_GRIDS[n]} here, not {shape_text(grid)}"
            hint = "`permute [1, 2, 0]` makes it of 2×H×W" if grid[:1] == (2,) else ""
            raise Blame(None, message, kind="rank", help=hint)
        if n == 3 and self.mode == "bicubic":
            raise Blame("mode", "`bicubic` is for maps C×H×W", help="`bilinear` or `nearest`")
        return (channels, *grid[:n])

    def reach(self, *inputs: Shape) -> Reach:
        return ALL

    def function(self, *inputs: Shape) -> Call:
        given: dict[str, Any] = self.keywords("mode", "padding_mode")
        return call(
            "F.grid_sample",
            *map(Input, range(len(inputs))),
            **given,
            align_corners=self.align_corners,
        )
