"""The compiler: start-up, checking, building, the speed of what it builds."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.measure import Row, alone, in_turn, peak_memory, process

TORCH = ["-c", "import torch"]
#: torchvision's from AlexNet to ResNet
NETS = """alexnet vgg11 vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn googlenet inception_v3
resnet18 resnet34 resnet50 resnet101 resnet152 resnext50_32x4d resnext101_32x8d resnext101_64x4d
wide_resnet50_2 wide_resnet101_2"""


def startup() -> Iterator[Row]:
    """Whole processes against `import torch`."""
    for command, goal in (("check specs/resnet50.arch", 0.10), ("--help", 0.08), ("ops", 0.08)):
        pair = in_turn(process(["-m", "archdsl", *command.split()]), process(TORCH), 7)
        yield pair.seconds(f"archdsl {command}", goal, note="peer: import torch")


def checking() -> Iterator[Row]:
    """Parsing and checking in a warm process; the peer's figure is the goal in seconds."""
    from archdsl.pipeline import open_spec

    def check(spec: str, **params: Any) -> Any:
        def run() -> None:
            opened = open_spec(spec, params=params)
            assert opened.program is not None and opened.diagnostics is not None

        return run

    ours = alone(check("resnet50"), 25)
    yield Row("check resnet50, warm", ours, 0.015, "s", 1.0, note="peer: 15 ms")
    ours = alone(check("resnet152", depths=(3, 8, 35, 3)), 25)
    yield Row("check resnet152, one number changed", ours, 0.05, "s", 1.0, note="peer: 50 ms")
    sizes = [(n, alone(check("resnet50", depths=(n, n, n, n + 1)), 15)) for n in (4, 83)]
    (few, small), (many, large) = ((12 * n + 5, seconds) for n, seconds in sizes)
    note = f"peer: {few} layers"
    yield Row(
        f"check a {many}-layer resnet, per layer", large / many, small / few, "s", 1.0, note=note
    )
    texts = {n: _long_spec(n) for n in (200, 2000)}
    short, long = (
        alone(check(text), rounds) for text, rounds in zip(texts.values(), (9, 5), strict=True)
    )
    yield Row("check 2,000 lines, per line", long / 2000, short / 200, "s", 1.2, note="peer: 200")


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
    body = "\n".join(f"  c{i}: conv 8 3x3 pad=1" for i in range(lines - 4))
    return f"model long() {{\n  input 8x16x16\n{body}\n  gap; flatten\n}}"


def bombs() -> Iterator[Row]:
    """Texts that ask for far too much; the seconds are the processor's."""
    from tests.checker.bombs import run

    with tempfile.TemporaryDirectory() as folder:
        name, _, seconds = max(run(Path(folder)), key=lambda bomb: bomb[2])
    yield Row(f"worst bomb: {name}", seconds, 1.0, "s", 1.0, note="peer: 1 s")


def estimates() -> Iterator[Row]:
    """The static estimate of a training step's memory against torch's own account; the ratio is
    the error."""
    import torch

    from archdsl.ir.memory import training_memory
    from archdsl.pipeline import open_spec
    from tests.benchmarks.held import held

    device = "cuda" if torch.cuda.is_available() else "cpu"
    names = "alexnet vgg16 googlenet resnet18 resnet50 densenet121 mobilenet_v2 efficientnet_b0"
    for name in f"{names} convnext_tiny vit_b_16 swin_t".split():
        program = open_spec(name).checked()
        said, found = training_memory(program, batch=4).peak, held(program, 4, device=device)
        note = f"said {said / 1e6:,.0f} MB, held {found / 1e6:,.0f} MB"
        yield Row(f"memory estimate of {name}", abs(said - found), found, "B", 0.15, note=note)


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

    yield in_turn(ours, peer, 9).seconds("load resnet50, seeded", 1.05)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "resnet50.pth"
        torch.save(torchvision.models.resnet50().state_dict(), path)

        def by_hand() -> None:
            model = torchvision.models.resnet50()
            model.load_state_dict(torch.load(path, weights_only=True))

        pair = in_turn(lambda: archdsl.load("resnet50", weights=path), by_hand, 9)
        yield pair.seconds("load resnet50 with weights", 0.2)
        base = peak_memory("import torch, torchvision, archdsl.runtime.module")
        mine = peak_memory(
            f"import torchvision, archdsl\nm = archdsl.load('resnet50', weights={str(path)!r})"
        )
        theirs = peak_memory(
            "import torch, torchvision, archdsl.runtime.module\nm = torchvision.models.resnet50()\n"
            f"m.load_state_dict(torch.load({str(path)!r}, weights_only=True))"
        )
        note = "over the imports' own"
        yield Row("  its peak memory", max(mine - base, 1), theirs - base, "B", 0.5, note=note)


def speed() -> Iterator[Row]:
    """Forward and backward of every spec from LeNet to ResNet, against torchvision's module."""
    import torch
    import torchvision

    import archdsl
    from tests.benchmarks.lecture import LeNet5

    def step(module: torch.nn.Module, x: torch.Tensor) -> None:
        output = module(x)
        (output if isinstance(output, torch.Tensor) else output[0]).sum().backward()
        module.zero_grad()

    def one(name: str, peer: torch.nn.Module, x: torch.Tensor, each: int = 1) -> Row:
        ours = archdsl.load(name)
        ours.load_state_dict(peer.state_dict())
        runs = [lambda m=m: [step(m, x) for _ in range(each)] for m in (ours, peer)]
        return in_turn(*runs, 11).speed(f"{name}: forward, backward", 1.0, each * len(x))

    yield one("lenet5", LeNet5(10), torch.rand(32, 1, 32, 32), 50)
    for name in NETS.split():
        size = 299 if name == "inception_v3" else 64
        extra = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
        peer = torchvision.models.get_model(name, weights=None, **extra)
        yield one(name, peer, torch.rand(2, 3, size, size))
