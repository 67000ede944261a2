"""Random specs, drawn: every picture's edges are the program's. python -m tests.fuzz.drawing 3000

What is drawn is read back as a person would: Mermaid's and DOT's edges from their text, those of an
SVG (whose marks a PNG has too) by following its lines from end point to end point. What must be
there comes from the items of the program alone.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from archdsl.ir.graph import Graph, Item, Node, Param, Program, Scope
from archdsl.ops.table import Shape
from archdsl.pictures.compose import compose
from archdsl.pictures.depth import opened
from archdsl.pictures.dot import to_dot
from archdsl.pictures.mermaid import to_mermaid
from archdsl.pictures.outline import Item as Drawn
from archdsl.pictures.outline import outline
from archdsl.pictures.paint import paint
from archdsl.pictures.scene import Element, Flow
from archdsl.pictures.structure import structure
from archdsl.pictures.svg import to_svg
from archdsl.pipeline import open_spec
from tests.fuzz.lines import Group, Pairs, Wrong, read_svg
from tests.fuzz.specs import Env, Maker, Piece

DEEPEST = 4
ORDERED = ("sub", "div")


# ---- specs -----------------------------------------------------------------------------------


class Weaver(Maker):
    """Specs of one shape, so that anything may be joined with anything: taps inside and outside of
    groups, joins, residuals, parameters, several outputs, aux heads."""

    STEPS = (
        *("conv in 1x1", "conv in 3x3 pad=1", "relu", "identity", "dropout 0", "maxpool 1"),
        *("bn", "chunk 1 0", "affine 2 1", "gn 1", "dropout 0.5"),
        "flatten -> reshape [4, 3, 3]",
    )

    def input(self) -> Shape:
        return (4, 3, 3)

    def any_step(self, shape: Shape, env: Env, depth: int, bare: bool) -> Piece:
        rng, kind = self.rng, self.rng.random()
        alone = bare and depth == 0  # one step, with something before or behind it
        if kind < 0.25 and not self.loops and not alone:
            return self.tapped(shape, env, depth)
        if depth > 0 and kind < 0.6:
            options = (self.group, self.group, self.residual, self.join, self.repeat, self.call)
            options += (self.shared, self.of_values, self.by_path, self.carried)
            return rng.choice(options)(shape, env, depth - 1)
        if kind < 0.68 and not self.loops and not alone:
            return self.param(shape, env)
        times = rng.choice(("", "", " x2", " x3")) if kind > 0.95 else ""
        label = "" if bare else self.label()
        return Piece(label + rng.choice(self.STEPS) + times, lambda shape, env: shape)

    def tapped(self, shape: Shape, env: Env, depth: int) -> Piece:
        rng = self.rng
        if not self.taps or rng.random() < 0.5:
            name = self.name("t")
            self.taps[name] = shape
            return Piece(f"tap {name}", lambda shape, env: shape)
        names = [f"@{rng.choice(list(self.taps))}" for _ in range(rng.choice((1, 1, 2)))]
        forms = (
            f"add {' '.join(names)}",
            f"mul {{ identity; {'; '.join(names)} }}",
            f"{rng.choice(ORDERED)} {{ {names[0]}; identity }}",
            f"add {{ {names[0]} -> relu; conv in 1x1 }}",
            f"add {{ {names[0]} }}",
            names[0],
        )
        return Piece(rng.choice(forms), lambda shape, env: shape)

    def param(self, shape: Shape, env: Env) -> Piece:
        name, rng = self.name("p"), self.rng
        kind = rng.choice(("param", "buffer"))
        uses: tuple[str, ...]
        if rng.random() < 0.5:
            text = f"{kind} {name} [4, 1, 1] normal std=0.5\n"
            uses = (f"mul @{name}", f"add {{ identity; @{name} }}")
        else:
            text = f"{kind} {name} [1, 4, 3, 3] normal std=0.5\n"
            uses = (f"add {{ identity; @{name} -> conv 4 1x1 }}", f"@{name}", f"add @{name}")
            self.taps[name] = shape
        return Piece(text + rng.choice(uses), lambda shape, env: shape)

    def head(self, flow: Shape, taps: list[str], env: Env) -> str:
        if not taps or self.rng.random() < 0.3:
            return "conv 2 1x1"
        names = [self.rng.choice(taps) for _ in range(self.rng.choice((1, 2)))]
        forms = (f"@{names[0]} -> conv 2 1x1", f"add {{ identity; @{names[-1]} -> relu }}")
        return self.rng.choice((*forms, f"add {{ @{names[0]}; @{names[-1]} -> relu }}"))


# ---- what is so ------------------------------------------------------------------------------


def apart(program: Program) -> Program:
    """The program with items of its own for each call: graphs of equal calls are shared."""
    return replace(program, graph=_apart(program.graph))


def _apart(graph: Graph) -> Graph:
    def copied(item: Item) -> Item:
        return replace(item, graph=_apart(item.graph)) if isinstance(item, Scope) else replace(item)

    return replace(graph, items=tuple(map(copied, graph.items)))


#: an operator, a parameter, an aux head without any, or the name of the input or an output
Made = Node | Param | Scope | str


@dataclass
class Truth:
    """Who computes what from what. `passed`: operators whose value is their input's."""

    feeds: dict[Made, list[Made]] = field(default_factory=dict)
    inside: dict[int, set[Made]] = field(default_factory=dict)  # a scope's, by its id
    passed: set[Node] = field(default_factory=set)

    @classmethod
    def of(cls, program: Program) -> Truth:
        truth = cls()
        values = truth._walk(program.graph, [f"input {name}" for name in program.inputs], [])
        several = len(program.outputs) > 1
        for name, value in program.outputs:
            truth.feeds[f"output {name if several else 'output'}"] = [values[value]]
        return truth

    def _walk(self, graph: Graph, values: list[Made], around: list[Scope]) -> list[Made]:
        values = list(values)
        for item in graph.items:
            given = [values[v] for v in item.inputs]
            if isinstance(item, Scope):
                inner = self._walk(item.graph, given, [*around, item])
                values += [inner[v] for v in item.graph.outputs]
                if item.training_only and not any(True for _ in self._inside(item)):
                    self.feeds[item] = [inner[v] for v in item.graph.outputs]
                continue
            for scope in around:
                self.inside.setdefault(id(scope), set()).add(item)
            if isinstance(item, Node) and _passes(item):
                self.passed.add(item)
                values += given
                continue
            if isinstance(item, Node):
                self.feeds[item] = given
            values.append(item)
        return values

    def _inside(self, scope: Scope) -> Iterator[Node]:
        inside = self.inside.get(id(scope), ())
        return (made for made in inside if isinstance(made, Node) and made not in self.passed)


