"""Training: the lecture's epoch, evaluation, ResNet-50 steps, memory, the data pipeline."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.measure import ROOT, Child, Row, in_turn, not_run

DATA = Path(os.environ.get("ARCHDSL_DATA", ROOT.parent / "shared" / "data"))
#: the lecture's: plain SGD, pixels from 0 to 1
LECTURE: dict[str, Any] = {
    "data": {"name": "mnist", "dir": str(DATA), "mean": None, "std": None},
    "batch_size": 32,
    "optimizer": {"name": "sgd", "lr": 0.001},
}
RESNET: dict[str, Any] = {
    "data": {"name": "fake", "samples": 64},
    "batch_size": 16,
    "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9},
}
#: mean and deviation
IMAGENET = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def trainer(spec: str, recipe: dict[str, Any]) -> Any:
    """What `archdsl train` makes before its first step, but for the run folder."""
    import torch

    from archdsl.train.engine.allocator import keep_freed_memory
    from archdsl.train.engine.distributed import Ranks, pick_device
    from archdsl.train.engine.trainer import Trainer
    from archdsl.train.request import Request, settle

    job = settle(Request(spec, recipe, quiet=True))
    ranks = Ranks(0, 1, pick_device(job.recipe.device))
    if ranks.device.type == "cpu":
        keep_freed_memory()
    if job.recipe.threads is not None:
        torch.set_num_threads(job.recipe.threads)
    data = job.load()
    torch.manual_seed(job.recipe.seed)
    return Trainer(job.model.build(), data, job.recipe, ranks, job.model.plain())


def our_lenet(threads: int, device: str = "cpu") -> Callable[[str], list[float]]:
    """Trains for an epoch, or tests: mean loss and accuracy."""
    from archdsl.train.engine.trainer import Sums

    ours = trainer("lenet5", {**LECTURE, "threads": threads, "device": device})

    def run(what: str) -> list[float]:
        if what == "test":
            tested = ours.test()
            return [tested.loss, tested.top1]
        ours.model.train()
        for _ in ours._steps(0):
            pass
        ours.sums.flush()
        loss, hits, samples = ours.sums.total
        ours.sums, ours.epoch = Sums(ours.ranks.device), ours.epoch + 1
        return [loss / samples, hits / samples]

    return run


class Moved:
    """A loader whose batches are brought to the device."""

    def __init__(self, loader: Any, device: str) -> None:
        self.loader, self.device, self.dataset = loader, device, loader.dataset

    def __iter__(self) -> Iterator[Any]:
        return ((x.to(self.device), y.to(self.device)) for x, y in self.loader)


def the_lectures_lenet(threads: int, device: str = "cpu") -> Callable[[str], tuple[float, float]]:
    """The same from the same weights in the same order of samples, which the lecture would draw."""
    import torch
    from torch.utils.data import DataLoader

    from archdsl.train.data.sampling import epoch_order
    from tests.benchmarks import lecture

    torch.set_num_threads(threads)
    train, test = lecture.loaders(str(DATA), LECTURE["batch_size"])
    torch.manual_seed(0)
    model = lecture.LeNet5(10).to(device)
    criterion = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=LECTURE["optimizer"]["lr"])
    epochs = iter(range(10**6))

    def run(what: str) -> tuple[float, float]:
        if what == "test":
            return lecture.test(Moved(test, device), model, criterion)
        order = epoch_order(0, next(epochs), len(train.dataset)).tolist()
        loader = DataLoader(train.dataset, LECTURE["batch_size"], sampler=order)
        return lecture.train(Moved(loader, device), model, criterion, optimizer)

    return run


def mnist() -> Iterator[Row]:
    """The lecture's epoch and its evaluation pass, on the real MNIST: with torch's choice of
    threads, and with one, which is what specs/lenet5.yaml asks for."""
    yield from lenet_rows("", f"{torch_threads()}")
    yield from lenet_rows(", one thread", "1")


def lenet_rows(how: str, given: str, goals: tuple[float, float] = (2.5, 20)) -> Iterator[Row]:
    names = f"LeNet-5 epoch on MNIST{how}", f"  evaluation of 10,000{how}"
    if not (DATA / "MNIST").is_dir():
        yield from (
            not_run(name, goal, "no MNIST") for name, goal in zip(names, goals, strict=True)
        )
        return
    ours, peer = (
        Child(f"from tests.benchmarks.training import {name}\nrun = {name}({given})\n")
        for name in ("our_lenet", "the_lectures_lenet")
    )
    losses: list[Any] = [[], []]

    def epoch(side: int) -> None:
        losses[side].append((ours, peer)[side]("train"))

    pair = in_turn(lambda: epoch(0), lambda: epoch(1), 2, warm=0)
    worst = max(abs(a[0] / b[0] - 1) for a, b in zip(*losses, strict=True))
    same = "to the last bit" if losses[0] == losses[1] else f"to {worst:.0e}"
    yield pair.speed(f"{names[0]}: images/s", goals[0], 60_000, note=f"losses the same {same}")
    ours("test"), peer("test")
    pair = in_turn(lambda: ours("test"), lambda: peer("test"), 5, warm=0)
    yield pair.speed(f"{names[1]}: images/s", goals[1], 10_000)
    ours.end()
    peer.end()


def torch_threads() -> int:
    import torch

    return torch.get_num_threads()


def our_resnet50() -> Callable[[str], None]:
    ours = trainer("resnet50", RESNET)
    x, y, size = next(iter(ours.batches.train(0)))
    ours.model.train()
    return lambda _: ours.step(x, y, size)


def plain_resnet50() -> Callable[[str], None]:
    """torchvision's module in the loop that everybody writes."""
    import torch
    import torchvision

    model, criterion = torchvision.models.resnet50(), torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    batch = RESNET["batch_size"]
    x, y = torch.rand(batch, 3, 224, 224), torch.randint(1000, (batch,))

    def run(_: str) -> None:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        loss.item()

    return run


