"""Training: a spec (or module) and a recipe in, a trained model and its run folder out.

`recipe` and `recipe_file` need no torch; `fit`, `evaluate` and `predict` import it when used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.train.errors import TrainError
from archdsl.train.recipe.read import Override, read_recipe
from archdsl.train.recipe.schema import Recipe, json_schema

if TYPE_CHECKING:
    from archdsl.train.evaluation import evaluate
    from archdsl.train.job import fit
    from archdsl.train.predicting import Prediction, predict
    from archdsl.train.result import Result
    from archdsl.train.tasks.task import Tested

_LATER = {
    "fit": "job",
    "Result": "result",
    "evaluate": "evaluation",
    "predict": "predicting",
    "Tested": "tasks.task",
    "Prediction": "predicting",
}

__all__ = [
    "Override",
    "Prediction",
    "Recipe",
    "Result",
    "Tested",
    "TrainError",
    "evaluate",
    "fit",
    "json_schema",
    "predict",
    "read_recipe",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"archdsl.train.{_LATER[name]}"), name)
