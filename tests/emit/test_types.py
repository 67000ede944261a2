"""The emitted source passes `mypy --strict`."""

from __future__ import annotations

from pathlib import Path

import pytest
from mypy import api

import archdsl
from archdsl.ir.graph import Node
from archdsl.ops.table import Op, operators
from archdsl.text import shape_text
from tests.emit.test_joining import specs
from tests.emit.test_labels import PLACES

SPECS = sorted(path.stem for path in Path("specs").glob("*.arch"))
#: values that are no layer's last, buffers, several outputs, heads, what is absent in evaluation
ODD = {
    "buffers": """model m { input 4x8x8; buffer b [1, 4, 1, 1] ones; buffer c [4, 1, 1] ones
        mul @b; add @c; relu; tap t; mul { @b; @t } }""",
    "outputs": """model m { input 4x8x8; a: conv 4 1x1 -> tap t; b: conv 4 1x1 -> tap u
        h: aux @t { gap; linear 3 }; output @t @u }""",
    "optional": """block unit(o) {
          residual { one: conv o 1x1; relu; dropout 0.1; two: conv o 1x1 }
          shortcut if in != o { maxpool 1; side: conv o 1x1; pad [0, 0, 0, 0] } }
        model m { input 3x8x8; unit 4; unit 4; unit 5; unit 5; linear 2 }""",
    "values": """block mix(@q, @k=none) { add @q; conv 4 1x1; if @k { sub @k } }
        model m { input a 4x8x8; input b 4x8x8; part p: conv 4 1x1
        p -> tap s; @b -> p -> mix @s @a; mix @s }""",
    "single": """model m { input 4x8x8; init a.weight zeros; init g.a.bias ones
        a: conv 4 1x1; g: { a: conv 4 1x1 } }""",
}


def _program(op: type[Op]) -> str:
    """The operator as a function, as a module, and with a rule for each of its parameters."""
    step, shape = op.example, shape_text(op.example_input)
    made = archdsl.check(f"model m {{ input {shape}\n{step}\n}}").program
    assert made is not None
    nodes = [item for _, item in made.walk() if isinstance(item, Node) and isinstance(item.op, op)]
    names = {weight.name for node in nodes for weight in node.weights}
    rules = [f"init {op.name}.{name} zeros" for name in sorted(names) if name in ("weight", "bias")]
    again = step if op.arity is None else f"label: {step}"
    return "\n".join(
        [
            f"block unit() {{ residual {{ a: identity }}\n{step}\n}}",
            f"block part() {{ residual {{ a: identity }}\n{again}\n}}",
            f"model m {{ input {shape}",
            *rules,
            "tap t; unit -> tap u; @t -> part -> tap v; output @u @v }",
        ]
    )


@pytest.mark.slow
def test_mypy_finds_nothing(tmp_path: Path) -> None:
    texts = {name: archdsl.compile(name) for name in SPECS}
    for op in operators():
        texts[f"op_{op.name}"] = archdsl.compile(_program(op))
    for name, text in ODD.items():
        texts[f"odd_{name}"] = archdsl.compile(text)
    for name, text in PLACES.items():
        spec = text.format(N="name", M="model m")
        texts["place_" + name.replace(" ", "_").replace("'", "")] = archdsl.compile(spec)
    for seed in range(30):
        if archdsl.check(spec := specs(seed)[0]).ok:
            texts[f"joined_{seed}"] = archdsl.compile(spec)
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text)
    out, problems, code = api.run(["--strict", f"--cache-dir={tmp_path / 'cache'}", str(tmp_path)])
    assert code == 0, out + problems
    assert f"{len(texts)} source files" in out
