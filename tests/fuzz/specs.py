"""Random specs over the whole operator table and all combinators, mostly valid.

Everything is drawn from one `random.Random`, so that a seed is a spec, and Hypothesis, which gives
its own, can shrink one. Each `Piece` knows how the shape flows through its text: only so do specs
become deep, for most random steps fit nowhere. The checker decides anew, from the text.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from archdsl.ops import TABLE, Op
from archdsl.ops.table import Arg, Blame, Shape
from archdsl.ops.types import MAX_INT, Bool, Choice, Equation, Float, Floats, Int, Ints, Size, Type
from tests.fuzz.values import Values, here

MOST_VALUES = 4000  # of one tensor of one sample
WRONG = 0.04  # of all steps
OPERATORS = [kind for kind in TABLE.values() if kind.arity == 1 and not kind.below]
#: those that take whole numbers
OF_WHOLE = [kind for kind in TABLE.values() if kind.below]
JOINS = [kind for kind in TABLE.values() if kind.arity is None]
#: those whose branches seldom fit by chance
FITTED = [kind for kind in JOINS if kind.example_inputs]
#: what a parameter may hold that is called without arguments
PLAIN = [k for k in OPERATORS if not any(a.required for a in k.args.values())]

Env = dict[str, Any]


@dataclass(frozen=True)
class Piece:
    """A text, and the shape that leaves it; `flow` raises where the text is refused."""

    text: str
    flow: Callable[[Shape, Env], Shape]


# ---- arguments -------------------------------------------------------------------------------


def value(rng: random.Random, kind: Type) -> Any:
    """A small value of a type, as a person would write it."""
    match kind:
        case Bool():
            return rng.random() < 0.5
        case Choice(options):
            return rng.choice(options)
        case Int(low, high):
            small = max(low, -1)
            if rng.random() < 0.6:
                return rng.randint(small, min(high, small + 2))
            return rng.randint(max(low, -4), min(high, 8))
        case Float():
            some = [v for v in (-0.5, 0.0, 1e-5, 0.1, 0.5, 1.0, 2.0, 1.5, 3) if kind.accepts(v)]
            return rng.choice(some)
        case Floats():
            return tuple(value(rng, Float()) for _ in range(rng.randint(1, 4)))
        case Size(low, words):
            if words and rng.random() < 0.4:
                return rng.choice(words)
            side = low + rng.choice((0, 0, 1, 1, 2, 3, 4))
            if rng.random() < 0.6:
                return side
            return tuple(low + rng.randint(0, 3) for _ in range(rng.choice((2, 2, 2, 3))))
        case Ints(low, one):
            if one and rng.random() < 0.3:
                return rng.randint(max(low, -2), 4)
            if rng.random() < 0.5:
                order = list(range(max(low, 0), max(low, 0) + rng.randint(1, 4)))
                rng.shuffle(order)
                return tuple(order)
            return tuple(rng.randint(max(low, -1), 4) for _ in range(rng.randint(1, 6)))
        case Equation():
            terms = ["".join(rng.sample("cdef", rng.choice((3, 2, 2, 1)))) for _ in range(2)]
            letters = sorted(set("".join(terms)))
            result = "".join(rng.sample(letters, rng.randint(0, len(letters))))
            return f"b{terms[0]},b{terms[1]}->b{result}"
    raise NotImplementedError(kind)


def wrong(rng: random.Random, kind: Type) -> Any:
    """A value just outside of a type."""
    match kind:
        case Int(low, high):
            return rng.choice([v for v in (low - 1, high + 1, 1.5) if abs(v) < MAX_INT])
        case Float(low, high):
            return rng.choice([v for v in (low - 0.5, high + 0.5) if math.isfinite(v)] or ["none"])
        case Size(low):
            return rng.choice((low - 1, (2, 2, 2, 2), 1.5))
    return rng.choice((2.5, "none"))


def written(value: Any, listed: bool = False) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, str) and "->" in value:
        return f'"{value}"'
    if isinstance(value, tuple) and (listed or len(value) == 1):
        return "[" + ", ".join(map(written, value)) + "]"
    return "x".join(map(written, value)) if isinstance(value, tuple) else str(value)


def argument(rng: random.Random, spec: Arg, env: Env) -> tuple[str, Callable[[Env], Any]]:
    """A text and what it is worth."""
    numbers = [k for k, v in env.items() if isinstance(v, int)]
    sized = isinstance(spec.type, (Int, Size)) and rng.random() < 0.03
    if sized and (found := here(rng, env)) is not None:
        return found
    if isinstance(spec.type, (Int, Size)) and rng.random() < 0.2:
        if env["in"] and rng.random() < 0.5:
            return "in", lambda env: env["in"][0]
        if numbers:
            name, add = rng.choice(numbers), rng.randint(0, 2)
            if add:
                return f"({name} + {add})", lambda env: env[name] + add
            return name, lambda env: env[name]
    drawn = value(rng, spec.type)
    listed = isinstance(spec.type, (Ints, Floats))
    text = written(drawn, listed)
    if rng.random() < 0.1:
        text = computed(rng, drawn, listed)
    return text, lambda env: drawn


def computed(rng: random.Random, drawn: Any, listed: bool) -> str:
    """A text that is worth a value, by other ways than writing it."""
    if isinstance(drawn, tuple) and len(drawn) > 1 and not listed:
        sides = [f"({computed(rng, side, False)})" for side in drawn]
        plain = [str(side) if rng.random() < 0.4 else sides[i] for i, side in enumerate(drawn)]
        return "x".join(plain)
    if not isinstance(drawn, int) or isinstance(drawn, bool) or drawn < 1:
        return written(drawn, listed)
    forms = (
        f"({drawn} * 2 // 2)",
        f"(sum([1] * {drawn}))",
        f"(len(range({drawn})))",
        f"(none or {drawn})",
        f"(sorted([{drawn}, -9])[-1])",
        f"([v for v in [0, {drawn}, -1] if v > 0][0])",
        f"([a - b for a, b in zip(range(9, 99), [9 - {drawn}])][0])",
        f"(reversed([i + a for i, a in enumerate([8, {drawn - 1}])])[0])",
    )
    return rng.choice(forms)


def listing(rng: random.Random, items: Sequence[int]) -> str:
    """A text that is worth a list of small numbers."""
    plain, back = written(tuple(items), True), written(tuple(reversed(items)), True)
    forms = [plain, plain, f"reversed({back})", f"[n for n in {plain} + [99] if n < 50]"]
    forms += [
        f"[n for i, n in enumerate({plain}) if i >= 0]",
        f"[n for n, _ in zip({plain}, [0] * 9)]",
    ]
    if list(items) == sorted(items):
        forms.append(f"sorted({back})")
    if list(items) == list(range(items[0], items[0] + len(items))):
        forms += [f"range({items[0]}, {items[-1] + 1})"] * 3
    return rng.choice(forms)


def operation(
    rng: random.Random, kind: type[Op], env: Env, bad: bool = False
) -> tuple[str, Callable[[Env], Op]]:
    """A call of an operator, and what it makes; with `bad`, an argument is outside of its type."""
    texts, given = [kind.name], dict[str, Callable[[Env], Any]]()
    positional = True
    off = rng.choice(list(kind.args)) if bad and kind.args else None
    for name, spec in kind.args.items():
        if not spec.required and rng.random() < 0.5 and name != off:
            positional = False
            continue
        if name == off:
            raw = wrong(rng, spec.type)
            text, given[name] = written(raw), lambda env, raw=raw: raw
        else:
            text, given[name] = argument(rng, spec, env)
        if name == "stride" and rng.random() < 0.5:
            texts.append(f"/{text}")
        elif spec.keyword or not positional:
            positional = False
            texts.append(f"{name}={text}")
        else:
            texts.append(text)

    def made(env: Env) -> Op:
        values = {k: kind.args[k].type.convert(worth(env)) for k, worth in given.items()}
        return kind(**values)

    return " ".join(texts), made


def applied(rng: random.Random, kind: type[Op], env: Env, bad: bool = False) -> Piece:
    text, made = operation(rng, kind, env, bad)
    return Piece(text, lambda shape, env: made({**env, "here": shape}).shape(shape))


# ---- steps -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    """A block of a spec: `call` writes a call of it."""

    text: str
    call: Callable[[random.Random, Env], Piece]


class Maker(Values):
    """Draws one spec."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.count = 0
        self.blocks: list[Block] = []
        self.loops: list[str] = []  # variables; "" for a loop without, which can compute no label
        self.taps: dict[str, Shape] = {}
        self.held: list[str] = []  # parameters that stand for a batch
        self.wrong = False  # what flows is not known
        self.texts: list[str] = []

    def spec(self) -> str:
        rng = self.rng
        for _ in range(rng.choice((0, 0, 1, 2))):
            self.blocks.append(self.block())
        shape, params = self.input(), {"width": rng.randint(1, 6), "n": rng.randint(1, 3)}
        env: Env = {"in": shape, **params}
        lines = [f"input {written(shape, len(shape) == 1)}"]
        if rng.random() < 0.12:
            lines = [f"input first {lines[0].removeprefix('input ')}"]
            for name in ("second", "third")[: rng.randint(1, 2)]:
                other = shape if rng.random() < 0.6 else self.input()
                lines.append(f"input {name} {written(other, len(other) == 1)}")
                self.taps[name] = other
            self.taps["first"] = shape
        if rng.random() < 0.1:
            lines.append("init conv normal std=0.1")
        if rng.random() < 0.1:
            lines.append("init linear normal std=0.01")
        heads: list[str] = []
        flow = shape
        if rng.random() < 0.04:
            lines.append(self.whole(flow))
            flow = (*flow, 3)
        for _ in range(rng.randint(1, 8)):
            if flow and rng.random() < 0.06:
                before = len(self.held)
                piece = self.param(flow, env)
                held = self.held[before:]
                self.taps.update(dict.fromkeys(held, flow))
                heads += held
            else:
                piece = self.step(flow, env, 3)[0]
            out, _ = _try(piece.flow, flow, env)
            self.wrong |= out is None
            flow = flow if out is None else out
            lines.append(piece.text)
            if not self.wrong:
                self.labelled(piece, flow)
            if flow and not self.wrong and rng.random() < 0.1:
                lines.append(f"assert {self.claim(flow)}")
            if rng.random() < 0.15:
                heads.append(self.name("t"))
                self.taps[heads[-1]] = flow
                lines.append(f"tap {heads[-1]}")
            if rng.random() < 0.06:
                label = self.name("aux")
                lines.append(f"{label}: aux {self.head(flow, heads, env)}")
        if heads and rng.random() < 0.3:
            chosen = rng.sample(heads, rng.randint(1, len(heads)))
            lines.append("output " + " ".join(f"@{name}" for name in chosen))
        given = ", ".join(f"{k}={v}" for k, v in params.items())
        body = "\n".join(f"  {line}" for line in lines)
        texts = [*(b.text for b in self.blocks), *self.texts, f"model m({given}) {{\n{body}\n}}"]
        return "\n".join(texts) + "\n"

    def whole(self, shape: Shape) -> str:
        """Whole numbers of what comes in, and what takes them."""
        kind, below = self.rng.choice(OF_WHOLE), self.rng.randint(1, 5)
        return f"abs -> clamp max={below - 1} -> {self.label()}{kind.name} {below} 3"

    def head(self, flow: Shape, taps: list[str], env: Env) -> str:
        """Of what flows, of a tap, or of both."""
        rng = self.rng
        if not taps or rng.random() < 0.4:
            return self.step(flow, env, 0, bare=True)[0].text
        name = rng.choice(taps)
        there = self.taps[name]
        if rng.random() < 0.4:
            return f"@{name} {self.step(there, env, 0, bare=True)[0].text}"
        text, made = operation(rng, rng.choice(JOINS), env)
        fits = _try(lambda shape, env: made(env).shape(flow, there), flow, env)[0] is not None
        other = rng.choice(taps)
        branches = "identity; " if fits else f"@{other}; " if self.taps[other] == there else ""
        return f"{text} {{ {branches}@{name} -> relu }}"

    def claim(self, flow: Shape) -> str:
        """What is so of a value."""
        rng, shown = self.rng, written(flow, len(flow) == 1)
        if len(flow) > 1 and rng.random() < 0.5:
            shown = "x".join("_" if rng.random() < 0.4 else str(side) for side in flow)
        elif rng.random() < 0.3:
            shown = rng.choice(("in >= 1", "n + 1 > n and not width == 0", "width < 0 or true"))
        return shown + (' "{n} of {width}, {{}}"' if rng.random() < 0.3 else "")

    def input(self) -> Shape:
        rank = self.rng.choice((3, 3, 3, 3, 2, 1, 4))
        top = {1: 40, 2: 16, 3: 12, 4: 6}[rank]
        sides = [self.rng.choice((1, 2, 3, 4, 6, 8, self.rng.randint(1, top)))]
        same = self.rng.randint(1, top)
        sides += [same if self.rng.random() < 0.6 else self.rng.randint(1, top) for _ in range(3)]
        return tuple(sides[:rank])

    def name(self, stem: str) -> str:
        self.count += 1
        return f"{stem}{self.count}"

    def label(self) -> str:
        """A label, or nothing."""
        if self.rng.random() < 0.6 or "" in self.loops:
            return ""
        name = self.name("l") + "".join(f"_{{{variable}}}" for variable in self.loops)
        return f'"{name}": ' if self.rng.random() < 0.1 else f"{name}: "

    def block(self) -> Block:
        rng, name = self.rng, self.name("b")
        outer, self.taps = self.taps, {}
        shape = self.input()
        act = rng.choice(PLAIN)
        env: Env = {"in": shape, "a": rng.randint(1, 6), "k": rng.randint(1, 3), "act": act}
        default = rng.choice(("a", str(env["k"])))
        body, _ = self.body(shape, env, 2, own=True)
        self.taps = outer

        def call(rng: random.Random, env: Env) -> Piece:
            number = rng.randint(1, 6)
            if env["in"] and rng.random() < 0.3:
                texts, first = [name, "in"], lambda env: env["in"][0]
            else:
                texts, first = [name, str(number)], lambda env: number
            second = rng.randint(1, 3) if rng.random() < 0.4 else None
            chosen = rng.choice(PLAIN) if rng.random() < 0.4 else act
            if second is not None:
                texts.append(f"k={second}")
            if chosen is not act:
                texts.append(f"act={chosen.name}")

            def flow(shape: Shape, env: Env) -> Shape:
                a = first(env)
                k = second if second is not None else a if default == "a" else int(default)
                return body.flow(shape, {"in": shape, "a": a, "k": k, "act": chosen})

            return Piece(" ".join(texts), flow)

        text = f"block {name}(a, k={default}, act={act.name}) {{ {body.text} }}"
        return Block(text, call)

    def body(self, shape: Shape, env: Env, depth: int, own: bool = False) -> tuple[Piece, Shape]:
        """A few steps in a row."""
        pieces = []
        for _ in range(self.rng.randint(1, 3)):
            if own and self.rng.random() < 0.08 and shape:
                pieces.append(self.param(shape, env))
            piece, shape = self.step(shape, env, depth)
            pieces.append(piece)
        between = self.rng.choice((" -> ", "; ", "\n"))
        if any(p.text.startswith(("param", "buffer")) for p in pieces):
            between = "\n"
        return Piece(between.join(p.text for p in pieces), _through(pieces)), shape

    def param(self, shape: Shape, env: Env) -> Piece:
        """A parameter or buffer of any rank, and a use of it: broadcast, or for a whole batch."""
        rng, name = self.rng, self.name("p")
        first = "in" if env["in"][:1] == shape[:1] else str(shape[0])
        sides = [first, *map(str, shape[1:])]
        broadcast = rng.random() < 0.6
        if broadcast:
            sides = [side if rng.random() < 0.5 else "1" for side in sides]
            sides = sides[rng.choice((0, 0, 1, 2)) :]
        full = len(sides) == len(shape)
        # the place of the batch; where it stands for one it must be there
        leading = full and rng.random() < (0.5 if broadcast else 0.95)
        shown = ["1", *sides] if leading else sides or ["1"]
        text = f"{rng.choice(('param', 'buffer'))} {name} [{', '.join(shown)}] normal std=0.5\n"
        join = rng.choice(("mul", "add"))
        step = rng.choice((f"{join} @{name}", f"{join} {{ identity; @{name} }}"))
        if not broadcast:
            uses = (
                f"concat @{name}",
                f"concat {{ @{name}; identity }}",
                f"@{name}",
                f"@{name} -> identity",
                f"residual {{ identity }} shortcut {{ @{name} }}",
                f"add {{ @{name}; @{name} }}",
            )
            step = rng.choice(uses)
        if rng.random() < 0.3 and not self.loops:
            step = f"{self.name('g')}: {{ {step} }}"
        if leading and not broadcast:
            self.held.append(name)

        def flow(shape: Shape, env: Env) -> Shape:
            numbers = [env["in"][0] if side == "in" else int(side) for side in sides or ["1"]]
            around = list(shape[len(shape) - len(numbers) :])
            if len(numbers) > len(shape):
                raise ValueError
            if not broadcast and (numbers != list(shape) or not leading):
                raise ValueError
            if any(n not in (1, side) for n, side in zip(numbers, around, strict=True)):
                raise ValueError  # it would make the value larger, or does not fit
            return (2 * shape[0], *shape[1:]) if "concat" in step else shape

        return Piece(text + step, flow)

    def step(self, shape: Shape, env: Env, depth: int, bare: bool = False) -> tuple[Piece, Shape]:
        """One step that fits, but for a few that do not."""
        for _ in range(12):
            piece = self.any_step(shape, env, depth, bare)
            out, refused = _try(piece.flow, shape, env)
            if out is not None:
                return piece, out
            if refused and self.rng.random() < WRONG:
                self.wrong = True
                return Piece(piece.text, lambda shape, env: shape), shape
        return Piece("identity", lambda shape, env: shape), shape

    def any_step(self, shape: Shape, env: Env, depth: int, bare: bool) -> Piece:
        rng = self.rng
        if depth == 0 or rng.random() < 0.55:
            bad = rng.random() < WRONG
            if callable(env.get("act")) and rng.random() < 0.15:
                piece = Piece("act", lambda shape, env: env["act"]().shape(shape))
            else:
                piece = applied(rng, rng.choice(OPERATORS), {**env, "here": shape}, bad)
            return piece if bare else Piece(self.label() + piece.text, piece.flow)
        own = (self.by_path, self.of_values, self.sized, self.carried, self.shared)
        return rng.choice(
            (
                self.group,
                self.residual,
                self.residual,
                self.join,
                self.join,
                self.repeat,
                self.loop,
                self.choice,
                self.times,
                self.call,
                self.tapped,
                self.number,
                self.fitted,
                *own,
            )
        )(shape, env, depth - 1)

    # ---- combinators ------------------------------------------------------------------------

    def group(self, shape: Shape, env: Env, depth: int) -> Piece:
        body, _ = self.body(shape, env, depth)
        return Piece(f"{self.label()}{{ {body.text} }}", body.flow)

    def residual(self, shape: Shape, env: Env, depth: int) -> Piece:
        body, out = self.body(shape, env, depth)
        text, holds = f"residual {{ {body.text} }}", None
        other = out != shape and not self.loops
        if other:  # the same once more, in a scope of its own
            text += f" shortcut {self.name('side')} {{ {body.text} }}"
        elif self.rng.random() < 0.2:
            condition, holds = self.condition(env)
            text = f"residual if {condition} {{ {body.text} }}"

        def flow(shape: Shape, env: Env) -> Shape:
            out = body.flow(shape, env)
            if out != shape and not other and (holds is None or holds(env)):
                raise ValueError
            return out

        return Piece(f"{self.label()}{text}", flow)

    def join(self, shape: Shape, env: Env, depth: int) -> Piece:
        rng = self.rng
        text, made = operation(rng, rng.choice(JOINS), env)
        first, out = self.body(shape, env, depth)
        branches, shapes = [first], [out]
        for _ in range(rng.randint(1, 2)):
            other, leaving = Piece("identity", lambda shape, env: shape), shape
            for _ in range(4):
                if (
                    _try(lambda last, env: made(env).shape(*shapes, last), leaving, env)[0]
                    is not None
                ):
                    break
                other, leaving = self.step(shape, env, depth)
            else:
                if rng.random() > 2 * WRONG and not self.loops:
                    other = Piece(f"{self.name('l')}: {{ {first.text} }}", first.flow)
            branches.append(other)
            shapes.append(leaving)
        rng.shuffle(branches)
        lines = "\n".join(f"{{ {b.text} }}" for b in branches)

        def flow(shape: Shape, env: Env) -> Shape:
            return made(env).shape(*(b.flow(shape, env) for b in branches))

        return Piece(f"{self.label()}{text} {{\n{lines}\n}}", flow)

    def tapped(self, shape: Shape, env: Env, depth: int) -> Piece:
        """A join with tapped values, or a jump to one."""
        if not self.taps or self.loops:
            return self.group(shape, env, depth)
        name = self.rng.choice(list(self.taps))
        there = self.taps[name]
        if self.rng.random() < 0.3:
            return Piece(f"@{name}", lambda shape, env: there)
        text, made = operation(self.rng, self.rng.choice(JOINS), env)
        return Piece(f"{text} @{name}", lambda shape, env: made(env).shape(shape, there))

    def number(self, shape: Shape, env: Env, depth: int) -> Piece:
        """A join of what flows with a number."""
        kind = self.rng.choice([k for k in JOINS if k.instead])
        text, _ = argument(self.rng, kind.args[kind.instead], env)
        return Piece(f"{self.label()}{kind.name} {text}", lambda shape, env: shape)

    def fitted(self, shape: Shape, env: Env, depth: int) -> Piece:
        """A join whose branches are made to fit it, as its example does."""
        rng, kind = self.rng, self.rng.choice(FITTED)
        if not shape or self.loops:
            return self.group(shape, env, depth)
        for _ in range(20):
            sizes = {size: size for given in kind.example_inputs for size in given}
            sizes = {size: rng.choice((size, rng.randint(1, 4))) for size in sizes}
            shapes = [tuple(sizes[size] for size in given) for given in kind.example_inputs]
            text, made = operation(rng, kind, env)
            out = _try(lambda _, env: made(env).shape(*shapes), shape, env)[0]  # noqa: B023
            if out is not None and max(map(math.prod, shapes)) * math.prod(shape) < MOST_VALUES:
                break
        else:
            return self.group(shape, env, depth)
        made_of = [f"linear {math.prod(s)} -> reshape {written(s, True)}" for s in shapes]
        branches = [f"{{ flatten -> {self.name('l')}: {steps} }}" for steps in made_of]
        lines = "\n".join(branches)
        return Piece(
            f"{self.label()}{text} {{\n{lines}\n}}",
            lambda shape, env: made(env).shape(*shapes),
        )

    def repeat(self, shape: Shape, env: Env, depth: int) -> Piece:
        count, variable = self.rng.randint(0, 3), self.rng.choice(("", self.name("i")))
        body = self.looped(shape, {**env, variable: 1} if variable else env, depth, variable)
        counter = f" as {variable}" if variable else ""
        times = "n" if count == env.get("n") else str(count)

        def flow(shape: Shape, env: Env) -> Shape:
            for place in range(count):
                shape = body.flow(shape, {**env, variable: place} if variable else env)
            return shape

        return Piece(f"repeat {times}{counter} {{ {body.text} }}", flow)

    def loop(self, shape: Shape, env: Env, depth: int) -> Piece:
        variable = self.name("v")
        items = self.rng.sample(range(1, 7), self.rng.randint(1, 3))
        body = self.looped(shape, {**env, variable: items[0]}, depth, variable)

        def flow(shape: Shape, env: Env) -> Shape:
            for item in items:
                shape = body.flow(shape, {**env, variable: item})
            return shape

        text = listing(self.rng, items)
        head = self.rng.choice(
            (
                *[f"for {variable} in {text}"] * 3,
                f"for _i, {variable} in enumerate({text})",
                f"for {variable}, _j in zip({text}, range(9))",
            )
        )
        return Piece(f"{head} {{ {body.text} }}", flow)

    def looped(self, shape: Shape, env: Env, depth: int, variable: str) -> Piece:
        self.loops.append(variable)
        body, _ = self.body(shape, env, depth)
        self.loops.pop()
        return body

    def choice(self, shape: Shape, env: Env, depth: int) -> Piece:
        text, holds = self.condition(env)
        then, _ = self.body(shape, env, depth)
        other, _ = self.body(shape, env, depth)
        without = self.rng.random() < 0.3

        def flow(shape: Shape, env: Env) -> Shape:
            if holds(env):
                return then.flow(shape, env)
            return shape if without else other.flow(shape, env)

        rest = "" if without else f" else {{ {other.text} }}"
        return Piece(f"if {text} {{ {then.text} }}{rest}", flow)

    def condition(self, env: Env) -> tuple[str, Callable[[Env], bool]]:
        number, rng = self.rng.randint(0, 6), self.rng
        options: list[tuple[str, Callable[[Env], bool]]] = [
            ("true", lambda env: True),
            ("not true or 1 > 2", lambda env: False),
            (f"(none or {number}) > 2", lambda env: number > 2),
            (f'"{{{number}}}" + "a" == "{number % 5}a"', lambda env: number < 5),
        ]
        if env["in"]:
            options += [
                (f"in > {number}", lambda env: env["in"][0] > number),
                ("in[-1] % 2 == 0 and true", lambda env: env["in"][-1] % 2 == 0),
            ]
        for name in [k for k, v in env.items() if isinstance(v, int)]:
            options.append((f"{name} <= {number}", lambda env, name=name: env[name] <= number))
        return rng.choice(options)

    def times(self, shape: Shape, env: Env, depth: int) -> Piece:
        count = self.rng.randint(0, 3)
        if self.blocks and self.rng.random() < 0.5:
            piece = self.rng.choice(self.blocks).call(self.rng, env)
        else:
            piece = applied(self.rng, self.rng.choice(OPERATORS), env)

        def flow(shape: Shape, env: Env) -> Shape:
            for _ in range(count):
                shape = piece.flow(shape, env)
            return shape

        written = self.rng.choice((f"x{count}", f"x({count + 1} - 1)"))
        return Piece(f"{self.label()}{piece.text} {written}", flow)

    def call(self, shape: Shape, env: Env, depth: int) -> Piece:
        if not self.blocks:
            return self.group(shape, env, depth)
        piece = self.rng.choice(self.blocks).call(self.rng, env)
        return Piece(self.label() + piece.text, piece.flow)


def _through(pieces: Sequence[Piece]) -> Callable[[Shape, Env], Shape]:
    def flow(shape: Shape, env: Env) -> Shape:
        for piece in pieces:
            shape = piece.flow(shape, env)
        return shape

    return flow


def _try(flow: Callable[[Shape, Env], Shape], shape: Shape, env: Env) -> tuple[Shape | None, bool]:
    """What leaves, if that is anything of use; and whether an operator refuses."""
    try:
        out = flow(shape, env)
    except (Blame, ValueError):
        return None, True
    except LookupError:  # `in`, where nothing enters
        return None, False
    return (out if math.prod(out) <= MOST_VALUES else None), False
