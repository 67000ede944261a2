"""What elaboration promises beyond the cases in tests/cases: names, order, sharing."""

from __future__ import annotations

import archdsl
from archdsl.ir.graph import Node, Program, Scope


def program(text: str) -> Program:
    report = archdsl.check(text)
    assert report.program is not None, str(report)
    return report.program


def test_names_follow_the_rule() -> None:
    made = program("""
block unit(out) { conv out 3x3 pad=1; relu; named: conv out 1x1 }
model m {
  input 3x8x8
  features: { conv 4 1x1; relu; conv 4 1x1 }
  layer: unit 4 x2
  repeat 2 as i { block{i+1}: { conv 4 1x1 } }
  "odd-{1+1}": conv 4 1x1
  residual { conv 4 1x1 } shortcut side { conv 4 1x1 }
  unit 4
}
""")
    keys = [key for key, _ in made.state() if key.endswith("weight")]
    assert keys == [
        "features.0.weight",
        "features.2.weight",
        "layer.0.0.weight",
        "layer.0.named.weight",
        "layer.1.0.weight",
        "layer.1.named.weight",
        "block1.0.weight",
        "block2.0.weight",
        "odd-2.weight",
        "0.weight",
        "side.0.weight",
        "1.0.weight",
        "1.named.weight",
    ]


def test_equal_calls_share_one_graph() -> None:
    made = program("""
block unit(out) { conv out 3x3 pad=1 }
model m { input 4x8x8; unit 4; unit 4; unit 8 }
""")
    first, second, third = (i.graph for i in made.graph.items if isinstance(i, Scope))
    assert first is second and first is not third


def test_aux_is_declared_late_and_runs_at_its_tap() -> None:
    made = program("""
model m {
  input 4x8x8
  a: conv 4 1x1
  tap early
  b: conv 4 1x1
  head: aux @early { gap; flatten; linear 2 }
}
""")
    executed = [item.name for item in made.graph.items]
    declared = [made.graph.items[i].name for i in made.graph.declared]
    assert (executed, declared) == (["a", "head", "b"], ["a", "b", "head"])
    assert [name for name, _ in made.aux] == ["head"]
    assert made.graph.sizes.training_macs == 8 and made.macs == 2 * 4 * 4 * 64


def test_taps_cross_labelled_groups_both_ways() -> None:
    made = program("""
model m {
  input 4x8x8
  tap before; relu
  inner: { conv 4 1x1; tap within; concat @before; conv 4 1x1 }
  concat @within
}
""")
    inner = next(i for i in made.graph.items if isinstance(i, Scope))
    assert (len(inner.inputs), len(inner.graph.outputs)) == (2, 2)
    assert made.output_shapes == {"output": (8, 8, 8)}
    join = made.graph.items[-1]
    assert isinstance(join, Node) and join.name is None and len(join.inputs) == 2
