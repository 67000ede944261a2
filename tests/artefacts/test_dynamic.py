"""ONNX and torch.export's files whose sizes are open: run at sizes of the set, and the constraint
that stands in the file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import archdsl
from archdsl.pipeline import open_spec
from archdsl.runtime.errors import ExportError

U = """model u {
  input 1x32x32%s
  conv 4 3x3 pad=1 -> relu -> tap a
  maxpool 2x2
  conv 4 3x3 pad=1 -> bn -> relu -> tap b
  maxpool 2x2
  conv 8 3x3 pad=1 -> relu
  upsample size=@b mode=bilinear
  concat @b
  upsample size=(@a.h)x(@a.w)
  concat @a
  conv 2 1x1
}
"""
NETS = {
    "windows": "model m { input 3x32x40; conv 8 5x5 /2 -> bn -> relu; maxpool 3x3 /2; gap; "
    "flatten; linear 5 }",
    "a promise": U % " where h % 8 == 0 and w % 8 == 0 and h >= 16 and w <= 256",
    "squares": U % " where h == w and h % 4 == 0",
    "any": U % " where h >= 4 and w >= 4",
    "sequences": "model m { input 3x40 where l >= 10; conv 8 5 /2 -> relu; "
    "conv 4 3; gap; flatten }",
    "cells": "model m { input 1x32x32; maxpool 16x16; conv 2 1x1; flatten; linear 4 }",
    "one side": "model m { input 3x32x40 where h == 32; conv 8 3x3 pad=1 -> relu; mean [2]; "
    "flatten; linear 5 }",
    "read sizes": "model m { input 2x16x16; conv 4 3x3 pad=1; tap a; maxpool 2x2; "
    "upsample size=(@a.h * 2)x(here.w + 3); gap }",
    "attention": "model m { input 8x6x6 where h >= 2 and w >= 2; flatten 2 -> permute [1, 0]; "
    "ln -> mha 2; mean [0]; linear 3 }".replace("flatten 2", "reshape [8, in.h * in.w]"),
}
QUICK = ("a promise", "squares", "read sizes", "one side")
MARKED = [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in NETS]
SIZES = {
    "a promise": [(16, 8), (32, 48), (64, 16), (104, 256)],
    "squares": [(4, 4), (36, 36), (52, 52), (64, 64)],
    "sequences": [(10,), (11,), (64,), (333,)],
    "cells": [(32, 32), (32, 47), (33, 40), (47, 47)],
    "one side": [(32, 1), (32, 7), (32, 64), (32, 333)],
}
OUTSIDE = {
    "a promise": [(8, 8), (16, 264)],
    "squares": [(2, 2)],
    "windows": [(8, 40)],
    "one side": [(33, 40)],
    "cells": [(32, 48), (31, 40)],
}


def sizes_of(net: str) -> list[tuple[int, ...]]:
    found = open_spec(NETS[net]).checked().sizes
    return SIZES.get(net) or [found.smallest(), (33, 47), (64, 21), (48, 97)]


@pytest.mark.parametrize("net", MARKED)
def test_pt2(net: str, tmp_path: Path) -> None:
    path, channels = tmp_path / "m.pt2", open_spec(NETS[net]).checked().input_shape[0]
    archdsl.export(NETS[net], path, dynamic="size", seed=3)
    torch.manual_seed(3)
    module, made = archdsl.load(NETS[net]).eval(), torch.export.load(path).module()
    with torch.no_grad():
        for size in sizes_of(net):
            x = torch.randn(3, channels, *size)
            found = made(x)
            torch.testing.assert_close(found[0] if isinstance(found, tuple) else found, module(x))
        for size in OUTSIDE.get(net, ()):
            with pytest.raises((RuntimeError, AssertionError)):
                made(torch.randn(3, channels, *size))


@pytest.mark.parametrize("net", MARKED)
def test_onnx(net: str, tmp_path: Path) -> None:
    path, channels = tmp_path / "m.onnx", open_spec(NETS[net]).checked().input_shape[0]
    archdsl.export(NETS[net], path, dynamic="size", seed=3)
    torch.manual_seed(3)
    module = archdsl.load(NETS[net]).eval()
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for size in sizes_of(net):
        x = torch.randn(2, channels, *size)
        with torch.no_grad():
            expected = module(x)
        (found,) = session.run(None, {"input": x.numpy()})
        torch.testing.assert_close(torch.from_numpy(found), expected, rtol=1e-4, atol=1e-5)


def test_the_constraint_stands_in_the_file(tmp_path: Path) -> None:
    import onnx

    archdsl.export(NETS["a promise"], tmp_path / "m.pt2", dynamic="size")
    exported = torch.export.load(tmp_path / "m.pt2")
    ranges = {str(k): (v.lower, v.upper) for k, v in exported.range_constraints.items()}
    assert (2, torch.utils._sympy.numbers.int_oo) in ranges.values()  # height: 8 * 2 and up
    assert (8, 256) in ranges.values()  # width
    shape = next(n for n in exported.graph.nodes if n.name == "x").meta["val"].shape
    assert str(shape[2]).startswith("8*") and str(shape[3]).startswith("8*")
    archdsl.export(NETS["a promise"], tmp_path / "m.onnx", dynamic="size")
    model = onnx.load(tmp_path / "m.onnx")
    told = {p.key: p.value for p in model.metadata_props}
    assert "H" in told["takes"]
    sides = [d.dim_param for d in model.graph.input[0].type.tensor_type.shape.dim]
    assert sides[0] == "batch" and all(sides[2:])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("model m { input 1x6x6; flatten; linear 3 }", "no side can vary"),
        ("model m { input 1x5x7 where h == 5 and w == 7; conv 2 3x3 }", "no side can vary"),
        ("model m { input 7; linear 3 }", "no size can be left open"),
        ("model m { input a 1x8x8; input b 1x8x8; add @b }", "several inputs"),
        ("model m { input 1x8x8; add { identity; permute [0, 2, 1] } }", "no words for this"),
        ("model m { input 1x8x8 where h != 5; conv 2 1x1 }", "no words for this"),
    ],
)
def test_what_cannot_be_open_is_told(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=told):
        archdsl.export(text, tmp_path / "m.pt2", dynamic="size")
    assert not list(tmp_path.iterdir())
