"""The compiler: start-up, checking, building, the speed of what it builds."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.measure import Row, in_turn, peak_memory, process

TORCH = ["-c", "import torch"]


def startup() -> Iterator[Row]:
    """Whole processes against `import torch`."""
    for command, goal in (("check specs/resnet50.arch", 0.10), ("--help", 0.08), ("ops", 0.08)):
        ours, peer = in_turn(process(["-m", "archdsl", *command.split()]), process(TORCH), 7)
        yield Row(f"archdsl {command}", ours, peer, "s", goal, note="peer: import torch")


def checking() -> Iterator[Row]:
    """Parsing and checking in a warm process; the peer's figure is the goal in seconds."""
    from archdsl.pipeline import open_spec

    def check(spec: Any, **params: Any) -> Any:
        def run() -> None:
            assert open_spec(spec, params=params).program is not None

        return run

    ours, _ = in_turn(check("resnet50"), lambda: None, 15)
    yield Row("check resnet50, warm", ours, 0.015, "s", 1.0, note="peer: 15 ms")
    small, _ = in_turn(check("resnet50", depths=(3, 4, 6, 3)), lambda: None, 9)
    large, _ = in_turn(check("resnet50", depths=(83, 83, 83, 84)), lambda: None, 5)
    yield Row("check a 1001-layer resnet, per layer", large / 1001, small / 50, "s", 1.0)
    texts = {n: _long_spec(n) for n in (200, 2000)}
    short, _ = in_turn(check(texts[200]), lambda: None, 5)
    long, _ = in_turn(check(texts[2000]), lambda: None, 3)
    yield Row("check 2,000 lines, per line (peer: 200)", long / 2000, short / 200, "s", 1.2)


def editor() -> Iterator[Row]:
    """A keystroke in resnet152, from the editor's message to the answer; the peer's figure is the
    goal in seconds."""
    import asyncio

    ours = statistics.median(asyncio.run(_keystrokes(40)))
    yield Row("keystroke in resnet152, lsp", ours, 0.05, "s", 1.0, note="peer: 50 ms")


async def _keystrokes(count: int) -> list[float]:
    """Seconds until the diagnostics of each have come; every other one breaks the text."""
    from lsprotocol import types as lsp
    from pytest_lsp import make_test_lsp_client

    from archdsl.pipeline import specs_folder

    text = (specs_folder() / "resnet50.arch").read_text().replace("[3, 4, 6, 3]", "[3, 8, 36, 3]")
    uri = (specs_folder() / "mine.arch").as_uri()
    client = make_test_lsp_client()
    await client.start_io(sys.executable, "-m", "archdsl", "lsp")
    await client.initialize_session(lsp.InitializeParams(capabilities=lsp.ClientCapabilities()))
    opened = lsp.TextDocumentItem(uri, "arch", 0, text)
    client.text_document_did_open(lsp.DidOpenTextDocumentParams(opened))
    await client.wait_for_notification(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
    times = []
    for version in range(1, count + 1):
        new = text.rstrip()[: -(version % 2) or None] + "\n" * version
        document = lsp.VersionedTextDocumentIdentifier(version, uri)
        change = lsp.TextDocumentContentChangeWholeDocument(new)
        began = time.perf_counter()
        client.text_document_did_change(lsp.DidChangeTextDocumentParams(document, [change]))
        told = await client.wait_for_notification(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        times.append(time.perf_counter() - began)
        assert told.version == version and bool(told.diagnostics) == bool(version % 2)
    await client.shutdown_session()
    await client.stop()
    return times


def _long_spec(lines: int) -> str:
    body = "\n".join(f"  c{i}: conv 8 3x3 pad=1 -> bn -> relu" for i in range(lines - 4))
    return f"model long() {{\n  input 3x16x16\n{body}\n  gap; flatten\n}}"


def building() -> Iterator[Row]:
    """Modules with fresh weights, and with weights from a file."""
    import torch
    import torchvision

    import archdsl

    def ours() -> None:
        torch.manual_seed(0)
        archdsl.load("resnet50")

    def peer() -> None:
        torch.manual_seed(0)
        torchvision.models.resnet50()

    yield Row("load resnet50, seeded", *in_turn(ours, peer, 9), "s", 1.05)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "resnet50.pth"
        torch.save(torchvision.models.resnet50().state_dict(), path)

        def by_hand() -> None:
            model = torchvision.models.resnet50()
            model.load_state_dict(torch.load(path, weights_only=True))

        pair = in_turn(lambda: archdsl.load("resnet50", weights=path), by_hand, 9)
        yield Row("load resnet50 with weights", *pair, "s", 0.2)
        base = peak_memory("import torch, torchvision, archdsl.backends.torch")
        mine = peak_memory(
            f"import torchvision, archdsl\nm = archdsl.load('resnet50', weights={str(path)!r})"
        )
        theirs = peak_memory(
            "import torch, torchvision, archdsl.backends.torch\nm = torchvision.models.resnet50()\n"
            f"m.load_state_dict(torch.load({str(path)!r}, weights_only=True))"
        )
        note = "over the imports' own"
        yield Row("  its peak memory", max(mine - base, 1), theirs - base, "B", 0.5, note=note)


def speed() -> Iterator[Row]:
    """Forward and backward of every LeNet-to-ResNet spec against torchvision's module."""
    import torch
    import torchvision

    import archdsl

    names = "alexnet vgg11 vgg16_bn googlenet inception_v3 resnet18 resnet34 resnet50 resnet101"
    names += " resnet152 resnext50_32x4d wide_resnet50_2"
    for name in names.split():
        size = 299 if name == "inception_v3" else 96
        extra = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
        pair = archdsl.load(name), torchvision.models.get_model(name, weights=None, **extra)
        x = torch.rand(4, 3, size, size)

        def step(module: torch.nn.Module, x: torch.Tensor = x) -> None:
            output = module(x)
            (output if isinstance(output, torch.Tensor) else output[0]).sum().backward()
            module.zero_grad()

        ours, peer = in_turn(lambda: step(pair[0]), lambda: step(pair[1]), 7)  # noqa: B023
        yield Row(f"{name}: training throughput", 1 / ours, 1 / peer, "/s", 1.0, "higher")


def lenet() -> Iterator[Row]:
    """LeNet-5 at batch 1, where overhead is all there is."""
    import torch

    import archdsl
    from tests.benchmarks.lecture import LeNet5

    torch.set_num_threads(1)
    ours, peer = archdsl.load("lenet5").eval(), LeNet5(10).eval()
    x = torch.rand(1, 1, 32, 32)

    def many(module: torch.nn.Module) -> None:
        with torch.inference_mode():
            for _ in range(200):
                module(x)

    mine, theirs = in_turn(lambda: many(ours), lambda: many(peer), 11)
    yield Row("lenet5 forward, batch 1", 1 / mine, 1 / theirs, "/s", 1.0, "higher")
    torch.set_num_threads(torch.get_num_threads())
