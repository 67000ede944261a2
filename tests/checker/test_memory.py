"""The memory of a training step is what torch holds."""

from __future__ import annotations

import pytest
import torch

from archdsl.ir.memory import fitting_batch, training_memory
from archdsl.pipeline import open_spec
from tests.benchmarks.held import held

SPECS = {
    "plain": "conv 8 3x3 pad=1 -> relu -> maxpool 2x2; conv 16 3x3; leaky_relu; flatten; linear 99",
    "residual": """
    convbn 16 3x3 pad=1; relu
    residual { convbn 16 3x3 pad=1; relu6; convbn 16 3x3 pad=1 } -> relu
    residual { bn -> silu; conv 32 3x3 /2 pad=1 } shortcut { conv 32 1x1 /2 }
    mul { identity; { gap; conv 32 1x1 -> sigmoid } }
    dropout 0.2; gap; flatten; linear 10""",
    "dense": "conv 8 1x1; repeat 3 { concat { identity; { bn; relu; conv 8 3x3 pad=1 } } }; gap",
    "tokens": """
    conv 32 4x4 /4; reshape [32, -1]; permute [1, 0]
    repeat 2 {
      residual { ln; mha 4 }
      residual { ln; linear 128; gelu; linear 32 }
    }
    mean [0]; linear 10""",
    "windows": """
    permute [1, 2, 0]; linear 96
    repeat 2 { residual { ln; window_attention 3 4x4 shift=2 }; residual { ln; linear 96; gelu } }
    ln""",
}


@pytest.mark.parametrize(("optimizer", "mixed"), [("sgd", ""), ("adam", ""), ("sgd", "cpu")])
@pytest.mark.parametrize("name", SPECS)
def test_is_what_torch_holds(name: str, optimizer: str, mixed: str) -> None:
    program = open_spec(f"model m() {{\n  input 3x32x32\n{SPECS[name]}\n}}").checked()
    torch.set_num_threads(1)
    slots = {"sgd": 1, "adam": 2}[optimizer]
    estimate = training_memory(program, batch=8, slots=slots, mixed=mixed)
    found = held(program, 8, optimizer, mixed=bool(mixed))
    assert estimate.peak == pytest.approx(found, rel=0.1)


def test_parts_and_layers() -> None:
    program = open_spec("model m() {\n  input 8\n  a: linear 4 bias=false; sigmoid; b: linear 2\n}")
    memory = training_memory(program.checked(), batch=10)
    assert memory.weights == memory.gradients == memory.optimizer == 4 * (8 * 4 + 4 * 2 + 2)
    assert memory.saved == 4 * 10 * 4  # the input is the batch itself
    assert dict(memory.layers) == {"a": 3 * 4 * 32, "0": 160, "b": 3 * 4 * 10}


def test_the_largest_batch_that_fits() -> None:
    program = open_spec("lenet5").checked()
    limit = 100_000_000
    fits = fitting_batch(program, limit)
    assert training_memory(program, batch=fits).peak <= limit
    assert training_memory(program, batch=fits + 1).peak > limit
    assert fitting_batch(program, 1000) == 0


def test_mixed_precision_and_averages() -> None:
    program = open_spec("resnet18").checked()
    whole, half = (training_memory(program, batch=32, mixed=m) for m in ("", "cuda"))
    image, copies = 32 * 4 * 3 * 224 * 224, 2 * (program.params - 2 * 4800)
    assert half.saved == whole.saved // 2 + image // 2 + copies
    averaged = training_memory(program, batch=32, copies=1)
    assert averaged.weights - whole.weights == 4 * program.params
