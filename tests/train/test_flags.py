"""The command line's flags for the recipe come from the recipe's fields."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from archdsl.cli.app import app
from archdsl.train.engine.objective import make_optimizer
from archdsl.train.recipe import datasets, optimizers, schedules
from archdsl.train.recipe.keys import keys, marked, names
from archdsl.train.recipe.parts import Flag, MayChange
from archdsl.train.recipe.read import read_recipe
from archdsl.train.recipe.schema import Loss, OtherLoss, Recipe
from archdsl.train.tasks.losses import LOSSES

MARKED = [(key, info, mark) for key, info in keys() if (mark := marked(info, Flag)) is not None]


def ran(*words: str) -> Any:
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "80"})


@pytest.mark.parametrize("command", ["train", "eval", "predict", "bench"])
def test_every_marked_key_has_its_flag(command: str) -> None:
    shown = ran(command, "--help").output
    told = " ".join(shown.split())
    assert max(map(len, shown.partition("Options:")[2].splitlines())) <= 80
    flags = {
        mark.name or "--" + key.rpartition(".")[2].replace("_", "-"): info
        for key, info, mark in MARKED
        if command in mark.commands
    }
    assert flags
    for flag, info in flags.items():
        assert f"  {flag} " in shown
        assert info.description, f"{flag}: its help is the key's description"
        assert info.description.split(". ")[0].split()[-2] in told


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--epochs", "0"], 2, "0 is not in the range"),
        (["--batch-size", "0"], 2, "0 is not in the range x>=1"),
        (["--batch-size", "half"], 2, "'half' is not a whole number or full"),
        (["--workers", "-1"], 2, "-1 is not in the range x>=0"),
        (["--lr", "0"], 1, "--lr 0.0: optimizer.lr: expected more than 0, not 0.0"),
        (["--optimizer", "adamv"], 1, "did you mean adam"),
    ],
)
def test_a_wrong_value_is_said_of_its_flag(words: list[str], code: int, said: str) -> None:
    found = ran("train", "lenet5", *words)
    assert found.exit_code == code and said in " ".join(found.stderr.replace("│", "").split())


def test_flags_reach_the_recipe() -> None:
    words = ["--batch-size", "full", "--workers", "auto", "--lr", "0.5", "--optimizer", "rmsprop",
             "--data", "iris", "--max-steps", "7", "--set", "precision=bf16"]  # fmt: skip
    Path("m.arch").write_text("model m { input 4; linear 3 }")
    told = ran("train", "m.arch", "--dry-run", *words).stdout
    recipe = read_recipe(_yaml(told))
    assert (recipe.batch_size, recipe.data.workers, recipe.max_steps) == ("full", "auto", 7)
    assert (recipe.optimizer.name, recipe.optimizer.lr) == ("rmsprop", 0.5)
    assert (recipe.data.name, recipe.precision) == ("iris", "bf16")


def _yaml(told: str) -> Any:
    import yaml

    return yaml.safe_load(told.partition("\nmodel ")[0])


def test_a_benchmarks_flags_have_the_recipes_defaults() -> None:
    assert "[default: fp32]" in ran("bench", "--help").output
    words = ["--batch", "2", "--rounds", "1", "--channels-last", "--format", "json"]
    found = json.loads(ran("bench", "lenet5", *words).stdout)
    assert found["channels_last"] is True and found["precision"] == "fp32"


def test_what_may_change_in_a_run_is_marked_at_its_key() -> None:
    may = {key for key, info in keys() if marked(info, MayChange)}
    assert {"epochs", "max_steps", "device", "data.workers", "early_stop", "checkpoint"} <= may
    assert not {"seed", "batch_size", "optimizer", "optimizer.lr", "data", "loss", "ema"} & may


@pytest.mark.parametrize("name", names(optimizers.Optimizer))
def test_each_optimizer_is_torchs_with_its_arguments(name: str) -> None:
    """The memory estimate's count of its values too."""
    plan: Any = {"name": name, "lr": 0.25, "weight_decay": 0.5}
    recipe = Recipe.model_validate({"optimizer": plan})
    model = torch.nn.Linear(3, 2)
    made = make_optimizer(model, recipe)
    assert type(made).__name__ == recipe.optimizer.kind
    group = made.param_groups[0]
    for key, value in recipe.optimizer.arguments().items():
        assert group[key] == value
    assert group["weight_decay"] == 0.5
    model(torch.rand(4, 3)).sum().backward()
    made.step()
    held = [v for v in made.state[model.weight].values() if torch.is_tensor(v) and v.ndim]
    assert len(held) == recipe.optimizer.held()


def test_tables_agree() -> None:
    assert {*names(Loss)} == {"cross_entropy", "nll", *LOSSES} and {*names(OtherLoss)} == {*LOSSES}
    assert len(names(schedules.Scheduler)) == 5
    for name in datasets.NAMED:
        opener = datasets.opener(name)
        assert opener is not None and name in opener.__globals__["OPENERS"]
    for kind in datasets.KINDS:
        assert datasets.opener(f"{kind}:x") is not None
    assert datasets.opener("nothing") is None and datasets.is_code("a.b:C")
