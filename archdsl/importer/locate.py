"""The module that a name means: `torchvision.models:resnet50`, `nets.py:Net(classes=10)`.

Naming it runs its code. What is called with arguments is called with literals alone.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from torch import nn

HELP = "give module:name or file.py:name, of a network or of what makes one: `nets.py:Net(10)`"


class NotFound(Exception):
    """There is no such network."""

    def __init__(self, message: str, help: str = HELP) -> None:
        super().__init__(message)
        self.message, self.help = message, help


def locate(text: str) -> nn.Module:
    """Raises `NotFound`."""
    module, _, expression = text.partition(":")
    if not module or not expression:
        raise NotFound(f"{text!r} names no network")
    loaded = _import(module)
    try:
        tree = ast.parse(expression, mode="eval").body
        call = isinstance(tree, ast.Call)
        name = tree.func if isinstance(tree, ast.Call) else tree
        args = [ast.literal_eval(a) for a in tree.args] if isinstance(tree, ast.Call) else []
        given = tree.keywords if isinstance(tree, ast.Call) else []
        kwargs = {str(k.arg): ast.literal_eval(k.value) for k in given}
    except (SyntaxError, ValueError):
        raise NotFound(f"{expression!r} is no name, and no call with literal arguments") from None
    found: Any = loaded
    for part in ast.unparse(name).split("."):
        if not hasattr(found, part):
            raise NotFound(f"{module} has no {part!r}")
        found = getattr(found, part)
    if not isinstance(found, nn.Module) or call:
        found = _called(found, args, kwargs, text)
    if not isinstance(found, nn.Module):
        raise NotFound(f"{text} is no torch.nn.Module, but of type {type(found).__name__}")
    return found


def _called(found: Any, args: list[Any], kwargs: dict[str, Any], text: str) -> Any:
    if not callable(found):
        raise NotFound(f"{text} is no torch.nn.Module, but of type {type(found).__name__}")
    try:
        return found(*args, **kwargs)
    except Exception as error:
        raise _raised(text, error) from None


def _import(module: str) -> Any:
    try:
        if module.endswith(".py"):
            if not Path(module).is_file():
                raise NotFound(f"there is no file {module}")
            spec = importlib.util.spec_from_file_location(Path(module).stem, module)
            if spec is None or spec.loader is None:
                raise NotFound(f"{module} cannot be read as Python")
            loaded = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = loaded
            spec.loader.exec_module(loaded)
            return loaded
        if not all(part.isidentifier() for part in module.split(".")):
            raise NotFound(f"{module!r} is not the name of a module")
        if os.getcwd() not in sys.path:
            sys.path.insert(0, os.getcwd())
        return importlib.import_module(module)
    except NotFound:
        raise
    except ModuleNotFoundError as error:
        raise NotFound(str(error)) from None
    except (Exception, SystemExit) as error:
        raise _raised(module, error) from None


def _raised(what: str, error: BaseException) -> NotFound:
    """Code of the user's raised: what, and the line of it that did."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    text = str(error).strip().partition("\n")[0]
    shown = f"{type(error).__name__}: {text}" if text else type(error).__name__
    here = last.filename == __file__
    return NotFound(f"{what} raised {shown}", HELP if here else f"at {last.filename}:{last.lineno}")
