"""Shapes, numbers and names as a person reads them: one spelling of each, for every room."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


def shape_text(shape: Iterable[int], *, by: str = "x", empty: str = "a single number") -> str:
    """`64x7x7`; `empty`: what a shape without dimensions is called."""
    return by.join(map(str, shape)) or empty


def count_text(count: float) -> str:
    """`9.4k`, `25.6M`: three digits, in powers of a thousand."""
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size:
            number = count / size
            return f"{number:,.0f}{unit}" if number >= 99.5 else f"{number:.3g}{unit}"
    return str(count)


def bytes_text(count: float) -> str:
    """`45 MiB`, in powers of 1024."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def inputs_text(inputs: Mapping[str, tuple[int, ...]], *, by: str = "x") -> str:
    """The shape of a model's input; of several, each with its name."""
    if len(inputs) == 1:
        return shape_text(*inputs.values(), by=by)
    return ", ".join(f"{name} {shape_text(shape, by=by)}" for name, shape in inputs.items())


def plural(count: int, noun: str, nouns: str = "") -> str:
    """`1 error`, `2 errors`."""
    return f"{count} {noun if count == 1 else nouns or noun + 's'}"


def either(names: Sequence[str]) -> str:
    """`a, b or c`."""
    *first, last = names or ("",)
    return f"{', '.join(first)} or {last}" if first else last


def did_you_mean(names: Sequence[str], otherwise: str = "") -> str:
    """A question, where there is something to ask about."""
    return f"did you mean {' or '.join(names)}?" if names else otherwise
