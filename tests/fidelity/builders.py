"""The 80 classification builders of torchvision, and how to build each small enough to run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import torch
import torchvision
from torch import nn
from torchvision.models import regnet

from archdsl.ir.graph import Program
from archdsl.pipeline import open_spec

BUILDERS = sorted(torchvision.models.list_models(module=torchvision.models))


@dataclass(frozen=True)
class Case:
    """A builder at some size of input. `theirs`, `ours`: what makes each take that size."""

    name: str
    size: int
    theirs: dict[str, Any] = field(default_factory=dict)
    ours: dict[str, Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the input."""
        return 3, self.size, self.size

    def reference(self) -> nn.Module:
        """torchvision's own model, freshly drawn."""
        given = dict(self.theirs)
        if self.name in ("googlenet", "inception_v3"):
            given["init_weights"] = True  # what they would do anyway, with a warning
        model: nn.Module = torchvision.models.get_model(self.name, weights=None, **given)
        return model

    def reference_on_meta(self) -> nn.Module:
        """The same without memory for weights."""
        compute = regnet.BlockParams.from_init_params

        def on_cpu(*args: Any, **kwargs: Any) -> Any:  # RegNet computes its widths with tensors
            with torch.device("cpu"):
                return compute(*args, **kwargs)

        with torch.device("meta"), patch.object(regnet.BlockParams, "from_init_params", on_cpu):
            return self.reference()

    def program(self) -> Program:
        """Our spec of the same name, checked."""
        return open_spec(self.name, params=self.ours, input=self.shape).checked()

    def input(self, batch: int = 2) -> torch.Tensor:
        generator = torch.Generator().manual_seed(7)
        return torch.randn(batch, *self.shape, generator=generator)


def full(name: str) -> Case:
    """The builder with its own input."""
    return Case(name, 299 if name == "inception_v3" else 224)


def small(name: str) -> Case:
    """The same weights, but an image small enough to train on."""
    if name.startswith("vit"):
        size = 56 if name == "vit_h_14" else 64
        return Case(name, size, {"image_size": size}, {"image": size})
    if name in ("maxvit_t", "inception_v3"):
        return full(name)  # windows of 7 must divide every map; an aux head needs a map of 17
    return Case(name, 96 if name == "alexnet" else 64)
