"""`where` behind an input, against every size of a square of 40, one by one."""

from __future__ import annotations

import random

import pytest

from archdsl.diagnostics.catalogue.shapes import NotProven, PromiseBroken
from archdsl.fix import fixed
from archdsl.ir.condition import as_data, from_data
from archdsl.ir.expr import LETTERS, At
from archdsl.pipeline import open_spec

U = """  conv 4 3x3 pad=1 -> tap a
  maxpool 2x2 -> tap b
  maxpool 2x2 -> upsample 2
  concat @b
  upsample 2
  concat @a
"""
NETS = {
    "a u": U,
    "windows": "  conv 4 5x5 /2\n  maxpool 3x3\n",
    "a head": "  avgpool 4x4 /4\n  flatten\n  linear 3\n",
    "transposed": "  add { identity; permute [0, 2, 1] }\n",
    "places": "  conv 4 4x4 /4\n  flatten 2\n  param p [1, 4, 16] zeros\n  add @p\n",
}


def net(name: str, where: str, side: int = 16) -> str:
    return f"model m {{\n  input 1x{side}x{side} where {where}\n{NETS[name]}}}\n"


def _number(rng: random.Random) -> str:
    side = rng.choice("hw")
    kind = rng.choice(("{}", "{}", "{} % 4", "{} % 2", "{} // 4", "({} - 1) // 2", "2*{}"))
    return kind.format(side)


def _condition(rng: random.Random, depth: int) -> str:
    if depth and rng.random() < 0.6:
        parts = _condition(rng, depth - 1), _condition(rng, depth - 1)
        return f"({parts[0]} {rng.choice(('and', 'and', 'or'))} {parts[1]})"
    if rng.random() < 0.15:
        return f"not {_condition(rng, 0)}"
    other = str(rng.randint(0, 20)) if rng.random() < 0.7 else _number(rng)
    return f"{_number(rng)} {rng.choice(('==', '>=', '<=', '<', '>', '!='))} {other}"


def _holds(text: str, h: int, w: int) -> bool:
    return bool(eval(text, {"h": h, "w": w, "min": min, "max": max}))


@pytest.mark.parametrize("name", NETS)
def test_random_promises(name: str) -> None:
    """Proven ones hold wherever one looks, and the counterexample is the smallest that there is."""
    rng, verdicts = random.Random(name), {True: 0, False: 0}
    free = open_spec(f"model m {{\n  input 1x16x16\n{NETS[name]}}}\n").checked().sizes
    square = [(h, w) for h in range(1, 41) for w in range(1, 41)]
    taken = {size for size in square if size in free}
    kept = "h % 4 == 0 and w % 4 == 0 and h == w and h == 16"
    texts = [_condition(rng, rng.randint(0, 2)) for _ in range(24)]
    texts += [f"{kept} and ({text})" for text in texts]
    for text in texts:
        if not _holds(text, 16, 16):
            continue
        spec = open_spec(net(name, text))
        promised = {size for size in square if _holds(text, *size)}
        if spec.program is not None:
            assert promised <= taken, text
            verdicts[True] += 1
            continue
        (problem,) = spec.diagnostics
        if isinstance(problem, NotProven):
            assert promised <= taken, text
            continue
        assert isinstance(problem, PromiseBroken), problem.message
        size = tuple(map(int, problem.size.split("x")))
        assert _holds(text, *size) and size not in free, text
        outside = promised - taken
        assert all((h * w, h, w) >= (size[0] * size[1], *size) for h, w in outside), text
        verdicts[False] += 1
    assert min(verdicts.values()) >= 3, verdicts


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("a u", "h % 4 == 0 and w % 4 == 0"),
        ("a u", "h % 8 == 0 and w == h"),
        ("a u", "h == w and w % 4 == 0"),
        ("a u", "h <= 2*w and h % 4 == 0 and w % 16 == 0"),
        ("windows", "h >= 9 and w >= 9"),
        ("windows", "min(h, w) >= 9"),
        ("a head", "h // 4 == 4 and w // 4 == 4"),
        ("transposed", "h == w"),
        ("places", "max(h, w) < 20 and 15 < min(h, w)"),
        ("places", "h == 16 and w == 16"),
    ],
)
def test_kept(name: str, where: str) -> None:
    spec = open_spec(net(name, where))
    assert spec.program is not None, [d.message for d in spec.diagnostics]


@pytest.mark.parametrize(
    ("name", "where", "size", "step", "exact"),
    [
        ("a u", "h % 2 == 0 and w % 4 == 0", "2x4", "maxpool 2x2", "h % 4 == 0 and w % 4 == 0"),
        ("a u", "h % 4 == 0 and w >= 4", "4x5", "concat @a", "h % 4 == 0 and w % 4 == 0"),
        ("windows", "h >= 8 and w >= 9", "8x9", "maxpool 3x3", "h >= 9 and w >= 9"),
        (
            "a head",
            "h >= 16 and w >= 16 and h < 24 and w < 20",
            "20x16",
            "linear 3",
            "",
        ),
        ("transposed", "h >= w", "3x2", "add { identity; permute [0, 2, 1] }", ""),
        ("places", "w == 16", "1x16", "conv 4 4x4 /4", ""),
    ],
)
def test_broken(name: str, where: str, size: str, step: str, exact: str) -> None:
    spec = open_spec(net(name, where))
    (problem,) = spec.diagnostics
    assert isinstance(problem, PromiseBroken)
    assert problem.code == "E0207" and (problem.size, problem.step) == (size, step)
    assert problem.related and size in problem.related[0].text
    assert exact in problem.hint


