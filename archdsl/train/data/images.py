"""Image files and other values as samples.

In: a file's path, or what a user's dataset gives. Out: a uint8 tensor 1xHxW or 3xHxW, upright, in
the whole range 0..255; or a float32 tensor. What cannot be read right is a `BadSample`.
"""

from __future__ import annotations

import io
import stat
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from archdsl.text import shape_text
from archdsl.train.errors import shown

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
WHITE_IS_ZERO, BITS = 262, 258  # TIFF tags: PhotometricInterpretation, BitsPerSample


class BadSample(Exception):
    """A sample that cannot be read; the text names it and says why."""


def read_image(path: Path, fast: bool = True) -> Tensor:
    """The file's pixels as uint8 1xHxW or 3xHxW, upright as its EXIF data says. `fast`: JPEGs
    through torchvision, which gives the same pixels and takes two seconds to import."""
    from PIL import Image, ImageOps

    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a FIFO would be waited for, for ever
            raise BadSample("not a regular file")
        data = path.read_bytes()
        if fast and data[:2] == b"\xff\xd8" and not _may_be_turned(data):
            pixels = _decode_jpeg(data)
            if pixels is not None:
                return pixels
        opened = Image.open(io.BytesIO(data))
        return _pixels(ImageOps.exif_transpose(opened), opened)
    except BadSample as error:
        raise BadSample(f"{shown(path)}: {error}") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        unknown = "cannot identify" in str(error)
        reason = "not an image, or of a kind that Pillow cannot read" if unknown else str(error)
        raise BadSample(f"{shown(path)}: {reason}") from None


def _may_be_turned(jpeg: bytes) -> bool:
    """Whether any segment may hold an orientation (EXIF or XMP: APP1), wherever it stands."""
    at = 2
    while at + 4 <= len(jpeg) and jpeg[at] == 0xFF:
        marker = jpeg[at + 1]
        if marker == 0xFF:  # a filling byte
            at += 1
            continue
        if marker in (0xDA, 0xE1):  # the pixels begin; APP1
            return marker == 0xE1
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    return True  # not as the standard has it: Pillow shall say


def _decode_jpeg(data: bytes) -> Tensor | None:
    """None: CMYK and rare codings, which Pillow reads, or says what is wrong."""
    try:
        pixels: Tensor = _jpeg_decoder()(torch.frombuffer(bytearray(data), dtype=torch.uint8))
    except RuntimeError:
        return None
    return pixels if pixels.shape[0] in (1, 3) else None


@cache
def _jpeg_decoder() -> Any:
    try:
        from torchvision.io import decode_jpeg
    except ImportError as error:  # torchvision means to drop it; Pillow does without
        raise RuntimeError(str(error)) from None
    warnings.filterwarnings("ignore", message="The image decoding and encoding capabilities")
    return decode_jpeg


def as_sample(value: Any) -> Tensor:
    """A Pillow image, array or tensor as a uint8 image or a float32 sample."""
    from PIL import Image

    if isinstance(value, Image.Image):
        return _pixels(value, value)
    try:
        tensor = value if isinstance(value, Tensor) else torch.as_tensor(np.asarray(value))
    except (TypeError, ValueError, RuntimeError):
        kind = "None" if value is None else f"of type {type(value).__name__}"
        raise BadSample(f"the sample is {kind}, not a tensor, array or Pillow image") from None
    if tensor.is_complex() or tensor.ndim == 0:
        kind = "one number, not a tensor" if tensor.ndim == 0 else "of complex numbers"
        raise BadSample(f"the sample is {kind}: give floats, or pixels as uint8")
    return _three_or_one(tensor) if tensor.dtype == torch.uint8 else tensor.float()


def _three_or_one(image: Tensor) -> Tensor:
    if image.ndim == 2:
        image = image[None]
    if image.ndim == 3 and image.shape[0] in (1, 3):
        return image
    given = shape_text(image.shape)
    help = "give 1xHxW or 3xHxW"
    if image.ndim == 3 and image.shape[2] in (1, 3):
        help = "channels come first: give image.transpose(2, 0, 1), or image.permute(2, 0, 1)"
    elif image.ndim == 3 and 4 in (image.shape[0], image.shape[2]):
        help = "four channels: leave the transparency out, as Pillow's image.convert('RGB') does"
    raise BadSample(f"an image of shape {given}, not 1xHxW or 3xHxW; {help}")


def _pixels(image: Any, opened: Any) -> Tensor:
    """A Pillow image of any mode in the whole range 0..255; `opened` knows its format and tags."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _deep(image, opened)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        image = _on_white(image)
    grey = image.mode in ("1", "L")
    value = np.array(image.convert("L" if grey else "RGB"))
    return torch.from_numpy(value if grey else value.transpose(2, 0, 1)).reshape(
        -1, *value.shape[:2]
    )


def _on_white(image: Any) -> Any:
    """What shows through is white: under full transparency most programs leave black."""
    from PIL import Image

    grey = image.mode in ("LA", "La")
    whole = image.convert("LA").convert("RGBA") if grey else image.convert("RGBA")
    white = Image.new("RGBA", whole.size, "white")
    white.alpha_composite(whole)
    return white.convert("L" if grey else "RGB")


def _deep(image: Any, opened: Any) -> Tensor:
    """Grey of 16 bits, or of floats from 0 to 1, each in its own range."""
    tags = getattr(opened, "tag_v2", {})
    value = np.array(image).astype(np.float64)
    if image.mode == "F":
        low, high = value.min(), value.max()
        if not (low >= 0 and high <= 1):
            raise BadSample(
                f"its pixels are floats from {low:g} to {high:g}, not from 0 to 1: their range is "
                "not known; save it with 8 or 16 bits, or divided by its largest value"
            )
        top = 1.0
    elif image.mode == "I" and opened.format not in ("PNG", "PPM"):
        raise BadSample("its pixels have 32 bits: their range is not known; save it with 8 or 16")
    else:
        bits = tags.get(BITS, 16)
        top = 2.0 ** int(bits[0] if isinstance(bits, tuple) else bits) - 1
    if tags.get(WHITE_IS_ZERO) == 0:
        value = top - value
    return torch.from_numpy(np.rint(value * (255 / top)).astype(np.uint8))[None]
