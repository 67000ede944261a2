"""Names that the writer may have meant.

In: a word nobody knows and the names in scope. Out: the few that are near, best first.
"""

from __future__ import annotations

from collections.abc import Iterable

_LONGEST_WORD = 64
_WORK = 30_000  # table cells for one word, about 5 ms: many names in scope must not cost seconds
_SHORTEST_PART = 3


def closest(word: str, candidates: Iterable[str], limit: int = 3) -> tuple[str, ...]:
    """The candidates within a third of the word's length in typing mistakes, and its completions.

    Upper and lower case are the same. A mistake is an insertion, deletion, replacement or swap of
    neighbours (restricted Damerau-Levenshtein, as in Elm and GHC). A name that begins with the
    word, or the word with it, is near however long the rest is; so is `num_classes` for `classes`.
    """
    if not 1 < len(word) <= _LONGEST_WORD:
        return ()
    typed, cap, work = word.lower(), max(1, len(word) // 3), _WORK
    letters = set(typed)
    found: list[tuple[int, str]] = []
    for name in sorted(set(candidates) - {word}):
        meant = name.lower()
        # each mistake changes two letters at most: a bound that costs little
        rest = max(abs(len(meant) - len(typed)), len(letters.symmetric_difference(meant)) // 2)
        if rest <= cap:
            work -= len(meant) * len(typed)
            if work < 0:
                break
            rest = distance(typed, meant, cap)
        if rest <= cap or _is_part(typed, meant):
            found.append((rest, name))
    return tuple(name for _, name in sorted(found)[:limit])


def distance(a: str, b: str, cap: int) -> int:
    """Typing mistakes between two words; some number over `cap` where they are more than that."""
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a):
        before, above, row = row, before, [i + 1]
        for j, y in enumerate(b):
            cost = min(before[j] + (x != y), before[j + 1] + 1, row[j] + 1)
            if i and j and x == b[j - 1] and a[i - 1] == y:
                cost = min(cost, above[j - 1] + 1)
            row.append(cost)
        if min(row) > cap:
            return cap + 1
    return row[-1]


def _is_part(a: str, b: str) -> bool:
    short, long = sorted((a, b), key=len)
    return len(short) >= _SHORTEST_PART and (long.startswith(short) or long.endswith(f"_{short}"))
