"""The sizes of the shipped specs, against the truth that torchvision's networks gave by running."""

from __future__ import annotations

import pytest

import archdsl
from archdsl.pipeline import open_spec
from archdsl.sizes import InputSizes

#: by the beginning of the name: the smallest square that runs; others take every size
LEAST = {
    "alexnet": 63,
    "vgg": 32,
    "squeezenet1_0": 21,
    "squeezenet1_1": 17,
    "googlenet": 15,
    "inception_v3": 75,
    "densenet": 29,
    "convnext": 32,
    "swin": 4,
    "resn": 1,
    "wide_resnet": 1,
    "regnet": 1,
    "mobilenet": 1,
    "mnasnet": 1,
    "shufflenet": 1,
    "efficientnet": 1,
    "convmixer": 7,
    "darknet53": 1,
    "dcgan_discriminator": 64,
    "dcgan_generator": 1,
    "fcn": 1,
    "deeplabv3": 1,
    "lraspp": 1,
}


def sizes_of(name: str) -> InputSizes:
    return open_spec(name).checked().sizes


@pytest.mark.parametrize("name", archdsl.specs())
def test_least_size(name: str) -> None:
    sizes = sizes_of(name)
    least = next((n for start, n in LEAST.items() if name.startswith(start)), None)
    assert sizes.exact and sizes.declared in sizes and not sizes.formulas
    if least is None:  # tested below
        assert name.startswith(("vit_", "maxvit_t", "lenet5", "mixer_"))
        return
    wanted = f"H >= {least} and W >= {least}" if least > 1 else ""
    assert sizes.condition() == wanted
    assert sizes.smallest() == (least, least)
    assert len(sizes.reasons()) == (least > 1)


@pytest.mark.parametrize(
    ("name", "condition"),
    [
        ("maxvit_t", "H is 221 to 224 and W is 221 to 224"),
        ("lenet5", "H is 32 to 35 and W is 32 to 35"),
        # torchvision's asks for 224x224; here the places, 196, are what was learned
        (
            "vit_b_32",
            "H is 32 to 63 and W is 1568 to 1599, or H is 224 to 255 and W is 224 to 255, or "
            "H is 1568 to 1599 and W is 32 to 63",
        ),
    ],
)
def test_mixed_sides(name: str, condition: str) -> None:
    assert sizes_of(name).condition() == condition


@pytest.mark.parametrize("name", ["alexnet", "maxvit_t", "vit_b_16", "lenet5", "googlenet"])
def test_set_and_rules_agree(name: str) -> None:
    """`in` feeds each size through the rules; the boxes are what is said of all sizes."""
    sizes = sizes_of(name)
    for size in [*((n, n) for n in range(1, 260)), (16, 3136), (3151, 31), (63, 400), (62, 400)]:
        boxed = any(all(h in b for h, b in zip(size, box, strict=True)) for box in sizes.boxes)
        assert (size in sizes) == boxed, size


def test_reasons() -> None:
    (reason,) = sizes_of("alexnet").reasons()
    assert reason.clause == "H >= 63, W >= 63" and str(reason.cause) == "maxpool 3x3 /2"
    assert reason.at == (62, 224) and "does not fit" in reason.why
    _, product = sizes_of("vit_b_16").reasons()
    assert product.clause == "⌊H/16⌋·⌊W/16⌋ == 196" and str(product.cause) == "add @pos_embedding"
    assert sizes_of("maxvit_t").reasons()[0].why.startswith("it computes with `in.h`")
