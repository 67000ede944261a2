"""torchinfo's table of a program's module, on the meta device."""

from __future__ import annotations

from typing import Any

from archdsl.ir.graph import Program
from archdsl.runtime.module import build, examples


def summarise(program: Program, *, depth: int = 3, batch: int = 1) -> tuple[str, dict[str, Any]]:
    """The table as text, and the same as data. The totals below it are the checker's own."""
    import torchinfo

    module = build(program, device="meta")
    # not `input_size`: torchinfo would draw such an input in memory first
    info = torchinfo.summary(
        module,
        input_data=list(examples(program, batch, device="meta")),
        device="meta",
        depth=depth,
        mode="eval",
        verbose=0,
        col_names=("output_size", "num_params"),
        row_settings=("var_names",),
    )
    # torchinfo counts nothing of attention, too much of a transposed convolution
    info.total_mult_adds = program.macs * batch
    layers = [
        {
            "name": layer.get_layer_name(show_var_name=True, show_depth=False),
            "depth": layer.depth,
            "output": list(layer.output_size),
            "params": max(layer.num_params, 0),
        }
        for layer in info.summary_list
        if layer.depth <= depth
    ]
    inputs = {name: [batch, *shape] for name, shape in program.inputs.items()}
    data = {
        "model": program.name,
        "input": [batch, *program.input_shape],
        **({"inputs": inputs} if len(inputs) > 1 else {}),
        "layers": layers,
        "params": program.params,
        "macs": program.macs * batch,
    }
    totals = f"{program.name}: {program.params:,} parameters, "
    totals += f"{program.macs * batch:,} multiply-accumulates"
    if batch > 1:
        totals += f" for a batch of {batch}"
    return f"{_units(str(info))}\n{totals}", data


def _units(table: str) -> str:
    """`(G)`, where torchinfo prints the name of its enum's member on Python 3.11 and later."""
    from torchinfo.enums import Units

    for unit in Units:
        table = table.replace(str(unit), unit.value)
    return table
