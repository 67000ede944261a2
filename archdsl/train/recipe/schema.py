"""What a training run is told: the recipe's keys, their types, defaults and meanings.

In: plain values, as YAML gives them (`recipe_file.py` reads the file and reports problems with
line and column). Out: a `Recipe`, checked, whole, and immutable. One fact has one place: whatever
belongs to the optimizer's constructor is under `optimizer`, and so on. Nothing here imports torch.

`optimizer: adam` is short for `optimizer: {name: adam}`; so are `data`, `scheduler` and `loss`.
`lr` and `weight_decay` may stand by themselves: they are the optimizer's (`SHORT`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from archdsl.text import either
from archdsl.train.recipe import datasets
from archdsl.train.recipe.optimizers import Optimizer, Sgd
from archdsl.train.recipe.parts import (
    DEVICES,
    Count,
    Flag,
    Fraction,
    Index,
    MayChange,
    NotNegative,
    Part,
    Positive,
    Probability,
    short,
)
from archdsl.train.recipe.schedules import Constant, Course, Scheduler


class Data(Part):
    name: Annotated[
        str,
        Field(description=f"{either(datasets.known())}."),
        Flag("--data", "NAME", ("train", "eval")),
        MayChange,  # of a folder that has moved: its fingerprint must be the same
    ] = "digits"
    dir: Annotated[str | None, Flag("--data-dir", "DIR", ("train", "eval")), MayChange] = None
    """Where the named datasets lie, or are downloaded to."""
    image_size: Count | None = None
    """Images: height and width for the model, in place of its spec's; --input goes before."""
    resize: Count | None = None
    """Images: shorter side to this many pixels, then the middle cut to the spec's input size.
    Without it an image is resized to the spec's input size, whatever its own proportions."""
    channels: Literal[1, 3] | None = None
    """Images: convert to grey (1) or colour (3). Grey images become colour by themselves where
    the spec wants 3 channels."""
    mean: Literal["auto", "data"] | list[float] | None = "auto"
    """Subtracted from each channel (pixels run from 0 to 1). auto: the dataset's published values;
    data: measured on the training split; null: no normalisation."""
    std: Literal["auto", "data"] | list[Positive] | None = "auto"
    """Divides each channel; same values as `mean`."""
    classes: list[str] | None = None
    """Use only these classes, in this order."""
    target: str | None = None
    """csv: the column to predict; the last one by default."""
    val_fraction: Fraction | None = None
    """Hold out this share of the training split, and select the best model on it; the dataset's own
    test split is then tested once, at the end. By default the dataset's own val or test split
    selects, or a share of 0.2 where it has none; 0 selects on the training split itself."""
    test_fraction: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Hold out this share of the training split before all else, and test the best model on it
    once, at the end."""
    folds: Annotated[Annotated[int, Field(ge=2)] | None, Flag()] = None
    """Cross-validation: cut the training split in so many parts, and train once for each, which
    then selects the best model."""
    fold: Count | None = None
    """Train for this one of the folds alone, counted from 1."""
    stratify: bool = True
    """Whether each part that is held out has the classes' shares of the whole."""
    split_seed: Index = 0
    """Which samples are held out follows it, and nothing else does."""
    sampler: Literal["random", "balanced"] = "random"
    """What an epoch sees: each sample once, or each class as often as the others, as many samples
    in all; those of a rare class come several times."""
    limit: Count | None = None
    """Use only this many samples of each split (an even choice, the same each time)."""
    samples: Count = 1024
    """fake, formula: how many samples to make up."""
    cache: Annotated[Literal["auto", "ram", "none"], MayChange] = "auto"
    """Hold the decoded images in memory: auto does it up to 1 GiB."""
    workers: Annotated[Annotated[int, Field(ge=0)] | Literal["auto"], Flag(), MayChange] = "auto"
    """Processes that decode images when they are not held in memory."""
    on_bad_image: Literal["error", "skip"] = "error"
    """A file that cannot be decoded stops the run, or is counted and left out."""
    fingerprint: Literal["sizes", "content"] = "sizes"
    """What tells a resumed run that its image files are still the same: their names and sizes, or
    their whole content, which has to be read once more."""
    drop_last: bool = False
    """Leave out the last, smaller batch of an epoch."""

    @model_validator(mode="after")
    def _folds_agree(self) -> Data:
        if self.fold is not None and self.folds is None:
            raise ValueError("fold is one of data.folds: say how many there are")
        if self.fold is not None and self.folds is not None and self.fold > self.folds:
            raise ValueError(f"fold: {self.fold} of {self.folds} folds")
        if self.folds is not None and self.val_fraction is not None:
            raise ValueError("folds and val_fraction both say what is held out: leave one of them")
        return self

    @model_validator(mode="after")
    def _mean_and_std_agree(self) -> Data:
        lists = isinstance(self.mean, list), isinstance(self.std, list)
        if (all(lists) and len(self.mean or []) == len(self.std or [])) or self.mean == self.std:
            return self
        raise ValueError(
            "mean and std must both be auto, both data, both null, or lists of one length"
        )


