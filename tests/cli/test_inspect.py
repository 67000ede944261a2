"""The commands that look at specs: what they print, how they end."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version
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


WARNED = "model m(n=2) {\n  input 3x32x32\n  conv 8 3x3 -> bn -> tap t\n  linear 5\n}\n"


@pytest.fixture
def warned(tmp_path: Path) -> str:
    path = tmp_path / "warned.arch"
    path.write_text(WARNED)
    return str(path)


@pytest.mark.parametrize(
    ("options", "codes"),
    [
        ([], ["W0004", "W0002", "W0005", "W0011"]),
        (["--select", "W0002,W0011"], ["W0002", "W0011"]),
        (["--select", "W0002", "--select", "unused-tap"], ["W0002", "W0005"]),
        (["--select", "w001"], ["W0011"]),
        (["--ignore", "W"], []),
        (["--ignore", "W0002, W0004"], ["W0005", "W0011"]),
        (["--ignore", "W", "--select", "W0002,E"], ["W0002"]),
        (["--select", "W", "--ignore", "W000"], ["W0011"]),
        (["--select", "ALL", "--ignore", "lost-bias"], ["W0004", "W0005", "W0011"]),
        (["--select", "E"], []),
    ],
)
def test_select_and_ignore(warned: str, options: list[str], codes: list[str]) -> None:
    result = run("check", warned, "--output-format", "json", *options)
    assert [d["code"] for d in json.loads(result.stdout)["diagnostics"]] == codes
    assert result.exit_code == 0
    failing = run("check", warned, "--error-on-warning", *options)
    assert failing.exit_code == bool(codes)


@pytest.mark.parametrize("options", [["--select", "W"], ["--ignore", "E0101,E0102"]])
def test_an_error_that_is_hidden_still_counts(broken: str, options: list[str]) -> None:
    result = run("check", broken, *options)
    assert result.exit_code == 1
    assert result.stdout == "Found nothing, and 2 errors that --select or --ignore hides.\n"
    result = run("check", broken, "--output-format", "github", *options)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "2 errors that --select or --ignore hides" in result.stderr


@pytest.mark.parametrize("word", ["X", "W9", "no-such", "", "E0101x"])
def test_selectors_that_select_nothing(word: str) -> None:
    result = run("check", "lenet5", "--select", word)
    assert result.exit_code == 2 and "no code begins with" in result.stderr


FIXABLE = "model m {\r\n  input 3x32x32\r\n  Conv2d 8 3x3 padding=1 -> bn # é\r\n  nope\r\n}\r\n"


def test_fix_mends_the_file(tmp_path: Path) -> None:
    path = tmp_path / "net.arch"
    path.write_bytes(b"\xef\xbb\xbf" + FIXABLE.replace("  nope\r\n", "").encode())
    path.chmod(0o640)
    result = run("check", str(path), "--fix")
    assert result.exit_code == 0
    assert result.stdout == "Fixed 3 problems. All checks passed.\n"
    assert [line.split(": ")[1].split()[0] for line in result.stderr.splitlines()] == [
        "E0101",
        "E0103",
        "W0002",
    ]
    new = FIXABLE.replace("  nope\r\n", "").replace("Conv2d", "conv").replace("padding", "pad")
    new = new.replace("pad=1", "pad=1 bias=false")
    assert path.read_bytes() == b"\xef\xbb\xbf" + new.encode()
    assert path.stat().st_mode & 0o777 == 0o640
    assert [p.name for p in tmp_path.iterdir()] == ["net.arch"]
    assert run("check", str(path), "--fix").stdout == "All checks passed.\n"


def test_fix_leaves_what_it_cannot_mend(tmp_path: Path) -> None:
    path = tmp_path / "net.arch"
    path.write_text(FIXABLE)
    result = run("check", str(path), "--fix", "--output-format", "concise")
    assert result.exit_code == 1
    assert "net.arch:4:3: E0101" in result.stdout
    assert result.stdout.endswith("Fixed 2 problems. Found 1 error.\n")


def test_fix_of_what_is_selected(warned: str) -> None:
    assert run("check", warned, "--fix", "--ignore", "W0002").exit_code == 0
    assert Path(warned).read_text() == WARNED
    assert "Fixed 1 problem." in run("check", warned, "--fix", "--select", "W0002").stdout
    assert Path(warned).read_text() == WARNED.replace("3x3 ->", "3x3 bias=false ->")


def test_diff_shows_the_fixes_and_writes_nothing(warned: str) -> None:
    result = run("check", warned, "--diff")
    assert result.exit_code == 1
    assert "-  conv 8 3x3 -> bn -> tap t\n+  conv 8 3x3 bias=false -> bn" in result.stdout
    assert Path(warned).read_text() == WARNED
    assert run("check", "lenet5", "--diff").stdout == ""
    assert run("check", "lenet5", "--diff").exit_code == 0


def test_diff_does_not_hide_errors(broken: str) -> None:
    result = run("check", broken, "--diff")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "0 would be mended. Found 2 errors.\n"


def test_fix_needs_a_file_that_can_be_written(warned: str) -> None:
    assert run("check", "-", "--fix", input=WARNED).exit_code == 2
    result = run("check", "/proc/self/nope.arch", "--fix")
    assert result.exit_code == 1 and "E0003" in result.stdout


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
    versions = f"Python {platform.python_version()}, torch {version('torch')}"
    assert run("--version").stdout == f"archdsl {archdsl.__version__} ({versions})\n"


def test_codes_are_known_in_a_new_process() -> None:
    command = [sys.executable, "-m", "archdsl", "check", "lenet5", "--select", "E01"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_colour_is_asked_for() -> None:
    command = [sys.executable, "-m", "archdsl", "check", "-"]
    for extra, coloured in (({"FORCE_COLOR": "1"}, True), ({"NO_COLOR": "1"}, False)):
        env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
        done = subprocess.run(
            command, input=BROKEN.encode(), env={**env, **extra}, capture_output=True, check=False
        )
        assert (b"\x1b[" in done.stdout) is coloured


@pytest.mark.parametrize(
    ("budget", "code"),
    [
        (["--max-params", "25M"], "E0406"),
        (["--max-macs", "4.0G"], "E0407"),
        (["--max-memory", "4GiB", "--batch", "64"], "E0408"),
        (["--max-params", "26M", "--max-macs", "4.1G", "--max-memory", "6GB", "--batch", "64"], ""),
    ],
)
def test_budgets_are_a_gate(budget: list[str], code: str) -> None:
    done = run("check", "resnet50", *budget)
    assert done.exit_code == bool(code)
    assert f"error[{code}]" in done.stdout if code else "error" not in done.stdout


@pytest.mark.parametrize("text", ["8x", "-1", "i", "4 G i", "1e9"])
def test_a_budget_is_a_quantity(text: str) -> None:
    assert run("check", "resnet50", f"--max-memory={text}").exit_code == 2


def test_a_spec_of_the_command_line_is_a_path(tmp_path: Path) -> None:
    """Not a text, as in Python: a name may hold a line break."""
    for command in ("check", "summary", "compile", "draw"):
        found = run(command, "a\nmodel m { input 3 }")
        assert found.exit_code == 1 and "no such file" in found.output
    path = tmp_path / "a\nb.arch"
    path.write_text("model m {\n  input 3\n  linear 2\n}\n")
    assert run("check", str(path)).exit_code == 0


def test_names_of_files_are_escaped(tmp_path: Path) -> None:
    path = tmp_path / "n\x1b[31m\n::error::z.arch"
    for flags in (("fmt", "--check"), ("fmt", "--diff"), ("fmt",), ("check", "--diff")):
        path.write_text("model m {\n input 3x9x9\n conv 4 3x3 -> bn\n}\n")
        shown = run(*flags, str(path)).output
        assert "\n::error" not in shown and "\x1b" not in shown
        assert "n\\x1b[31m\\n::error::z.arch" in shown
    refused = run("new", str(tmp_path / "q\n::error"))
    assert refused.exit_code == 1 and "\n::error" not in refused.output


@pytest.mark.parametrize("batch", ["1000000000000000000000000", "99999999999", "0"])
def test_a_batch_beyond_all_bounds_is_one_error(batch: str) -> None:
    found = run("summary", "lenet5", "--batch", batch)
    assert found.exit_code == 2 and "is not in the range" in found.output


def test_a_large_batch_takes_no_memory() -> None:
    assert "[1048576, 10]" in run("summary", "lenet5", "--batch", "1048576").stdout
