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
SLOW = ("archdsl train", "archdsl eval", "archdsl compile", "python ")  # they import torch


def tutorial(text: str) -> tuple[int, int]:
    start = text.index("\n## Tutorial:")
    return start, text.index("\n## ", start + 5)


def commands(transcript: str) -> Iterator[tuple[str, str]]:
    """Each command of a console fence with what it should print."""
    for part in re.split(r"^\$ ", transcript, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def run(command: str, folder: Path) -> tuple[int, str]:
    """A command's exit code and what it prints."""
    name, *args = shlex.split(command)
    start = [sys.executable, "-m", "archdsl"] if name == "archdsl" else [sys.executable]
    environment = {**os.environ, "PYTHONPATH": str(GUIDE.parent.parent), "COLUMNS": "100"}
    result = subprocess.run(
        [*start, *args], cwd=folder, env=environment, text=True, capture_output=True
    )
    return result.returncode, result.stdout + result.stderr


def matches(printed: str, expected: str) -> bool:
    """`...` stands for anything."""
    pattern = re.escape(expected.strip()).replace(re.escape("..."), ".*")
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


def follow(folder: Path, *, brief: bool) -> None:
    """Every command in turn; `brief`: a trained network is one of two steps, with other figures."""
    text = GUIDE.read_text(encoding="utf-8")
    for info, content in FENCE.findall(text[slice(*tutorial(text))]):
        if info != "console":
            (folder / info).write_text(content, encoding="utf-8")
            continue
        for command, expected in commands(content):
            train = command.startswith("archdsl train")
            code, printed = run(command + " --max-steps 2" * (brief and train), folder)
            assert code == ("error" in expected), f"$ {command}\n{printed}"
            if not (brief and command.startswith(("archdsl train", "archdsl eval"))):
                assert matches(printed, expected), f"$ {command}\n{printed}"


def test_every_command(tmp_path: Path) -> None:
    follow(tmp_path, brief=True)


@pytest.mark.slow
def test_every_command_with_its_training(tmp_path: Path) -> None:
    follow(tmp_path, brief=False)


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
                quick = not command.startswith(SLOW) and output != "...\n"
                printed = run(command, Path(folder))[1].rstrip() + "\n" if quick else output
                parts.append(f"$ {command}\n{printed}")
            return "```console\n" + "".join(parts) + "```"

        return text[:start] + FENCE.sub(fence, text[start:end]) + text[end:]


if __name__ == "__main__":
    GUIDE.write_text(updated(GUIDE.read_text(encoding="utf-8")), encoding="utf-8")
