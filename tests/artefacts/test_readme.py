"""What README.md shows of artefacts is what the compiler gives."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

import archdsl
from archdsl.cli.app import app
from archdsl.pipeline import open_spec, specs_folder
from archdsl.reports.diff import compare, show_difference

README = Path(__file__).parents[2] / "README.md"
ARTEFACTS = README.parent / "docs/pages/artefacts.md"


def test_the_picture(request: pytest.FixtureRequest) -> None:
    path = specs_folder() / "pictures" / "resnet50.svg"
    svg = archdsl.compile("resnet50", "svg")
    if request.config.getoption("--update-goldens"):
        path.write_text(svg, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == svg
    assert "](specs/pictures/resnet50.svg)" in README.read_text(encoding="utf-8")


def test_the_emitted_file(request: pytest.FixtureRequest) -> None:
    source = archdsl.compile("resnet50")
    assert len(source.splitlines()) <= 120
    code = source.split('"""\n', 1)[1].strip()
    if request.config.getoption("--update-goldens"):
        page = ARTEFACTS.read_text(encoding="utf-8")
        before, _, rest = page.partition("```python\n")
        ARTEFACTS.write_text(f"{before}```python\n{code}\n```{rest.partition('```')[2]}")
    assert f"```python\n{code}\n```" in ARTEFACTS.read_text(encoding="utf-8")


def test_the_difference() -> None:
    old, new = (open_spec(name).checked() for name in ("resnet50", "resnet101"))
    shown = f"$ archdsl diff resnet50 resnet101\n{show_difference(compare(old, new))}\n"
    assert shown in README.read_text(encoding="utf-8")
    assert shown in ARTEFACTS.read_text(encoding="utf-8")


def test_the_sizes() -> None:
    said = CliRunner().invoke(app, ["sizes", "alexnet"]).stdout
    readme = README.read_text(encoding="utf-8")
    assert f"```\n$ archdsl sizes alexnet\n{said}```" in readme
    promise = "  input 3x32x32 where h >= 2 and w >= 1\n"
    broken = f"model mynet() {{\n{promise}  maxpool 2x2 -> upsample 2\n}}\n"
    shown = str(archdsl.check(broken)).replace("<text>", "mynet.arch")
    assert shown.partition("  |\n  = note")[0] in readme


def test_a_newcomer_reads_it_to_the_end() -> None:
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 200
    for target in re.findall(r'(?:\]\(|srcset="|src=")([^)"#]+)', text):
        assert (README.parent / target).exists(), target
