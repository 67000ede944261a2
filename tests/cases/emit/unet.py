import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Double(nn.Sequential):
    def __init__(
        self, in_channels: int, out: int, drop: float, dropout: bool = False
    ) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(in_channels, out, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(inplace=True),
        ]
        if dropout:
            layers.append(nn.Dropout(p=drop))
        layers += [
            nn.Conv2d(out, out, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(inplace=True),
        ]
        super().__init__(*layers)


class Up(nn.Sequential):
    def __init__(self, in_channels: int, out: int, deep: bool = False) -> None:
        layers: list[nn.Module] = [
            nn.Upsample(scale_factor=2),
            nn.Conv2d(in_channels, out, kernel_size=1),
        ]
        if deep:
            layers += [
                nn.Conv2d(out, out, kernel_size=3, padding=1),
                nn.ReLU(inplace=True),
            ]
        super().__init__(*layers)


class Unet(nn.Module):
    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        self.enc1 = Double(3, out=16, drop=0.0)
        self.enc2 = Double(16, out=32, drop=0.0)
        self.enc3 = Double(32, out=64, drop=0.1, dropout=True)
        self.up2 = Up(64, out=32, deep=True)
        self.dec2 = Double(64, out=32, drop=0.0)
        self.up1 = Up(32, out=16)
        self.dec1 = Double(32, out=16, drop=0.2, dropout=True)
        self.head = nn.Conv2d(16, classes, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        enc1 = self.enc1(x)
        x = F.max_pool2d(enc1, kernel_size=2)
        enc2 = self.enc2(x)
        x = F.max_pool2d(enc2, kernel_size=2)
        x = self.enc3(x)
        x = torch.cat([self.up2(x), enc2], dim=1)
        x = self.dec2(x)
        x = torch.cat([self.up1(x), enc1], dim=1)
        x = self.head(self.dec1(x))
        return x
