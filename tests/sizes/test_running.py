"""The sizes of the shipped specs against running their modules, which know nothing of the analysis.

The modules run on the meta device: it is as strict as a real run, as a test shows for each form.
There what a part gives follows from the shapes that come in alone, so each part runs once for each:
sizes that differ at the beginning are often the same further down.

python -m tests.sizes.test_running NAME ... runs them all, and says which are done.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archdsl
from archdsl.ir.expr import At
from archdsl.pipeline import open_spec
from archdsl.runtime.module import build
from tests.fuzz.verdict import cleaned
from tests.sizes.judge import Judge, tried
from tests.sizes.test_random import FORMS

SAMPLE = ("alexnet", "lenet5", "swin_t", "maxvit_t", "vit_b_32", "inception_v3", "squeezenet1_0")
SEARCHED = {"vit_b_32": [(32, 1568), (255, 224), (256, 224)], "maxvit_t": [(221, 224), (224, 225)]}


class Once:
    """A part's forward on the meta device, once for each of the shapes that come in."""

    def __init__(self, forward: Callable[..., Any]) -> None:
        self.forward, self.known = forward, dict[Any, Any]()

    def __call__(self, *inputs: Tensor, **more: Any) -> Any:
        if more:
            return self.forward(*inputs, **more)
        key = tuple(tuple(x.shape) for x in inputs)
        if key not in self.known:
            try:
                self.known[key] = self.forward(*inputs)
            except (RuntimeError, AssertionError, ValueError) as error:
                self.known[key] = error
        if isinstance(self.known[key], Exception):
            raise self.known[key]
        return self.known[key]


def each_part_once(module: nn.Module) -> nn.Module:
    for part in module.modules():
        if part is not module:
            part.forward = Once(part.forward)  # type: ignore[method-assign]
    return module


def disagreements(name: str, sizes: list[tuple[int, ...]]) -> list[str]:
    """Where the claim, or what is described, is not what running the module says."""
    program = open_spec(name).checked()
    claims, found = program.sizes, []
    with cleaned():
        module = each_part_once(build(program, device="meta").eval())
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


def every_size(name: str) -> list[tuple[int, ...]]:
    """All squares up to 300, and 300 others up to 640."""
    rng = random.Random(0)
    others = [(rng.randint(1, 640), rng.randint(1, 640)) for _ in range(300)]
    return [*((n, n) for n in range(1, 301)), *others, *SEARCHED.get(name, [])]


@pytest.mark.slow
@pytest.mark.parametrize("name", archdsl.specs())
def test_every_square_and_many_others(name: str) -> None:
    assert not disagreements(name, every_size(name))


@pytest.mark.parametrize("name", ["squeezenet1_1", "shufflenet_v2_x0_5"])
def test_a_part_that_ran_gives_what_it_would_give(name: str) -> None:
    """With and without running each part once."""
    program = open_spec(name).checked()
    plain = build(program, device="meta").eval()
    once = each_part_once(build(program, device="meta").eval())
    for size in [(n, n) for n in range(12, 40, 3)] + [(35, 70), (17, 33), (35, 71), (60, 9)]:
        x = torch.empty(1, 3, *size, device="meta")
        found = []
        for module in (plain, once, once):
            with torch.no_grad():
                try:
                    found.append(tuple(module(x).shape))
                except RuntimeError as error:
                    found.append(str(error)[:40])
        assert found[0] == found[1] == found[2], size


@pytest.mark.parametrize("form", FORMS)
def test_meta_is_as_strict_as_a_real_run(form: str) -> None:
    with cleaned():
        judge = Judge(open_spec(f"model m {{ {FORMS[form]} }}"))
        for size in tried(len(judge.sizes.axes), 12, random.Random(1)):
            found = judge.runs(size, judge.module, "cpu"), judge.runs(size, judge.on_meta, "meta")
            shapes = [made and [tuple(r.shape) for r in made] for made in found]
            assert shapes[0] == shapes[1], size


if __name__ == "__main__":
    torch.set_num_threads(1)
    for wanted in sys.argv[1:]:
        began = time.time()
        wrong = disagreements(wanted, every_size(wanted))
        told = f"{wanted}: {len(wrong)} disagreements, {time.time() - began:.0f} s"
        print("\n".join([told, *wrong[:5]]), flush=True)
