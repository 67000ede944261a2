"""What people see, layout by layout."""

from __future__ import annotations

import re
from textwrap import dedent

import pytest

from archdsl.diagnostics.model import Diagnostic, Label
from archdsl.diagnostics.render import render
from archdsl.diagnostics.source import Source, Span

from .examples import Odd, Wrong, at, fix, label

RESNET = Source(
    "resnet.arch",
    dedent("""\
        model resnet {
          input 3x224x224
          stem: conv 64 7x7 stride=2 pad=3
        \tresidual {
            convbn 64 1x1
            convbn 64
            conv 256 1x1
            }
        }
        """),
)


def shows(diagnostic: Diagnostic, expected: str, **look: object) -> None:
    assert render([diagnostic], **look) == dedent(expected).lstrip("\n")  # type: ignore[arg-type]


def test_the_whole_form() -> None:
    line_8 = RESNET.line_starts[7]
    shows(
        Wrong(
            at(RESNET, "residual"),
            says="residual branch and shortcut produce different shapes",
            here="the two sides cannot be added: 256x112x112 vs 64x112x112",
            fact="an identity shortcut needs `in_channels == out_channels`",
            related=(
                label(
                    RESNET,
                    "stem: conv 64 7x7 stride=2 pad=3",
                    "the block receives 64x112x112 from here",
                ),
            ),
            fixes=(
                fix(
                    "project the shortcut with a 1x1 convolution",
                    (Span(RESNET, line_8, line_8), "    shortcut { conv 256 1x1 }\n"),
                ),
            ),
        ).with_related(label(RESNET, "conv 256 1x1", "the branch ends with 256 channels")),
        """
        error[T0001]: residual branch and shortcut produce different shapes
         --> resnet.arch:4:2
          |
        3 |   stem: conv 64 7x7 stride=2 pad=3
          |   -------------------------------- the block receives 64x112x112 from here
        4 |     residual {
          |     ^^^^^^^^ the two sides cannot be added: 256x112x112 vs 64x112x112
        ...
        7 |     conv 256 1x1
          |     ------------ the branch ends with 256 channels
          |
          = note: an identity shortcut needs `in_channels == out_channels`
        help: project the shortcut with a 1x1 convolution
        8 +     shortcut { conv 256 1x1 }
        """,
    )


def test_no_label_and_no_remarks() -> None:
    shows(
        Odd(at(RESNET, "resnet")),
        """
        warning[T1001]: something is wrong
         --> resnet.arch:1:7
          |
        1 | model resnet {
          |       ^^^^^^
        """,
    )


def test_several_labels_on_one_line() -> None:
    shows(
        Wrong(
            at(RESNET, "64 7x7"),
            here="the primary",
            related=(
                label(RESNET, "conv", "the operation"),
                label(RESNET, "stride=2", "every second place"),
                label(RESNET, "stem", "the name"),
                label(RESNET, "pad=3"),
            ),
        ),
        """
        error[T0001]: something is wrong
         --> resnet.arch:3:14
          |
        3 |   stem: conv 64 7x7 stride=2 pad=3
          |   ----  ---- ^^^^^^ -------- -----
          |   |     |    |      |
          |   |     |    |      every second place
          |   |     |    the primary
          |   |     the operation
          |   the name
        """,
    )


def test_a_label_inside_another() -> None:
    shows(
        Wrong(
            at(RESNET, "7x7"),
            here="inner",
            related=(label(RESNET, "conv 64 7x7 stride=2", "outer"),),
        ),
        """
        error[T0001]: something is wrong
         --> resnet.arch:3:17
          |
        3 |   stem: conv 64 7x7 stride=2 pad=3
          |         --------^^^--------- outer
          |                 |
          |                 inner
        """,
    )


def test_two_labels_in_one_place() -> None:
    shows(
        Wrong(
            at(RESNET, "64"),
            here="the primary",
            related=(label(RESNET, "64", "one more"), label(RESNET, "64", "and another")),
        ),
        """
        error[T0001]: something is wrong
         --> resnet.arch:3:14
          |
        3 |   stem: conv 64 7x7 stride=2 pad=3
          |              ^^ the primary
          |              |
          |              and another
          |              one more
        """,
    )


