"""The sizes of many random specs against running: python -m tests.sizes 2000 [--first SEED]

Each accepted spec is fed the squares of 1 to 80 and some others. Prints what is claimed wrongly,
with the seed; exit code 1 where there is anything.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from functools import partial
from multiprocessing import get_context

from tests.sizes.judge import judged

CHUNK = 20


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.sizes", description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=200)
    parser.add_argument("--first", type=int, default=0, metavar="SEED")
    parser.add_argument("--most", type=int, default=80, metavar="SIDE")
    parser.add_argument("--processes", type=int, default=1)
    args = parser.parse_args()
    began, total, wrong = time.time(), Counter[str](), 0
    firsts = range(args.first, args.first + args.count, CHUNK)
    with get_context("spawn").Pool(args.processes, maxtasksperchild=20) as pool:
        results = pool.imap_unordered(partial(judged, CHUNK, args.most), firsts)
        for done, (verdicts, failures) in enumerate(results, 1):
            total.update(verdicts)
            wrong += len(failures)
            for seed, text in failures:
                print(f"seed {seed}\n{text}\n", flush=True)
            if done % 5 == 0 or done == len(firsts):
                counts = ", ".join(f"{n:,} {name}" for name, n in sorted(total.items()))
                seconds = time.time() - began
                print(f"{total.total():,} specs in {seconds:,.0f} s: {counts}, {wrong} wrong")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
