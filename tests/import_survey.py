"""Which networks come back as specs, in how many lines, and why others do not: a table.

    python -m tests.import_survey [torchvision] [timm] [NAME ...]

timm is a development dependency of this survey alone: `pip install timm --no-deps`.
"""

from __future__ import annotations

import gc
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from archdsl.importer import CannotImport, import_module
from archdsl.ops.table import Shape
from archdsl.pipeline import open_spec, specs_folder
from tests.fidelity.builders import BUILDERS, small


@dataclass(frozen=True)
class Row:
    """`shipped`: the lines of the spec of this name, with those that it uses; 0: there is none."""

    name: str
    lines: int
    shipped: int
    seconds: float
    codes: tuple[str, ...]
    result: str
    reasons: frozenset[str] = frozenset()  # all, where it cannot be said

    def __str__(self) -> str:
        shipped = str(self.shipped or "")
        codes = " ".join(self.codes)
        return (
            f"{self.name:28} {self.lines:5} {shipped:>7} {self.seconds:6.1f}  {self.result} {codes}"
        )


def survey(name: str, module: nn.Module, shape: Shape, shipped: int = 0) -> Row:
    """Import a module; whatever is wrong is in the row."""
    start = time.perf_counter()
    lines, codes, reasons = 0, (), frozenset[str]()
    try:
        made = import_module(module, shape, "imported")
        lines, result = made.text.count("\n"), str(made.proof)
        codes = tuple(sorted({d.code for d in open_spec(made.text).diagnostics}))
    except CannotImport as error:
        first, *others = error.problems
        reasons = frozenset(p.message for p in error.problems)
        more = f" (and {len(others)} more)" if others else ""
        result = f"{first.place.path or 'the module'}: {first.message}{more}"
    except Exception as error:
        result = f"FAULT {type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    return Row(name, lines, shipped, time.perf_counter() - start, codes, result, reasons)


def survey_torchvision(name: str) -> Row:
    import torchvision

    case = small(name)
    given = dict(case.theirs)
    if name in ("googlenet", "inception_v3"):
        given["init_weights"] = False
    module = torchvision.models.get_model(name, weights=None, **given)
    return survey(name, module, (3, case.size, case.size), shipped_lines(name))


def shipped_lines(name: str) -> int:
    """Of a shipped spec and those that it uses."""
    text = (specs_folder() / f"{name}.arch").read_text(encoding="utf-8")
    used = [line.split('"')[1] for line in text.splitlines() if line.startswith("use ")]
    return len(text.splitlines()) + sum(shipped_lines(u.removesuffix(".arch")) for u in used)


def timm_names() -> list[str]:
    """The first model of each of timm's files."""
    import timm

    first: dict[str, str] = {}
    for name in timm.list_models():
        first.setdefault(timm.models.model_entrypoint(name).__module__, name)
    return sorted(first.values())


def survey_timm(name: str) -> Row:
    import timm

    try:
        module = timm.create_model(name, pretrained=False)
    except Exception as error:
        return Row(name, 0, 0, 0.0, (), f"timm cannot make it: {type(error).__name__}")
    size = module.default_cfg.get("input_size", (3, 224, 224))
    return survey(name, module, tuple(size))


def rows(asked: list[str]) -> Iterator[Row]:
    every = not asked
    for name in BUILDERS:
        if every or "torchvision" in asked or name in asked:
            yield survey_torchvision(name)
    if "timm" in asked:
        chosen = [a for a in asked if a not in ("timm", "torchvision", *BUILDERS)]
        for name in chosen or timm_names():
            yield survey_timm(name)


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print(f"{'network':28} {'lines':>5} {'shipped':>7} {'s':>6}  result")
    found = []
    for row in rows(sys.argv[1:]):
        print(row, flush=True)
        found.append(row)
        gc.collect()
    equal = sum(row.result.startswith("equal") for row in found)
    short = sum(row.lines <= 2 * row.shipped for row in found if row.shipped)
    print(f"{equal} of {len(found)} equal, {short} at most twice as long as the shipped spec")
    for reason, count in Counter(r for row in found for r in row.reasons).most_common():
        print(f"{count:5}  {reason}")


if __name__ == "__main__":
    main()
