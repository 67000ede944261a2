"""One text of an open file, looked at once: what every answer of the language server is read off.

In: a text as it stands, half-written or not. Out: its problems, the meaning of its words, and the
shapes that flow at its lines. While the text is broken, shapes and names are those of the last text
that was not, moved along with their lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import InitVar, dataclass
from functools import cached_property
from pathlib import Path

from archdsl.diagnostics.catalogue import NoModel
from archdsl.diagnostics.model import Diagnostic
from archdsl.diagnostics.source import Source, Span
from archdsl.ir import receptive_field
from archdsl.ir.graph import Graph, Item, Param, Program, Scope
from archdsl.ir.walk import graphs
from archdsl.loading import DISK, Files
from archdsl.names.symbols import Occurrence, Resolved, Symbol
from archdsl.names.units import Unit
from archdsl.ops.table import Shape
from archdsl.pipeline import Checked, Spec
from archdsl.sizes.named import named
from archdsl.syntax import tree as t


@dataclass(frozen=True, slots=True)
class Flow:
    """One item of a program at its place: what enters, what leaves, and in which call (`args`)."""

    item: Item
    graph: Graph
    inputs: tuple[Shape, ...]
    path: str  # its name in the state_dict, where it stands first


@dataclass(eq=False)
class Analysis:
    """`before`: the analysis of the text before this one."""

    source: Source
    folder: Path
    before: InitVar[Analysis | None] = None
    files: Files = DISK
    last: Analysis | None = None  # the last one that has all its shapes, where this has not

    def __post_init__(self, before: Analysis | None) -> None:
        if before is not None:
            whole = self.programs and len(self.programs) == len(self.spec.models)
            self.last = None if whole else before.last or (before if before.programs else None)

    @cached_property
    def spec(self) -> Spec:
        return Spec(self.source, self.folder, files=self.files, cut=True)

    @cached_property
    def checked(self) -> Checked:
        return self.spec.check(every=True, sketch=True)

    @cached_property
    def programs(self) -> list[Program]:
        """The file's models that have no errors, with their defaults; sides that a `where` lets
        vary say so."""
        return list(map(named, self.checked.programs.values()))

    @property
    def problems(self) -> tuple[Diagnostic, ...]:
        return self.checked.diagnostics

    @property
    def unit(self) -> Unit | None:
        """Of this text; without the statements that have syntax errors."""
        return self.spec.loaded.root

    @property
    def names(self) -> Resolved | None:
        return self.spec.names.get(self.unit) if self.unit is not None else None

    @property
    def wrong_names(self) -> list[Diagnostic]:
        """What is wrong with the text and its names; asks for no shapes."""
        found = (*self.spec.loaded.found, *(self.names.found if self.names is not None else ()))
        return [p for p in found if p.severity == "error" and p.span.source is self.source]

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """What is wrong in this file, in its order; problems of a used file stand at its `use`."""
        here = [p for p in self.problems if p.span.source is self.source]
        return sorted((p for p in here if not isinstance(p, NoModel)), key=lambda p: p.span.start)

    @cached_property
    def elsewhere(self) -> list[Diagnostic]:
        """Problems in the files that this one uses."""
        return [p for p in self.problems if p.span.source is not self.source]

    @property
    def good(self) -> Analysis:
        """This analysis, or the last before it that has all its shapes."""
        return self.last or self

    @cached_property
    def words(self) -> list[Occurrence]:
        return self.names.occurrences if self.names is not None else []

    def word(self, offset: int) -> Occurrence | None:
        """The word at a place; right behind it counts too."""
        found = [o for o in self.words if o.span.start <= offset <= o.span.end]
        inside = [o for o in found if offset < o.span.end]
        return next(iter(inside or found), None)

    def named(self, symbol: Symbol) -> list[Occurrence]:
        """Every word of this file that names a symbol."""
        return [o for o in self.words if o.symbol.key == symbol.key]

    # -- shapes

    @cached_property
    def flows(self) -> dict[tuple[int, int], list[Flow]]:
        """Everything that the programs compute, by its span in this text: once for each different
        call of the block that it stands in."""
        found: dict[tuple[int, int], list[Flow]] = {}
        seen: set[int] = set()
        roots: list[tuple[Graph, str | None]] = [(program.graph, "") for program in self.programs]
        roots += [(graph, None) for graph in self.checked.sketches]
        for graph, prefix in roots:
            for flow in _flows(graph, prefix, seen):
                span = flow.item.span
                if span.source is self.source:
                    found.setdefault((span.start, span.end), []).append(flow)
        return found

    @cached_property
    def fields(self) -> dict[int, receptive_field.Field]:
        """The receptive field of each item, by its id: where it stands first, as its `path`."""
        found: dict[int, receptive_field.Field] = {}
        for program in self.programs:
            walk = zip(program.walk(), receptive_field.fields(program), strict=True)
            for (_, item), seen in walk:
                found.setdefault(id(item), seen)
        return found

    @cached_property
    def shapes(self) -> dict[int, tuple[Shape, ...]]:
        """For each line (from 0) the shapes that leave the last step on it, one for each call."""
        last: dict[int, tuple[tuple[int, int], list[Flow]]] = {}
        for (start, end), flows in self.flows.items():
            line = self.source.position(end)[0] - 1
            if line not in last or (end, -start) > (last[line][0][1], -last[line][0][0]):
                last[line] = (start, end), flows
        found = {line: _shapes(flows) for line, (_, flows) in last.items()}
        for program in self.programs:
            block = self.unit.definitions.get(program.name) if self.unit else None
            if block is not None and isinstance(block.tree, t.Alias):
                line = self.source.position(block.tree.span.end)[0] - 1
                found.setdefault(line, tuple(program.output_shapes.values()))
        return found

    def hints(self) -> dict[int, tuple[Shape, ...]]:
        """`shapes`; where the text is broken those of the last good one, on the lines that are as
        they were then."""
        good = self.good
        if good is self:
            return self.shapes
        old, new = good.source.lines, self.source.lines
        head = _common(old, new)
        tail = min(_common(old[::-1], new[::-1]), min(len(old), len(new)) - head)
        moved = {line: line for line in range(head)}
        shift = len(new) - len(old)
        moved |= {line: line + shift for line in range(len(old) - tail, len(old))}
        old_shapes = {moved[n]: shapes for n, shapes in good.shapes.items() if n in moved}
        return {**old_shapes, **self.shapes}

    def computed(self, word: Span) -> list[Flow]:
        """What the step that begins with a word computes, or the one whose label the word is."""
        good = self.good
        shift = 0 if good is self else self._shift(word)
        begin, end = word.start + shift, word.end + shift
        if good.source.text[begin:end] != word.text:
            return []
        starts = sorted({start for start, _ in good.flows if start >= begin})
        if not starts:
            return []
        between = good.source.text[end : starts[0]]
        if starts[0] != begin and between.strip(' "') != ":":
            return []
        last = max(end for start, end in good.flows if start == starts[0])
        return good.flows[starts[0], last]

    def _shift(self, word: Span) -> int:
        """How far a word of this text stood from here in the last good one."""
        old, new = self.good.source.text, self.source.text
        head = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), len(new))
        return 0 if word.end <= head else len(old) - len(new)

    def values(self, word: Occurrence) -> list[object]:
        """The values that a parameter of a block or model takes, in the order of the calls; for a
        word of an alias, those of this alias."""
        symbol, found = word.symbol, list[object]()
        if symbol.span is None:
            return found
        here = self._definition(word.span)
        for program in self.good.programs:
            if isinstance(here, t.Alias) and program.name != here.name:
                continue
            for graph in graphs(program.graph):
                args = dict(graph.args)
                inside = graph.span.start <= symbol.span.start < graph.span.end
                same = graph.span.source.name == symbol.span.source.name
                if inside and same and symbol.name in args and args[symbol.name] not in found:
                    found.append(args[symbol.name])
        return found

    def program(self, place: Span) -> Program | None:
        """Of the model that a place stands in, as it was when it last had no errors."""
        here = self._definition(place)
        programs = self.good.programs if here is not None else []
        return next((p for p in programs if here is not None and p.name == here.name), None)

    def _definition(self, place: Span) -> t.Definition | None:
        """The one that a place stands in."""
        trees = self.unit.file.definitions if self.unit is not None else ()
        inside = (d for d in trees if d.span.start <= place.start and place.end <= d.span.end)
        return next(inside, None)


def _flows(graph: Graph, prefix: str | None, seen: set[int]) -> Iterator[Flow]:
    """`prefix`: the graph's name in the state_dict with a dot, None where it is not known."""
    if id(graph) in seen:
        return
    seen.add(id(graph))
    shapes = list(graph.input_shapes)
    for item in graph.items:
        path = None if prefix is None else prefix + (item.name or "")
        yield Flow(item, graph, tuple(shapes[i] for i in item.inputs), path or "")
        shapes.extend(item.shapes)
        if isinstance(item, Scope):
            yield from _flows(item.graph, None if path is None else path + ".", seen)


def _shapes(flows: list[Flow]) -> tuple[Shape, ...]:
    """Different shapes, in order; of repetitions in one call (`conv 64 3x3 x3`) the last."""
    last: dict[int, Shape] = {}
    for flow in flows:
        if flow.item.shapes:
            last[id(flow.graph)] = flow.item.shapes[0]
    return tuple(dict.fromkeys(last.values()))


def _common(a: list[str], b: list[str]) -> int:
    pairs = enumerate(zip(a, b, strict=False))
    return next((i for i, (x, y) in pairs if x != y), min(len(a), len(b)))


def cost(flow: Flow) -> tuple[int, int]:
    """Learned parameters and multiply-accumulates of one item."""
    item = flow.item
    if isinstance(item, Scope):
        return item.graph.sizes.params, item.graph.sizes.macs
    if isinstance(item, Param):
        return 0, 0
    return item.params, item.macs
