"""Random specs: what is optimised for inference computes the same.

python -m tests.fuzz.optimized 2000 [--first SEED]
"""

from __future__ import annotations

import argparse
import copy
import random
import sys
import traceback
import warnings
from collections import Counter

import torch
from torch import Tensor, nn

from archdsl.ir.graph import Program
from archdsl.pipeline import open_spec
from archdsl.runtime.cpu import for_cpu
from archdsl.runtime.export import inference
from archdsl.runtime.module import build
from tests.fuzz.specs import Maker
from tests.fuzz.verdict import Wrong, cleaned


def compare(program: Program) -> None:
    """Raises `Wrong` where an optimised module gives other outputs: in double precision but for
    the rounding, and with this CPU's float32 kernels as near as plain float32 comes to double."""
    torch.manual_seed(0)
    module = build(program).eval()
    settle(module)
    xs = [torch.randn(3, *shape) for shape in program.graph.input_shapes]
    double = copy.deepcopy(module).double()
    exact = outputs(double, *(x.double() for x in xs))
    optimised = outputs(inference(program, double), *(x.double() for x in xs))
    near("optimised", exact, optimised, 1e-8)
    plain = outputs(module, *xs)
    rounding = max((apart(a, b) for a, b in zip(exact, plain, strict=True)), default=0.0)
    fused = for_cpu(inference(program, module), *program.graph.input_shapes)
    near("optimised for this CPU", exact, outputs(fused, *xs), 1e-4 + 20 * rounding)


def settle(module: nn.Module) -> None:
    """Statistics, scales and shifts as after a training."""
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._NormBase):
            for name, low, high in (("running_mean", -1, 1), ("running_var", 0.5, 2)):
                if (tensor := getattr(part, name)) is not None:
                    tensor.uniform_(low, high)
            for name in ("weight", "bias"):
                if (tensor := getattr(part, name)) is not None:
                    nn.init.uniform_(tensor, 0.5, 1.5)


def outputs(module: nn.Module, *xs: Tensor) -> list[Tensor]:
    torch.manual_seed(1)  # `noise` is random in evaluation, too
    with torch.no_grad():
        result = module(*(x.clone() for x in xs))
    several = result if isinstance(result, tuple) else (result,)
    return [tensor for tensor in several if tensor is not None]


def apart(one: Tensor, other: Tensor) -> float:
    """The largest difference, relative to the largest value."""
    one, other = one.double(), other.double()
    finite = one.isfinite() & other.isfinite()
    if not finite.any():
        return 0.0
    scale = one[finite].abs().max().clamp(min=1e-3)
    return float(((one - other)[finite].abs().max() / scale).item())


def near(what: str, exact: list[Tensor], found: list[Tensor], limit: float) -> None:
    for one, other in zip(exact, found, strict=True):
        if one.shape != other.shape:
            raise Wrong(f"{what}: {tuple(other.shape)} for {tuple(one.shape)}")
        if (distance := apart(one, other)) > limit:
            raise Wrong(f"{what}: off by {distance:.2g}, allowed are {limit:.2g}")


def judged(seed: int) -> str:
    """ "same", or "refused" by the checker; raises `Wrong`."""
    program = open_spec(Maker(random.Random(seed)).spec()).program
    if program is None:
        return "refused"
    with cleaned():
        compare(program)
    return "same"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.optimized", description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=500)
    parser.add_argument("--first", type=int, default=0, metavar="SEED")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    verdicts = Counter[str]()
    for seed in range(args.first, args.first + args.count):
        try:
            verdicts[judged(seed)] += 1
        except Exception:  # whatever it is, it is a failure
            verdicts["wrong"] += 1
            print(
                f"seed {seed}\n{Maker(random.Random(seed)).spec()}{traceback.format_exc(limit=-2)}"
            )
    print(dict(verdicts))
    sys.exit(verdicts["wrong"] > 0)


if __name__ == "__main__":
    main()
