"""Initialisation rules: the second, small table. Each is one function of torch.nn.init."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from archdsl.ops.table import REQUIRED, Arg
from archdsl.ops.types import Choice, Float, Int, Type

MODE = Choice(("fan_in", "fan_out"))
NONLINEARITY = Choice(
    (
        "linear",
        "conv2d",
        "sigmoid",
        "tanh",
        "relu",
        "leaky_relu",
        "selu",
    )  # torch.nn.init.calculate_gain
)


@dataclass(frozen=True)
class Gain(Type):
    """A factor, or the name of what follows the layer (torch.nn.init.calculate_gain)."""

    def describe(self) -> str:
        return f"a number, or {NONLINEARITY.describe()}"

    def accepts(self, value: object) -> bool:
        return Float().accepts(value) or NONLINEARITY.accepts(value)

    def convert(self, value: Any) -> Any:
        super().convert(value)
        return value if isinstance(value, str) else float(value)

    def words(self) -> tuple[str, ...]:
        return NONLINEARITY.words()


@dataclass(frozen=True, slots=True)
class Attribute:
    """An expression over the torch layer's attributes (`1/sqrt(out_features)`) as Python text that
    the elaborator printed from the checked tree, and the names it uses."""

    NAMES: ClassVar = frozenset(
        [
            "in_channels",
            "out_channels",
            "in_features",
            "out_features",
            "kernel_size",
            "stride",
            "groups",
        ]
    )

    text: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule with its arguments; values are floats, strings or `Attribute`."""

    name: str
    args: tuple[tuple[str, Any], ...] = ()


def _number(name: str, default: Any, doc: str) -> Arg:
    return Arg(name, Float(), default, doc, keyword=False)


def _word(name: str, type: Type, default: str, doc: str) -> Arg:
    return Arg(name, type, default, doc, keyword=True)


_FAN = (
    Arg("a", Float(), 0.0, "slope of the leaky_relu that follows", keyword=True),
    _word("mode", MODE, "fan_in", "keep the variance forward (fan_in) or backward (fan_out)"),
    _word("nonlinearity", NONLINEARITY, "leaky_relu", "what follows the layer"),
)
_GAIN = (Arg("gain", Gain(), 1.0, "scaling factor, or what follows: `gain=relu`", keyword=False),)

#: name -> signature; the name plus "_" is the function of torch.nn.init
RULES: dict[str, tuple[Arg, ...]] = {
    "zeros": (),
    "ones": (),
    "constant": (_number("val", REQUIRED, "the value"),),
    "normal": (_number("mean", 0.0, "mean"), _number("std", 1.0, "standard deviation")),
    "uniform": (_number("a", 0.0, "lower end"), _number("b", 1.0, "upper end")),
    "trunc_normal": (
        _number("mean", 0.0, "mean"),
        _number("std", 1.0, "standard deviation"),
        _number("a", -2.0, "lower cut"),
        _number("b", 2.0, "upper cut"),
    ),
    "kaiming_normal": _FAN,
    "kaiming_uniform": _FAN,
    "xavier_normal": _GAIN,
    "xavier_uniform": _GAIN,
    "orthogonal": _GAIN,
    "dirac": (Arg("groups", Int(1), 1, "groups of the convolution", keyword=True),),
    "eye": (),
    "sparse": (
        Arg("sparsity", Float(0.0, 1.0), REQUIRED, "share of zeros in a column", keyword=False),
        Arg("std", Float(), 0.01, "standard deviation of the others", keyword=False),
    ),
}

#: how many dimensions a weight may have; all others take any
_RANKS = {
    **dict.fromkeys(("kaiming_normal", "kaiming_uniform"), (2, 5)),
    **dict.fromkeys(("xavier_normal", "xavier_uniform", "orthogonal"), (2, 5)),
    "dirac": (3, 5),
    "eye": (2, 2),
    "sparse": (2, 2),
}


def unfit(rule: Rule, shape: tuple[int, ...]) -> str:
    """Why a weight cannot be drawn by a rule; empty where it can."""
    low, high = _RANKS.get(rule.name, (0, 5))
    if not low <= len(shape) <= high:
        need = f"{low}" if low == high else f"{low} to {high}"
        return f"it fills weights of {need} dimensions"
    groups = dict(rule.args).get("groups", 1)
    if rule.name == "dirac" and isinstance(groups, int) and shape[0] % groups:
        return f"{groups} groups do not divide the {shape[0]} filters"
    return ""
