"""The tutorial of specs/README.md, followed to the letter.

`python -m tests.test_tutorial` writes what the quick commands print into the text.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

GUIDE = Path(__file__).parent.parent / "specs" / "README.md"
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TRAINS = ("archdsl train", "archdsl eval", "archdsl summary", "python ")


def tutorial(text: str) -> tuple[int, int]:
    start = text.index("\n## Tutorial:")
    return start, text.index("\n## ", start + 5)


def commands(transcript: str) -> Iterator[tuple[str, str]]:
    """Each command of a console fence with what it should print."""
    for part in re.split(r"^\$ ", transcript, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def run(command: str, folder: Path) -> str:
    name, *args = shlex.split(command)
    start = [sys.executable, "-m", "archdsl"] if name == "archdsl" else [sys.executable]
    environment = {**os.environ, "PYTHONPATH": str(GUIDE.parent.parent), "COLUMNS": "100"}
    result = subprocess.run(
        [*start, *args], cwd=folder, env=environment, text=True, capture_output=True
    )
    return result.stdout + result.stderr


def matches(printed: str, expected: str) -> bool:
    """`...` stands for anything."""
    pattern = re.escape(expected.strip()).replace(re.escape("..."), ".*")
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


def follow(folder: Path, *, all_of_it: bool) -> None:
    text = GUIDE.read_text(encoding="utf-8")
    start, end = tutorial(text)
    for info, content in FENCE.findall(text[start:end]):
        if info != "console":
            (folder / info).write_text(content, encoding="utf-8")
            continue
        for command, expected in commands(content):
            if all_of_it or not command.startswith(TRAINS):
                printed = run(command, folder)
                assert matches(printed, expected), f"$ {command}\n{printed}"


def test_what_the_checker_says(tmp_path: Path) -> None:
    follow(tmp_path, all_of_it=False)


@pytest.mark.slow
def test_all_of_it(tmp_path: Path) -> None:
    follow(tmp_path, all_of_it=True)


def test_the_tutorial_has_steps() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    fences = FENCE.findall(text[slice(*tutorial(text))])
    assert sum(info == "console" for info, _ in fences) >= 8
    assert {info for info, _ in fences} == {"console", "digits.arch", "digits.yaml", "digits.py"}


def updated(text: str) -> str:
    """The guide with what the quick commands print now."""
    start, end = tutorial(text)
    with tempfile.TemporaryDirectory() as folder:

        def fence(match: re.Match[str]) -> str:
            info, content = match.groups()
            if info != "console":
                (Path(folder) / info).write_text(content, encoding="utf-8")
                return match[0]
            parts = []
            for command, output in commands(content):
                quick = not command.startswith(TRAINS)
                printed = run(command, Path(folder)).rstrip() + "\n" if quick else output
                parts.append(f"$ {command}\n{printed}")
            return "```console\n" + "".join(parts) + "```"

        return text[:start] + FENCE.sub(fence, text[start:end]) + text[end:]


if __name__ == "__main__":
    GUIDE.write_text(updated(GUIDE.read_text(encoding="utf-8")), encoding="utf-8")
