"""From a flow to nested series and parallels: what a reader sees as a chain, branches and a skip.

Any flow can be read this way: what is no nest of chains and branches stays a `Tangle`, a column
with its edges beside it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from archdsl.ops.table import Shape
from archdsl.pictures.scene import Edge, Element, Flow
from archdsl.pictures.wording import common_text, labels_text

LONGEST_PERIOD = 6
#: more forks than this in one another are no nest to a reader, but lines beside a column
DEEPEST = 12


@dataclass(frozen=True)
class Leaf:
    """One element. `inner`: its contents, where it is open. `asides`: flows that leave here and
    lead nowhere (aux heads, further outputs), each beginning after this element. `begins`: nothing
    flows into it, as into a parameter; it may stand first in a branch."""

    element: Element
    inner: Series | None = None
    asides: tuple[Series, ...] = ()
    begins: bool = False


@dataclass(frozen=True)
class Parallel:
    """Branches between the part before and the part after. `skips`: those without an element.
    `shape`: of what forks; empty where several forks of several shapes are drawn as one.
    `marks`: which operands of what follows the branches are, where that matters, and `skipped` what
    skips is; a branch that ends as several says so inside."""

    branches: tuple[Series, ...]
    skips: int
    shape: Shape
    marks: tuple[str, ...]
    skipped: str = ""


@dataclass(frozen=True)
class Tangle:
    """Elements in the order of execution, with edges between their numbers here; -1 is what comes
    before, and their count what comes after."""

    parts: tuple[Leaf, ...]
    edges: tuple[Edge, ...]
    shape: Shape


@dataclass(frozen=True)
class Repeated:
    """The same parts several times in a row."""

    series: Series
    times: int


@dataclass(frozen=True)
class Series:
    parts: tuple[Part, ...]


Part = Leaf | Parallel | Tangle | Repeated


def structure(flow: Flow) -> Series:
    """The flow as a series from its entry to its exit."""
    return _Reader(flow).whole()


def count(series: Series) -> int:
    """How many elements one sees."""
    total = 0
    for part in series.parts:
        match part:
            case Leaf():
                ends = part.element.kind in ("entry", "exit")
                total += count(part.inner) if part.inner is not None else not ends
                total += sum(map(count, part.asides))
            case Parallel():
                total += sum(map(count, part.branches))
            case Tangle():
                total += count(Series(part.parts))
            case Repeated():
                total += count(part.series)
    return total


class _TooDeep(Exception):
    """Forks in forks in forks."""


class _Reader:
    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.after: dict[int, list[Edge]] = {}
        self.before: dict[int, list[Edge]] = {}
        for edge in flow.edges:
            self.after.setdefault(edge.source, []).append(edge)
            self.before.setdefault(edge.target, []).append(edge)
        self.asides: dict[int, list[Series]] = {}
        self.depth = 0  # of forks in one another

    def whole(self) -> Series:
        last = len(self.flow.elements) - 1
        main = {last}
        for number in range(last, -1, -1):
            if any(edge.target in main for edge in self.after.get(number, ())):
                main.add(number)
        main.add(0)
        for group in self._groups(n for n in range(last) if n not in main):
            source = self._leaves(group)
            if source is None:
                main.update(group)
            else:
                chain = Series(tuple(self._leaf(n) for n in group))
                self.asides.setdefault(source, []).append(fold(chain))
        ends = (Leaf(self.flow.elements[0]), Leaf(self.flow.elements[last]))
        inside = [n for n in sorted(main) if n not in (0, last)]
        parts = (self._leaf(0), *self._between(0, inside, last), ends[1])
        return fold(Series(parts))

    def _leaves(self, group: list[int]) -> int | None:
        """Where a group that leads nowhere leaves the flow, if it is a chain that does so once."""
        before = [[e.source for e in self.before.get(n, ())] for n in group]
        first, *others = before
        if len(first) != 1 or others != [[n] for n in group[:-1]]:
            return None
        # what enters a block has no element to stand beside
        return None if self.flow.elements[first[0]].kind == "entry" else first[0]

    def _leaf(self, number: int) -> Leaf:
        element = self.flow.elements[number]
        inner = structure(element.inner) if element.inner is not None and element.open else None
        asides = tuple(self.asides.get(number, ()))
        kinds = ("param", "layer", "pill", "join", "block", *(["input"] if number else []))
        begins = element.kind in kinds and number not in self.before
        if inner is not None and len(inner.parts) == 3 and isinstance(only := inner.parts[1], Leaf):
            # a block that holds one thing only, n times: that thing, by the block's name
            if only.inner is None and only.element.hue == "group":
                return Leaf(element, None, asides, begins)  # which says more than a group's name
            own = replace(only.element, label=element.label or only.element.label)
            alike = element.alike if only.element.times == 1 else None
            return Leaf(replace(own, alike=alike), only.inner, (*asides, *only.asides), begins)
        if inner is not None and len(inner.parts) == 3 and isinstance(inner.parts[1], Repeated):
            repeated = inner.parts[1]
            own = replace(element, times=repeated.times, alike=None)
            inside = (inner.parts[0], *repeated.series.parts, inner.parts[2])
            return Leaf(own, Series(inside), asides, begins)
        return Leaf(element, inner, asides, begins)

    def _between(
        self, source: int, inside: list[int], target: int, *, branch: bool = False
    ) -> list[Part]:
        """The parts strictly between two elements, of the elements `inside`, in order; for a
        `branch` the edge that leads from one to the other is none of its business."""
        numbers = [source, *inside, target]
        place = {number: i for i, number in enumerate(numbers)}
        reach = [0] * len(numbers)  # how far an edge goes that starts here or before
        for i, number in enumerate(numbers[:-1]):
            ends = [place[e.target] for e in self.after.get(number, ()) if e.target in place]
            if branch and i == 0:
                ends = [end for end in ends if end != len(numbers) - 1]
            reach[i] = max([reach[i - 1] if i else 0, *ends])
        # an element that no edge passes by is on every way
        cuts = [i for i in range(len(numbers)) if i == 0 or reach[i - 1] <= i]
        parts: list[Part] = []
        for one, other in pairwise(cuts):
            past = branch and other - one == len(numbers) - 1
            parts += self._fork(numbers[one], numbers[one + 1 : other], numbers[other], past)
            if numbers[other] != target:
                parts.append(self._leaf(numbers[other]))
        return parts

    def _fork(self, source: int, inside: list[int], target: int, past: bool) -> list[Part]:
        """`past`: the edge from the source to the target is drawn already."""
        if not inside:
            return []
        if not all(self.after.get(number) for number in inside):  # it leads nowhere
            return [self._tangle(source, inside, target, past)]
        try:
            self.depth += 1
            return [self._nest(source, inside, target, past)]
        except _TooDeep:
            if self.depth > 1:
                raise
            return [self._tangle(source, inside, target, past)]
        finally:
            self.depth -= 1

    def _nest(self, source: int, inside: list[int], target: int, past: bool) -> Parallel | Tangle:
        if self.depth > DEEPEST:
            raise _TooDeep
        groups = self._groups(inside)
        skips = 0 if past else sum(e.target == target for e in self.after.get(source, ()))
        if len(groups) == 1 and not skips:
            return self._tangle(source, inside, target, past)
        order = {e.source: i for i, e in enumerate(self.before.get(target, ()))}
        groups.sort(key=lambda group: min(order.get(n, len(order)) for n in group))
        branches = tuple(
            Series(tuple(self._between(source, group, target, branch=True))) for group in groups
        )
        shape = self.after[source][0].shape
        marks = tuple(self._mark(group, target) for group in groups)
        return Parallel(branches, skips, shape, marks, self._mark([source], target))

    def _mark(self, sources: list[int], target: int) -> str:
        """What the target calls these, where one of them alone feeds it."""
        marks = [e.mark for e in self.before.get(target, ()) if e.source in sources]
        return marks[0] if len(marks) == 1 else ""

    def _groups(self, numbers: Iterable[int]) -> list[list[int]]:
        """Connected elements together, each group in order."""
        group = {number: number for number in numbers}

        def find(n: int) -> int:
            while group[n] != n:
                n = group[n]
            return n

        for number in group:
            for edge in self.after.get(number, ()):
                if edge.target in group:
                    group[find(edge.target)] = find(number)
        found: dict[int, list[int]] = {}
        for number in group:
            found.setdefault(find(number), []).append(number)
        return list(found.values())

    def _tangle(self, source: int, inside: list[int], target: int, past: bool) -> Tangle:
        place = {source: -1, target: len(inside), **{n: i for i, n in enumerate(inside)}}
        edges = tuple(
            replace(e, source=place[e.source], target=place[e.target])
            for number in (source, *inside)
            for e in self.after.get(number, ())
            if e.target in place and not (past and (number, e.target) == (source, target))
        )
        return Tangle(tuple(self._leaf(n) for n in inside), edges, self.after[source][0].shape)


# ---- repetition ----------------------------------------------------------------------------------


def fold(series: Series) -> Series:
    """Equal parts in a row as one part, and how often."""
    parts = [_inside(part) for part in series.parts]
    numbers: dict[Hashable, int] = {}  # of keys, which are long to compare
    keys = [None if k is None else numbers.setdefault(k, len(numbers)) for k in map(alike, parts)]
    result: list[Part] = []
    at = 0
    while at < len(parts):
        period, times = _repetition(keys, at)
        unit = parts[at : at + period]
        if times == 1:
            result.append(unit[0])
            at += 1
            continue
        if period == 1 and isinstance(unit[0], Leaf):
            result.append(_several([p for p in parts[at : at + times] if isinstance(p, Leaf)]))
        else:
            runs = [parts[at + i * period : at + (i + 1) * period] for i in range(times)]
            together = tuple(_merged(list(column)) for column in zip(*runs, strict=True))
            result.append(Repeated(Series(together), times))
        at += period * times
    return Series(tuple(result))


def _inside(part: Part) -> Part:
    if isinstance(part, Parallel):
        return replace(part, branches=tuple(map(fold, part.branches)))
    return part


def _repetition(keys: list[int | None], at: int) -> tuple[int, int]:
    """The period and number of what repeats here, and covers most."""
    best = (1, 1)
    for period in range(1, LONGEST_PERIOD + 1):
        unit, times = keys[at : at + period], 1
        if len(unit) < period or None in unit:
            break
        while keys[at + times * period : at + (times + 1) * period] == unit:
            times += 1
        if times > 1 and period * times > best[0] * best[1]:
            best = (period, times)
    return best


def alike(part: Part) -> Hashable:
    """Equal for parts that look the same; None for what is never folded."""
    match part:
        case Leaf():
            if part.asides or part.begins or part.element.alike is None:
                return None
            return (part.element.kind, part.element.alike, part.element.times)
        case Parallel():
            inside = tuple(tuple(map(alike, b.parts)) for b in part.branches)
            ends = (part.skips, part.marks, part.skipped)
            return None if any(None in keys for keys in inside) else (inside, ends)
        case Repeated():
            within = tuple(map(alike, part.series.parts))
            return None if None in within else (within, part.times)
    return None


def _several(leaves: list[Leaf]) -> Leaf:
    first, last = leaves[0].element, leaves[-1].element
    element = replace(
        first,
        label=labels_text([leaf.element.label for leaf in leaves]),
        title=common_text([leaf.element.title for leaf in leaves]),
        notes=tuple(
            common_text(list(column))
            for column in zip(*(leaf.element.notes for leaf in leaves), strict=True)
        ),
        params=sum(leaf.element.params for leaf in leaves),
        macs=sum(leaf.element.macs for leaf in leaves),
        shape=last.shape,
        times=len(leaves),
        shows=tuple(copy for leaf in leaves for copy in leaf.element.shows),
    )
    insides = [leaf.inner for leaf in leaves if leaf.inner is not None]
    asides = zip(*(leaf.asides for leaf in leaves), strict=True)
    beside = tuple(s for column in asides if (s := _together(column)) is not None)
    return replace(leaves[0], element=element, inner=_together(insides), asides=beside)


def _fork_shape(part: Part) -> Shape:
    return part.shape if isinstance(part, Parallel) else ()


def _together(all_: Sequence[Series]) -> Series | None:
    """Series that look the same as one, with the sum of what they cost."""
    if not all_:
        return None
    return Series(tuple(_merged(list(c)) for c in zip(*(s.parts for s in all_), strict=True)))


def _merged(column: list[Part]) -> Part:
    """The parts at one place of every repetition, as one: with the sum of what they cost."""
    first = column[0]
    if isinstance(first, Leaf):
        leaf = _several([part for part in column if isinstance(part, Leaf)])
        return replace(leaf, element=replace(leaf.element, times=first.element.times))
    if isinstance(first, Parallel):
        each = zip(*(p.branches for p in column if isinstance(p, Parallel)), strict=True)
        merged = (_together(branches) for branches in each)
        same = all(_fork_shape(part) == first.shape for part in column)
        branches = tuple(b for b in merged if b is not None)
        return replace(first, branches=branches, shape=first.shape if same else ())
    if isinstance(first, Repeated):
        series = _together([p.series for p in column if isinstance(p, Repeated)])
        return first if series is None else replace(first, series=series)
    rows = zip(*(p.parts for p in column if isinstance(p, Tangle)), strict=True)
    leaves = (_merged(list(row)) for row in rows)
    return replace(first, parts=tuple(leaf for leaf in leaves if isinstance(leaf, Leaf)))
