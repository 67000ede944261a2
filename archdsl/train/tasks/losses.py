"""What is minimised: each loss of the recipe, and what it wants of outputs and targets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from archdsl.text import shape_text
from archdsl.train.errors import TrainError
from archdsl.train.recipe.schema import CrossEntropy, Recipe

Loss = Callable[[Tensor, Tensor], Tensor]


def loss_of(recipe: Recipe, weights: Tensor | None = None) -> Loss:
    """Of outputs and targets, the mean over the batch. With `weights` of classes too it is a sample
    that is divided by, not a weight, so that pieces of a batch add up to the whole."""
    plan = recipe.loss
    if isinstance(plan, CrossEntropy):
        settings = {"label_smoothing": plan.label_smoothing, **_weighing(weights)}
        return lambda out, y: _mean(
            F.cross_entropy(out, _scored(plan.name, out, y), **settings), y, weights
        )
    if plan.name == "nll":
        return lambda out, y: _mean(
            F.nll_loss(_logs(out), _scored(plan.name, out, y), **_weighing(weights)), y, weights
        )
    return LOSSES[plan.name]


def _weighing(weights: Tensor | None) -> dict[str, Any]:
    return {} if weights is None else {"weight": weights, "reduction": "sum"}


def _mean(loss: Tensor, y: Tensor, weights: Tensor | None) -> Tensor:
    return loss if weights is None else loss / len(y)


def _logs(out: Tensor) -> Tensor:
    if bool((out > 1e-3).any()):
        raise TrainError(
            f"nll takes log-probabilities, the model gives up to {float(out.max()):.3g}",
            "end the model with `log_softmax`, or --set loss=cross_entropy",
        )
    return out


def _bce(out: Tensor, y: Tensor) -> Tensor:
    """Checked here: on a GPU torch would end the process without saying why."""
    y = _like(y, out)
    if bool(((out < 0) | (out > 1)).any()):
        raise TrainError(
            f"bce takes probabilities, the model gives {float(out.min()):.3g} to "
            f"{float(out.max()):.3g}",
            "end the model with `sigmoid`, or --set loss=bce_with_logits",
        )
    if bool(out.isnan().any()):  # torch would raise; the loop says what can be done
        return out.sum()
    return F.binary_cross_entropy(out, y)


LOSSES: dict[str, Loss] = {
    "bce": _bce,
    "bce_with_logits": lambda out, y: F.binary_cross_entropy_with_logits(out, _like(y, out)),
    "mse": lambda out, y: F.mse_loss(out, _like(y, out)),
    "l1": lambda out, y: F.l1_loss(out, _like(y, out)),
}


def _scored(name: str, out: Tensor, y: Tensor) -> Tensor:
    """Targets that suit one score a class: class numbers, or a share of each class."""
    if out.ndim == 2 and (y.ndim == 1 or (y.shape == out.shape and name != "nll")):
        if y.ndim == 2 or out.is_cuda or not len(y) or int(y.max()) < out.shape[1]:
            return y
        classes = f"class {int(y.max())} is among the targets"
    else:
        classes = "each target is " + (_by(y) if y.ndim > 1 else "a class number")
    raise TrainError(
        f"{name} wants one score a class: the model gives {_by(out)} for a sample, {classes}",
        "give the model as many outputs as there are classes",
    )


def _by(values: Tensor) -> str:
    return shape_text(values.shape[1:], empty="one number")


def _like(target: Tensor, output: Tensor) -> Tensor:
    """The target in the output's shape: class numbers become ones and zeros."""
    if target.shape == output.shape:
        return target.to(output.dtype)
    if target.numel() == output.numel():
        return target.reshape(output.shape).to(output.dtype)
    number = target.ndim == 1 and not target.is_floating_point()
    if number and output.ndim == 2 and (output.is_cuda or int(target.max()) < output.shape[1]):
        return F.one_hot(target, output.shape[1]).to(output.dtype)
    what = _by(target) if target.ndim > 1 else f"a number up to {float(target.max()):g}"
    raise TrainError(
        f"the model gives {_by(output)} for a sample, its target is {what}",
        "give the model as many outputs as the target has numbers",
    )
