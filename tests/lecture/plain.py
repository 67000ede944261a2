"""The lecture's large networks as ordinary PyTorch modules, to compare the specs with.

They follow the lecture's description layer by layer, and keep its names, so that their weights load
into the compiled specs key for key.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn


def conv(in_: int, out: int, kernel: int, stride: int = 1, pad: int = 0) -> nn.Conv2d:
    return nn.Conv2d(in_, out, kernel, stride, pad)


class Flat(nn.Module):
    """Parts in a row, flattened before the last."""

    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x: Tensor) -> Tensor:
        *parts, last = self.children()
        for part in parts:
            x = part(x)
        return last(x.flatten(1))


class AlexNet(Flat):
    def __init__(self, classes: int = 1000) -> None:
        super().__init__(
            features=nn.Sequential(
                conv(3, 64, 11, 4, 2),
                nn.ReLU(),
                nn.MaxPool2d(3, 2),
                conv(64, 192, 5, pad=2),
                nn.ReLU(),
                nn.MaxPool2d(3, 2),
                conv(192, 384, 3, pad=1),
                nn.ReLU(),
                conv(384, 256, 3, pad=1),
                nn.ReLU(),
                conv(256, 256, 3, pad=1),
                nn.ReLU(),
                nn.MaxPool2d(3, 2),
            ),
            avgpool=nn.AdaptiveAvgPool2d((6, 6)),
            classifier=nn.Sequential(
                nn.Dropout(),
                nn.Linear(256 * 6 * 6, 4096),
                nn.ReLU(),
                nn.Dropout(),
                nn.Linear(4096, 4096),
                nn.ReLU(),
                nn.Linear(4096, classes),
            ),
        )


class VGG16(Flat):
    """Five blocks; a classifier for 512 features; probabilities as output."""

    def __init__(self, classes: int) -> None:
        def block(in_: int, out: int, convs: int) -> nn.Sequential:
            pairs = pairwise([in_] + [out] * convs)
            layers = [layer for a, b in pairs for layer in (conv(a, b, 3, pad=1), nn.ReLU())]
            return nn.Sequential(*layers, nn.MaxPool2d(2, 2))

        super().__init__(
            block_1=block(3, 64, 2),
            block_2=block(64, 128, 2),
            block_3=block(128, 256, 3),
            block_4=block(256, 512, 3),
            block_5=block(512, 512, 3),
            classifier=nn.Sequential(
                nn.Linear(512, 4096),
                nn.ReLU(True),
                nn.Dropout(0.65),
                nn.Linear(4096, 4096),
                nn.ReLU(True),
                nn.Dropout(0.65),
                nn.Linear(4096, classes),
            ),
        )

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).softmax(1)


class Inception(nn.Module):
    def __init__(
        self, in_: int, out_1: int, mid_3: int, out_3: int, mid_5: int, out_5: int, pool: int
    ):
        super().__init__()
        self.conv_1 = nn.Sequential(conv(in_, out_1, 1), nn.ReLU())
        self.conv_1_3 = nn.Sequential(
            conv(in_, mid_3, 1), nn.ReLU(), conv(mid_3, out_3, 3, pad=1), nn.ReLU()
        )
        self.conv_1_5 = nn.Sequential(
            conv(in_, mid_5, 1), nn.ReLU(), conv(mid_5, out_5, 5, pad=2), nn.ReLU()
        )
        self.max_3_1 = nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(in_, pool, 1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.children()], 1)


class GoogLeNet(Flat):
    """The lecture's sizes hold for base_dim=64 alone: its first inception gives 256 channels."""

    def __init__(self, base_dim: int = 64) -> None:
        super().__init__(
            layer_1=nn.Sequential(
                conv(3, base_dim, 7, 2, 3),
                nn.MaxPool2d(3, 2, 1),
                conv(base_dim, base_dim * 3, 3, 1, 1),
                nn.MaxPool2d(3, 2, 1),
            ),
            layer_2=nn.Sequential(
                Inception(base_dim * 3, 64, 96, 128, 16, 32, 32),
                Inception(256, 128, 128, 192, 32, 96, 64),
                nn.MaxPool2d(3, 2, 1),
            ),
            layer_3=nn.Sequential(
                Inception(480, 192, 96, 208, 16, 48, 64),
                Inception(512, 160, 112, 224, 24, 64, 64),
                Inception(512, 128, 128, 256, 24, 64, 64),
                Inception(512, 112, 144, 288, 32, 64, 64),
                Inception(528, 256, 160, 320, 32, 128, 128),
                nn.MaxPool2d(3, 2, 1),
            ),
            layer_4=nn.Sequential(
                Inception(832, 256, 160, 320, 32, 128, 128),
                Inception(832, 384, 192, 384, 48, 128, 128),
                nn.AvgPool2d(7, 1),
            ),
            layer_5=nn.Dropout2d(0.4),
            fc_layer=nn.Linear(1024, 1000),
        )


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1, and the input added: as it is, or through a 1x1 convolution of its own."""

    def __init__(self, in_: int, mid: int, stride: int = 1, down: bool = True) -> None:
        super().__init__()
        self.layer = nn.Sequential(
            nn.Sequential(conv(in_, mid, 1, stride), nn.ReLU()),
            nn.Sequential(conv(mid, mid, 3, pad=1), nn.ReLU()),
            nn.Sequential(conv(mid, 4 * mid, 1)),
        )
        self.downsample = conv(in_, 4 * mid, 1, stride) if down else None

    def forward(self, x: Tensor) -> Tensor:
        side = x if self.downsample is None else self.downsample(x)
        return self.layer(x) + side


class ResNet(Flat):
    def __init__(self, base_dim: int, classes: int = 2) -> None:
        def stage(in_: int, mid: int, same: int, last_stride: int) -> nn.Sequential:
            return nn.Sequential(
                Bottleneck(in_, mid),
                *[Bottleneck(4 * mid, mid, down=False) for _ in range(same)],
                Bottleneck(4 * mid, mid, last_stride),
            )

        super().__init__(
            layer_1=nn.Sequential(conv(3, base_dim, 7, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1)),
            layer_2=stage(base_dim, base_dim, 1, 2),
            layer_3=stage(base_dim * 4, base_dim * 2, 2, 2),
            layer_4=stage(base_dim * 8, base_dim * 4, 4, 2),
            layer_5=stage(base_dim * 16, base_dim * 8, 1, 1),
            avgpool=nn.AvgPool2d(7, 1),
            fc_layer=nn.Linear(base_dim * 32, classes),
        )
