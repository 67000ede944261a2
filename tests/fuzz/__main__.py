"""Many random specs against torch: python -m tests.fuzz 100000 [--first SEED] [--processes 2]

Prints what the checker and torch disagree on, with the seed; exit code 1 where there is anything.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from tests.fuzz.verdict import judged

CHUNK = 250


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=1000)
    parser.add_argument("--first", type=int, default=0, metavar="SEED")
    parser.add_argument("--processes", type=int, default=1)
    args = parser.parse_args()
    began, total, wrong = time.time(), Counter[str](), 0
    firsts = range(args.first, args.first + args.count, CHUNK)
    # not a Pool, which waits for ever for a process that torch has ended
    with ProcessPoolExecutor(
        args.processes, mp_context=get_context("spawn"), max_tasks_per_child=20
    ) as pool:
        tasks = [pool.submit(judged, CHUNK, first) for first in firsts]
        for done, task in enumerate(as_completed(tasks), 1):
            verdicts, failures = task.result()
            total.update(verdicts)
            wrong += len(failures)
            for seed, text in failures:
                print(f"seed {seed}\n{text}", flush=True)
            if done % 8 == 0 or done == len(firsts):
                counts = ", ".join(f"{n:,} {name}" for name, n in sorted(total.items()))
                seconds = time.time() - began
                checked = total.total() + wrong
                print(f"{checked:,} specs in {seconds:,.0f} s: {counts}, {wrong} wrong", flush=True)
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
