"""The formatter: one style, nothing lost, and nothing to do a second time."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archdsl.diagnostics.source import Source
from archdsl.loading import PACKAGE, specs_folder
from archdsl.ops import TABLE
from archdsl.syntax import tree as t
from archdsl.syntax.format import WIDTH, format
from archdsl.syntax.grammar import grammar
from archdsl.syntax.parse import parse
from tests.format.perturb import perturbed

SHIPPED = [*sorted(specs_folder().rglob("*.arch")), PACKAGE / "prelude" / "prelude.arch"]

STRANGE = """
use "resnet50.arch"
block foo(a, b=4 * 3, c=[1, 2],) {
  let x = a * (b + -1) // 2 if a > 3 else 2**-a
  conv (2 * a) 1x1 /(b // 2) pad=-1 x(b - 1) -> bn
    -> relu
  for t, c, n, s in [[1, 16, 1, 1], [6, 24, 2, 2], [6, 160, 3, 2]] as i { conv c 3x3; bn: bn }
  for k in [i for i in c[1:] + c[:-1]] { conv k 1; }
  if a > 3 and not b == 2 { relu } else if a { bn } else { gelu }
  residual if b { conv 3 1x1 } shortcut down if in != a {}
  concat { conv 64 3x3 pad=1 -> bn -> relu; conv 128 3x3 -> bn -> relu; { conv 32 5x5 } }
  block{i+1}: conv 3 norm=bn(eps=1e-5, act=relu(x)) x3
  "a-{i}": aux @t { conv 4 }
  init "a.b" zeros a=(-1 / sqrt(out_features))
  param scale [1, in] constant 0.1
  declare b "c"; assert 3x4x5
  conv in[-1] 3x3 in.h; d: concat @a @b; tap q
}
model m = n a=3 b=[[1], 2]; model n { input 3; output @a @b }
"""


def formatted(text: str) -> str:
    result, errors = format(Source("<text>", text))
    assert result is not None, errors
    return result


def tree(text: str) -> t.File:
    parsed, errors = parse(Source("<text>", text))
    assert parsed is not None and not errors, errors
    return parsed


def comments(text: str) -> list[str]:
    """Comments, strings left out, without what the formatter may change in them."""
    found = re.findall(r'"[^"\n]*"|(#[^\n]*)', text)
    return [re.sub(r"^#(?=\w)", "# ", c.rstrip()) for c in found if c]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_shipped_specs_are_formatted(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert formatted(text) == text, f"run: archdsl fmt {path}"


@pytest.mark.parametrize("op", TABLE.values(), ids=lambda op: op.name)
def test_operator_examples_are_formatted(op: type) -> None:
    text = "block example() {\n" + "".join(f"  {x}\n" for x in op.example.split("\n")) + "}\n"
    assert formatted(text) == text


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_whitespace_and_comments(data: st.DataObject) -> None:
    names = ["resnet50", "vgg16", "googlenet", "lenet5", None, None]
    name = data.draw(st.sampled_from(names))
    text = (specs_folder() / f"{name}.arch").read_text(encoding="utf-8") if name else STRANGE
    text = "\t\n" + data.draw(perturbed(text))  # so that no text is as it should be
    once = formatted(text)
    assert formatted(once) == once
    assert t.same(tree(once), tree(text))
    assert comments(once) == comments(text)
    assert [str(x) for x in grammar().lex(once) if x.type != "_SEPARATOR"] == [
        str(x) for x in grammar().lex(text) if x.type != "_SEPARATOR"
    ]
    assert once.endswith("\n") and not once.startswith("\n") and "\n\n\n" not in once
    assert not re.search(r"[ \t]\n", once)


def check(before: str, after: str) -> None:
    before, after = dedent(before).lstrip("\n"), dedent(after).lstrip("\n")
    assert formatted(before) == after
    assert formatted(after) == after


def test_spaces() -> None:
    check(
        """
        block   foo (a,b = 4 * 3){
          let  x=a*( b+ - 1)//2 ** i
          conv (2*a)1x1 /( b // 2 ) pad=-1 x( b - 1 )->bn
          conv in [ 0 ] in[ 1 ] in . h ;block{i}  :   relu
          init conv . bias  zeros a=(-1/sqrt( in_features ))
          repeat  a-1 as i{ relu }
        }
        """,
        """
        block foo(a, b=4*3) {
          let x = a * (b + -1) // 2**i
          conv (2*a) 1x1 /(b//2) pad=-1 x(b-1) -> bn
          conv in [0] in[1] in.h; block{i}: relu
          init conv.bias zeros a=(-1/sqrt(in_features))
          repeat a - 1 as i { relu }
        }
        """,
    )


def test_statements_of_neighbouring_lines_are_aligned() -> None:
    check(
        """
        block a() {
          conv1: conv 64 1x1 bias=false; bn1: bn -> relu
          conv2: conv 64 3x3 pad=1 bias=false; bn2: bn
          gap; flatten; relu

          gap; flatten
        }
        """,
        """
        block a() {
          conv1: conv 64 1x1 bias=false;       bn1: bn -> relu
          conv2: conv 64 3x3 pad=1 bias=false; bn2: bn
          gap; flatten; relu

          gap; flatten
        }
        """,
    )


def test_tables_are_aligned() -> None:
    check(
        """
        block a() {
          for name, t, c in [
            ["a",1,16],
            ["long", 6,160]   # wide
          ] { conv c 3x3
          }
        }
        """,
        """
        block a() {
          for name, t, c in [
            ["a",    1,  16],
            ["long", 6, 160]  # wide
          ] {
            conv c 3x3
          }
        }
        """,
    )


def test_comments_stay_where_they_are() -> None:
    check(
        """
        #first


        block a() {     # opens
          # own line

          relu   # behind
          conv 3 1x1# behind, longer
            # before the arrow
            -> relu
          if in == 3 { relu }  # then
          # between
          else { bn } #!mark
          # last

        }
        # end
        """,
        """
        # first

        block a() {  # opens
          # own line

          relu        # behind
          conv 3 1x1  # behind, longer
            # before the arrow
            -> relu
          if in == 3 { relu }  # then
          # between
          else { bn }  #!mark
          # last
        }
        # end
        """,
    )


def test_comments_and_tables_inside_expressions() -> None:
    check(
        """
        block a(sizes=[0.5 for x in # why
            [1]], b=2) {
          conv (in+  # all
             (1)) 1x1
          layers [
            [1, 16], [6, 160], [
              1, 1] ]
        }
        """,
        """
        block a(sizes=[
          0.5 for x in  # why
            [1]
        ], b=2) {
          conv (
            in+  # all
              (1)
          ) 1x1
          layers [
            [1,  16],
            [6, 160],
            [
              1, 1
            ]
          ]
        }
        """,
    )


def test_bodies_stay_in_one_line_where_they_fit() -> None:
    long = "conv 64 3x3 pad=1 bias=false -> bn -> relu"
    check(
        f"""
        block a() {{ relu; bn }}
        block b() {{ {long}; {long}; {long} }}
        block c() {{ if in == 3 {{ {long} }} else {{ {long} }} }}
        """,
        f"""
        block a() {{ relu; bn }}
        block b() {{
          {long}
          {long}
          {long}
        }}
        block c() {{
          if in == 3 {{
            {long}
          }} else {{ {long} }}
        }}
        """,
    )


def test_long_lines_are_broken_at_arrows_and_commas() -> None:
    args = ", ".join(f"parameter__{i}=[1, 2, 3]" for i in range(4))
    more = "".join(f"  other_parameter{i}=[1, 2, 3],\n" for i in range(6)).rstrip(",\n")
    flow = "conv 64 3x3 pad=1 bias=false"
    check(
        f"block a({args}) {{\n  {' -> '.join([flow] * 4)}\n}}\n"
        f"block b({' '.join(more.split())}) {{ relu }}\n",
        f"block a(\n  {args}\n) {{\n  {' -> '.join([flow] * 3)}\n    -> {flow}\n}}\n"
        f"block b(\n{more}\n) {{ relu }}\n",
    )
    assert all(len(line) <= WIDTH for line in formatted(STRANGE).splitlines())


def test_syntax_errors_are_told() -> None:
    result, errors = format(Source("<text>", "model a( {\n}\n"))
    assert result is None and errors


def test_empty_files() -> None:
    assert formatted("") == ""
    assert formatted("\n \n") == ""
    assert formatted("\n# hi") == "# hi\n"
