"""Training on a GPU: against torchvision's reference loop and, where it is installed, timm."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.benchmarks import training
from tests.benchmarks.measure import Child, Row, in_turn, not_run

RECIPE: dict[str, Any] = {
    **training.RESNET,
    "data": {"name": "fake", "samples": 1024},
    "batch_size": 256,
    "device": "cuda",
    "precision": "bf16",
    "channels_last": True,
    "compile": True,
}
#: a reference recipe of the field: SGD with Nesterov's momentum, one cycle, label smoothing
CIFAR: dict[str, Any] = {
    "data": {"name": "cifar10", "dir": str(training.DATA)},
    "augment": {"crop": "pad", "hflip": 0.5},
    "epochs": 24,
    "batch_size": 512,
    "optimizer": {
        "name": "sgd",
        "lr": 0.4,
        "momentum": 0.9,
        "nesterov": True,
        "weight_decay": 5e-4,
    },
    "scheduler": "onecycle",
    "loss": {"name": "cross_entropy", "label_smoothing": 0.1},
    "precision": "bf16",
    "channels_last": True,
    "compile": True,
    "plots": False,
}
STEPS = 20  # in a round
#: multiply-accumulates of a forward pass, twice for FLOPs, three times for training
FLOPS = 4.09e9 * 2 * 3


def gpu() -> Iterator[Row]:
    """ResNet-50 from memory and from JPEGs, LeNet-5 on MNIST, CIFAR-10 to 94 %."""
    import torch

    name = "resnet50 training, bf16, batch 256: images/s"
    if not torch.cuda.is_available():
        for row in (name, "  from JPEGs", "LeNet-5 epoch on MNIST on the GPU", "CIFAR-10 to 94 %"):
            yield not_run(row, 1.0, "no GPU")
        return
    limit = _matrix_limit()
    with tempfile.TemporaryDirectory() as folder:
        training.photographs(Path(folder), 2048, classes=1000)  # as many as ResNet-50 has
        for row, data in ((name, ""), ("  from JPEGs", folder)):
            yield from _against_all(row, data, limit)
    yield from training.lenet_rows(" on the GPU", "1, 'cuda'", (1.0, 1.0))
    yield _to_94()


def _against_all(name: str, folder: str, limit: float) -> Iterator[Row]:
    ours = _child(f"ours({folder!r})")
    batch = RECIPE["batch_size"]
    for kind in ("torchvision", *(["timm"] if find_spec("timm") else [])):
        peer = _child(f"peer({kind!r}, {folder!r})")
        row = in_turn(ours, peer, 7, warm=2).speed(f"{name}, {kind}", 1.0, STEPS * batch)
        row.note = f"{row.ours * FLOPS / limit:.0%} of the card's matrix products"
        yield row
        peer.end()
    ours.end()


def _child(what: str) -> Child:
    return Child(f"from tests.benchmarks.gpu import ours, peer\nrun = {what}\n")


def ours(folder: str) -> Callable[[str], None]:
    """`STEPS` steps of the training loop, with data from the device or from JPEGs."""
    import torch

    recipe = dict(RECIPE)
    if folder:
        recipe |= {
            # all of them, and whole batches, as the reference has it
            "data": {"name": f"folder:{folder}", "val_fraction": 0, "drop_last": True},
            "augment": {"crop": "random_resized", "hflip": 0.5},
        }
    made = training.trainer("resnet50", recipe)
    made.model.train()
    stream = _forever(lambda epoch: made.batches.train(epoch))
    still = next(stream)

    def run(_: str) -> None:
        for _ in range(STEPS):
            made.step(*(next(stream) if folder else still))
        torch.cuda.synchronize()

    return run


def peer(kind: str, folder: str) -> Callable[[str], None]:
    """The reference loop: DataLoader, autocast, compiled, channels-last."""
    import torch
    from torch.utils.data import DataLoader

    if kind == "timm":
        import timm

        model = timm.create_model("resnet50")
    else:
        import torchvision

        model = torchvision.models.resnet50()
    model = torch.compile(model.cuda().to(memory_format=torch.channels_last))
    criterion = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    batch = RECIPE["batch_size"]
    still = torch.rand(batch, 3, 224, 224), torch.randint(1000, (batch,))
    if folder:
        loader = DataLoader(
            training.reference_images(folder), batch, shuffle=True, drop_last=True,
            num_workers=8, pin_memory=True, persistent_workers=True,
        )  # fmt: skip
        stream = _forever(lambda _: loader)
    else:
        still = still[0].cuda(), still[1].cuda()

    def run(_: str) -> None:
        for _ in range(STEPS):
            x, y = next(stream) if folder else still
            x = x.cuda(non_blocking=True).contiguous(memory_format=torch.channels_last)
            y = y.cuda(non_blocking=True)
            with torch.autocast("cuda", dtype=torch.bfloat16):
                loss = criterion(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        torch.cuda.synchronize()

    return run


def _forever(epoch: Callable[[int], Any]) -> Iterator[Any]:
    number = 0
    while True:
        yield from epoch(number)
        number += 1


def _matrix_limit() -> float:
    """FLOPs a second of one large product in bf16."""
    import torch

    a = torch.rand(8192, 8192, device="cuda", dtype=torch.bfloat16)

    def products() -> None:
        for _ in range(20):
            a @ a
        torch.cuda.synchronize()

    return 20 * 2 * 8192**3 / min(in_turn(products, products, 5).ours)


def _to_94() -> Row:
    """From the first step to the first test at 94 %, tests included. No peer package trains to a
    goal; the figure is for the reader's own."""
    from archdsl.train import fit

    name = "CIFAR-10 to 94 %"
    result = fit("resnet18", CIFAR, fit_spec=True, quiet=True)
    done = [row for row in result.history if (row["test_accuracy"] or 0) >= 0.94]
    if not done:
        return not_run(name, 1.0, "never reached")
    seconds = sum(row["seconds"] for row in result.history[: result.history.index(done[0]) + 1])
    return Row(name, seconds, 0, "s", None, note=f"after epoch {done[0]['epoch']}")
