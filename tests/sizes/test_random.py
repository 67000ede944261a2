"""Random specs of the fuzz against running, and forms that read or fix sizes."""

from __future__ import annotations

import random
import warnings

import pytest

from archdsl.pipeline import open_spec
from tests.fuzz.specs import Maker
from tests.fuzz.verdict import cleaned
from tests.sizes.judge import Judge, tried

FORMS = {
    "ceil pool": "input 2x9x9; maxpool 3x3 /2 ceil=true; avgpool 2x2 /3 ceil=true",
    "dilated pool": "input 2x9x9; maxpool 3x3 dilation=3 pad=1",
    "deconv": "input 2x9x9; deconv 2 2x2 /3 pad=2; maxpool 3x3",
    "u": "input 2x8x8; tap a; maxpool 2x2; tap b; maxpool 2x2; upsample 2; concat @b; "
    "upsample 2; concat @a",
    "scale": "input 2x9x9; upsample 1.5; conv 2 3x3 /2; upsample 0.5",
    "odd scale": "input 2x9x9; upsample 1.3; upsample 0.7",
    "borders": "input 2x9x9; conv 2 5x5 pad=2 padding_mode=reflect; pad 3 mode=circular",
    "crop": "input 2x9x9; pad [-2, -1, 0, -3]; conv 2 2x2",
    "same": "input 2x9x9; conv 2 4x4 pad=same; conv 2 3x3 pad=half /2",
    "flat": "input 1x6x6; maxpool 2x2; flatten; linear 4",
    "flat twice": "input 1x6x6; tap a; flatten -> tap x; @a -> maxpool 2x2 -> flatten -> tap y; "
    "concat @x @y; linear 3",
    "tokens": "input 1x8x8; conv 4 2x2 /2; flatten 2; permute [1, 0]; mha 2; select 0",
    "places": "input 1x8x8; conv 4 2x2 /2; flatten 2; permute [1, 0]; param p [1, 16, 4] zeros; "
    "add @p; mean [0]",
    "a place a side": "input 1x6x6; param p [1, 1, 6, 6] zeros; add @p",
    "broadcast": "input 3x6x6; add { conv 3 2x2 /2; gap }; mul { identity; conv 3 3x3 }",
    "transposed": "input 1x6x6; add { identity; permute [0, 2, 1] }",
    "windows": "input 4x8x8; partition 2; relative_attention 2; departition 2 4",
    "shifted": "input 4x8x8; permute [1, 2, 0]; window_attention 2 3 shift=1; patch_merge",
    "shuffle": "input 4x6x6; pixel_unshuffle 2; pixel_shuffle 4",
    "chunks": "input 1x6x7; chunk 3 2 dim=1; chunk 2 1 dim=2",
    "slices": "input 1x6x7; slice 1 -1 dim=1; slice -3 dim=2",
    "short slice": "input 1x6x7; slice 0 9 dim=1; slice 2 dim=2",
    "reshaped": "input 2x6x6; reshape [8, 9]; conv 3 2",
    "reshaped rest": "input 2x6x6; reshape [4, -1]; conv 3 2",
    "means": "input 2x6x6; mean [1]; linear 3",
    "norms": "input 2x6x6; maxpool 3x3; instance_norm; gn 2; ln dims=2",
    "single twice": "input 2x4x6; avgpool 2 /1; instance_norm; avgpool 2 /1; instance_norm",
    "single": "input 2x4x4; maxpool 2x2; instance_norm",
    "statistics without weights": "input 2x6x6; permute [1, 2, 0]; instance_norm; bn affine=false "
    "track_running_stats=false; permute [1, 0, 2]; gn 2 affine=false",
    "volumes": "input 1x6x6x6; avgpool 2 /2 pad=1; conv 2 3; flatten; linear 2",
    "sequences": "input 3x20; conv 4 5 /2; maxpool 3; gap 2; flatten; linear 2",
    "reads": "input 2x6x6; conv 2 3x3; upsample size=(in.h)x(in.w // 2); gap",
    "sums": "input 2x7x7; residual { conv 2 3x3 pad=1 /2 } shortcut { avgpool 1x1 /2 }",
    "channels": "input 2x6x6; permute [1, 2, 0]; conv 4 1x1 groups=2; channel_shuffle 2",
    "resized": "input 2x6x6; upsample size=4x4 mode=bilinear; conv 2 3x3; gap 2x3",
}


def judge(text: str, most: int) -> list[str]:
    rng = random.Random(0)
    with cleaned(), warnings.catch_warnings(action="ignore"):
        judge = Judge(open_spec(text))
        return judge.disagreements(tried(len(judge.sizes.axes), most, rng), rng)


@pytest.mark.parametrize("form", FORMS)
def test_forms(form: str) -> None:
    assert not judge(f"model m {{ {FORMS[form]} }}", 16)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_forms_at_many_sizes(form: str) -> None:
    assert not judge(f"model m {{ {FORMS[form]} }}", 80)


@pytest.mark.parametrize("first", range(0, 24, 4))
def test_random_specs(first: int) -> None:
    for seed in range(first, first + 4):
        text = Maker(random.Random(seed)).spec()
        spec = open_spec(text)
        if spec.program is not None and spec.program.sizes.axes:
            assert not judge(text, 8), text


DEEP = {
    "thousands of layers": ("input 1x64x64; repeat 400 { maxpool 2x2; upsample 2 }", "H >= 2"),
    "windows over the edge": (
        "input 1x64x64; repeat 200 { maxpool 2x2 ceil=true; deconv 1 2x2 /2 }",
        "",
    ),
    "branches that differ": (
        "input 2x8x8; add { for i in [1, 2, 3, 4, 5] { { maxpool 2x2 pad=1; upsample i; gap } } }",
        "",
    ),
    "a sum of products": (
        "input 1x8x8; tap a; maxpool 2x2; tap b; concat { @a -> flatten; @b -> flatten }; linear 3",
        "is 8",
    ),
}


@pytest.mark.parametrize("name", DEEP)
def test_deep_and_wide_specs_end(name: str) -> None:
    steps, told = DEEP[name]
    sizes = open_spec(f"model m {{ {steps} }}").checked().sizes
    assert sizes.exact and told in sizes.condition() and sizes.declared in sizes
    assert sizes.smallest() in sizes and all(n in sizes for n in sizes.nearest((9, 11)))
