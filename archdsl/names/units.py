"""What names mean: the files of a spec and their definitions.

In: trees. Out: `Unit`s (a file with what it can see) and `Block`s, the callable definitions. The
prelude is visible everywhere, below a file's own definitions and those of the files it uses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from archdsl.diagnostics.source import Source
from archdsl.ops import TABLE, Op
from archdsl.syntax import tree as t

MAX_ALIASES = 64  # of one another


@dataclass(frozen=True, eq=False)
class Unit:
    """A file: its definitions, and the files that it uses. `prelude` is asked when both fail."""

    source: Source
    file: t.File
    uses: tuple[Unit, ...] = ()
    prelude: Callable[[], Unit | None] = lambda: None
    definitions: dict[str, Block] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for tree in self.file.definitions:
            self.definitions.setdefault(tree.name, Block(self, tree))

    def find(self, name: str) -> Block | None:
        """A block or model by name, as this file sees it."""
        for unit in (self, *self.uses):
            if name in unit.definitions:
                return unit.definitions[name]
        prelude = self.prelude()
        return prelude.definitions.get(name) if prelude is not None else None

    def target(self, name: str) -> Target | None:
        """What a step of this name calls. A file's own block goes before an operator."""
        for unit in (self, *self.uses):
            if name in unit.definitions:
                return unit.definitions[name]
        return TABLE.get(name) or self.find(name)

    def names(self) -> Iterator[str]:
        """Everything that `target` would find."""
        yield from TABLE
        prelude = self.prelude()
        for unit in (self, *self.uses, *([prelude] if prelude is not None else ())):
            yield from unit.definitions


@dataclass(eq=False)
class Block:
    """A definition that may be called: a block, a model or an alias of one."""

    unit: Unit
    tree: t.Definition

    @property
    def name(self) -> str:
        return self.tree.name

    @property
    def params(self) -> tuple[t.Param, ...]:
        if isinstance(self.tree, (t.Block, t.Model)):
            return self.tree.params
        return ()

    @property
    def body(self) -> t.Body:
        assert isinstance(self.tree, (t.Block, t.Model))
        return self.tree.body

    @property
    def base(self) -> Block | None:
        """The model behind an alias; what is none is its own. None where there is no such model."""
        last = self.lineage[-1]
        return None if isinstance(last.tree, t.Alias) else last

    @property
    def lineage(self) -> list[Block]:
        """This, and for an alias the model that it is an alias of, and so on."""
        found: list[Block] = []
        block: Block | None = self
        while block is not None and block not in found and len(found) < MAX_ALIASES:
            found.append(block)
            tree = block.tree
            block = block.unit.find(tree.base) if isinstance(tree, t.Alias) else None
        return found

    @property
    def values(self) -> tuple[t.Param, ...]:
        """What flows into it beside the first value."""
        return tuple(p for p in self.params if p.value)

    def signature(self) -> tuple[Slot, ...]:
        if isinstance(self.tree, t.Alias):  # what it gives need not be given
            base = self.base
            return tuple(s._replace(required=False) for s in base.signature()) if base else ()
        return tuple(Slot(p.name, p.default is None, False) for p in self.params if not p.value)

    def __repr__(self) -> str:
        return self.name


Target = Block | type[Op]


class Slot(NamedTuple):
    """One parameter of something callable."""

    name: str
    required: bool
    keyword: bool


def signature(target: Target) -> tuple[Slot, ...]:
    if isinstance(target, Block):
        return target.signature()
    return tuple(Slot(a.name, a.required, a.keyword) for a in target.args.values())


def show_signature(name: str, slots: tuple[Slot, ...]) -> str:
    """`conv out kernel [stride=] [pad=]`: how a person would write the call."""
    shown = []
    for slot in slots[:12]:
        text = f"{slot.name}=" if slot.keyword else slot.name
        shown.append(text if slot.required else f"[{text}]")
    return " ".join([name, *shown, *["..."] * (len(slots) > 12)])


def words(target: Target | None) -> frozenset[str]:
    """The bare words that the arguments of an operator take; of any, where none is known."""
    if isinstance(target, Block):
        return frozenset()
    return _words(None if target is None else target.name)


@cache
def _words(name: str | None) -> frozenset[str]:
    kinds = TABLE.values() if name is None else (TABLE[name],)
    return frozenset(w for kind in kinds for a in kind.args.values() for w in a.type.words())
