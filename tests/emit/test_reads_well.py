"""The emitted source reads as if written by hand: names, numbers, and what may be left out."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch
from torch import nn

import archdsl

SPECS = sorted(path.stem for path in Path("specs").glob("*.arch"))


@pytest.fixture(scope="module")
def sources() -> dict[str, str]:
    return {name: archdsl.compile(name) for name in SPECS}


def test_numbers_are_as_one_would_write_them(sources: dict[str, str]) -> None:
    """0.2 * 6 / 16 is 0.075, whatever binary fractions make of it."""
    for name, source in sources.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Constant) and isinstance(node.value, float):
                value, short = node.value, float(f"{node.value:.12g}")
                assert value == short or f"{value:.15g}" != f"{short:.15g}", (name, value)
    assert "drop=0.075," in sources["efficientnet_b0"]
    text = "model m { input 3x4x4; let a = 0.1 + 0.2; dropout a; dropout (1/3*3 - 0.1 - 0.2) }"
    assert "p=0.3)" in archdsl.compile(text) and "p=0.7)" in archdsl.compile(text)


def test_nothing_ends_with_an_identity(sources: dict[str, str]) -> None:
    for source in sources.values():
        assert "nn.Identity" not in source
    text = """block b(act) { conv 3 1x1 -> act }
    model m { input 3x4x4; b identity; g: { conv 3 1x1; identity; bn }
        h: { conv 3 1x1; last: identity }; n: { residual { conv 3 1x1; identity; conv 3 1x1 } } }"""
    source = archdsl.compile(text)
    assert source.count("nn.Identity()") == 3  # it keeps a place, or has a name
    module = archdsl.load(text)
    names = {name for name, _ in module.named_modules()}
    assert "h.last" in names and "0.1" not in names
    assert "g.2.weight" in module.state_dict()
    module(torch.randn(1, 3, 4, 4))


def test_names_of_the_spec_are_kept(sources: dict[str, str]) -> None:
    """Those of `let`, too; what is a multiple or a part of an argument needs no name."""
    assert "mid: int" in sources["efficientnet_b0"]
    assert "act: Callable[..., nn.Module] | None = None" in sources["mobilenet_v3_small"]
    assert (
        "Convnorm(3, out=16, kernel=3, stride=2, act=nn.Hardswish)"
        in (sources["mobilenet_v3_small"])
    )
    assert "Se(mid, r=in_channels // 4)" in sources["efficientnet_b0"]
    assert "padding=kernel // 2" in sources["efficientnet_b0"]
    assert "nn.Linear(4 * dim, 2 * dim, bias=False)" in sources["swin_t"]
    assert "self.mlp = Mlp(dim, hidden=4 * dim)" in sources["swin_t"]
    assert "nn.Linear(in_channels, 4 * in_channels)" in sources["convnext_tiny"]
    for source in sources.values():
        assert "out_channels: int" not in source


def test_a_name_of_several_values_names_nothing() -> None:
    text = """block b(n) {
      let k = n + 2
      conv k 1x1
      for i in [1, 2] { let w = n * n + i; conv w 1x1 -> bn -> relu }
      tap t; add { @t; @t }
    }
    model m { input 3x4x4; a: b 2; b: b 5 }"""
    source = archdsl.compile(text)
    assert "k: int" in source and "w: int" not in source


@pytest.mark.parametrize("values", ["2 4", "4 8", "6 9"])
def test_what_looks_like_a_multiple_is_right_for_each_instance(values: str) -> None:
    """The class computes it where it holds for all; else it stays an argument."""
    one, two = map(int, values.split())
    text = f"""block b(n, k) {{ conv n 1x1 -> relu; conv k 3x3 pad=1; tap t; add {{ @t; @t }} }}
    model m {{ input 3x4x4; b {one} {one * two}; b {two} {two * two}; b 5 7 }}"""
    program = archdsl.check(text).program
    assert program is not None
    module = archdsl.load(text)
    state = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    assert state == {key: weight.shape for key, weight in program.state()}


def test_one_class_for_a_block_whose_activation_differs() -> None:
    """Also where it is missing, or its arguments cannot be shared."""
    text = """block b(o, act) { conv o 3x3 pad=1; bn; act }
    model m { input 3x8x8
      b 4 relu; b 4 silu; b 5 identity; b 6 gelu; b 4 leaky_relu(0.3); b 4 prelu; b 4 relu; b 4 tanh
    }"""
    source = archdsl.compile(text)
    names = [line for line in source.splitlines() if line.startswith("class B")]
    assert len(names) == 1  # the others are used once, and stand where they are
    program = archdsl.check(text).program
    assert program is not None
    module = archdsl.load(text).eval()
    assert list(module.state_dict()) == [key for key, _ in program.state()]
    x = torch.randn(2, 3, 8, 8)
    acts = [nn.ReLU(), nn.SiLU(), nn.Identity(), nn.GELU(), nn.LeakyReLU(0.3), None, nn.ReLU()]
    expected = x
    for block, act in zip(module, [*acts, nn.Tanh()], strict=True):
        expected = block[1](block[0](expected))
        expected = (act or block[2])(expected)
    assert torch.equal(module(x), expected)
    assert torch.equal(torch.jit.script(module)(x), expected)
    assert torch.equal(torch.fx.symbolic_trace(module)(x), expected)


def test_an_optional_part_may_have_an_empty_list() -> None:
    """A parameter that is a list where the part is, is an empty one without it."""
    text = """block unit(o) {
      residual { one: conv o 3x3 pad=1 -> relu; two: conv o 1x1 } shortcut if in != o {
        avgpool 1; pad [0, 0, 0, 0, 0, o - in]
      }
    }
    model m { input 3x8x8; unit 4; unit 4; unit 6; unit 6; linear 3 }"""
    source = archdsl.compile(text)
    assert source.count("class Unit") == 1 and " | tuple[()] = ()" in source
    module = archdsl.load(text)
    x = expected = torch.randn(2, 3, 8, 8)
    for unit in [*module.children()][:4]:
        value = unit.two(unit.one(expected).relu())
        more = value.shape[1] - expected.shape[1]
        expected = value + nn.functional.pad(expected, (0, 0, 0, 0, 0, more))
    assert torch.equal(module(x), [*module.children()][4](expected))


def test_one_class_for_a_block_that_adds_its_input_or_not() -> None:
    text = """block unit(o, drop, k=3) {
      let same = in == o
      residual if same { body: { conv o k pad=half; bn; relu }; if same { stochastic_depth drop } }
    }
    model m { input 3x8x8
      unit 4 0.1; unit 4 0.2; a: unit 6 0.3 5; b: unit 6 0.4; c: unit 6 0.0 }"""
    source = archdsl.compile(text)
    assert source.count("class Unit") == 1
    assert "residual: bool = False" in source and "        if self.residual:\n" in source
    program = archdsl.check(text).program
    assert program is not None
    module = archdsl.load(text)
    assert list(module.state_dict()) == [key for key, _ in program.state()]
    x = torch.randn(4, 3, 8, 8)
    for train in (True, False):
        module.train(train)
        torch.manual_seed(0)
        expected = x
        for unit, drop in zip(module.children(), (0, 0.2, 0, 0.4, 0.0), strict=True):
            value = unit.body(expected)
            if value.shape == expected.shape:
                if train and drop:
                    keep = torch.empty(4, 1, 1, 1).bernoulli_(1 - drop) / (1 - drop)
                    value = value * keep
                value = value + expected
            expected = value
        torch.manual_seed(0)
        torch.testing.assert_close(module(x), expected)
    assert torch.equal(torch.jit.script(module)(x), module(x))
    assert torch.equal(torch.fx.symbolic_trace(module)(x), module(x))
