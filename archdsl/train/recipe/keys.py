"""The recipe's keys one by one, with what marks them: those with a flag, those that may change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from archdsl.train.recipe.schema import Recipe


def parts(annotation: Any) -> list[type[BaseModel]]:
    """The parts that may stand for a key."""
    found: list[type[BaseModel]] = []
    queue: list[Any] = [annotation]
    while queue:
        one = queue.pop(0)
        if isinstance(one, type) and issubclass(one, BaseModel):
            found.append(one)
        queue.extend(get_args(one))
    return found


def keys(part: type[BaseModel] = Recipe, above: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Each key, also those of parts (`data.name`), in the order of the recipe."""
    seen = set[str]()
    for name, info in part.model_fields.items():
        yield f"{above}{name}", info
        for inner in parts(info.annotation):
            for key, found in keys(inner, f"{above}{name}."):
                if key not in seen:  # several parts may stand here, with keys in common
                    seen.add(key)
                    yield key, found


def marked(info: FieldInfo, mark: Any) -> Any:
    """A key's mark of that kind, or None."""
    return next((one for one in info.metadata if one is mark or isinstance(one, mark)), None)


def names(annotation: Any) -> list[str]:
    """Of parts that are told apart by their names: these."""
    found = [one.model_fields.get("name") for one in parts(annotation)]
    return [name for info in found if info is not None for name in get_args(info.annotation)]
