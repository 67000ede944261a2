"""A user's own data: right, or one error that says what it is and how to mend it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import IterableDataset, TensorDataset

from archdsl.train import fit, predict, read_recipe
from archdsl.train.data.sources import Wanted, open_source
from archdsl.train.engine.objective import Objective
from archdsl.train.recipe.read import Override
from archdsl.train.tasks import read_targets
from tests.train.nets import RECIPE

X = torch.rand(40, 4, generator=torch.Generator().manual_seed(0))
SOFT = torch.softmax(3 * X[:, :3], 1)
MANY = (X[:, :3] > 0.5).float()
PIXELS = np.zeros((8, 8, 3), np.uint8)


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter([(X[0], 0)])


MADE: dict[str, Any] = {
    "hwc": [(PIXELS, 0)] * 4,
    "rgba": [(np.zeros((4, 8, 8), np.uint8), 0)] * 4,
    "text": [(X[0], "cat"), (X[1], "dog")],
    "arrays": (X.numpy(), np.zeros(40)),
    "none": [(None, 0)] * 3,
    "nothing": None,
    "dicts": [{"image": X[0], "label": 0}] * 3,
    "triples": [(X[0], 0, 1)] * 3,
    "stream": Stream(),
    "masks": [(torch.zeros(3, 8, 8), torch.zeros(8, 8).long())] * 3,
    "negative": [(X[0], 0), (X[1], -7)],
    "half": [(X[0], 0.5), (X[1], 1.0)],
    "uneven": [(X[0], torch.zeros(2)), (X[1], torch.zeros(3))],
    "not_one": TensorDataset(X, MANY * 2),
    "nan": [(X[0], float("nan")), (X[1], 1.0)],
    "no_target": [(X[0], None)] * 3,
    "number": 5,
    "raises": lambda: 1 / 0,
    "soft": TensorDataset(X, SOFT),
    "many": TensorDataset(X, MANY),
    "whole": TensorDataset(X, MANY[:, 0]),
    "column": TensorDataset(X, MANY[:, :1].long()),
    "share": TensorDataset(X, X[:, 0]),
    "floats": [(torch.full((1, 8, 8), n % 2 * 0.9), n % 2) for n in range(40)],
    "standard": [(torch.full((1, 8, 8), n % 2 * 4.0 - 2), n % 2) for n in range(40)],
}


def own(name: str, loss: str = "cross_entropy") -> Any:
    import sys

    here = sys.modules[__name__]
    for key, value in MADE.items():
        setattr(here, f"made_{key}", value)
    recipe = read_recipe({"data": f"{__name__}:made_{name}", "loss": loss})
    return open_source(recipe.data, Wanted((4,), None, loss))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hwc", "give image.transpose(2, 0, 1)"),
        ("rgba", "leave the transparency out"),
        ("text", "the target 'cat' is text"),
        ("arrays", "TensorDataset(torch.tensor(X), torch.tensor(Y))"),
        ("none", "the sample is None"),
        ("nothing", "None, which has no len()"),
        ("dicts", "a sample is of type dict, not a (sample, target) pair"),
        ("triples", "a sample is 3 values"),
        ("stream", "of type Stream, which has no len()"),
        ("masks", "a target has shape 8x8 (a mask?)"),
        ("negative", "the class label -7 is negative"),
        ("half", "the target 0.5 is not a class number"),
        ("share", "is not a class number, which cross_entropy wants"),
        ("uneven", "targets of different shapes"),
        ("many", "do not add up to 1"),
        ("not_one", "not all from 0 to 1"),
        ("nan", "the target of sample 0 is not a finite number"),
        ("no_target", "a target of type NoneType"),
        ("number", "of type int, which has no len()"),
        ("raises", "it raised ZeroDivisionError"),
    ],
)
def test_what_cannot_be_trained_on_is_one_error(name: str, expected: str, raises: Any) -> None:
    text = raises(own, name)
    assert expected in text and f"made_{name}" in text


@pytest.mark.parametrize(
    ("content", "name", "expected"),
    [
        ("x = (", "D", "d.py:1: '(' was never closed"),
        ("raise ValueError('no file')", "D", "it raised ValueError: no file\nhelp: at d.py:1"),
        ("raise SystemExit(3)", "D", "it raised SystemExit: 3"),
        ("E = 1", "D", "d.py has no attribute 'D'"),
        ("import nothing_of_that_name", "D", "it raised ModuleNotFoundError"),
    ],
)
def test_a_file_that_fails_is_one_error(
    content: str, name: str, expected: str, raises: Any, tmp_path: Path
) -> None:
    (tmp_path / "d.py").write_text(content)
    data = read_recipe({"data": f"d.py:{name}"}).data
    text = raises(open_source, data, Wanted((4,), None, "cross_entropy"))
    assert expected in text.replace(f"{tmp_path}/", "")


@pytest.mark.parametrize("name", [":m", "os:system", "none.py:D", "a b:c", "os.:path"])
def test_names_that_are_no_dataset(name: str, raises: Any) -> None:
    data = read_recipe({"data": name}).data
    assert "module:attribute" in raises(open_source, data, Wanted((4,), None, "cross_entropy"))


@pytest.mark.parametrize(
    ("name", "loss", "shape", "classes"),
    [
        ("soft", "cross_entropy", (40, 3), 3),
        ("soft", "mse", (40, 3), 0),
        ("many", "bce_with_logits", (40, 3), 0),
        ("share", "bce_with_logits", (40, 1), 0),
        ("whole", "bce_with_logits", (40,), 2),
        ("column", "bce_with_logits", (40,), 2),
        ("column", "cross_entropy", (40,), 2),
        ("share", "mse", (40, 1), 0),
    ],
)
def test_targets_keep_their_values(name: str, loss: str, shape: Any, classes: int) -> None:
    source = own(name, loss)
    assert tuple(source.train.y.shape) == shape and len(source.classes) == classes
    given = MADE[name].tensors[1].float()
    assert torch.equal(source.train.y.float().reshape(given.shape), given)


@pytest.mark.parametrize(
    ("name", "loss", "outputs"),
    [("soft", "cross_entropy", 3), ("many", "bce_with_logits", 3), ("share", "bce_with_logits", 1)],
)
def test_shares_are_trained_on_as_torch_does(
    name: str, loss: str, outputs: int, tmp_path: Path
) -> None:
    own(name, loss)
    net = torch.nn.Linear(4, outputs)
    recipe = {
        **RECIPE,
        "data": {"name": f"{__name__}:made_{name}", "val_fraction": 0},
        "loss": loss,
        "epochs": 60,
        "optimizer": {"name": "adam", "lr": 0.1},
        "scheduler": "constant",
    }
    result = fit(net, recipe, input=(4,), out=tmp_path / "r", quiet=True)
    y = own(name, loss).train.y
    torch_loss = torch.nn.functional.cross_entropy if outputs == 3 and name == "soft" else (
        torch.nn.functional.binary_cross_entropy_with_logits
    )  # fmt: skip
    net.eval()
    last = result.history[-1]
    assert last["test_loss"] == pytest.approx(torch_loss(net(X), y).item(), rel=1e-5)
    accuracy = last["test_accuracy"]
    if name == "soft":
        right = (net(X).argmax(1) == y.argmax(1)).float().mean()
        assert accuracy == pytest.approx(float(right)) and accuracy > 0.9
    else:
        assert accuracy is None


@pytest.mark.parametrize(
    ("loss", "out", "target", "expected"),
    [
        ("bce", [[-3.0], [4.0]], [0, 1], "bce takes probabilities, the model gives -3 to 4"),
        ("nll", [[3.0, 1.0]], [0], "nll takes log-probabilities, the model gives up to 3"),
        ("cross_entropy", [[3.0, 1.0]], [2], "class 2 is among the targets"),
        ("cross_entropy", [[3.0, 1.0]], [[1.0, 0.0, 0.0]], "each target is 3"),
        ("cross_entropy", [[[3.0], [1.0]]], [0], "the model gives 2x1 for a sample"),
        ("mse", [[3.0, 1.0]], [[1.0, 0.0, 0.0]], "its target is 3"),
        ("bce_with_logits", [[3.0, 1.0]], [5], "its target is a number up to 5"),
    ],
)
def test_losses_refuse_what_they_are_not_for(
    loss: str, out: Any, target: Any, expected: str, raises: Any
) -> None:
    objective = Objective(read_recipe({"loss": loss}))
    assert expected in raises(objective, torch.tensor(out), torch.tensor(target))


def test_bce_of_a_diverged_model_is_nan_not_a_traceback() -> None:
    objective = Objective(read_recipe({"loss": "bce"}))
    assert objective(torch.tensor([[float("nan")]]), torch.tensor([1]))[0].isnan()


def test_whole_floats_are_class_numbers() -> None:
    found = read_targets([torch.tensor([0.0, 2.0, 1.0])], "cross_entropy", "here")
    assert found.classes == 3 and found.values[0].tolist() == [0, 2, 1]


def test_float_images_can_be_predicted(tmp_path: Path, raises: Any) -> None:
    from PIL import Image

    own("floats")
    for n, shade in enumerate((0, 230)):
        Image.new("L", (10, 10), shade).save(tmp_path / f"{n}.png")
    spec = "model m(classes=2) {\n  input 1x8x8\n  flatten -> linear classes\n}\n"
    for name in ("floats", "standard"):
        recipe = {**RECIPE, "data": f"{__name__}:made_{name}"}
        fit(spec, recipe, out=tmp_path / name, quiet=True)
    found = predict(tmp_path / "floats", [tmp_path / "0.png", tmp_path / "1.png"])
    assert [one.top[0][0] for one in found] == ["0", "1"]
    text = raises(predict, tmp_path / "standard", [tmp_path / "0.png"])
    assert "trained on floats from -2 to 2" in text


@pytest.mark.parametrize("value", ["[2.0, 0.1]", "[1.5, 2.0]"])
def test_scale_from_less_to_more(value: str, raises: Any) -> None:
    assert "scale" in raises(read_recipe, None, [Override.parse(f"augment.scale={value}")])


class Late(torch.utils.data.Dataset[Any]):
    """Its fourth sample raises, or is of another shape."""

    targets = (0, 1) * 10

    def __init__(self, raises: bool) -> None:
        self.raises = raises

    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        if index == 4 and self.raises:
            raise KeyError("no such row")
        return torch.zeros(5 if index == 4 else 4), self.targets[index]


late_raises, late_odd = Late(True), Late(False)


@pytest.mark.parametrize("cache", ["ram", "none"])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("late_raises", "sample 4: it raised KeyError: 'no such row' at "),
        ("late_odd", "sample 4: of shape 5, not 4"),
    ],
)
def test_a_later_sample_that_fails_is_named(
    name: str, expected: str, cache: str, tmp_path: Path, raises: Any
) -> None:
    data = {"name": f"{__name__}:{name}", "val_fraction": 0, "cache": cache, "workers": 0}
    recipe = {**RECIPE, "data": data, "epochs": 1}
    net = torch.nn.Linear(4, 2)
    assert expected in raises(fit, net, recipe, input=(4,), out=tmp_path / "r", quiet=True)
