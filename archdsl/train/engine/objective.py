"""What is minimised, and what minimises it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archdsl.text import shape_text
from archdsl.train.errors import TrainError
from archdsl.train.recipe.schema import Adam, AdamW, CrossEntropy, Recipe, RmsProp, Sgd


class Objective:
    """The recipe's loss: mean over the batch, train-only outputs weighted in."""

    def __init__(self, recipe: Recipe, outputs: int | None = None) -> None:
        self.name = recipe.loss.name
        self.aux_weight = recipe.aux_weight
        smoothing = recipe.loss.label_smoothing if isinstance(recipe.loss, CrossEntropy) else 0.0
        self.loss: Callable[[Tensor, Tensor], Tensor] = {
            "cross_entropy": lambda out, y: F.cross_entropy(
                out, self._scored(out, y), label_smoothing=smoothing
            ),
            "nll": lambda out, y: F.nll_loss(self._logs(out), self._scored(out, y)),
            "bce": lambda out, y: self._bce(out, _like(y, out)),
            "bce_with_logits": lambda out, y: F.binary_cross_entropy_with_logits(
                out, _like(y, out)
            ),
            "mse": lambda out, y: F.mse_loss(out, _like(y, out)),
            "l1": lambda out, y: F.l1_loss(out, _like(y, out)),
        }[self.name]

    def _scored(self, out: Tensor, y: Tensor) -> Tensor:
        """Targets that suit one score a class: class numbers, or a share of each class."""
        if out.ndim == 2 and (y.ndim == 1 or (y.shape == out.shape and self.name != "nll")):
            if y.ndim == 2 or out.is_cuda or not len(y) or int(y.max()) < out.shape[1]:
                return y
            classes = f"class {int(y.max())} is among the targets"
        else:
            classes = "each target is " + (_by(y) if y.ndim > 1 else "a class number")
        raise TrainError(
            f"{self.name} wants one score a class: the model gives {_by(out)} for a sample, "
            f"{classes}",
            "give the model as many outputs as there are classes",
        )

    def _bce(self, out: Tensor, y: Tensor) -> Tensor:
        """Checked here: on a GPU torch would end the process without saying why."""
        if bool(((out < 0) | (out > 1)).any()):
            raise TrainError(
                f"bce takes probabilities, the model gives {float(out.min()):.3g} to "
                f"{float(out.max()):.3g}",
                "end the model with `sigmoid`, or --set loss=bce_with_logits",
            )
        if bool(out.isnan().any()):  # torch would raise; the loop says what can be done
            return out.sum()
        return F.binary_cross_entropy(out, y)

    def _logs(self, out: Tensor) -> Tensor:
        if bool((out > 1e-3).any()):
            raise TrainError(
                f"nll takes log-probabilities, the model gives up to {float(out.max()):.3g}",
                "end the model with `log_softmax`, or --set loss=cross_entropy",
            )
        return out

    def __call__(self, output: Any, target: Tensor) -> tuple[Tensor, Tensor]:
        """The loss, and the main output. In float32 whatever autocast chose."""
        if isinstance(output, Tensor):
            main = output.float()
            return self.loss(main, target), main
        main, *aux = [one.float() for one in output]
        loss = self.loss(main, target)
        for one in aux:
            loss = loss + self.aux_weight * self.loss(one, target)
        return loss, main


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


def autocast(recipe: Recipe, device: torch.device) -> AbstractContextManager[Any]:
    """The recipe's precision for a forward pass."""
    kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(recipe.precision)
    return nullcontext() if kind is None else torch.autocast(device.type, dtype=kind)


def make_optimizer(model: nn.Module, recipe: Recipe, fused: bool = True) -> torch.optim.Optimizer:
    """torch's optimizer of that name, in its fused form where there is one."""
    plan = recipe.optimizer
    trained = [p for p in model.parameters() if p.requires_grad]
    if not trained:
        raise TrainError("the model has no parameters to train")
    groups: list[dict[str, Any]] = [{"params": trained, "weight_decay": plan.weight_decay}]
    if plan.weight_decay and not plan.decay_norm_and_bias:
        # Biases and normalisation layers are the parameters with fewer than two dimensions.
        groups = [
            {"params": [p for p in trained if p.ndim >= 2], "weight_decay": plan.weight_decay},
            {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
        ]
    if isinstance(plan, Sgd):
        return torch.optim.SGD(
            groups,
            lr=plan.lr,
            momentum=plan.momentum,
            dampening=plan.dampening,
            nesterov=plan.nesterov,
            fused=fused or None,
        )
    if isinstance(plan, RmsProp):
        return torch.optim.RMSprop(
            groups, lr=plan.lr, alpha=plan.alpha, eps=plan.eps, momentum=plan.momentum
        )
    assert isinstance(plan, Adam)
    kind = torch.optim.AdamW if isinstance(plan, AdamW) else torch.optim.Adam
    betas = (plan.betas[0], plan.betas[1])
    return kind(groups, lr=plan.lr, betas=betas, eps=plan.eps, fused=fused or None)
