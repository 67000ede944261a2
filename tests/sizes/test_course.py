"""The period argument against brute force: random chains, far beyond every bound."""

from __future__ import annotations

import operator
import random
import re
from collections.abc import Callable
from typing import Any

import pytest

from archdsl.ir import expr as e
from archdsl.sizes.course import (
    EVERY,
    NONE,
    Courses,
    Sizes,
    Unproven,
    describe,
    only,
)
from archdsl.sizes.words import show

Function = Callable[[int], int]
H = e.Var(0, "H")


def _number(rng: random.Random, depth: int) -> tuple[Any, Function]:
    """A random number over H, and the same in plain Python, which knows nothing of expressions."""
    if depth == 0:
        shift = rng.choice((0, 0, rng.randint(-9, 9)))
        return e.add(H, shift), lambda h: h + shift
    one, f = _number(rng, depth - 1)
    k = rng.randint(1, 7)
    kind = rng.choice(("window", "scale", "modulo", "choose", "least", "sum", "divide"))
    if kind == "window":  # (x + 2p - d) // s + 1, as convolutions and poolings do
        pad = rng.randint(-6, 3)
        return e.add(e.div(e.add(one, pad), k), 1), lambda h: (f(h) + pad) // k + 1
    if kind == "scale":
        return e.mul(k, one), lambda h: k * f(h)
    if kind == "modulo":
        return e.add(one, e.mod(one, k), -1), lambda h: f(h) - f(h) % k
    other, g = _number(rng, depth - 1)
    if kind == "choose":
        cond, holds = _condition(rng, depth - 1)
        return e.pick(cond, one, other), lambda h: f(h) if holds(h) else g(h)
    if kind == "least":
        return e.pick(e.at_most(one, other), one, other), lambda h: min(f(h), g(h))
    if kind == "sum":
        sign = rng.choice((1, -1))
        return e.add(one, other, sign), lambda h: f(h) + sign * g(h)
    positive = e.pick(e.at_most(1, other), other, 1)
    return e.div(one, positive), lambda h: f(h) // max(g(h), 1)


def _condition(rng: random.Random, depth: int) -> tuple[Any, Callable[[int], bool]]:
    one, f = _number(rng, depth)
    other, g = _number(rng, depth)
    if rng.random() < 0.3:
        k, r = rng.randint(2, 9), rng.randint(0, 3)
        return e.equal(e.mod(one, k), r % k), lambda h: f(h) % k == r % k
    made, kind = rng.choice(
        ((e.equal, operator.eq), (e.at_most, operator.le), (e.less, operator.lt))
    )
    if rng.random() < 0.5:
        return e.negated(made(one, other)), lambda h: not kind(f(h), g(h))
    return made(one, other), lambda h: bool(kind(f(h), g(h)))


@pytest.mark.parametrize("seed", range(12))
def test_courses_of_random_numbers(seed: int) -> None:
    """What the argument says for all sizes is so, at 3,000 of them and at some of millions."""
    rng, proven = random.Random(seed), 0
    for _ in range(40):
        number, plain = _number(rng, rng.randint(1, 4))
        try:
            course = Courses()(number)
        except Unproven:
            continue
        proven += 1
        end = course.start + course.period
        near = [*range(1, 200), *range(max(1, end - 40), end + 3 * course.period + 40)]
        far = [rng.randint(1, 10**7) for _ in range(50)]
        for h in rng.sample(near, min(len(near), 400)) + far:
            assert course(h) == plain(h), (show(number), h)
            assert e.At((h,))(number) == plain(h)
    assert proven >= 25


@pytest.mark.parametrize("seed", range(12))
def test_sets_of_random_conditions(seed: int) -> None:
    rng, proven = random.Random(100 + seed), 0
    for _ in range(40):
        both = [_condition(rng, rng.randint(1, 3)) for _ in range(2)]
        try:
            one, other = (
                EVERY if c is True else NONE if c is False else Sizes.among(Courses()(c))
                for c, _ in both
            )
            met, joined = one & other, one | other
        except Unproven:
            continue
        proven += 1
        holds, also = (f for _, f in both)
        for h in [*range(1, 150), *(rng.randint(1, 10**7) for _ in range(60))]:
            assert (h in one) == holds(h) and (h in ~one) != holds(h)
            assert (h in met) == (holds(h) and also(h))
            assert (h in joined) == (holds(h) or also(h))
        at = rng.randint(1, 400)
        assert met.next(at) == next((h for h in range(at, at + 5000) if h in met), None)
        assert met.before(at) == next((h for h in range(at, 0, -1) if h in met), None)
    assert proven >= 25


