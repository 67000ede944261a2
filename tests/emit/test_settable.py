"""Parameters of a model as arguments of the emitted class: what may be set is right for any value,
and what is not right for any value cannot be set."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import archdsl
from archdsl.ops.table import Call, Op, operators
from archdsl.ops.types import another
from archdsl.runtime.module import build
from tests.ops.test_table import some

SPECS = sorted(path.stem for path in Path("specs").glob("*.arch"))


def _class(spec: str, **params: Any) -> type[nn.Module]:
    with torch.device("meta"):
        return type(archdsl.load(spec, **params))


def _shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in module.state_dict().items()}


@pytest.mark.parametrize("name", SPECS)
def test_classes_of_every_spec(name: str) -> None:
    program = archdsl.check(name).program
    assert program is not None
    if "classes" not in dict(program.settable):
        assert name.startswith("dcgan")
        return
    with torch.device("meta"):
        made = _class(name)(classes=7)
        wanted = archdsl.load(name, classes=7)
    assert _shapes(made) == _shapes(wanted)


@pytest.mark.parametrize("name", ["lenet5", "squeezenet1_1", "mobilenet_v3_small", "googlenet"])
def test_the_same_network(name: str) -> None:
    size = archdsl.check(name).program.input_shape  # type: ignore[union-attr]
    x = torch.rand(2, *size)
    results = []
    for make in (lambda: _class(name)(classes=7), lambda: archdsl.load(name, classes=7)):
        torch.manual_seed(1)
        module = make()
        trained = module(x)
        with torch.no_grad():
            results += [[module.eval()(x)], trained if isinstance(trained, tuple) else [trained]]
    for one, other in zip(results[:2], results[2:], strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


#: spec -> the arguments of its class
SETTABLE = {
    "linear k": "k",
    "conv k 3x3 -> relu -> gap -> flatten": "k",
    "conv k 1x1 -> bn": "",  # weights follow from it
    "conv 4 k": "",
    "tap t; conv 6 1x1 groups=3; conv k 1x1 groups=k": "",
    "b k": "k",
    "b (k)": "k",
    "b (k + 1)": "",
    "c k": "",
    "g: { linear k }": "k",
    "g: { linear k }; relu; softmax": "k",
    "linear k; d": "",  # a block may compute with what enters
    "linear k; linear 3": "",
    "linear k; chunk 2 0 dim=2": "k",
    "linear k; flatten; reshape [24, -1]": "k",
    "linear k; flatten; reshape [-1, 9]": "",
    "linear k; slice 0 6 dim=2": "k",
    "linear k; upsample 2": "k",
    "linear k; permute [2, 0, 1]; channel_shuffle 2": "",
    "let j = k; linear j": "",
    "linear k; if k > 3 { relu }": "",
    "repeat k { relu }": "",
    "l{k}: linear k": "",
    "linear 4; init linear normal std=(1/k)": "",
    "param w [1, k] zeros; linear k": "",
    "linear k; assert 3x8x6": "",
    "assert 3x8x8; linear k": "k",
    "linear h": "h",
    "linear h; linear k": "k",
    "linear n": "n",
    "linear n; linear h": "h",
    "linear n; dropout p": "n p",
    "add { linear k; linear k }": "k",
    "add { linear k; linear 6 }": "",
    "concat { linear k; linear 6 }": "",
    "a: aux { linear k }; linear 5": "k",
    "dropout p; e p": "p",
    "linear k -> tap t; linear 3; output @t": "",
    "for i in [k] { linear i }": "",
    "u: x k": "k",
    "repeat 2 { e p }": "p",
    "linear 6; b 6; b k": "k",
    "conv 4 1x1; leaky_relu p": "p",
    "conv 4 1x1; elu p; celu p": "p",
    "conv 4 1x1; bn eps=p; bn momentum=p": "p",
    "conv 4 1x1; gn 2 eps=p; ln2d eps=p; lrn 3 alpha=p beta=p k=p": "p",
    "conv 4 1x1; instance_norm eps=p; ln eps=p": "p",
    "scale p; pow p; clamp min=p; normalize eps=p": "p",
    "softplus beta=p; softplus threshold=n; prelu slope=p": "n p",
    "flatten; a: { linear 4; leaky_relu p }; linear 3": "p",
    "repeat 2 { f p }; f 0.5": "p",
    "conv 4 1x1; init conv kaiming_normal a=p; leaky_relu p": "",
    "residual { b 8; b 8 }; linear 6; aux1: aux { b k }": "k",
}
TEXT = """block b(o, q=6) {{ linear o }}
block c(o, q=o+1) {{ linear o; linear q }}
block d() {{ relu; if in[-1] > 100 {{ relu }} }}
block f(s) {{ leaky_relu s; residual {{ conv 3 1x1; scale s }} }}
block e(p) {{ stochastic_depth p; dropout 0.5 }}
model m(k=6, h=k, n=2*h, p=0.1, x=b) {{ input 3x8x8
{} }}"""


@pytest.mark.parametrize("steps", SETTABLE)
def test_what_may_be_set(steps: str) -> None:
    text = TEXT.format(steps)
    cls = _class(text)
    names = list(inspect.signature(cls).parameters)
    # `k` and `h` are read by the defaults of others here
    assert names == [name for name in SETTABLE[steps].split() if name in ("n", "p")], steps
    plain = text.replace("h=k, n=2*h", "h=6, n=12")
    names = list(inspect.signature(_class(plain)).parameters)
    assert names == SETTABLE[steps].split(), steps
    other = {"k": 9, "h": 11, "n": 5, "p": 0.75}
    given: dict[str, Any] = {name: other[name] for name in names}
    x = torch.rand(2, 3, 8, 8)
    results = []
    for make in (lambda: _class(plain)(**given), lambda: archdsl.load(plain, **given)):
        torch.manual_seed(0)
        module = make()
        out = module(x)
        results.append(out if isinstance(out, tuple) else (out,))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_a_default_is_the_value_that_the_program_has() -> None:
    cls = _class("lenet5", classes=3)
    assert inspect.signature(cls).parameters["classes"].default == 3
    program = archdsl.check(TEXT.format("linear k")).program
    assert program is not None and build(program).state_dict()


def test_names_that_the_class_has() -> None:
    text = "model m(training=0.5, nn=3) { input 3x8x8; linear nn; dropout training }"
    cls = _class(text)
    one, two = inspect.signature(cls).parameters
    module = cls(**{one: 0.25, two: 4})
    assert module.training and module(torch.rand(1, 3, 8, 8)).shape == (1, 3, 8, 4)


def test_torch_gets_what_is_free_as_it_is() -> None:
    """And nothing else of the call changes with it."""
    for kind in operators():
        for name in kind.free:
            op = some(kind)
            if getattr(op, name) is None:
                op = op.replace(**{name: 0.5})
            shape = kind.example_input
            other = op.replace(**{name: another(getattr(op, name))})
            for one, two in ((op.module(shape), other.module(shape)), _functions(op, other, shape)):
                if one is None or two is None:
                    assert one is two
                    continue
                assert one.target == two.target
                both = zip(one.args, two.args, strict=True)
                full = zip(one.full or one.kwargs, two.full or two.kwargs, strict=True)
                changed = [b for a, b in both if a != b] + [b for (_, a), (_, b) in full if a != b]
                assert changed == [getattr(other, name)], kind.name


def _functions(op: Op, other: Op, shape: tuple[int, ...]) -> tuple[Call | None, Call | None]:
    return op.function(shape), other.function(shape)


def test_a_quarter_is_a_number_too() -> None:
    """Half of it and an eighth is a quarter again."""
    module = _class("model m(p=0.25) { input 8; dropout p }")(p=0.75)
    assert module[0].p == 0.75


def test_a_whole_number_where_any_may_stand() -> None:
    source = archdsl.compile("model m(p=0, k=3) { input 8; dropout p; linear k }")
    assert "p: float = 0.0" in source and "k: int = 3" in source
