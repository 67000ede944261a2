"""What is minimised, and what minimises it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from archdsl.train.errors import TrainError
from archdsl.train.recipe.schema import Recipe
from archdsl.train.tasks.losses import loss_of


class Objective:
    """The recipe's loss, train-only outputs weighted in."""

    def __init__(self, recipe: Recipe, weights: Tensor | None = None) -> None:
        self.loss, self.aux_weight = loss_of(recipe, weights), recipe.aux_weight

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
    extra = {"fused": fused or None} if plan.fused else {}
    made: torch.optim.Optimizer = getattr(torch.optim, plan.kind)(
        groups, **plan.arguments(), **extra
    )
    return made
