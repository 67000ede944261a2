"""Tells how long the specs of torchvision's models are."""

from __future__ import annotations

import textwrap

import pytest

from archdsl.pipeline import specs_folder
from tests.fidelity.builders import BUILDERS


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines: dict[int, list[str]] = {}
    for name in BUILDERS:
        text = (specs_folder() / f"{name}.arch").read_text(encoding="utf-8")
        lines.setdefault(len(text.splitlines()), []).append(name)
    total = sum(count * len(names) for count, names in lines.items())
    terminalreporter.section(f"{len(BUILDERS)} specs of torchvision's models: {total} lines")
    for count, names in sorted(lines.items()):
        shown = f"{count:3} lines: {', '.join(names)}"
        terminalreporter.write_line(textwrap.fill(shown, 100, subsequent_indent=" " * 11))
