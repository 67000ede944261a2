"""How wide text is, in the fonts that pictures name (Helvetica, Arial and what has their widths).

From Adobe's metrics of Helvetica, in thousandths of the size, for the characters from space to `~`.
"""

from __future__ import annotations

from functools import cache, lru_cache

_REGULAR = """
278 278 355 556 556 889 667 222 333 333 389 584 278 333 278 278 556 556 556 556
556 556 556 556 556 556 278 278 584 584 584 556 1015 667 667 722 722 667 611 778
722 278 500 667 556 833 722 778 667 778 722 667 611 722 667 944 667 667 611 278
278 278 469 556 222 556 556 500 556 556 278 556 556 222 222 500 222 833 556 556
556 556 333 500 278 556 500 722 500 500 500 334 260 334 584
"""
_BOLD = """
278 333 474 556 556 889 722 278 333 333 389 584 278 333 278 278 556 556 556 556
556 556 556 556 556 556 333 333 584 584 584 611 975 722 722 722 722 667 611 778
722 278 556 722 611 833 722 778 667 778 722 667 611 722 667 944 667 667 611 333
278 333 584 556 278 556 611 556 611 556 333 611 611 278 278 556 278 889 611 611
611 611 389 556 333 611 556 778 556 556 500 389 280 389 584
"""
_OTHERS = {"×": 584, "–": 556, "…": 1000, "·": 278}


@lru_cache(20_000)  # a layout asks several times for each
def text_width(text: str, size: float, *, bold: bool = False) -> float:
    table = _table(bold)
    total = 0
    for char in text:
        code = ord(char) - 32
        # what is not known here is as wide as an East Asian letter at most
        total += table[code] if 0 <= code < len(table) else _OTHERS.get(char, 1000)
    return total * size / 1000


@cache
def _table(bold: bool) -> list[int]:
    return [int(width) for width in (_BOLD if bold else _REGULAR).split()]
