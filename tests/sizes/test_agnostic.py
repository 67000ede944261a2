"""What a spec computes from sizes follows the size that comes in: the module, fed another size of
its set, gives what the module compiled for that size gives with the same weights."""

from __future__ import annotations

import random
import warnings

import pytest
import torch
from torch import Tensor

import archdsl
from archdsl.emit.python import emit
from archdsl.ir.expose import select
from archdsl.ir.read import read_ir
from archdsl.ir.show import as_document, show_program
from archdsl.pipeline import Spec, open_spec
from archdsl.runtime.export import inference
from archdsl.runtime.module import build
from archdsl.sizes.result import InputSizes
from tests.fuzz.verdict import cleaned
from tests.sizes.judge import Judge, tried

FORMS = {
    "in": "conv 2 3x3; upsample size=(in.h)x(in.w // 2); gap",
    "here": "maxpool 2x2; upsample size=(here.h * 2 - 1)x(here.w + 3); conv 2 2x2",
    "here again": "upsample size=(here.h + 1)x(here.w + 2) x2; conv 2 2x2",
    "a value": "tap a; maxpool 2x2; upsample size=(@a.h)x(@a.w) mode=bilinear; concat @a",
    "like": "tap a; maxpool 2x2 ceil=true; upsample size=@a; concat @a",
    "like, labelled": "tap a; maxpool 2x2; up: upsample size=@a mode=bilinear; add @a",
    "labelled": "tap a; maxpool 2x2; up: upsample size=(@a.h)x(@a.w); conv 2 2x2",
    "a name": "let half = in.h // 2; let both = [half, in.w % 4 + 1]; "
    "upsample size=(both[0])x(both[1])",
    "a list": "for n in [in.h, in.h // 2] { upsample size=(n)x(n + 1) }",
    "chosen": "upsample size=(in.h if 1 < 2 else 3)x(-(1 - in.w))",
    "in a group": "tap a; g: { maxpool 2x2; h: { upsample size=(in.h)x(@a.w) } }",
    "in a branch": "concat { { maxpool 2x2; upsample size=(in.h)x(in.w) }; identity }",
    "reshaped": "conv 4 1x1; reshape [2, 2 * in.h, in.w]; conv 3 1x1",
    "reshaped rest": "conv 4 1x1; reshape [4, in.h * in.w]; permute [1, 0]; linear 3",
    "sliced": "slice (here.h // 2) dim=1; slice 0 (here.w - 1) dim=2",
    "padded": "pad [here.w // 2, 0, 1, here.h % 3]; conv 2 2x2",
    "cells": "gap (in.h // 2)x2; conv 2 1x1",
    "a whole window": "avgpool (here.h)x(here.w); flatten; linear 3",
    "a step": "maxpool 2x2 stride=(in.h // 3); conv 2 1x1",
    "asked": "if in.h > 5 { maxpool 2x2 }; upsample size=(in.h)x(in.w)",
    "counted": "repeat (here.w // 4) { conv 2 1x1 }; gap",
    "compared": "tap a; maxpool 2x2; if @a.h == 2 * here.h { upsample 2 }",
    "divided": "upsample size=(int(in.h / 2))x(in.w)",
    "kernel": "conv 2 (in.h // 3)x1; gap",
    "border": "conv 2 3x3 pad=(in.h // 3)",
    "learned": "param p [1, 2, in.h, 1] zeros; add @p",
    "asserted": "maxpool 2x2; assert 2x(in.h // 2)x(in.w // 2); gap",
    "blocks": "b 2; tap s; maxpool 2x2; u @s",
    "window": "conv 4 1x1; permute [1, 2, 0]; window_attention 2 3 shift=1",
}
BLOCKS = """block b(k) { conv k 3x3 pad=1; up: upsample size=(in.h + k)x(in.w) }
block u(@s) { upsample size=(@s.h - 1)x(@s.w); maxpool 2x2; let n = @s.h; repeat (n // 4) { relu } }
"""
#: those whose module must refuse what it was not compiled for
FIXED = ("asked", "counted", "compared", "divided", "kernel", "border", "learned")


def spec(form: str) -> Spec:
    return open_spec(f"{BLOCKS}model m {{ input 2x8x9; {FORMS[form]} }}")


