"""Any name that the language allows works in the emitted source, wherever it stands: what would
hide a name that the source needs is renamed there, and the state_dict keeps it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from archdsl.emit.names import OURS
from archdsl.ir.graph import Program
from archdsl.pipeline import open_spec
from archdsl.runtime.module import build
from tests.fuzz.verdict import cleaned

PLACES = {
    "a layer": "{M} {{ input 3x8x8; {N}: conv 4 1x1; {N}2: stochastic_depth 0.5; linear 2 }}",
    "a kept value": """{M} {{ input 3x8x8; stochastic_depth 0.5; {N}: conv 4 1x1; relu -> tap t
        add {{ @t; {N}2: conv 4 1x1 }}; stochastic_depth 0.1 }}""",
    "an output": """{M} {{ input 3x8x8; conv 4 1x1 -> tap {N} -> sigmoid -> tap b -> sigmoid
        add @{N}; add @b; output @{N} @b }}""",
    "a head": """{M} {{ input 3x8x8; conv 4 1x1 -> tap t; {N}: aux @t linear 3
        linear 2 -> tap o; output @o @t }}""",
    "the only head": "{M} {{ input 3x8x8; conv 4 1x1; {N}: aux linear 3; linear 2 }}",
    "a group": """{M} {{ input 3x8x8; conv 4 1x1; {N}: {{ conv 3 1x1; relu; a: conv 2 1x1 }}
        {N}2: {{ conv 3 1x1; relu; b: conv 2 3x3 }} }}""",
    "a parameter": """block b() {{ param {N} [1,3,1,1] constant 0.5; add @{N}
        buffer {N}2 [1,3,1,1] ones; mul @{N}2; conv 3 1x1 }}\n{M} {{ input 3x8x8; b; b }}""",
    "a block": """block {N}() {{ conv 3 1x1; a: relu; conv 3 1x1 }}
        block {N}2() {{ a: conv 3 1x1; b: conv 3 1x1 }}
        {M} {{ input 3x8x8; {N}; {N}2; {N} }}""",
    "a model": """model {N} {{ input 3x8x8; a: conv 3 1x1; relu; tap t; b: conv 3 1x1; tap u
        output @t @u }}""",
    "a block's parameter": """block b({N}, k) {{ a: conv {N} k pad=half; relu
        upsample size=({N})x8; maxpool k /1; stochastic_depth 0.1; conv {N} 1x1 }}
        {M} {{ input 3x8x8; b 4 1; c: b 5 3; b 7 2; stochastic_depth 0.2 }}""",
    "numbered parts": """block u(a) {{ residual {{ x: conv a 1x1 }}; relu }}
        {M} {{ input 3x8x8; init conv normal std=0.1; {N}1: u 3; {N}2: u 3; {N}3: u 3 }}""",
}
#: of the source itself, of Python, and of what a class of the source inherits
NAMES = sorted(
    {*OURS, "y", "z", "skip", "layer", "cls", "super", "getattr", "range", "tuple", "list", "None"}
    | {"M", "MOutput", "StochasticDepth", "stochastic_depth", "count", "index", "typing", "program"}
    | {"T_destination", "training", "match", "type", "print", "jit"}
)


@pytest.mark.parametrize("place", PLACES)
def test_names_that_the_source_uses(place: str) -> None:
    template = PLACES[place]
    plain = _ran(open_spec(template.format(N="plain", M="model m")).checked())
    worked = []
    for name in NAMES:
        program = open_spec(template.format(N=name, M="model m")).program
        if program is None:  # the language refuses it there
            continue
        with cleaned():
            for one, other in zip(_ran(program), plain, strict=True):
                assert torch.equal(one, other), name
        worked.append(name)
    assert {"Tensor", "F", "torch", "self"} <= {*worked}
    assert len(worked) > len(NAMES) / 2


def _ran(program: Program) -> list[Tensor]:
    """All outputs, in training and in evaluation."""
    torch.manual_seed(0)
    module: nn.Module = build(program)
    assert list(module.state_dict()) == [key for key, _ in program.state()]
    results: list[Tensor] = []
    for training in (True, False):
        torch.manual_seed(1)
        out = module.train(training)(torch.ones(2, 3, 8, 8))
        results += [o for o in out if o is not None] if isinstance(out, tuple) else [out]
    return results
