"""One table: each row a ratio against its peer, measured in the same run, in turn.

python -m tests.benchmarks [--json] [GROUP ...]
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from tests.benchmarks import compiler, gpu, inference, training
from tests.benchmarks.measure import Row, machine

GROUPS = {
    f.__name__: f
    for f in (
        compiler.startup,
        compiler.checking,
        compiler.editor,
        compiler.bombs,
        compiler.estimates,
        compiler.building,
        compiler.speed,
        inference.lenet,
        inference.inference,
        training.mnist,
        training.resnet50,
        training.images,
        gpu.gpu,
    )
}


def line(row: Row) -> str:
    sign = "<=" if row.better == "lower" else ">="
    goal = "" if row.goal is None else f"{sign} {row.goal:g}"
    figures = f"{row.ours:>11.4g} {row.peer:>11.4g} {row.unit:<3} " if row.ratio else " " * 28
    ratio = "" if row.ratio is None else f"{row.ratio:.3f}"
    noise = f"±{row.noise:.3f}" if row.noise else ""
    figures += f"{ratio:>7} {noise:<7}{goal:<8} {row.met:<7}"
    return f"{row.name:<44}{figures} {row.note}".rstrip()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)}")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    unknown = set(chosen.groups) - set(GROUPS)
    if unknown:
        parser.error(f"no group {', '.join(sorted(unknown))}")
    rows = []
    if not chosen.json:
        print(f"{'':<44}{'ours':>11} {'peer':>11} {'':<3} {'ratio':>7} noise  goal")
    for name in chosen.groups or GROUPS:
        for row in GROUPS[name]():
            rows.append(row)
            if not chosen.json:
                print(line(row), flush=True)
    if chosen.json:
        document = {"machine": machine(), "rows": [{**asdict(row), "met": row.met} for row in rows]}
        json.dump(document, sys.stdout, indent=2)
    else:
        print(machine())


if __name__ == "__main__":
    main()
