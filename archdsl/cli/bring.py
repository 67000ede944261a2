"""The command that makes a spec of a network: import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archdsl.cli.options import fail, shape


def bring(
    network: Annotated[
        str,
        typer.Argument(
            metavar="MODULE:NAME",
            help="A network, or what makes one: torchvision.models:resnet50, nets.py:Net(10).",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Where to; default, and -: print it."),
    ] = None,
    input: Annotated[
        str, typer.Option("--input", metavar="SHAPE", help="The shape of its input.")
    ] = "3x224x224",
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights", metavar="FILE", help="Write its weights, too, as a .safetensors file."
        ),
    ] = None,
) -> None:
    """Make a spec of a PyTorch network, and prove that it is the same network.

    The network's own code runs: look into it first if it is a stranger's. A spec never runs code.
    The text is compiled again; the names, order, shapes and types of the weights, and the outputs
    with these weights on two inputs and in training, must be equal. What the language cannot say is
    one error with every place: exit code 1, and nothing is written.

    \b
    Examples:
      archdsl import torchvision.models:resnet50 -o resnet50.arch
      archdsl import nets.py:Net --input 1x28x28
      archdsl import "timm:create_model('resnet18')" -o net.arch --weights net.safetensors
    """
    from archdsl.files import write_atomic
    from archdsl.importer import CannotImport, import_module
    from archdsl.importer.locate import NotFound, locate

    if weights is not None and weights.suffix != ".safetensors":
        raise typer.BadParameter(f"{weights} must end in .safetensors")
    size = shape(input)
    assert size is not None
    try:
        module = locate(network)
        name = output.stem if output is not None and output.stem.isidentifier() else ""
        made = import_module(module, size, name)
    except NotFound as error:
        fail(error.message, help=error.help)
    except CannotImport as error:
        count = len(error.problems)
        places = "1 place" if count == 1 else f"{count} places"
        lines = "\n".join(f"  {line}" for p in error.problems for line in str(p).splitlines())
        fail(f"{network} cannot be said in the language, at {places}:\n{lines}")
    if not made.proof:
        fail(f"the text of {network} is not the same network: {made.proof}")
    try:
        if weights is not None:
            _save(module, weights)
        if output is None or str(output) == "-":
            typer.echo(made.text, nl=False)
        else:
            write_atomic(output, made.text)
    except OSError as error:
        fail(f"cannot write {error.filename or output}: {error.strerror or error}")
    typer.echo(str(made.proof), err=True)


def _save(module: object, path: Path) -> None:
    from safetensors.torch import save
    from torch import nn

    from archdsl.files import write_atomic

    assert isinstance(module, nn.Module)
    state = {k: v.detach().clone().contiguous() for k, v in module.state_dict().items()}
    write_atomic(path, save(state))


def register(app: typer.Typer) -> None:
    app.command("import")(bring)
