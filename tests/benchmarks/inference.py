"""Inference on the CPU against the module as it is, eager."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.measure import Row, in_turn

OTHERS = ("resnet18", "mobilenet_v2", "googlenet", "densenet121", "vgg16")


def lenet() -> Iterator[Row]:
    """LeNet-5 at batch 1, where overhead is nearly all there is."""
    import torch

    import archdsl
    from tests.benchmarks.lecture import LeNet5

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    ours, peer = archdsl.load("lenet5").eval(), LeNet5(10).eval()
    fused = archdsl.load("lenet5", optimize="cpu")
    x = torch.rand(1, 1, 32, 32)

    def many(module: Any) -> None:
        with torch.inference_mode():
            for _ in range(200):
                module(x)

    pair = in_turn(lambda: many(ours), lambda: many(peer), 21)
    yield pair.speed("lenet5 forward, batch 1", 1.0, 200, note="peer: written by hand")
    pair = in_turn(lambda: many(fused), lambda: many(peer), 21)
    yield pair.speed('  loaded with optimize="cpu"', 1.25, 200)
    torch.set_num_threads(threads)


def inference() -> Iterator[Row]:
    """ResNet-50, optimised in torch and by onnxruntime, against torchvision's; then other nets."""
    import torchvision

    import archdsl

    peer = torchvision.models.resnet50().eval()
    for batch in (1, 8):
        better = archdsl.load("resnet50", optimize="cpu")
        yield _faster(f'resnet50, optimize="cpu", batch {batch}', better, peer, 1.3, batch)
    with tempfile.TemporaryDirectory() as folder:
        session = _onnx(Path(folder, "resnet50.onnx"))
        yield _faster("resnet50 in onnxruntime, batch 1", session, peer, 1.5, 1)
    for name in OTHERS:
        plain = torchvision.models.get_model(name, weights=None).eval()
        better = archdsl.load(name, optimize="cpu")
        yield _faster(f'{name}, optimize="cpu", batch 1', better, plain, None, 1, 7)


def _faster(
    name: str, ours: Any, peer: Any, goal: float | None, batch: int, rounds: int = 15
) -> Row:
    import torch

    x = torch.rand(batch, 3, 224, 224)
    with torch.inference_mode():
        return in_turn(lambda: ours(x), lambda: peer(x), rounds).speed(name, goal, batch)


def _onnx(path: Path) -> Any:
    import onnxruntime
    import torch

    import archdsl

    archdsl.export("resnet50", path, optimize=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x.numpy()})
