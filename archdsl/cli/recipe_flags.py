"""Flags made from the recipe's fields: one for each key that is marked so.

A key's type, bounds and words stand with the key (`archdsl/train/recipe`); here is only how they
look on the command line. The recipe is read when a command of its own is built, as the others need
none of what it imports.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional, get_args, get_origin

import typer
from typer.core import TyperCommand
from typer.main import get_command_from_info
from typer.models import CommandInfo

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from archdsl.train.recipe.read import Override


@dataclass(frozen=True)
class Given:
    """A key that was set by its flag."""

    key: str
    flag: str
    value: Any


def register(
    app: typer.Typer, name: str, work: Callable[..., None], *, defaults: bool = False
) -> None:
    """Makes `work` a command with flags from the recipe: they stand where it has its parameter
    `flags`, which gets those that were given. `defaults`: no recipe's file speaks for the others.
    """

    class Lazy(TyperCommand):
        """Knows its parameters when it is used or asked for help, not where all are listed."""

        def get_params(self, ctx: Any) -> list[Any]:
            if not self.params:
                whole = get_command_from_info(
                    CommandInfo(name=name, callback=_with_flags(name, work, defaults)),
                    pretty_exceptions_short=False,
                    rich_markup_mode=self.rich_markup_mode,
                )
                self.params, self.callback = whole.params, whole.callback
            return super().get_params(ctx)

    def nothing() -> None:
        pass

    app.command(name, cls=Lazy, help=work.__doc__)(nothing)


def _with_flags(command: str, work: Callable[..., None], defaults: bool) -> Callable[..., None]:
    """The function as Typer reads it, with a parameter for each flag."""
    flags = list(_flags(command, defaults))

    def run(**given: Any) -> None:
        found = [
            Given(key, flag, value)
            for key, flag, parameter in flags
            if (value := given.pop(parameter.name)) is not None
        ]
        work(**given, flags=found)

    parameters: list[inspect.Parameter] = []
    for one in inspect.signature(work, eval_str=True).parameters.values():
        parameters += [made for _, _, made in flags] if one.name == "flags" else [one]
    run.__name__, run.__doc__ = work.__name__, work.__doc__
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


def overrides(items: list[str] | None, flags: Sequence[Given]) -> list[Override]:
    """--set items, then the flags that were given."""
    from archdsl.train.recipe.read import Override

    changes = [Override.parse(item) for item in items or ()]
    for one in flags:
        label = f"{one.flag} {one.value}"
        changes.append(Override(tuple(one.key.split(".")), one.value, label))
    return changes


def value_of(flags: Sequence[Given], key: str, default: Any) -> Any:
    return next((one.value for one in flags if one.key == key), default)


def _flags(command: str, defaults: bool) -> Iterator[tuple[str, str, inspect.Parameter]]:
    """Each key, its flag, and what Typer is told of it."""
    from archdsl.train.recipe.keys import keys, marked
    from archdsl.train.recipe.parts import Flag

    for key, info in keys():
        mark = marked(info, Flag)
        if mark is None or command not in mark.commands:
            continue
        flag = mark.name or "--" + key.rpartition(".")[2].replace("_", "-")
        name = flag.removeprefix("--").replace("-", "_")
        kind, settings = _value(info)
        if mark.metavar:
            settings["metavar"] = mark.metavar
        default = info.default if defaults else None
        option = typer.Option(
            flag, help=_help(info), show_default=default not in (None, False), **settings
        )
        annotation: Any = Annotated[Optional[kind], option]  # noqa: UP045
        parameter = inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
        )
        yield key, flag, parameter


def _help(info: FieldInfo) -> str:
    """The first sentence of what the key means; of named parts the names before it."""
    from archdsl.text import either
    from archdsl.train.recipe.keys import names

    first = (info.description or "").partition(". ")[0].rstrip(".")
    known = names(info.annotation)
    return f"{either(known)}: {first[:1].lower()}{first[1:]}." if known else f"{first}."


def _value(info: FieldInfo) -> tuple[Any, dict[str, Any]]:
    """The type of a flag's value, and what Typer is told of it. What a recipe refuses beyond that,
    the recipe says."""
    kinds = [*_kinds(info.annotation, info.metadata)]
    words = [word for kind, _ in kinds if get_origin(kind) is Literal for word in get_args(kind)]
    plain = [(kind, least) for kind, least in kinds if kind in (bool, int, float, str)]
    if not plain:
        return str, {"metavar": "|".join(words)} if words else {}
    kind, least = plain[0]
    if words:
        return str, {"parser": _number_or(words, least), "metavar": "|".join(("N", *words))}
    return kind, {} if least is None else {"min": least}


def _kinds(annotation: Any, metadata: Sequence[Any]) -> Iterator[tuple[Any, int | None]]:
    """What may stand for a key, each with its least value."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *marks = get_args(annotation)
        yield from _kinds(inner, [m for mark in marks for m in getattr(mark, "metadata", [mark])])
    elif origin is None or origin is Literal:
        if annotation is not NoneType:
            yield annotation, next((one.ge for one in metadata if hasattr(one, "ge")), None)
    else:
        for one in get_args(annotation):
            yield from _kinds(one, metadata)


def _number_or(words: Sequence[str], least: int | None) -> Callable[[str], int | str]:
    def parse(text: str) -> int | str:
        if text in words:
            return text
        if not text.lstrip("-").isdecimal() or not text.isascii():
            raise typer.BadParameter(f"{text!r} is not a whole number or {' or '.join(words)}.")
        if least is not None and int(text) < least:
            raise typer.BadParameter(f"{text} is not in the range x>={least}.")
        return int(text)

    return parse
