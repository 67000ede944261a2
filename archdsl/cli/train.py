"""Commands that train and use what was trained: train, eval, predict."""

from __future__ import annotations

import enum
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from archdsl.cli import completion, recipe_flags
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
from archdsl.cli.recipe_flags import Given, overrides, value_of

RUN_HELP = "A run folder (runs/lenet5-1) or a checkpoint (runs/lenet5-1/best.pt)."

Flags = list[Given]  # of the recipe: where they stand among the others
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help=RUN_HELP, show_default=False)]
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
    *,
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
    flags: Flags,
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
        changes = overrides(set_, flags)
        settings: dict[str, Any] = {
            "params": pairs(param, "-p"),
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
    *,
    run: RunArgument,
    flags: Flags,
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

        changes = overrides(set_, [one for one in flags if one.key != "device"])
        tested = measure(run, device=value_of(flags, "device", "auto"), overrides=changes)
        whole = json.dumps(tested.as_dict()) if output_format is OutputFormat.json else str(tested)
        typer.echo(whole)


def predict(
    *,
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
    flags: Flags,
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

        device = value_of(flags, "device", "auto")
        if weights is None:
            found = answer(run, inputs, top=top, device=device)
        else:
            found = predict_pretrained(run, weights, inputs, top=top, device=device)
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
    *,
    spec: SpecArgument,
    batch: Annotated[int, typer.Option("--batch", min=2, max=BATCH, help="Images in a step.")] = 32,
    flags: Flags,
    rounds: Annotated[
        int, typer.Option("--rounds", min=1, max=10**6, help="Steps that are counted.")
    ] = 10,
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

    settings = {one.key: one.value for one in flags}
    with _problems():
        from archdsl.train.recipe.read import read_recipe

        read_recipe(settings)  # its errors before torch's two seconds
        from archdsl.train import bench as module

        found = module.bench(
            _spec(spec) or "",
            batch=batch,
            rounds=rounds,
            params=pairs(param, "-p"),
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
    recipe_flags.register(app, "train", train)
    recipe_flags.register(app, "eval", evaluate)
    recipe_flags.register(app, "predict", predict)
    recipe_flags.register(app, "bench", bench, defaults=True)
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
