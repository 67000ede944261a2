"""Pictures: what is in them, that it has room, and that nothing in a spec becomes markup."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import archdsl
from archdsl import pictures
from archdsl.ir.graph import Program
from archdsl.ops import TABLE
from archdsl.pictures.compose import compose
from archdsl.pictures.depth import opened
from archdsl.pictures.drawing import Box, Frame, Note, Sheet, Wire
from archdsl.pictures.paint import FAMILIES
from archdsl.pictures.scene import Element
from archdsl.pictures.structure import Leaf, Parallel, Repeated, structure
from archdsl.pictures.u_shape import u_shape
from archdsl.pipeline import open_spec, shipped
from tests.artefacts.specs import MIXED, UNET

SVG = "{http://www.w3.org/2000/svg}"
TANGLED = """
model tangled() {
  input 3x8x8
  conv 4 1x1 -> tap a; conv 4 1x1 -> tap b; conv 4 1x1 -> add @a -> tap c
  conv 4 1x1 -> add @b; conv 4 1x1 -> add @c
}
"""


def _program(spec: str, **params: object) -> Program:
    return open_spec(spec, params=params).checked()


def _sheet(spec: str, depth: int | None = None) -> Sheet:
    return compose(opened(_program(spec), depth), insides=depth is None)


def _texts(svg: str) -> list[str]:
    return [node.text or "" for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]


SPECS = ["lenet5", "googlenet", "resnet50", "densenet121", "vgg16", "inception_v3"]


@pytest.mark.parametrize("depth", [None, 0, 1, 3])
@pytest.mark.parametrize("spec", [*SPECS, UNET, MIXED, TANGLED])
def test_no_box_lies_on_another(spec: str, depth: int | None) -> None:
    sheet = _sheet(spec, depth)
    boxes = [shape for shape in sheet.drawn if isinstance(shape, Box)]
    frames = [shape for shape in sheet.drawn if isinstance(shape, Frame)]
    assert boxes
    for place, one in enumerate(boxes):
        assert 0 <= one.x <= one.x + one.w <= sheet.w + 0.01
        assert 0 <= one.y <= one.y + one.h <= sheet.h + 0.01
        for other in boxes[:place]:
            apart = one.x >= other.x + other.w or other.x >= one.x + one.w
            assert apart or one.y >= other.y + other.h or other.y >= one.y + one.h
        for frame in frames:  # inside or outside, never on the border
            across = min(one.x + one.w, frame.x + frame.w) - max(one.x, frame.x)
            down = min(one.y + one.h, frame.y + frame.h) - max(one.y, frame.y)
            assert across <= 0 or down <= 0 or (across >= one.w - 1e-6 and down >= one.h - 1e-6)


@pytest.mark.parametrize("spec", [*SPECS, UNET, MIXED, TANGLED])
def test_every_parameter_is_shown_once(spec: str) -> None:
    program = _program(spec)
    for depth in (0, 1, 4):
        elements = [s.element for s in _sheet(spec, depth).drawn if isinstance(s, Box)]
        assert sum(element.params for element in elements) == program.params


def test_chains_branches_and_skips() -> None:
    series = structure(opened(_program("resnet18"), 3))
    layer1 = next(p for p in series.parts if isinstance(p, Leaf) and p.element.label == "layer1")
    assert layer1.element.times == 2 and layer1.inner is not None
    fork = layer1.inner.parts[1]
    assert isinstance(fork, Parallel) and (len(fork.branches), fork.skips) == (1, 1)
    dense = structure(opened(_program("densenet121"), 2))
    found = [p for p in dense.parts if isinstance(p, Leaf) and p.element.label == "features"]
    blocks = [p for p in found[0].inner.parts if isinstance(p, Leaf)]  # type: ignore[union-attr]
    assert [b.element.times for b in blocks if "denseblock" in b.element.label] == [6, 12, 24, 16]
    chain = "model net() { input 3x8x8; repeat 3 { conv 3 1x1; maxpool 3x3 /1 pad=1 } }"
    repeated = [p for p in structure(opened(_program(chain))).parts if isinstance(p, Repeated)]
    assert [part.times for part in repeated] == [3]


def test_a_skip_is_drawn_as_one() -> None:
    wires = [s for s in _sheet("resnet18", 3).drawn if isinstance(s, Wire)]
    # one for each residual, two pieces where there is a shortcut; layer1's two are one
    assert sum(wire.style == "skip" for wire in wires) == 1 + 3 * 3
    assert sum(w.style == "aside" for w in _sheet("googlenet", 1).drawn if isinstance(w, Wire)) == 2


def test_a_unet_is_a_u() -> None:
    sheet = u_shape(structure(opened(_program(UNET))))
    assert sheet is not None
    at = {s.element.label: s for s in sheet.drawn if isinstance(s, Box) and s.element.label}
    assert at["down1"].y < at["down2"].y < at["middle"].y
    assert at["join1"].y < at["join2"].y < at["middle"].y
    assert at["down1"].x == at["down2"].x < at["middle"].x < at["join1"].x == at["join2"].x
    for spec in ("lenet5", "resnet18", "googlenet"):
        assert u_shape(structure(opened(_program(spec), 3))) is None


def test_what_the_picture_says() -> None:
    texts = _texts(pictures.draw_svg(_program("resnet50")))
    assert {"resnet50", "layer1", "64×112×112", "2048×7×7", "fc", "2.05M"} <= set(texts)
    assert "bottleneck 64 ×2" in texts
    # both ways in which it is built
    assert {"inside bottleneck 256", "inside bottleneck 64", "downsample"} <= set(texts)
    assert "3×224×224 → 1000 · 25.6M parameters · 4.09G MACs" in texts
    texts = _texts(pictures.draw_svg(_program("resnet50"), depth=1))
    assert not any(text.startswith("inside") for text in texts)


def test_columns_fit_a_page() -> None:
    for spec in ("resnet50", "googlenet", "densenet121", "inception_v3"):
        for depth in (None, 4):
            sheet = _sheet(spec, depth)
            assert 0.5 < sheet.w / sheet.h < 2.1, (spec, depth)


def test_what_is_in_columns_leaves_its_frame_where_it_entered() -> None:
    sheet = _sheet("densenet121")
    frame = next(s for s in sheet.drawn if isinstance(s, Frame) and s.element.label == "features")
    wires = [s.points for s in sheet.drawn if isinstance(s, Wire)]
    ends = [points for points in wires if abs(points[-1][1] - frame.y - frame.h) < 0.01]
    (leaving,) = [points for points in ends if len(points) == 4]
    assert any(points[-1] == (leaving[-1][0], frame.y) for points in wires)


def test_svg_is_safe_to_embed() -> None:
    first, second = (pictures.draw_svg(_program(name)) for name in ("lenet5", "resnet18"))
    for svg in (first, second):
        root = ElementTree.fromstring(svg)
        tags = {node.tag.removeprefix(SVG) for node in root.iter()}
        assert tags <= {"svg", "title", "style", "rect", "path", "polygon", "text"}
        assert root.get("role") == "img"
        rules = root.find(f"{SVG}style")
        assert rules is not None and rules.text is not None
        # rules of one picture leave those of another on the page alone
        selectors = [line for line in rules.text.splitlines() if "{" in line and "@" not in line]
        assert all(line.startswith(f"#{root.get('id')} ") for line in selectors)
    assert ElementTree.fromstring(first).get("id") != ElementTree.fromstring(second).get("id")
    assert pictures.draw_svg(_program("lenet5")) == first


def test_words_cannot_become_markup() -> None:
    from archdsl.pictures.dot import to_dot
    from archdsl.pictures.mermaid import to_mermaid
    from archdsl.pictures.outline import Item, Outline
    from archdsl.pictures.paint import Picture, Text
    from archdsl.pictures.svg import to_svg

    word = '"]; <script>&#x;\\ end 1. x`'
    svg = to_svg(Picture(9, 9, (Text(0, 0, word, 9),), word, word))
    assert _texts(svg) == [word]
    outline = Outline([Item("n0", Element("layer", word, "", hue="convolution"))])
    line = to_mermaid(outline).splitlines()[1]
    inner = line[line.index('"') + 1 : line.rindex('"')]
    assert not set(inner) & set('"<>[]`\\&')
    dot = to_dot(outline, word)
    assert '\\"]; <script>' in dot.splitlines()[0]


def test_mermaid_and_dot() -> None:
    text = pictures.draw_mermaid(_program("googlenet"), depth=1)
    assert text.startswith("flowchart TD\n")
    assert '-->|"64×112×112"|' in text
    assert text.count("subgraph") == text.count("\n  end")
    assert text.count("-.->") == 2
    skips = pictures.draw_mermaid(_program(UNET))
    assert skips.count("==>") == 2
    dot = pictures.draw_dot(_program("resnet18"), depth=3)
    assert dot.count("{") == dot.count("}")
    assert dot.count("subgraph cluster_") == dot.count("label=") - dot.count("->") - dot.count(
        ", fillcolor"
    )


def test_png(tmp_path: Path) -> None:
    data = pictures.draw_png(_program("lenet5"))
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", data[16:24])
    root = ElementTree.fromstring(pictures.draw_svg(_program("lenet5")))
    assert abs(width - 2 * float(root.get("width") or 0)) <= 2
    assert abs(height - 2 * float(root.get("height") or 0)) <= 2


def test_no_torch_is_needed() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import archdsl.api\n"
        "from archdsl import pictures\n"
        "from archdsl.pipeline import open_spec\n"
        "p = open_spec('resnet18').checked()\n"
        "pictures.draw_svg(p), pictures.draw_mermaid(p), pictures.draw_dot(p)\n"
        "p._repr_mimebundle_()\n"
        "assert 'matplotlib' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_notebooks_show_it() -> None:
    import pickle

    program = archdsl.check("lenet5").program
    assert program is not None
    bundle = program._repr_mimebundle_()
    assert set(bundle) == {"image/svg+xml", "text/plain"}
    assert bundle["image/svg+xml"] == pictures.draw_svg(program)
    module = archdsl.load("lenet5")
    shown = module._repr_mimebundle_()  # type: ignore[operator]
    assert shown["image/svg+xml"] == bundle["image/svg+xml"]
    assert shown["text/plain"] == repr(module)
    assert "text/plain" in pickle.loads(pickle.dumps(module))._repr_mimebundle_()


@pytest.mark.slow
@pytest.mark.parametrize("name", shipped())
def test_all_specs(name: str) -> None:
    for depth in (None, 0, 2, 5):
        test_no_box_lies_on_another(name, depth)
        ElementTree.fromstring(pictures.draw_svg(_program(name), depth=depth))
    test_every_parameter_is_shown_once(name)


_TAPPED = """model m() {
  input 3x32x32
  a: { conv 8 3x3 pad=1 -> tap y -> maxpool 2x2 }
  b: conv 16 3x3 pad=1
  up: deconv 8 2x2 /2 -> concat @y
}"""
_OUTPUTS = """model t() {
  input 3x32x32
  body: { a: conv 8 3x3 /2 pad=1 -> tap early; b: conv 16 3x3 /2 pad=1 -> tap late }
  output @early @late
}"""
_RESIDUAL = """model m() {
  input 3x8x8
  a: { conv 4 3x3 pad=1 -> tap t -> maxpool 1 }
  r: { residual { conv 4 1x1 } }
  add { identity; @t }
}"""
_CAPTURED = """model m() {
  input 4x8x8
  conv 4 1x1 -> tap one
  conv 4 3x3 pad=1 -> tap two
  inner: { g: { add @one; conv 5 1x1 -> tap three; conv 4 5x5 pad=2 }; mul { identity; @two } }
  concat @three
}"""


@pytest.mark.parametrize(
    ("text", "edges"),
    [
        (
            _TAPPED,
            "input>conv 8, conv 8>maxpool, maxpool>conv 16, conv 16>deconv, deconv>concat,"
            " conv 8>concat, concat>output",
        ),
        (_OUTPUTS, "input>conv 8, conv 8>conv 16, conv 16>late, conv 8>early"),
        (
            _RESIDUAL,
            "input>conv 4 3, conv 4 3>maxpool, maxpool>conv 4 1, maxpool>+, conv 4 1>+, +>+,"
            " conv 4 3>+, +>output",
        ),
        (
            _CAPTURED,
            "input>conv 4 1, conv 4 1>conv 4 3, conv 4 3>+, conv 4 1>+, +>conv 5, conv 5>conv 4 5,"
            " conv 4 5>×, conv 4 3>×, ×>concat, conv 5>concat, concat>output",
        ),
    ],
)
def test_edges_come_from_the_true_producers(text: str, edges: str) -> None:
    program = open_spec(text).checked()
    names = ["deconv", "conv 8", "conv 16", "conv 5", "conv 4 1", "conv 4 3", "conv 4 5", "+"]
    names += ["maxpool", "concat", "output", "input", "early", "late", "×"]
    drawn = pictures.draw_mermaid(program, depth=9).replace("#43;", "+")
    shown = dict(re.findall(r"^ *(n\d+)[(\[]+\"(.*?)\"", drawn, re.MULTILINE))
    called = {node: next(n for n in names if n in label) for node, label in shown.items()}
    pairs = re.findall(r"^ *(n\d+) \S+>\|.*\| (n\d+)$", drawn, re.MULTILINE)
    assert sorted(f"{called[a]}>{called[b]}" for a, b in pairs) == sorted(edges.split(", "))


_ORDERED = """model m() {{
  input 4x8x8
  param p [1, 4, 8, 8] zeros
  conv 4 1x1 -> tap t
  {step}
  relu
}}"""


@pytest.mark.parametrize(
    ("one", "other", "marks"),
    [
        ("sub { identity; conv 4 1x1 }", "sub { conv 4 1x1; identity }", "1 2"),
        ("div { sigmoid; relu }", "div { relu; sigmoid }", "1 2"),
        ("sub @t", "sub { @t; identity }", ""),  # a value from itself
        ("relu -> sub @t", "relu -> sub { @t; identity }", "1 2"),
        ("sub { gap; @t; conv 4 1x1 }", "sub { gap; conv 4 1x1; @t }", "1 2 3"),
        ("sub { identity; relu; @t }", "sub { relu; identity; @t }", "1, 3 2"),
        ("sub { identity; @p -> relu }", "sub { @p -> relu; identity }", "1 2"),
        ("sub { identity; @p }", "sub { @p; identity }", ""),
        ("sub { identity; { maxpool 2; up } }", "sub { { maxpool 2; up }; identity }", "1 2"),
        (
            "sub { { relu; add @t }; exp }",
            "sub { exp; { relu; add @t } }",
            "1 2",
        ),
        ("add { identity; conv 4 1x1 }", "add { conv 4 1x1; identity }", ""),
    ],
)
def test_the_order_of_operands_is_shown(one: str, other: str, marks: str) -> None:
    """In each format, where it matters; a parameter alone stands in the join's own text."""
    ways = (pictures.draw_svg, pictures.draw_mermaid, pictures.draw_dot)
    texts = [_ORDERED.format(step=step.replace("up", "upsample 2")) for step in (one, other)]
    swapped = [open_spec(text).checked() for text in texts]
    alike = [way(swapped[0]) == way(swapped[1]) for way in ways]
    assert alike == [not marks and "@p" not in one] * 3
    sheet = compose(opened(swapped[0], None), insides=False)
    strong = [s.text for s in sheet.drawn if isinstance(s, Note) and s.strong]
    shown = sorted([*strong, *(s.mark for s in sheet.drawn if isinstance(s, Wire) and s.mark)])
    assert " ".join(shown) == marks
    for way in ways[1:]:
        assert " ".join(sorted(re.findall(r'"([\d, ]+): ', way(swapped[0])))) == marks