@pytest.mark.parametrize("form", FORMS)
def test_forms(form: str) -> None:
    rng = random.Random(0)
    with cleaned(), warnings.catch_warnings(action="ignore"):
        judge = Judge(spec(form))
        assert not judge.disagreements(tried(2, 14, rng), rng)
        several = sum((n, n + 1) in judge.sizes for n in range(1, 40))
        assert several > 9 or form in (*FIXED, "blocks", "window")


@pytest.mark.parametrize("form", FORMS)
def test_programs_read_back_and_are_optimised(form: str) -> None:
    program = spec(form).checked()
    text = show_program(program, format="json")
    again = read_ir(text)
    assert as_document(again) == as_document(program)
    assert emit(again).split('"""')[-1] == emit(program).split('"""')[-1]
    module = build(program).eval()
    with torch.no_grad():
        fast = inference(program, module)
        sizes = [size for size in ((8, 9), (12, 9), (11, 13)) if size in program.sizes]
        for size in sizes:
            x = torch.randn(2, 2, *size)
            torch.testing.assert_close(fast(x), module(x))


def _size_text(form: str) -> str:
    return emit(spec(form).checked()).split('"""')[-1]


def test_the_source_says_what_follows() -> None:
    assert "size=(x.shape[-2], x.shape[-1] // 2)" in _size_text("in")
    assert "size=(2 * x.shape[-2] - 1, x.shape[-1] + 3)" in _size_text("here")
    assert "torch._assert(x.shape[2] == 8" in _size_text("asked")
    assert "torch._assert(s.shape[2] == 10" in _size_text("blocks")
    assert "_assert" not in _size_text("in a group")


def test_literals_stay_where_nothing_varies() -> None:
    text = "model m { input 2x8x8; flatten; linear 8; reshape [2, 4]; upsample size=(here[1] * 2) }"
    source = emit(open_spec(text).checked()).split('"""')[-1]
    assert "shape[-1]" not in source and "size=8" in source


def _sample(sizes: InputSizes, rng: random.Random) -> list[tuple[int, ...]]:
    """Five sizes of a set: small ones, others, and the declared."""
    declared = sizes.declared
    wanted = [sizes.smallest(), *(sizes.nearest((d, d + 40))[0] for d in (48, 97, 150))]
    return list(dict.fromkeys([*wanted, declared]))[:5]


@pytest.mark.slow
@pytest.mark.parametrize("name", archdsl.specs())
def test_shipped_specs_at_five_sizes(name: str) -> None:
    given = open_spec(name)
    program = given.checked()
    module = build(program).eval()
    for size in _sample(program.sizes, random.Random(name)):
        shape = (program.input_shape[0], *size)
        other = build(open_spec(name, input=shape).checked(), device="meta").eval()
        state: dict[str, Tensor] = module.state_dict()
        other.load_state_dict(state, assign=True)
        x = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            torch.testing.assert_close(module(x), other(x))


def test_sizes_of_another_input_follow() -> None:
    text = """model m {
  input image 2x8x8
  input guide 1x4x5
  upsample size=(@guide.h * 2)x(@guide.w)
  conv 2 1x1
}"""
    module = archdsl.load(text).eval()
    for size in ((4, 5), (7, 3)):
        made = module(torch.randn(1, 2, 9, 11), torch.randn(1, 1, *size))
        assert made.shape == (1, 2, 2 * size[0], size[1])


def test_a_part_of_a_model_follows_too() -> None:
    """Values inside of a model as its outputs are numbered anew."""
    text = """model m {
  input 2x8x9
  stem: { conv 2 3x3 pad=1; side: relu; maxpool 2x2 }
  body: { upsample size=(@stem.side.h + 1)x(in.w); conv 2 1x1 }
  relu
}"""
    program = open_spec(text).checked()
    chosen = select(program, ["body", "stem.side"])
    module, made = build(program).eval(), build(chosen).eval()
    made.load_state_dict(module.state_dict())
    with torch.no_grad():
        for size in ((8, 9), (13, 11), (30, 4)):
            x = torch.randn(1, 2, *size)
            torch.testing.assert_close(made(x)[0].relu(), module(x))
            assert made(x)[1].shape[-2:] == size
