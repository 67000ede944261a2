"""What the parts of a recipe are made of: types of values, habits, and marks of keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, lt=1)]
Probability = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Index = Annotated[int, Field(ge=0)]

DEVICES = ("auto", "cpu", "cuda", "cuda:1", "mps")  # as one writes them


@dataclass(frozen=True)
class Flag:
    """A mark: the key has a flag of its own on the command line, besides --set. `name`: where it is
    not the key's; `commands`: those that have it."""

    name: str = ""
    metavar: str | None = None
    commands: tuple[str, ...] = ("train",)


class MayChange:
    """A mark: the key may differ when a run goes on, as it would not change the meaning of the
    steps that were made."""


def short(default: str) -> BeforeValidator:
    """Lets a bare name stand for a part, and a part leave out the usual name."""

    def widen(value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value}
        return {"name": default, **value} if isinstance(value, dict) else value

    return BeforeValidator(widen)


class Part(BaseModel):
    """The habits of every part: no unknown key, no silent conversion, no change after the check."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )
