"""Random uses of values by name: labels, paths, sizes, blocks of several values, loops that carry
one, modules that run twice, several inputs."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any

from archdsl.ops.table import Shape

if TYPE_CHECKING:
    from tests.fuzz.specs import Env, Piece

LABEL = re.compile(r"(l\d+): ")


class Values:
    """A part of the maker of specs."""

    rng: random.Random
    loops: list[str]
    taps: dict[str, Shape]
    texts: list[str]  # blocks that are called in one place

    if TYPE_CHECKING:

        def name(self, stem: str) -> str: ...
        def step(
            self, shape: Shape, env: Env, depth: int, bare: bool = False
        ) -> tuple[Piece, Shape]: ...
        def group(self, shape: Shape, env: Env, depth: int) -> Piece: ...
        def label(self) -> str: ...

    def labelled(self, piece: Piece, leaving: Shape) -> None:
        """A label at the top names what its step gives."""
        found = LABEL.match(piece.text)
        if found:
            self.taps[found[1]] = leaving

    def by_path(self, shape: Shape, env: Env, depth: int) -> Piece:
        """A group, and a value inside of it, by its path."""
        from tests.fuzz.specs import JOINS, Piece, _try, operation

        if self.loops:
            return self.group(shape, env, depth)
        rng, outer, inner = self.rng, self.name("q"), self.name("l")  # `labelled` knows no q
        first, out = self.step(shape, env, 0, bare=True)
        second, _ = self.step(out, env, 0, bare=True)
        text, made = operation(rng, rng.choice(JOINS), env)
        tapped = rng.random() < 0.5
        named = f"{first.text} -> tap {inner}" if tapped else f"{inner}: {first.text}"

        def flow(shape: Shape, env: Env) -> Shape:
            middle = first.flow(shape, env)
            return made(env).shape(second.flow(middle, env), middle)

        if _try(flow, shape, env)[0] is None:
            text, flow = f"@{outer}.{inner}", lambda shape, env: first.flow(shape, env)
        else:
            text = f"{text} @{outer}.{inner}"
        return Piece(f"{outer}: {{ {named} -> {second.text} }}\n{text}", flow)

    def of_values(self, shape: Shape, env: Env, depth: int) -> Piece:
        """A call of a block of two values, one of which it need not get."""
        from tests.fuzz.specs import JOINS, Piece, _try, operation

        if not self.taps or self.loops:
            return self.group(shape, env, depth)
        rng, name = self.rng, self.name("v")
        tap = rng.choice(list(self.taps))
        there = self.taps[tap]
        own: Env = {"in": shape}
        text, made = operation(rng, rng.choice(JOINS), own)
        out = _try(lambda s, e: made(e).shape(s, there), shape, own)[0]
        if out is None:
            return self.group(shape, env, depth)
        last, _ = self.step(out, own, 0, bare=True)
        extra = rng.random() < 0.5 and there == shape
        sized = rng.random() < 0.4 and len(there) == len(out) == 3
        body = [f"{text} @a"]
        if sized:
            body.append(rng.choice(("fit @a", "upsample size=@a")))
        body += [last.text] if not sized else []
        self.texts.append(f"block {name}(@a, @b=none) {{ if @b {{ add @b }}; {'; '.join(body)} }}")
        given = f"@{tap}" + (rng.choice((f" @{tap}", f" b=@{tap}")) if extra else "")

        def flow(shape: Shape, env: Env) -> Shape:
            inside: Env = {"in": shape}
            out = made(inside).shape(shape, there)
            return (out[0], *there[1:]) if sized else last.flow(out, inside)

        twice = _try(flow, shape, env)[0] == shape and rng.random() < 0.3
        call = f"{self.label()}{name} {given}"
        if twice:
            return Piece(f"{call}\n{name} {given}", flow)
        return Piece(call, flow)

    def sized(self, shape: Shape, env: Env, depth: int) -> Piece:
        """A step with the size of a value."""
        from tests.fuzz.specs import Piece

        maps = [n for n, s in self.taps.items() if len(s) == len(shape) >= 2]
        if not maps or self.loops:
            return self.group(shape, env, depth)
        tap = self.rng.choice(maps)
        there = self.taps[tap]
        text = self.rng.choice((f"upsample size=@{tap}", f"fit @{tap}", f"linear (@{tap}.c)"))
        if text.startswith("linear"):
            return Piece(text, lambda shape, env: (*shape[:-1], there[0]))
        if len(shape) > 4:
            return self.group(shape, env, depth)
        return Piece(self.label() + text, lambda shape, env: (shape[0], *there[1:]))

    def carried(self, shape: Shape, env: Env, depth: int) -> Piece:
        """A loop that carries a value, and leaves one of each round."""
        from tests.fuzz.specs import Piece, _try

        name, variable = self.name("c"), self.name("i")
        step, out = self.step(shape, env, 0, bare=True)
        if out != shape or self.loops or _try(step.flow, out, env)[0] != shape:
            return self.group(shape, env, depth)
        join, last = self.rng.choice(("add", "mul", "sub", "maximum")), self.rng.randint(0, 2)
        body = f"{step.text} -> {join} @{name} -> tap {name}; tap {name}_{{{variable}}}"
        before, after = f"tap {name}", f"add @{name}_{{{last}}} @{name}_1"
        text = f"{before}\nrepeat 3 as {variable} {{ {body} }}\n{after}"
        return Piece(text, lambda shape, env: shape)

    def shared(self, shape: Shape, env: Env, depth: int) -> Piece:
        """A module that runs twice or three times."""
        from tests.fuzz.specs import Piece, _try

        if self.loops:
            return self.group(shape, env, depth)
        part, before = self.name("l"), self.name("x")
        pieces = [self.step(shape, env, 0, bare=True)]
        if self.rng.random() < 0.5:
            pieces.append(self.step(pieces[-1][1], env, 0, bare=True))
        body = " -> ".join(p.text for p, _ in pieces)
        body = f"{{ {body} }}" if len(pieces) > 1 or self.rng.random() < 0.3 else body
        if any(p.text.startswith(("@", "param", "{")) for p, _ in pieces):
            return self.group(shape, env, depth)

        def flow(shape: Shape, env: Env) -> Shape:
            for piece, _ in pieces:
                shape = piece.flow(shape, env)
            return shape

        again = f"{part} -> {part}" if _try(flow, shape, env)[0] == shape else part
        last = self.name("x")
        return Piece(
            f"tap {before}\npart {part}: {body}\n{again} -> tap {last}\n"
            f"@{before} -> {part} -> add @{last}",
            flow,
        )


def here(rng: random.Random, env: Any) -> tuple[str, Any] | None:
    """A size of what flows at the place, as an argument."""
    shape = env.get("here")
    if not shape:
        return None
    if len(shape) > 2 and rng.random() < 0.3:
        return "(here.w)", lambda env: env["here"][-1]
    return "here", lambda env: env["here"][0]
