"""Weights from files: read them, see whether they fit, and only then use them."""

from __future__ import annotations

import math
import pickle
import re
import warnings
from collections.abc import Container, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archdsl.runtime.errors import WeightsError
from archdsl.text import shape_text

SHOWN = 5
#: what training scripts wrap a state_dict in
HOLDERS = ("state_dict", "model", "model_state_dict")
#: what data-parallel training and torch.compile put before each name
WRAPPERS = ("module.", "_orig_mod.")
COUNTER = "num_batches_tracked"
#: names in old files of torchvision's, and what they are now: DenseNet before 2018, ViT before 2022
OLD_NAMES = (
    (re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.(?=[12]\.)"), r"\1"),
    (re.compile(r"\bmlp\.linear_1\."), "mlp.0."),
    (re.compile(r"\bmlp\.linear_2\."), "mlp.3."),
)


def load_weights(module: nn.Module, path: str | Path | Mapping[str, Tensor]) -> None:
    """Load a `.pth`, `.pt` or `.safetensors` file (or what `read_weights` returned), strictly:
    every key must be there and no other, with the right shape. A module is never left half loaded.

    Raises `WeightsError`.
    """
    state = path if isinstance(path, Mapping) else read_weights(path)
    module.load_state_dict(_checked(module, state), strict=True)


def assign_weights(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Make the tensors the module's own, without a copy where that is possible; the result is as
    after `load_weights`. For a module on the meta device whose buffers are all in its state."""
    own = module.state_dict()
    ready = _checked(module, state)
    assign(module, {name: tensor.to(own[name].dtype) for name, tensor in ready.items()})


def assign(module: nn.Module, ready: Mapping[str, Tensor]) -> None:
    """What `load_state_dict(assign=True)` does with a state that fits, in a third of its time for
    ResNet-50, and in proportion to the parts: torch sorts all names anew for each of them."""
    seen: set[int] = set()
    for prefix, part in module.named_modules():
        for members in (part._parameters, part._buffers):
            for name, own in members.items():
                if own is None:
                    continue
                tensor = ready[f"{prefix}.{name}" if prefix else name].detach().contiguous()
                if tensor.numel() and tensor.data_ptr() in seen:
                    tensor = tensor.clone()  # tied in the file, but not in the module
                seen.add(tensor.data_ptr())
                learned = isinstance(own, nn.Parameter)
                members[name] = nn.Parameter(tensor, own.requires_grad) if learned else tensor


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The state_dict in a file, on the CPU, mapped into memory where the format allows."""
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such file")
    content = _safetensors(path) if path.suffix == ".safetensors" else _pickled(path)
    state = _unwrap(content)
    if state is None:
        raise WeightsError(
            f"{path}: holds no state_dict (names with tensors), nor one under "
            + " or ".join(f'"{holder}"' for holder in HOLDERS)
        )
    return state


def trained_on(path: str | Path) -> dict[str, object]:
    """What a checkpoint of `archdsl train`, or the one beside the best weights of a run, knows of
    its samples: the names of the classes, the mean and deviation that normalise each channel."""
    path = Path(path)
    path = path.with_suffix(".pt") if path.suffix == ".safetensors" else path
    content = _pickled(path) if path.is_file() else None
    if not isinstance(content, Mapping) or not isinstance(content.get("fit"), Mapping):
        return {}
    known = {"classes": content.get("classes"), "mean": None, "std": None, **content["fit"]}
    return {key: known[key] for key in ("classes", "mean", "std") if known[key]}


def _safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path}: not a readable safetensors file ({error})") from error


def _pickled(path: Path) -> Any:
    try:
        try:
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError as error:
            if "mmap can only be used" not in str(error):
                raise
            return torch.load(path, map_location="cpu", weights_only=True)  # torch before 1.6
    except pickle.UnpicklingError as error:
        if "Weights only load failed" in str(error) and "Unsupported" in str(error):
            raise WeightsError(
                f"{path}: holds Python objects besides tensors, which are not loaded, for they can "
                "run code; save `model.state_dict()` instead"
            ) from error
        raise WeightsError(f"{path}: damaged, or not a file of weights") from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, TypeError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise WeightsError(f"{path}: damaged, or not a file of weights ({first})") from error


def _unwrap(content: Any) -> dict[str, Tensor] | None:
    if not isinstance(content, Mapping):
        return None
    if content and all(isinstance(v, Tensor) for v in content.values()):
        return dict(content) if all(isinstance(k, str) for k in content) else None
    if isinstance(average := content.get("ema"), Mapping):  # a run's, which is what was tested
        return _unwrap({k[7:]: v for k, v in average.items() if k.startswith("module.")})
    for holder in HOLDERS:
        if isinstance(content.get(holder), Mapping):
            return _unwrap(content[holder])
    return {} if not content else None


# ---- does it fit? --------------------------------------------------------------------------------


def renamed(state: Mapping[str, Tensor], own: Container[str]) -> dict[str, Tensor]:
    """The state with the old names brought up to date, where the model has the new ones."""
    ready: dict[str, Tensor] = {}
    for name, tensor in state.items():
        new = name
        if name not in own:
            for old, now in OLD_NAMES:
                new = old.sub(now, new)
        ready[new if new in own and new not in state else name] = tensor
    return ready


def _checked(module: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state to load, complete and in the module's order; raises where it does not fit."""
    own = module.state_dict()
    ready = renamed(_unwrapped(state, own), own)
    for name in own:
        if name.rpartition(".")[2] == COUNTER:
            # files of torch before 0.4.1 do not count batches; BatchNorm then starts at 0
            ready.setdefault(name, torch.zeros((), dtype=torch.long))
    missing = [name for name in own if name not in ready]
    unexpected = [name for name in ready if name not in own]
    problems: list[str] = []
    if missing:
        problems.append(_listed("missing from the file", missing, unexpected))
    if unexpected:
        problems.append(_listed("not in the model", unexpected, missing))
    if hint := _prefix(missing, unexpected):
        problems.append(hint)
    wrong = [
        f"{name}: {shape_text(ready[name].shape)} in the file, "
        f"{shape_text(tensor.shape)} in the model"
        for name, tensor in own.items()
        if name in ready and ready[name].shape != tensor.shape
    ]
    if wrong:
        problems.append(_lines(f"{_count(wrong)} of another shape", wrong))
    odd = [
        f"{name}: {kind}"
        for name, tensor in own.items()
        if name in ready and (kind := _odd(ready[name], tensor))
    ]
    if odd:
        problems.append(_lines(f"{_count(odd)} that cannot be weights", odd))
    if problems:
        raise WeightsError("the weights do not fit the model\n" + "\n".join(problems))
    lost = [name for name in own if not math.isfinite(ready[name].sum())]
    if lost:
        warnings.warn(f"{_count(lost)} of the weights are not finite: {lost[0]}, ...", stacklevel=4)
    return {name: ready[name] for name in own}


def _unwrapped(state: Mapping[str, Tensor], own: Container[str]) -> Mapping[str, Tensor]:
    """The state without what data-parallel training and torch.compile put before each name."""
    gone = ""
    for prefix in WRAPPERS * 2:
        if state and all(name.startswith(prefix) and name not in own for name in state):
            state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
            gone += prefix
    if gone:
        warnings.warn(
            f'the names of the weights begin with "{gone}", which is left out', stacklevel=5
        )
    return state


def _odd(tensor: Tensor, own: Tensor) -> str:
    """What keeps a tensor from being a weight: an empty text where nothing does."""
    if tensor.is_meta:
        return "a meta tensor, which holds no values"
    if tensor.is_quantized:
        return "quantised: save it after `dequantize()`"
    if tensor.layout != torch.strided:
        return "sparse: save it after `to_dense()`"
    if tensor.is_complex() and not own.is_complex():
        return "complex: its imaginary part would be lost"
    return ""


def _listed(what: str, names: list[str], others: list[str]) -> str:
    rows = []
    for name in names[:SHOWN]:
        near = get_close_matches(name, others, 1, 0.8) if len(others) < 2000 else []
        rows.append(f"{name} (did you mean {near[0]}?)" if near else name)
    return _lines(f"{_count(names)} {what}", rows + names[SHOWN:])


def _lines(title: str, rows: list[str]) -> str:
    more = [f"... and {len(rows) - SHOWN} more"] if len(rows) > SHOWN else []
    return "\n".join([f"{title}:", *(f"  {row}" for row in [*rows[:SHOWN], *more])])


def _count(names: list[str]) -> str:
    return f"{len(names)} {'entry' if len(names) == 1 else 'entries'}"


def _prefix(missing: list[str], unexpected: list[str]) -> str | None:
    """Whether all names differ by what a wrapper put in front."""
    for prefix in (*WRAPPERS, "model."):
        if unexpected and all(name.startswith(prefix) for name in unexpected):
            stripped = {name.removeprefix(prefix) for name in unexpected}
            if stripped.intersection(missing):
                return f'help: the names in the file begin with "{prefix}", of a wrapper: remove it'
    return None
