"""What classes are called."""

from __future__ import annotations

import re

import torch

import archdsl
from archdsl.emit.python import emit
from archdsl.pipeline import open_spec


def _classes(spec: str) -> list[str]:
    source = emit(open_spec(spec).checked())
    return re.findall(r"^class (\w+)", source, re.M)


def test_variants_are_called_after_what_they_have() -> None:
    spec = """
    block part(out, act) { conv: conv out 3x3 pad=1 -> act }
    block unit(out, act=relu) { residual { a: part out act; b: conv out 1x1 } }
    model net() { input 8x8x8; unit 8; unit 8 act=silu; unit 8 act=tanh; }
    """
    assert _classes(spec) == ["Part", "Unit", "PartSilu", "UnitSilu", "PartTanh", "UnitTanh", "Net"]


def test_a_sum_is_a_residual() -> None:
    spec = """
    block unit(out) { if in == out { residual { a: conv out 1x1; b: conv out 1x1 } } else {
      a: conv out 1x1; b: conv out 3x3 } }
    model net() { input 8x8x8; unit 8; unit 4; unit 4 }
    """
    assert set(_classes(spec)) == {"Unit", "Net"}  # with an argument that tells


def test_groups_that_differ_keep_their_labels() -> None:
    spec = """
    block unit(out) { conv: conv out 1x1; bn: bn }
    model net() {
      input 8x8x8
      stage1: { residual { a: unit 8 }; relu; b: unit 8 }
      stage2: { residual { a: unit 8 }; b: unit 8; c: unit 8 }
    }
    """
    assert _classes(spec) == ["Unit", "Stage1", "Stage2", "Net"]
    assert _classes("densenet121") == ["DenseLayer", "Denseblock", "Transition", "Densenet121"]


def test_outputs_keep_their_names_where_they_may() -> None:
    """`count` is a method of tuples; `sum` and `count_` are names as good as any."""
    text = """model m { input 4; count: linear 4; count_: linear 4; sum: linear 4
        output @count @count_ @sum }"""
    fields = type(archdsl.load(text)(torch.rand(1, 4)))._fields
    assert fields == ("count_2", "count_", "sum")