@pytest.mark.parametrize("name", ["a u", "windows", "a head"])
def test_the_proposed_condition_is_the_set(name: str) -> None:
    spec = open_spec(net(name, "h >= 1 or w >= 1"))
    (problem,) = spec.diagnostics
    if not problem.fixes:  # too long to be written
        assert name == "a head"
        return
    ((span, text),) = problem.fixes[0].edits
    assert span.text == "h >= 1 or w >= 1" and not problem.fixes[0].safe
    mended = open_spec(net(name, text)).checked()
    assert all(
        _holds(text, h, w) == ((h, w) in mended.sizes) for h in range(1, 41) for w in range(1, 41)
    )


def test_what_is_not_proven_is_refused() -> None:
    (problem,) = open_spec(net("places", "h // 4 * (w // 4) == 16")).diagnostics
    assert isinstance(problem, NotProven) and "H is 4 to 7" in problem.primary.text


def test_a_proposal_is_not_applied_unasked() -> None:
    spec, mended = fixed(open_spec(net("a u", "h >= 1")), lambda problem: True)
    assert not mended and "where h >= 1" in spec.source.text


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("h == 32", "none of those that may come in"),
        ("l >= 3", "has no `l`"),
        ("h / 2 >= 3", "can be proven for all sizes"),
        ("h", "can be proven for all sizes"),
        ("h % w == 0", "can be proven for all sizes"),
        ("h % 0 == 0", "division by zero"),
        ("sqrt(h) >= 2", "can be proven for all sizes"),
        ("h >= 1.5", "can be proven for all sizes"),
        ("k >= 3", "`k`"),
        ("true", "does not take every size"),
        ("false", "none of those"),
    ],
)
def test_wrong_conditions(where: str, told: str) -> None:
    (problem,) = open_spec(net("windows", where)).diagnostics
    assert told in problem.message


def test_names_of_a_promise() -> None:
    """The sides go before parameters of the same name; others keep their meaning."""
    text = "model m(h=9, k=9) {\n  let n = k\n  input 1x(h + 7)x16 where h >= n and w >= k\n"
    spec = open_spec(text + NETS["windows"] + "}\n")
    assert not spec.diagnostics and spec.checked().promise is not None
    given = open_spec(text + NETS["windows"] + "}\n", params={"k": 8})
    assert [d.code for d in given.diagnostics] == ["E0207"]


def test_the_given_size_must_be_promised() -> None:
    text = net("windows", "h >= 12 and w >= 12 and h % 2 == 0")
    assert open_spec(text, input=(1, 14, 13)).program is not None
    (problem,) = open_spec(text, input=(1, 13, 13)).diagnostics
    assert "13x13" in problem.message and "12x13, 14x13" in problem.helps[0]


def test_sequences_and_volumes() -> None:
    for shape, where, good in (
        ("2x30", "l % 3 == 0", "maxpool 3"),
        ("1x8x8x8", "d % 2 == 0 and h % 2 == 0 and w % 2 == 0", "maxpool 2 -> upsample 2"),
        ("30x2", "l >= 1", "linear 3"),
    ):
        spec = open_spec(f"model m {{ input {shape} where {where}; {good} }}")
        assert spec.program is not None, [d.message for d in spec.diagnostics]
    (problem,) = open_spec("model m { input 2x30 where l >= 2; maxpool 3 }").diagnostics
    assert isinstance(problem, PromiseBroken) and problem.size == "2"


def test_conditions_as_data() -> None:
    rng = random.Random(4)
    for _ in range(12):
        text = f"{_condition(rng, 2)} or min(h, w) >= 9 or h * w == 256 or h + w == 32"
        promise = open_spec(net("transposed", f"h == w and ({text})")).program
        if promise is None or promise.promise is None:
            continue
        data = as_data(promise.promise.cond)
        again = from_data(data, LETTERS[2])
        for size in [(rng.randint(1, 40), rng.randint(1, 40)) for _ in range(30)]:
            assert At(size)(again) == At(size)(promise.promise.cond)
        assert as_data(again) == data


@pytest.mark.parametrize(
    "data",
    [[], ["==", "H"], ["or", True], ["==", "X", 0], ["//", "H", 2], ["<=", ["//", "H", 0], 1]],
)
def test_data_that_is_no_condition(data: object) -> None:
    with pytest.raises(ValueError, match=r"is no|wanted"):
        from_data(data, LETTERS[2])
