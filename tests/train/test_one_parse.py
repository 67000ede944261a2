"""A run reads its spec once: what was checked is what is trained and kept."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from archdsl import loading, pipeline
from archdsl.train import Override, evaluate, fit
from archdsl.train.model import Model
from archdsl.train.run.checkpoint import read_checkpoint
from archdsl.train.spec_files import SpecFiles
from tests.train.nets import RECIPE

SPECS = Path(__file__).parents[2] / "specs"
ONE_STEP = {**RECIPE, "max_steps": 1}


class Counts:
    def __init__(self) -> None:
        self.parsed: Counter[str] = Counter()
        self.elaborated: Counter[str] = Counter()


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counts:
    found = Counts()
    parse, elaborate = loading.parse, pipeline.elaborate

    def counted_parse(source: Any, *args: Any, **more: Any) -> Any:
        found.parsed[Path(source.name).name] += 1
        return parse(source, *args, **more)

    def counted_elaborate(model: Any, *args: Any, **more: Any) -> Any:
        found.elaborated[model.name] += 1
        return elaborate(model, *args, **more)

    monkeypatch.setattr(loading, "parse", counted_parse)
    monkeypatch.setattr(pipeline, "elaborate", counted_elaborate)
    monkeypatch.setattr(pipeline, "_results", {})
    loading.prelude()  # once for all specs
    found.parsed.clear()
    return found


def test_a_run_parses_and_elaborates_once(counts: Counts) -> None:
    one = [Override.parse("max_steps=1")]
    fit(SPECS / "lenet5.arch", overrides=one, out="run", quiet=True)
    assert counts.parsed == {"lenet5.arch": 1}
    assert counts.elaborated == {"lenet5": 1}


def test_fitting_elaborates_twice(counts: Counts) -> None:
    from archdsl.train.request import Request, settle

    settle(Request("resnet18", {"data": "digits"}, fit_spec=True, quiet=True)).model.build()
    assert counts.parsed == {"resnet18.arch": 1, "resnet50.arch": 1}
    assert counts.elaborated == {"resnet18": 2}


def test_a_run_holds_the_files_that_it_used(tmp_path: Path) -> None:
    """It is evaluated as it was, whatever has become of them; another process checks it again."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "nets").mkdir()
    (tmp_path / "lib/l.arch").write_text("block body(n) { flatten -> linear n -> relu }\n")
    spec = tmp_path / "nets/m.arch"
    spec.write_text('use "../lib/l.arch"\nmodel m { input 1x8x8; body 20; linear 10 }\n')
    fit(spec, ONE_STEP, out="run", quiet=True)
    saved = read_checkpoint(Path("run/last.pt"))["model_from"]
    assert set(saved["spec"]["files"]) == {"nets/m.arch", "lib/l.arch"}
    (tmp_path / "lib/l.arch").write_text("block body(n) { flatten -> linear 7 }\n")
    model = Model.from_plain(saved)
    for one in (model, pickle.loads(pickle.dumps(model))):
        assert one.build().state_dict()["0.1.weight"].shape == (20, 64)
    spec.unlink()
    assert evaluate("run").count == 200
    now = SpecFiles(**saved["spec"]).as_now()
    assert now is None
