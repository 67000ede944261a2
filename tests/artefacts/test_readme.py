"""What README.md shows of artefacts is what the compiler gives."""

from __future__ import annotations

from pathlib import Path

import pytest

import archdsl
from archdsl.pipeline import open_spec, specs_folder
from archdsl.reports.diff import compare, show_difference

README = Path(__file__).parents[2] / "README.md"


def test_the_picture(request: pytest.FixtureRequest) -> None:
    path = specs_folder() / "pictures" / "resnet50.svg"
    svg = archdsl.compile("resnet50", "svg")
    if request.config.getoption("--update-goldens"):
        path.write_text(svg, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == svg
    assert "](specs/pictures/resnet50.svg)" in README.read_text(encoding="utf-8")


def test_the_emitted_file() -> None:
    source = archdsl.compile("resnet50")
    assert len(source.splitlines()) <= 120
    code = source.split('"""\n', 1)[1].strip()
    assert f"```python\n{code}\n```" in README.read_text(encoding="utf-8")


def test_the_difference() -> None:
    old, new = (open_spec(name).checked() for name in ("resnet50", "resnet101"))
    shown = f"$ archdsl diff resnet50 resnet101\n{show_difference(compare(old, new))}\n"
    assert shown in README.read_text(encoding="utf-8")
