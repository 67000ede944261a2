from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class NetOutput(NamedTuple):
    head: Tensor
    high: Tensor
    aux1: Tensor | None = None


class Branches(nn.Module):
    def __init__(self, in_channels: int, a: int) -> None:
        super().__init__()
        self.branch1 = nn.Conv2d(in_channels, a, kernel_size=1)
        self.branch2 = nn.Sequential(
            nn.Conv2d(in_channels, a, kernel_size=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(a, 8, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
        )
        self.branch_pool = nn.Conv2d(in_channels, a, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.branch1(x), inplace=True)
        branch2 = self.branch2(x)
        branch_pool = self.branch_pool(
            F.max_pool2d(x, kernel_size=3, stride=1, padding=1)
        )
        return torch.cat([y, branch2, branch_pool], dim=1)


class Layers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.Conv2d(24, 4, kernel_size=3, padding=1)
        self.layer2 = nn.Conv2d(28, 4, kernel_size=3, padding=1)
        self.layer3 = nn.Conv2d(32, 4, kernel_size=3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([x, self.layer1(x)], dim=1)
        x = torch.cat([x, self.layer2(x)], dim=1)
        return torch.cat([x, self.layer3(x)], dim=1)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, kernel_size=3, padding=1)
        self.add_module("1", Branches(8, a=4))
        self.add_module("2", Branches(16, a=8))
        self.aux1 = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, 5),
        )
        self.dense = Layers()
        self.gate = nn.Conv2d(36, 36, kernel_size=1)
        self.up = nn.Conv2d(36, 8, kernel_size=1)
        self.head = nn.Conv2d(8, 2, kernel_size=1)

    def forward(self, x: Tensor) -> NetOutput:
        x = F.relu(self.stem(x), inplace=True)
        aux1 = self.aux1(x) if self.training else None
        y = getattr(self, "1")(x)
        high = getattr(self, "2")(y)
        dense = self.dense(high)
        y = dense * torch.sigmoid(self.gate(F.adaptive_avg_pool2d(dense, 1)))
        head = self.head(self.up(y) + x)
        return NetOutput(head=head, high=high, aux1=aux1)