def test_one_line_between_is_shown_and_more_are_not() -> None:
    shows(
        Wrong(
            at(RESNET, "model"),
            related=(label(RESNET, "stem", "two below"), label(RESNET, "256", "far below")),
        ),
        """
        error[T0001]: something is wrong
         --> resnet.arch:1:1
          |
        1 | model resnet {
          | ^^^^^
        2 |   input 3x224x224
        3 |   stem: conv 64 7x7 stride=2 pad=3
          |   ---- two below
        ...
        7 |     conv 256 1x1
          |          --- far below
        """,
    )


def test_labels_in_other_files() -> None:
    blocks = Source("lib/blocks.arch", "block b(n) {\n  conv n\n}\n")
    shows(
        Wrong(
            at(blocks, "conv n"),
            here="a kernel is missing",
            related=(
                label(RESNET, "residual {", "called from here"),
                label(blocks, "n", "its value is 3", occurrence=0),
            ),
        ),
        """
        error[T0001]: something is wrong
         --> lib/blocks.arch:2:3
          |
        1 | block b(n) {
          |         - its value is 3
        2 |   conv n
          |   ^^^^^^ a kernel is missing
          |
         ::: resnet.arch:4:2
          |
        4 |     residual {
          |     ---------- called from here
        """,
    )


def test_the_gutter_is_as_wide_as_the_longest_number() -> None:
    source = Source("a.arch", "first\n" + "x\n" * 120)
    shows(
        Wrong(at(source, "first"), related=(label(source, "x", "late", occurrence=98),), fact="so"),
        """
        error[T0001]: something is wrong
           --> a.arch:1:1
            |
          1 | first
            | ^^^^^
        ...
        100 | x
            | - late
            |
            = note: so
        """,
    )


def test_a_span_of_several_lines_marks_its_ends() -> None:
    shows(
        Wrong(at(RESNET, RESNET.text[RESNET.text.index("residual") : -3]), here="this block"),
        """
        error[T0001]: something is wrong
         --> resnet.arch:4:2
          |
        4 |     residual {
          |     ^^^^^^^^^^
        ...
        8 |     }
          |     ^ this block
        """,
    )


def test_a_span_with_its_line_end_stays_on_its_line() -> None:
    shows(
        Wrong(at(RESNET, "pad=3\n"), here="here"),
        """
        error[T0001]: something is wrong
         --> resnet.arch:3:30
          |
        3 |   stem: conv 64 7x7 stride=2 pad=3
          |                              ^^^^^ here
        """,
    )


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_line_end_itself(line_end: str) -> None:
    source = Source("a.arch", f"conv{line_end}relu{line_end}")
    shows(
        Wrong(at(source, "\n"), here="more was expected"),
        f"""
        error[T0001]: something is wrong
         --> a.arch:1:{4 + len(line_end)}
          |
        1 | conv
          |     ^ more was expected
        """,
    )


@pytest.mark.parametrize("offset", [7, 10**9])
def test_the_end_of_the_text(offset: int) -> None:
    source = Source("a.arch", "model {")
    shows(
        Wrong(Span(source, offset, offset), here="`}` is missing", related=(label(source, "{"),)),
        """
        error[T0001]: something is wrong
         --> a.arch:1:8
          |
        1 | model {
          |       -^ `}` is missing
        """,
    )


def test_the_end_of_the_text_after_the_last_line_end() -> None:
    source = Source("a.arch", "model {\n")
    shows(
        Wrong(Span(source, 8, 8), here="`}` is missing"),
        """
        error[T0001]: something is wrong
         --> a.arch:2:1
          |
        2 |
          | ^ `}` is missing
        """,
    )


def test_a_file_without_text_shows_no_line() -> None:
    shows(
        Wrong(Span(Source("gone.arch", ""), 0, 0), says="cannot read `gone.arch`", advice="look"),
        """
        error[T0001]: cannot read `gone.arch`
         --> gone.arch:1:1
          |
          = help: look
        """,
    )


