"""One class for the variants of a block computes what a class for each would."""

from __future__ import annotations

import random
import re

import pytest
import torch
from torch import Tensor, nn

import archdsl

CONVS = ["conv o 3x3 pad=1", "conv o 1x1"]
LAYERS = [*CONVS, "bn", "relu", "dropout 0.5", "silu", "stochastic_depth 0.5"]
HEAD = "model m { input 4x6x6"
FLAGS = ["a", "c", "a and c", "o == in", "not a"]


def _steps(rng: random.Random, depth: int, names: list[str]) -> str:
    return "\n".join(_step(rng, depth, names) for _ in range(rng.randint(1, 4)))


def _step(rng: random.Random, depth: int, names: list[str]) -> str:
    kind = rng.random()
    if depth and kind < 0.35:
        inner = _steps(rng, depth - 1, names)
        test = rng.choice(FLAGS)
        other = f" else {{ {_steps(rng, 0, names)} }}" if rng.random() < 0.2 else ""
        return f"if {test} {{ {inner} }}{other}"
    if depth and kind < 0.5:
        return f"{_name(rng, names)}: {{ {_steps(rng, depth - 1, names)} }}"
    if depth and kind < 0.6:
        cut = rng.choice(["", f" shortcut {_name(rng, names)} if a {{ conv o 1x1 }}"])
        return f"residual {{ {_steps(rng, depth - 1, names)} }}{cut}"
    if depth and kind < 0.7:
        one, two = _steps(rng, depth - 1, names), _steps(rng, 0, names)
        return f"add {{ {{ {one} }}; {{ {two} }} }}"
    label = f"{_name(rng, names)}: " if rng.random() < 0.4 else ""
    return label + rng.choice(LAYERS)


def _name(rng: random.Random, names: list[str]) -> str:
    names.append(f"{rng.choice(['body', 'down', 'x', 'head', 'flag'])}{len(names)}")
    return names[-1]


def specs(seed: int) -> tuple[str, str]:
    """Calls of one block with several flags, and the same where each calls a block of its own."""
    rng = random.Random(seed)
    body = f"{{ conv o 1x1\n{_steps(rng, 2, [])} }}"
    calls = [
        f"{rng.choice(['true', 'false'])} {rng.choice(['true', 'false'])} o=4"
        for _ in range(rng.randint(2, 5))
    ]
    own = [f"block b{place}(a, c, o) {body}\n" for place in range(len(calls))]
    one = "\n".join([f"block b(a, c, o) {body}\n{HEAD}", *(f"b {c}" for c in calls), "}"])
    other = "\n".join([*own, HEAD, *(f"b{place} {c}" for place, c in enumerate(calls)), "}"])
    return one, other


def _run(module: nn.Module, x: Tensor, train: bool) -> Tensor:
    module.train(train)
    torch.manual_seed(3)
    out = module(x)
    assert isinstance(out, Tensor)
    return out


@pytest.mark.parametrize("seed", range(60))
def test_variants(seed: int) -> None:
    one, other = specs(seed)
    if not archdsl.check(one).ok:
        assert not archdsl.check(other).ok
        pytest.skip("refused")
    made = []
    for text in (one, other):
        torch.manual_seed(1)
        made.append(archdsl.load(text))
    first, second = (module.state_dict() for module in made)
    assert list(first) == list(second)
    assert all(torch.equal(first[key], second[key]) for key in first)
    x = torch.randn(2, 4, 6, 6)
    for train in (False, True):
        outs = [_run(module, x.clone(), train) for module in made]
        assert torch.equal(outs[0], outs[1]), one
    expected = _run(made[1], x, False)
    for form in (torch.jit.script(made[0]), torch.fx.symbolic_trace(made[0].eval())):
        assert torch.equal(_run(form, x, False), expected)


def _classes(text: str) -> dict[str, str]:
    source = archdsl.compile(text)
    parts = re.split(r"^class (\w+)", source, flags=re.M)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        ("resnet50", ["Bottleneck", "Stage"]),
        ("mobilenet_v2", ["Convnorm", "Inverted"]),
        ("mobilenet_v3_small", ["Convnorm", "Se", "Bneck"]),
        ("efficientnet_b0", ["Convnorm", "Se", "Mbconv"]),
        ("efficientnet_v2_s", ["Convnorm", "Fused", "Se", "Mbconv"]),
        ("regnet_y_400mf", ["Convnorm", "Se", "Unit"]),
        ("shufflenet_v2_x0_5", ["Unit"]),
    ],
)
def test_a_class_for_each_block(name: str, blocks: list[str]) -> None:
    assert [*_classes(name)][:-1] == blocks


def test_a_missing_submodule_is_none() -> None:
    source = _classes("resnet18")["Basic"]
    assert "downsample: bool = False" in source
    assert "self.downsample: nn.Module | None = None\n        if downsample:\n" in source
    assert "if self.downsample is not None:\n            x = self.downsample(x)\n" in source


def test_a_missing_layer_is_not_in_the_list() -> None:
    """What depends on the channels is computed from these; the rest has the block's own names."""
    source = _classes("mobilenet_v3_small")["Bneck"]
    assert "        if mid != in_channels:\n            layers.append(Convnorm(" in source
    assert "        if squeeze:\n            layers.append(Se(mid, r=r))\n" in source


def test_what_is_replaced_is_no_option() -> None:
    """Nor are two blocks that have little in common."""
    text = """block b(a) { if a { conv 4 1x1 } else { bn }; relu }
    block c(a) { x: conv 4 1x1; if a { bn; relu; y: conv 4 1x1; silu; z: bn } }
    model m { input 4x8x8; b true; b false; b true; b false; c true; c false }"""
    assert [*_classes(text)][:-1] == ["B", "BBatchNorm2d", "CY", "C"]
