"""The sizes of the shipped specs against running their modules, which know nothing of the analysis.

The modules run on the meta device: it is as strict as a real run, as a test shows for each form.
"""

from __future__ import annotations

import random

import pytest
import torch

import archdsl
from archdsl.ir.expr import At
from archdsl.pipeline import open_spec
from archdsl.runtime.module import build
from tests.fuzz.verdict import cleaned
from tests.sizes.judge import Judge, tried
from tests.sizes.test_random import FORMS

SAMPLE = ("alexnet", "lenet5", "swin_t", "maxvit_t", "vit_b_32", "inception_v3", "squeezenet1_0")
SEARCHED = {"vit_b_32": [(32, 1568), (255, 224), (256, 224)], "maxvit_t": [(221, 224), (224, 225)]}


def disagreements(name: str, sizes: list[tuple[int, ...]]) -> list[str]:
    """Where the claim, or what is described, is not what running the module says."""
    program = open_spec(name).checked()
    claims, found = program.sizes, []
    with cleaned():
        module = build(program, device="meta").eval()
        for size in sizes:
            try:
                with torch.no_grad():
                    module(torch.empty(1, program.input_shape[0], *size, device="meta"))
                runs = True
            except (RuntimeError, AssertionError, ValueError):
                runs = False
            boxed = any(all(h in b for h, b in zip(size, x, strict=True)) for x in claims.boxes)
            said = boxed and all(At(size)(d.cond) for d in claims.formulas)
            if not (size in claims) == said == runs:
                found.append(f"{size}: claimed {size in claims}, said {said}, runs {runs}")
    return found


@pytest.mark.parametrize("name", SAMPLE)
def test_some_sizes(name: str) -> None:
    declared = open_spec(name).checked().sizes.declared[0]
    sides = [1, 2, 3, 4, 16, 17, 20, 21, 31, 32, 35, 36, 62, 63, 74, 75, declared, declared + 1]
    assert not disagreements(name, [*((n, n) for n in sides), *SEARCHED.get(name, [])])


@pytest.mark.slow
@pytest.mark.parametrize("name", archdsl.specs())
def test_every_square_and_many_others(name: str) -> None:
    rng = random.Random(0)
    others = [(rng.randint(1, 640), rng.randint(1, 640)) for _ in range(300)]
    sizes = [*((n, n) for n in range(1, 301)), *others, *SEARCHED.get(name, [])]
    assert not disagreements(name, sizes)


@pytest.mark.parametrize("form", FORMS)
def test_meta_is_as_strict_as_a_real_run(form: str) -> None:
    with cleaned():
        judge = Judge(open_spec(f"model m {{ {FORMS[form]} }}"))
        for size in tried(len(judge.sizes.axes), 12, random.Random(1)):
            found = judge.runs(size, judge.module, "cpu"), judge.runs(size, judge.on_meta, "meta")
            shapes = [made and [tuple(r.shape) for r in made] for made in found]
            assert shapes[0] == shapes[1], size
