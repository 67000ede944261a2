"""Small modules that the training tests share; importable by name in child processes."""

from __future__ import annotations

import torch
from torch import nn


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
