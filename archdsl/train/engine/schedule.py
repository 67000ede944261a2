"""The learning rate as a function of the step alone, so that nothing needs saving or replaying."""

from __future__ import annotations

import math

from archdsl.train.recipe.schema import Cosine, MultiStep, OneCycle, Recipe, Step


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """The rate for step `step`, counted from 0.

    `step` and `multistep` count epochs from the start of training, warm-up included; `cosine` goes
    from the end of the warm-up to the end of training, step by step; `onecycle` is torch's.
    """
    peak = recipe.optimizer.lr
    plan = recipe.scheduler
    total = recipe.epochs * steps_per_epoch
    if isinstance(plan, OneCycle):
        return _one_cycle(plan, peak, step, total)
    warmup = round(plan.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return peak * (plan.warmup_start + (1 - plan.warmup_start) * step / warmup)
    epoch = step // steps_per_epoch
    if isinstance(plan, Step):
        return peak * plan.gamma ** (epoch // plan.step_size)
    if isinstance(plan, MultiStep):
        return peak * plan.gamma ** sum(epoch >= mark for mark in plan.milestones)
    if isinstance(plan, Cosine):
        share = min(1.0, (step - warmup) / max(1, total - warmup))
        return plan.min_lr + (peak - plan.min_lr) * (1 + math.cos(math.pi * share)) / 2
    return peak


def _one_cycle(plan: OneCycle, peak: float, step: int, total: int) -> float:
    first, last = peak / plan.div_factor, peak / plan.div_factor / plan.final_div_factor
    top = plan.pct_start * total - 1
    if step <= top:
        start, end, share = first, peak, step / max(1.0, top)
    else:
        start, end, share = peak, last, min(1.0, (step - top) / max(1.0, total - 1 - top))
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
