"""Warnings: said where they are certain, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

import archdsl
from archdsl.pipeline import open_spec, specs_folder


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
        "linear 64 -> tap t -> linear 10 -> tap u\noutput @t @u",
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


SPECS = sorted(specs_folder().rglob("*.arch"))


@pytest.mark.parametrize("path", SPECS, ids=lambda p: str(p.relative_to(specs_folder())))
def test_shipped_specs_are_clean(path: Path) -> None:
    """But for DeepLab's norm of a map's mean, which is in the paper."""
    meant = {"W0019"} if path.name.startswith("deeplab") else set()
    assert {d.code for d in open_spec(path).diagnostics} == meant


def test_a_library_is_left_alone(tmp_path: Path) -> None:
    """Warnings are for the file that is checked, not for those that it uses."""
    (tmp_path / "blocks.arch").write_text("block a() { relu }\nblock b(x) { relu }\n")
    path = tmp_path / "net.arch"
    path.write_text('use "blocks.arch"\nmodel m() { input 3; a }\n')
    assert open_spec(path).diagnostics == []


def test_what_is_given_from_outside_is_used(tmp_path: Path) -> None:
    path = tmp_path / "net.arch"
    path.write_text("block mine() { relu }\nmodel m(act=relu) { input 3; act }\n")
    assert [d.code for d in open_spec(path).diagnostics] == ["W0003"]
    assert open_spec(path, params={"act": "mine"}).diagnostics == []


def test_a_smaller_input_shrinks_too_soon() -> None:
    found = archdsl.check("resnet18", input=(3, 32, 32)).warnings
    assert [d.code for d in found] == ["W0009"]
    assert [label.text for label in found[0].related] == ["2x2 becomes 1x1 here"]