def test_wide_and_combining_characters() -> None:
    text = "\tmodel 畳み込み🙂 cafe\u0301 \ud55c한 covn"
    source = Source("a.arch", text)
    shown = render(
        [Wrong(at(source, "covn"), here="here", related=(label(source, "畳み込み🙂", "wide"),))]
    )
    assert shown.splitlines()[3:] == [
        "1 |     model 畳み込み🙂 cafe\u0301 \ud55c한 covn",
        "  |           ----------           ^^^^ here",
        "  |           |",
        "  |           wide",
    ]


def test_what_a_terminal_would_obey_is_escaped() -> None:
    text = "conv \x1b[31m64\u202e\x07 \ud800 x\x00"
    source = Source("evil\x1b]0;title\x07.arch", text)
    diagnostic = Wrong(
        at(source, "64"),
        says="\x1b[2Jgone",
        here="la\rbel",
        fact="first\nsecond\x9b",
        related=(label(source, "x", "last"),),
        fixes=(fix("ti\ttle", (at(source, "64"), "\x1b[0m")),),
    )
    shows(
        diagnostic,
        r"""
        error[T0001]: \x1b[2Jgone
         --> evil\x1b]0;title\x07.arch:1:11
          |
        1 | conv \x1b[31m64\u202e\x07 \ud800 x\x00
          |              ^^                  - last
          |              |
          |              la\rbel
          |
          = note: first
                  second\x9b
        help: ti\ttle
        1 - conv \x1b[31m64\u202e\x07 \ud800 x\x00
        1 + conv \x1b[31m\x1b[0m\u202e\x07 \ud800 x\x00
        """,
    )


def test_ascii_only() -> None:
    source = Source("é.arch", "conv 64 3×3 # 中")
    shows(
        Wrong(at(source, "# 中"), says="64×3 → 3", related=(label(source, "×", "≥ 1"),)),
        r"""
        error[T0001]: 64x3 -> 3
         --> \xe9.arch:1:13
          |
        1 | conv 64 3\xd73 # \u4e2d
          |          ----  ^^^^^^^^
          |          |
          |          >= 1
        """,
        unicode=False,
    )


LONG = Source("long.arch", "a" * 300 + " covn " + "b" * 300)


def test_a_long_line_is_cropped_around_the_caret() -> None:
    shows(
        Wrong(
            at(LONG, "covn"),
            here="this",
            related=(Label(Span(LONG, 2, 5), "far away"),),
            fixes=(fix("write `conv`", (at(LONG, "covn"), "conv")),),
        ),
        """
        error[T0001]: something is wrong
         --> long.arch:1:302
          |
        1 | …aaaaaaaaaaaaaaaaaaaaaaa covn bbbbbb…
          | -                        ^^^^ this
          | |
          | far away
          |
        help: write `conv`
        1 - …aaaaaaaaaaaaaa covn bbbbbbbbbbbbbbb…
        1 + …aaaaaaaaaaaaaa conv bbbbbbbbbbbbbbb…
        """,
        width=41,
    )


@pytest.mark.parametrize("width", [1, 30, 41, 80, 140, 300, 605, 606])
@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("span", [(0, 1), (301, 305), (250, 500), (0, 606), (605, 606), (606, 606)])
def test_cropped_lines_keep_to_the_width(width: int, unicode: bool, span: tuple[int, int]) -> None:
    lines = render([Wrong(Span(LONG, *span))], width=width, unicode=unicode).splitlines()[3:]
    assert max(map(len, lines)) <= max(width, 24) + (span == (606, 606))
    assert lines[0].startswith("1 | ") and "^" in lines[1]
    if span[1] - span[0] < 5:  # what is marked is what is meant
        marked = "".join(c for c, m in zip(lines[0], lines[1], strict=False) if m == "^")
        assert marked == LONG.text[span[0] : span[1]]


def test_a_short_span_amid_wide_characters_is_cropped_by_cells() -> None:
    source = Source("a.arch", "中" * 100 + "x" + "中" * 100)
    lines = render([Wrong(at(source, "x"))], width=40).splitlines()[3:]
    assert lines == ["1 | …" + "中" * 8 + "x" + "中" * 8 + "…", "  | " + " " * 17 + "^"]


