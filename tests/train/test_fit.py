"""Training itself: it learns, it measures exactly, it stops where it must, it says what it did."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn import functional as F

from archdsl.api import load
from archdsl.train import evaluate, fit, predict, read_recipe
from archdsl.train.data.batches import Batches
from archdsl.train.data.load import load_data
from archdsl.train.data.sources import Wanted, open_source
from archdsl.train.engine.distributed import Ranks
from archdsl.train.engine.measure import measure
from archdsl.train.engine.objective import Objective, make_optimizer
from archdsl.train.errors import TrainError
from archdsl.train.request import Request, settle
from tests.train.nets import RECIPE, SPEC, same, small_net, weights

SPECS = Path(__file__).parents[2] / "specs"


def test_lenet_on_digits_learns_over_95_percent(tmp_path: Path) -> None:
    """The first command that a user types, with fewer epochs."""
    from archdsl.train import Override

    result = fit(
        SPECS / "lenet5.arch",
        overrides=[Override.parse("epochs=5")],
        out=tmp_path / "r",
        quiet=True,
    )
    assert result.best is not None and (result.best["test_accuracy"] or 0) > 0.95
    names = {path.name for path in (tmp_path / "r").iterdir()}
    assert {"spec.arch", "curves.png", "confusion.png", "predictions.png"} <= names
    assert (tmp_path / "r/spec.arch").read_text() == (SPECS / "lenet5.arch").read_text()
    log = (tmp_path / "r/log.txt").read_text()
    assert f"archdsl eval {tmp_path}/r\n" in log
    assert f"lenet5.arch --weights {tmp_path}/r/best.safetensors -o lenet5.pt2" in log
    tested = evaluate(tmp_path / "r")
    assert tested.top1 == result.best["test_accuracy"]
    assert tested.loss == pytest.approx(result.best["test_loss"])


def test_losses_are_those_of_the_plain_loop(tmp_path: Path) -> None:
    """The lecture's loop over the same batches gives the same losses, to the last bit."""
    recipe = read_recipe({**RECIPE, "epochs": 2, "optimizer": {"lr": 0.1}, "scheduler": "constant"})
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    mine = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    mine.load_state_dict(net.state_dict())
    result = fit(net, recipe, input=(1, 8, 8), out=tmp_path / "r", quiet=True)
    source = open_source(recipe.data, Wanted((1, 8, 8), 10, "cross_entropy"))
    batches = Batches(load_data(source, recipe, (1, 8, 8)), recipe, torch.device("cpu"))
    optimizer = torch.optim.SGD(mine.parameters(), lr=0.1)
    for epoch in range(2):
        total = 0.0
        for x, y, _ in batches.train(epoch):
            loss = F.cross_entropy(mine(x), y)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.item() * len(x)
        assert result.history[epoch]["train_loss"] == total / 200
    assert same(mine.state_dict(), net.state_dict())


@pytest.mark.parametrize("pieces", [2, 3])
def test_pieces_make_the_same_step(pieces: int, tmp_path: Path) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    start = {name: one.clone() for name, one in net.state_dict().items()}
    whole = fit(net, {**RECIPE, "epochs": 1}, input=(1, 8, 8), out=tmp_path / "a", quiet=True)
    net.load_state_dict(start)
    recipe = {**RECIPE, "epochs": 1, "grad_accum": pieces}
    parts = fit(net, recipe, input=(1, 8, 8), out=tmp_path / "b", quiet=True)
    assert parts.history[0]["train_loss"] == pytest.approx(whole.history[0]["train_loss"], rel=1e-6)
    a, b = weights(tmp_path / "a/last.pt"), weights(tmp_path / "b/last.pt")
    assert all(torch.allclose(a[name], b[name], atol=1e-6) for name in a)


