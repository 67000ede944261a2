"""Random graphs: the straight-line code computes what the items say, one after the other."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archdsl.emit.python import emit
from archdsl.ir.graph import Graph, Node, Program, Scope
from archdsl.runtime.module import build
from tests.emit.building import Builder

POINTWISE = ["relu", "relu6", "silu", "sigmoid", "identity", "hardswish", "leaky_relu"]
PLAIN: dict[str, Any] = {
    "relu": nn.ReLU(),
    "relu6": nn.ReLU6(),
    "silu": nn.SiLU(),
    "sigmoid": nn.Sigmoid(),
    "identity": nn.Identity(),
    "hardswish": nn.Hardswish(),
    "leaky_relu": nn.LeakyReLU(),
    "add": lambda *parts: sum(parts[1:], parts[0]),
    "mul": lambda *parts: torch.stack(parts).prod(0) if not parts else _product(parts),
}


def _product(parts: tuple[Tensor, ...]) -> Tensor:
    result = parts[0]
    for part in parts[1:]:
        result = result * part
    return result


def _graph(rng: random.Random, depth: int, inputs: int = 1, block: str | None = "part") -> Graph:
    b = Builder(*[(3, 4, 4)] * inputs, block=block)
    values = list(range(inputs))
    names = iter(f"{rng.choice(['a', 'b', 'branch_1', 'x', 'y', 'conv'])}{i}" for i in range(99))
    for _ in range(rng.randint(0, 9)):
        # mostly what came last, as people write
        value = values[-1] if rng.random() < 0.6 else rng.choice(values)
        label = next(names) if rng.random() < 0.5 else None
        kind = rng.random()
        if kind < 0.3:
            values.append(b(rng.choice(POINTWISE), value, label=label))
        elif kind < 0.55:
            values.append(b("conv", value, out=3, kernel=1, label=label))
        elif kind < 0.8 or depth == 0:
            parts = [rng.choice(values[-3:]) for _ in range(rng.randint(1, 2))]
            values.append(b(rng.choice(["add", "mul"]), *parts, value))
        else:
            count = rng.randint(1, 2)
            inner = _graph(rng, depth - 1, count, rng.choice([None, "part", "other"]))
            taken = [value, *(rng.choice(values) for _ in range(count - 1))]
            first = b.scope(inner, *taken, label=label or next(names))
            values.extend(range(first, len(b.shapes)))
    outputs = [values[-1]]
    if rng.random() < 0.3:
        outputs.append(rng.choice(values))
    return b.graph(*outputs)


def _interpret(graph: Graph, module: nn.Module, inputs: list[Tensor]) -> list[Tensor]:
    values = list(inputs)
    for item in graph.items:
        args = [values[v] for v in item.inputs]
        if isinstance(item, Scope):
            values.extend(_interpret(item.graph, getattr(module, item.name), args))
        elif isinstance(item, Node):
            plain = PLAIN.get(item.op.name)
            # a registered activation may work in place: that must not show
            values.append(plain(*args) if plain else getattr(module, str(item.name))(*args))
    return [values[v] for v in graph.outputs]


@pytest.mark.parametrize("seed", range(80))
def test_like_an_interpreter(seed: int) -> None:
    graph = _graph(random.Random(seed), depth=2)
    named = tuple((f"out{i}", v) for i, v in enumerate(graph.outputs))
    program = Program("net", graph, named, (), "")
    source = emit(program)
    torch.manual_seed(seed)
    module = build(program).double()  # products of products: float32 overflows for some draws
    assert list(module.state_dict()) == [key for key, _ in program.state()]
    x = torch.randn(2, 3, 4, 4, dtype=torch.double)
    results = []
    for run in (module, lambda x: tuple(_interpret(graph, module, [x]))):
        given = x.clone().requires_grad_()
        out = run(given)
        out = out if isinstance(out, tuple) else (out,)
        module.zero_grad()
        torch.stack([o.square().sum() for o in out]).sum().backward()
        assert torch.equal(given, x)
        grads = [p.grad for p in module.parameters() if p.grad is not None]
        results.append((out, [given.grad, *grads]))
    for one, other in zip(*results, strict=True):
        for a, b in zip(one, other, strict=True):
            torch.testing.assert_close(a, b, msg=source)
