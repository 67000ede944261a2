"""What a user's own targets mean under a loss: class numbers, shares, or plain numbers.

In: the targets of each split as they were given. Out: `Targets`: as the loss takes them, nothing
rounded, and how many classes there are (0 where a sample does not have one class).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from archdsl.text import shape_text
from archdsl.train.errors import TrainError

BINARY = ("bce", "bce_with_logits")


@dataclass(frozen=True)
class Targets:
    values: list[Tensor]
    classes: int


def numbers(found: Sequence[Tensor], place: str) -> Targets:
    """For mse and l1: floats, one row a sample."""
    values = [_finite(one.float(), place) for one in found]
    return Targets([one[:, None] if one.ndim == 1 else one for one in values], 0)


def classified(found: Sequence[Tensor], loss: str, place: str) -> Targets:
    """For the losses of classification: class numbers where they are that, else shares: the
    probability of each class (cross_entropy), or of each label by itself (bce)."""
    values = [one[:, 0] if one.ndim == 2 and one.shape[1] == 1 else one for one in found]
    values = [_finite(one, place) for one in values]
    if any(one.ndim > 2 for one in values):
        shape = shape_text(values[0].shape[1:])
        raise TrainError(
            f"{place}: a target has shape {shape} (a mask?), {loss} trains on one class a sample",
            "give a class number; with --set loss=mse, a tensor of the output's shape",
        )
    if values[0].ndim == 1:
        if all(bool((one == one.round()).all()) for one in values):
            return _labels([one.long() for one in values], loss, place)
        if loss not in BINARY:
            odd = next(float(x) for one in values for x in one.flatten() if x != x.round())
            raise TrainError(
                f"{place}: the target {odd:g} is not a class number, which {loss} wants",
                "--set loss=mse compares numbers; --set loss=bce_with_logits takes shares 0 to 1",
            )
        values = [one[:, None] for one in values]
    shares = [one.float() for one in values]
    if not all(bool(((one >= 0) & (one <= 1)).all()) for one in shares):
        raise TrainError(
            f"{place}: targets of several numbers, not all from 0 to 1, which {loss} wants",
            "--set loss=mse compares numbers",
        )
    if loss in BINARY:
        return Targets(shares, 0)
    if loss == "nll":
        raise TrainError(
            f"{place}: targets of {shares[0].shape[1]} numbers; nll wants one class number",
            "--set loss=cross_entropy takes the probability of each class",
        )
    if not all(bool(((one.sum(1) - 1).abs() < 1e-3).all()) for one in shares):
        raise TrainError(
            f"{place}: targets of {shares[0].shape[1]} numbers that do not add up to 1, as the "
            "probabilities of cross_entropy's classes do",
            "--set loss=bce_with_logits takes several labels at once",
        )
    return Targets(shares, shares[0].shape[1])


def _labels(values: list[Tensor], loss: str, place: str) -> Targets:
    low, high = min(int(one.min()) for one in values), max(int(one.max()) for one in values)
    if low < 0:
        raise TrainError(f"{place}: the class label {low} is negative", "labels count from 0")
    most = 2**20
    if high >= most:
        raise TrainError(
            f"{place}: the class label {high} is beyond {most} classes",
            "--set loss=mse compares numbers",
        )
    return Targets(values, high + 1)


def _finite(values: Tensor, place: str) -> Tensor:
    if values.is_complex():
        raise TrainError(f"{place}: targets of complex numbers")
    if values.is_floating_point() and not bool(torch.isfinite(values).all()):
        at = int((~torch.isfinite(values.flatten(1) if values.ndim > 1 else values[:, None]))
                 .any(1).nonzero()[0])  # fmt: skip
        raise TrainError(f"{place}: the target of sample {at} is not a finite number")
    return values
