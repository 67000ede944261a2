"""How much memory a training step needs, without running it: a spec's module by its program, any
other on torch's meta device."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from archdsl.ir.graph import Program
from archdsl.ir.memory import training_memory
from archdsl.train.recipe import Recipe

SLOTS = {"sgd": 0, "adam": 2, "adamw": 2, "rmsprop": 1}


def step_memory(module: nn.Module, input_shape: tuple[int, ...], recipe: Recipe) -> tuple[int, int]:
    """Bytes that weights, gradients and the optimizer take, and bytes that each sample of a batch
    adds. Work space of single operations comes on top."""
    program = getattr(module, "program", None)
    if program is not None:
        return _of_program(program, recipe)
    weights = sum(p.numel() * p.element_size() for p in module.parameters())
    copies = 2 + _slots(recipe) + bool(recipe.ema)
    return weights * copies, _saved_bytes(module, input_shape, recipe)


def _slots(recipe: Recipe) -> int:
    """Values that the optimizer keeps for each weight."""
    return SLOTS[recipe.optimizer.name] + bool(getattr(recipe.optimizer, "momentum", 0))


def _of_program(program: Program, recipe: Recipe) -> tuple[int, int]:
    """A sample's share is that of large batches, where the peak is in the backward pass."""
    width = 4 if recipe.precision == "fp32" else 2
    one, two = (
        training_memory(
            program, batch=n, slots=_slots(recipe), copies=bool(recipe.ema), width=width
        )
        for n in (512, 1024)
    )
    return one.fixed, (two.peak - one.peak) // 512


def _saved_bytes(module: nn.Module, input_shape: tuple[int, ...], recipe: Recipe) -> int:
    seen: dict[Any, int] = {}
    meta = copy.deepcopy(module).to("meta").train()
    parameters = {p.untyped_storage()._cdata for p in meta.parameters()}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in parameters:
            seen[storage._cdata] = storage.nbytes()
        kept.append(tensor)  # so that no storage is counted under a reused address
        return tensor

    kept: list[Tensor] = []
    batch = 2  # batch normalisation wants more than one
    x = torch.empty(batch, *input_shape, device="meta")
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        meta(x)
    total = sum(seen.values()) // batch
    return total if recipe.precision == "fp32" else total // 2


def fitting_batch(free: int, fixed: int, each: int) -> int:
    """The largest power of two of samples that fits into `free` bytes, with a fifth to spare."""
    samples = max(0, int(0.8 * free) - fixed) // max(1, each)
    return 1 << (samples.bit_length() - 1) if samples else 0
