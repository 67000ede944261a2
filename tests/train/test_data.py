"""Datasets: traps of folders, what is wrong named, splits, sizes, tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from archdsl.train import fit, read_recipe
from archdsl.train.data.batches import Batches
from archdsl.train.data.folder import open_folder
from archdsl.train.data.load import load_data
from archdsl.train.data.sources import Source, Wanted, open_source
from tests.train.nets import RECIPE, SPEC, small_net


def image(path: Path, shade: int = 0, mode: str = "RGB", size: tuple[int, int] = (12, 10)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, shade if mode != "RGB" else (shade, shade, shade)).save(path)


def opened(name: str, shape: tuple[int, ...] = (3, 8, 8), **keys: Any) -> tuple[Any, Any]:
    recipe = read_recipe({"data": {"name": name, **keys}})
    source = open_source(recipe.data, Wanted(shape, None, recipe.loss.name))
    return load_data(source, recipe, shape), recipe


def test_workers_come_from_a_server_once_cuda_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(8):
        image(tmp_path / "ab"[n % 2] / f"{n}.png", 20 * n)
    data, recipe = opened(f"folder:{tmp_path}", cache="none", workers=1, val_fraction=0)
    recipe = recipe.model_copy(update={"batch_size": 4})
    found = []
    for started in (False, True):
        monkeypatch.setattr(torch.cuda, "is_initialized", lambda started=started: started)
        batches = Batches(data, recipe, torch.device("cpu"))
        found.append(torch.cat([x for x, *_ in batches.train(0)]))
        context = batches._loaders["train"].multiprocessing_context
        assert (context is not None and context.get_start_method() == "forkserver") == started
        batches.close()
    assert torch.equal(*found)


def test_classes_come_from_the_training_split(tmp_path: Path) -> None:
    """ImageFolder would number val's b, c, d as 0, 1, 2, which are a, b, c in training."""
    for name in "abcd":
        image(tmp_path / "train" / name / "1.png")
    for name in "bcd":
        image(tmp_path / "val" / name / "1.png")
    (tmp_path / "train/.ipynb_checkpoints").mkdir()
    image(tmp_path / "val/.ipynb_checkpoints/1.png")
    found = open_folder(tmp_path)
    train, test, classes = found.train, found.test, found.classes
    assert classes == ("a", "b", "c", "d")
    assert test is not None and test.y.tolist() == [1, 2, 3]
    assert train.y.tolist() == [0, 1, 2, 3]


