"""Recipes: short forms, overrides, and errors to the letter."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from archdsl.train import Override, Recipe, TrainError, json_schema, read_recipe

WRONG = """\
epoch: 3
momentum: 0.1
optimizer:
  name: sgd
  momentun: 0.9
scheduler: multistep
data:
  name: mnist
  mean: [0.1]
batch_size: all
loss: cross_entrop
epochs: 0
ema: {decay: 2}
augment: {scale: [0.1], hflip: "x", crop: middle}
"""

GOLDEN = """\
recipe.yaml:1:1: unknown key epoch
    1 | epoch: 3
      | ^
help: did you mean epochs?
recipe.yaml:2:1: unknown key momentum
    2 | momentum: 0.1
      | ^
help: did you mean optimizer.momentum?
recipe.yaml:5:3: unknown key optimizer.momentun
    5 |   momentun: 0.9
      |   ^
help: did you mean momentum?
recipe.yaml:6:12: scheduler.milestones must be given
    6 | scheduler: multistep
      |            ^
recipe.yaml:8:3: data: mean and std must both be auto, both data, both null, or lists of one length
    8 |   name: mnist
      |   ^
recipe.yaml:10:13: batch_size: expected a whole number or 'full', not 'all'
   10 | batch_size: all
      |             ^
recipe.yaml:11:7: loss: expected one of cross_entropy, nll, bce, bce_with_logits, mse, l1
   11 | loss: cross_entrop
      |       ^
help: did you mean cross_entropy?
recipe.yaml:12:9: epochs: expected at least 1, not 0
   12 | epochs: 0
      |         ^
recipe.yaml:13:14: ema.decay: expected less than 1, not 2
   13 | ema: {decay: 2}
      |              ^
recipe.yaml:14:18: augment.scale: expected at least 2 values, not [0.1]
   14 | augment: {scale: [0.1], hflip: "x", crop: middle}
      |                  ^
recipe.yaml:14:32: augment.hflip: expected a number, not 'x'
   14 | augment: {scale: [0.1], hflip: "x", crop: middle}
      |                                ^
recipe.yaml:14:43: augment.crop: expected 'random_resized' or 'pad', not 'middle'
   14 | augment: {scale: [0.1], hflip: "x", crop: middle}
      |                                           ^"""


def problems(text: str, *sets: str) -> str:
    Path("recipe.yaml").write_text(text)
    with pytest.raises(TrainError) as caught:
        read_recipe("recipe.yaml", [Override.parse(one) for one in sets])
    return str(caught.value)


def test_every_problem_at_its_place() -> None:
    assert problems(WRONG) == GOLDEN


@pytest.mark.parametrize(
    ("text", "sets", "expected"),
    [
        ("epochs: 1\nepochs: 2\n", (), "recipe.yaml:2:1: epochs is given twice (first on line 1)"),
        ("a: [1\nb: 2\n", (), "recipe.yaml:2:2: not YAML: expected ',' or ']', but got ':'"),
        ("- 1\n", (), "recipe.yaml:1:1: a recipe is a list of `key: value` lines"),
        (
            "!!python/object:os.system {}\n",
            (),
            "recipe.yaml:1:1: the YAML tag tag:yaml.org,2002:python/object:os.system has no",
        ),
        ("optimizer: adam\n", ("optimizer.momentum=1",), "unknown key optimizer.momentum"),
        ("", ("seed=x",), "--set seed=x: seed: expected a whole number, not 'x'"),
        ("", ("seed",), "--set seed: not of the form KEY=VALUE"),
        ("", ("epochs.x=1",), "epochs: expected a whole number, not {'x': 1}"),
        ("epochs: 3\n", ("epochs.x=1",), "--set epochs.x=1: epochs has no keys of its own"),
        ("a: &a [*a]\n", (), "nested over 20 deep"),
        ("data: {workers: -1}\n", (), "data.workers: expected at least 0 or 'auto', not -1"),
        ("lr: fast\n", (), "recipe.yaml:1:5: optimizer.lr: expected a number, not 'fast'"),
        ("lr: 1\noptimizer: {lr: 2}\n", (), "recipe.yaml:1:1: lr: optimizer.lr is given too"),
        ("optimizer: 3\nlr: 1\n", (), "optimizer has no keys of its own"),
        ("epochs: yes\n", (), "epochs: expected a whole number, not true"),
        (
            "scheduler: {name: onecycle, warmup_epochs: 3}\n",
            (),
            "unknown key scheduler.warmup_epochs",
        ),
    ],
)
def test_problem(text: str, sets: tuple[str, ...], expected: str) -> None:
    assert expected in problems(text, *sets)


def test_a_bomb_of_aliases_is_refused() -> None:
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for n in range(1, 9):
        text += f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n"
    assert "too large for a recipe" in problems(text)


def test_short_forms_and_overrides() -> None:
    Path("r.yaml").write_text("optimizer: {name: sgd, lr: 1e-1, momentum: 0.9}\nloss: mse\n")
    recipe = read_recipe(
        "r.yaml", [Override.parse(one) for one in ("optimizer.nesterov=true", "data=iris")]
    )
    assert recipe.optimizer.lr == 0.1 and recipe.optimizer.nesterov  # type: ignore[union-attr]
    assert recipe.loss.name == "mse" and recipe.data.name == "iris"
    other = read_recipe("r.yaml", [Override.parse("optimizer=adamw")])
    assert (other.optimizer.name, other.optimizer.lr) == ("adamw", 0.001)
    assert read_recipe(None, [Override.parse("optimizer.momentum=0.5")]).optimizer.name == "sgd"


def test_rate_and_decay_may_stand_by_themselves() -> None:
    Path("r.yaml").write_text("lr: 0.3\noptimizer: adamw\n")
    recipe = read_recipe("r.yaml", [Override.parse("weight_decay=0.2")])
    assert recipe == read_recipe({"optimizer": {"name": "adamw", "lr": 0.3, "weight_decay": 0.2}})
    assert read_recipe({"lr": 0.3}).optimizer.name == "sgd"


def test_a_shipped_recipe_by_its_name(raises: Any) -> None:
    assert read_recipe("resnet50").epochs == 90
    assert "did you mean resnet50?" in raises(read_recipe, "resnet5")
    assert "none.yaml: cannot read" in raises(read_recipe, "none.yaml").replace("\n", " ")


def test_resolved_reads_back() -> None:
    recipe = read_recipe({"augment": {"mixup": 0.2}, "scheduler": {"name": "step", "gamma": 0.5}})
    assert read_recipe(recipe.resolved()) == recipe
    assert isinstance(recipe, Recipe)


def test_schema_knows_every_key_and_short_form() -> None:
    schema = json_schema()
    json.dumps(schema)
    assert set(schema["properties"]) == {*Recipe.model_fields, "lr", "weight_decay"}
    short = schema["properties"]["optimizer"]["anyOf"][0]
    assert short == {"type": "string", "enum": ["adam", "adamw", "rmsprop", "sgd"]}


SPECS = Path(__file__).parents[2] / "specs"


def test_shipped_recipes_are_right() -> None:
    recipes = sorted(SPECS.rglob("*.yaml"))
    assert recipes
    for path in recipes:
        read_recipe(path)


def test_shipped_schema_is_current() -> None:
    """If not: archdsl recipe-schema > specs/recipe.schema.json"""
    assert json.loads((SPECS / "recipe.schema.json").read_text()) == json_schema()


def test_reading_a_recipe_needs_no_torch() -> None:
    code = "import sys, archdsl.train as t; t.read_recipe(None); sys.exit('torch' in sys.modules)"
    root: Any = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root).returncode == 0
