"""The table itself: what every entry says about itself, and the laws of `archdsl.ops`."""

from __future__ import annotations

import contextlib
import itertools
import re
import subprocess
import sys
from typing import Any

import pytest

from archdsl.ops import TABLE, Op, manual
from archdsl.ops.table import Blame, Computed
from archdsl.syntax.language import KEYWORDS

every_operator = pytest.mark.parametrize("kind", TABLE.values(), ids=list(TABLE))

MINIMAL = {
    "Int": 2,
    "Float": 0.5,
    "Size": (3,),
    "Ints": (2, 0, 1),
    "Floats": (0.5,),
    "Equation": "bcd,bde->bce",
}
HUGE = 2**40


def some(kind: type[Op], **more: Any) -> Op:
    """An instance with small required arguments."""
    required = {k: MINIMAL[type(a.type).__name__] for k, a in kind.args.items() if a.required}
    return kind(**required | more)


@every_operator
def test_documents_itself(kind: type[Op]) -> None:
    manual, _, source = (kind.__doc__ or "").partition("\n\n")
    assert manual.strip().endswith((".", ")"))
    assert re.fullmatch(r"\s*Source: [^\n]+\.\s*", source)
    assert kind.family
    assert all(a.doc and not a.doc.endswith(".") for a in kind.args.values())
    assert kind.example.split()[0] == kind.name
    assert kind.example_input


@every_operator
def test_signature(kind: type[Op]) -> None:
    """Positions come first, and defaults are values of their types."""
    assert not any(a.required and a.keyword for a in kind.args.values())
    positional = [a.required for a in kind.args.values() if not a.keyword]
    assert positional == sorted(positional, reverse=True)
    for a in kind.args.values():
        assert a.required or a.default is None or a.type.convert(a.default) == a.default


@every_operator
def test_what_follows_from_sides_is_a_call(kind: type[Op]) -> None:
    """Arguments that may be computed in the forward stand in the function's call as they are."""
    for field in kind.follows:
        several = type(kind.args[field].type).__name__ != "Int"
        mark = Computed("here")
        made = some(kind, **{field: (mark, mark) if several else mark})
        assert repr(mark) in repr(made.function(kind.example_input))
        assert not made.weights(kind.example_input)


@every_operator
def test_arguments_can_be_written(kind: type[Op]) -> None:
    """No argument has the name of a word of the language."""
    assert not set(kind.args) & set(KEYWORDS)


@every_operator
def test_is_a_value(kind: type[Op]) -> None:
    op = some(kind)
    assert op == op.replace() and hash(op) == hash(op.replace())
    assert op != object()
    assert repr(op).startswith(kind.__name__ + "(")
    assert eval(repr(op), {kind.__name__: kind}) == op
    with pytest.raises(AttributeError):
        op.anything = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        kind(no_such_argument=1)
    for key in kind.args:
        assert op.replace(**{key: "changed"}) != op


@every_operator
def test_huge_values_cost_nothing(kind: type[Op]) -> None:
    """A rule that worked in proportion to a size would not return from this."""
    huge = {k: a.type.convert(HUGE) for k, a in kind.args.items() if a.type.accepts(HUGE)}
    for op in [some(kind), *(some(kind, **{k: v}) for k, v in huge.items())]:
        for rank in range(5):
            shapes = ((HUGE,) * rank,) * (op.arity or 2)
            with contextlib.suppress(Blame):
                op.shape(*shapes)
                op.weights(*shapes), op.macs(*shapes), op.function(*shapes)
                if op.arity:
                    op.module(*shapes)


def test_imports_no_torch() -> None:
    code = "import sys, archdsl.ops; print({'torch', 'numpy'} & sys.modules.keys() or 'none')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "none"


def test_every_window_of_a_pooling_sees_a_cell() -> None:
    """torch takes others, and corrupts memory in their backward."""
    refused = 0
    for side, taps, step, gap in itertools.product(
        range(1, 7), range(1, 5), range(1, 4), range(1, 5)
    ):
        for pad, ceil in itertools.product(range(taps // 2 + 1), (False, True)):
            window = {"kernel": (taps,), "stride": (step,), "pad": (pad,), "dilation": (gap,)}
            try:
                _, count = TABLE["maxpool"](**window, ceil=ceil).shape((1, side))
            except Blame:
                refused += 1
                continue
            for start in range(-pad, count * step - pad, step):
                assert any(0 <= start + gap * tap < side for tap in range(taps)), (window, side)
    assert refused


def test_a_signature_shows_what_goes_by_name_alone() -> None:
    for op in TABLE.values():
        before, _, after = manual.signature(op).partition(" *")
        names = [part.strip("[]").partition("=")[0] for part in before.split()[1:]]
        assert names == [a.name for a in op.args.values() if not a.keyword]
        assert len(after.split()) == sum(a.keyword for a in op.args.values())


def test_a_chunk_of_nothing_is_refused() -> None:
    """Sizes that a module was not compiled for are tried on it, 0 among them."""
    with pytest.raises(Blame, match="there is no part 0"):
        TABLE["chunk"](n=2, index=0).shape((0, 3))
