"""Networks in the styles that people write them in; each comes back as a golden spec."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Functions(nn.Module):
    """PyTorch's MNIST example: functions, a view by the batch's size."""

    shape = (1, 28, 28)

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, 1)
        self.conv2 = nn.Conv2d(32, 64, 3, 1)
        self.dropout1 = nn.Dropout(0.25)
        self.dropout2 = nn.Dropout(0.5)
        self.fc1 = nn.Linear(9216, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1(x))
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = self.dropout1(x)
        x = x.view(x.size(0), -1)
        x = self.dropout2(F.relu(self.fc1(x)))
        return F.log_softmax(self.fc2(x), dim=1)


class DoubleConv(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv2d(before, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.double_conv(x)
        return result


class Up(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(before, before // 2, 2, 2)
        self.conv = DoubleConv(before, after)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.up(x)
        down, right = skip.size(2) - x.size(2), skip.size(3) - x.size(3)
        x = F.pad(x, [right // 2, right - right // 2, down // 2, down - down // 2])
        result: Tensor = self.conv(torch.cat([skip, x], dim=1))
        return result


class UNet(nn.Module):
    """Skips into modules of two inputs, a border worked out from sizes."""

    shape = (3, 32, 32)

    def __init__(self) -> None:
        super().__init__()
        self.inc = DoubleConv(3, 16)
        self.down1 = nn.Sequential(nn.MaxPool2d(2), DoubleConv(16, 32))
        self.down2 = nn.Sequential(nn.MaxPool2d(2), DoubleConv(32, 64))
        self.up1 = Up(64, 32)
        self.up2 = Up(32, 16)
        self.outc = nn.Conv2d(16, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x1 = self.inc(x)
        x2 = self.down1(x1)
        x = self.up1(self.down2(x2), x2)
        result: Tensor = self.outc(self.up2(x, x1))
        return result


class Lists(nn.Module):
    """A loop over a ModuleList, what is done in training alone, a layer that never runs."""

    shape = (3, 16, 16)

    def __init__(self) -> None:
        super().__init__()
        layers = [nn.Conv2d(3 if i == 0 else 8, 8, 3, padding=1) for i in range(4)]
        self.convs = nn.ModuleList(layers)
        self.unused = nn.Linear(3, 4)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = torch.relu(conv(x))
        if self.training:
            x = F.dropout(x, 0.1)
        result: Tensor = self.head(x.mean(dim=(2, 3)))
        return result


class MixerBlock(nn.Module):
    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.fc2(F.gelu(self.fc1(self.norm(x))))
        return result


class Mixer(nn.Module):
    """Patches, dimensions exchanged, a stack of equal blocks."""

    shape = (3, 32, 32)

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 32, 8, 8)
        self.blocks = nn.ModuleList([MixerBlock(16, 24) for _ in range(3)])
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x).flatten(2)
        for block in self.blocks:
            x = block(x)
        result: Tensor = self.head(x.transpose(1, 2).mean(1))
        return result


class Gate(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(channels, channels // 4),
            nn.ReLU(),
            nn.Linear(channels // 4, channels),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        b, c, _, _ = x.size()
        y = F.adaptive_avg_pool2d(x, 1).view(b, c)
        y = self.fc(y).view(b, c, 1, 1)
        return x * y.expand_as(x)


class Gated(nn.Module):
    """Squeeze and excitation by linear layers, sizes taken apart and put together."""

    shape = (3, 16, 16)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.gate1, self.gate2 = Gate(16), Gate(16)
        self.fc = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.gate2(self.gate1(self.stem(x)))
        result: Tensor = self.fc(x.mean([-1, -2]))
        return result


class Heads(nn.Module):
    """Two outputs from one body."""

    shape = (8,)

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 16), nn.ReLU())
        self.cls = nn.Linear(16, 3)
        self.box = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.body(x)
        return self.cls(x), self.box(x)


class NormAct(nn.BatchNorm2d):
    """A layer with an activation inside, as timm has it."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.act = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        running = self.running_mean, self.running_var
        settings = self.training, self.momentum or 0.0, self.eps
        x = F.batch_norm(x, *running, self.weight, self.bias, *settings)
        result: Tensor = self.act(x)
        return result


class Own(nn.Module):
    """Layers of one's own over torch's functions, parameters and constants."""

    shape = (3, 8, 8)
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(8, 1, 1))
        self.conv = nn.Conv2d(3, 8, 1)
        self.norm = NormAct(8)
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv((x - 0.5) * 2)) * self.scale
        x = F.avg_pool2d(x, 8)[:, :, 0, 0]
        return F.linear(x, self.head.weight, self.head.bias)


class Residual(nn.Module):
    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1)
        self.skip = nn.Identity() if before == after else nn.Conv2d(before, after, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(self.conv1(x), 0.1)
        return F.leaky_relu(self.conv2(y) + self.skip(x), 0.1)


class Stages(nn.Module):
    """Stages made in a loop, with a shortcut where the channels change."""

    shape = (3, 32, 32)

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.Sequential()
        before = 3
        for number, after in enumerate((8, 16, 32)):
            blocks = [Residual(before, after, 2), *(Residual(after, after) for _ in range(2))]
            self.stages.add_module(f"stage{number}", nn.Sequential(*blocks))
            before = after
        self.pool = nn.AdaptiveMaxPool2d(1)
        self.out = nn.Linear(32, 7)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.out(torch.flatten(self.pool(self.stages(x)), 1))
        return result


class Dense(nn.Module):
    """A list of features that grows, and is joined by each layer."""

    shape = (4, 8, 8)

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(
            {f"layer{i}": nn.Conv2d(4 + 2 * i, 2, 3, padding=1) for i in range(3)}
        )
        self.last = nn.Conv2d(10, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for layer in self.layers.values():
            features.append(layer(torch.cat(features, 1)))
        result: Tensor = self.last(torch.cat(features, 1))
        return result


class Late(nn.Module):
    """Modules that are made in another order than they run, and a shuffle by hand."""

    shape = (8, 8, 8)

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(8, 2)
        self.second = nn.Conv2d(8, 8, 3, padding=1, groups=4)
        self.first = nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.first(x).chunk(2, dim=1)
        x = torch.cat((right, torch.tanh(left)), 1)
        b, c, h, w = x.shape
        x = x.view(b, 4, c // 4, h, w).transpose(1, 2).reshape(b, c, h, w)
        result: Tensor = self.head(self.second(x).mean((2, 3)))
        return result


NETWORKS: tuple[type[nn.Module], ...] = (
    *(Functions, UNet, Lists, Mixer, Gated, Heads, Own, Stages, Dense, Late),
)
