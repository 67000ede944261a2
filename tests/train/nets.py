"""Small models, recipes and runs that the training tests share; importable in child processes."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

SPEC = """model tiny(classes=10) {
  input 1x8x8
  conv 6 3x3 pad=1 bias=false -> bn -> relu -> maxpool 2x2
  flatten -> dropout 0.3 -> linear classes
}
"""

RECIPE: dict[str, Any] = {
    "data": {"name": "digits", "limit": 200},
    "epochs": 3,
    "batch_size": 16,
    "optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9},
    "scheduler": {"name": "cosine", "warmup_epochs": 1},
    "plots": False,
}


def small_net(channels: int = 1, classes: int = 10, size: int = 8) -> nn.Module:
    """Convolution, batch normalisation and dropout: whatever draws or keeps state."""
    torch.manual_seed(7)
    return nn.Sequential(
        nn.Conv2d(channels, 6, 3, padding=1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(6 * (size // 2) ** 2, classes),
    )


def weights(path: Path | str) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["model"]
    return state


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def measured(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A table without what the clock says."""
    clock = ("seconds", "samples_per_second")
    return [{key: value for key, value in row.items() if key not in clock} for row in history]


class Tiny(torch.utils.data.Dataset[Any]):
    """A user's own dataset: two classes of small grey images."""

    classes = ("dark", "light")

    def __init__(self, train: bool = True) -> None:
        self.train = train

    def __len__(self) -> int:
        return 40 if self.train else 10

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        shade = index % 2
        return torch.full((1, 8, 8), 200 * shade + index, dtype=torch.uint8), shade


class Noisy(Tiny):
    """One that augments its images itself, with everybody's random numbers."""

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image, shade = super().__getitem__(index)
        noise = random.random() + np.random.rand() + torch.rand(1, 8, 8)
        return (image * 0.9 + 8 * noise).to(torch.uint8), shade


class Fatal(Tiny):
    """One whose second rank is killed from outside in the middle of training."""

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        if os.environ.get("RANK") == "1" and torch.is_grad_enabled() and self.train:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(index)


def line(train: bool = True) -> Any:
    """y = 1 a + 2 b + 3 c + 5, the lecture's linear regression."""
    x = torch.randn(100, 3, generator=torch.Generator().manual_seed(int(train)))
    y = x @ torch.tensor([[1.0], [2.0], [3.0]]) + 5
    return [(a, b) for a, b in zip(x, y, strict=True)]
