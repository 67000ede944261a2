from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@torch.fx.wrap
def stochastic_depth(
    x: Tensor, p: float, mode: str = "row", training: bool = True
) -> Tensor:
    """Drops a residual branch in training, for each sample ("row") or for the whole batch."""
    if not training or p == 0:
        return x
    size = [x.shape[0] if mode == "row" else 1] + [1] * (x.ndim - 1)
    keep = torch.empty(size, dtype=x.dtype, device=x.device).bernoulli_(1 - p)
    if p < 1:
        keep.div_(1 - p)
    return x * keep


class Unit(nn.Module):
    def __init__(
        self, in_channels: int, out: int, stride: int = 1, down: bool = False
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(
            in_channels, out, kernel_size=3, stride=stride, padding=1
        )
        self.conv2 = nn.Conv2d(out, out, kernel_size=3, padding=1)
        self.down: nn.Module | None = None
        if down:
            self.down = nn.Sequential(
                nn.Conv2d(in_channels, out, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm2d(out),
            )

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.conv1(x), inplace=True)
        y = self.conv2(y)
        if self.down is not None:
            x = self.down(x)
        return F.relu(y + x, inplace=True)


class Convnorm(nn.Sequential):
    def __init__(
        self,
        in_channels: int,
        out: int,
        kernel: int,
        groups: int = 1,
        act: Callable[..., nn.Module] | None = None,
    ) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(
                in_channels,
                out,
                kernel_size=kernel,
                padding=kernel // 2,
                groups=groups,
                bias=False,
            ),
            nn.BatchNorm2d(out),
        ]
        if act is not None:
            layers.append(act(inplace=True))
        super().__init__(*layers)


class Se(nn.Module):
    def __init__(self, in_channels: int, r: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(in_channels, r, kernel_size=1)
        self.fc2 = nn.Conv2d(r, in_channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.fc1(F.adaptive_avg_pool2d(x, 1)), inplace=True)
        return x * torch.sigmoid(self.fc2(y))


class Inverted(nn.Module):
    def __init__(
        self,
        out: int,
        mid: int,
        act: Callable[..., nn.Module],
        squeeze: bool = False,
        residual: bool = False,
        convnorm: bool = False,
    ) -> None:
        super().__init__()
        self.residual = residual
        layers: list[nn.Module] = []
        if convnorm:
            layers.append(Convnorm(16, out=mid, kernel=1, act=nn.SiLU))
        layers.append(Convnorm(mid, out=mid, kernel=3, groups=mid, act=act))
        if squeeze:
            layers.append(Se(mid, r=mid // 4))
        layers.append(Convnorm(mid, out=out, kernel=1))
        self.body = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        if self.residual:
            y = stochastic_depth(y, 0.1, training=self.training) + x
        return y


class Split(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.right = nn.Conv2d(12, 12, kernel_size=3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.chunk(x, 2, dim=1)[0]
        right = self.right(torch.chunk(x, 2, dim=1)[1])
        return torch.cat([y, right], dim=1)


class SplitLeft(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Conv2d(24, 12, kernel_size=3, stride=2, padding=1)
        self.right = nn.Conv2d(24, 12, kernel_size=3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.left(x), self.right(x)], dim=1)


class Net(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            Unit(3, out=8, down=True),
            Unit(8, out=8),
            Unit(8, out=16, stride=2, down=True),
            Unit(16, out=16),
            Inverted(out=16, mid=16, act=nn.ReLU, squeeze=True, residual=True),
            Inverted(out=16, mid=64, act=nn.SiLU, residual=True, convnorm=True),
            Inverted(out=24, mid=32, act=nn.SiLU, squeeze=True, convnorm=True),
            Split(),
            SplitLeft(),
            Split(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
