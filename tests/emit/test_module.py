"""The live module: the same as torchvision's, bit for bit, and as good a citizen of torch as a
class in a file."""

from __future__ import annotations

import copy
import inspect
import io
import linecache
import pickle
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import nn

from archdsl.api import load
from archdsl.runtime.module import build
from tests.emit import building


def _seeded(make: Any, seed: int = 0) -> tuple[Any, torch.Tensor]:
    torch.manual_seed(seed)
    return make(), torch.get_rng_state()


CASES = {
    "alexnet": (building.alexnet, lambda: torchvision.models.alexnet(), 64),
    "resnet": (building.resnet, lambda: torchvision.models.resnet18(), 32),
    "googlenet": (
        lambda: building.googlenet(init=False),
        lambda: torchvision.models.googlenet(init_weights=False, aux_logits=True),
        64,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_same_as_torchvision(name: str) -> None:
    program, make, size = CASES[name]
    ours, rng = _seeded(lambda: build(program()))
    theirs, their_rng = _seeded(make)
    assert torch.equal(rng, their_rng)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    state = ours.state_dict()
    for key, value in theirs.state_dict().items():
        assert torch.equal(state[key], value), key
    x = torch.rand(2, 3, size, size)
    if name == "alexnet":  # gradients of 61 million parameters say nothing new
        torch.manual_seed(1)
        one = ours(x)
        torch.manual_seed(1)
        assert torch.equal(one, theirs(x))
        return
    for mode in (True, False):
        outputs = []
        for model in (ours, theirs):
            model.train(mode).zero_grad()
            torch.manual_seed(1)
            result = model(x)
            parts = list(result) if isinstance(result, tuple) else [result]
            sum(part.square().sum() for part in parts).backward()  # type: ignore[union-attr]
            outputs.append((parts, {n: p.grad for n, p in model.named_parameters()}))
        (one, grads), (other, their_grads) = outputs
        if len(other) == 3:
            other = [other[0], other[2], other[1]]  # torchvision: logits, aux2, aux1
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
        for key, grad in their_grads.items():
            assert grad is None if grads[key] is None else torch.equal(grads[key], grad), key
    for key, value in theirs.state_dict().items():  # running statistics have moved alike
        assert torch.equal(state[key], value), key


def test_rules_of_googlenet_draw_what_torchvision_draws() -> None:
    """On small heads: the order of construction differs from the order of execution."""
    program = building.aux_first()
    torch.manual_seed(5)
    module = build(program)
    torch.manual_seed(5)
    layers = {n: nn.Linear(4, 4) for n in ("a", "aux", "b")}
    for layer in layers.values():
        nn.init.normal_(layer.weight, std=0.1)
    for name, layer in layers.items():
        assert torch.equal(getattr(module, name).weight, layer.weight)
        assert torch.equal(getattr(module, name).bias, layer.bias)
    ran: list[str] = []
    for name, part in module.named_children():
        part.register_forward_hook(lambda *_, name=name: ran.append(name))
    module(torch.rand(1, 4))
    assert ran == ["a", "b", "aux"]


# ---- a citizen of torch -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def module() -> nn.Module:
    torch.manual_seed(0)
    return build(building.small()).eval()


@pytest.fixture(scope="module")
def x() -> torch.Tensor:
    return torch.rand(2, 3, 16, 16)


def test_the_source_can_be_read(module: nn.Module) -> None:
    assert "def forward(self, x: Tensor)" in inspect.getsource(type(module))
    assert "self.conv" in inspect.getsource(type(module.block1).forward)  # type: ignore[union-attr]
    assert inspect.getsource(sys.modules[type(module).__module__]).startswith('"""The model')
    try:
        module(torch.rand(1, 5, 8, 8))
    except RuntimeError:
        assert "self.conv(x)" in traceback.format_exc()
    assert linecache.getline(inspect.getfile(type(module)), 1).startswith('"""')


def test_equal_programs_share_their_classes(module: nn.Module) -> None:
    other = build(building.small())
    assert type(other) is type(module) and other is not module
    assert type(build(building.alexnet(5), device="meta")) is not type(module)


def test_the_program_is_at_hand(module: nn.Module) -> None:
    assert module.program.name == "small"
    assert copy.deepcopy(module).program is module.program
    assert "program" not in module.state_dict()


def test_copies(module: nn.Module, x: torch.Tensor) -> None:
    for part in (module, module.block1):
        twin = copy.deepcopy(part)
        assert type(twin) is type(part) and not twin.training
        y = x if part is module else torch.rand(1, 3, 8, 8)
        assert torch.equal(twin(y), part(y))
        assert next(twin.parameters()) is not next(part.parameters())
        assert type(copy.copy(part)) is type(part)


def test_pickles_here(module: nn.Module, x: torch.Tensor) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        twin = pickle.loads(pickle.dumps(module, protocol))
        assert torch.equal(twin(x), module(x))
    buffer = io.BytesIO()
    torch.save(module, buffer)
    buffer.seek(0)
    assert torch.equal(torch.load(buffer, weights_only=False)(x), module(x))
    # the source travels once, whatever the number of parts
    assert pickle.dumps(module).count(b"generated by archdsl") == 1


def test_pickles_in_another_process(module: nn.Module, x: torch.Tensor, tmp_path: Path) -> None:
    result = build(building.aux_first())(torch.rand(1, 4))
    things = {"model": module, "part": module.block1, "x": x, "y": module(x), "out": result}
    with open(tmp_path / "things", "wb") as file:
        pickle.dump(things, file)
    code = """
import inspect, pickle, sys, torch
torch.set_num_threads(1)
things = pickle.load(open(sys.argv[1], "rb"))
assert torch.equal(things["model"](things["x"]), things["y"])
assert type(things["part"]) is type(things["model"].block1)
assert things["model"].program is None
assert things["out"].aux.shape == (1, 4) and type(things["out"]).__name__ == "NetOutput"
assert "def forward" in inspect.getsource(type(things["model"]))
pickle.loads(pickle.dumps(things))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "things")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_state_dict_round_trip(module: nn.Module, x: torch.Tensor) -> None:
    other = build(building.small()).eval()
    other.load_state_dict(module.state_dict())
    assert torch.equal(other(x), module(x))


def test_compile_and_export(module: nn.Module, x: torch.Tensor) -> None:
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    assert torch.equal(compiled(x), module(x))
    exported = torch.export.export(module, (x,))
    assert torch.equal(exported.module()(x), module(x))


@pytest.mark.parametrize("name", ["hyphens", "vit", "two_outputs", "every_size", "captured"])
def test_odd_models_compile_and_export(name: str) -> None:
    program = getattr(building, name)()
    model = build(program).eval()
    x = torch.rand(2, *program.input_shape)
    batch = torch.export.Dim("batch", min=2)
    exported = torch.export.export(model, (x,), dynamic_shapes=({0: batch},)).module()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    larger = torch.rand(5, *program.input_shape)
    for value in (x, larger):
        for other in (exported, compiled):
            for one, two in zip(_tensors(other(value)), _tensors(model(value)), strict=True):
                assert torch.equal(one, two)
    model.train()
    compiled(x)
    twin = pickle.loads(pickle.dumps(model.eval()))
    for one, two in zip(_tensors(twin(x)), _tensors(model(x)), strict=True):
        assert torch.equal(one, two)


def _tensors(result: Any) -> list[torch.Tensor]:
    return [r for r in (result if isinstance(result, tuple) else (result,)) if r is not None]


def test_aux_outputs_in_training_alone() -> None:
    model = build(building.aux_first())
    result = model(torch.rand(2, 4))
    assert result._fields == ("output", "aux")
    assert isinstance(model.eval()(torch.rand(2, 4)), torch.Tensor)
    both = build(building.outputs_and_aux())
    assert both(torch.rand(2, 3, 16, 16)).side.shape == (2, 4)
    assert both.eval()(torch.rand(2, 3, 16, 16)).side is None


def test_on_the_meta_device_nothing_is_drawn() -> None:
    before = torch.get_rng_state()
    model = build(building.alexnet(), device="meta")
    assert torch.equal(torch.get_rng_state(), before)
    assert all(p.is_meta for p in model.parameters())
    with torch.device("meta"):
        assert all(p.is_meta for p in build(building.vit()).state_dict().values())


def test_many_threads_get_one_module() -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        built = list(pool.map(lambda _: type(build(building.unet())), range(16)))
    assert len(set(built)) == 1


def test_a_group_with_two_outputs_returns_both() -> None:
    """Neither of them is used inside, and they come in the order of execution."""
    spec = """
    model two() {
      input 4
      tap entered
      part: { linear 3 -> tap first; @entered -> linear 5 -> tap second; @first }
      concat @second
    }
    """
    assert load(spec)(torch.zeros(2, 4)).shape == (2, 8)
