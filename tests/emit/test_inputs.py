"""Several inputs, and inputs of whole numbers."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

import archdsl
from archdsl.ir.read import read_ir
from archdsl.ir.show import show_program

TWO = """
block stream(out) { conv out 3x3 /2 pad=1 -> relu }
model m(classes=4) {
  input image 3x16x16
  input depth 1x16x16
  rgb: stream 8
  @depth -> far: stream 5
  concat @rgb
  gap -> flatten -> head: linear classes
}
"""


def test_the_flow_begins_with_the_first() -> None:
    net = archdsl.load(TWO).eval()
    image, depth = torch.randn(2, 3, 16, 16), torch.randn(2, 1, 16, 16)
    both = torch.cat([net.far(depth), net.rgb(image)], 1)
    wanted = net.head(torch.flatten(F.adaptive_avg_pool2d(both, 1), 1))
    assert torch.equal(net(image, depth), wanted)
    assert torch.equal(net(depth=depth, image=image), wanted)
    assert list(inspect.signature(net.forward).parameters) == ["image", "depth"]


def test_their_shapes_from_outside() -> None:
    report = archdsl.check(TWO, input={"image": (3, 32, 32), "depth": "1x32x32"})
    assert report.program is not None
    assert report.program.inputs == {"image": (3, 32, 32), "depth": (1, 32, 32)}
    assert [d.code for d in archdsl.check(TWO, input=(3, 32, 32)).errors] == ["E0108"]
    assert [d.code for d in archdsl.check(TWO, input={"rgb": (3, 8, 8)}).errors] == ["E0108"]
    assert not archdsl.check(TWO, input={"image": (3, 32, 32)}).ok  # they no longer fit


def test_as_data_and_back() -> None:
    program = archdsl.check(TWO).program
    assert program is not None
    assert show_program(read_ir(show_program(program))) == show_program(program)


def test_onnx_has_their_names(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    archdsl.export(TWO, tmp_path / "m.onnx", seed=3)
    torch.manual_seed(3)
    net = archdsl.load(TWO).eval()
    given = {"image": torch.randn(3, 3, 16, 16), "depth": torch.randn(3, 1, 16, 16)}
    session = runtime.InferenceSession(tmp_path / "m.onnx")
    assert [i.name for i in session.get_inputs()] == ["image", "depth"]
    (found,) = session.run(None, {name: value.numpy() for name, value in given.items()})
    assert torch.allclose(torch.from_numpy(found), net(**given), atol=1e-5)


def test_whole_numbers_are_for_what_takes_them() -> None:
    text = "model m { input words 12 int; reshape [3, 4] }"
    assert [d.code for d in archdsl.check(text).errors] == ["E0403"]