def test_no_piece_has_one_sample(tmp_path: Path) -> None:
    """Batches of 7 in 4 pieces, and a last one of 4: batch normalisation cannot work on one."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.BatchNorm1d(10))
    recipe = {**RECIPE, "batch_size": 7, "grad_accum": 4, "epochs": 1}
    result = fit(net, recipe, input=(1, 8, 8), out=tmp_path / "r", quiet=True)
    assert result.step == 29  # 200 samples


@pytest.mark.parametrize("size", [1, 7, 359, 1000])
def test_evaluation_does_not_depend_on_the_batch_size(size: int) -> None:
    recipe = read_recipe({"eval_batch_size": size})
    source = open_source(recipe.data, Wanted((1, 8, 8), 10, "cross_entropy"))
    data = load_data(source, recipe, (1, 8, 8))
    net = small_net().eval()
    batches = Batches(data, recipe, torch.device("cpu"))
    here = torch.device("cpu")
    meter, ranks = data.task.meter(here), Ranks(0, 1, here)
    found = measure(net, batches.test(), Objective(recipe), meter, ranks)
    assert data.test.held is not None
    x, y = batches.batch.plain(data.test.held), data.test.samples.y
    with torch.no_grad():
        out = net(x)
    assert found.count == 359 and found.top1 == float((out.argmax(1) == y).float().sum()) / 359
    assert found.loss == pytest.approx(float(F.cross_entropy(out, y)), rel=1e-5)
    assert found.top5 == sum(int(y[i] in out[i].topk(5).indices) for i in range(359)) / 359
    assert sum(map(sum, found.confusion)) == 359


def test_nan_stops_with_step_and_advice(tmp_path: Path, raises: Any) -> None:
    recipe = {**RECIPE, "optimizer": {"name": "sgd", "lr": 1e30}, "scheduler": "constant"}
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Linear(8, 10))
    text = raises(fit, net, recipe, input=(1, 8, 8), out=tmp_path / "r")
    assert "the loss is nan at step 1\n" in text
    assert "--lr 1e+29" in text and "clip_grad=1" in text


def test_nan_after_a_good_epoch_names_the_good_checkpoint(tmp_path: Path, raises: Any) -> None:
    class Breaks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.calls = small_net(), 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += self.training
            out: torch.Tensor = self.inner(x)
            return out * float("nan") if self.calls == 20 else out

    text = raises(fit, Breaks(), RECIPE, input=(1, 8, 8), out=tmp_path / "r")
    assert "the loss is nan at step 19" in text
    assert f"{tmp_path}/r/last.pt is from before" in text
    assert torch.load(tmp_path / "r/last.pt", weights_only=True)["step"] == 13


def test_out_of_memory_says_what_would_fit(tmp_path: Path, raises: Any) -> None:
    class Greedy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = small_net()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if not isinstance(x, FakeTensor):  # of the estimate
                raise torch.OutOfMemoryError("no more")
            out: torch.Tensor = self.inner(x)
            return out

    text = raises(fit, Greedy(), RECIPE, input=(1, 8, 8), out=tmp_path / "r")
    assert "out of memory with batches of 16" in text
    assert "grad_accum=2" in text and "--batch-size" in text and "should fit" in text


def test_memory_estimate_is_what_autograd_keeps() -> None:
    from archdsl.train.run.memory import fitting_batch, step_memory

    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    fixed, each = step_memory(net, (1, 8, 8), read_recipe({"optimizer": "adam"}))
    count = 64 * 32 + 32 + 32 * 10 + 10
    assert fixed == 4 * 4 * count  # weights, gradients, two moments
    assert each == 4 * (64 + 32)  # the inputs of both layers; ReLU keeps its output, the second one
    assert fitting_batch(10_000, 2_000, 100) == 32


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_module_is_estimated_as_its_spec_is(precision: str) -> None:
    """One by a pass over tensors without numbers, the other by the program."""
    from archdsl.train.run.memory import step_memory

    recipe = read_recipe({"precision": precision})
    module = load("resnet18")
    spec = step_memory(module, (3, 224, 224), recipe)[1]
    plain = step_memory(nn.Sequential(module), (3, 224, 224), recipe)[1]
    assert plain == pytest.approx(spec, rel=0.02)


def test_memory_is_what_this_process_may_have(tmp_path: Path) -> None:
    from archdsl.train.run.memory import _control_groups

    (tmp_path / "proc/self").mkdir(parents=True)
    groups = tmp_path / "proc/self/cgroup"
    groups.write_text("0::/job/step\n")
    folder = tmp_path / "sys/fs/cgroup/job/step"
    folder.mkdir(parents=True)
    (folder / "memory.max").write_text("max\n")
    (folder.parent / "memory.max").write_text("1000\n")
    assert list(_control_groups(tmp_path)) == [1000]
    groups.write_text("5:cpu:/x\n3:memory,hugetlb:/y\n")
    (tmp_path / "sys/fs/cgroup/memory/y").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/memory/y/memory.limit_in_bytes").write_text("77\n")
    assert list(_control_groups(tmp_path)) == [77]
    groups.unlink()
    assert list(_control_groups(tmp_path)) == []


def test_memory_is_what_ulimit_leaves() -> None:
    code = (
        "import resource, torch; from archdsl.train.run.memory import memory_of; "
        "free = memory_of(torch.device('cpu')); resource.setrlimit(resource.RLIMIT_AS, (9 << 30, "
        "9 << 30)); print(memory_of(torch.device('cpu')) < min(free, 9 << 30))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.stdout == "True\n", ran.stderr


def test_a_lost_worker_says_what_helps(
    tmp_path: Path, raises: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from archdsl.train.engine.trainer import Trainer

    def lose(*_: Any) -> None:
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error.")

    monkeypatch.setattr(Trainer, "step", lose)
    text = raises(fit, small_net(), RECIPE, input=(1, 8, 8), out=tmp_path / "r")
    assert "killed by signal: Bus error" in text and "--shm-size" in text and "--workers 0" in text


def test_linear_regression_is_recovered_and_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lecture's: w = 1, 2, 3, b = 5, 100 points, SGD 0.1, 100 steps of all the points."""
    spec = tmp_path / "line.arch"
    spec.write_text("model line {\n  input 3\n  linear 1\n}\n")
    recipe = {
        "data": {"name": "tests.train.nets:line"}, "loss": "mse", "epochs": 100, "eval_every": 50,
        "batch_size": "full", "optimizer": {"name": "sgd", "lr": 0.1}, "plots": False,
    }  # fmt: skip
    result = fit(spec, recipe, out=tmp_path / "r")
    assert result.step == 100 and len(result.history) == 100
    assert result.module is not None
    weight, bias = (p.detach() for p in result.module.parameters())
    assert torch.allclose(weight, torch.tensor([[1.0, 2.0, 3.0]]), atol=1e-3)
    assert torch.allclose(bias, torch.tensor([5.0]), atol=1e-3)
    text = capsys.readouterr().out
    assert "learned parameters" in text and "bias = 5" in text and "acc" not in text
    (tmp_path / "x.csv").write_text("a,b,c\n1,1,1\n0,0,0\n")
    ones, zeros = predict(tmp_path / "r", [tmp_path / "x.csv"])
    assert ones.top[0][1] == pytest.approx(11, abs=1e-2)
    assert zeros.top[0][1] == pytest.approx(5, abs=1e-2)