class Augment(Part):
    crop: Literal["random_resized", "pad"] | None = None
    """random_resized: a random part at a random zoom; pad: a random shift with a border."""
    scale: list[Positive] = Field(default=[0.08, 1.0], min_length=2, max_length=2)
    """random_resized: the share of the area that is kept, from and to."""
    ratio: list[Positive] = Field(default=[3 / 4, 4 / 3], min_length=2, max_length=2)
    """random_resized: width over height, from and to."""
    pad: Count = 4
    """pad: the border's width in pixels."""
    hflip: Probability = 0.0
    """Probability of a mirror image."""
    auto: Literal["randaugment", "trivialaugment"] | None = None
    """An automatic policy, at torchvision's default strength."""
    erase: Probability = 0.0
    """Probability that a random rectangle is blanked."""
    mixup: NotNegative = 0.0
    """MixUp's alpha; 0 for none."""
    cutmix: NotNegative = 0.0
    """CutMix's alpha; 0 for none. With both, each batch takes one of them by chance."""

    @model_validator(mode="after")
    def _from_less_to_more(self) -> Augment:
        for name in ("scale", "ratio"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name}: {low:g} to {high:g}: the smaller number comes first")
        if self.scale[0] > 1:
            raise ValueError(f"scale: a share of the area is at most 1, not {self.scale[0]:g}")
        return self


class CrossEntropy(Part):
    name: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: Fraction = 0.0
    class_weights: Literal["balanced"] | list[NotNegative] | None = None
    """How much a sample of each class counts in training: balanced, the rarer the more, 1 in the
    mean; or a number for each class, in the data's order. Tests weigh nothing."""


class Nll(Part):
    """Takes log-probabilities."""

    name: Literal["nll"] = "nll"
    class_weights: Literal["balanced"] | list[NotNegative] | None = None
    """As of cross_entropy."""


class OtherLoss(Part):
    name: Literal["bce", "bce_with_logits", "mse", "l1"]
    """bce takes probabilities, bce_with_logits scores."""


Loss = Annotated[
    Annotated[CrossEntropy | Nll | OtherLoss, Field(discriminator="name")], short("cross_entropy")
]

SHORT = ("lr", "weight_decay")  # of `optimizer`, and may be written without it


class Ema(Part):
    decay: Fraction = 0.9999
    every: Count = 1
    """Steps between two updates."""


class EarlyStop(Part):
    patience: Count
    """Tests without improvement before the run ends."""
    min_delta: NotNegative = 0.0


class Checkpoint(Part):
    minutes: Positive | None = 10.0
    """Write last.pt when this much time has passed, besides each test."""
    steps: Count | None = None
    """Write last.pt every so many steps as well."""


