"""Classics that torchvision has no builder for, as authors and tutorials write them in torch."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class _Unit(nn.Module):
    """ResNet for CIFAR, with the shortcut that has no weights (option A)."""

    def __init__(self, entering: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(entering, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if x.shape != out.shape:
            side = (out.shape[1] - x.shape[1]) // 2
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, side, side))
        return F.relu(out + x)


class CifarResNet(nn.Module):
    def __init__(self, depth: int = 20, classes: int = 10) -> None:
        super().__init__()
        n = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*[_Unit(16, 16, 1) for _ in range(n)])
        self.layer2 = nn.Sequential(_Unit(16, 32, 2), *[_Unit(32, 32, 1) for _ in range(n - 1)])
        self.layer3 = nn.Sequential(_Unit(32, 64, 2), *[_Unit(64, 64, 1) for _ in range(n - 1)])
        self.linear = nn.Linear(64, classes)
        for m in self.modules():
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(m.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        out: Tensor = self.linear(F.adaptive_avg_pool2d(x, 1).flatten(1))
        return out


class _Wide(nn.Module):
    def __init__(self, entering: int, out: int, stride: int, p: float) -> None:
        super().__init__()
        self.equal, self.p = entering == out, p
        self.bn1 = nn.BatchNorm2d(entering)
        self.conv1 = nn.Conv2d(entering, out, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        if not self.equal:
            self.convShortcut = nn.Conv2d(entering, out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(x))
        side = x if self.equal else self.convShortcut(out)
        out = F.relu(self.bn2(self.conv1(out)))
        out = self.conv2(F.dropout(out, self.p, self.training))
        return out + side


class _Stage(nn.Module):
    def __init__(self, *blocks: nn.Module) -> None:
        super().__init__()
        self.layer = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer(x)
        return out


class WideResNet(nn.Module):
    def __init__(self, depth: int = 28, widen: int = 10, p: float = 0.0, classes: int = 10) -> None:
        super().__init__()
        n = (depth - 4) // 6
        widths = [16, 16 * widen, 32 * widen, 64 * widen]
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)

        def stage(i: int) -> _Stage:
            first = _Wide(widths[i], widths[i + 1], 1 if i == 0 else 2, p)
            return _Stage(first, *[_Wide(widths[i + 1], widths[i + 1], 1, p) for _ in range(n - 1)])

        self.block1, self.block2, self.block3 = stage(0), stage(1), stage(2)
        self.bn1 = nn.BatchNorm2d(widths[3])
        self.fc = nn.Linear(widths[3], classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(m, nn.Linear):
                nn.init.zeros_(m.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        x = F.adaptive_avg_pool2d(F.relu(self.bn1(x)), 1)
        out: Tensor = self.fc(x.flatten(1))
        return out


def _normal(m: nn.Module) -> None:
    if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(m.weight, 0.0, 0.02)
    elif isinstance(m, nn.BatchNorm2d):
        nn.init.normal_(m.weight, 1.0, 0.02)
        nn.init.zeros_(m.bias)


class Generator(nn.Module):
    """As in PyTorch's tutorial of DCGAN."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        entering = 100
        for factor, stride, pad in ((8, 1, 0), (4, 2, 1), (2, 2, 1), (1, 2, 1)):
            layers += [
                nn.ConvTranspose2d(entering, factor * width, 4, stride, pad, bias=False),
                nn.BatchNorm2d(factor * width),
                nn.ReLU(True),
            ]
            entering = factor * width
        layers += [nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False), nn.Tanh()]
        self.main = nn.Sequential(*layers)
        self.apply(_normal)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.main(x)
        return out


class Discriminator(nn.Module):
    """As in PyTorch's tutorial of DCGAN."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(3, width, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2, True),
        ]
        for factor in (1, 2, 4):
            layers += [
                nn.Conv2d(factor * width, 2 * factor * width, 4, 2, 1, bias=False),
                nn.BatchNorm2d(2 * factor * width),
                nn.LeakyReLU(0.2, True),
            ]
        layers += [nn.Conv2d(8 * width, 1, 4, 1, 0, bias=False), nn.Sigmoid()]
        self.main = nn.Sequential(*layers)
        self.apply(_normal)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.main(x)
        return out
