"""Fixes in the text."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archdsl.diagnostics.fixes import apply as apply_fixes
from archdsl.diagnostics.fixes import choose, edits_of, splice
from archdsl.diagnostics.model import Diagnostic
from archdsl.diagnostics.source import Source, Span
from archdsl.fix import fixed
from archdsl.pipeline import open_spec

from .examples import Wrong, at, fix

TEXT = "covn 64\nrellu\n"
SOURCE = Source("a.arch", TEXT)
HERE = Span(SOURCE, 0, 1)


def apply(text: str, found: list[Diagnostic], source: Source) -> tuple[str, int]:
    """The new text, and how many were mended."""
    new, mended = apply_fixes(text, found, source)
    return new, len(mended)


def wrong(*edits: tuple[Span, str], safe: bool = True) -> Wrong:
    return Wrong(HERE, fixes=(fix("mend", *edits, safe=safe),))


def test_safe_fixes_are_applied() -> None:
    found = [wrong((at(SOURCE, "rellu"), "relu")), wrong((at(SOURCE, "covn"), "conv"))]
    assert apply(TEXT, found, SOURCE) == ("conv 64\nrelu\n", 2)


def test_others_are_not() -> None:
    elsewhere = Source("b.arch", TEXT)
    found = [
        wrong((at(SOURCE, "covn"), "conv"), safe=False),
        wrong((at(elsewhere, "covn"), "conv")),
        wrong((Span(SOURCE, 3, 99), "")),
        wrong(),
        Wrong(HERE),
    ]
    assert apply(TEXT, found, SOURCE) == (TEXT, 0)


def test_a_fix_is_taken_whole_or_not_at_all() -> None:
    both = wrong((at(SOURCE, "rellu"), "relu"), (at(SOURCE, "64"), "32"))
    assert apply(TEXT, [both], SOURCE) == ("covn 32\nrelu\n", 1)
    assert apply(TEXT, [wrong((at(SOURCE, "64"), "16")), both], SOURCE) == ("covn 16\nrellu\n", 1)


def test_the_first_safe_fix_of_a_diagnostic_counts() -> None:
    choices = [("", False), ("conv", True), ("cov", True)]
    fixes = tuple(fix("mend", (at(SOURCE, "covn"), new), safe=safe) for new, safe in choices)
    assert apply(TEXT, [Wrong(HERE, fixes=fixes)], SOURCE) == ("conv 64\nrellu\n", 1)


def test_edits_may_touch_but_not_share_a_place() -> None:
    touching = [wrong((Span(SOURCE, 0, 4), "conv")), wrong((Span(SOURCE, 4, 4), " 3x3"))]
    assert apply(TEXT, touching, SOURCE) == ("conv 3x3 64\nrellu\n", 2)
    insertions = [wrong((Span(SOURCE, 0, 0), "a ")), wrong((Span(SOURCE, 0, 0), "b "))]
    assert apply(TEXT, insertions, SOURCE) == ("a covn 64\nrellu\n", 1)
    inside = [wrong((Span(SOURCE, 0, 4), "conv")), wrong((Span(SOURCE, 2, 2), "x"))]
    assert apply(TEXT, inside, SOURCE) == ("conv 64\nrellu\n", 1)


def test_a_fix_that_overlaps_itself_is_refused() -> None:
    assert edits_of(fix("mend", (Span(SOURCE, 0, 4), ""), (Span(SOURCE, 3, 5), "")), SOURCE) is None


OFFSETS = st.integers(0, len(TEXT))
EDITS = st.tuples(OFFSETS, OFFSETS, st.text("ab\n", max_size=3)).map(
    lambda e: (Span(SOURCE, min(e[:2]), max(e[:2])), e[2])
)


@given(st.lists(st.lists(EDITS, min_size=1, max_size=3), max_size=12))
def test_chosen_edits_never_overlap(edits: list[list[tuple[Span, str]]]) -> None:
    found = [wrong(*group) for group in edits]
    chosen, mended = choose(found, SOURCE)
    applied = len(mended)
    for i, (start, end, _) in enumerate(chosen):
        for other_start, other_end, _ in chosen[i + 1 :]:
            assert end <= other_start <= other_end
            assert (start, end) != (other_start, other_end)
    assert applied <= len(found)
    kept = len(TEXT) - sum(end - start for start, end, _ in chosen)
    new, count = apply(TEXT, found, SOURCE)
    assert (len(new), count) == (kept + sum(len(text) for *_, text in chosen), applied)
    one_by_one = TEXT
    for edit in reversed(chosen):
        one_by_one = splice(one_by_one, [edit])
    assert new == one_by_one


CASES = sorted((Path(__file__).parents[1] / "cases").rglob("*.arch"))


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_fixing_ends_and_makes_nothing_worse(path: Path, tmp_path: Path) -> None:
    """Every fix of every case: what it was for is gone, a second run finds nothing to do, and where
    all was well but for warnings it stays so."""
    before = open_spec(path)
    after, mended = fixed(before, lambda _: True)
    again, more = fixed(after, lambda _: True)
    assert (again.source.text, more) == (after.source.text, [])
    assert len(after.diagnostics) <= len(before.diagnostics) or before.program is None
    assert bool(mended) == (after.source.text != before.source.text)
    assert after.program is not None or before.program is None


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_each_fix_alone_mends_what_it_is_for(path: Path) -> None:
    """Also those that are only proposed."""
    before = open_spec(path)
    said = Counter((found.code, found.message) for found in before.diagnostics)
    for found in before.diagnostics:
        for one in found.fixes:
            edits = edits_of(one, before.source)
            if edits is None:
                continue
            source = Source(before.source.name, splice(before.source.text, edits))
            after = replace(before, source=source)
            left = Counter((other.code, other.message) for other in after.diagnostics)
            key = found.code, found.message
            assert left[key] < said[key], one
