"""Weights from files, and what is said about files that do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from archdsl.runtime.module import WeightsError, build, load_weights
from tests.emit import building


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return build(building.small()).state_dict()


def _equal(module: nn.Module, state: dict[str, torch.Tensor]) -> bool:
    own = module.state_dict()
    return list(own) == list(state) and all(
        torch.equal(own[k], v.to(own[k].dtype)) and own[k].is_contiguous() for k, v in state.items()
    )


@pytest.mark.parametrize("form", ["pth", "safetensors", "holder", "model", "legacy", "pt"])
def test_every_form(form: str, state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = tmp_path / {"safetensors": "w.safetensors", "pt": "w.pt"}.get(form, "w.pth")
    if form == "safetensors":
        save_file(state, path)
    elif form == "legacy":
        torch.save(state, path, _use_new_zipfile_serialization=False)
    else:
        holder = {"holder": {"state_dict": state, "epoch": 3}, "model": {"model": state}}
        torch.save(holder.get(form, state), path)
    module = build(building.small())
    load_weights(module, path)
    assert _equal(module, state)
    before = torch.get_rng_state()
    fast = build(building.small(), weights=path)
    assert torch.equal(torch.get_rng_state(), before)
    assert _equal(fast, state)
    x = torch.rand(2, 3, 16, 16)
    assert torch.equal(fast.eval()(x), module.eval()(x))
    assert all(isinstance(p, nn.Parameter) and p.requires_grad for p in fast.parameters())
    assert fast.training is False and build(building.small(), weights=path).training
    data = path.read_bytes()
    fast.train()(x).sum().backward()
    torch.optim.SGD(fast.parameters(), 0.1).step()
    assert path.read_bytes() == data  # mapped, but never written


def test_other_types_layouts_and_ties(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    odd: dict[str, Any] = {}
    for key, value in state.items():
        half = value.half() if value.is_floating_point() else value
        odd[key] = half.to(memory_format=torch.channels_last) if half.dim() == 4 else half
    odd["block1.bn.running_var"] = odd["block1.bn.weight"] = odd["block1.bn.running_var"] + 1
    odd = {k: nn.Parameter(v) if k.endswith("bias") else v for k, v in odd.items()}
    torch.save(odd, tmp_path / "w.pth")
    slow, fast = build(building.small()), build(building.small(), weights=tmp_path / "w.pth")
    load_weights(slow, tmp_path / "w.pth")
    assert _equal(fast, slow.state_dict())
    assert all(p.dtype == torch.float32 for p in fast.parameters())
    with torch.no_grad():
        fast.block1.bn.weight.zero_()  # type: ignore[union-attr]
    assert fast.block1.bn.running_var.min() == 2  # type: ignore[union-attr]


def test_old_files_without_counters(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    old = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "w.pth")
    module = build(building.small())
    load_weights(module, tmp_path / "w.pth")
    assert _equal(module, state)
    assert _equal(build(building.small(), weights=tmp_path / "w.pth"), state)


def test_buffers_that_no_file_holds(tmp_path: Path) -> None:
    """They are computed: the fast path would leave them empty."""
    program = building.with_hidden_buffer()
    reference = build(program)
    torch.save(reference.state_dict(), tmp_path / "w.pth")
    module = build(program, weights=tmp_path / "w.pth")
    x = torch.rand(2, 3)
    assert torch.equal(module(x), reference(x))


def _refused(state: dict[str, Any], path: Path, *words: str) -> None:
    torch.save(state, path)
    module = build(building.small())
    before = {k: v.clone() for k, v in module.state_dict().items()}
    for use in (lambda: load_weights(module, path), lambda: build(building.small(), weights=path)):
        with pytest.raises(WeightsError) as caught:
            use()
        for word in words:
            assert word in str(caught.value)
    assert _equal(module, before)


def test_what_does_not_fit(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    missing = {k: v for k, v in state.items() if k != "head.bias"}
    _refused(missing, path, "1 entry missing from the file", "head.bias")
    renamed = {("heed.bias" if k == "head.bias" else k): v for k, v in state.items()}
    _refused(renamed, path, "head.bias (did you mean heed.bias?)", "1 entry not in the model")
    wrong = {**state, "head.weight": torch.zeros(7, 3)}
    _refused(wrong, path, "head.weight: 7x3 in the file, 4x8 in the model")
    many = {**state, **{f"extra{i}": torch.zeros(1) for i in range(8)}}
    _refused(many, path, "8 entries not in the model", "... and 3 more")
    wrapped = {f"model.{k}": v for k, v in state.items()}
    _refused(wrapped, path, 'begin with "model."')
    _refused({"epoch": 3}, path, "holds no state_dict")
    _refused({}, path, "missing from the file")


def test_files_that_cannot_be_read(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    module = build(building.small())
    torch.save(state, tmp_path / "whole.pth")
    data = (tmp_path / "whole.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.pth").write_text("hello")
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "bad.safetensors").write_bytes(b"\x10\0\0\0")
    torch.save(module, tmp_path / "model.pth")
    (tmp_path / "folder.pth").mkdir()
    for name, word in {
        "none.pth": "no such file",
        "folder.pth": "no such file",
        "cut.pth": "damaged",
        "text.pth": "damaged",
        "empty.pt": "damaged",
        "bad.safetensors": "not a readable safetensors file",
        "model.pth": "run code",
    }.items():
        with pytest.raises(WeightsError, match=word):
            load_weights(module, tmp_path / name)
        with pytest.raises(WeightsError, match=name):
            build(building.small(), weights=tmp_path / name)
