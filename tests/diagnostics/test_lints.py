"""Warnings: said where they are certain, and nowhere else."""

from __future__ import annotations

import pytest

import archdsl
from archdsl.pipeline import open_spec, shipped


def codes(body: str, input: str = "32") -> list[str]:
    report = archdsl.check(f"model m() {{\n  input {input}\n{body}\n}}\n")
    assert report.ok, str(report)
    return [d.code for d in report.diagnostics]


@pytest.mark.parametrize(
    "body",
    [
        "linear 64 -> linear 10",
        "linear 64 -> dropout 0.2 -> identity -> linear 10",
        "linear 64 bias=false -> bn -> linear 10",
        "linear 64 -> flatten -> linear 10",
        "linear 8 -> linear 8",
        "head: { linear 64; linear 10 }",
        "block_: repeat 2 { linear 32 }",
    ],
)
def test_two_linear_layers_are_one(body: str) -> None:
    assert codes(body) == ["W0001"]


@pytest.mark.parametrize(
    "body",
    [
        "linear 64 -> relu -> linear 10",
        "linear 64 -> softmax -> linear 10",
        "linear 4 -> linear 32",  # a bottleneck: of less rank than one layer
        "linear 64 -> tap t -> linear 10 -> concat @t",  # used elsewhere, too
        "linear 64 -> tap t -> linear 10\noutput @t",
        "linear 64 -> ln -> linear 10",
        "residual { linear 32 } -> linear 10",
    ],
)
def test_these_may_be_meant(body: str) -> None:
    assert codes(body) == []


def test_convolutions_in_a_row_are_left_alone() -> None:
    assert codes("conv 8 1x1 -> conv 16 3x3 groups=8 -> conv 8 1x1", "3x8x8") == []


def test_bias_before_bn() -> None:
    assert codes("conv 8 3x3 -> bn", "3x8x8") == ["W0002"]
    assert codes("deconv 8 3x3 -> bn", "3x8x8") == ["W0002"]
    assert codes("linear 8 -> bn") == ["W0002"]
    assert codes("conv 8 3x3 bias=false -> bn", "3x8x8") == []
    assert codes("conv 8 3x3 bias=true -> bn", "3x8x8") == []  # said, so meant
    assert codes("conv 8 3x3 -> relu -> bn", "3x8x8") == []
    assert codes("conv 8 3x3 -> gn 2", "3x8x8") == []


def test_each_place_once() -> None:
    block = "block b() { conv 8 3x3 pad=1; bn; relu }\n"
    report = archdsl.check(f"{block}model m() {{ input 3x8x8; b x3 }}")
    assert [d.code for d in report.warnings] == ["W0002"]


@pytest.mark.parametrize("name", shipped())
def test_shipped_specs_are_clean(name: str) -> None:
    assert open_spec(name).diagnostics == []
