"""What a mistyped name may have meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archdsl.diagnostics.suggest import closest, distance

# fmt: off
NAMES = [
    "conv", "depthwise", "maxpool", "avgpool", "gap", "bn", "ln", "gn",
    "relu", "gelu", "sigmoid", "softmax", "linear", "flatten", "dropout", "residual",
    "branch", "num_classes", "inception", "bottleneck", "basic", "upsample", "concat", "attention",
]
# fmt: on


@pytest.mark.parametrize(
    ("word", "first"),
    [
        ("covn", "conv"),
        ("RELU", "relu"),
        ("rellu", "relu"),
        ("bottelneck", "bottleneck"),
        ("bottlenekc", "bottleneck"),
        ("resid", "residual"),
        ("drop", "dropout"),
        ("conv2d", "conv"),
        ("dropout2d", "dropout"),
        ("maxpol", "maxpool"),
        ("incpetion", "inception"),
        ("bm", "bn"),
        ("classes", "num_classes"),
    ],
)
def test_the_name_that_was_meant_comes_first(word: str, first: str) -> None:
    assert closest(word, NAMES)[0] == first


@pytest.mark.parametrize("word", ["", "q", "xyzzy", "zzzzzzzz", "@@@@", "中文字", "z" * 10_000])
def test_nothing_for_garbage(word: str) -> None:
    assert closest(word, NAMES) == ()


def test_best_first_then_by_name_and_no_more_than_the_limit() -> None:
    names = ["stage3", "stage1", "stage2", "stages", "stag"]
    assert closest("stage", names) == ("stag", "stage1", "stage2")
    assert closest("stage", names, limit=9) == ("stag", "stage1", "stage2", "stage3", "stages")
    assert closest("satge1", names, limit=2) == ("stage1", "stage2")


def test_a_word_is_not_its_own_suggestion() -> None:
    assert closest("conv", ["conv", "Conv"]) == ("Conv",)


def test_distance() -> None:
    assert distance("covn", "conv", 3) == 1
    assert distance("ca", "abc", 3) == 3  # restricted: a swapped pair is not edited again
    assert distance("kitten", "sitting", 3) == 3
    assert distance("kitten", "sitting", 2) > 2
    assert distance("", "abc", 3) == 3


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_the_cap_only_cuts(a: str, b: str) -> None:
    exact = distance(a, b, 99)
    assert exact == distance(b, a, 99)
    assert abs(len(a) - len(b)) <= exact <= max(len(a), len(b))
    for cap in range(6):
        assert distance(a, b, cap) == exact or (exact > cap and distance(a, b, cap) > cap)
