"""The lecture's first half: regression, perceptron, first CNN, logistic regression, losses."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

import archdsl
from archdsl.cli.app import app
from archdsl.train import Override, Recipe, Result, fit, predict, read_recipe
from archdsl.train.engine.objective import Objective


def train(spec: Path, *changes: str, **more: object) -> Result:
    overrides = [Override.parse(change) for change in ("plots=false", *changes)]
    return fit(spec, overrides=overrides, quiet=True, **more)  # type: ignore[arg-type]


def run(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.output


# ---- linear regression -----------------------------------------------------------------------


def test_linear_regression_finds_the_truth(specs: Path) -> None:
    shown = run("train", specs / "linear_regression.arch")
    assert "net.weight = 1, 2, 3\n" in shown
    assert "net.bias = 5\n" in shown
    folder = Path("runs/linear_regression-1")
    assert (folder / "curves.png").stat().st_size > 5000
    rows = (folder / "metrics.csv").read_text().splitlines()
    assert len(rows) == 101  # every step's loss


def test_linear_regression_is_the_lectures_loop(specs: Path) -> None:
    """Ours, and the lecture's last version of the loop on the same points: the same numbers."""
    result = train(specs / "linear_regression.arch")
    assert result.module is not None
    w, b = result.module.state_dict().values()
    assert torch.allclose(w, torch.tensor([[1.0, 2.0, 3.0]]), atol=1e-3)
    assert torch.allclose(b, torch.tensor([5.0]), atol=1e-3)

    x = torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
    y = torch.mv(x, torch.tensor([1.0, 2.0, 3.0])) + 5
    torch.manual_seed(0)
    net = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    loss_fn = nn.MSELoss()
    losses = []
    for _ in range(100):
        optimizer.zero_grad()
        loss = loss_fn(net(x).squeeze(1), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    ours = [row["train_loss"] for row in result.history]
    assert ours == pytest.approx(losses, rel=1e-3, abs=1e-9)


def test_own_dataset(specs: Path) -> None:
    """A user's Dataset and the same numbers as CSV, with features brought to one scale."""
    Path("scores.py").write_text(
        "import torch\n"
        "from torch.utils.data import Dataset\n\n"
        "class Scores(Dataset):\n"
        "    x = [[73, 80, 75], [93, 88, 93], [89, 91, 90], [96, 98, 100], [73, 66, 70]]\n"
        "    y = [152, 185, 180, 196, 142]\n\n"
        "    def __len__(self):\n"
        "        return len(self.x)\n\n"
        "    def __getitem__(self, n):\n"
        "        return torch.FloatTensor(self.x[n]), torch.FloatTensor([self.y[n]])\n"
    )
    Path("scores.csv").write_text(
        "first,second,third,final\n"
        "73,80,75,152\n93,88,93,185\n89,91,90,180\n96,98,100,196\n73,66,70,142\n"
    )
    scaled = "data.mean=data", "data.std=data"
    spec = specs / "linear_regression.arch"
    module = train(spec, "data.name=scores.py:Scores", *scaled)
    table = train(spec, "data.name=csv:scores.csv", *scaled)
    assert [row["train_loss"] for row in module.history] == [
        row["train_loss"] for row in table.history
    ]
    assert module.run is not None
    Path("new.csv").write_text("73,80,75\n")
    (answer,) = predict(module.run, ["new.csv"])
    assert answer.top[0][1] == pytest.approx(152, abs=1.5)
    assert str(answer) == f"new.csv:1: {answer.top[0][1]:.5g}"


# ---- multi-layer perceptron ------------------------------------------------------------------


def test_mlp_needs_its_nonlinearity(specs: Path) -> None:
    given = "epochs=700", "eval_every=700"
    with_relu = train(specs / "mlp.arch", *given)
    without = train(specs / "mlp.arch", *given, params={"act": "identity"})
    # The best straight line leaves the variance of x^2 (the same points every time: 2.69).
    assert with_relu.history[-1]["train_loss"] < 0.5
    assert without.history[-1]["train_loss"] > 2.6


def test_checker_warns_of_a_missing_nonlinearity(specs: Path) -> None:
    shown = run("check", specs / "mlp.arch", "-p", "act=identity")
    assert shown.count("warning[W0001]: nothing nonlinear between two `linear` layers") == 3
    assert "Found 3 warnings." in shown
    assert run("check", specs / "mlp.arch") == "All checks passed.\n"


@pytest.mark.slow
def test_mlp_in_full(specs: Path) -> None:
    """10,000 steps; the lecture shows the truth for five inputs, whose sign it does not tell."""
    result = fit(specs / "mlp.arch", quiet=True)
    assert result.run is not None and (result.run / "curves.png").exists()
    truth = [5.5024, 3.3881, 3.0404, 3.0684, 3.2888]
    roots = [math.sqrt(y - 3) for y in truth]
    Path("five.csv").write_text("".join(f"{x}\n" for x in [*roots, *(-x for x in roots)]))
    answers = [answer.top[0][1] for answer in predict(result.run, ["five.csv"])]
    assert answers == pytest.approx([*truth, *truth], abs=0.1)


# ---- the first CNN ---------------------------------------------------------------------------

MISTAKEN = """model mycnn(classes=10) {
  input 1x28x28
  layer: {
    conv 16 5x5 -> relu
    conv 32 5x5 -> maxpool 2x2
    conv 64 5x5 -> relu -> maxpool 2x2
  }
  fc_layer: {
    linear 10 -> relu
    assert 100
    linear classes
  }
}
"""


def test_mycnn_learns(specs: Path) -> None:
    result = train(specs / "mycnn.arch", "epochs=2", "data.limit=700")
    assert result.best is not None and (result.best["test_accuracy"] or 0) > 0.6


def test_mycnn_with_the_lectures_loss(specs: Path) -> None:
    """MSE against ones and zeros; the accuracy is counted all the same."""
    result = train(specs / "mycnn.arch", "epochs=1", "loss=mse", "data.limit=600")
    assert 0 < (result.history[-1]["train_accuracy"] or 0) < 1


def test_mycnns_mistakes_are_found() -> None:
    found = archdsl.check(MISTAKEN).diagnostics
    assert [d.message for d in found] == ["the shape here is 64x3x10, not 100"]
    flat = MISTAKEN.replace("  fc_layer", "  flatten\n  fc_layer")
    found = archdsl.check(flat).diagnostics
    assert [d.message for d in found] == ["the shape here is 10, not 100"]
    assert archdsl.check(flat.replace("linear 10 ", "linear 100 ")).ok


def test_a_forgotten_flatten_is_found_before_training() -> None:
    spec = MISTAKEN.replace("    assert 100\n", "")
    assert archdsl.check(spec).ok  # torch takes it, too
    with pytest.raises(archdsl.train.TrainError, match="gives 64x3x10 for a sample"):
        fit(spec, {"data": "digits"}, quiet=True)


# ---- logistic regression ---------------------------------------------------------------------


@pytest.fixture
def both(specs: Path) -> dict[str, Result]:
    return {name: train(specs / f"{name}.arch") for name in ("logistic", "logistic_sigmoid")}


def test_logistic_regression(both: dict[str, Result]) -> None:
    for result in both.values():
        assert result.best is not None and result.best["test_accuracy"] == 1.0
        assert result.history[-1]["train_accuracy"] == 1.0
    # From the same start the two losses are the same all the way.
    losses = [[row["train_loss"] for row in result.history] for result in both.values()]
    assert len(losses[0]) == 100
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_both_losses_are_equal_for_equal_weights(specs: Path) -> None:
    """The lecture's 1.2881 = 1.2881, on its two flowers."""
    from sklearn.datasets import load_iris

    iris = load_iris()
    x = torch.tensor(iris.data[[1, 51]], dtype=torch.float32)
    y = torch.tensor(iris.target[[1, 51]])
    scores = archdsl.load(specs / "logistic.arch")
    probabilities = archdsl.load(specs / "logistic_sigmoid.arch")
    probabilities.load_state_dict(scores.state_dict())
    one, _ = loss_of("bce_with_logits")(scores(x), y)
    other, _ = loss_of("bce")(probabilities(x), y)
    z = scores(x).sigmoid().flatten().double()
    formula = -(y * z.log() + (1 - y) * (1 - z).log()).mean()
    assert one.item() == pytest.approx(other.item(), abs=1e-6)
    assert one.item() == pytest.approx(formula.item(), abs=1e-6)


# ---- softmax, cross-entropy and KL divergence ------------------------------------------------


def loss_of(name: str) -> Objective:
    return Objective(read_recipe({"loss": name}))


SCORES = [
    [-1.8600, -1.1599, 0.0525, -1.9408, -1.4070],
    [0.6205, -1.8228, 2.1522, -2.5549, -0.1288],
    [0.1473, -1.5891, 1.0388, -0.6910, 0.4188],
]


def test_cross_entropy_is_the_formula() -> None:
    """The lecture prints scores, targets and the loss: 2.1822."""
    scores, target = torch.tensor(SCORES), torch.tensor([2, 1, 0])
    loss, _ = loss_of("cross_entropy")(scores, target)
    assert loss.item() == pytest.approx(2.1822, abs=5e-5)
    softmax = scores.exp() / scores.exp().sum(1, keepdim=True)
    assert torch.allclose(softmax.sum(1), torch.ones(3))
    formula = -softmax[torch.arange(3), target].log().mean()
    assert loss.item() == pytest.approx(formula.item(), abs=1e-6)


def test_cross_entropy_is_entropy_plus_divergence() -> None:
    """H(p, q) = H(p) + KL(p || q), which is least, and 0, where q is p."""

    def cross(p: Tensor, q: Tensor) -> float:
        return -(p * q.log()).sum().item()

    def divergence(p: Tensor, q: Tensor) -> float:
        return (p * (p / q).log()).sum().item()

    p = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)
    q = torch.tensor(SCORES[0][:3], dtype=torch.float64).softmax(0)
    assert cross(p, q) == pytest.approx(cross(p, p) + divergence(p, q))
    assert divergence(p, p) == 0 < divergence(p, q)
    # What a recipe minimises is this cross-entropy: label smoothing makes p soft.
    recipe = Recipe.model_validate({"loss": {"name": "cross_entropy", "label_smoothing": 0.3}})
    loss, _ = Objective(recipe)(q.log()[None].float(), torch.tensor([0]))
    soft = torch.tensor([0.8, 0.1, 0.1], dtype=torch.float64)
    assert loss.item() == pytest.approx(cross(soft, q), abs=1e-6)


# ---- what every run leaves -------------------------------------------------------------------


def test_every_run_has_its_plot_and_can_be_used(specs: Path) -> None:
    run("train", specs / "logistic.arch", "--epochs", 20, "-q")
    folder = Path("runs/logistic-1")
    assert {"curves.png", "metrics.csv", "best.safetensors", "spec.arch", "recipe.yaml"} <= {
        path.name for path in folder.iterdir()
    }
    measured = json.loads(run("eval", folder, "--format", "json"))
    assert measured["top1"] == 1.0
