"""The optimizers: one class each, its keys torch's arguments. The table is their union."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from archdsl.train.recipe.parts import Flag, Fraction, NotNegative, Part, Positive, short

Rate = Annotated[float, Field(gt=0, description="Learning rate."), Flag()]


class Plan(Part):
    """`kind`: torch's name for it; `slots`: values that it keeps for each weight, besides a
    momentum; `fused`: torch has it as one kernel."""

    kind: ClassVar[str]
    slots: ClassVar[int] = 0
    fused: ClassVar[bool] = True

    def arguments(self) -> dict[str, Any]:
        """What torch is given, but for the weight decay, which belongs to groups of weights."""
        found = self.model_dump(exclude={"name", "weight_decay", "decay_norm_and_bias"})
        return {key: tuple(one) if isinstance(one, list) else one for key, one in found.items()}

    def held(self) -> int:
        """Values that it keeps for each weight."""
        return self.slots + bool(getattr(self, "momentum", 0))


class Sgd(Plan):
    kind = "SGD"

    name: Literal["sgd"] = "sgd"
    lr: Rate = 0.01
    momentum: NotNegative = 0.0
    dampening: NotNegative = 0.0
    nesterov: bool = False
    weight_decay: NotNegative = 0.0
    decay_norm_and_bias: bool = True
    """Whether weight decay also acts on biases and normalisation layers."""


class Adam(Plan):
    kind = "Adam"
    slots = 2

    name: Literal["adam"] = "adam"
    lr: Rate = 0.001
    betas: list[Fraction] = Field(default=[0.9, 0.999], min_length=2, max_length=2)
    eps: Positive = 1e-8
    weight_decay: NotNegative = 0.0
    decay_norm_and_bias: bool = True


class AdamW(Adam):
    kind = "AdamW"

    name: Literal["adamw"] = "adamw"  # type: ignore[assignment]
    weight_decay: NotNegative = 0.01


class RmsProp(Plan):
    kind = "RMSprop"
    slots = 1
    fused = False

    name: Literal["rmsprop"] = "rmsprop"
    lr: Rate = 0.01
    alpha: Fraction = 0.99
    eps: Positive = 1e-8
    momentum: NotNegative = 0.0
    weight_decay: NotNegative = 0.0
    decay_norm_and_bias: bool = True


Optimizer = Annotated[
    Annotated[Sgd | Adam | AdamW | RmsProp, Field(discriminator="name")], short("sgd")
]
