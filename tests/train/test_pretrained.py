"""Weights of torchvision's: as a start for training, and for prediction at once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision

from archdsl.train import TrainError
from archdsl.train.predicting import predict_pretrained
from archdsl.train.request import Request, settle


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Fresh weights in torchvision's form, and an image."""
    folder = tmp_path_factory.mktemp("pretrained")
    torch.manual_seed(0)
    torch.save(torchvision.models.squeezenet1_1().state_dict(), folder / "weights.pth")
    image = (torch.rand(3, 80, 90) * 255).byte()
    torchvision.io.write_png(image, str(folder / "image.png"))
    return folder / "weights.pth", folder / "image.png"


def test_prediction_is_torchvisions(files: tuple[Path, Path]) -> None:
    weights, image = files
    (found,) = predict_pretrained("squeezenet1_1", weights, [image], top=3, device="cpu")
    published = torchvision.models.get_model_weights("squeezenet1_1").DEFAULT
    model = torchvision.models.squeezenet1_1().eval()
    model.load_state_dict(torch.load(weights, weights_only=True))
    x = published.transforms()(torchvision.io.decode_image(str(image)))
    with torch.inference_mode():
        best = model(x.unsqueeze(0))[0].softmax(0).topk(3)
    names = [published.meta["categories"][i] for i in best.indices.tolist()]
    assert found.top == tuple(zip(names, best.values.tolist(), strict=True))


def test_fine_tuning_keeps_all_but_the_head(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = {"data": {"name": "fake", "limit": 8}}
    asked = {"params": {"classes": 10}, "input": (3, 64, 64), "weights": files[0]}
    job = settle(Request("squeezenet1_1", recipe, **asked, quiet=True))
    state = job.model.build(job.weights).state_dict()
    assert "not pretrained, for the classes differ: classifier.1" in capsys.readouterr().out
    before = torch.load(files[0], weights_only=True)
    same = {key for key in before if torch.equal(state[key], before[key])}
    assert set(before) - same == {"classifier.1.weight", "classifier.1.bias"}


def test_an_unknown_name_says_which_there_are(files: tuple[Path, Path]) -> None:
    with pytest.raises(TrainError, match="IMAGENET1K_V1"):
        predict_pretrained("squeezenet1_1", "IMAGENET1K_V7", [files[1]], device="cpu")
