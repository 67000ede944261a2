"""A set of sizes as a condition of the language, for `where`: `h % 16 == 0 and h >= 64`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from archdsl.sizes.course import Sizes, describe
from archdsl.sizes.solve import Box

MOST_BOXES = 4
LONGEST = 200  # characters that somebody would write
_RANGE = r"\d+(?: to \d+)?"
_RANGES = re.compile(rf"(\w( % \d+)?) is ({_RANGE}(?:(?:, | or ){_RANGE})*)")


def clause(boxes: Sequence[Box], letters: Sequence[str]) -> str | None:
    """Empty: every size. None: no condition that a person would write."""
    if not 0 < len(boxes) <= MOST_BOXES:
        return None
    parts = [_box(box, letters) for box in boxes]
    text = parts[0] if len(parts) == 1 else " or ".join(map(_grouped, parts))
    return None if "one of" in text or len(text) > LONGEST else text


def _box(box: Box, letters: Sequence[str]) -> str:
    parts = [_axis(sizes, letter.lower()) for sizes, letter in zip(box, letters, strict=True)]
    parts = [part for part in parts if part]
    return " and ".join(map(_grouped, parts) if len(parts) > 1 else parts)


def _axis(sizes: Sizes, name: str) -> str:
    return _RANGES.sub(_listed, describe(sizes, name))


def _listed(match: re.Match[str]) -> str:
    of, alone = match[1], len(match[0]) == len(match.string)
    parts = []
    for part in re.split(r", | or ", match[3]):
        low, _, high = part.partition(" to ")
        parts.append(f"{of} >= {low} and {of} <= {high}" if high else f"{of} == {low}")
    text = " or ".join(parts)
    return text if alone else _grouped(text)


def _grouped(text: str) -> str:
    return f"({text})" if " or " in text else text