def _passes(node: Node) -> bool:
    joined = node.op.arity is None and len(node.inputs) == 1
    plain = node.op.name == "identity" or getattr(node.op, "p", None) == 0
    return plain or (joined and node.op.name in (*ORDERED, "add", "mul", "concat"))


# ---- what is shown ---------------------------------------------------------------------------


def compare(program: Program, top: Group, pairs: Pairs) -> None:
    """Raises Wrong where the edges are not the program's."""
    truth = Truth.of(program)
    elements = {id(element): element for element in top.elements()}
    place: dict[Made, tuple[int, int, int]] = {}  # element, which repetition, which item of it
    for number, element in elements.items():
        for made, copy, step in _shown(element, truth):
            if made in truth.passed:
                continue
            if made in place and not isinstance(made, Param):
                raise Wrong(f"shown twice: {_named(made)}")
            if made not in place or not _closed(elements[place[made][0]]):
                place[made] = (number, copy, step)
        _alike(element, truth)
    unseen = [made for made in truth.feeds if made not in place]
    if unseen:
        raise Wrong(f"not shown: {[_named(made) for made in unseen]}")
    right: Pairs = set()
    boxes: dict[Param, set[int]] = {}
    for number, element in elements.items():
        for made, _, _ in _shown(element, truth):
            if isinstance(made, Param):
                boxes.setdefault(made, set()).add(number)
    for made, sources in truth.feeds.items():
        number, copy, step = place[made]
        for source in sources:
            if isinstance(source, Param) and not (
                source in place and _closed(elements[place[source][0]])
            ):
                right |= _param(source, number, boxes, elements, pairs)
                continue
            other, before, end = place[source]
            if other != number or before != copy:
                right.add((other, number))
                _ends(elements[other], before, end, truth, f"{_named(source)} > {_named(made)}")
            elif not _closed(elements[number]) and step != end + 1:
                raise Wrong(f"inside one box: {_named(source)} > {_named(made)}")
    drawn = pairs | set(_repeated(top, pairs))
    if drawn != right:
        names = {number: _title(element) for number, element in elements.items()}
        missing = [f"{names[a]} > {names[b]}" for a, b in right - drawn]
        wrong = [f"{names[a]} > {names[b]}" for a, b in drawn - right]
        raise Wrong(f"missing: {missing}, wrong: {wrong}")


def _shown(element: Element, truth: Truth) -> Iterator[tuple[Made, int, int]]:
    if element.kind == "input":
        yield f"input {element.title}", 0, 0
    if element.kind == "output":
        yield f"output {element.title}", 0, 0
    for copy, items in enumerate(element.shows):
        step = 0
        for item in items:
            if isinstance(item, Scope):
                if item in truth.feeds:
                    yield item, copy, 0
                for made in truth.inside.get(id(item), ()):
                    yield made, copy, 0
            elif isinstance(item, Param):
                yield item, copy, -1
            else:
                yield item, copy, step
                step += 1


