"""Every code is explained, and the explanations are true."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from archdsl import explain
from archdsl.cli.app import app
from archdsl.diagnostics.examples import EXAMPLES
from archdsl.pipeline import specs_folder


def test_every_code_has_an_example() -> None:
    missing = sorted(explain.codes().keys() - EXAMPLES.keys())
    assert not missing, f"add to archdsl/diagnostics/examples.py: {', '.join(missing)}"
    assert not EXAMPLES.keys() - explain.codes().keys()


@pytest.mark.parametrize("code", EXAMPLES)
def test_the_wrong_example_gives_the_code(code: str) -> None:
    example = EXAMPLES[code]
    found = {d.code for d in explain.check(example.wrong, example.params, example.limits)}
    assert found == {code, *example.also}


@pytest.mark.parametrize("code", EXAMPLES)
def test_the_right_example_gives_nothing(code: str) -> None:
    example = EXAMPLES[code]
    assert not explain.check(example.right, example.right_params, example.limits)


@pytest.mark.parametrize("code", EXAMPLES)
def test_right_examples_are_formatted(code: str) -> None:
    from archdsl.diagnostics.source import Source
    from archdsl.syntax.format import format

    assert format(Source("<text>", EXAMPLES[code].right)) == (EXAMPLES[code].right, [])


def test_the_generated_page_is_current() -> None:
    path = specs_folder() / "ERRORS.md"
    same = path.is_file() and path.read_text(encoding="utf-8") == explain.reference()
    assert same, "run: python -m archdsl.explain specs/ERRORS.md"


def test_no_path_of_the_moment_is_shown() -> None:
    assert "/tmp" not in explain.reference()


@pytest.mark.parametrize("name", ["E0203", "e0203", "residual-mismatch"])
def test_command(name: str) -> None:
    result = CliRunner().invoke(app, ["explain", name])
    assert result.exit_code == 0
    assert "error[E0203]" in result.output and "shortcut { conv 64 1x1 }" in result.output


def test_command_without_a_code_lists_them() -> None:
    result = CliRunner().invoke(app, ["explain"])
    assert result.exit_code == 0 and all(code in result.output for code in EXAMPLES)


def test_command_with_an_unknown_code() -> None:
    result = CliRunner().invoke(app, ["explain", "E9999"])
    assert result.exit_code == 1 and "archdsl explain" in result.output