def test_fixes_show_the_lines_they_change() -> None:
    start = RESNET.line_starts[5]
    shows(
        Wrong(
            at(RESNET, "input"),
            advice="a shape is CxHxW",
            fixes=(
                fix(
                    "use 32x32 images", (at(RESNET, "224x224"), "32x32"), (at(RESNET, "256"), "64")
                ),
                fix("drop it", (Span(RESNET, start, RESNET.line_starts[6]), "")),
                fix("no edits to show"),
            ),
        ),
        """
        error[T0001]: something is wrong
         --> resnet.arch:2:3
          |
        2 |   input 3x224x224
          |   ^^^^^
          |
          = help: a shape is CxHxW
        help: use 32x32 images
        2 -   input 3x224x224
        2 +   input 3x32x32
        7 -     conv 256 1x1
        7 +     conv 64 1x1
        help: drop it
        6 -     convbn 64
        help: no edits to show
        """,
    )


def test_new_lines_shift_the_numbers_of_later_ones() -> None:
    shows(
        Wrong(
            at(RESNET, "model"),
            fixes=(
                fix(
                    "do both",
                    (at(RESNET, "224x224\n"), "224x224\n  relu\n  relu\n"),
                    (at(RESNET, "256"), "64"),
                ),
            ),
        ),
        """
        error[T0001]: something is wrong
         --> resnet.arch:1:1
          |
        1 | model resnet {
          | ^^^^^
          |
        help: do both
        3 +   relu
        4 +   relu
        7 -     conv 256 1x1
        9 +     conv 64 1x1
        """,
    )


def test_a_fix_elsewhere_says_where_and_a_long_one_is_cut() -> None:
    other = Source("other.arch", "a\n" * 9)
    shows(
        Wrong(
            at(RESNET, "model"),
            fixes=(fix("add lines", (Span(other, 2, 2), "b\n" * 40)),),
        ),
        """
        error[T0001]: something is wrong
          --> resnet.arch:1:1
           |
         1 | model resnet {
           | ^^^^^
           |
        help: add lines
          --> other.arch:2:1
         2 + b
         3 + b
         4 + b
         5 + b
         6 + b
         7 + b
         8 + b
         9 + b
        10 + b
        11 + b
        12 + b
        13 + b
        ...
        """,
    )


def test_a_help_that_a_fix_repeats_is_said_once() -> None:
    shown = render(
        [Wrong(at(RESNET, "model"), advice="do so", fixes=(fix("do so", (at(RESNET, "64"), "3")),))]
    )
    assert shown.count("do so") == 1


def test_an_empty_line_between_two_and_nothing_for_none() -> None:
    one = render([Odd(at(RESNET, "model"))])
    assert render([Odd(at(RESNET, "model"))] * 2) == f"{one}\n{one}"
    assert render([]) == ""


def test_colours() -> None:
    diagnostic = Wrong(
        at(RESNET, "64"),
        here="x",
        fact="n",
        related=(label(RESNET, "conv"),),
        fixes=(fix("f", (at(RESNET, "64"), "32")),),
    )
    painted = render([diagnostic, Odd(at(RESNET, "model"))], color=True)
    assert "\x1b[1;91merror[T0001]\x1b[0m\x1b[1m: something is wrong\x1b[0m\n" in painted
    assert " \x1b[1;94m-->\x1b[0m resnet.arch:3:14\n" in painted
    assert "\x1b[1;94m3 |\x1b[0m   stem: conv 64" in painted
    assert "\x1b[1;94m----\x1b[0m \x1b[1;91m^^\x1b[0m \x1b[1;91mx\x1b[0m\n" in painted
    assert "  \x1b[1;94m=\x1b[0m \x1b[1mnote\x1b[0m: n\n" in painted
    assert "\x1b[1;96mhelp\x1b[0m: f\n" in painted
    assert "\x1b[31m-   stem: conv 64" in painted and "\x1b[32m+   stem: conv 32" in painted
    assert "\x1b[1;93mwarning[T1001]\x1b[0m" in painted
    plain = render([diagnostic, Odd(at(RESNET, "model"))])
    assert re.sub(r"\x1b\[[\d;]*m", "", painted) == plain
