"""`pad=same_tf` against TensorFlow's own rule, window by window, at several sizes of one module."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest
import torch

import archdsl

SIZES = {1: ((7,), (12,), (33,)), 2: ((7, 9), (12, 12), (5, 30)), 3: ((5, 6, 7), (4, 4, 4))}


def begins(side: int, kernel: int, stride: int, dilation: int) -> list[int]:
    """Where each window begins, as tf.nn.convolution's documentation has it."""
    span = dilation * (kernel - 1) + 1
    border = max(span - stride if side % stride == 0 else span - side % stride, 0)
    return [place * stride - border // 2 for place in range(math.ceil(side / stride))]


def windows(x: np.ndarray, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: int):
    """For each place of the output, the cells of x (channels first) that its window sees, and at
    which taps."""
    sides = x.shape[1:]
    starts = [begins(*each, dilation) for each in zip(sides, kernel, stride, strict=True)]
    for place in itertools.product(*(range(len(s)) for s in starts)):
        first = [s[p] for s, p in zip(starts, place, strict=True)]
        taps = []
        for tap in itertools.product(*map(range, kernel)):
            cell = [begin + dilation * t for begin, t in zip(first, tap, strict=True)]
            if all(0 <= c < side for c, side in zip(cell, sides, strict=True)):
                taps.append((tap, cell))
        yield place, taps


def expected(op: str, x: np.ndarray, weight: np.ndarray, kernel, stride, dilation) -> np.ndarray:
    shape = tuple(len(begins(*e, dilation)) for e in zip(x.shape[1:], kernel, stride, strict=True))
    out = np.zeros((len(weight) if op == "conv" else len(x), *shape))
    for place, taps in windows(x, kernel, stride, dilation):
        cells = [x[(slice(None), *cell)] for _, cell in taps]
        at = (slice(None), *place)
        if op == "conv":
            out[at] = sum(
                weight[(slice(None), slice(None), *tap)] @ cell
                for (tap, _), cell in zip(taps, cells, strict=True)
            )
        else:
            out[at] = (np.max if op == "maxpool" else np.mean)(cells, axis=0)
    return out


@pytest.mark.parametrize("seed", range(24))
def test_as_tensorflow(seed: int) -> None:
    rng = random.Random(seed)
    op, n = ("conv", "maxpool", "avgpool")[seed % 3], rng.choice((1, 2, 2, 3))
    kernel = tuple(rng.randint(1, 5 if n < 3 else 3) for _ in range(n))
    stride = tuple(rng.randint(1, 4) for _ in range(n))
    dilation = rng.randint(1, 2) if op != "avgpool" else 1
    step = f"{op} {'4 ' if op == 'conv' else ''}{'x'.join(map(str, kernel))}"
    step += f" stride={'x'.join(map(str, stride))} pad=same_tf"
    step += f" dilation={dilation}" if op != "avgpool" else ""
    step += " bias=false" if op == "conv" else ""
    first = "x".join(map(str, (2, *SIZES[n][0])))
    module = archdsl.load(f"model m() {{\n  input {first}\n  {step}\n}}").double()
    weight = next(iter(module.parameters()), torch.zeros(2)).detach().numpy()
    for sides in SIZES[n]:
        x = torch.randn(2, *sides, dtype=torch.double)
        with torch.no_grad():
            out = module(x[None])[0].numpy()
        assert np.allclose(out, expected(op, x.numpy(), weight, kernel, stride, dilation))
    declared = archdsl.check(f"model m() {{\n  input {first}\n  {step}\n}}").program
    x = torch.randn(3, *declared.input_shape, dtype=torch.double)
    assert tuple(module(x).shape[1:]) == declared.output_shapes["output"]


def test_exported_at_its_size() -> None:
    module = archdsl.load(
        "model m() { input 3x37x53; conv 8 3x3 /2 pad=same_tf; maxpool 3 /2 pad=same_tf }"
    )
    x = torch.randn(1, 3, 37, 53)
    expected = module.eval()(x)
    for changed in (torch.jit.script, torch.fx.symbolic_trace):
        assert torch.equal(changed(module)(x), expected)
    assert torch.equal(torch.export.export(module, (x,)).module()(x), expected)
