"""Types of operator arguments: what a person may write for them, and what the operator then gets.

`convert` takes a value of the language (int, float, bool, str, or a tuple of values; a size such as
`3x3` is a tuple of ints) and returns the operator's value, or raises ValueError with a message that
completes "... must be".
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

MAX_INT = 2**40  # beyond any tensor; keeps arithmetic on shapes within machine integers
MAX_FLOAT = 3.4028234663852886e38  # of float32; torch refuses what is beyond


class Type:
    """Base: `describe()` completes "`name` must be ...", for messages and the reference."""

    def describe(self) -> str:
        raise NotImplementedError

    def accepts(self, value: object) -> bool:
        raise NotImplementedError

    def convert(self, value: Any) -> Any:
        if not self.accepts(value):
            raise ValueError(self.describe())
        return value

    def words(self) -> tuple[str, ...]:
        """Bare words that the argument takes (`padding_mode=reflect`)."""
        return ()


def is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def another(value: int | float) -> int | float:
    """Another number, that may stand where this one does: a probability stays one."""
    if is_int(value):
        return value + 1
    return value / 2 + (0.125 if value != 0.25 else 0.25)


@dataclass(frozen=True)
class Int(Type):
    min: int = -MAX_INT
    max: int = MAX_INT

    def describe(self) -> str:
        if self.min == -MAX_INT:
            return "a whole number"
        limit = "" if self.max == MAX_INT else f" and at most {self.max}"
        return f"a whole number of at least {self.min}{limit}"

    def accepts(self, value: Any) -> bool:
        return is_int(value) and self.min <= value <= self.max


@dataclass(frozen=True)
class Float(Type):
    min: float = -math.inf
    max: float = math.inf
    above: bool = False  # the minimum itself is excluded

    def describe(self) -> str:
        if math.isinf(self.min) and math.isinf(self.max):
            return "a number"
        if math.isinf(self.max):
            return f"a number {'above' if self.above else 'of at least'} {self.min:g}"
        return f"a number from {self.min:g} to {self.max:g}"

    def accepts(self, value: Any) -> bool:
        number = is_int(value) or isinstance(value, float)
        return (
            number
            and abs(value) <= MAX_FLOAT
            and self.min <= value <= self.max
            and not (self.above and value == self.min)
        )

    def convert(self, value: Any) -> float:
        return float(super().convert(value))


@dataclass(frozen=True)
class Bool(Type):
    def describe(self) -> str:
        return "true or false"

    def accepts(self, value: object) -> bool:
        return isinstance(value, bool)


@dataclass(frozen=True)
class Choice(Type):
    """One of a few bare words."""

    options: tuple[str, ...]

    def describe(self) -> str:
        return "one of " + ", ".join(f"`{o}`" for o in self.options)

    def accepts(self, value: object) -> bool:
        return isinstance(value, str) and value in self.options

    def words(self) -> tuple[str, ...]:
        return self.options


@dataclass(frozen=True)
class Size(Type):
    """A number for every spatial dimension, or one for all: `3`, `3x3`, `1x7`, `2x3x3`.

    The operator gets a tuple; of length 1 it stands for every dimension (see `spread`).
    """

    min: int = 1
    or_words: tuple[str, ...] = ()

    def describe(self) -> str:
        words = "".join(f", or `{w}`" for w in self.or_words)
        return f"a size such as `3` or `3x3`, of whole numbers of at least {self.min}{words}"

    def accepts(self, value: Any) -> bool:
        if isinstance(value, str):
            return value in self.or_words
        sides = value if isinstance(value, tuple) else (value,)
        return 1 <= len(sides) <= 3 and all(
            is_int(side) and self.min <= side <= MAX_INT for side in sides
        )

    def convert(self, value: Any) -> tuple[int, ...] | str:
        super().convert(value)
        return value if isinstance(value, (tuple, str)) else (value,)

    def words(self) -> tuple[str, ...]:
        return self.or_words


@dataclass(frozen=True)
class Ints(Type):
    """A list of whole numbers, `[1, 2]`, or a size, `4x8`; `one`: a single number counts as one."""

    min: int = -MAX_INT
    one: bool = True

    def describe(self) -> str:
        limit = "" if self.min == -MAX_INT else f" of at least {self.min}"
        return f"a list of whole numbers{limit}, such as `[1, 2]`"

    def accepts(self, value: Any) -> bool:
        items = value if isinstance(value, tuple) else (value,) if self.one else ()
        return len(items) > 0 and all(is_int(i) and self.min <= i <= MAX_INT for i in items)

    def convert(self, value: Any) -> tuple[int, ...]:
        super().convert(value)
        return value if isinstance(value, tuple) else (value,)


@dataclass(frozen=True)
class Floats(Type):
    """A list of numbers, `[0.5, 1.0]`; a single number counts as one."""

    def describe(self) -> str:
        return "a number or a list of numbers, such as `[0.5, 1.0]`"

    def accepts(self, value: Any) -> bool:
        items = value if isinstance(value, tuple) else (value,)
        return len(items) > 0 and all(map(Float().accepts, items))

    def convert(self, value: Any) -> tuple[float, ...]:
        super().convert(value)
        return tuple(map(float, value if isinstance(value, tuple) else (value,)))


@dataclass(frozen=True)
class Equation(Type):
    """Einstein's notation: terms of letters, `bij,bjk->bik`."""

    def describe(self) -> str:
        return 'an equation in quotes, such as `"bij,bjk->bik"`: letters, commas and `->`'

    def accepts(self, value: object) -> bool:
        return isinstance(value, str) and bool(_EQUATION.fullmatch(value.replace(" ", "")))

    def convert(self, value: Any) -> str:
        return str(super().convert(value)).replace(" ", "")


_EQUATION = re.compile("[a-zA-Z]+(,[a-zA-Z]+)*->[a-zA-Z]+")
