"""A program for inference alone: what changes nothing in evaluation is gone, and batch
normalisation lies in the weights of the layer before it.

In: a checked program. Out: another program, which every backend takes, and how its weights follow
from the first one's. What remains keeps its name, so that most keys of the state_dict stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from archdsl.ir.graph import Graph, Init, Item, Node, Program, Scope, renumbered

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Fold:
    """A layer's and a normalisation's names, below their graph or in full, and what to know."""

    layer: str
    norm: str
    eps: float
    transposed: bool
    groups: int


@dataclass(frozen=True)
class Optimized:
    program: Program
    folds: tuple[Fold, ...]

    def state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weights of the optimised program from those of the first."""
        made = dict(state)
        for fold in self.folds:
            _fold(made, fold)
        return {key: made[key] for key, _ in self.program.state()}


def optimize(program: Program) -> Optimized:
    """The same function in evaluation mode, without dropout, identities, train-only parts, and
    without the normalisations that directly follow a convolution or linear layer."""
    outputs = tuple(value for _, value in program.outputs)
    passes: dict[Graph, _Pass] = {}
    root = _Pass(program.graph, outputs, passes)
    names = [name for name, _ in program.outputs]
    made = Program(
        program.name,
        root.graph,
        tuple(zip(names, root.graph.outputs, strict=True)),
        (),
        program.text,
        promise=program.promise,
        whole=program.whole,
    )
    return Optimized(made, tuple(root.all_folds("")))


class _Pass:
    """One graph; those of its scopes are in `passes`, each once."""

    def __init__(self, graph: Graph, outputs: tuple[int, ...], passes: dict[Graph, _Pass]) -> None:
        self.passes = passes
        self.old = graph
        self.folds: list[Fold] = []
        self.shared = {i.name for i in graph.items if isinstance(i, (Node, Scope)) and i.shares}
        self.uses: dict[int, int] = {}
        kept = [item for item in graph.items if not getattr(item, "training_only", False)]
        for value in (*(v for item in kept for v in item.inputs), *outputs):
            self.uses[value] = self.uses.get(value, 0) + 1
        self.items: list[Item] = []
        self.places: list[int] = []  # where each stood
        #: old value -> new value
        self.values = {n: n for n in range(len(graph.input_shapes))}
        #: new value -> the place in `items` of what made it
        self.makers: dict[int, int] = {}
        self._rewrite()
        order = {place: number for number, place in enumerate(self.places)}
        self.graph = replace(
            graph,
            items=tuple(self.items),
            declared=tuple(order[place] for place in graph.declared if place in order),
            outputs=tuple(self.values[value] for value in outputs),
            inits=tuple(filter(self._applies, graph.inits)),
            fixed=tuple((self.values[v], place) for v, place in graph.fixed),
        )

    def _rewrite(self) -> None:
        old = len(self.old.input_shapes)
        new = old
        for place, item in enumerate(self.old.items):
            count = len(item.shapes)
            results = range(old, old + count)
            old += count
            if getattr(item, "training_only", False):
                continue
            if isinstance(item, Node) and (same := self._nothing(item)) is not None:
                self.values[results[0]] = same
                continue
            self.items.append(self._moved(item))
            self.places.append(place)
            for result in results:
                self.values[result] = new
                self.makers[new] = len(self.items) - 1
                new += 1

    def _nothing(self, node: Node) -> int | None:
        """The new value that the node's output equals in evaluation, where there is one."""
        if node.op.idle and node.inputs[0] in self.old.unbatched:
            return None  # behind it there is a batch of the parameter
        if node.op.idle:
            return self.values[node.inputs[0]]
        eps = node.op.rescales()
        if eps is None:
            return None
        value = self.values[node.inputs[0]]
        layer = self.items[self.makers[value]] if value in self.makers else None
        if not isinstance(layer, Node) or layer.op.filters_at is None:
            return None
        if self.uses[node.inputs[0]] != 1:
            return None
        if {node.name, layer.name} & self.shared:
            return None  # another use may have no such normalisation behind it
        if not layer.op.maps and len(layer.shape) != 1:
            return None  # its features are last, the normalisation's channels first
        transposed, groups = layer.op.filters_at == 1, getattr(layer.op, "groups", 1)
        fold = Fold(str(layer.name), str(node.name), eps, transposed, groups)
        self.folds.append(fold)
        self.items[self.makers[value]] = replace(layer, op=layer.op.replace(bias=True))
        return value

    def _moved(self, item: Item) -> Item:
        if isinstance(item, Node):
            inputs = tuple(self.values[v] for v in item.inputs)
            return replace(item, inputs=inputs, follows=renumbered(item.follows, self.values))
        if isinstance(item, Scope):
            if item.graph not in self.passes:
                inner = _Pass(item.graph, item.graph.outputs, self.passes)
                self.passes[item.graph] = inner
            graph = self.passes[item.graph].graph
            return replace(item, graph=graph, inputs=tuple(self.values[v] for v in item.inputs))
        return item

    def _applies(self, init: Init) -> bool:
        """A rule for one layer that is gone would draw nothing."""
        if init.path is None:
            return True
        head = init.path.split(".")[0]
        return any(item.name == head for item in self.items)

    def all_folds(self, prefix: str) -> Iterator[Fold]:
        for fold in self.folds:
            yield replace(fold, layer=prefix + fold.layer, norm=prefix + fold.norm)
        for item in self.old.items:
            if isinstance(item, Scope) and not item.training_only and not item.shares:
                yield from self.passes[item.graph].all_folds(f"{prefix}{item.name}.")


def _fold(state: dict[str, Tensor], fold: Fold) -> None:
    """In double precision: the rounding is then that of storing the result."""
    import torch

    weight = state[f"{fold.layer}.weight"]
    mean = state.pop(f"{fold.norm}.running_mean").double()
    variance = state.pop(f"{fold.norm}.running_var").double()
    state.pop(f"{fold.norm}.num_batches_tracked", None)
    scale = torch.rsqrt(variance + fold.eps)
    shift = torch.zeros_like(mean)
    if (gain := state.pop(f"{fold.norm}.weight", None)) is not None:
        scale = scale * gain.double()
        shift = state.pop(f"{fold.norm}.bias").double()
    bias = state.get(f"{fold.layer}.bias")
    before = torch.zeros_like(mean) if bias is None else bias.double()
    by_filter = scale.reshape(-1, *[1] * (weight.dim() - 1))
    if fold.transposed:
        # a transposed convolution's weight is in × out/groups × ...
        rows = scale.reshape(fold.groups, 1, -1)
        each = rows.expand(-1, weight.shape[0] // fold.groups, -1)
        by_filter = each.reshape(weight.shape[0], weight.shape[1], *[1] * (weight.dim() - 2))
    state[f"{fold.layer}.weight"] = (weight.double() * by_filter).to(weight.dtype)
    state[f"{fold.layer}.bias"] = ((before - mean) * scale + shift).to(weight.dtype)
