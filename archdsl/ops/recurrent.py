"""Recurrent layers over a sequence L×C, one token after the other."""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops.seen import Seen
from archdsl.ops.spatial import layout
from archdsl.ops.table import ALL, Call, Lifted, Op, Reach, Saved, Shape, Weight, X, arg, call
from archdsl.ops.types import Bool, Int


class _Recurrent(Op):
    """`torch`: its class; `gates`: how many maps of the hidden size each step has."""

    torch: ClassVar[str]
    gates: ClassVar[int]
    autocast = "half"
    example_input = (32, 64)
    support = "recurrent"
    aliases = (("hidden", "hidden_size"), ("layers", "num_layers"))

    hidden: int = arg(Int(1), doc="size of the state, which is what each token becomes")
    layers: int = arg(Int(1, 100), default=1, doc="layers, one upon the other")
    bidirectional: bool = arg(
        Bool(), default=False, doc="once more from the end: twice as many outputs", keyword=True
    )

    @classmethod
    def of(cls, seen: Seen) -> Lifted | None:
        args = seen.args
        usual = args.get("batch_first") and args.get("bias", True) and not args.get("proj_size")
        alone = len(seen.inputs) == 1 and not args.get("dropout") and seen.place == 0
        return super().of(seen) if usual and alone else None

    @property
    def ways(self) -> int:
        return 2 if self.bidirectional else 1

    def shape(self, *inputs: Shape) -> Shape:
        length, _ = layout(self, inputs[0], "L×C")
        return length, self.ways * self.hidden

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        found, rows = [], self.gates * self.hidden
        for layer in range(self.layers):
            entering = self.ways * self.hidden if layer else inputs[0][1]
            for way in ("", "_reverse")[: self.ways]:
                end = f"l{layer}{way}"
                found += [
                    Weight(f"weight_ih_{end}", (rows, entering)),
                    Weight(f"weight_hh_{end}", (rows, self.hidden)),
                    Weight(f"bias_ih_{end}", (rows,)),
                    Weight(f"bias_hh_{end}", (rows,)),
                ]
        return tuple(found)

    def _per_token(self, channels: int) -> int:
        """Weights of the matrices, each of which a token meets once."""
        entering = channels + (self.layers - 1) * self.ways * self.hidden
        return self.ways * self.gates * self.hidden * (entering + self.layers * self.hidden)

    def macs(self, *inputs: Shape) -> int:
        length, channels = inputs[0]
        return length * self._per_token(channels)

    def saved(self, *inputs: Shape) -> Saved:
        length, channels = inputs[0]
        steps = self.layers * 7 * self.hidden + (self.layers - 1) * self.hidden
        return Saved(more=4 * length * self.ways * (channels + steps))

    def reach(self, *inputs: Shape) -> Reach:
        return ALL

    def module(self, *inputs: Shape) -> Call:
        return self._constructor(f"Token{self.torch}", inputs[0][1])

    def direct(self, *inputs: Shape) -> tuple[Call, Call]:
        return self._constructor(f"nn.{self.torch}", inputs[0][1]), call("", X)

    def _constructor(self, name: str, channels: int) -> Call:
        given = {"num_layers": (self.layers, 1), **self.keywords("bidirectional")}
        return call(name, channels, self.hidden, **given, batch_first=True)


class LSTM(_Recurrent, name="lstm", family="recurrent"):
    """Long short-term memory over a sequence L×C: each of the L tokens becomes the state that
    the layer has after it, of `hidden` numbers.

    Source: torch.nn.LSTM; Hochreiter and Schmidhuber, Long Short-Term Memory, 1997.
    """

    example = "lstm 128 bidirectional=true"
    lifts = "TokenLSTM", "nn.LSTM"
    torch = "LSTM"
    gates = 4


class GRU(_Recurrent, name="gru", family="recurrent"):
    """Gated recurrent unit over a sequence L×C: `lstm` with fewer gates.

    Source: torch.nn.GRU; Cho et al. 2014.
    """

    example = "gru 128 2"
    lifts = "TokenGRU", "nn.GRU"
    torch = "GRU"
    gates = 3
