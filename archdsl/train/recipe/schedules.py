"""The learning rate as a function of the step alone, so that nothing needs saving or replaying.

One class a schedule: its keys, and the rate that they mean. The table is their union.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from archdsl.train.recipe.parts import Count, NotNegative, Part, Positive, short


@dataclass(frozen=True)
class Course:
    """Of a run: the full rate, the steps of an epoch, and of all epochs together."""

    peak: float
    epoch: int
    total: int


class Schedule(Part):
    """Common to all: the rate rises on a straight line over the first epochs."""

    warmup_epochs: NotNegative = 0.0
    warmup_start: Annotated[float, Field(gt=0, le=1)] = 0.01
    """The first step's share of the full rate."""

    def rate(self, step: int, course: Course) -> float:
        """For a step, counted from 0."""
        warmup = round(self.warmup_epochs * course.epoch)
        if step < warmup:
            return course.peak * (self.warmup_start + (1 - self.warmup_start) * step / warmup)
        return self.after(step, warmup, course)

    def after(self, step: int, warmup: int, course: Course) -> float:
        """Behind the warm-up, which is so many steps."""
        raise NotImplementedError


class Constant(Schedule):
    name: Literal["constant"] = "constant"

    def after(self, step: int, warmup: int, course: Course) -> float:
        return course.peak


class Step(Schedule):
    """Epochs count from the start of training, warm-up included."""

    name: Literal["step"] = "step"
    step_size: Count = 30
    """Epochs between two drops."""
    gamma: Positive = 0.1

    def after(self, step: int, warmup: int, course: Course) -> float:
        return course.peak * self.gamma ** (step // course.epoch // self.step_size)


class MultiStep(Schedule):
    name: Literal["multistep"] = "multistep"
    milestones: list[Count]
    """Epochs (counted from the start of training) at which the rate drops."""
    gamma: Positive = 0.1

    def after(self, step: int, warmup: int, course: Course) -> float:
        epoch = step // course.epoch
        return course.peak * self.gamma ** sum(epoch >= mark for mark in self.milestones)


class Cosine(Schedule):
    """From the end of the warm-up to the end of training, step by step."""

    name: Literal["cosine"] = "cosine"
    min_lr: NotNegative = 0.0

    def after(self, step: int, warmup: int, course: Course) -> float:
        share = min(1.0, (step - warmup) / max(1, course.total - warmup))
        return self.min_lr + (course.peak - self.min_lr) * (1 + math.cos(math.pi * share)) / 2


class OneCycle(Part):
    """torch's OneCycleLR: up to `optimizer.lr` and far down again, momentum left alone."""

    name: Literal["onecycle"] = "onecycle"
    pct_start: Annotated[float, Field(gt=0, lt=1)] = 0.3
    div_factor: Positive = 25.0
    final_div_factor: Positive = 1e4

    def rate(self, step: int, course: Course) -> float:
        peak, total = course.peak, course.total
        first, last = peak / self.div_factor, peak / self.div_factor / self.final_div_factor
        top = self.pct_start * total - 1
        if step <= top:
            start, end, share = first, peak, step / max(1.0, top)
        else:
            start, end, share = peak, last, min(1.0, (step - top) / max(1.0, total - 1 - top))
        return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


Scheduler = Annotated[
    Annotated[Constant | Step | MultiStep | Cosine | OneCycle, Field(discriminator="name")],
    short("constant"),
]
