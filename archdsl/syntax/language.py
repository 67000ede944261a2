"""The words of the language: its keywords, constants and functions, each once.

The grammar has the keywords too (a test compares them); highlighters, completion, hover, the
checker and the evaluator read them here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

KEYWORDS = (
    "use", "block", "model", "input", "let", "init", "param", "buffer", "declare", "output",
    "assert", "residual", "shortcut", "repeat", "for", "in", "as", "if", "else", "tap", "aux",
    "and", "or", "not",
)  # fmt: skip
SOFT = ("where", "part", "until")  # words at one place of the grammar, names everywhere else
#: the names that a condition behind `where` has for the sides of what comes in
SIDES = {
    "h": "height of what comes in",
    "w": "width of what comes in",
    "d": "depth of what comes in",
    "l": "length of what comes in",
    "c": "channels of what comes in",
}
#: the words for what enters a block, and for what flows at a place
FLOWS = ("in", "here")
CONSTANTS = ("true", "false", "none")
MAX_TOKENS = 20_000  # of a text; the parser takes a second for them; ResNet-50 has 300


class Function(NamedTuple):
    """One of the language, with the least and the most arguments that it takes."""

    least: int
    most: int
    compute: Callable[..., Any]
    doc: str


def make_divisible(value: float, divisor: float = 8, least: float = 0) -> int:
    """The multiple of `divisor` next to `value`, never less than 90 % of it (MobileNet's rule)."""
    rounded = int(max(least or divisor, int(value + divisor / 2) // divisor * divisor))
    return int(rounded + divisor) if rounded < 0.9 * value else rounded


def _total(*values: Any) -> Any:
    return sum(values[0]) if len(values) == 1 and isinstance(values[0], tuple) else sum(values)


def _lists(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of lists, which in Python would take strings, too."""

    def of_lists(*values: Any) -> Any:
        if any(isinstance(value, str) for value in values):
            raise TypeError
        return function(*values)

    return of_lists


#: what computes an iterator gives a list, which the evaluator makes no longer than lists may be
RANK = "rank"  # the function that takes a value in the place of a number

FUNCTIONS = {
    "abs": Function(1, 1, abs, "abs(x): without its sign"),
    "ceil": Function(1, 1, math.ceil, "ceil(x): the next whole number up"),
    "enumerate": Function(
        1,
        2,
        _lists(enumerate),
        "enumerate(list), enumerate(list, first): each item with its number, from 0",
    ),
    "float": Function(1, 1, float, "float(x): with a fraction"),
    "floor": Function(1, 1, math.floor, "floor(x): the next whole number down"),
    "int": Function(1, 1, int, "int(x): without its fraction"),
    "len": Function(1, 1, len, "len(list): how many items"),
    "log": Function(1, 1, math.log, "log(x): natural logarithm"),
    "log2": Function(1, 1, math.log2, "log2(x): logarithm to base 2"),
    "make_divisible": Function(
        1,
        3,
        make_divisible,
        "make_divisible(value, divisor=8, least): the multiple of `divisor` next to `value`, "
        "never less than 90 % of it (MobileNet's rule)",
    ),
    "max": Function(1, 99, max, "max(a, b, ...), max(list): the largest"),
    "min": Function(1, 99, min, "min(a, b, ...), min(list): the smallest"),
    "range": Function(
        1,
        3,
        range,
        "range(end), range(start, end), range(start, end, step): whole numbers, without `end`",
    ),
    "reversed": Function(1, 1, _lists(reversed), "reversed(list): from its end"),
    RANK: Function(1, 1, len, "rank(@s), rank(in): how many dimensions a sample of it has"),
    "round": Function(1, 1, round, "round(x): the nearest whole number"),
    "sorted": Function(1, 1, _lists(sorted), "sorted(list): from the least to the largest"),
    "sqrt": Function(1, 1, math.sqrt, "sqrt(x): square root"),
    "sum": Function(1, 99, _total, "sum(a, b, ...), sum(list)"),
    "zip": Function(
        1, 99, _lists(zip), "zip(a, b, ...): lists of an item of each, as many as the shortest has"
    ),
}
