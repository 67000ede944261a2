"""`%load_ext archdsl` in a notebook: cells that hold a spec.

    %%arch -p width=64
    model mynet(classes=10, width=32) { ... }

checks the cell, shows what is wrong or the picture, and leaves the model in the notebook's names:
`mynet`, an ordinary `nn.Module` with initial weights.
"""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from archdsl.api import Report
from archdsl.diagnostics.source import Source
from archdsl.ops.table import Shape
from archdsl.pipeline import Spec


class Wrong(Exception):
    """What stands behind `%%arch` cannot be read."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Wrong(f"{message}\n{self.format_usage().rstrip()}")


def _parser() -> _Parser:
    usage = "%%%%arch [-p NAME=VALUE]... [--input CxHxW] [--model NAME] [--check] [--quiet]"
    parser = _Parser(prog="%%arch", usage=usage, add_help=False, allow_abbrev=False)
    parser.add_argument("-p", dest="params", type=_pair, action="append", default=[])
    parser.add_argument("--input", type=_shape, help="in place of the spec's own")
    parser.add_argument("--model", help="of several models this one alone")
    parser.add_argument("--check", action="store_true", help="leave the program, without torch")
    parser.add_argument("--quiet", action="store_true", help="no picture")
    return parser


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"NAME=VALUE, not {text!r}")
    return name, value


def _shape(text: str) -> Shape:
    if not re.fullmatch(r"[1-9][0-9]*(x[1-9][0-9]*)*", text):
        raise argparse.ArgumentTypeError(f"a shape is written 3x64x64, not {text!r}")
    return tuple(map(int, text.split("x")))


def run(line: str, cell: str, space: dict[str, Any], show: Callable[[object], object]) -> None:
    """What `%%arch` does: `show` what was found, and leave the models in `space`."""
    try:
        given = _parser().parse_args(shlex.split(line))
    except (Wrong, ValueError) as error:
        print(f"UsageError: {error}")
        return
    source, params = Source("<cell>", cell.replace("\r\n", "\n")), dict(given.params)
    whole = Spec(source, Path.cwd(), given.model, params, given.input)
    several = given.model is None and len(whole.models) > 1
    for name in whole.models if several else [given.model]:
        spec = Spec(source, Path.cwd(), name, params, given.input)
        report = Report(tuple(spec.diagnostics), spec.program)
        if report.diagnostics:
            show(report)
        if spec.program is not None:
            if not given.quiet:
                show(spec.program)
            space[spec.program.name] = spec.program if given.check else _built(spec)


def _built(spec: Spec) -> object:
    from archdsl.runtime.module import build

    return build(spec.checked())


def load_ipython_extension(shell: Any) -> None:
    """What `%load_ext archdsl` calls."""
    from IPython.display import display

    def arch(line: str, cell: str) -> None:
        run(line, cell, shell.user_ns, display)

    arch.__doc__ = __doc__
    shell.register_magic_function(arch, magic_kind="cell", magic_name="arch")
