"""All that a machine with a CUDA GPU can check, in one command: python -m tests.gpu [--no-speed]

The training and backend tests (which mean the CPU, and must pass beside a GPU), the tests that need
one, and the benchmarks against torchvision. Ends with 1 if anything failed.
"""

from __future__ import annotations

import subprocess
import sys

import torch

TESTS = ["tests/train", "tests/emit"]


def main() -> int:
    if not torch.cuda.is_available():
        print("no CUDA GPU that torch can use: nothing was checked", file=sys.stderr)
        return 1
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, Python {sys.version}")
    commands = [["pytest", "-q", *TESTS]]
    commands += [] if "--no-speed" in sys.argv else [["tests.benchmarks", "gpu"]]
    failed = [line for line in commands if subprocess.call([sys.executable, "-m", *line])]
    for line in failed:
        print(f"failed: python -m {' '.join(line)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