def test_heads_and_groups_of_several_values_are_named() -> None:
    text = """model m() {
  input 4x8x8
  conv 4 1x1 -> tap t
  conv 4 3x3 pad=1
  one: aux { @t; gap; linear 3 }
  two: aux { add { @t; identity }; linear 3 }
  sum: aux { add { @t; identity } }
  group: { relu; add { @t; identity } }
}"""
    drawn = pictures.draw_mermaid(open_spec(text).checked(), depth=1)
    for name in ('subgraph g2["one"]', '"two<br/>linear 3', '"sum<br/>#43;"', '"group<br/>#43;"'):
        assert name in drawn


def test_what_is_computed_last_ends_the_picture() -> None:
    """The other outputs stand beside the layer whose value they are, in whatever order they are."""
    for order in ("@late @early", "@early @late"):
        sheet = _sheet(_OUTPUTS.replace("@early @late", order))
        at = {s.element.title: s for s in sheet.drawn if isinstance(s, Box)}
        assert at["late"].y == max(box.y for box in at.values())
        assert at["early"].x > at["late"].x + at["late"].w


def test_a_name_is_said_once() -> None:
    block = "block mlp() { linear 8 -> relu; linear 4 }"
    text = f"{block}\nmodel m() {{ input 4; mlp: mlp; flatten: flatten }}"
    for depth in (0, 1):
        texts = _texts(pictures.draw_svg(_program(text), depth=depth))
        assert texts.count("mlp") == 1 + 1  # the legend says it too
        assert texts.count("flatten") == 1


