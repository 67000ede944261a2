"""Importing is the inverse of compiling, over random specs (`python -m tests.importer.roundtrip`
runs more of them)."""

from __future__ import annotations

import warnings

import pytest

from tests.importer.roundtrip import KNOWN, round_trip


@pytest.mark.parametrize("first", range(1000, 1040, 10))
def test_random_specs_come_back(first: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = [round_trip(seed)[0] for seed in range(first, first + 10)]
    assert set(results) <= {*KNOWN}, results
    assert "equal" in results
