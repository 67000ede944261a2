"""One split of a dataset: targets in one tensor, samples read one by one or held as one tensor.

An image is a uint8 tensor CxHxW; any other sample is a float32 tensor of the dataset's own shape,
which nobody resizes or normalises unasked.
"""

from __future__ import annotations

import contextlib
import math
import os
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from archdsl.train.data.fit import Fit
from archdsl.train.data.images import BadSample, as_sample, read_image
from archdsl.train.data.sampling import seed_libraries


class Samples(Protocol):
    """`own`: read by code of the user's, which may draw random numbers and may not pickle."""

    y: Tensor
    own: bool

    def read(self, index: int) -> Tensor: ...
    def number(self, index: int) -> int:
        """What the dataset itself calls the sample."""
        ...

    def subset(self, indices: Tensor) -> Samples: ...
    def steady(self) -> bool:
        """Whether a sample read twice is the same."""
        ...

    def held_bytes(self, fit: Fit) -> int:
        """What holding all of them takes, beyond what is held anyway."""
        ...

    def held(self, fit: Fit) -> Split:
        """All samples, read and fitted."""
        ...

    def fingerprint(self, content: bool) -> bytes:
        """What other samples would very likely not have; `content`: certainly, however slow."""
        ...


@dataclass
class Split:
    """Samples with what of them is held: all of them as one tensor, fitted, or none. Those that
    could not be read are `bad`, and not among the samples."""

    samples: Samples
    held: Tensor | None
    bad: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.samples.y)


class Tensors:
    """Samples that are in memory already; with fewer of them than targets they repeat."""

    own = False

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y = x, y

    def read(self, index: int) -> Tensor:
        return self.x[index % len(self.x)]

    def number(self, index: int) -> int:
        return index

    def steady(self) -> bool:
        return True

    def held_bytes(self, fit: Fit) -> int:
        return len(self.x) * math.prod(fit.input_shape) if fit.image else 0

    def held(self, fit: Fit) -> Split:
        if fit.image:
            return Split(self, torch.cat([fit(part) for part in torch.split(self.x, 4096)]))
        fit(self.read(0))  # its error, where they do not fit
        return Split(self, self.x)

    def subset(self, indices: Tensor) -> Tensors:
        return Tensors(self.x[indices % len(self.x)], self.y[indices])

    def fingerprint(self, content: bool) -> bytes:
        return _hash(_bytes(self.y), _bytes(self.x))


class OneByOne:
    """The habits of samples that are read one by one."""

    y: Tensor
    own = False

    def number(self, index: int) -> int:
        return index

    def steady(self) -> bool:
        return True

    def held_bytes(self, fit: Fit) -> int:
        return len(self.y) * math.prod(fit.input_shape) * (1 if fit.image else 4)

    def held(self: Samples, fit: Fit) -> Split:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            read = list(pool.map(lambda n: read_fitted(self, n, fit), range(len(self.y))))
        bad = [one for one in read if isinstance(one, str)]
        good = [one for one in read if isinstance(one, Tensor)]
        if not bad:
            return Split(self, torch.stack(good))
        at = torch.tensor([n for n, one in enumerate(read) if isinstance(one, Tensor)])
        return Split(self.subset(at.long()), torch.stack(good) if good else None, bad)


class Files(OneByOne):
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


class Wrapped(OneByOne):
    """A user's own torch Dataset of (sample, target) pairs."""

    own = True

    def __init__(self, dataset: Any, y: Tensor, indices: Tensor | None = None) -> None:
        self.dataset, self.y = dataset, y
        self.indices = torch.arange(len(y)) if indices is None else indices

    def read(self, index: int) -> Tensor:
        at = self.number(index)
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

    def number(self, index: int) -> int:
        return int(self.indices[index])

    def steady(self) -> bool:
        """If not, the dataset augments by itself."""
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


def fitted(samples: Samples, index: int, x: Tensor, fit: Fit) -> Tensor:
    try:
        return fit(x)
    except BadSample as error:
        raise BadSample(f"sample {samples.number(index)}: {error}") from None


def read_fitted(samples: Samples, index: int, fit: Fit) -> Tensor | str:
    """A sample as the model takes it, or why it cannot be read."""
    if samples.own:
        seed_libraries(0, -1, index)
    try:
        return fitted(samples, index, samples.read(index), fit)
    except BadSample as error:
        return str(error)


def _bytes(values: Tensor) -> Any:
    return values.contiguous().numpy().data


def _hash(*parts: Any) -> bytes:
    found = blake2b(digest_size=16)
    for part in parts:
        found.update(part)
    return found.digest()
