"""Networks of users come back as specs of about the length that a person would write."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import archdsl
from archdsl.importer import CannotImport, import_module
from archdsl.pipeline import open_spec
from tests.importer.networks import NETWORKS

GOLDENS = Path(__file__).with_name("goldens")


@pytest.mark.parametrize("cls", NETWORKS, ids=lambda cls: cls.__name__)
def test_golden(cls: type[nn.Module], pytestconfig: pytest.Config) -> None:
    torch.manual_seed(0)
    module = cls()
    made = import_module(module, cls.shape)  # type: ignore[arg-type]
    assert made.proof, made.proof
    assert made.proof.evaluated == 2 and made.proof.trained
    text = re.sub(r"normal std=[0-9.e-]+", "normal std=...", made.text)
    golden = GOLDENS / f"{cls.__name__.lower()}.arch"
    if pytestconfig.getoption("--update-goldens"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")
    assert not [d for d in open_spec(made.text).diagnostics if d.severity == "error"]


def test_a_module_is_left_as_it_was() -> None:
    module = NETWORKS[6]().train()
    before = {k: v.clone() for k, v in module.state_dict().items()}
    archdsl.spec(module, input=(3, 8, 8))
    assert module.training
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())


class Odd(nn.Module):
    """Three things that no operator is."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.rnn = nn.LSTM(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cumprod(self.conv(x), 2)
        x, _ = self.rnn(x.flatten(1, 2))
        return x.sort().values


def test_every_place_that_cannot_be_said_is_listed() -> None:
    with pytest.raises(CannotImport) as caught:
        archdsl.spec(Odd(), input=(3, 4, 4))
    found = [(p.place.path, p.message.split("`")[1]) for p in caught.value.problems]
    assert found == [("", "cumprod"), ("rnn", "nn.LSTM"), ("", "sort")]
    assert all(__file__ in p.place.line for p in caught.value.problems)


class Raises(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("not today")


class Decides(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.relu() if x.sum() > 0 else x


@pytest.mark.parametrize("cls", [Raises, Decides])
def test_what_cannot_run_is_one_error(cls: type[nn.Module]) -> None:
    with pytest.raises(CannotImport) as caught:
        archdsl.spec(cls(), input=(4,))
    (problem,) = caught.value.problems
    assert __file__ in problem.place.line


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.conv(self.conv(x).relu())
        return result


def test_weights_that_are_shared_are_refused() -> None:
    with pytest.raises(CannotImport, match="conv: the module is used more than once"):
        archdsl.spec(Shared(), input=(3, 4, 4))


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 6), nn.Linear(6, 6)
        self.b.weight = self.a.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.b(torch.relu(self.a(x)))


class Half(nn.Module):
    """Only its second layer learns."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            x = self.a(x)
        return self.b(x)


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(6, 6)
        self.register_buffer("n", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.n += 1
        return self.a(x)


@pytest.mark.parametrize(
    ("module", "words"),
    [(Tied, "weights of a.weight, used again"), (Half, "gradient"), (Counting, "buffer n")],
)
def test_what_learns_otherwise_is_not_equal(module: type[nn.Module], words: str) -> None:
    made = module()
    random = torch.get_rng_state()
    with pytest.raises(CannotImport, match=words):
        archdsl.spec(made, input=(6,))
    assert torch.equal(torch.get_rng_state(), random)
    assert not any(buffer.any() for buffer in made.buffers())


class Drops(nn.Module):
    """timm's drop path, with a rate from `torch.linspace`: the factor is rounded to a single."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.fc, self.keep = nn.Linear(6, 6), 1 - rate

    def forward(self, x: Tensor) -> Tensor:
        y = self.fc(x)
        if self.training:
            kept = y.new_empty((x.shape[0], 1)).bernoulli_(self.keep)
            y = y * kept.div_(self.keep)
        return x + y


@pytest.mark.parametrize("rate", torch.linspace(0.2, 0.4, 5).tolist())
def test_rates_are_exact_in_the_last_bit(rate: float) -> None:
    made = import_module(Drops(rate), (6,))
    assert made.proof.trained, f"{made.proof}\n{made.text}"


class Scaled(nn.Module):
    """A factor for each channel, which comes last."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.rand(6))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale.view(6)


def test_a_factor_for_the_last_dimension() -> None:
    assert "mul @scale" in archdsl.spec(Scaled(), input=(4, 6))


class Calls(nn.Module):
    """Calls a function of one value."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: 1 - x, "neg add 1.0"),
        (lambda x: 2 / x, "pow -1.0 mul 2.0"),
        (lambda x: 1 / x, "pow -1.0"),
        (lambda x: x / 3, "div 3.0"),
        (lambda x: x.clamp_min(0.5), "clamp min=0.5"),
        (lambda x: torch.clip(x, max=0.5), "clamp max=0.5"),
        (lambda x: x.max(1).values, "max 0"),
        (lambda x: x.min(dim=-1, keepdim=True)[0], "min 1 keepdim=true"),
        (lambda x: x.var(1), "var 0"),
    ],
)
def test_functions_in_other_words(function: Callable[[Tensor], Tensor], words: str) -> None:
    text = archdsl.spec(Calls(function), input=(6, 4))
    assert " ".join(text.replace("->", " ").split()[-len(words.split()) - 1 : -1]) == words


class Idle(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bn, self.fc = nn.BatchNorm1d(4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x)


class Unkept(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mask", torch.rand(4), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.mask


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (Idle(), "bn: this layer never runs"),
        (Unkept(), "`mask`, a buffer that is not in the state_dict"),
        (Calls(lambda x: x.var(1, unbiased=False)), "`var` is not expressible so"),
        (Calls(lambda x: x.max(1).indices.float()), "`max` is not expressible so"),
    ],
)
def test_what_a_spec_has_no_word_for_is_named(module: nn.Module, words: str) -> None:
    with pytest.raises(CannotImport, match=words):
        archdsl.spec(module, input=(6, 4))


def test_frozen_weights_are_named() -> None:
    module = Drops(0.5)
    module.fc.bias.requires_grad_(False)
    text = archdsl.spec(module, input=(6,))
    assert "# there with requires_grad=False, here they learn: fc.bias" in text


class Products(nn.Module):
    """Einstein's sums, and noise in evaluation."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("bnc,bmc->bnm", x, x.sigmoid()) + torch.randn_like(x)


def test_an_equation_and_noise() -> None:
    made = import_module(Products(), (4, 4))
    assert made.proof, made.proof
    assert 'einsum "bnc,bmc->bnm"' in made.text
