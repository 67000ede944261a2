"""What the public functions take, beside what their other tests give them."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import archdsl

SPEC = """model m(act=relu, norm="bn", widths=[4, 4], size=3x3, on=true) {
  input 3x8x8
  for w in widths { conv w size pad=half bias=on }
  act
  if norm == "bn" { bn }
  gap -> flatten -> linear 2
}"""


@pytest.mark.parametrize(
    ("key", "python", "text"),
    [
        ("act", "gelu", "gelu"),
        ("act", "leaky_relu(0.2)", "leaky_relu(0.2)"),
        ("norm", "none", "none"),
        ("norm", "bn", '"bn"'),
        ("widths", range(2, 5), "[2, 3, 4]"),
        ("widths", torch.tensor([3, 5]), "[3, 5]"),
        ("size", (1, 3), "1x3"),
        ("size", torch.tensor(5), "5"),
        ("on", False, "false"),
    ],
)
def test_python_and_the_command_line_agree(key: str, python: object, text: str) -> None:
    one = archdsl.compile(SPEC, **{key: python})
    assert one == archdsl.compile(SPEC, **{key: text})
    assert one != archdsl.compile(SPEC) or text == '"bn"'


@pytest.mark.parametrize("shape", ["3x9x9", (3, 9, 9), [3, 9, 9], torch.tensor([3, 9, 9])])
def test_an_input_of_any_kind(shape: object) -> None:
    program = archdsl.check(SPEC, input=shape).program  # type: ignore[arg-type]
    assert program is not None and program.input_shape == (3, 9, 9)


@pytest.mark.parametrize("shape", ["3x9xx", "", (3, 0, 9), (3.5,), "big", ()])
def test_an_input_that_is_none(shape: object) -> None:
    with pytest.raises(ValueError, match="`input` is a shape"):
        archdsl.check(SPEC, input=shape)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("use", "told"),
    [
        (lambda: archdsl.load(SPEC, size=float("nan")), "nan is no value of the language"),
        (lambda: archdsl.load(SPEC, widths=[1, float("-inf")]), "-inf is no value"),
        (lambda: archdsl.draw(SPEC, depth=-1), "`depth` is a whole number from 0"),
        (lambda: archdsl.summary(SPEC, batch=0), "`batch` is a whole number from 1"),
        (lambda: archdsl.summary(SPEC, depth="all"), "not 'all'"),
        (lambda: archdsl.export(SPEC, "x.safetensors", seed=2**64), "`seed` is a whole number"),
    ],
)
def test_numbers_that_are_none(use: Callable[[], object], told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        use()


def test_a_difference_that_is_none() -> None:
    same = archdsl.diff(SPEC, SPEC)
    assert not same and "no difference" in str(same)


def test_a_state_dict_is_weights() -> None:
    one = archdsl.load(SPEC)
    other = archdsl.load(SPEC, weights=one.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    with pytest.raises(archdsl.WeightsError):
        archdsl.load(SPEC, weights={})
    with pytest.raises(TypeError, match="`weights` is"):
        archdsl.load(SPEC, weights=3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'gpu'"):
        archdsl.load(SPEC, optimize="gpu")  # type: ignore[arg-type]


def test_everything_public_is_there() -> None:
    for name in archdsl.__all__:
        assert getattr(archdsl, name).__doc__
    assert set(archdsl.__all__) < set(dir(archdsl))
    assert "resnet50" in archdsl.specs() and "conv" in archdsl.operators()["conv"]
    assert archdsl.draw("lenet5").startswith("<svg")
    assert not archdsl.diff("lenet5", "lenet5") and archdsl.diff("lenet5", SPEC)
    assert "Total params" in archdsl.summary("lenet5")


@pytest.mark.parametrize("optimize", [True, "cpu"])
@pytest.mark.parametrize(
    "text",
    [
        "model m { input 3x4x8x8; conv 4 3x3x3 -> bn -> relu; deconv 2 2x2x2 /2 -> bn; gap }",
        "model m { input 3x20; conv 4 3 bias=false -> bn -> gelu; conv 4 1 -> bn }",
        "model m { input 6x8; linear 8 -> bn -> ln; mha 2; dropout; linear 3 -> bn }",
        "model m { input 5; linear 8 -> bn -> relu -> dropout -> linear 4 -> bn }",
    ],
)
def test_optimised_for_inputs_of_any_rank(text: str, optimize: bool) -> None:
    torch.manual_seed(0)
    plain = archdsl.load(text)
    for buffer in plain.buffers():
        if buffer.is_floating_point():
            buffer.uniform_(0.5, 1.5)
    better = archdsl.load(text, weights=plain.state_dict(), optimize=optimize)
    program = archdsl.check(text).program
    assert program is not None
    x = torch.randn(2, *program.input_shape)
    with torch.no_grad():
        assert torch.allclose(plain.eval()(x), better(x), atol=1e-5)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_names_of_wrapped_modules(prefix: str) -> None:
    one = archdsl.load(SPEC)
    state = {prefix + name: tensor for name, tensor in one.state_dict().items()}
    with pytest.warns(UserWarning, match=prefix):
        other = archdsl.load(SPEC, weights=state)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda w: w.to_sparse(), "sparse"),
        (lambda w: w.to("meta"), "meta"),
        (lambda w: w.to(torch.complex64), "complex"),
        (lambda w: torch.quantize_per_tensor(w, 0.1, 0, torch.qint8), "quantised"),
    ],
)
def test_tensors_that_are_no_weights(change: Callable[[Tensor], Tensor], told: str) -> None:
    state = archdsl.load(SPEC).state_dict()
    state["0.weight"] = change(state["0.weight"])
    with pytest.raises(archdsl.WeightsError, match=rf"0\.weight: .*{told}"):
        archdsl.load(SPEC, weights=state)


def test_weights_that_are_not_finite() -> None:
    state = archdsl.load(SPEC).state_dict()
    state["0.weight"][0, 0] = torch.nan
    with pytest.warns(UserWarning, match=r"1 entry of the weights are not finite: 0\.weight"):
        archdsl.load(SPEC, weights=state)
