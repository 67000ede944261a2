"""What is minimised, and what minimises it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archdsl.train.errors import TrainError
from archdsl.train.recipe import Adam, AdamW, CrossEntropy, Recipe, RmsProp, Sgd


class Objective:
    """The recipe's loss: mean over the batch, train-only outputs weighted in."""

    def __init__(self, recipe: Recipe, outputs: int | None = None) -> None:
        self.name = recipe.loss.name
        self.aux_weight = recipe.aux_weight
        smoothing = recipe.loss.label_smoothing if isinstance(recipe.loss, CrossEntropy) else 0.0
        self.loss: Callable[[Tensor, Tensor], Tensor] = {
            "cross_entropy": lambda out, y: F.cross_entropy(out, y, label_smoothing=smoothing),
            "nll": F.nll_loss,
            "bce": lambda out, y: F.binary_cross_entropy(out, _like(y, out)),
            "bce_with_logits": lambda out, y: F.binary_cross_entropy_with_logits(
                out, _like(y, out)
            ),
            "mse": lambda out, y: F.mse_loss(out, _like(y, out)),
            "l1": lambda out, y: F.l1_loss(out, _like(y, out)),
        }[self.name]

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

    def classes(self, main: Tensor) -> Tensor:
        """The class that each output names."""
        if main.shape[-1] > 1 and main.ndim > 1:
            return main.argmax(1)
        return (main.flatten() > (0.0 if self.name == "bce_with_logits" else 0.5)).long()

    def hits(self, main: Tensor, target: Tensor) -> Tensor | None:
        """How many samples are classed right; None where there are no classes."""
        if self.name in ("mse", "l1") and target.is_floating_point():
            return None
        if target.ndim == 2 and target.shape == main.shape and main.shape[1] > 1:
            target = target.argmax(1)  # mixed targets: the heavier class
        return (self.classes(main) == target.flatten()).sum()

    def probabilities(self, main: Tensor) -> Tensor:
        """One column a class."""
        if self.name == "cross_entropy":
            return main.softmax(1)
        if self.name == "nll":
            return main.exp()
        p = main if self.name == "bce" else main.sigmoid()
        return torch.stack([1 - p.flatten(), p.flatten()], 1) if p[0].numel() == 1 else p


def _like(target: Tensor, output: Tensor) -> Tensor:
    """The target in the output's shape: class numbers become ones and zeros."""
    if target.shape == output.shape:
        return target.to(output.dtype)
    if target.numel() == output.numel():
        return target.reshape(output.shape).to(output.dtype)
    if target.ndim == 1 and output.ndim == 2 and not target.is_floating_point():
        return F.one_hot(target, output.shape[1]).to(output.dtype)
    raise TrainError(
        f"the model's output has shape {tuple(output.shape[1:])}, "
        f"the target {tuple(target.shape[1:])}"
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
