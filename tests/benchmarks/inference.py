"""Optimised inference against the module as it is: a single image on the CPU."""

from __future__ import annotations

from collections.abc import Iterator

from tests.benchmarks.measure import Row, in_turn

NETS = ("resnet18", "resnet50", "mobilenet_v2", "googlenet", "densenet121", "vgg16")


def inference(rounds: int = 15) -> Iterator[Row]:
    import torch

    import archdsl

    def once(name: str) -> Row:
        better, plain = archdsl.load(name, optimize=True), archdsl.load(name).eval()
        x = torch.rand(1, *plain.program.input_shape)
        with torch.inference_mode():
            ours, peer = in_turn(lambda: better(x), lambda: plain(x), rounds)
        return Row(f"{name}, optimised", 1e3 * ours, 1e3 * peer, "ms", None)

    yield from map(once, NETS)
