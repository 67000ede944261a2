"""The program as YAML and JSON, and back."""

from __future__ import annotations

import json

import pytest
import yaml

from archdsl.emit.python import emit
from archdsl.ir.graph import Program
from archdsl.ir.read import IRError, read_ir
from archdsl.ir.show import as_document, show_program
from archdsl.pipeline import open_spec, shipped
from tests.artefacts.specs import MIXED, UNET


def _program(spec: str) -> Program:
    return open_spec(spec).checked()


def _round_trip(program: Program, format: str) -> None:
    text = show_program(program, format=format)
    again = read_ir(text)
    assert as_document(again) == as_document(program)
    assert show_program(again, format=format) == text
    assert emit(again) == emit(program)
    assert list(again.state()) == list(program.state())
    assert (again.params, again.macs) == (program.params, program.macs)


@pytest.mark.parametrize("format", ["yaml", "json"])
@pytest.mark.parametrize("spec", [UNET, MIXED, "lenet5", "resnet50", "googlenet"])
def test_round_trip(spec: str, format: str) -> None:
    _round_trip(_program(spec), format)


@pytest.mark.slow
@pytest.mark.parametrize("name", shipped())
def test_round_trip_of_all(name: str) -> None:
    program = _program(name)
    _round_trip(program, "yaml")
    _round_trip(program, "json")


def test_it_says_its_version() -> None:
    document = json.loads(show_program(_program("lenet5"), format="json"))
    assert document["archdsl_ir"] == 1
    document["archdsl_ir"] = 99
    with pytest.raises(IRError, match="reads version 1, not 99"):
        read_ir(json.dumps(document))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("params",), 3, "add up to"),
        (("root",), "nothing", "graphs.nothing"),
        (("graphs", "lenet5.0", "items", 0, "shape"), "7x7", "its shape is"),
        (("graphs", "lenet5.0", "items", 0, "inputs"), [5], "no value 5"),
        (("graphs", "lenet5.0", "items", 0, "graph"), "lenet5.0", "holds itself"),
        (("graphs", "lenet5.0", "items", 0, "label"), "a = 1; import os", "cannot name"),
        (("graphs", "lenet5.0", "items", 0, "label"), "state_dict", "cannot name"),
        (("graphs", "lenet5.0", "items", 1, "op"), "eval", "no operator"),
        (("graphs", "lenet5.0", "items", 1, "args"), {"x": 1}, "no argument"),
        (("graphs", "lenet5.0", "declared"), [0, 0, 1], "each item once"),
        (("graphs", "group.0", "items", 0, "args", "out"), -1, "out must be"),
        (("graphs", "group.0", "items", 0, "args", "out"), "print()", "out must be"),
    ],
)
def test_nothing_is_believed(path: tuple[str | int, ...], value: object, message: str) -> None:
    document = json.loads(show_program(_program("lenet5"), format="json"))
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(IRError, match=message):
        read_ir(yaml.safe_dump(document))


@pytest.mark.parametrize("text", ["", "[]", "{", "a: [", "archdsl_ir: 1", "!!python/name:os 1"])
def test_what_is_no_program(text: str) -> None:
    with pytest.raises(IRError):
        read_ir(text)
