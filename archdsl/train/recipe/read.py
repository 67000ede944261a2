"""Recipe files: YAML text to a `Recipe`, with every problem placed at its line and column.

In: a file's path or plain values, and overrides (`--set optimizer.lr=0.1`, `--epochs 3`). Out: a
`Recipe`, or one `TrainError` that lists all that is wrong: where, which key, what is allowed, and
the name that was probably meant.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from archdsl.train.errors import TrainError
from archdsl.train.recipe.keys import parts
from archdsl.train.recipe.schema import SHORT, Recipe

Keys = tuple[str | int, ...]
MAX_NODES = 10_000
MAX_CHARACTERS = 200_000
SHOWN = 100  # characters of a line that has an error
PLAIN_TAGS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")


def read_recipe(
    source: str | Path | Mapping[str, Any] | Recipe | None, overrides: Sequence[Override] = ()
) -> Recipe:
    """The recipe of a file, of plain values, or the default one, with the overrides applied."""
    if isinstance(source, Recipe):
        text = _Text("recipe", source.resolved())
    elif isinstance(source, Mapping):
        text = _Text("recipe", dict(source))
    elif source is None:
        text = _Text("recipe", {})
    else:
        text = _parse(_named(source))
    for key in SHORT:
        _move_short(text, key)
    for override in overrides:
        short = len(override.keys) == 1 and override.keys[0] in SHORT
        _apply(text, replace(override, keys=("optimizer", *override.keys)) if short else override)
    try:
        return Recipe.model_validate(text.values)
    except ValidationError as error:
        raise TrainError("\n".join(_explain(text, error))) from None


def _move_short(text: _Text, key: str) -> None:
    """`lr: 0.1` to where it belongs, as if it had been written there."""
    whole = ("optimizer", key)
    if key not in text.values:
        return
    plan = text.values.get("optimizer")
    if isinstance(plan, dict) and key in plan:
        raise TrainError(text.problem((key,), f"optimizer.{key} is given too", at_key=True))
    value, at, place = text.values.pop(key), text.keys.get((key,)), text.places.get((key,))
    _apply(text, Override(whole, value, text.name))
    if at is not None and place is not None:
        text.keys[whole], text.places[whole] = at, place


def _named(source: str | Path) -> Path:
    """The file itself, or the shipped recipe of that name: `resnet50`."""
    path = Path(source).expanduser()
    if path.exists() or path.name != str(source) or path.suffix:
        return path
    from archdsl.pipeline import specs_folder

    known = sorted(one.stem for one in specs_folder().glob("*.yaml"))
    if path.name not in known:
        raise TrainError(
            f"{path}: there is no such file, and no shipped recipe of that name",
            _nearest(path.name, known) or f"shipped are {', '.join(known)}",
        )
    return specs_folder() / f"{path.name}.yaml"


def recipe_beside(spec: Path) -> Path | None:
    """`specs/lenet5.yaml` for `specs/lenet5.arch`, where there is one."""
    path = spec.with_suffix(".yaml")
    return path if path.is_file() else None


def recipe_of(spec: object, recipe: Any) -> Any:
    """The recipe that was named, or the one beside the spec."""
    if recipe is not None or not isinstance(spec, str | Path):
        return recipe
    from archdsl.pipeline import open_spec

    name = open_spec(spec).source.name
    return None if name.startswith("<") else recipe_beside(Path(name).resolve())


@dataclass(frozen=True)
class Override:
    """One key set from outside the file; `label` is how the person wrote it."""

    keys: tuple[str, ...]
    value: Any
    label: str

    @classmethod
    def parse(cls, text: str) -> Override:
        """From `a.b=value`, the value as YAML reads it."""
        name, equals, value = text.partition("=")
        keys = tuple(key.strip() for key in name.split("."))
        label = f"--set {text}"
        if not equals or not all(keys):
            raise TrainError(
                f"{label}: not of the form KEY=VALUE", "for example --set optimizer.momentum=0.9"
            )
        try:
            return cls(keys, yaml.load(value, _Loader), label)
        except yaml.YAMLError:
            raise TrainError(f"{label}: {value!r} is not a YAML value") from None


@dataclass
class _Text:
    """Values and where each was written: (line, column) in the file, or an override's label."""

    name: str
    values: Any
    lines: list[str] = field(default_factory=list)
    keys: dict[Keys, tuple[int, int] | str] = field(default_factory=dict)
    places: dict[Keys, tuple[int, int] | str] = field(default_factory=dict)

    def problem(self, keys: Keys, message: str, help: str = "", at_key: bool = False) -> str:
        """One problem's text: place, message, the line with a caret, what to do."""
        table = self.keys if at_key else self.places
        place = next((table[keys[:n]] for n in range(len(keys), -1, -1) if keys[:n] in table), None)
        path = ".".join(map(str, keys))
        shown = f"{path}: " if path and f" {path} " not in f" {message} " else ""
        out: list[str] = []
        if isinstance(place, tuple):
            line, column = place
            out.append(f"{self.name}:{line}:{column}: {shown}{message}")
            first = max(0, column - SHOWN // 2) if len(self.lines[line - 1]) > SHOWN else 0
            out.append(f"{line:5} | {self.lines[line - 1][first : first + SHOWN]}")
            out.append(f"      | {' ' * (column - 1 - first)}^")
        else:
            out.append(f"{place or self.name}: {shown}{message}")
        return "\n".join([*out, f"help: {help}"] if help else out)


_NUMBERS = ("int", "float")


class _TooLarge(Exception):
    pass


class _Loader(yaml.SafeLoader):
    """Safe YAML that reads 1e-3 as a number and 1:30 as a text, as YAML 1.2 does, and ends where a
    recipe is too large."""

    nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.nodes += 1
        if self.nodes > 2 * MAX_NODES:  # keys and values
            raise _TooLarge
        return super().compose_node(parent, index)

    yaml_implicit_resolvers = {  # noqa: RUF012
        start: [(tag, pattern) for tag, pattern in known if tag.rpartition(":")[2] not in _NUMBERS]
        for start, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?(0x[0-9a-fA-F]+|0|[1-9]\d*)$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^([-+]?(\d+\.\d*|\.\d+)|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"),
    list("-+.0123456789"),
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


def _parse(path: Path) -> _Text:
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe would be waited for
            raise TrainError(f"{path}: cannot read the recipe: it is no regular file")
        with path.open(encoding="utf-8") as file:
            raw = file.read(MAX_CHARACTERS + 1)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise TrainError(f"{path}: cannot read the recipe: {reason}") from None
    if len(raw) > MAX_CHARACTERS:
        raise TrainError(f"{path}: too large for a recipe (over {MAX_CHARACTERS:,} characters)")
    text = _Text(str(path), {}, raw.splitlines() or [""])
    try:
        loader = _Loader(raw)
        node = loader.get_single_node()
        text.values = {} if node is None else _value(text, loader, node, ())
    except _TooLarge:
        raise _too_large(text.name) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{mark.line + 1}:{mark.column + 1}: " if mark else ""
        raise TrainError(f"{path}:{place}not YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise TrainError(f"{path}: not YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(text.values, dict):
        raise TrainError(f"{path}:1:1: a recipe is a list of `key: value` lines")
    return text


def _too_large(name: str) -> TrainError:
    return TrainError(
        f"{name}: too large for a recipe (over {MAX_NODES:,} values, or nested over 20 deep)"
    )


def _value(text: _Text, loader: yaml.SafeLoader, node: yaml.Node, keys: Keys) -> Any:
    """The node's plain value; notes where each key and value stands."""
    here = (node.start_mark.line + 1, node.start_mark.column + 1)
    text.places[keys] = here
    if len(text.places) > MAX_NODES or len(keys) > 20:
        raise _too_large(text.name)
    plain = isinstance(node, yaml.ScalarNode) or node.tag in PLAIN_TAGS
    if not plain:
        raise TrainError(text.problem(keys, f"the YAML tag {node.tag} has no meaning here"))
    if isinstance(node, yaml.SequenceNode):
        return [_value(text, loader, item, (*keys, i)) for i, item in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        return loader.construct_object(node)
    out: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = str(loader.construct_object(key_node, deep=True))
        path = (*keys, key)
        place = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
        if key in out:
            first = text.keys[path]
            text.keys[path] = place
            line = f"line {first[0]}" if isinstance(first, tuple) else first
            raise TrainError(
                text.problem(
                    path,
                    f"{'.'.join(map(str, path))} is given twice (first on {line})",
                    at_key=True,
                )
            )
        text.keys[path] = place
        out[key] = _value(text, loader, value_node, path)
    return out


def _apply(text: _Text, override: Override) -> None:
    """Sets one key; a part written by its short name becomes a mapping first."""
    *parents, last = override.keys
    node = text.values
    for depth, key in enumerate(parents):
        inner = node.get(key)
        if isinstance(inner, str):
            inner = {"name": inner}
        elif inner is None:
            inner = {}
        elif not isinstance(inner, dict):
            name = ".".join(override.keys[: depth + 1])
            raise TrainError(f"{override.label}: {name} has no keys of its own")
        node[key] = dict(inner)
        node = node[key]
    node[last] = override.value
    for table in (text.keys, text.places):
        for known in [known for known in table if known[: len(override.keys)] == override.keys]:
            del table[known]
        table[override.keys] = override.label


def _explain(text: _Text, error: ValidationError) -> Iterator[str]:
    """Each wrong place once, in the file's order, with all that would be allowed there."""
    groups: dict[Keys, list[Any]] = {}
    for item in error.errors():
        keys = _real_keys(text.values, item["loc"], item["type"])
        groups.setdefault(keys, []).append(item)
    order = list(text.keys)
    for keys, items in sorted(groups.items(), key=lambda one: _rank(order, one[0])):
        kind = items[0]["type"]
        if kind == "extra_forbidden":
            message, help = _unknown(text.values, keys)
            yield text.problem(keys, message, help, at_key=True)
        elif kind == "missing":
            yield text.problem(keys, f"{'.'.join(map(str, keys))} must be given")
        elif kind == "value_error":
            yield text.problem(keys, str(items[0]["ctx"]["error"]))
        else:
            wanted = list(dict.fromkeys(_wanted(item) for item in items))
            given = _at(text.values, keys)
            help = _nearest(given, [name for item in items for name in _choices(item)])
            message = f"expected {' or '.join(wanted)}, not {_show(given)}"
            if kind == "union_tag_invalid":
                message = f"expected one of {', '.join(_choices(items[0]))}"
            yield text.problem(keys, message, help)


def _rank(order: list[Keys], keys: Keys) -> int:
    written = [n for n, known in enumerate(order) if keys[: len(known)] == known]
    return max(written, default=len(order))


def _real_keys(values: Any, loc: Sequence[str | int], kind: str) -> Keys:
    """pydantic's path without the union tags that it weaves in."""
    keys: list[str | int] = []
    for depth, key in enumerate(loc):
        final = depth == len(loc) - 1
        if isinstance(values, dict) and (key in values or (final and kind == "missing")):
            values = values.get(key)
        elif isinstance(values, list) and isinstance(key, int):
            values = values[key]
        elif isinstance(values, str) and final and kind == "missing":
            pass  # `scheduler: multistep` lacks its milestones
        else:
            continue
        keys.append(key)
    if kind in ("union_tag_invalid", "union_tag_not_found") and isinstance(values, dict):
        keys.append("name")
    return tuple(keys)


def _at(values: Any, keys: Keys) -> Any:
    for key in keys:
        values = values.get(key) if isinstance(values, dict) else values[key]
    return values


WANTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "none_required": "null",
    "finite_number": "a finite number",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
    "too_short": "at least {min_length} values",
    "too_long": "at most {max_length} values",
    "literal_error": "{expected}",
    "union_tag_invalid": "{expected_tags}",
    "model_type": "keys and values",
    "model_attributes_type": "a name, or keys and values",
}


def _wanted(item: Any) -> str:
    pattern = WANTED.get(item["type"])
    return pattern.format(**item.get("ctx", {})) if pattern else item["msg"].lower()


def _choices(item: Any) -> list[str]:
    listed = item.get("ctx", {})
    return re.findall(
        r"'([^']+)'", str(listed.get("expected") or listed.get("expected_tags") or "")
    )


def _show(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value) if len(repr(value)) < 60 else repr(value)[:57] + "..."


def _nearest(given: Any, names: Sequence[str]) -> str:
    found = difflib.get_close_matches(str(given).lower(), names, 1, 0.6)
    return f"did you mean {found[0]}?" if found else ""


def _unknown(values: Any, keys: Keys) -> tuple[str, str]:
    *parents, key = keys
    part: type[BaseModel] = Recipe
    for depth, parent in enumerate(parents):
        found = dict(_parts(part))[str(parent)]
        inner = _at(values, tuple(keys[: depth + 1]))
        name = inner.get("name") if isinstance(inner, dict) else None
        part = next((one for one in found if _takes(one, name)), found[0])
    known = list(part.model_fields)
    elsewhere = [
        f"{name}.{key}"
        for name, found in _parts(Recipe)
        for one in found[:1]
        if key in one.model_fields
    ]
    if elsewhere and key not in known and not parents:
        return f"unknown key {key}", f"did you mean {elsewhere[0]}?"
    where = f"{'.'.join(map(str, parents))} takes" if parents else "a recipe takes"
    near = _nearest(key, known)
    return f"unknown key {'.'.join(map(str, keys))}", near or f"{where} {', '.join(known)}"


def _parts(part: type[BaseModel]) -> Iterator[tuple[str, list[type[BaseModel]]]]:
    """The nested parts of a part, by key."""
    for name, info in part.model_fields.items():
        if found := parts(info.annotation):
            yield name, found


def _takes(part: type[BaseModel], name: Any) -> bool:
    return "name" in part.model_fields and name in get_args(part.model_fields["name"].annotation)
