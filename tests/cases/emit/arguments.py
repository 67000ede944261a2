import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Unit(nn.Module):
    def __init__(
        self, in_channels: int, out: int, kernel: int, rate: float, wide: int
    ) -> None:
        super().__init__()
        self.rate = rate
        self.add_module(
            "0",
            nn.Conv2d(
                in_channels, out, kernel_size=kernel, padding=kernel // 2, bias=False
            ),
        )
        self.add_module("1", nn.BatchNorm2d(out, eps=0.001))
        self.expand = nn.Conv2d(out, wide, kernel_size=1)
        self.squeeze = nn.Conv2d(wide, out, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        x = getattr(self, "1")(getattr(self, "0")(x))
        x = F.leaky_relu(x, negative_slope=self.rate, inplace=True)
        x = self.squeeze(self.expand(x))
        return F.dropout(x, p=self.rate, training=self.training)


class Pools(nn.Module):
    def __init__(self, k: int, scale_factor: int) -> None:
        super().__init__()
        self.k = k
        self.scale_factor = scale_factor

    def forward(self, x: Tensor) -> Tensor:
        y = F.max_pool2d(x, kernel_size=self.k)
        return F.interpolate(y, scale_factor=self.scale_factor) + x


class Net(nn.Module):
    def __init__(
        self, classes: int = 10, drop: float = 0.25, slope: float = 0.2
    ) -> None:
        super().__init__()
        self.drop = drop
        self.slope = slope
        self.first = Unit(3, out=4, kernel=3, rate=0.1, wide=16)
        self.second = Unit(4, out=8, kernel=5, rate=0.2, wide=32)
        self.third = Unit(8, out=8, kernel=3, rate=0.0, wide=32)
        self.add_module("0", Pools(k=2, scale_factor=2))
        self.add_module("1", Pools(k=4, scale_factor=4))
        self.fc = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        x = self.second(x)
        x = self.third(x)
        x = getattr(self, "0")(x)
        x = getattr(self, "1")(x)
        x = F.leaky_relu(x, negative_slope=self.slope, inplace=True)
        x = torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)
        x = self.fc(F.dropout(x, p=self.drop, training=self.training))
        return x
