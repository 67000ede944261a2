"""Importing is the inverse of compiling: spec to module to spec to module, over random specs.

python -m tests.importer.roundtrip 2000 [--first SEED]
"""

from __future__ import annotations

import argparse
import random
import re
import warnings
from collections import Counter

import torch

from archdsl.importer import CannotImport, import_module
from archdsl.pipeline import open_spec
from archdsl.runtime.module import build
from tests.fuzz.specs import Maker

KNOWN = ("equal", "refused", "unsaid")


def round_trip(seed: int) -> tuple[str, str]:
    """What became of the spec of a seed: "refused" (it is no spec), "equal", "unsaid" (what the
    importer does not write yet: several inputs, parts) or what is wrong; and its text."""
    text = Maker(random.Random(seed)).spec()
    program = open_spec(text).program
    if program is None:
        return "refused", text
    if len(program.inputs) > 1:
        return "unsaid", text
    torch.manual_seed(0)
    try:
        made = import_module(build(program), program.input_shape)
    except CannotImport as error:
        if "cannot be shared" in str(error) and re.search(r"^ *part ", text, re.MULTILINE):
            return "unsaid", text
        return f"cannot: {error.problems[0].message}", text
    except Exception as error:
        return f"FAULT {type(error).__name__}: {error}", text
    return ("equal" if made.proof else str(made.proof)), text


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.importer.roundtrip", description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=200)
    parser.add_argument("--first", type=int, default=0, metavar="SEED")
    parser.add_argument("--show", action="store_true", help="print the specs that do not come back")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    counts: Counter[str] = Counter()
    for seed in range(args.first, args.first + args.count):
        result, text = round_trip(seed)
        counts[result if result in KNOWN else "other"] += 1
        if result not in KNOWN:
            print(seed, result, *([text] if args.show else []), flush=True)
    print(dict(counts))


if __name__ == "__main__":
    main()