def resnet50() -> Iterator[Row]:
    """Training steps at 224x224 against torchvision's module in the plain loop; their memory."""
    ours, peer = (
        Child(f"from tests.benchmarks.training import {name}\nrun = {name}()\n")
        for name in ("our_resnet50", "plain_resnet50")
    )
    pair, batch = in_turn(ours, peer, 5), RESNET["batch_size"]
    yield pair.speed(f"resnet50 training, batch {batch}: images/s", 1.1, batch)
    peaks = ours.peak(), peer.peak()
    yield Row("  peak memory of its process", *peaks, "B", 1.0)
    ours.end()
    peer.end()


def images() -> Iterator[Row]:
    """Images a second and core from JPEGs with crop and flip, against PIL transforms."""
    import torch

    from archdsl.train.data.augment import Batch, PerImage
    from archdsl.train.data.images import read_image
    from archdsl.train.recipe.read import read_recipe

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        photographs(Path(scratch), 64)
        reference = reference_images(scratch)
        recipe = read_recipe({"augment": {"crop": "random_resized", "hflip": 0.5}})
        per_image = PerImage(recipe.augment, (224, 224), 0)
        batch = Batch(recipe.augment, *IMAGENET, torch.device("cpu"), 0)
        paths = [Path(path) for path, _ in reference.samples]

        def decoded() -> torch.Tensor:
            return torch.stack([per_image(read_image(p), 0, n) for n, p in enumerate(paths)])

        def ours() -> None:
            batch.train(decoded(), 0, torch.arange(len(paths)), len(paths))

        def peer() -> None:
            torch.stack([reference[number][0] for number in range(len(paths))])

        pairs = in_turn(decoded, peer, 7), in_turn(ours, peer, 7)
    torch.set_num_threads(threads)
    yield pairs[1].speed("JPEG pipeline: images/s a core", 1.8, len(paths))
    note = "without mirroring and normalising, which a GPU does for whole batches"
    yield pairs[0].speed("  a worker's part", None, len(paths), note=note)


def photographs(folder: Path, count: int, classes: int = 1) -> None:
    """JPEGs of the usual size (ImageNet's median is 500x375) in class folders."""
    import torch
    from PIL import Image

    for number in range(classes):
        (folder / f"{number:04}").mkdir()
    for number in range(count):
        noise = torch.rand(94, 125, 3, generator=torch.Generator().manual_seed(number))
        image = Image.fromarray((noise * 255).byte().numpy())
        image = image.resize((500, 375), Image.Resampling.BICUBIC)
        image.save(folder / f"{number % classes:04}" / f"{number}.jpg", quality=90)


def reference_images(folder: str) -> Any:
    """torchvision's reference pipeline for training, in PIL."""
    import torch
    from torchvision import datasets
    from torchvision import transforms as t

    steps = [t.RandomResizedCrop(224), t.RandomHorizontalFlip(), t.PILToTensor()]
    steps += [t.ConvertImageDtype(torch.float)]
    steps += [t.Normalize(*IMAGENET)]
    return datasets.ImageFolder(folder, t.Compose(steps))