@pytest.mark.parametrize(("loss", "last"), [("bce", " -> sigmoid"), ("bce_with_logits", "")])
def test_logistic_regression_on_two_kinds_of_iris(loss: str, last: str, tmp_path: Path) -> None:
    spec = tmp_path / "logistic.arch"
    spec.write_text(f"model logistic {{\n  input 4\n  linear 1{last}\n}}\n")
    recipe = {
        "data": {"name": "iris", "classes": ["setosa", "versicolor"], "val_fraction": 0},
        "loss": loss, "epochs": 100, "eval_every": 100, "batch_size": "full",
        "optimizer": {"lr": 0.1}, "plots": False,
    }  # fmt: skip
    result = fit(spec, recipe, out=tmp_path / "r", quiet=True)
    assert result.best is not None and result.best["test_accuracy"] == 1.0
    assert evaluate(tmp_path / "r").per_class == {"setosa": 1.0, "versicolor": 1.0}
    (tmp_path / "x.csv").write_text("5.1,3.5,1.4,0.2\n")
    assert predict(tmp_path / "r", [tmp_path / "x.csv"])[0].top[0][0] == "setosa"


def test_train_only_outputs_are_weighted_in() -> None:
    recipe = read_recipe({"aux_weight": 0.5})
    a, b, y = torch.randn(4, 3), torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    loss, main = Objective(recipe)((a, b), y)
    assert torch.allclose(loss, F.cross_entropy(a, y) + 0.5 * F.cross_entropy(b, y))
    assert torch.equal(main, a)


