"""What the language server knows of a text, half-written or not."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archdsl.diagnostics.source import Source
from archdsl.editor import docs
from archdsl.editor.analysis import Analysis
from archdsl.editor.complete import complete, page, signature_at
from archdsl.editor.docs import call_signature, target_page
from archdsl.editor.outline import colours, foldable, outline
from archdsl.editor.place import place
from archdsl.ops import TABLE
from archdsl.pipeline import specs_folder

NET = """\
# Two convolutions.
block unit(out, act=relu) {
  conv1: conv out 3x3 pad=1 -> act
}

model net(classes=10) {
  input 3x32x32
  unit 16 -> tap early
  unit 32 x2 -> maxpool 2x2
  flatten
  head: linear classes
  init head zeros
}
"""


def analyse(text: str, before: Analysis | None = None) -> Analysis:
    return Analysis(Source("/nowhere/net.arch", text), Path("/nowhere"), before)


def cursor(text: str, before: Analysis | None = None) -> tuple[Analysis, int]:
    """The analysis of a text whose place is marked by `|`."""
    at = text.index("|")
    return analyse(text.replace("|", "", 1), before), at


def names(text: str) -> list[str]:
    """The candidates at `|`, in the order shown."""
    analysis, at = cursor(text, analyse(NET))
    _, found = complete(analysis, at)
    return [c.name for c in sorted(found, key=lambda c: (c.rank, c.name))]


@pytest.mark.parametrize(
    ("value", "is_known"),
    [
        ("[2 * n| for n in ws]", False),
        ("[2 * n for n in ws if n|]", True),
        ("[n for i, n in enumerate(ws) if i| > 0]", True),
        ('"a{w|', True),
        ('"a{width + w|}"', True),
        ('"{{w|', False),
        ('"a{width} w|"', False),
    ],
)
def test_completion_within_lists_and_strings(value: str, is_known: bool) -> None:
    """What a list goes through, in its condition; values, in the braces of a string."""
    name = value[: value.index("|")][-1]
    name = {"w": "width"}.get(name, name)
    text = f"model net(ws=[1, 2], width=3) {{\n  input 3\n  let a = {value}\n}}\n"
    assert (name in names(text)) is is_known


# ---- shapes ----------------------------------------------------------------------------------


def test_hints() -> None:
    hints = analyse(NET).hints()
    assert hints[8] == ((32, 16, 16),)
    assert hints[9] == ((8192,),) and hints[10] == ((10,),)
    assert hints[2] == ((16, 32, 32), (32, 32, 32))  # a block that is called with two widths
    assert docs.hint(hints[2]) == "16x32x32 …"


def test_what_nothing_uses_is_said_but_not_of_a_library() -> None:
    unused = "block spare() { relu }\n"
    assert [d.code for d in analyse(unused + NET).diagnostics] == ["W0003", "W0005"]
    assert analyse(unused).diagnostics == []


def test_hints_of_an_alias() -> None:
    path = specs_folder() / "resnet152.arch"
    analysis = Analysis(Source(str(path), path.read_text()), path.parent)
    assert list(analysis.hints().values()) == [((1000,),)]


def test_hints_stay_while_a_line_is_broken() -> None:
    good = analyse(NET)
    broken = analyse(NET.replace("  flatten\n", "  flatten\n  conv (\n"), good)
    assert broken.diagnostics and not broken.programs
    hints = broken.hints()
    assert hints[8] == ((32, 16, 16),) and hints[11] == ((10,),) and 10 not in hints
    still = analyse(broken.source.text.replace("conv (", "conv (1"), broken)
    assert still.hints() == hints


@pytest.mark.parametrize("wrong", ["lineer 10", "linear 10 10", "linear (", "linear 10 @x"])
def test_hints_of_what_is_right_beside_an_error(wrong: str) -> None:
    """Without any text before it; behind the error nothing is known."""
    hints = analyse(NET.replace("  flatten\n", f"  flatten\n  {wrong}\n")).hints()
    assert hints == {
        2: ((16, 32, 32), (32, 32, 32)),
        7: ((16, 32, 32),),
        8: ((32, 16, 16),),
        9: ((8192,),),
    }


def test_hints_around_an_error() -> None:
    """The other branches, the other models, what comes by a tap, what the block computes before."""
    text = """\
