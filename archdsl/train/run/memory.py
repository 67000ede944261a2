"""How much memory a training step needs, without running it: a spec's module by its program, any
other by a pass over tensors that hold no numbers."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from archdsl.ir.graph import Program
from archdsl.ir.memory import training_memory
from archdsl.train.engine.distributed import pick_device
from archdsl.train.engine.objective import autocast
from archdsl.train.recipe.schema import Recipe


def step_memory(module: nn.Module, input_shape: tuple[int, ...], recipe: Recipe) -> tuple[int, int]:
    """Bytes that weights, gradients and the optimizer take, and bytes that each sample of a batch
    adds. Work space of single operations comes on top."""
    program = getattr(module, "program", None)
    if program is not None:
        return _of_program(program, recipe)
    weights = sum(p.numel() * p.element_size() for p in module.parameters())
    copies = 2 + recipe.optimizer.held() + bool(recipe.ema)
    return weights * copies, _saved_bytes(module, input_shape, recipe)


def _of_program(program: Program, recipe: Recipe) -> tuple[int, int]:
    """A sample's share is that of large batches, where the peak is in the backward pass."""
    mixed = "" if recipe.precision == "fp32" else pick_device(recipe.device).type
    one, two = (
        training_memory(
            program, batch=n, slots=recipe.optimizer.held(), copies=bool(recipe.ema), mixed=mixed
        )
        for n in (512, 1024)
    )
    each = (two.peak - one.peak) // 512
    return max(one.fixed, one.peak - 512 * each), each


def _saved_bytes(module: nn.Module, input_shape: tuple[int, ...], recipe: Recipe) -> int:
    """Of one sample. Weights' own copies in half precision are among them: they count once."""
    from torch._subclasses import FakeTensorMode

    held = {batch: _kept(FakeTensorMode(), module, input_shape, recipe, batch) for batch in (2, 6)}
    return (held[6] - held[2]) // 4


def _kept(
    fake: Any, module: nn.Module, input_shape: tuple[int, ...], recipe: Recipe, batch: int
) -> int:
    """Bytes that a forward pass keeps for the backward pass, with tensors that hold nothing."""
    seen: dict[Any, int] = {}
    kept: list[Tensor] = []

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in parameters:
            seen[storage._cdata] = storage.nbytes()
        kept.append(tensor)  # so that no storage is counted under a reused address
        return tensor

    # not torch's meta device, on which autocast does nothing
    state = {
        name: fake.from_tensor(tensor)
        for name, tensor in (*module.named_parameters(), *module.named_buffers())
    }
    parameters = {tensor.untyped_storage()._cdata for tensor in state.values()}
    device = next((tensor.device for tensor in state.values()), torch.device("cpu"))
    before = module.training
    try:
        with fake, torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            x = torch.empty(batch, *input_shape, device=device)
            with autocast(recipe, device):
                functional_call(module.train(), state, x)
    finally:
        module.train(before)
    return sum(seen.values())


def fitting_batch(free: int, fixed: int, each: int) -> int:
    """The largest power of two of samples that fits into `free` bytes, with a fifth to spare."""
    samples = max(0, int(0.8 * free) - fixed) // max(1, each)
    return 1 << (samples.bit_length() - 1) if samples else 0


def memory_of(device: torch.device) -> int:
    """Bytes that there are for a training: the GPU's, or what this process may have of the
    machine's, by `ulimit -v` and the control groups of containers and clusters."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[1])
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(machine, *_address_space(), *_control_groups(Path("/")))


def _address_space() -> list[int]:
    """The room under `ulimit -v`, of which libraries take a part that they never use."""
    if sys.platform != "linux":
        return []
    import resource

    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    if most == resource.RLIM_INFINITY:
        return []
    mapped, used = map(int, Path("/proc/self/statm").read_text().split()[:2])
    return [max(0, most - (mapped - used) * os.sysconf("SC_PAGE_SIZE"))]


def _control_groups(root: Path) -> Iterator[int]:
    """The limits of this process's group and of those around it, in both versions."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, kinds, path = line.split(":", 2)
        name = "memory.limit_in_bytes" if kinds else "memory.max"
        if kinds and "memory" not in kinds.split(","):
            continue
        top = root / "sys/fs/cgroup" / ("memory" if kinds else "")
        own = top / path.lstrip("/")
        for folder in (own, *own.parents):
            with contextlib.suppress(OSError, ValueError):  # not there; "max"
                yield int((folder / name).read_text())
            if folder == top:
                break
