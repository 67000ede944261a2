"""One split of a dataset: labels in one tensor, samples read one by one or held as one tensor.

An image is a uint8 tensor CxHxW; any other sample is a float32 tensor of the dataset's own shape,
which nobody resizes or normalises unasked.
"""

from __future__ import annotations

import contextlib
import os
import traceback
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from archdsl.train.data.images import BadSample, as_sample, read_image
from archdsl.train.data.sampling import seed_libraries


class Samples(Protocol):
    y: Tensor

    def read(self, index: int) -> Tensor: ...
    def subset(self, indices: Tensor) -> Samples: ...
    def fingerprint(self, content: bool) -> bytes:
        """What other samples would very likely not have; `content`: certainly, however slow."""
        ...


class Tensors:
    """Samples that are in memory already; with fewer of them than labels they repeat."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y = x, y

    def read(self, index: int) -> Tensor:
        return self.x[index % len(self.x)]

    def subset(self, indices: Tensor) -> Tensors:
        return Tensors(self.x[indices % len(self.x)], self.y[indices])

    def fingerprint(self, content: bool) -> bytes:
        return _hash(_bytes(self.y), _bytes(self.x))


class Files:
    """Image files under a folder.

    Paths lie in one array of bytes: worker processes share it, where a list of strings would be
    copied page by page as its reference counts change.
    """

    def __init__(self, root: Path, paths: Sequence[str] | np.ndarray[Any, Any], y: Tensor) -> None:
        self.root, self.y = root, y
        encoded = list(map(os.fsencode, paths)) if not isinstance(paths, np.ndarray) else paths
        self.paths = np.asarray(encoded, dtype=np.bytes_)

    def path(self, index: int) -> Path:
        return self.root / os.fsdecode(bytes(self.paths[index]))

    def read(self, index: int) -> Tensor:
        return read_image(self.path(index))

    def subset(self, indices: Tensor) -> Files:
        return Files(self.root, self.paths[indices.numpy()], self.y[indices])

    def fingerprint(self, content: bool) -> bytes:
        """Of names, labels and sizes; the folder itself may have moved."""
        found = blake2b(_bytes(self.y), digest_size=16)
        for index in range(len(self.y)):
            path = self.path(index)
            try:
                found.update(b"%s\0%d\0" % (bytes(self.paths[index]), path.stat().st_size))
                if content and path.is_file():
                    found.update(blake2b(path.read_bytes()).digest())
            except OSError:  # the sample's own error comes when it is read
                found.update(b"?")
        return found.digest()


class Wrapped:
    """A user's own torch Dataset of (sample, target) pairs."""

    def __init__(self, dataset: Any, y: Tensor, indices: Tensor | None = None) -> None:
        self.dataset, self.y = dataset, y
        self.indices = torch.arange(len(y)) if indices is None else indices

    def read(self, index: int) -> Tensor:
        at = int(self.indices[index])
        try:
            return as_sample(self.dataset[at][0])
        except BadSample as error:
            raise BadSample(f"sample {at}: {error}") from None
        except MemoryError:
            raise
        except Exception as error:  # the user's own code
            last = traceback.extract_tb(error.__traceback__)[-1]
            what = f"it raised {type(error).__name__}: {error} at {last.filename}:{last.lineno}"
            raise BadSample(f"sample {at}: {what}") from error

    def steady(self) -> bool:
        """Whether a sample read twice is the same; if not, the dataset augments by itself."""
        for index in range(min(32, len(self.y))):
            with contextlib.suppress(BadSample):
                seed_libraries(0, 0, index)
                first = self.read(index)
                seed_libraries(0, 1, index)
                if not torch.equal(first, self.read(index)):
                    return False
        return True

    def subset(self, indices: Tensor) -> Wrapped:
        return Wrapped(self.dataset, self.y[indices], self.indices[indices])

    def fingerprint(self, content: bool) -> bytes:
        """Of the targets; with `content` of the samples too, which may be drawn anew each time."""
        if not content or not self.steady():
            return _hash(_bytes(self.y))
        return _hash(_bytes(self.y), *(_bytes(self.read(n)) for n in range(len(self.y))))


def _bytes(values: Tensor) -> Any:
    return values.contiguous().numpy().data


def _hash(*parts: Any) -> bytes:
    found = blake2b(digest_size=16)
    for part in parts:
        found.update(part)
    return found.digest()


def to_channels(image: Tensor, channels: int) -> Tensor:
    """Grey or colour pixels (..., C, H, W) as the channels that are wanted."""
    if image.shape[-3] == channels:
        return image
    if channels == 3:
        return image.expand(*image.shape[:-3], 3, *image.shape[-2:]).contiguous()
    red, green, blue = image.int().unbind(-3)  # Pillow's weights, in its integers
    grey = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16
    return grey.to(torch.uint8).unsqueeze(-3)


def to_size(image: Tensor, size: tuple[int, int], resize: int | None) -> Tensor:
    """Pixels (..., C, H, W) at the spec's size: stretched, or shorter side resized and the middle
    cut. The same pixels as torchvision's transforms, without importing it."""
    if resize is None:
        return scaled(image, size)
    height, width = image.shape[-2:]
    short, long = min(height, width), max(height, width)
    other = int(resize * long / short)
    image = scaled(image, (resize, other) if height <= width else (other, resize))
    wanted_h, wanted_w = size
    pad_h, pad_w = max(0, wanted_h - image.shape[-2]), max(0, wanted_w - image.shape[-1])
    image = F.pad(image, (pad_w // 2, (pad_w + 1) // 2, pad_h // 2, (pad_h + 1) // 2))
    top = round((image.shape[-2] - wanted_h) / 2)
    left = round((image.shape[-1] - wanted_w) / 2)
    return image[..., top : top + wanted_h, left : left + wanted_w]


def scaled(image: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(image.shape[-2:]) == size:
        return image
    batch = image if image.ndim == 4 else image[None]
    out = F.interpolate(batch, size, mode="bilinear", antialias=True)
    return out if image.ndim == 4 else out[0]