def test_repeated_forks_of_several_shapes_name_none() -> None:
    texts = _texts(pictures.draw_svg(_program("densenet121")))
    assert "denselayer1–6" in texts and texts.count("64×56×56") == 1 + 1  # before, and inside one


def test_every_family_of_operators_has_a_colour() -> None:
    assert {kind.family for kind in TABLE.values()} <= FAMILIES.keys()


def test_what_is_said_of_an_operator() -> None:
    """Its arguments say themselves how; no drawing code knows their names."""
    text = "conv 8 3x3 /2 pad=1 groups=2; mul { identity; identity }; conv 4 3x3 dilation=2 pad=2"
    texts = _texts(pictures.draw_svg(_program(f"model m {{ input 4x8x8; {text} }}")))
    assert {"conv 8 3×3 /2 groups=2", "conv 4 3×3 dilation=2"} <= set(texts)


def test_only_what_is_the_same_is_drawn_once() -> None:
    """Groups differ in their operators' numbers, which no name says."""
    texts = _texts(pictures.draw_svg(_program("efficientnet_b0")))
    assert {"4", "5", "mbconv 6 80 3 ×2", "mbconv 6 112 5 ×2"} <= set(texts)
    for kernels, shown in ((("1", "3 pad=1"), {"a1", "a2"}), (("1", "1"), {"a1–2 ×2"})):
        groups = [f"a{i}: {{ conv 4 {k}; relu; conv 4 1 }}" for i, k in enumerate(kernels, 1)]
        program = _program(f"model m {{ input 4x8x8; {'; '.join(groups)} }}")
        assert shown <= set(_texts(pictures.draw_svg(program, depth=0)))


def test_how_often_dropout_strikes_makes_no_other_block() -> None:
    blocks = "; ".join(f"b p={p}" for p in ("0.1", "0.2", "0.3"))
    text = (
        f"block b(p) {{ residual {{ conv in 1x1 -> dropout p }} }}\nmodel m {{ input 4; {blocks} }}"
    )
    text = text.replace("input 4", "input 4x8x8")
    assert "b ×3" in _texts(pictures.draw_svg(_program(text), depth=0))
    assert "conv 4 1×1 · dropout" in _texts(pictures.draw_svg(_program(text), depth=1))


def test_a_box_of_a_module_that_ran_before_says_shared() -> None:
    text = """
    block head(out) { conv 8 1x1 -> relu; conv out 1x1 }
    model m { input a 3x8x8; input b 3x8x8; part p: head 4; p -> tap x; @b -> p -> add @x }
    """
    program = _program(text)
    assert _texts(pictures.draw_svg(program)).count("shared") == 1
    assert pictures.draw_mermaid(program).count("shared") == 1
