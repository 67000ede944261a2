"""Whether a program's sizes are those at which its module runs and is right: an oracle that knows
nothing of `archdsl.sizes`.

A size is right if the module that was built at the declared size runs on it, the checker takes the
same text with this input, with weights of the same shapes, and the module of that program gives the
same values with the same weights. What runs in training alone is left out of the text, and so are
asserted shapes.
"""

from __future__ import annotations

import random
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from archdsl.checker import elaborate
from archdsl.ir.expr import At
from archdsl.ir.graph import Program
from archdsl.pipeline import Spec, open_spec
from archdsl.runtime.module import build
from archdsl.syntax import tree as t
from tests.fuzz.specs import Maker
from tests.fuzz.verdict import cleaned

COMPARED = 3  # sizes of each kind whose values are compared
Size = tuple[int, ...]


@contextmanager
def main_flow_alone() -> Iterator[None]:
    """The walk leaves aux outputs and assertions out."""
    statement = elaborate._Elaborator._statement

    def without(self: Any, one: t.Statement, flow: Any, *more: Any) -> Any:
        return flow if isinstance(one, t.Assert) else statement(self, one, flow, *more)

    def no_aux(self: Any, name: str, step: t.Aux, flow: Any, *more: Any) -> Any:
        return flow

    with (
        patch.object(elaborate._Elaborator, "_statement", without),
        patch.object(elaborate._Elaborator, "_aux", no_aux),
    ):
        yield


def elaborated(spec: Spec) -> Program | None:
    """Past what equal specs share, which is made otherwise."""
    root = spec.loaded.root
    chosen = None if root is None else spec._chosen(root, False)
    if not isinstance(chosen, list):
        return None
    with main_flow_alone():
        return spec._elaborated(chosen[0], False).program


class Judge:
    """`spec`: one that the checker takes."""

    def __init__(self, spec: Spec) -> None:
        self.spec, self.sizes = spec, spec.checked().sizes
        program = elaborated(spec)
        assert program is not None
        self.program: Program = program
        self.module = build(program).eval()
        self.on_meta = build(program, device="meta").eval()

    def shape(self, size: Size) -> Size:
        shape = list(self.program.input_shape)
        for axis, side in zip(self.sizes.axes, size, strict=True):
            shape[axis] = side
        return tuple(shape)

    def shapes(self, size: Size) -> dict[str, Size]:
        """Of every input; those of the first one's size have it always."""
        first, *others = self.program.inputs.items()
        shape = self.shape(size)
        found = {first[0]: shape}
        for name, given in others:
            alike = len(given) == len(shape) and given[1:] == first[1][1:]
            found[name] = (given[0], *shape[1:]) if alike else given
        return found

    def other(self, size: Size) -> Program | None:
        """The program for this size, where its weights have the same shapes."""
        made = elaborated(replace(self.spec, input=self.shapes(size)))
        if made is None or [*made.state()] != [*self.program.state()]:
            return None
        return made

    def runs(self, size: Size, module: nn.Module, device: str) -> tuple[Tensor, ...] | None:
        torch.manual_seed(0)
        xs = [torch.randn(2, *shape, device=device) for shape in self.shapes(size).values()]
        try:
            with torch.no_grad():
                result = module(*xs)
        except (RuntimeError, AssertionError, ValueError, IndexError):
            return None
        results = (result,) if isinstance(result, Tensor) else tuple(result)
        return tuple(r for r in results if r is not None)

    def right(self, size: Size, values: bool) -> bool:
        """`values`: compare them; else the module's shapes alone."""
        found = self.runs(size, self.on_meta, "meta")
        other = self.other(size) if found is not None else None
        if found is None or other is None:
            return False
        if [tuple(r.shape[1:]) for r in found] != [*other.output_shapes.values()]:
            return False
        if not values:
            return True
        made = build(other).eval()
        made.load_state_dict(self.module.state_dict())
        pairs = zip(
            self.runs(size, self.module, "cpu") or (),
            self.runs(size, made, "cpu") or (),
            strict=True,
        )
        same = [torch.allclose(a, b, 1e-4, 1e-5, equal_nan=True) for a, b in pairs]
        return bool(same) and all(same)

    def disagreements(self, sizes: list[Size], rng: random.Random) -> list[str]:
        """What is claimed wrongly."""
        wrong: list[str] = []
        compared = Counter[bool]()
        for size in sizes:
            claimed = size in self.sizes
            if claimed != self.said(size):
                wrong.append(f"{size}: `in` says {claimed}, the description {not claimed}")
            values = not claimed or rng.random() < 0.1
            if claimed and values:
                compared[claimed] += 1
                values = compared[claimed] <= COMPARED
            if self.right(size, values) != claimed:
                wrong.append(f"{size}: claimed {claimed}, but {not claimed} by running")
        return wrong

    def said(self, size: Size) -> bool:
        """What the sets and formulas say, which are what is described."""
        sizes = self.sizes
        boxed = any(all(h in b for h, b in zip(size, box, strict=True)) for box in sizes.boxes)
        held = all(At(size)(demand.cond) for demand in sizes.formulas)
        return (boxed and held) or (not sizes.exact and size in sizes)


def tried(axes: int, most: int, rng: random.Random) -> list[Size]:
    """All squares (cubes are fewer), and as many others."""
    most = most if axes < 3 else max(most // 4, 8)
    equal = [(side,) * axes for side in range(1, most + 1)]
    others = [tuple(rng.randint(1, most) for _ in range(axes)) for _ in range(most // 4)]
    return equal + (others if axes > 1 else [])


def judged(count: int, most: int, first: int) -> tuple[Counter[str], list[tuple[int, str]]]:
    """The verdicts on the specs of some seeds, and what is wrong with which."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    verdicts, failures = Counter[str](), []
    for seed in range(first, first + count):
        text = Maker(random.Random(seed)).spec()
        spec, rng = open_spec(text), random.Random(seed)
        if spec.program is None or not spec.program.sizes.axes:
            verdicts["without sizes" if spec.program else "refused"] += 1
            continue
        try:
            with cleaned():
                judge = Judge(spec)
                wrong = judge.disagreements(tried(len(judge.sizes.axes), most, rng), rng)
        except Exception:  # whatever it is, it is a failure
            wrong = [traceback.format_exc(limit=-4)]
        if wrong:
            failures.append((seed, "\n".join([text, spec.program.sizes.describe(), *wrong[:5]])))
        verdicts["exact" if spec.program.sizes.exact else "at least"] += 1
    return verdicts, failures
