"""The lecture's LeNet-5 and its loop, as its pages write them: the peer of our training."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, Sampler


class LeNet5(nn.Module):
    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.feature_extractor = nn.Sequential(
            nn.Conv2d(1, 6, kernel_size=5), nn.Tanh(), nn.AvgPool2d(2),
            nn.Conv2d(6, 16, kernel_size=5), nn.Tanh(), nn.AvgPool2d(2),
            nn.Conv2d(16, 120, kernel_size=5), nn.Tanh(),
        )  # fmt: skip
        self.classifier = nn.Sequential(nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, n_classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(torch.flatten(self.feature_extractor(x), 1))


class OldShuffle(Sampler[int]):
    """`shuffle=True` as PyTorch had it when the lecture was written: from the default generator.
    (Today that draws the seed of another generator, which then shuffles.)"""

    def __init__(self, data: Sized) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[int]:
        return iter(torch.randperm(len(self)).tolist())


def loaders(
    root: str, batch: int, *, old_shuffle: bool = False
) -> tuple[DataLoader[Any], DataLoader[Any]]:
    from torchvision import datasets, transforms

    trans = transforms.Compose([transforms.Resize((32, 32)), transforms.ToTensor()])
    train = datasets.MNIST(root, train=True, transform=trans)
    test = datasets.MNIST(root, train=False, transform=trans)
    order = OldShuffle(train) if old_shuffle else None
    return DataLoader(train, batch, shuffle=order is None, sampler=order), DataLoader(test, batch)


def train(loader: Any, model: nn.Module, criterion: Any, optimizer: Any) -> tuple[float, float]:
    model.train()
    total, correct = 0.0, 0
    for x, y in loader:
        optimizer.zero_grad()
        y_hat = model(x)
        loss = criterion(y_hat, y)
        total += loss.item() * len(x)  # the listing leaves the factor out, its table has it
        pred = y_hat.argmax(dim=1, keepdim=True)
        correct += pred.eq(y.view_as(pred)).sum().item()
        loss.backward()
        optimizer.step()
    return total / len(loader.dataset), correct / len(loader.dataset)


def test(loader: Any, model: nn.Module, criterion: Any) -> tuple[float, float]:
    model.eval()
    total, correct = 0.0, 0
    with torch.no_grad():
        for x, y in loader:
            y_hat = model(x)
            total += criterion(y_hat, y).item() * len(x)
            pred = y_hat.argmax(dim=1, keepdim=True)
            correct += pred.eq(y.view_as(pred)).sum().item()
    return total / len(loader.dataset), correct / len(loader.dataset)


def training_loop(train_loader: Any, test_loader: Any, epochs: int) -> list[list[float]]:
    """The lecture's table: losses and accuracies of training and test, a row an epoch."""
    model = LeNet5(10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001)
    criterion = nn.CrossEntropyLoss()
    rows = []
    for _ in range(epochs):
        train_loss, train_acc = train(train_loader, model, criterion, optimizer)
        test_loss, test_acc = test(test_loader, model, criterion)
        rows.append([train_loss, test_loss, train_acc, test_acc])
    return rows
