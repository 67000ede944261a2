"""An input size outside of what a spec takes: one error, with the nearest sizes."""

from __future__ import annotations

import pytest

from archdsl.train.errors import TrainError
from archdsl.train.model import SpecProblem, describe

U = """model u {
  input 1x32x32 %s
  conv 4 3x3 pad=1 -> tap a
  maxpool 2x2 -> maxpool 2x2
  upsample 4
  concat @a
  gap; flatten; linear 2
}"""


@pytest.mark.parametrize(
    ("where", "size", "why", "near"),
    [
        ("", (1, 30, 33), "do not agree", ["1x28x32", "1x32x32"]),
        ("where h % 16 == 0 and w % 4 == 0", (1, 24, 32), "`where` does not", ["1x16x32"]),
        ("", (1, 3, 8), "does not fit", ["1x4x8"]),
    ],
)
def test_the_nearest_sizes(where: str, size: tuple[int, ...], why: str, near: list[str]) -> None:
    with pytest.raises(SpecProblem) as told:
        describe(U % where, size)
    assert why in told.value.message and all(shape in told.value.help for shape in near)
    assert "u does not take 1x" in told.value.message


def test_other_problems_are_the_compilers() -> None:
    with pytest.raises(TrainError, match="E0"):
        describe(U.replace("conv 4", "cnv 4") % "", (1, 30, 33))
    with pytest.raises(TrainError, match="E0"):
        describe(U.replace("linear 2", "linear (100 // (in - 1))") % "", (1, 32, 32))
    assert describe(U % "", (1, 48, 64)).input_shape == (1, 48, 64)