model good {
  input 3
  linear 5
}
block bad(out) {
  linear out
  conv out 3x3
  relu
}
model net {
  input 4x8x8
  conv 8 3x3 pad=1 -> tap early
  concat {
    conv 6 3x3 pad=1
    cnv 6 3x3
    conv 7 1x1
  }
  relu
  part: { @early -> conv 9 1x1 }
  @early
  gap; flatten
  bad 2
  linear 3
}
"""
    analysis = analyse(text)
    assert {d.code for d in analysis.diagnostics} >= {"E0101", "E0201"}
    assert analysis.hints() == {
        2: ((5,),), 5: ((2,),), 11: ((8, 8, 8),), 13: ((6, 8, 8),), 15: ((7, 8, 8),),
        18: ((9, 8, 8),), 20: ((8,),),
    }  # fmt: skip


SYNTAX = """\
block unit(out) { conv out 3x3 pad=1 -> relu }
block broken(out) {
  conv out 1x1
  conv out $ 1x1
}
model net {
  input 4x8x8
  unit 8 -> tap early
  residual {
    conv 8 1x1 /
    relu
  }
  relu
  @early -> conv 9 1x1
  concat { @early -> conv 2 1x1; conv (; conv 3 1x1 }
  relu
}
model other { input 4x8x8; broken 5; relu }
"""


def test_hints_beside_syntax_errors() -> None:
    """What comes behind a statement that cannot be read is not known, but what comes by a tap."""
    analysis = analyse(SYNTAX)
    assert {d.code for d in analysis.diagnostics} == {"E0001"}
    assert analysis.hints() == {
        0: ((8, 8, 8),), 2: ((5, 8, 8),), 7: ((8, 8, 8),), 13: ((9, 8, 8),), 14: ((2, 8, 8),),
    }  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        "lineer 10", "conv (", "conv 8 $ 3x3", ")", "}", "{", "conv 8 8 8 8", "@nowhere -> relu",
        "let q = (", "relu -> ->", "tap", "repeat 3 {", "use", "linear (1//0)", "out: out: relu",
    ],
)  # fmt: skip
def test_no_shape_beside_an_error_is_wrong(wrong: str) -> None:
    """Wherever the error stands, a shape that is shown is one that the line has without it."""
    for name in ("vgg16", "squeezenet1_0", "mobilenet_v2"):
        path = specs_folder() / f"{name}.arch"
        lines = path.read_text(encoding="utf-8").split("\n")
        good = Analysis(Source(str(path), "\n".join(lines)), path.parent)
        right = {line: {*shapes} for line, shapes in good.shapes.items()}
        for (_, end), flows in good.flows.items():
            line = good.source.position(end)[0] - 1
            right.setdefault(line, set()).update(flow.item.shapes[0] for flow in flows)
        inside = [n for n, line in enumerate(lines) if line.startswith("  ")]
        for at in inside[:: len(inside) // 4]:
            text = "\n".join([*lines[:at], f"  {wrong}", *lines[at:]])
            found = Analysis(Source(str(path), text), path.parent)
            assert any(d.severity == "error" for d in found.diagnostics)
            for line, shapes in found.shapes.items():
                assert line != at and {*shapes} <= right[line - (line > at)], (name, at, line)


@pytest.mark.parametrize("text", ["block a(out, $) { conv out 1x1; relu }", "block a(out) { relu"])
def test_nothing_is_known_of_a_definition_with_a_broken_head(text: str) -> None:
    assert analyse(f"{text}\nmodel net {{ input 3x8x8; a 4 }}\n").hints() == {}


def test_a_text_that_is_too_long_has_an_outline_and_hover() -> None:
    middle = "".join(f"  part{i}: conv 8 1x1\n" for i in range(6000))
    text = NET + f"model long {{\n  input 8x4x4\n{middle}}}\nblock last(out) {{ linear out }}\n"
    analysis = analyse(text)
    (problem,) = analysis.diagnostics
    assert problem.code == "E0004" and "20,000" in problem.message
    entries = outline(analysis)
    assert [e.name for e in entries] == ["unit", "net", "long", "last"]
    assert entries[3].name_span.text == "last" and len(entries[2].parts) > 3000
    word = analysis.word(text.index("unit 32"))
    assert word is not None and "Two convolutions." in docs.symbol_page(analysis, word)
    assert analysis.hints()[9] == ((8192,),)


# ---- words -----------------------------------------------------------------------------------


def test_references_and_definitions() -> None:
    analysis = analyse(NET)
    for word, count in [
        ("unit(", 3), ("out,", 2), ("act=", 2), ("classes=", 2), ("head:", 2), ("conv1", 1),
    ]:  # fmt: skip
        occurrence = analysis.word(NET.index(word))
        assert occurrence is not None
        found = analysis.named(occurrence.symbol)
        assert len(found) == count, word
        assert sum(o.defines for o in found) == 1
        assert all(o.span.text == occurrence.symbol.name for o in found)


def test_every_name_of_the_shipped_specs_is_known() -> None:
    """Each name in a text is an occurrence (Lark's own lexer finds the names)."""
    from archdsl.syntax.grammar import grammar

    for path in sorted(specs_folder().glob("*.arch"))[::3]:
        text = path.read_text(encoding="utf-8")
        analysis = Analysis(Source(str(path), text), path.parent)
        known = {o.span.start for o in analysis.words}
        for token in grammar().lex(text):
            if token.type in ("NAME", "FUNC"):
                line = text[: token.start_pos].rpartition("\n")[2]
                dotted = text[token.start_pos - 1] == "."
                assert token.start_pos in known or dotted, (path.name, line + token)


def test_hover() -> None:
    analysis = analyse(NET)
    word = analysis.word(NET.index("linear"))
    assert word is not None
    shown = docs.flow_page(analysis, word.span)
    assert "| 8192 | 10 | 81,930 | 81,920 | all |" in shown and "`head`" in shown
    assert "linear out" in docs.symbol_page(analysis, word)
    word = analysis.word(NET.index("maxpool"))
    assert word is not None
    shown = docs.flow_page(analysis, word.span)
    assert "| 32x32x32 | 32x16x16 | 0 | 0 | 8x8 |" in shown  # two 3x3 after one, and 2x2
    word = analysis.word(NET.index("unit 16"))
    assert word is not None
    shown = docs.symbol_page(analysis, word)
    assert "Two convolutions." in shown and "unit out [act=relu]" in shown
    word = analysis.word(NET.index("out,"))
    assert word is not None and "16, 32" in docs.symbol_page(analysis, word)


# ---- completion ------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["|", "mo|", NET + "\n|"])
def test_complete_definitions(text: str) -> None:
    assert names(text) == ["block", "model", "use"]


def test_complete_steps() -> None:
    found = names("block unit(out) { relu }\nmodel a(norm=bn) {\n  input 3\n  linear 4 -> |\n}")
    assert found[0] == "norm"
    assert {"conv", "unit", "bottleneck", "residual", "input"} <= set(found)
    assert {*TABLE} <= set(found)


def test_complete_arguments() -> None:
    assert names("model a() {\n  conv 16 3x3 pad=1 |")[:3] == ["bias", "dilation", "groups"]
    assert names("model a() {\n  conv 16 3x3 padding_mode=|")[0] == "circular"
    assert names("model a() {\n  unit 16 |")[0] == "act"
    assert names("model b = net |")[0] == "classes"
    assert names("model b = |") == ["net"]


def test_complete_names() -> None:
    text = "model a(width=3) {\n  let half = 2\n  for k in [1] { conv (|"
    assert {"width", "half", "k", "in", "max"} <= set(names(text))
    assert names("model a() {\n  relu -> tap x1\n  relu -> concat @|") == ["@x1"]
    values = "block b(out, @k, @v=none) { l1: conv out 1x1; g: { x: relu -> tap t }; add @|"
    assert names(values) == ["@g", "@k", "@l1", "@v"]
    inputs = "model a { input image 3x8x8\n input depth 1x8x8\n relu -> upsample size=@|"
    assert names(inputs) == ["@depth", "@image"]
    parts = "model a { input 3x8x8; part head: conv 3 1x1; |"
    assert names(parts)[0] == "head" and "@head" not in names(parts.replace("|", "add @|"))
    assert "late" not in names("block b() { tap late }\nmodel a() {\n  relu -> concat @|")
    assert names("model a() {\n  init |\n  head: linear 3\n}")[0] == "head"
    assert "kaiming_normal" in names("model a() {\n  init conv |")
    assert names("model a() {\n  init conv kaiming_normal mode=|")[:2] == ["fan_in", "fan_out"]
    assert "resnet50.arch" in names('use "|"')
    assert names("model a() {\n  residual { relu } |") == ["shortcut"]
    assert names("model a() {\n  residual { relu } shortcut |") == ["if"]
    assert names("model a() {\n  relu -> tap early\n  relu -> concat |")[:2] == ["@early", "dim"]
    assert names("block a() {\n  conv (in.|") == ["h", "w"]
    assert names("model a() {\n  conv 3 3x3 bias=|")[:2] == ["false", "true"]
    assert names("model a() {\n  input 3x8x8 |") == ["where"]
    assert names("model a(k=3) {\n  input 3x8x8 where |")[:5] == ["c", "d", "h", "l", "w"]
    assert {"k", "and", "min"} <= set(names("model a(k=3) {\n  input 3x8x8 where h > 3 |"))


def test_hover_of_a_promised_side() -> None:
    analysis, at = cursor("model a() {\n  input 3x8x8 where |h >= 4 and w >= 4\n  maxpool 3x3\n}")
    word = analysis.word(at)
    assert word is not None
    shown = docs.symbol_page(analysis, word)
    assert "height of what comes in" in shown and "H >= 3 and W >= 3" in shown


def test_complete_nothing_in_comments() -> None:
    assert names("model a() {\n  relu # co|") == []


def test_pages() -> None:
    analysis = analyse(NET)
    assert "Convolution" in page(analysis, "conv") and "Two convolutions" in page(analysis, "unit")


@pytest.mark.parametrize(
    ("text", "label", "active"),
    [
        ("model a() {\n  conv 16 |", "conv", 1),
        ("model a() {\n  conv 16 3x3 groups=|", "conv", 5),
        ("model a() {\n  unit |", "unit", 0),
        ("block b(norm=bn(eps=|", "bn", 0),
        ("model a() {\n  init conv kaiming_normal mode=|", "kaiming_normal", 1),
    ],
)
def test_signature(text: str, label: str, active: int) -> None:
    found = signature_at(*cursor(text, analyse(NET)))
    assert found is not None
    assert found[0].label.split()[0] == label
    assert found[1] in (active, active - 1) if label == "conv" else found[1] == active


@pytest.mark.parametrize("size", ["3x3", "(k)x1", "2x(k)x3", "(k)x(k)", "[k][0]", "(k)"])
def test_a_size_is_one_argument(size: str) -> None:
    text = f"block a(k) {{\n  conv 16 {size} "
    assert place(text, len(text)).given() == (2, [], "")


# ---- the whole text --------------------------------------------------------------------------


def test_outline_and_folding() -> None:
    entries = outline(analyse(NET))
    assert [e.name for e in entries] == ["unit", "net"]
    assert [e.name for e in entries[1].parts] == ["head"]
    assert foldable(Source("", NET)) == [(1, 2, False), (5, 11, False)]
    assert foldable(Source("", "# a\n# b\nuse\n")) == [(0, 1, True)]


def test_colours_do_not_overlap() -> None:
    for path in [*specs_folder().glob("*.arch")][::4]:
        text = path.read_text(encoding="utf-8")
        found = colours(Analysis(Source(str(path), text), path.parent))
        assert all(a[1] <= b[0] for a, b in pairwise(found))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_text_breaks_it(data: st.DataObject) -> None:
    """Cut, doubled and disordered texts: every question has an answer at every place."""
    text = data.draw(st.sampled_from([NET, (specs_folder() / "resnet50.arch").read_text()]))
    before = analyse(text)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 30)))
    middle = data.draw(
        st.sampled_from(["", "(", "}", '"', "{", "->", "= ", "x3", "😀", "@", "\n\n"])
    )
    analysis = analyse(text[:start] + middle + text[end:], before)
    at = data.draw(st.integers(0, len(analysis.source.text)))
    complete(analysis, at)
    signature_at(analysis, at)
    word = analysis.word(at)
    if word is not None:
        docs.symbol_page(analysis, word)
        docs.flow_page(analysis, word.span)
    analysis.hints()
    colours(analysis)
    outline(analysis)
    foldable(analysis.source)


@pytest.mark.parametrize("name", [*TABLE])
def test_every_operator_has_a_page_and_a_signature(name: str) -> None:
    """Its arguments stand in the label, in their order: editors mark the one being written."""
    op = TABLE[name]
    shown, at = call_signature(op), 0
    assert [part for part, _, _ in shown.parts] != [] or not op.args
    assert {part for part, _, _ in shown.parts} == {*op.args}
    for _, text, doc in shown.parts:
        at = shown.label.index(text, at) + len(text)
        assert doc
    assert target_page(op).startswith(f"```arch\n{shown.label}")
