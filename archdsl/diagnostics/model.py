"""What a diagnostic is: data, one small class for each code.

The catalogue (`catalogue.py`) holds the subclasses; renderers read only the properties below. A
message is written once, in its class, as a template over the class's own fields; the place that
finds the problem only fills the fields in.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import Field, dataclass, field
from typing import Any, ClassVar, Literal, Self, dataclass_transform

from archdsl.diagnostics.source import Span

_LONGEST_FIELD = 300  # a name may be a megabyte long

MAX_FOUND = 100  # diagnostics of a spec; what is found after so many helps nobody

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Label:
    """A place and what there is to say about it."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Fix:
    """Edits that mend the problem. `safe`: may be applied without asking (`check --fix`)."""

    title: str
    edits: tuple[tuple[Span, str], ...]
    safe: bool = False


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class _Entry:
    """What `dataclass` would generate for each entry of the catalogue, at a cost of 70 ms for every
    start of the program: fields from annotations, by position or name, equality."""

    fields: ClassVar[tuple[str, ...]] = ()
    keywords: ClassVar[tuple[str, ...]] = ()  # by name alone

    def __init_subclass__(cls) -> None:
        for name, kind in vars(cls).get("__annotations__", {}).items():
            if str(kind).startswith("ClassVar") or name in (*cls.fields, *KEYWORDS):
                continue
            default = vars(cls).get(name)
            if isinstance(default, Field):
                cls.keywords = (*cls.keywords, name)
                setattr(cls, name, default.default)
            else:
                cls.fields = (*cls.fields, name)

    def __init__(self, *values: Any, related: Any = (), fixes: Any = (), **named: Any) -> None:
        given = {**dict(zip(self.fields, values, strict=False)), **named}
        missing = [n for n in self.fields if n not in given and not hasattr(type(self), n)]
        known = {*self.fields, *self.keywords}
        if missing or not given.keys() <= known or len(values) > len(self.fields):
            raise TypeError(f"{type(self).__name__}: fields {self.fields}, given {tuple(given)}")
        self.__dict__.update(given, related=related, fixes=fixes)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), vars(self)["span"]))


KEYWORDS = ("related", "fixes")


class Diagnostic(_Entry):
    """Base of every entry of the catalogue.

    A subclass sets `code`, `slug` and the templates, and declares fields that the templates name as
    `{field}`; its docstring is the long explanation of `archdsl explain CODE`. A template that
    formats to nothing shows nothing.
    """

    code: ClassVar[str] = ""
    slug: ClassVar[str] = ""
    severity: ClassVar[Severity] = "error"
    title: ClassVar[str] = ""
    label: ClassVar[str] = ""
    note: ClassVar[str] = ""
    help: ClassVar[str] = ""

    span: Span
    related: tuple[Label, ...] = field(default=(), kw_only=True)
    fixes: tuple[Fix, ...] = field(default=(), kw_only=True)

    @property
    def message(self) -> str:
        return self._fill(self.title)

    @property
    def primary(self) -> Label:
        return Label(self.span, self._fill(self.label))

    @property
    def notes(self) -> tuple[str, ...]:
        return self._lines(self.note)

    @property
    def helps(self) -> tuple[str, ...]:
        return self._lines(self.help)

    def with_related(self, *labels: Label) -> Self:
        changed = copy(self)
        changed.__dict__["related"] = (*self.related, *labels)
        return changed

    def _lines(self, template: str) -> tuple[str, ...]:
        text = self._fill(template)
        return (text,) if text else ()

    def _fill(self, template: str) -> str:
        # Templates may name properties as well as fields, hence no vars().
        return template.format_map(_Fields(self)) if "{" in template else template

    def sort_key(self) -> tuple[str, int, str]:
        return self.span.source.name, self.span.start, self.code


class _Fields(dict[str, object]):
    def __init__(self, owner: object) -> None:
        super().__init__()
        self.owner = owner

    def __missing__(self, key: str) -> object:
        value = getattr(self.owner, key)
        if isinstance(value, str) and len(value) > _LONGEST_FIELD:
            return value[: _LONGEST_FIELD - 1] + "…"
        return value


def subclasses(base: type[Diagnostic]) -> Iterator[type[Diagnostic]]:
    """Every entry of the catalogue below `base` that has a code of its own."""
    for cls in base.__subclasses__():
        if vars(cls).get("code"):
            yield cls
        yield from subclasses(cls)
