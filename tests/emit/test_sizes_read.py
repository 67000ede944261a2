"""A module answers for the sizes alone from which its spec computes what it cannot compute anew;
what it can is in tests/sizes/test_agnostic.py."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import archdsl

READING = {
    "attribute": "upsample size=(int(in.h / 2))x(int(in.w / 2))",
    "block": "half",
    "default": "flat",
    "condition": "if in.h > 20 { conv 3 1x1 }",
    "index": "repeat (in[1] // 16) { conv 3 3x3 pad=1 }",
    "list": "for i in [in.w, 1] { conv 3 (i % 2 + 1) pad=half }",
    "label": '"part{in.h}": conv 3 1x1',
}
BLOCKS = """block half() { upsample size=(min(in.h, in.w) // 2) }
block flat(k=in.h) { gap (k // 4) }
"""


def _load(step: str) -> nn.Module:
    return archdsl.load(
        f"{BLOCKS}model m {{ input 3x32x32; conv 3 3x3 pad=1; {step}; relu; gap }}"
    ).eval()


@pytest.mark.parametrize("form", READING)
def test_another_size_is_refused(form: str) -> None:
    module = _load(READING[form])
    assert module(torch.randn(2, 3, 32, 32)).shape == (2, 3, 1, 1)
    for size in (16, 31, 64):
        with pytest.raises(AssertionError, match="compiled for another size"):
            module(torch.randn(2, 3, size, size))


def test_what_reads_no_size_takes_any() -> None:
    module = _load("conv in 3x3 -> conv (2*in[0]) 1x1 -> conv 3 1x1 groups=in")
    assert module(torch.randn(1, 3, 50, 40)).shape == (1, 3, 1, 1)


@pytest.mark.parametrize("form", ["attribute", "block", "index"])
def test_the_check_is_traced_and_exported(form: str) -> None:
    module = _load(READING[form])
    x = torch.randn(2, 3, 32, 32)
    traced = torch.fx.symbolic_trace(module)
    batch = {0: torch.export.Dim("batch")}
    exported = torch.export.export(module, (x,), dynamic_shapes=(batch,)).module()
    for other in (traced, exported):
        result = other(torch.cat([x, x]))
        assert isinstance(result, Tensor) and torch.equal(result[:2], module(x))


def test_sizes_of_shipped_specs() -> None:
    """Blocks refuse where they read; what they do not read may vary."""
    swin = archdsl.load("swin_t").eval()
    with torch.no_grad():
        assert swin(torch.randn(1, 3, 64, 96)).shape == (1, 1000)


@pytest.mark.parametrize(
    ("steps", "refused"),
    [("permute [1, 0] -> upsample size=(abs(in)) -> conv 2 1", True), ("conv (2*in) 1", False)],
)
def test_the_length_of_a_sequence_is_a_size(steps: str, refused: bool) -> None:
    """`in` of L×C is L; of C×L it is C, which weights hold."""
    text = f"block b() {{ {steps} }}\nmodel m {{ input 6x8; b; gap }}"
    module = archdsl.load(text).eval()
    module(torch.randn(2, 6, 8))
    error, words = (
        (AssertionError, "another size") if refused else (RuntimeError, "to have 6 channels")
    )
    with pytest.raises(error, match=words):
        module(torch.randn(2, 7, 8))


HOLD = {
    "ln -> linear (4*in[1])": True,
    "relu; group: { relu; sub: { linear (4*in[1]) } }": True,
    "patch: { slice 1 dim=1 -> linear (4*in[1]) }": True,
    "slice 0 3 dim=1 -> linear (4*in[1])": False,
    "h: aux { linear (4*in[1]) }; relu -> mean [1]": False,
    "add { mean [0]; { mean [0] -> linear (in[1]) } }": True,
    "relu; mean [1] -> linear (4*in[1])": False,
}


@pytest.mark.parametrize("steps", HOLD)
def test_what_weights_hold_needs_no_check(steps: str) -> None:
    if "aux" in steps:
        text = f"model m {{ input 6x8; {steps} }}"
    else:
        text = f"block b() {{ {steps} }}\nmodel m {{ input 6x8; b }}"
    module = archdsl.load(text).eval()
    module(torch.randn(2, 6, 8))
    assert ("torch._assert" in archdsl.compile(text)) == (not HOLD[steps])
    for size in (7, 9, 16):
        with pytest.raises((AssertionError, RuntimeError)):
            module(torch.randn(2, 6, size))


def test_a_bare_in_that_is_no_channel_is_asserted() -> None:
    """`in` is what comes first: of a sequence its length, which may be another."""
    spec = "block b() { relu; linear (in + 1) }\nmodel m { input 6x8; relu; b; relu }"
    module = archdsl.load(spec).eval()
    assert module(torch.randn(2, 6, 8)).shape == (2, 6, 7)
    with pytest.raises(AssertionError, match="compiled for another size"):
        module(torch.randn(2, 5, 8))


def test_what_cannot_be_another_is_not_asserted() -> None:
    block = "block b() { relu; upsample size=(abs(in.h))x(abs(in.w)); repeat (in // 8) { relu } }\n"
    fixed = archdsl.compile(block + "model m { input 3x32x32; conv 8 3x3; gap 4x4; b }")
    loose = archdsl.compile(block + "model m { input 3x32x32; conv 8 3x3; b }")
    assert "another size" not in fixed and loose.count("another size") == 2
