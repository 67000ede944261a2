"""The shipped classics that torchvision has no builder for, each equal to a reference: timm's, or
its authors' as `classics.py` has it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from archdsl.runtime.module import build
from tests.fidelity import checks, classics
from tests.fidelity.builders import Case


@dataclass(frozen=True)
class Classic(Case):
    """`make`: the reference, given `theirs`."""

    make: Callable[..., nn.Module] = nn.Module
    entering: tuple[int, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        return self.entering or super().shape

    def reference(self) -> nn.Module:
        return self.make(**self.theirs)

    def reference_on_meta(self) -> nn.Module:
        with torch.device("meta"):
            return self.reference()


def _timm(name: str) -> Callable[..., nn.Module]:
    def make(**given: Any) -> nn.Module:
        made: nn.Module = pytest.importorskip("timm").create_model(name, **given)
        return made

    return make


def _timms(module: str, name: str) -> Callable[..., nn.Module]:
    """A class of timm's, for a size that it has no name for."""

    def make(**given: Any) -> nn.Module:
        models = pytest.importorskip(f"timm.models.{module}")
        made: nn.Module = getattr(models, name)(**given)
        return made

    return make


FULL = [
    Classic("convmixer_768_32", 224, make=_timm("convmixer_768_32")),
    Classic("mixer_b16_224", 224, make=_timm("mixer_b16_224")),
    Classic("darknet53", 256, make=_timm("darknet53")),
    Classic("wide_resnet28_10", 32, make=classics.WideResNet),
    Classic("resnet20", 32, make=classics.CifarResNet),
    Classic("dcgan_generator", 1, make=classics.Generator, entering=(100, 1, 1)),
    Classic("dcgan_discriminator", 64, make=classics.Discriminator),
]
SMALL = [
    Classic(
        "convmixer_768_32",
        32,
        {"dim": 16, "depth": 2, "kernel_size": 5, "act_layer": nn.ReLU, "num_classes": 7},
        {"width": 16, "depth": 2, "kernel": 5, "classes": 7},
        make=_timms("convmixer", "ConvMixer"),
    ),
    Classic(
        "mixer_b16_224",
        64,
        {"img_size": 64, "embed_dim": 32, "num_blocks": 2, "num_classes": 7},
        {"width": 32, "depth": 2, "classes": 7},
        make=_timms("mlp_mixer", "MlpMixer"),
    ),
    Classic("darknet53", 64, {"num_classes": 7}, {"classes": 7}, make=_timm("darknet53")),
    Classic(
        "wide_resnet28_10",
        32,
        {"depth": 16, "widen": 2, "p": 0.3},
        {"depth": 16, "widen": 2, "p": 0.3},
        make=classics.WideResNet,
    ),
    Classic("resnet20", 32, {"depth": 14}, {"depth": 14}, make=classics.CifarResNet),
    Classic("dcgan_generator", 1, {"width": 8}, {"width": 8}, classics.Generator, (100, 1, 1)),
    Classic("dcgan_discriminator", 64, {"width": 8}, {"width": 8}, classics.Discriminator),
]


def _plain(entering: int, out: int, kernel: int, **given: Any) -> nn.Module:
    """A convolution in the place of one with standardised weights."""
    given.pop("gain_init", None)
    return nn.Conv2d(entering, out, kernel, padding=kernel // 2, **given)


def _excite() -> nn.Module:
    timm = pytest.importorskip("timm.layers")
    gates = {name: timm.SEModule(32, rd_channels=8) for name in ("own", "prelude")}
    return nn.Sequential(OrderedDict(gates))


def _normfree(**given: Any) -> nn.Module:
    made = pytest.importorskip("timm.models.nfnet").NormFreeBlock
    more = {"extra_conv": True, "skipinit": True, "act_layer": nn.ReLU, "conv_layer": _plain}
    blocks = [made(32, 64, 2, **given, **more), made(64, 64, 1, **given, **more)]
    for block in blocks:  # a parameter has a dimension here
        block.skipinit_gain = nn.Parameter(block.skipinit_gain[None])
    return nn.Sequential(*blocks)


def _mobilevit() -> nn.Module:
    layers, timm = pytest.importorskip("timm.layers"), pytest.importorskip("timm.models")
    made = partial(layers.ConvNormAct, act_layer=nn.SiLU)
    used = timm.byobnet.LayerFn(conv_norm_act=made, act=nn.SiLU)
    size = {"transformer_dim": 24, "patch_size": 2}
    return nn.Sequential(timm.mobilevit.MobileVitBlock(16, **size, layers=used))


def _cbam() -> nn.Module:
    made: nn.Module = pytest.importorskip("timm.layers.cbam").CbamModule(32, rd_channels=4)
    return made


#: not shipped: blocks and a network as a newcomer writes them, in tests/cases
WRITTEN = [
    Classic("cbam", 1, make=_cbam, entering=(32, 14, 12)),
    Classic("squeeze_excite", 1, make=_excite, entering=(32, 14, 12)),
    Classic("ghostnet", 64, make=_timm("ghostnet_100")),
    Classic("nfnet_block", 1, {"alpha": 0.2, "beta": 0.9}, make=_normfree, entering=(32, 14, 12)),
    Classic("mobilevit_block", 1, make=_mobilevit, entering=(16, 8, 12)),
]
WRITTEN = [replace(case, name=f"tests/cases/good/{case.name}.arch") for case in WRITTEN]
#: timm cuts normal numbers off in its own way, which takes other random numbers
SPREAD = {"mixer_b16_224"}


def _ids(cases: list[Classic]) -> list[str]:
    return [Path(case.name).stem for case in cases]


@pytest.mark.parametrize("case", FULL + WRITTEN, ids=_ids(FULL + WRITTEN))
def test_the_same_state_and_costs(case: Classic) -> None:
    checks.same_state(case)
    checks.same_module(case)


@pytest.mark.parametrize("case", SMALL + WRITTEN, ids=_ids(SMALL + WRITTEN))
def test_the_same_behaviour(case: Classic) -> None:
    checks.same_behaviour(case)


@pytest.mark.parametrize("case", SMALL, ids=_ids(SMALL))
def test_the_same_initial_weights(case: Classic) -> None:
    if case.name not in SPREAD:
        return checks.same_initial_weights(case)
    theirs, ours = case.reference().state_dict(), build(case.program()).state_dict()
    for key, weight in theirs.items():
        expected, found = weight.std(), ours[key].std()
        assert 0.5 * expected <= found <= 2 * expected, key
        assert torch.allclose(weight.mean(), ours[key].mean(), atol=max(0.2 * expected, 1e-6)), key
    return None
