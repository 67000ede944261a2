"""The commands that look at specs: what they print, how they end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import archdsl
from archdsl.cli.app import app

BROKEN = "model m(classes=10) {\n  input 3x32x32\n  covn 8 3x3\n  linear clases\n}\n"


def run(*args: str, input: str | bytes | None = None) -> Result:
    return CliRunner().invoke(app, list(args), input=input)


@pytest.fixture
def broken(tmp_path: Path) -> str:
    path = tmp_path / "broken.arch"
    path.write_text(BROKEN)
    return str(path)


def test_check_passes_and_fails(broken: str) -> None:
    fine = run("check", "resnet50", "lenet5")
    assert (fine.exit_code, fine.stdout) == (0, "All checks passed.\n")
    wrong = run("check", broken)
    assert wrong.exit_code == 1
    assert f"{broken}:3:3" in wrong.stdout and f"{broken}:4:10" in wrong.stdout
    assert "did you mean `conv`" in wrong.stdout and "did you mean `classes`" in wrong.stdout
    assert wrong.stdout.endswith("Found 2 errors.\n") and "\x1b" not in wrong.stdout


def test_check_formats(broken: str) -> None:
    assert run("check", broken, "--output-format", "concise").stdout.startswith(f"{broken}:3:3: ")
    found = json.loads(run("check", broken, "--output-format", "json").stdout)
    assert [d["code"] for d in found["diagnostics"]] == ["E0101", "E0102"]
    assert run("check", broken, "--output-format", "github").stdout.startswith("::error ")
    sarif = json.loads(run("check", broken, "--output-format", "sarif").stdout)
    assert len(sarif["runs"][0]["results"]) == 2


def test_check_shapes_parameters_and_input() -> None:
    shown = run("check", "resnet18", "--shapes", "-p", "classes=7", "--input", "3x64x64").stdout
    assert "layer4.1.conv2" in shown and "512x2x2" in shown
    report = archdsl.check("resnet18", classes=7, input=(3, 64, 64))
    assert report.program is not None and f"{report.program.macs:,}" in shown


def test_check_reads_standard_input_and_named_models() -> None:
    assert run("check", "-", input="model m { input 3 }").exit_code == 0
    two = "model a { input 3 }\nmodel b { input 3; nope }\n"
    assert run("check", "-", input=two).exit_code == 1


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"\xff\xfe\x00binary", "E0002"),
        (b"", "E0405"),
        (b"model m {", "E0001"),
        (b"model m { input 3x32x32; conv 8 64x64 }", "E0202"),
        (b"model m { input 3x32x32; conv 8 3x3 paddng=1 }", "E0103"),
        (b"model m { input 3x32x32; residual { conv 8 3x3 pad=1 } }", "E0203"),
        (b"model m { input 3x32x32; relu x(10**9) }", "E0402"),
        (b"model m { input 3x32x32; conv 10000000000000000 1x1 }", "E0"),
        (b"model m { input 3x32x32; repeat 10**9 { repeat 10**9 { } } }", "E0402"),
        (b"block b() { b }\nmodel m { input 3; b }", "E0401"),
        (b"model m { input 3; " + b"{" * 100_000, "E0"),
        (b"model m { input 3; let a = " + b"(" * 100_000, "E0"),
    ],
)
def test_bad_files_end_in_an_error(tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "bad.arch"
    path.write_bytes(content)
    result = run("check", str(path))
    assert result.exit_code == 1 and f"error[{code}" in result.stdout
    assert "bad.arch:" in result.stdout and "Traceback" not in result.output


@pytest.mark.parametrize("spec", ["no-such-spec", ".", "x\0y"])
def test_what_cannot_be_read(spec: str) -> None:
    result = run("check", spec)
    assert result.exit_code == 1 and "error[E0003]" in result.stdout


@pytest.mark.parametrize(
    "args",
    [
        ["check"],
        ["check", "lenet5", "--input", "3xa"],
        ["check", "lenet5", "-p", "classes"],
        ["check", "lenet5", "--limit", "nope=3"],
        ["check", "lenet5", "--output-format", "xml"],
        ["nope"],
    ],
)
def test_wrong_usage(args: list[str]) -> None:
    assert run(*args).exit_code == 2


def test_limits_can_be_raised() -> None:
    text = "model m { input 3; relu x60000 }"
    assert run("check", "-", input=text).exit_code == 1
    raised = ("--limit", "nodes=70000", "--limit", "steps=10000000")
    assert run("check", "-", *raised, input=text).exit_code == 0


def test_summary_totals_are_the_checkers() -> None:
    data = json.loads(run("summary", "resnet18", "--format", "json", "--batch", "2").stdout)
    program = archdsl.check("resnet18").program
    assert program is not None
    assert (data["params"], data["macs"]) == (program.params, 2 * program.macs)
    table = run("summary", "lenet5").stdout
    assert "Total params: 61,706" in table and "lenet5: 61,706 parameters" in table


def test_summary_counts_attention() -> None:
    program = archdsl.check("vit_b_32").program
    assert program is not None
    table = run("summary", "vit_b_32", "--depth", "1").stdout
    assert f"Total mult-adds (G): {program.macs / 1e9:.2f}" in table


def test_compile_prints_or_writes(tmp_path: Path) -> None:
    printed = run("compile", "lenet5")
    target = tmp_path / "lenet5.py"
    assert run("compile", "lenet5", "-o", str(target)).exit_code == 0
    assert target.read_text() == printed.stdout
    assert run("compile", "lenet5", "-o", str(tmp_path / "no" / "x.py")).exit_code == 1


def test_specs_and_ops() -> None:
    listed = json.loads(run("specs", "--format", "json").stdout)
    assert {"lenet5", "resnet50", "vit_b_16"} <= {entry["name"] for entry in listed}
    assert "conv out kernel" in run("ops", "conv").stdout
    wrong = run("ops", "covn")
    assert wrong.exit_code == 1 and "conv" in wrong.stderr
    assert run("--version").stdout == f"archdsl {archdsl.__version__}\n"


def test_colour_is_asked_for() -> None:
    command = [sys.executable, "-m", "archdsl", "check", "-"]
    for extra, coloured in (({"FORCE_COLOR": "1"}, True), ({"NO_COLOR": "1"}, False)):
        env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
        done = subprocess.run(
            command, input=BROKEN.encode(), env={**env, **extra}, capture_output=True, check=False
        )
        assert (b"\x1b[" in done.stdout) is coloured