def test_weight_decay_may_spare_norm_and_bias() -> None:
    plan = {"optimizer": {"weight_decay": 0.1, "decay_norm_and_bias": False}}
    net = small_net()
    groups = make_optimizer(net, read_recipe(plan)).param_groups
    spared = {id(p) for group in groups if group["weight_decay"] == 0 for p in group["params"]}
    expected = {name for name, p in net.named_parameters() if id(p) in spared}
    assert expected == {"1.weight", "1.bias", "6.bias"}


def test_early_stop(tmp_path: Path) -> None:
    recipe = {**RECIPE, "epochs": 50, "early_stop": {"patience": 2}, "scheduler": "constant"}
    recipe["optimizer"] = {"lr": 1e-20}  # nothing improves
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    result = fit(net, recipe, input=(1, 8, 8), out=tmp_path / "r", quiet=True)
    assert len(result.history) == 3
    assert "stopped early: 2 tests without improvement" in (tmp_path / "r/log.txt").read_text()


def test_the_average_is_what_is_tested_and_kept(tmp_path: Path) -> None:
    from archdsl.train.run.checkpoint import read_weights

    recipe = {**RECIPE, "ema": {"decay": 0.99}}
    result = fit(small_net(), recipe, input=(1, 8, 8), out=tmp_path / "r", quiet=True)
    average = read_weights(tmp_path / "r/best.pt")
    last = weights(tmp_path / "r/best.pt")
    assert not same(last, average)
    assert not torch.equal(last["1.running_mean"], average["1.running_mean"])  # buffers too
    assert result.best is not None
    assert evaluate(tmp_path / "r", module=small_net()).top1 == result.best["test_accuracy"]


def test_predict_names_classes(tmp_path: Path, raises: Any) -> None:
    from PIL import Image
    from typer.testing import CliRunner

    from archdsl.cli.app import app

    spec = tmp_path / "tiny.arch"
    spec.write_text(SPEC)
    result = fit(spec, {**RECIPE, "data": "digits", "epochs": 4}, out=tmp_path / "r", quiet=True)
    source = open_source(read_recipe(None).data, Wanted((1, 8, 8), 10, "cross_entropy"))
    folder = tmp_path / "images"
    folder.mkdir()
    for n in range(20):
        Image.fromarray(source.train.read(n)[0].numpy()).save(
            folder / f"{n:02}-{source.train.y[n]}.png"
        )
    found = predict(result.run or "", [folder], top=3)
    assert [Path(one.source).name for one in found] == sorted(p.name for p in folder.iterdir())
    right = [one.top[0][0] == one.source[-5] for one in found]
    assert sum(right) >= 15
    assert all(len(one.top) == 3 and one.top[0][1] >= one.top[1][1] for one in found)
    (folder / "bad.png").write_text("no image")
    again = predict(result.run or "", [folder], top=3)  # the others still have their answers
    assert [one for one in again if not one.problem] == found
    assert "bad.png: not an image" in str(again[-1])
    (folder / "a\x1b[31m\n::error.png").write_text("no image")
    ran = CliRunner().invoke(app, ["predict", str(result.run), str(folder)])
    assert ran.exit_code == 1 and ran.stdout.count("\n") == 20
    assert "a\\x1b[31m\\n::error.png: not an image" in ran.stderr and "bad.png" in ran.stderr
    assert "no such file" in raises(predict, result.run, [tmp_path / "none.png"])


