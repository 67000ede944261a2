"""torchvision's pretrained weights, for the specs of the same name.

In: a spec and the name of a set of weights (`IMAGENET1K_V2`, `DEFAULT`) or a file. Out: the module
with these weights in it, strictly, as torchvision would load them: with the parameters that they
imply (`transform_input`, the image's size), and with the names of old files brought up to date.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any
from urllib.error import URLError

import torch
from torch import Tensor, nn

from archdsl.diagnostics.suggest import closest
from archdsl.ir.graph import Program
from archdsl.pipeline import Spec
from archdsl.runtime.errors import WeightsError
from archdsl.runtime.module import build
from archdsl.runtime.weights import load_weights, read_weights, renamed
from archdsl.syntax import tree as t

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum

#: the model's parameter that says how many classes there are
CLASSES = "classes"


@dataclass(frozen=True)
class Pretrained:
    """A set of weights that torchvision publishes. `model`: the spec's name, and the builder's."""

    model: str
    weights: WeightsEnum

    @property
    def name(self) -> str:
        return str(self.weights.name)

    @property
    def url(self) -> str:
        return str(self.weights.url)

    @property
    def file(self) -> Path:
        """Where torch keeps the download."""
        return Path(torch.hub.get_dir(), "checkpoints", self.url.rpartition("/")[2])

    def transforms(self) -> Callable[..., Tensor]:
        """From an image (PIL, or a uint8 tensor) to the model's input, without the batch."""
        preset: Callable[..., Tensor] = self.weights.transforms()
        return preset

    def categories(self) -> list[str]:
        """The classes' names, in the order of the outputs."""
        return list(self.weights.meta["categories"])

    def params(self) -> dict[str, Any]:
        """What a spec's parameters must be for these weights, where it has such parameters."""
        return {
            "image": self.weights.meta["min_size"][0],  # of ViT, which learns a position for each
            "aux_loss": True,  # of segmentation models, whose weights have that head
            "transform_input": True,  # of GoogLeNet and Inception v3, ported from TensorFlow
        }

    def state_dict(self, progress: bool = True) -> dict[str, Tensor]:
        """The file's contents: from torch's cache, or downloaded, its hash checked. Raises
        WeightsError, which says what to download and where to put it."""
        try:
            return dict(self.weights.get_state_dict(progress=progress, check_hash=True))
        except (URLError, OSError, RuntimeError, EOFError, UnpicklingError) as error:
            if self.file.is_file() and not isinstance(error, URLError):
                problem = f"{self.file}: damaged ({error}); delete it, to download it again"
                raise WeightsError(problem) from error
            raise WeightsError(
                f"{self.model} {self.name} could not be downloaded ({error})\n"
                f"help: download {self.url}\n      to {self.file}"
            ) from error


def available(model: str) -> list[str]:
    """The sets of weights that torchvision has for a spec; none where it has none."""
    from torchvision.models import get_model_weights

    try:
        return [member.name for member in get_model_weights(model)]
    except ValueError:
        return []


def pretrained(model: str, weights: str) -> Pretrained:
    """The set of weights of that name (`DEFAULT`: the best). Raises WeightsError."""
    from torchvision.models import get_model_weights

    names = available(model)
    if not names:
        what = f"no file {weights}, and torchvision has no pretrained weights for `{model}`"
        raise WeightsError(f"there is {what}")
    members = get_model_weights(model).__members__
    if weights not in members:
        near = closest(weights, names) or names
        raise WeightsError(
            f"`{model}` has no weights {weights}\nhelp: choose {' or '.join(near)}, or a file"
        )
    return Pretrained(model, members[weights])


@dataclass(frozen=True)
class Loaded:
    """A module with weights in it. `fresh`: the entries that kept their initial values, for they
    depend on the number of classes, which is not the file's. `source`: None for a file."""

    module: nn.Module
    program: Program
    fresh: tuple[str, ...]
    source: Pretrained | None

    @property
    def note(self) -> str | None:
        """What to tell a person about the layers that are not pretrained."""
        if not self.fresh:
            return None
        layers = dict.fromkeys(name.rpartition(".")[0] for name in self.fresh)
        return f"not pretrained, for the classes differ: {', '.join(layers)}"


def load(
    spec: Spec,
    weights: str | Path,
    *,
    device: torch.device | str | None = None,
    new_head: bool = True,
    progress: bool = True,
) -> Loaded:
    """The spec's module with `weights`: a file, or the name of one of torchvision's sets.

    Everything must fit, key for key. With `new_head`, the layers whose shape depends on the
    parameter `classes` keep their initial values where the file has another number of classes:
    for training, which should say so (`note`). Raises SpecError, WeightsError.
    """
    source, program = None, spec.checked()
    if is_file(weights):
        state = read_weights(weights)
    else:
        source = of_spec(spec, str(weights))
        spec = _implied(spec, program, source)
        program = spec.checked()
        state = source.state_dict(progress)
    own = {key: weight.shape for key, weight in program.state()}
    state = renamed(state, own)
    head = _by_classes(spec, program) if new_head else ()
    fresh = tuple(key for key in head if key in state and state[key].shape != own[key])
    if not fresh:
        return Loaded(build(program, weights=state, device=device), program, fresh, source)
    module = build(program)
    kept = module.state_dict()
    load_weights(module, {**state, **{key: kept[key] for key in fresh}})
    return Loaded(module if device is None else module.to(device), program, fresh, source)


def of_spec(spec: Spec, weights: str) -> Pretrained:
    """The set of weights of that name for a spec, or for the model that it is an alias of. Raises
    WeightsError."""
    names = [block.name for block in spec.lineage]
    known = next((name for name in names if available(name)), names[0])
    return pretrained(known, weights)


def _implied(spec: Spec, program: Program, source: Pretrained) -> Spec:
    """The spec with the parameters that the weights need, where nobody has said otherwise."""
    aliases = (block.tree for block in spec.lineage)
    said = {a.name for tree in aliases if isinstance(tree, t.Alias) for a in tree.args}
    free = dict(program.graph.args).keys() - said
    params = {key: value for key, value in source.params().items() if key in free}
    return spec.given({**params, **spec.params}, spec.input)


def is_file(weights: str | Path) -> bool:
    """Whether this names a file rather than a set of weights."""
    return isinstance(weights, Path) or "." in weights or "/" in weights or Path(weights).is_file()


def _by_classes(spec: Spec, program: Program) -> list[str]:
    """The entries of the state whose shape depends on the number of classes: the head's."""
    params: Mapping[str, Any] = dict(program.graph.args)
    if not isinstance(params.get(CLASSES), int):
        return []
    given = {**spec.params, CLASSES: params[CLASSES] + 1}
    other = {key: weight.shape for key, weight in spec.given(given, spec.input).checked().state()}
    return [key for key, weight in program.state() if other.get(key) != weight.shape]
