"""Values by name: what the emitted modules compute, against torch by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import archdsl
from archdsl.ir.read import read_ir
from archdsl.ir.show import show_program


def built(text: str, *shape: int, **given: Any) -> tuple[Any, Tensor]:
    torch.manual_seed(0)
    return archdsl.load(text, **given).eval(), torch.randn(2, *shape)


UP = """
block up(out, @skip) { upsample size=@skip mode=bilinear; concat @skip; conv out 1x1 }
model m {
  input 3x16x16
  enc: conv 4 3x3 pad=1
  maxpool 2x2 ceil=true
  dec: up 5 @enc
}
"""


@pytest.mark.parametrize("size", [(16, 16), (15, 9), (31, 40)])
def test_a_block_of_two_values_at_any_size(size: tuple[int, int]) -> None:
    net, x = built(UP, 3, *size)
    enc = net.enc(x)
    y = F.interpolate(F.max_pool2d(enc, 2, ceil_mode=True), size=size, mode="bilinear")
    last = net.dec.get_submodule("1")
    assert torch.equal(net(x), last(torch.cat([y, enc], 1)))
    assert set(net.state_dict()) == {
        "enc.weight", "enc.bias", "dec.1.weight", "dec.1.bias",
    }  # fmt: skip


def test_a_value_inside_of_a_block_by_its_path() -> None:
    text = """
    block two(n) { conv n 1x1 -> tap mid -> relu -> conv n 1x1 }
    model m { input 3x4x4; a: two 2; b: { x: two 2 x2 }; add @a.mid @b.x.0 @b.x.1.mid }
    """
    net, x = built(text, 3, 4, 4)
    a, (first, last) = net.a, net.b.x
    mid = a[0](x)
    y = a[2](F.relu(mid))
    u0 = first[0](y)
    u = first[2](F.relu(u0))
    v0 = last[0](u)
    assert torch.allclose(net(x), last[2](F.relu(v0)) + mid + u + v0)


def test_a_loop_carries_a_value() -> None:
    text = """
    model m {
      input 2x4x4
      tap prev
      repeat 3 as i { c{i}: conv 2 1x1 -> tap x{i}; mul @prev; tap prev }
      sub @x1
    }
    """
    net, x = built(text, 2, 4, 4)
    prev = x
    kept = []
    for layer in (net.c0, net.c1, net.c2):
        kept.append(layer(prev))
        prev = kept[-1] * prev
    assert torch.allclose(net(x), prev - kept[1])


def middle(x: Tensor, height: int, width: int) -> Tensor:
    """The middle of a picture, or the picture in the middle of zeros; what is odd at the end."""
    y = torch.zeros(*x.shape[:2], height, width)
    for h in range(height):
        for w in range(width):
            places = []
            for place, side, wanted in ((h, x.shape[2], height), (w, x.shape[3], width)):
                more = abs(wanted - side) // 2
                places.append(place - more if wanted > side else place + more)
            if 0 <= places[0] < x.shape[2] and 0 <= places[1] < x.shape[3]:
                y[:, :, h, w] = x[:, :, places[0], places[1]]
    return y


@pytest.mark.parametrize(
    ("height", "width", "mode"),
    [(6, 6, "any"), (3, 5, "crop"), (9, 8, "pad"), (2, 9, "any"), (11, 1, "any")],
)
def test_fit(height: int, width: int, mode: str) -> None:
    text = f"""
    model m {{
      input 1x6x6
      tap x
      upsample size={height}x{width} -> tap s
      @x -> fit @s mode={mode}
    }}
    """
    net, x = built(text, 1, 6, 6)
    assert torch.equal(net(x), middle(x, height, width))


def test_fit_refuses_what_it_may_not_do() -> None:
    text = "model m {{ input 1x6x6; tap x; upsample size=9x3 -> tap s; @x -> fit @s mode={} }}"
    for mode in ("crop", "pad"):
        assert [d.code for d in archdsl.check(text.format(mode)).errors] == ["E0202"]


def test_what_needs_not_be_given() -> None:
    text = """
    block maybe(@a=none) { if @a { add @a }; relu }
    model m { input 2x4x4; tap x; conv 2 1x1 -> maybe -> maybe a=@x -> maybe @x }
    """
    net, x = built(text, 2, 4, 4)
    conv = net.get_submodule("0")
    assert torch.equal(net(x), F.relu(F.relu(F.relu(conv(x)) + x) + x))


def test_sizes_of_values_and_of_what_flows() -> None:
    text = """
    model m {
      input 3x8x8
      s: conv 6 3x3 /2 pad=1
      conv (@s.c * 2) 1x1 -> conv here 3x3 pad=1 groups=here
      reshape [here, here.h * @s.w] -> assert 12x16
    }
    """.replace("-> assert", "\n assert")
    report = archdsl.check(text)
    assert report.ok, report
    net, x = built(text, 3, 8, 8)
    assert net(x).shape == (2, 12, 16)
    assert net(torch.zeros(1, 3, 16, 16)).shape == (1, 12, 64)  # the size is computed anew


PARTS = """
block head(classes) { conv 8 3x3 pad=1 -> bn -> relu; conv classes 1x1 }
model m {
  input 4x16x16
  part cls: head 3
  part proj: conv 4 1x1
  proj -> maxpool 2x2 -> tap a
  proj -> proj -> tap b
  @b -> bn -> cls -> tap cb
  @a -> cls
  add @cb
}
"""


def test_a_part_is_one_module() -> None:
    net, x = built(PARTS, 4, 16, 16)
    a = F.max_pool2d(net.proj(x), 2)
    b = net.proj(net.proj(a))
    norm = next(m for m in net.children() if isinstance(m, torch.nn.BatchNorm2d))
    assert torch.equal(net(x), net.cls(a) + net.cls(norm(b)))
    first = [key.split(".")[0] for key in net.state_dict()]
    assert list(dict.fromkeys(first)) == ["cls", "proj", "1"]  # in the order of the text
    program = archdsl.check(PARTS).program
    assert program is not None
    assert program.params == sum(p.numel() for p in net.parameters())
    heads = 8 * 8 * (4 * 9 * 8 + 8 * 3)
    assert program.macs == 2 * heads + (16 * 16 + 2 * 64) * 16


def test_an_optimised_part_computes_the_same() -> None:
    net, x = built(PARTS, 4, 16, 16)
    fast = archdsl.load(PARTS, weights=net.state_dict(), optimize=True).eval()
    assert torch.allclose(fast(x), net(x), atol=1e-5)


def test_a_part_as_data_and_back() -> None:
    program = archdsl.check(PARTS).program
    assert program is not None
    text = show_program(program)
    assert show_program(read_ir(text)) == text
