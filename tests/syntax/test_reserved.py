"""The guide names every word that the grammar reserves."""

from __future__ import annotations

import re

from archdsl.pipeline import specs_folder
from archdsl.syntax.grammar import FOLDER


def test_the_guide_has_every_reserved_word() -> None:
    lines = (FOLDER / "grammar.lark").read_text(encoding="utf-8").splitlines()
    code = "\n".join(line.partition("//")[0] for line in lines)
    guide = (specs_folder() / "README.md").read_text(encoding="utf-8")
    listed = guide.partition("These words are the language's own:")[2].partition(". They name")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == set(re.findall(r'"([a-z]+)"', code))