def _said(text: str, h: int) -> bool:
    """What a description says of a size, read by Python."""
    if not text:
        return True

    def ranges(match: re.Match[str]) -> str:
        of, listed = match[1], match[2]
        parts = []
        for part in re.split(r", | or ", listed):
            low, _, high = part.partition(" to ")
            parts.append(f"{low} <= {of} <= {high or low}")
        return "(" + " or ".join(parts) + ")"

    one = r"\d+(?: to \d+)?"
    found = re.sub(rf"(H(?: % \d+)?) is ({one}(?:(?:, | or ){one})*)", ranges, text)
    return bool(eval(found, {"H": h}))


@pytest.mark.parametrize("seed", range(300))
def test_descriptions_say_what_the_set_is(seed: int) -> None:
    rng = random.Random(seed)
    early = [rng.random() < rng.choice((0.1, 0.5, 0.9)) for _ in range(rng.randint(0, 9))]
    cycle = [rng.random() < rng.choice((0.3, 0.9)) for _ in range(rng.choice((1, 2, 3, 4, 6)))]
    sizes = Sizes.of(early, cycle)
    if not sizes:
        return
    text = describe(sizes, "H")
    for h in range(1, 60):
        assert _said(text, h) == (h in sizes), text


@pytest.mark.parametrize(
    ("early", "cycle", "text"),
    [
        ([], [True], ""),
        ([False] * 62, [True], "H >= 63"),
        ([], [False] * 15 + [True], "H % 16 == 0"),
        ([False] * 63, [True] + [False] * 31, "H % 32 == 0 and H >= 64"),
        ([False] * 220 + [True] * 4, [False], "H is 221 to 224"),
        ([True, False], [True], "H != 2"),
        ([True, True, False, True], [False], "H is 1, 2 or 4"),
    ],
)
def test_descriptions(early: list[bool], cycle: list[bool], text: str) -> None:
    assert describe(Sizes.of(early, cycle), "H") == text


def test_equal_sets_are_equal() -> None:
    assert Sizes.of([True, False], [True, False, True, False]) == Sizes.of([], [True, False])
    assert only(3) == Sizes.of([False, False, True, False], [False, False])


def test_a_product_of_growing_numbers_is_not_proven() -> None:
    with pytest.raises(Unproven):
        Courses()(e.mul(H, e.add(H, 1)))


def _quasi(rng: random.Random, depth: int) -> tuple[Any, str]:
    """A random number over h, and the same for isl."""
    if depth == 0:
        return H, "h"
    one, text = _quasi(rng, depth - 1)
    k, shift = rng.randint(2, 7), rng.randint(-6, 6)
    kind = rng.choice(("window", "window", "scale", "modulo", "sum"))
    if kind == "window":
        return e.add(e.div(e.add(one, shift), k), 1), f"(floor(({text} + {shift})/{k}) + 1)"
    if kind == "scale":
        return e.mul(k, one), f"({k}*{text})"
    if kind == "modulo":
        return e.add(one, e.mod(one, k), -1), f"({text} - (({text}) mod {k}))"
    other, more = _quasi(rng, depth - 1)
    return e.add(one, other), f"({text} + {more})"


@pytest.mark.parametrize("seed", range(60))
def test_all_sizes_by_an_independent_proof(seed: int) -> None:
    """isl decides for all whole numbers at once whether our set is the condition's."""
    isl = pytest.importorskip("islpy")
    rng = random.Random(500 + seed)
    one, text = _quasi(rng, rng.randint(1, 3))
    other, more = _quasi(rng, rng.randint(0, 2))
    made, sign = rng.choice(((e.equal, "="), (e.at_most, "<="), (e.less, "<")))
    shift = rng.randint(-20, 20)
    cond = made(one, e.add(other, shift))
    ours = EVERY if cond is True else NONE if cond is False else Sizes.among(Courses()(cond))
    start, period = len(ours.early), len(ours.cycle)
    parts = [f"h = {h}" for h in range(1, start + 1) if h in ours]
    parts += [
        f"(h > {start} and (h - {start + 1 + r}) mod {period} = 0)"
        for r in range(period)
        if ours.cycle[r]
    ]
    said = isl.Set(f"{{ [h] : {' or '.join(parts) or 'false'} }}")
    wanted = isl.Set(f"{{ [h] : h >= 1 and {text} {sign} {more} + {shift} }}")
    assert said.is_equal(wanted), show(cond) if not isinstance(cond, bool) else text
