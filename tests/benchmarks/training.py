"""Training: the lecture's epoch, evaluation, ResNet-50 steps, the data pipeline, memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks import lecture
from tests.benchmarks.measure import ROOT, Row, in_turn, peak_memory

DATA = Path(os.environ.get("ARCHDSL_DATA", ROOT.parent / "shared" / "data"))
RECIPE: dict[str, Any] = {
    "data": {"name": "mnist", "dir": str(DATA), "mean": None},
    "epochs": 1,
    "batch_size": 32,
    "optimizer": {"name": "sgd", "momentum": 0.0},
    "lr": 0.001,
    "weight_decay": 0.0,
    "plots": False,
}


def _trainer(spec: str, recipe: dict[str, Any], **spec_options: Any) -> Any:
    """A trainer with its data loaded, as `fit` makes it."""
    import torch

    from archdsl.train.distributed import Ranks
    from archdsl.train.job import settle
    from archdsl.train.loop import Trainer
    from archdsl.train.run_folder import RunFolder

    job = settle(spec, recipe, quiet=True, **spec_options)
    ranks = Ranks(0, 1, torch.device("cpu"))
    folder = RunFolder(None, True, job.recipe)
    return Trainer(job.model.build(), job.load(), job.recipe, ranks, folder, job.model.plain())


def mnist() -> Iterator[Row]:
    """The lecture's epoch and its evaluation pass, on the real MNIST."""
    if not (DATA / "MNIST").is_dir():
        return
    import torch

    ours = _trainer("lenet5", RECIPE)
    model = lecture.LeNet5(10)
    criterion = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001)
    train, test = lecture.loaders(str(DATA), 32)
    epoch = iter(range(10**6))

    def our_epoch() -> None:
        ours.model.train()
        for x, y, size in ours.batches.train(next(epoch)):
            ours.step(x, y, size)

    pair = in_turn(our_epoch, lambda: lecture.train(train, model, criterion, optimizer), 3, warm=0)
    yield Row("LeNet-5 epoch on MNIST: speed", 1 / pair[0], 1 / pair[1], "/s", 2.5, "higher")
    pair = in_turn(lambda: ours.test(), lambda: lecture.test(test, model, criterion), 5)
    yield Row("evaluation of 10,000 images: speed", 1 / pair[0], 1 / pair[1], "/s", 20, "higher")


def resnet50() -> Iterator[Row]:
    """One training step at 224x224 against torchvision's module in the plain loop."""
    import torch
    import torchvision

    batch = 8
    recipe = {
        **RECIPE,
        "data": {"name": "fake", "limit": 64},
        "batch_size": batch,
        "lr": 0.1,
    }
    ours = _trainer("resnet50", recipe)
    model = torchvision.models.resnet50()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    criterion = torch.nn.CrossEntropyLoss()
    x, y, _ = next(iter(ours.batches.train(0)))
    ours.model.train()

    def plain() -> None:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        loss.item()

    pair = in_turn(lambda: ours.step(x, y, batch), plain, 5)
    yield Row("resnet50 training step, batch 8", 1 / pair[0], 1 / pair[1], "/s", 1.1, "higher")


def images() -> Iterator[Row]:
    """Images a second and core from JPEGs with crop and flip, against PIL transforms."""
    folder = DATA / "cifar10" / "train"
    if not folder.is_dir():
        return
    import tempfile

    import torch
    from PIL import Image
    from torchvision import datasets, transforms

    from archdsl.train.augment import PerImage
    from archdsl.train.recipe_file import read_recipe
    from archdsl.train.samples import read_image

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        # photographs of the usual size: ImageNet's median is 500x375
        for number in range(64):
            path = Path(scratch) / "one" / f"{number}.jpg"
            path.parent.mkdir(exist_ok=True)
            noise = torch.rand(3, 94, 125, generator=torch.Generator().manual_seed(number))
            pixels = (noise * 255).byte().permute(1, 2, 0).numpy()
            Image.fromarray(pixels).resize((500, 375), Image.Resampling.BICUBIC).save(
                path, quality=90
            )
        reference = datasets.ImageFolder(
            scratch,
            transforms.Compose(
                [
                    transforms.RandomResizedCrop(224),
                    transforms.RandomHorizontalFlip(),
                    transforms.PILToTensor(),
                    transforms.ConvertImageDtype(torch.float),
                    transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
                ]
            ),
        )
        recipe = read_recipe({"augment": {"crop": "random_resized", "hflip": 0.5}})
        per_image = PerImage(recipe.augment, (224, 224), 0)
        paths = [Path(path) for path, _ in reference.samples]

        def ours() -> None:
            for number, path in enumerate(paths):
                per_image(read_image(path), 0, number)

        def peer() -> None:
            for number in range(len(paths)):
                reference[number]

        pair = in_turn(ours, peer, 7)
    note = "ours sends uint8 and normalises on the device"
    count = len(paths)
    yield Row(
        "JPEG pipeline, images/s a core",
        count / pair[0],
        count / pair[1],
        "/s",
        1.8,
        "higher",
        note,
    )


def memory() -> Iterator[Row]:
    """Peak memory of three training steps of ResNet-50, batch 16, 224x224."""
    common = "import torch, torchvision, archdsl\nimport archdsl.train.loop\ntorch.manual_seed(0)\n"
    loop = (
        "o = torch.optim.SGD(m.parameters(), lr=0.1)\nx = torch.rand(16, 3, 224, 224)\n"
        "y = torch.randint(1000, (16,))\n"
        "for _ in range(3):\n"
        "    o.zero_grad()\n    l = torch.nn.functional.cross_entropy(m(x), y)\n"
        "    l.backward()\n    o.step()\n"
    )
    ours = peak_memory(common + "m = archdsl.load('resnet50')\n" + loop)
    peer = peak_memory(common + "m = torchvision.models.resnet50()\n" + loop)
    yield Row("resnet50 training: peak memory", ours, peer, "B", 1.0)