def _alike(element: Element, truth: Truth) -> None:
    """`×3` is said of what is the same three times, but for how much dropout drops."""
    copies: dict[int, list[str]] = {}
    for made, copy, _ in _shown(element, truth):
        if isinstance(made, Node) and made not in truth.passed:
            told = made.op.symbol or (made.op.name if made.op.idle else repr(made.op))
            copies.setdefault(copy, []).append(told)
    if len({tuple(sorted(told)) for told in copies.values()}) > 1:
        raise Wrong(f"repeated, but not the same: {_title(element)} {copies}")


def _closed(element: Element) -> bool:
    return any(isinstance(item, Scope) for copy in element.shows for item in copy)


def _ends(element: Element, copy: int, end: int, truth: Truth, edge: str) -> None:
    """What leaves a layer and its notes is what the last of them made."""
    if _closed(element) or not element.shows:
        return
    nodes = [item for item in element.shows[copy] if isinstance(item, Node)]
    if end != len(nodes) - 1:
        raise Wrong(f"leaves from within a box: {edge}")


def _param(
    param: Param,
    user: int,
    boxes: dict[Param, set[int]],
    elements: dict[int, Element],
    pairs: Pairs,
) -> Pairs:
    """Named where it is used, or drawn."""
    element = elements[user]
    if param.name in re.findall(r"\w+", element.title) or user in boxes.get(param, ()):
        return set()
    own = {(box, user) for box in boxes.get(param, ()) if elements[box].kind == "param"}
    if not own:
        raise Wrong(f"not shown: {param.name} in {_title(element)}")
    return own & pairs or own


def _repeated(group: Group, pairs: Pairs) -> Iterator[tuple[int, int]]:
    """What `×3` says: an end of what is repeated feeds its begin."""
    for member in group.members:
        if isinstance(member, Group):
            yield from _repeated(member, pairs)
        elif member.times > 1:
            yield id(member), id(member)
    if group.element.times > 1:
        inside = {id(element) for element in group.elements()}
        begins = {b for a, b in pairs if a not in inside and b in inside}
        ends = {a for a, b in pairs if a in inside and b not in inside}
        if not ends:  # nothing follows
            ends = {id([*group.elements()][-1])}
        yield from ((end, begin) for end in ends for begin in begins)


def _title(element: Element) -> str:
    return " ".join(filter(None, (element.label, element.title, *element.notes))) or element.kind


def _named(made: Made) -> str:
    return made if isinstance(made, str) else f"{made.name}@{made.span.start}"


# ---- reading what is drawn -------------------------------------------------------------------


def read_text(text: str, arrow: str, items: list[Drawn]) -> tuple[Group, Pairs]:
    """Mermaid or DOT; `arrow`: between the names of two nodes."""
    names: dict[str, int] = {}

    def group(items: Iterable[Drawn], element: Element) -> Group:
        result = Group(element)
        for item in items:
            names[item.id] = id(item.element)
            result.members.append(
                item.element if item.items is None else group(item.items, item.element)
            )
        return result

    top = group(items, Element("block", "", ""))
    pairs = {
        (names[a], names[b]) for a, b in re.findall(rf"^ *(n\d+) {arrow} (n\d+)\b", text, re.M)
    }
    return top, pairs


# ---- running ---------------------------------------------------------------------------------


def verdict(text: str) -> str:
    """refused, or the number of pictures that are right as text; raises Wrong."""
    program = open_spec(text).program
    if program is None:
        return "refused"
    program = apart(program)
    for depth in range(DEEPEST):
        for name, (group, pairs) in _read(program, depth):
            try:
                compare(program, group, pairs)
            except Wrong as error:
                raise Wrong(f"{name} at depth {depth}: {error}") from None
    return "right"


def _read(program: Program, depth: int) -> Iterator[tuple[str, tuple[Group, Pairs]]]:
    flow: Flow = opened(program, depth)
    made = outline(structure(flow))
    yield "mermaid", read_text(to_mermaid(made), r'\S+>\|"[^"]*"\|', made.items)
    yield "dot", read_text(to_dot(made, program.name), "->", made.items)
    sheet = compose(flow, insides=False)
    yield "svg", read_svg(to_svg(paint(program, sheet)), sheet)


def judged(seed: int) -> tuple[str, str]:
    """The verdict on a seed's spec, and what is wrong."""
    text = Weaver(random.Random(seed)).spec()
    try:
        return verdict(text), ""
    except Exception as error:  # whatever it is: it is what we look for
        return "wrong", f"{type(error).__name__}: {error}\n{text}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.drawing")
    parser.add_argument("count", type=int, nargs="?", default=1000)
    parser.add_argument("--first", type=int, default=0, metavar="SEED")
    args = parser.parse_args()
    began, total = time.time(), {"right": 0, "refused": 0, "wrong": 0}
    for seed in range(args.first, args.first + args.count):
        result, what = judged(seed)
        total[result] += 1
        if what:
            print(f"seed {seed}\n{what}", flush=True)
    print(f"{args.count:,} specs in {time.time() - began:,.0f} s: {total}")
    sys.exit(total["wrong"] > 0)


if __name__ == "__main__":
    main()
