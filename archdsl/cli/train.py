"""Commands that train and use what was trained: train, eval, predict."""

from __future__ import annotations

import enum
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from archdsl.cli import completion
from archdsl.cli.options import (
    BATCH,
    InputOption,
    ParamOption,
    SpecArgument,
    fail,
    pairs,
    shape,
    usage,
)

RUN_HELP = "A run folder (runs/lenet5-1) or a checkpoint (runs/lenet5-1/best.pt)."
DATA_HELP = (
    "digits, iris, mnist, fashion-mnist, cifar10, cifar100, caltech101, imagenet, fake, "
    "folder:PATH, csv:PATH, formula:EXPRESSION or module:attribute."
)

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help=RUN_HELP, show_default=False)]
DataOption = Annotated[str | None, typer.Option("--data", metavar="NAME", help=DATA_HELP)]
DataDirOption = Annotated[
    str | None, typer.Option("--data-dir", metavar="DIR", help="Where the named datasets lie.")
]
DeviceOption = Annotated[
    str | None, typer.Option("--device", help="auto, cpu, cuda, cuda:1 or mps.", show_default=False)
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Set any key of the recipe, as data.workers=2."
    ),
]


class OutputFormat(enum.StrEnum):
    text = "text"
    json = "json"


def train(
    spec: Annotated[
        str | None,
        typer.Argument(
            metavar="[SPEC]",
            help="A path, a shipped name (lenet5), FILE.arch:MODEL, or - for standard input. Not "
            "needed with --resume.",
            show_default=False,
            autocompletion=completion.specs,
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            metavar="FILE|NAME",
            help="A recipe's file, or a shipped one (resnet50); by default SPEC's with .yaml.",
        ),
    ] = None,
    set_: SetOption = None,
    data: DataOption = None,
    data_dir: DataDirOption = None,
    device: DeviceOption = None,
    devices: Annotated[
        int | None,
        typer.Option("--devices", min=1, help="Processes on a machine, one device each."),
    ] = None,
    nodes: Annotated[
        int | None,
        typer.Option("--nodes", min=1, help="Machines, with the same command started on each."),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, help="Passes over the data.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", min=1, help="Samples for one optimizer step.")
    ] = None,
    lr: Annotated[float | None, typer.Option("--lr", help="The optimizer's learning rate.")] = None,
    optimizer: Annotated[
        str | None,
        typer.Option("--optimizer", help="sgd, adam, adamw or rmsprop, with its own defaults."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="All randomness follows it.")
    ] = None,
    max_steps: Annotated[
        int | None, typer.Option("--max-steps", min=1, help="Stop after so many steps.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=0, help="Processes that decode images.")
    ] = None,
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="DIR", help="The run folder; runs/NAME-N if not given."),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option("--resume", metavar="RUN", help="Go on with this run, from its last step."),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            metavar="NAME|FILE",
            help="Begin with a file (.safetensors, .pt), or torchvision's weights: IMAGENET1K_V2.",
        ),
    ] = None,
    param: ParamOption = None,
    input: InputOption = None,
    fit: Annotated[
        bool,
        typer.Option("--fit", help="Fit the spec's input channels and class count to the data."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show recipe, steps and memory; do not train.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Train a spec. Ctrl-C saves and ends; --resume goes on as if nothing had happened.

    Settings come from the recipe beside the spec (lenet5.yaml for lenet5.arch), then --set, then
    the flags. Without internet, `--data digits` (the default for lenet5) needs no download.

    Exit code 0: trained; 1: a problem; 2: wrong usage; 130 and 143: stopped by SIGINT or SIGTERM.

    \b
    Examples:
      archdsl train specs/lenet5.arch
      archdsl train specs/lenet5.arch --data mnist --epochs 1
      archdsl train specs/resnet18.arch --data folder:photos --input 3x64x64 -p classes=5
      archdsl train specs/resnet18.arch --data cifar10 --fit --set optimizer.momentum=0.95
      archdsl train resnet34 --recipe resnet50 --data imagenet --data-dir /data/imagenet
      archdsl train --resume runs/lenet5-1 --epochs 20
      archdsl train specs/resnet50.arch --data imagenet --data-dir /data/imagenet --devices 4
      torchrun --nproc-per-node 4 -m archdsl train specs/resnet50.arch --data imagenet
    """
    if spec is None and resume is None:
        usage("give a SPEC to train, or --resume RUN")
    with _problems():
        changes = _overrides(
            set_,
            optimizer=("optimizer", optimizer, "--optimizer"),
            data=("data.name", data, "--data"),
            data_dir=("data.dir", data_dir, "--data-dir"),
            device=("device", device, "--device"),
            devices=("devices", devices, "--devices"),
            nodes=("nodes", nodes, "--nodes"),
            epochs=("epochs", epochs, "--epochs"),
            batch_size=("batch_size", batch_size, "--batch-size"),
            lr=("optimizer.lr", lr, "--lr"),
            seed=("seed", seed, "--seed"),
            max_steps=("max_steps", max_steps, "--max-steps"),
            workers=("data.workers", workers, "--workers"),
        )
        settings: dict[str, Any] = {
            "params": _params(param),
            "input": shape(input),
            "fit_spec": fit,
            "weights": weights,
            "out": out,
            "resume": resume,
            "overrides": changes,
            "quiet": quiet,
        }
        text = _spec(spec)
        _begin(text, recipe, resume, changes, quiet)
        from archdsl.train import job
        from archdsl.train.request import Request, settle

        asked = settle(Request(text, recipe, **settings), run_code=not dry_run)
        if dry_run:
            typer.echo(job.dry_run(asked))
            return
        result = job.run(asked)
        if result.signal:
            raise typer.Exit(128 + result.signal)


def evaluate(
    run: RunArgument,
    data: DataOption = None,
    data_dir: DataDirOption = None,
    device: DeviceOption = None,
    set_: SetOption = None,
    output_format: Annotated[
        OutputFormat, typer.Option("--format", help="A table, or JSON with the confusion matrix.")
    ] = OutputFormat.text,
) -> None:
    """Test a trained model: loss, top-1, top-5, and each class.

    \b
    Examples:
      archdsl eval runs/lenet5-1
      archdsl eval runs/lenet5-1/last.pt --format json
      archdsl eval runs/resnet18-1 --data folder:other-photos
    """
    import json

    with _problems():
        from archdsl.train.evaluation import evaluate as measure

        changes = _overrides(
            set_, data=("data.name", data, "--data"), data_dir=("data.dir", data_dir, "--data-dir")
        )
        tested = measure(run, device=device or "auto", overrides=changes)
        whole = json.dumps(tested.as_dict()) if output_format is OutputFormat.json else str(tested)
        typer.echo(whole)


def predict(
    run: RunArgument,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...", help="Images, folders of images, or CSV files of features."
        ),
    ],
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            metavar="NAME|FILE",
            help="RUN is a spec: use torchvision's weights of this name for it, or a file.",
        ),
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="How many classes to show.")] = 5,
    device: DeviceOption = None,
    output_format: Annotated[
        OutputFormat, typer.Option("--format", help="A line for each input, or JSON.")
    ] = OutputFormat.text,
) -> None:
    """Name what is in images, with a trained model.

    \b
    Examples:
      archdsl predict runs/lenet5-1 seven.png
      archdsl predict runs/resnet18-1 photos/ --top 3 --format json
      archdsl predict resnet50 --weights IMAGENET1K_V2 cat.jpg
    """
    import json

    with _problems():
        from archdsl.train.predicting import predict as answer
        from archdsl.train.predicting import predict_pretrained

        if weights is None:
            found = answer(run, inputs, top=top, device=device or "auto")
        else:
            found = predict_pretrained(run, weights, inputs, top=top, device=device or "auto")
        if output_format is OutputFormat.json:
            rows = [
                {"source": one.source, "top": [list(pair) for pair in one.top]}
                | ({"problem": one.problem} if one.problem else {})
                for one in found
            ]
            typer.echo(json.dumps(rows))
        else:
            for one in found:
                if not one.problem:
                    typer.echo(str(one))
        bad = [one for one in found if one.problem]
        for one in bad:
            typer.echo(f"error: {one}", err=True)
        if bad:
            raise typer.Exit(1)


def bench(
    spec: SpecArgument,
    batch: Annotated[int, typer.Option("--batch", min=2, max=BATCH, help="Images in a step.")] = 32,
    device: DeviceOption = None,
    precision: Annotated[str, typer.Option("--precision", help="fp32, bf16 or fp16.")] = "fp32",
    channels_last: Annotated[
        bool, typer.Option("--channels-last", help="Channels last in memory.")
    ] = False,
    compiled: Annotated[bool, typer.Option("--compile", help="torch.compile the model.")] = False,
    rounds: Annotated[
        int, typer.Option("--rounds", min=1, max=10**6, help="Steps that are counted.")
    ] = 10,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads.")] = None,
    param: ParamOption = None,
    input: InputOption = None,
    output_format: Annotated[
        OutputFormat, typer.Option("--format", help="Lines, or JSON.")
    ] = OutputFormat.text,
) -> None:
    """Images a second for training and for inference, on made-up images.

    Training steps (forward, backward, SGD) and inference take turns; the figures are medians.

    \b
    Examples:
      archdsl bench lenet5 --batch 64
      archdsl bench resnet50 --device cuda --batch 256 --precision bf16 --channels-last --compile
      archdsl bench mynet.arch -p classes=10 --input 3x64x64 --format json
    """
    import json

    settings = {
        "precision": precision,
        "channels_last": channels_last,
        "compile": compiled,
        "threads": threads,
        "device": device or "auto",
    }
    with _problems():
        from archdsl.train.recipe.read import read_recipe

        read_recipe(settings)  # its errors before torch's two seconds
        from archdsl.train import bench as module

        found = module.bench(
            _spec(spec) or "",
            batch=batch,
            rounds=rounds,
            params=_params(param),
            input=shape(input),
            **settings,
        )
        typer.echo(json.dumps(found.as_dict()) if output_format == "json" else str(found))


def recipe_schema() -> None:
    """Print the JSON Schema of recipes, for editors that complete and check YAML.

    \b
    Examples:
      archdsl recipe-schema > recipe.schema.json
    """
    import json

    from archdsl.train.recipe.schema import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))


def register(app: typer.Typer) -> None:
    app.command("train")(train)
    app.command("eval")(evaluate)
    app.command("predict")(predict)
    app.command("bench")(bench)
    app.command("recipe-schema")(recipe_schema)


def _begin(
    spec: str | None, recipe: str | None, resume: str | None, changes: list[Any], quiet: bool
) -> None:
    """What is being done, before the seconds that torch takes; a recipe's errors before them."""
    from archdsl.train.errors import is_first
    from archdsl.train.recipe.read import read_recipe, recipe_of

    meet = ""
    if resume is None:
        settled = read_recipe(recipe_of(spec, recipe), changes)
        if settled.nodes > 1 and settled.rendezvous is not None:
            meet = (
                f", to meet all {settled.nodes} machines at {settled.rendezvous} (for up to "
                f"{settled.rendezvous_minutes:g} minutes)"
            )
    # read when torch is imported, here and in the processes that it starts: what goes wrong comes
    # as an exception, and we say it; its C++ would say it too, with addresses of functions
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")
    if not quiet and is_first():
        typer.echo(f"starting PyTorch{meet}", err=True)


def _overrides(items: list[str] | None, **flags: tuple[str, Any, str]) -> list[Any]:
    """--set items, then the flags that were given."""
    from archdsl.train.recipe.read import Override

    changes = [Override.parse(item) for item in items or ()]
    for key, value, flag in flags.values():
        if value is not None:
            changes.append(Override(tuple(key.split(".")), value, f"{flag} {value}"))
    return changes


def _params(items: list[str] | None) -> dict[str, Any]:

    return pairs(items, "-p")


def _spec(spec: str | None) -> str | None:
    """The spec as named; standard input is read here, once. Elsewhere a text may be a spec too."""
    import sys

    from archdsl.train.errors import shown

    if spec and "\n" in spec and not os.path.exists(spec):
        fail(f"cannot read {shown(spec)}: there is no such file")
    return sys.stdin.read() if spec == "-" else spec


@contextmanager
def _problems() -> Iterator[None]:
    """Problems that a person can mend, shown without a traceback."""
    from archdsl.train.errors import TrainError, is_first

    try:
        yield
    except TrainError as error:
        if not is_first():
            from archdsl.train.engine.distributed import let_others_speak

            let_others_speak()
        if type(error) is not TrainError:  # the compiler's own report
            typer.echo(error.message, err=True)
            raise typer.Exit(1) from None
        fail(error.message, help=error.help)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