def test_a_class_unknown_to_training_is_named(tmp_path: Path, raises: Any) -> None:
    image(tmp_path / "train/a/1.png")
    image(tmp_path / "test/e/1.png")
    text = raises(open_folder, tmp_path)
    assert "class 'e' is not in" in text and "the classes for training are a" in text


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([], "holds no class folders"),
        (["a/1.png", "b/notes.txt"], "class 'b' has no images"),
        (["train/x.png"], "train: holds no class folders"),
    ],
)
def test_folder_problems(files: list[str], expected: str, tmp_path: Path, raises: Any) -> None:
    for name in files:
        if name.endswith(".txt"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text("x")
        else:
            image(tmp_path / name)
    assert expected in raises(open_folder, tmp_path)


def test_paths_are_bytes_not_objects(tmp_path: Path) -> None:
    """A list of strings would be copied into each worker process, page by page."""
    image(tmp_path / "a/1.png")
    train = open_folder(tmp_path).train
    assert train.paths.dtype.kind == "S" and isinstance(train.y, torch.Tensor)


def test_missing_folder_and_dataset(tmp_path: Path, raises: Any) -> None:
    assert "no such folder" in raises(open_folder, tmp_path / "none")
    assert "there is no dataset 'mnits'" in raises(opened, "mnits")
    text = raises(opened, "imagenet", dir=str(tmp_path))
    assert "image-net.org" in text and "--data-dir" in text


def test_no_internet_is_told_with_what_to_do(
    tmp_path: Path, raises: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import urllib.request

    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    text = raises(opened, "cifar10", dir=str(tmp_path))
    assert "CIFAR10 is not in" in text and "Name or service not known" in text
    assert "cifar-10-python.tar.gz" in text and "--data-dir" in text and "digits" in text


def test_images_of_every_kind_fit_the_spec(tmp_path: Path) -> None:
    image(tmp_path / "a/1.png", 10, "L")
    image(tmp_path / "a/2.png", 10, "RGB", (30, 8))
    Image.new("CMYK", (9, 9)).save(tmp_path / "a/3.jpg")
    Image.new("P", (9, 9)).save(tmp_path / "a/4.png")
    Image.new("RGBA", (9, 9)).save(tmp_path / "a/5.png")
    image(tmp_path / "b/1.jpg", 200)
    for channels in (1, 3):
        data, _ = opened(f"folder:{tmp_path}", (channels, 8, 8), val_fraction=0)
        assert data.train.held.shape == (6, channels, 8, 8)
        assert data.train.held.dtype == torch.uint8
        assert (data.train.held[5] == 200).all()


@pytest.mark.parametrize("cache", ["auto", "none"])
def test_corrupt_image_is_named_or_left_out(cache: str, tmp_path: Path, raises: Any) -> None:
    for n in range(12):
        image(tmp_path / f"d/{'ab'[n % 2]}/{n}.jpg", 100 * (n % 2), size=(40, 40))
    bad = tmp_path / "d/a/4.jpg"
    bad.write_bytes(bad.read_bytes()[:400])
    recipe = {**RECIPE, "epochs": 1, "batch_size": 4}
    data = {"name": f"folder:{tmp_path}/d", "val_fraction": 0, "cache": cache, "workers": 0}
    net = small_net(3, 2)
    text = raises(fit, net, {**recipe, "data": data}, input=(3, 8, 8), out=tmp_path / "x")
    assert str(bad) in text and "data.on_bad_image=skip" in text
    data["on_bad_image"] = "skip"
    fit(net, {**recipe, "data": data}, input=(3, 8, 8), out=tmp_path / "run", quiet=True)
    assert str(bad) in (tmp_path / "run/log.txt").read_text()


def test_streamed_images_are_the_held_ones(tmp_path: Path) -> None:
    for n in range(10):
        image(tmp_path / f"{'ab'[n % 2]}/{n}.png", 25 * n)
    found = []
    for cache in ("ram", "none"):
        data, recipe = opened(f"folder:{tmp_path}", cache=cache, val_fraction=0, workers=1)
        batches = Batches(data, recipe, torch.device("cpu"))
        found.append(torch.cat([x for x, _ in batches.test()]))
        found.append(torch.cat([x for x, _, _ in batches.train(0)]))
        shown, targets = data.first_tested(4)
        assert (shown[:, 0, 0, 0] == torch.tensor([0, 50, 100, 150])).all()
        assert targets.tolist() == [0, 0, 0, 0]
    assert torch.equal(found[0], found[2]) and torch.equal(found[1], found[3])


def test_held_out_share_is_the_same_every_time() -> None:
    a, _ = opened("digits", (1, 8, 8))
    b, _ = opened("digits", (1, 8, 8))
    assert len(a.train) == 1438 and len(a.test) == 359
    assert torch.equal(a.test.held, b.test.held)
    rows = {tuple(row.flatten().tolist()) for row in a.train.held}
    shared = sum(tuple(row.flatten().tolist()) in rows for row in a.test.held)
    assert shared == 0  # no digit is in both


def test_lecture_pixels() -> None:
    """Resize((32, 32)) and ToTensor() on Pillow images, as the lecture has it."""
    from torchvision import transforms

    source = open_source(read_recipe(None).data, Wanted((1, 32, 32), None, "cross_entropy"))
    data, _ = opened("digits", (1, 32, 32), mean=None, std=None, val_fraction=0)
    steps = transforms.Compose([transforms.Resize((32, 32)), transforms.ToTensor()])
    batches = Batches(data, read_recipe({"data": {"mean": None, "std": None}}), torch.device("cpu"))
    ours = torch.cat([x for x, _ in batches.test()])
    for n in (0, 7, 99):
        theirs = steps(Image.fromarray(source.train.read(n)[0].numpy()))
        assert torch.equal(ours[n], theirs)


def test_classes_can_be_chosen(raises: Any) -> None:
    data, _ = opened("iris", (4,), classes=["virginica", "setosa"], val_fraction=0)
    assert data.task.names == ("virginica", "setosa")
    assert data.train.samples.y.bincount().tolist() == [50, 50]
    assert data.train.held[data.train.samples.y == 1][0].tolist() == pytest.approx(
        [5.1, 3.5, 1.4, 0.2]
    )
    assert "there is no class 'rose'" in raises(opened, "iris", (4,), classes=["rose"])


def test_csv(tmp_path: Path, raises: Any) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b,kind\n1,2,cat\n3,4,dog\n5,6,cat\n")
    data, _ = opened(f"csv:{path}", (2,), val_fraction=0)
    assert data.task.names == ("cat", "dog") and data.train.samples.y.tolist() == [0, 1, 0]
    path.write_text("a,b,kind\n1,x,cat\n")
    assert f"{path}:2: column b: 'x' is not a number" in raises(opened, f"csv:{path}", (2,))
    path.write_text("1,2\n1\n")
    assert f"{path}:2: 1 columns, not 2" in raises(opened, f"csv:{path}", (1,))
    assert "has no column 'z'" in raises(opened, f"csv:{path}", (1,), target="z")


@pytest.mark.parametrize(
    ("shape", "classes", "expected"),
    [
        ("3x8x8", 10, None),  # grey becomes colour
        ("1x8x8", 5, "add -p classes=10, or --fit"),
        ("1x9x7", 10, None),  # images are resized
    ],
)
def test_misfit_names_the_flags(
    shape: str, classes: int, expected: str | None, tmp_path: Path, raises: Any
) -> None:
    spec = tmp_path / "n.arch"
    spec.write_text(
        f"model n(classes={classes}) {{\n  input {shape}\n  flatten -> linear classes\n}}\n"
    )
    recipe = {**RECIPE, "max_steps": 2}
    if expected is None:
        assert fit(spec, recipe, out=tmp_path / "a", quiet=True).step == 2
        return
    assert expected in raises(fit, spec, recipe, out=tmp_path / "a")
    result = fit(spec, recipe, out=tmp_path / "b", fit_spec=True, quiet=True)
    assert result.module is not None
    assert result.module(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


def test_colour_is_not_thrown_away_unasked(tmp_path: Path, raises: Any) -> None:
    for n in range(20):
        image(tmp_path / f"d/{'ab'[n % 2]}/{n}.png", 100)
    spec = tmp_path / "tiny.arch"
    spec.write_text(SPEC)
    recipe = {**RECIPE, "data": {"name": f"folder:{tmp_path}/d"}, "batch_size": 4, "max_steps": 2}
    text = raises(fit, spec, recipe, out=tmp_path / "a")
    assert "tiny takes an input of 1x8x8, the data has 3 channels, and has 10 outputs" in text
    assert "add --input 3x8x8 -p classes=2" in text and "data.channels=1" in text
    recipe["data"]["channels"] = 1
    result = fit(spec, recipe, params={"classes": 2}, out=tmp_path / "b", quiet=True)
    assert result.step == 2


def test_fake_is_any_size() -> None:
    source = open_source(read_recipe({"data": {"name": "fake", "samples": 100_000}}).data,
                         Wanted((3, 64, 64), 7, "cross_entropy"))  # fmt: skip
    assert isinstance(source, Source) and len(source.train.y) == 100_000
    assert len(source.train.x) == 2**28 // (3 * 64 * 64)  # type: ignore[attr-defined]
    assert source.train.read(99_999).shape == (3, 64, 64)


@pytest.mark.parametrize(("count", "size"), [(5, 2), (4, 2), (1, 2), (7, 3)])
def test_every_rank_makes_as_many_test_passes(count: int, size: int) -> None:
    """With FSDP a rank that made one pass fewer would leave the others waiting for ever."""
    data, _ = opened("digits", (1, 8, 8), limit=count)
    recipe = read_recipe({"data": {"limit": count}, "eval_batch_size": size, "batch_size": "full"})
    two = [torch.device("cpu")] * 2
    passes, labels = [], []
    for rank, device in enumerate(two):
        parts = Batches.__new__(Batches)
        parts.__dict__.update(
            data=data, recipe=recipe, device=device, rank=rank, world=2, eval_size=size,
            batch=Batches(data, recipe, device).batch,
        )  # fmt: skip
        found = list(parts.test())
        passes.append(len(found))
        labels += [int(one) for _, y in found for one in y]
    assert passes[0] == passes[1]
    assert sorted(labels) == sorted(data.test.samples.y.tolist())
