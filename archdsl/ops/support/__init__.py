"""What operators call and torch lacks, as real Python.

In: nothing; no other room imports these files, and none is needed to check a spec. Out: their text,
definition by definition, which the compiler writes into a module that uses it (`definitions`);
`torch`, `Tensor`, `nn`, `F` and `math` are what it may use. Everything can be scripted
(`torch.jit.script`) and traced (`torch.fx`): what branches on a tensor's size is a function that
fx takes as a whole.
"""

import re
from functools import cache
from pathlib import Path


@cache
def definitions(support: str) -> tuple[str, ...]:
    """The classes and functions of one of these files, as text, in their order."""
    if not support:
        return ()
    path = Path(__file__).with_name(f"{support}.py")
    text = path.read_text(encoding="utf-8").rstrip("\n")
    return tuple(re.split(r"\n\n\n(?=@|def |class )", text)[1:])
