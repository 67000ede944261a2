"""ONNX, torch.export and safetensors: what they hold is what the module computes."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archdsl
from archdsl.artefacts import ARTEFACTS, Request, write
from archdsl.ir.graph import Node, Program
from archdsl.pipeline import open_spec
from archdsl.runtime import export
from archdsl.runtime.export import ExportError
from tests.artefacts.specs import MIXED
from tests.artefacts.test_optimize import outputs, trained


def run_onnx(path: Path, program: Program, batches: list[Tensor]) -> list[tuple[Tensor, ...]]:
    """What onnxruntime computes, of any number of images."""
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    assert given.name == "input" and given.shape == ["batch", *program.input_shape]
    assert [o.name for o in session.get_outputs()] == [name for name, _ in program.outputs]
    runs = (session.run(None, {"input": x.numpy()}) for x in batches)
    return [tuple(map(torch.from_numpy, run)) for run in runs]


@pytest.mark.parametrize("spec", ["lenet5", MIXED])
def test_onnx(spec: str, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    module = trained(spec)
    weights = tmp_path / "weights.pt"
    torch.save(module.state_dict(), weights)
    path = tmp_path / "model.onnx"
    archdsl.export(spec, path, weights=weights, optimize=spec is MIXED)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.onnx", "weights.pt"]
    batches = [torch.randn(batch, *module.program.input_shape) for batch in (1, 3)]
    for x, found in zip(batches, run_onnx(path, module.program, batches), strict=True):
        for one, other in zip(found, outputs(module, x), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5 * other.abs().max().item())


def test_onnx_outputs_called_like_weights_and_operators(tmp_path: Path) -> None:
    """Outputs keep their names; a parameter may be one."""
    pytest.importorskip("onnx")
    spec = """model m { input 3x4x4; param w [1, 4] normal
        conv2d: conv 4 3x3 pad=1 -> relu: relu; view: gap -> flatten
        linear: linear 5; val_0: linear 6; output @conv2d @relu @view @linear @val_0 @w }"""
    module = archdsl.load(spec).eval()
    torch.save(module.state_dict(), tmp_path / "w.pt")
    archdsl.export(spec, tmp_path / "m.onnx", weights=tmp_path / "w.pt")
    x = torch.randn(3, 3, 4, 4)
    program = open_spec(spec).checked()
    for one, other in zip(run_onnx(tmp_path / "m.onnx", program, [x])[0], module(x), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_large_models_keep_their_weights_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    monkeypatch.setattr(export, "ONE_FILE", 1000)
    archdsl.export("lenet5", tmp_path / "a.onnx")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.onnx", "a.onnx.data"]
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx")
    assert session.get_outputs()[0].shape == ["batch", 10]


def test_onnx_is_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    with pytest.raises(ExportError, match=r'pip install "archdsl\[onnx\]"'):
        archdsl.export("lenet5", tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_pt2(tmp_path: Path) -> None:
    module = trained(MIXED)
    torch.save(module.state_dict(), tmp_path / "w.pt")
    archdsl.export(MIXED, tmp_path / "m.pt2", weights=tmp_path / "w.pt")
    files = {"spec.arch": ""}
    loaded = torch.export.load(tmp_path / "m.pt2", extra_files=files)
    assert "model mixed" in files["spec.arch"]
    for batch in (1, 4):
        x = torch.randn(batch, 3, 16, 16)
        for one, other in zip(outputs(loaded.module(), x), outputs(module, x), strict=False):
            torch.testing.assert_close(one, other)


def test_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    before = torch.get_rng_state()
    archdsl.export("resnet18", path, seed=3)
    assert torch.equal(before, torch.get_rng_state())
    first = path.read_bytes()
    archdsl.export("resnet18", path, seed=3)
    assert path.read_bytes() == first
    torch.manual_seed(3)
    wanted = archdsl.load("resnet18").state_dict()
    found = archdsl.load("resnet18", weights=path).state_dict()
    assert list(found) == list(wanted)
    assert all(torch.equal(found[key], wanted[key]) for key in wanted)


def test_nothing_is_written_where_something_fails(tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(b"not weights")
    for name in ("m.onnx", "m.pt2", "m.safetensors"):
        with pytest.raises(archdsl.runtime.weights.WeightsError):
            archdsl.export("lenet5", tmp_path / name, weights=tmp_path / "w.pt")
    with pytest.raises(archdsl.SpecError):
        archdsl.export("model a() { input 3x3; conv }", tmp_path / "m.svg")
    assert [p.name for p in tmp_path.iterdir()] == ["w.pt"]


@pytest.mark.slow
def test_every_source_passes_ruff(tmp_path: Path) -> None:
    """With ruff's own settings, the width of 88 among them; the spec's lines are as they are."""
    from archdsl.pipeline import shipped

    for spec in shipped():
        for optimize in (False, True):
            source = archdsl.compile(spec, optimize=optimize)
            (tmp_path / f"{spec}{'_optimized' * optimize}.py").write_text(source)
    for command in (["check"], ["format", "--diff"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", "--no-cache", str(tmp_path)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("form", ["onnx", "pt2"])
@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        ("Softmax", "3: FORMAT cannot say `softmax dim=0` on 4x12x12"),
        ("Concat", "4: FORMAT cannot say `concat { conv 2 1x1; identity }` on 2x12x12, 4x12x12"),
        ("", "1: FORMAT can say each step of `m`, but not all of them together"),
    ],
)
def test_what_a_format_cannot_say_is_one_error_at_its_step(
    form: str, lacking: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tmp_path / "m.arch"
    spec.write_text(
        "model m {\n  input 3x12x12; conv 4 1x1\n  part: { softmax dim=0 -> relu }\n"
        "  concat { conv 2 1x1; identity }\n}\n"
    )

    def fail(program: Program, module: nn.Module, path: Path, *_: Any) -> None:
        kinds = [type(i.op).__name__ for _, i in program.walk() if isinstance(i, Node)]
        if lacking in kinds or (program.name == "m" and not lacking):
            raise RuntimeError("words of torch's own\nmany lines")

    monkeypatch.setattr(export, f"_save_{form}", fail)
    with pytest.raises(ExportError) as caught:
        archdsl.export(spec, tmp_path / f"m.{form}")
    expected = said.replace("FORMAT", {"onnx": "ONNX", "pt2": "torch.export"}[form])
    assert str(caught.value).splitlines()[0] == f"{spec}:{expected}"
    assert "torch's own" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["m.arch"]


def test_onnx_says_what_it_is(tmp_path: Path) -> None:
    import onnx

    archdsl.export("lenet5", tmp_path / "m.onnx")
    model = onnx.load(tmp_path / "m.onnx")
    assert model.graph.name == "lenet5"
    entries = {entry.key: entry.value for entry in model.metadata_props}
    assert entries["archdsl"] == archdsl.__version__ and entries["model"] == "lenet5"


def test_onnx_of_a_run_knows_its_samples(tmp_path: Path) -> None:
    """The run's classes and normalisation, and the weights that it tested: the average's."""
    onnx = pytest.importorskip("onnx")
    spec = "model m { input 3x4x4; conv 2 1x1 -> gap -> flatten }"
    state = archdsl.load(spec).state_dict()
    average = {f"module.{name}": tensor + 1 for name, tensor in state.items()}
    run = {
        "format": 1,
        "classes": ["Kätzchen", "dog"],
        "fit": {"input_shape": [3, 4, 4], "mean": [0.5, 0.4, 0.3], "std": None},
        "model": state,
        "ema": {"n_averaged": torch.tensor(3), **average},
    }
    torch.save(run, tmp_path / "best.pt")
    archdsl.export(spec, tmp_path / "best.safetensors", weights=tmp_path / "best.pt")
    found = archdsl.load(spec, weights=tmp_path / "best.safetensors").state_dict()
    assert all(torch.equal(found[name], tensor + 1) for name, tensor in state.items())
    for weights in ("best.pt", "best.safetensors"):  # beside the one lies the other
        archdsl.export(spec, tmp_path / "m.onnx", weights=tmp_path / weights)
        entries = {e.key: e.value for e in onnx.load(tmp_path / "m.onnx").metadata_props}
        assert entries["classes"] == '["Kätzchen", "dog"]'
        assert json.loads(entries["mean"]) == [0.5, 0.4, 0.3] and "std" not in entries
        assert entries["model"] == "m"


@pytest.mark.parametrize("form", ["onnx", "pt2", "safetensors"])
def test_what_takes_seconds_is_told(form: str, tmp_path: Path) -> None:
    told: list[str] = []
    write(ARTEFACTS[form], open_spec("lenet5"), tmp_path / f"m.{form}", Request(say=told.append))
    assert told[0] == "building lenet5"
    assert ("translating it to ONNX" in told) == (form == "onnx")
    assert gc.isenabled()
