"""Random specs: the checker and torch agree. `python -m tests.fuzz 100000` for many."""

from __future__ import annotations

import random
import re
import warnings

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import archdsl
from archdsl.ops import TABLE, Op
from archdsl.ops.table import Blame, Shape
from archdsl.pipeline import open_spec, specs_folder
from tests.fuzz import optimized
from tests.fuzz.specs import Maker
from tests.fuzz.verdict import MEANT, Wrong, cleaned, verdict


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


@settings(
    max_examples=100,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(st.randoms(use_true_random=False))
def test_random_specs(rng: random.Random) -> None:
    text = Maker(rng).spec()
    with cleaned(), warnings.catch_warnings(action="ignore"):
        verdict(text)


@pytest.mark.parametrize("first", range(0, 40, 20))
def test_optimised_random_specs_compute_the_same(first: int) -> None:
    with warnings.catch_warnings(action="ignore"):
        verdicts = [optimized.judged(seed) for seed in range(first, first + 20)]
    assert verdicts.count("same") > 10


def test_finds_a_wrong_optimisation(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "model m() {\n  input 3x8x8\n  conv 4 3x3 -> bn\n}\n"
    program = open_spec(text).checked()
    optimized.compare(program)
    monkeypatch.setattr("archdsl.runtime.optimize._fold", lambda state, fold: None)
    with pytest.raises((Wrong, RuntimeError)):
        optimized.compare(program)


MISTAKES = [
    "conv 4 99x99",
    "linear 3 3",
    "@nowhere",
    "gn 7",
    "mha 13",
    "dropout 7",
    "add { identity; conv 77 1x1 }",
    "residual { linear 9 }",
    "residual { conv 77 1x1 /2 }",
    "conv (1/3) 3x3",
    "reshape [7, 11, 13]",
    "let q = 3/0",
    "permute [1, 0]",
]


@settings(max_examples=200, derandomize=True, database=None, deadline=None)
@given(st.randoms(use_true_random=False))
def test_mistakes_in_random_specs_end_in_diagnostics(rng: random.Random) -> None:
    """Several in one text: what comes after an error is looked at with less known."""
    lines = Maker(rng).spec().split("\n")
    for _ in range(rng.randint(1, 3)):
        lines.insert(rng.randint(1, len(lines) - 1), rng.choice(MISTAKES))
    report = archdsl.check("\n".join(lines))
    assert report.errors or report.program is not None
    assert str(report)


def test_specs_reach_every_operator() -> None:
    """What is drawn is worth checking: most is valid, and all of the language is in it."""
    texts = [Maker(random.Random(seed)).spec() for seed in range(300)]
    words = " ".join(texts).split()
    assert TABLE.keys() <= set(words)
    parts = "block residual shortcut repeat for if else tap aux output param assert"
    assert set(parts.split()) <= set(words)
    valid = [open_spec(text).program for text in texts[:100]]
    assert 50 < sum(program is not None for program in valid) < 95


@pytest.mark.parametrize("what", ["shape", "macs", "weights"])
def test_finds_a_wrong_rule(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = TABLE["conv"]
    right = getattr(kind, what)

    def wrong(self: object, *inputs: tuple[int, ...]) -> object:
        result = right(self, *inputs)
        return result + 1 if what == "macs" else result[:-1]

    monkeypatch.setattr(kind, what, wrong)
    with pytest.raises(Wrong):
        verdict("model m() {\n  input 3x8x8\n  conv 4 3x3\n}\n")


def test_the_guide_names_what_is_refused_beyond_torch() -> None:
    guide = (specs_folder() / "README.md").read_text(encoding="utf-8")
    section = guide.partition("### Refused, although")[2].partition("\n## ")[0]
    named = {word for word in re.findall(r"`(\w+)", section) if word in TABLE}
    assert named == {name for name, _ in MEANT}


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("residual { conv 4 1x1 }", "deliberate"),
        ("add { identity; conv 4 1x1 }", "refused"),
        ("flatten; conv 4 3x3", "refused"),
        ("conv 4 3x3 groups=2", "refused"),
        ("dropout 1.5", "refused"),
        ("relu -> pad [-8, 0]", "deliberate"),
        ("mean [0, 1, 2] -> b", "deliberate"),
    ],
)
def test_refusals_of_every_kind_are_judged(step: str, expected: str) -> None:
    block = "block b() { g: { linear in } }"
    assert verdict(f"{block}\nmodel m() {{\n  input 3x8x8\n  {step}\n}}\n") == expected


def test_finds_a_wrong_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside a block, in a group that is still open."""
    text = "block b(k) { g: { relu -> conv 4 k } }\nmodel m() {\n  input 3x8x8\n  b 9\n}\n"
    assert verdict(text) == "refused"

    def wrong(self: Op, *inputs: Shape) -> Shape:
        raise Blame("kernel", "too hard")

    monkeypatch.setattr(TABLE["conv"], "shape", wrong)
    with pytest.raises(Wrong, match="torch takes"):
        verdict(text.replace("b 9", "b 3"))
