"""The lecture's four image datasets by name, from tiny files in the form of the real ones."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision import transforms
from torchvision.transforms import v2

from archdsl.train import read_recipe
from archdsl.train.data.batches import Batches
from archdsl.train.data.load import LoadedData, load_data
from archdsl.train.data.sources import Wanted, open_source

RANDOM = np.random.default_rng(0)
IMAGENET = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def opened(
    folder: Path, shape: tuple[int, int, int], classes: int, **data: Any
) -> tuple[LoadedData, Tensor]:
    """The loaded data and its first test batch, as the model gets it."""
    recipe = read_recipe({"data": {"dir": str(folder), "workers": 0, **data}})
    source = open_source(recipe.data, Wanted(shape, classes, "cross_entropy"))
    assert len(source.classes) == classes
    loaded = load_data(source, recipe, shape)
    batch, _ = next(Batches(loaded, recipe, torch.device("cpu")).test())
    return loaded, batch


def picture(path: Path, size: tuple[int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = RANDOM.integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(pixels).resize(size).save(path)


def as_torchvision(image: Any, size: list[int], mean: list[float], std: list[float]) -> Tensor:
    steps = [v2.PILToTensor(), v2.Resize(size), v2.ToDtype(torch.float32, scale=True)]
    made: Tensor = v2.Compose([*steps, v2.Normalize(mean, std)])(image)
    return made


def test_mnist(tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    pixels = {}
    for name, count in (("train", 40), ("t10k", 20)):
        pixels[name] = RANDOM.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        head = struct.pack(">IIII", 2051, count, 28, 28)
        (raw / f"{name}-images-idx3-ubyte").write_bytes(head + pixels[name].tobytes())
        labels = (np.arange(count) % 10).astype(np.uint8)
        head = struct.pack(">II", 2049, count)
        (raw / f"{name}-labels-idx1-ubyte").write_bytes(head + labels.tobytes())
    loaded, batch = opened(tmp_path, (1, 32, 32), 10, name="mnist")
    assert len(loaded.train) == 40 and len(loaded.test) == 20
    expected = as_torchvision(Image.fromarray(pixels["t10k"][0]), [32, 32], [0.1307], [0.3081])
    assert torch.allclose(batch[0], expected, atol=1e-5)
    # As the lecture has them, with its own transforms: 32x32, 0 to 1, not normalised.
    _, batch = opened(tmp_path, (1, 32, 32), 10, name="mnist", mean=None, std=None)
    listed = transforms.Compose([transforms.Resize((32, 32)), transforms.ToTensor()])
    for image, seen in zip(pixels["t10k"], batch, strict=True):
        assert torch.equal(seen, listed(Image.fromarray(image)))


def test_cifar10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    names = ["plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": names}))
    rows = RANDOM.integers(0, 256, (10, 3072), dtype=np.uint8)
    for part in [*[f"data_batch_{n}" for n in range(1, 6)], "test_batch"]:
        (folder / part).write_bytes(pickle.dumps({"data": rows, "labels": list(range(10))}))
    loaded, batch = opened(tmp_path, (3, 32, 32), 10, name="cifar10")
    assert loaded.task.names == tuple(names)
    assert len(loaded.train) == 50 and len(loaded.test) == 10
    image = Image.fromarray(rows[0].reshape(3, 32, 32).transpose(1, 2, 0))
    mean, std = [0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]
    assert torch.allclose(batch[0], as_torchvision(image, [32, 32], mean, std), atol=1e-5)


def test_caltech101(tmp_path: Path) -> None:
    folder = tmp_path / "caltech101" / "101_ObjectCategories"
    for n in range(101):
        picture(folder / f"class{n:03}" / "image_0001.jpg", (30, 20))
    picture(folder / "BACKGROUND_Google" / "image_0001.jpg", (30, 20))
    loaded, batch = opened(tmp_path, (3, 16, 16), 101, name="caltech101")
    assert "BACKGROUND_Google" not in loaded.task.names
    assert len(loaded.train) + len(loaded.test) == 101
    assert batch.shape[1:] == (3, 16, 16)


def test_imagenet(tmp_path: Path) -> None:
    for n in range(1000):
        (tmp_path / "train" / f"n{n:08}").mkdir(parents=True)
    picture(tmp_path / "one.png", (300, 200))
    for n in range(1000):
        (tmp_path / "train" / f"n{n:08}" / "a.png").symlink_to(tmp_path / "one.png")
    picture(tmp_path / "val" / "n00000000" / "b.png", (300, 200))
    small = (3, 64, 64)
    _, batch = opened(tmp_path, small, 1000, name="imagenet", resize=72, cache="none")
    image = Image.open(tmp_path / "val" / "n00000000" / "b.png")
    steps = [v2.PILToTensor(), v2.Resize(72), v2.CenterCrop(64), v2.ToDtype(torch.float32, True)]
    expected = v2.Compose([*steps, v2.Normalize(*IMAGENET)])(image)
    assert torch.allclose(batch[0], expected, atol=1e-5)


def test_own_folder(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            picture(tmp_path / "photos" / split / name / "1.jpg", (40, 30))
    loaded, batch = opened(tmp_path, (3, 32, 32), 2, name=f"folder:{tmp_path}/photos")
    assert loaded.task.names == ("cat", "dog")
    assert batch.shape == (2, 3, 32, 32)


def test_the_real_images(real_data: Path) -> None:
    loaded, _ = opened(real_data, (1, 32, 32), 10, name="mnist")
    assert len(loaded.train) == 60_000 and len(loaded.test) == 10_000
    loaded, batch = opened(real_data, (3, 32, 32), 10, name=f"folder:{real_data}/cifar10", limit=64)
    assert loaded.task.names[0] == "airplane" and batch.shape[1:] == (3, 32, 32)
