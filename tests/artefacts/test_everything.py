"""Every artefact of every shipped spec, made as a user makes it and checked: minutes and gigabytes.

python -m pytest tests/artefacts/test_everything.py -m slow
"""

from __future__ import annotations

import csv
import gc
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from torch import Tensor, nn

import archdsl
from archdsl.artefacts import ARTEFACTS
from archdsl.ir.graph import Program
from archdsl.ir.read import read_ir
from archdsl.ir.show import as_document
from archdsl.pipeline import open_spec, shipped
from tests.artefacts.test_exports import run_onnx
from tests.artefacts.test_optimize import outputs, trained

#: one image is enough for larger ones (multiply-accumulates)
HEAVY = 2**35


@pytest.mark.slow
@pytest.mark.parametrize("name", shipped())
def test_texts_and_pictures(name: str, tmp_path: Path) -> None:
    program = open_spec(name).checked()
    for ending, check in TEXTS.items():
        path = tmp_path / f"artefact{ending}"
        archdsl.export(name, path, "tree" if ending == ".tree" else None)
        check(program, path)


@pytest.mark.slow
@pytest.mark.parametrize("name", shipped())
def test_models(name: str, tmp_path: Path) -> None:
    """With the same weights, every file computes what the module does."""
    program = open_spec(name).checked()
    weights = tmp_path / "weights.pt"
    module = trained(name)
    torch.save(module.state_dict(), weights)
    batches = [torch.randn(n, *program.input_shape) for n in ((1, 3) if _light(program) else (1,))]
    expected = [outputs(module, x) for x in batches]
    del module
    for ending, run in MODELS.items():
        gc.collect()
        path = tmp_path / f"model{ending}"
        archdsl.export(name, path, weights=weights)
        for found, wanted in zip(run(path, name, batches), expected, strict=True):
            _close(found, wanted)
        for made in tmp_path.glob("model*"):
            made.unlink()
    better = archdsl.load(name, weights, optimize=True)
    for x, wanted in zip(batches, expected, strict=True):
        _close(outputs(better, x), wanted, rtol=1e-5)


def test_nothing_is_left_out() -> None:
    made = {a.name for a in ARTEFACTS.values() if {*a.suffixes} & {*TEXTS, *MODELS}}
    assert made | {"tree"} == set(ARTEFACTS)


def _light(program: Program) -> bool:
    return program.macs < HEAVY


def _close(found: tuple[Tensor, ...], wanted: tuple[Tensor, ...], rtol: float = 1e-4) -> None:
    for one, other in zip(found, wanted, strict=True):
        atol = 1e-5 * other.abs().max().item()
        torch.testing.assert_close(one, other, rtol=rtol, atol=atol)


# ---- texts and pictures --------------------------------------------------------------------------


def _python(program: Program, path: Path) -> None:
    space: dict[str, object] = {"__name__": "standalone"}
    exec(compile(path.read_text(), path, "exec"), space)
    model = [v for v in space.values() if isinstance(v, type) and issubclass(v, nn.Module)][-1]
    with torch.device("meta"):
        module = model()
        state = {key: tuple(t.shape) for key, t in module.state_dict().items()}
        assert state == {key: weight.shape for key, weight in program.state()}
        (out,) = outputs(module.eval(), torch.empty(2, *program.input_shape))
    assert tuple(out.shape) == (2, *program.output_shapes["output"])


def _ir(program: Program, path: Path) -> None:
    assert as_document(read_ir(path.read_text())) == as_document(program)


def _costs(program: Program, path: Path) -> None:
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert sum(int(row["params"]) for row in rows) == program.params
    assert sum(int(r["macs"]) for r in rows if r["training_only"] == "False") == program.macs


def _tree(program: Program, path: Path) -> None:
    assert program.name in path.read_text()


def _svg(program: Program, path: Path) -> None:
    texts = [node.text for node in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")]
    assert program.name in texts


def _png(program: Program, path: Path) -> None:
    from matplotlib.image import imread

    assert imread(path).std() > 0.01


def _mermaid(program: Program, path: Path) -> None:
    lines = path.read_text().splitlines()
    nodes = {m[1] for line in lines if (m := re.match(r"\s+([ng]\d+)[\[(]", line))}
    links = [m for line in lines if (m := re.match(r"\s+(n\d+) \S+\|\"[^\"]*\"\| (n\d+)$", line))]
    assert links and {end for link in links for end in link.groups()} == nodes
    assert sum("subgraph" in line for line in lines) == sum(line.strip() == "end" for line in lines)


def _dot(program: Program, path: Path) -> None:
    text = path.read_text()
    nodes = set(re.findall(r"^\s+(n\d+) \[", text, re.M))
    links = re.findall(r"^\s+(n\d+) -> (n\d+) ", text, re.M)
    assert links and {end for link in links for end in link} == nodes
    assert text.count("{") == text.count("}")


TEXTS: dict[str, Callable[[Program, Path], None]] = {
    ".py": _python,
    ".yaml": _ir,
    ".json": _ir,
    ".csv": _costs,
    ".tree": _tree,
    ".svg": _svg,
    ".png": _png,
    ".mmd": _mermaid,
    ".dot": _dot,
}


# ---- models --------------------------------------------------------------------------------------


def _pt2(path: Path, name: str, batches: list[Tensor]) -> list[tuple[Tensor, ...]]:
    module = torch.export.load(path).module()
    return [outputs(module, x) for x in batches]


def _safetensors(path: Path, name: str, batches: list[Tensor]) -> list[tuple[Tensor, ...]]:
    module = archdsl.load(name, path).eval()
    return [outputs(module, x) for x in batches]


def _onnx(path: Path, name: str, batches: list[Tensor]) -> list[tuple[Tensor, ...]]:
    return run_onnx(path, open_spec(name).checked(), batches)


MODELS: dict[str, Callable[[Path, str, list[Tensor]], list[tuple[Tensor, ...]]]] = {
    ".pt2": _pt2,
    ".safetensors": _safetensors,
    ".onnx": _onnx,
}