def test_a_module_runs_without_a_spec_but_its_run_says_so(tmp_path: Path, raises: Any) -> None:
    fit(small_net(), {**RECIPE, "epochs": 1}, input=(1, 8, 8), out=tmp_path / "r", quiet=True)
    assert "was a Python module, not a spec" in raises(evaluate, tmp_path / "r")
    assert evaluate(tmp_path / "r", module=small_net()).count == 200


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["train", "tiny.arch", "--out", "r", "--max-steps", "1"], 0, "archdsl eval r"),
        (["train", "tiny.arch", "--dry-run", "--batch-size", "8"], 0, "steps   180 an epoch"),
        (["train", "tiny.arch", "--device", "cuda:7"], 1, "device cuda:7: this machine has"),
        (["train", "none.arch"], 1, "none.arch"),
        (["train"], 2, "give a SPEC to train, or --resume RUN"),
        (["train", "tiny.arch", "--set", "epochz=1"], 1, "did you mean epochs?"),
        (["train", "tiny.arch", "--optimizer", "adamm"], 1, "did you mean adam?"),
        (["eval", "nowhere"], 1, "no such run folder or checkpoint"),
        (["recipe-schema"], 0, '"batch_size"'),
        (["bench", "tiny.arch", "--batch", "4", "--rounds", "1"], 0, "inference"),
        (["bench", "tiny.arch", "--precision", "fp17"], 1, "did you mean fp16?"),
        (["bench", "map.arch", "--batch", "4", "--rounds", "1"], 0, "inference"),
    ],
)  # fmt: skip
def test_command(arguments: list[str], code: int, expected: str) -> None:
    import typer
    from typer.testing import CliRunner

    from archdsl.cli.train import register

    Path("tiny.arch").write_text(SPEC)
    Path("map.arch").write_text("model map {\n  input 1x8x8\n  conv 6 3x3 pad=1\n}\n")
    app = typer.Typer()
    register(app)
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == code, result.output
    assert (
        expected in " ".join(result.output.split("│")).replace("\n", " ")
        or expected in result.output
    )


def test_commands_use_a_run(tmp_path: Path) -> None:
    import typer
    from typer.testing import CliRunner

    from archdsl.cli.train import register

    Path("tiny.arch").write_text(SPEC)
    Path("tiny.yaml").write_text("data: {name: digits, limit: 100}\nepochs: 1\nplots: false\n")
    app = typer.Typer()
    register(app)
    run = CliRunner()
    assert run.invoke(app, ["train", "tiny.arch"]).exit_code == 0
    assert Path("runs/tiny-1/last.pt").exists()  # and its recipe was found beside the spec:
    assert torch.load("runs/tiny-1/last.pt", weights_only=True)["recipe"]["data"]["limit"] == 100
    found = json.loads(run.invoke(app, ["eval", "runs/tiny-1", "--format", "json"]).output)
    assert found["count"] == 100 and len(found["confusion"]) == 10
    assert run.invoke(app, ["train", "tiny.arch", "-q"]).output == ""
    assert Path("runs/tiny-2").exists()


def test_a_shipped_name_brings_its_recipe(raises: Any) -> None:
    from archdsl.train.request import Request, settle

    assert settle(Request("lenet5")).recipe.optimizer.lr == 0.05
    assert "ImageNet is not in" in raises(settle, Request("resnet50"))


def test_image_size_takes_the_place_of_the_specs_input() -> None:
    recipe = {"data": {"name": "digits", "image_size": 36}}
    assert settle(Request("lenet5", recipe)).model.input_shape == (1, 36, 36)
    assert settle(Request("lenet5", recipe, input=(1, 40, 40))).model.input_shape == (1, 40, 40)
    with pytest.raises(TrainError, match="image_size"):
        settle(Request("model m { input 4; linear 3 }", recipe))
