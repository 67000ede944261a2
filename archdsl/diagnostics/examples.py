"""For every code, a spec with the mistake and the same without it.

`archdsl explain` and specs/ERRORS.md show them after the entry's own docstring; a test checks that
the first gives this code alone and the second nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Example:
    """`params`, `limits`: given on the command line, to both; `right_params` to the right one.
    `also`: other codes that the wrong one cannot but give."""

    wrong: str | bytes
    right: str
    params: Mapping[str, str] = field(default_factory=dict)
    right_params: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    also: tuple[str, ...] = ()


def _model(body: str, *, input: str = "3x32x32", params: str = "", before: str = "") -> str:
    lines = "".join(f"  {line}\n" if line else "\n" for line in body.strip("\n").split("\n"))
    return f"{before}model mynet({params}) {{\n  input {input}\n{lines}}}\n"


def _pair(wrong: str, right: str, **given: str) -> Example:
    return Example(_model(wrong, **given), _model(right, **given))


EXAMPLES: dict[str, Example] = {
    # the text
    "E0001": _pair("conv 2*16 3x3", "conv (2*16) 3x3"),
    "E0002": Example(
        b"# 3 \xd7 32 \xd7 32, saved as Latin-1\n" + _model("conv 16 3x3").encode(),
        "# 3 × 32 × 32, saved as UTF-8\n" + _model("conv 16 3x3"),
    ),
    "E0003": Example(
        'use "resnet5.arch"\nmodel mynet = resnet50\n',
        'use "resnet50.arch"\nmodel mynet = resnet50\n',
    ),
    "E0004": Example(
        _model("conv 16 3x3 -> relu\n" * 9),
        _model("repeat 9 { conv 16 3x3 -> relu }"),
        limits={"tokens": 40},
    ),
    "E0005": _pair(
        f"let half = {'(' * 41}in{' // 2)' * 41}\nconv half 3x3",
        "let half = in // 2\nconv half 3x3",
    ),
    "E0006": Example(_model("cnv 16 3x3\n" * 101), _model("conv 16 3x3\n" * 3), also=("E0101",)),
    # names
    "E0101": _pair("conv 16 3x3 -> max_pol 2x2", "conv 16 3x3 -> maxpool 2x2"),
    "E0102": _pair("flatten\nlinear clases", "flatten\nlinear classes", params="classes=10"),
    "E0103": _pair("conv 16 3x3 padding=1", "conv 16 3x3 pad=1"),
    "E0104": _pair(
        "conv1: conv 16 3x3 -> relu\nconv1: conv 32 3x3",
        "conv1: conv 16 3x3 -> relu\nconv2: conv 32 3x3",
    ),
    "E0105": _pair(
        "conv 16 3x3 pad=1 -> tap early\nconv 16 3x3 pad=1 -> concat @erly",
        "conv 16 3x3 pad=1 -> tap early\nconv 16 3x3 pad=1 -> concat @early",
    ),
    "E0106": _pair("conv (largest(16, in)) 3x3", "conv (max(16, in)) 3x3"),
    "E0107": Example(
        'use "resnet50.arch"\nmodel mynet = resnet5 classes=10\n',
        'use "resnet50.arch"\nmodel mynet = resnet50 classes=10\n',
    ),
    "E0108": Example(
        _model("flatten\nlinear classes", params="classes=10"),
        _model("flatten\nlinear classes", params="classes=10"),
        params={"clases": "100"},
        right_params={"classes": "100"},
    ),
    "E0109": _pair("train: conv 16 3x3", "conv_train: conv 16 3x3"),
    "E0110": _pair("init conv kaiming\nconv 16 3x3", "init conv kaiming_normal\nconv 16 3x3"),
    "E0111": _pair(
        "init haed zeros\ngap; flatten\nhead: linear 10",
        "init head zeros\ngap; flatten\nhead: linear 10",
    ),
    # shapes
    "E0201": _pair("flatten -> conv 16 3x3", "conv 16 3x3 -> flatten"),
    "E0202": _pair(
        "conv 16 3x3 -> maxpool 16x16\nconv 32 3x3", "conv 16 3x3 -> maxpool 4x4\nconv 32 3x3"
    ),
    "E0203": _pair(
        "residual { conv 64 3x3 pad=1 -> relu }",
        "residual { conv 64 3x3 pad=1 -> relu } shortcut { conv 64 1x1 }",
    ),
    "E0204": _pair(
        "concat {\n  conv 16 1x1\n  conv 32 3x3\n}",
        "concat {\n  conv 16 1x1\n  conv 32 3x3 pad=1\n}",
    ),
    "E0205": _pair(
        "conv 16 5x5 -> maxpool 2x2\nassert 16x16x16", "conv 16 5x5 -> maxpool 2x2\nassert 16x14x14"
    ),
    "E0206": _pair(
        "param token [2, 32] zeros\nreshape [3, -1] -> linear 32\nconcat { @token; identity }",
        "param token [1, 2, 32] zeros\nreshape [3, -1] -> linear 32\nconcat { @token; identity }",
    ),
    "E0207": Example(
        _model("maxpool 2x2 -> upsample 2", input="3x32x32 where h >= 2 and w >= 1"),
        _model("maxpool 2x2 -> upsample 2", input="3x32x32 where h >= 2 and w >= 2"),
    ),
    "E0208": _pair("init bn orthogonal\nbn", "init bn normal\nbn"),
    # values
    "E0301": _pair("conv 16 3x3 groups=2", "conv 18 3x3 groups=3"),
    "E0302": _pair("conv 16", "conv 16 3x3"),
    "E0303": _pair("conv 16 3x3 1 1 1 1 1 1 1", "conv 16 3x3 pad=1"),
    "E0304": _pair(
        "for width in widths { conv width 3x3 }",
        "for width in [widths] { conv width 3x3 }",
        params="widths=64",
    ),
    # structure and limits
    "E0401": Example(
        _model("unit 16", before="block unit(out) { conv out 3x3 -> relu -> unit out }\n\n"),
        _model("unit 16 x3", before="block unit(out) { conv out 3x3 -> relu }\n\n"),
    ),
    "E0402": _pair("repeat 1000000 { relu }", "repeat 10 { relu }"),
    "E0403": _pair(
        "conv 16 3x3 -> tap a\nrepeat 2 { output @a }", "conv 16 3x3 -> tap a\noutput @a"
    ),
    "E0404": Example(
        "model mynet() {\n  conv 16 3x3\n}\n",
        "model mynet() {\n  input 3x32x32\n  conv 16 3x3\n}\n",
    ),
    "E0405": Example(
        "block unit(out) { conv out 3x3 -> relu }\n",
        "block unit(out) { conv out 3x3 -> relu }\n\n" + _model("unit 16"),
    ),
    "E0406": Example(
        _model("conv 16 3x3 -> relu\nflatten\nlinear 1000"),
        _model("conv 16 3x3 -> relu\ngap; flatten\nlinear 1000"),
        limits={"max_params": 1_000_000},
    ),
    "E0407": Example(
        _model("conv 16 7x7 -> relu"),
        _model("conv 16 7x7 /2 -> relu"),
        limits={"max_macs": 1_000_000},
    ),
    "E0408": Example(
        _model("conv 64 3x3 pad=1 -> relu\nconv 64 3x3 pad=1 -> relu"),
        _model("conv 64 3x3 /2 pad=1 -> relu\nconv 64 3x3 pad=1 -> relu"),
        limits={"max_memory": 100_000_000, "batch": 128},
    ),
    # warnings
    "W0001": _pair("flatten\nlinear 32 -> linear 10", "flatten\nlinear 32 -> relu -> linear 10"),
    "W0002": _pair("conv 16 3x3 -> bn -> relu", "conv 16 3x3 bias=false -> bn -> relu"),
    "W0003": Example(
        _model("conv 16 3x3 -> relu", before="block unit(out) { conv out 3x3 -> relu }\n\n"),
        _model("unit 16", before="block unit(out) { conv out 3x3 -> relu }\n\n"),
    ),
    "W0004": _pair("flatten\nlinear 10", "flatten\nlinear classes", params="classes=10"),
    "W0005": _pair(
        "conv 16 3x3 pad=1 -> tap early\nconv 16 3x3 pad=1 -> relu",
        "conv 16 3x3 pad=1 -> tap early\nconv 16 3x3 pad=1 -> relu -> concat @early",
    ),
    "W0006": _pair("stem: {}\nconv 16 3x3", "stem: { conv 16 3x3 }"),
    "W0007": _pair("let width = 32\nconv 16 3x3", "let width = 32\nconv width 3x3"),
    "W0008": _pair("flatten\nlinear 10 -> softmax", "flatten\nlinear 10"),
    "W0009": _pair(
        "conv 16 3x3 -> gap\nconv 32 3x3 pad=1 -> relu\nflatten -> linear 10",
        "conv 16 3x3\nconv 32 3x3 pad=1 -> relu\ngap -> flatten -> linear 10",
    ),
    "W0010": _pair(
        "conv 64 3x3 -> relu\nflatten -> linear 256 -> relu -> linear 10",
        "conv 64 3x3 -> relu\ngap -> flatten -> linear 256 -> relu -> linear 10",
    ),
    "W0011": _pair("conv 16 3x3 -> relu\nlinear 10", "conv 16 3x3 -> relu\nflatten -> linear 10"),
    "W0012": _pair(
        "conv 16 3x3  # archdsl: ignore E0203",
        "conv 16 3x3 -> bn  # archdsl: ignore W0002",
    ),
    "W0015": _pair(
        "tap x\nconv 16 3x3 -> relu\n@x -> conv 16 3x3",
        "tap x\nconv 16 3x3 -> relu -> tap y\n@x -> conv 16 3x3 -> add @y",
    ),
    "W0016": Example(
        _model(
            "conv 8 1x1\nunit 8",
            before="block unit(out) {\n  conv (4*in) 1x1 -> relu6\n"
            "  conv (4*in) 3x3 pad=1 groups=in -> relu6\n  conv out 1x1\n}\n\n",
        ),
        _model(
            "conv 8 1x1\nunit 8",
            before="block unit(out) {\n  conv (4*in) 1x1 -> relu6\n"
            "  conv (4*in) 3x3 pad=1 groups=(4*in) -> relu6\n  conv out 1x1\n}\n\n",
        ),
    ),
    "W0017": _pair(
        "add { { conv 16 3x3 pad=1 -> relu } }",
        "conv 16 1x1\nadd { identity; { conv 16 3x3 pad=1 -> relu } }",
    ),
    "W0018": _pair(
        'add {\n  identity\n  convs: for k in [1, 3] { "{k}": conv in k pad=half }\n}',
        'add {\n  identity\n  for k in [1, 3] { "convs{k}": conv in k pad=half }\n}',
    ),
    "W0019": _pair(
        "conv 16 3x3 -> gap -> conv 16 1x1 bias=false -> bn -> relu",
        "conv 16 3x3 -> gap -> conv 16 1x1 -> relu",
    ),
    "W0020": _pair(
        "mul { identity; { conv 1 1x1 -> softmax } }",
        "mul { identity; { conv 1 1x1 -> sigmoid } }",
    ),
    "W0021": _pair("convbn 16 3x3 -> relu", "convbn 16 3x3"),
    "W0022": _pair(
        "conv 16 32x32 /32 -> reshape [16, -1] -> permute [1, 0] -> mha 4",
        "conv 16 8x8 /8 -> reshape [16, -1] -> permute [1, 0] -> mha 4",
    ),
    "W0023": _pair("residual { }\nrelu", "residual { conv in 3x3 pad=1 }\nrelu"),
    "W0014": _pair("conv 16 3x3 x0 -> relu", "conv 16 3x3 x1 -> relu"),
    "W0013": Example(
        _model("conv 16 3x3 pad=1 -> relu\ngap -> flatten -> linear 10", input="32x32x3"),
        _model("conv 16 3x3 pad=1 -> relu\ngap -> flatten -> linear 10"),
    ),
}
