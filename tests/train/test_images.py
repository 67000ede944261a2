"""Image files of every depth, orientation and transparency, read as a person sees them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from archdsl.train.data.folder import open_folder
from archdsl.train.data.images import BadSample, as_sample, read_image

RAMP = np.arange(64, dtype=np.uint16)[None].repeat(16, 0)


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
@pytest.mark.parametrize("top", [65535, 4080])
def test_sixteen_bits_keep_their_range(suffix: str, top: int, tmp_path: Path) -> None:
    path, deep = tmp_path / f"x.{suffix}", (RAMP.astype(int) * top // 63).astype(np.uint16)
    Image.fromarray(deep).save(path)
    expected = np.rint(deep / 257).astype(np.uint8)
    assert (read_image(path)[0].numpy() == expected).all()


def test_tiff_of_12_bits_and_white_as_zero(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    Image.fromarray(RAMP * 1040).save(path, tiffinfo={262: 0})
    assert read_image(path)[0, 0, 0] == 255 - read_image(path)[0, 0, 63] == 255


def test_floats_from_0_to_1_and_others(tmp_path: Path) -> None:
    ramp = (RAMP / 63).astype(np.float32)
    Image.fromarray(ramp).save(tmp_path / "a.tif")
    assert (read_image(tmp_path / "a.tif")[0].numpy() == np.rint(ramp * 255)).all()
    for name, value in (("b", ramp * 300), ("c", ramp - 0.5), ("d", ramp * np.nan)):
        path = tmp_path / f"{name}.tif"
        Image.fromarray(value.astype(np.float32)).save(path)
        with pytest.raises(BadSample, match=rf"{name}\.tif: its pixels are floats from"):
            read_image(path)
    Image.fromarray(RAMP.astype(np.int32)).save(tmp_path / "e.tif")
    with pytest.raises(BadSample, match=r"e\.tif: its pixels have 32 bits"):
        read_image(tmp_path / "e.tif")


@pytest.mark.parametrize("profile", [False, True])
@pytest.mark.parametrize("turn", range(1, 9))
def test_jpegs_are_upright_wherever_their_exif_stands(
    profile: bool, turn: int, tmp_path: Path
) -> None:
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:8] = 255
    exif = Image.Exif()
    exif[0x0112] = turn
    keys: dict[str, Any] = {"exif": exif}
    if profile:  # two segments before the EXIF data
        keys["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = tmp_path / "x.jpg"
    Image.fromarray(pixels).save(path, quality=95, **keys)
    data = path.read_bytes()
    if profile:  # Pillow writes EXIF first: move it behind the profile
        at, size = data.index(b"\xff\xe1"), int.from_bytes(data[data.index(b"\xff\xe1") + 2 :][:2])
        segment, rest = data[at : at + 2 + size], data[:at] + data[at + 2 + size :]
        to = rest.index(b"\xff\xe2")
        to += 2 + int.from_bytes(rest[to + 2 : to + 4])
        path.write_bytes(rest[:to] + segment + rest[to:])
    fast, slow = read_image(path), read_image(path, fast=False)
    assert torch.equal(fast, slow)
    assert tuple(fast.shape[1:]) == ((16, 32) if turn < 5 else (32, 16))
    bright = {1: (0, 0), 2: (0, 0), 3: (-1, 0), 4: (-1, 0), 5: (0, 0), 6: (0, -1), 7: (0, -1),
              8: (0, 0)}[turn]  # fmt: skip
    assert fast[0][bright] > 250


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_lies_on_white(mode: str, tmp_path: Path) -> None:
    alpha = Image.fromarray((RAMP % 2 * 255).astype(np.uint8))
    picture = Image.new(mode[:-1], (64, 16))
    picture.putalpha(alpha)
    picture.save(tmp_path / "x.png")
    found = read_image(tmp_path / "x.png")
    assert found.shape[0] == (1 if mode == "LA" else 3)
    assert found[:, 0, :4].tolist() == [[255, 0, 255, 0]] * len(found)


def test_a_fifo_named_like_an_image_is_one_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.png")
    with pytest.raises(BadSample, match="not a regular file"):
        read_image(tmp_path / "x.png")


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)
    Image.new("L", (4, 4), 7).save(tmp_path / "x.png")
    os.rename(tmp_path / "x.png", folder + b"/\xff.png")
    found = open_folder(tmp_path)
    train, classes = found.train, found.classes
    assert train.read(0)[0, 0, 0] == 7 and os.fsencode(classes[0]) == b"caf\xe9"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "the sample is None"),
        ({"image": 1}, "the sample is of type dict"),
        ("x.png", "the sample is of type str"),
        (np.zeros((8, 9, 3), np.uint8), "channels come first: give image.transpose"),
        (np.zeros((4, 8, 9), np.uint8), "four channels"),
        (np.zeros((8, 9, 4), np.uint8), "four channels"),
        (3.0, "one number, not a tensor"),
        (np.zeros((3, 3), complex), "of complex numbers"),
    ],
)
def test_what_is_no_sample(value: Any, expected: str) -> None:
    with pytest.raises(BadSample, match=expected):
        as_sample(value)