class Recipe(Part):
    data: Annotated[Data, short("digits")] = Data()
    augment: Augment = Augment()
    epochs: Annotated[Count, Flag(), MayChange] = 10
    """Passes over the data."""
    batch_size: Annotated[Count | Literal["full"], Flag()] = 64
    """Samples per optimizer step, over all devices and pieces together; full: the whole split."""
    eval_batch_size: Count | None = None
    """Chosen by the size of an input when not given; the result does not depend on it."""
    eval_every: Annotated[Count, MayChange] = 1
    """Epochs between two tests; table line, checkpoint and best model come with each test."""
    optimizer: Annotated[Optimizer, Flag()] = Sgd()
    """What changes the weights; each has its own defaults."""
    scheduler: Scheduler = Constant()
    loss: Loss = CrossEntropy()
    aux_weight: NotNegative = 0.3
    """Weight of each train-only output's loss."""
    precision: Annotated[Literal["fp32", "bf16", "fp16"], Flag(commands=("bench",))] = "fp32"
    """Of the numbers in a pass; weights stay float32."""
    channels_last: Annotated[bool, Flag(commands=("bench",))] = False
    """Channels last in memory."""
    compile: Annotated[bool, Flag(commands=("bench",))] = False
    """torch.compile the model."""
    ema: Ema | None = None
    """Test and keep a moving average of the weights."""
    grad_accum: Count = 1
    """Pieces that a batch is worked through in: the same step with less memory."""
    clip_grad: Positive | None = None
    """Largest norm of the gradient."""
    early_stop: Annotated[EarlyStop | None, MayChange] = None
    max_steps: Annotated[Count | None, Flag(), MayChange] = None
    """End after so many steps; the schedule stays that of `epochs`."""
    seed: Annotated[int, Field(ge=0, lt=2**63), Flag()] = 0
    """All randomness follows it."""
    deterministic: bool = False
    """Only operations that give the same bits each time."""
    device: Annotated[
        str,
        Field(
            description=f"{either(DEVICES)}. auto: what the environment's ARCHDSL_DEVICE says, "
            "else the best there is."
        ),
        Flag(commands=("train", "eval", "predict", "bench")),
        MayChange,
    ] = "auto"
    devices: Annotated[Count, Flag(), MayChange] = 1
    """Processes on each machine, one device each."""
    nodes: Annotated[Count, Flag(), MayChange] = 1
    """Machines, the same command started on each. Where torchrun starts it, its own flags count."""
    rendezvous: Annotated[str | None, MayChange] = None
    """HOST:PORT of one of the machines, where all of them meet; needed with `nodes`."""
    rendezvous_minutes: Annotated[Positive, MayChange] = 10.0
    """How long a machine waits there for the others."""
    threads: Annotated[Annotated[int, Field(ge=1, le=1024)] | None, Flag(commands=("bench",))] = (
        None
    )
    """CPU threads of each process; torch's choice by default. One is best for tiny models on a busy
    machine. Another number may change the last bits of a run.
    """
    strategy: Literal["ddp", "fsdp"] = "ddp"
    """Several devices: copies of the model (ddp), or one model cut up among them (fsdp)."""
    checkpoint: Annotated[Checkpoint, MayChange] = Checkpoint()
    plots: Annotated[bool, MayChange] = True
    """Draw curves, sample answers and, of classes, what was taken for what, into the run folder."""
    tensorboard: Annotated[bool, MayChange] = False
    """Write events for TensorBoard into the run folder; needs the package tensorboard."""

    def rate(self, step: int, steps_per_epoch: int) -> float:
        """The learning rate of a step, counted from 0."""
        total = self.epochs * steps_per_epoch
        return self.scheduler.rate(step, Course(self.optimizer.lr, steps_per_epoch, total))

    def resolved(self) -> dict[str, Any]:
        """Every key with its value, as plain YAML and checkpoint values."""
        return self.model_dump(mode="json")


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a recipe, for editors (`# yaml-language-server: $schema=...`)."""
    schema = Recipe.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "archdsl training recipe"
    for key in ("data", "optimizer", "scheduler", "loss"):
        whole = schema["properties"][key]
        default, text = whole.pop("default", None), whole.pop("description", "")
        names = list(whole.get("discriminator", {}).get("mapping", {}))
        short = {"type": "string", "enum": names} if names else {"type": "string"}
        schema["properties"][key] = {
            "anyOf": [short, whole],
            "default": default,
            "description": text,
        }
    sgd = schema["$defs"]["Sgd"]["properties"]
    for key in SHORT:
        text = f"Short for optimizer.{key}."
        schema["properties"][key] = {**sgd[key], "description": text, "default": None}
    return schema
