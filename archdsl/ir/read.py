"""The program that `archdsl.ir.show` wrote, read back.

In: YAML or JSON text, from whomever. Out: a `Program` whose document equals the one read. Nothing
is believed: operators are made from the table, every shape is computed again, and names must be
such as a spec could have. Spans are gone; what refers to the text points to nothing.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, NoReturn

from archdsl.diagnostics.source import Source, Span
from archdsl.ir.condition import from_data, number_from_data
from archdsl.ir.expr import LETTERS, At, Expr
from archdsl.ir.graph import (
    Graph,
    Init,
    Item,
    Node,
    Param,
    Program,
    Promise,
    Scope,
    operand_shapes,
    side,
)
from archdsl.ir.labels import LABEL, RESERVED
from archdsl.ir.same import difference
from archdsl.ir.show import VERSION
from archdsl.ops import TABLE
from archdsl.ops.init import RULES, Attribute, Rule
from archdsl.ops.table import LIKE, Arg, Blame, Op, Shape
from archdsl.text import shape_text

DEEPEST = 100


class IRError(ValueError):
    """The text is no program; the message says where and why."""


class Callable:
    """A block or operator that was given as an argument: its name is all that remains."""

    def __init__(self, name: str) -> None:
        self.name = name


def read_ir(text: str) -> Program:
    """Raises `IRError`."""
    return _Reader(_parse(text)).program()


def _parse(text: str) -> Any:
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            raise IRError(f"not JSON: {error}") from None
    import yaml

    try:
        # libyaml's loader where there is one: ten times as fast
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise IRError(f"not YAML: {error}") from None


class _Reader:
    def __init__(self, document: Any) -> None:
        self.document = _dict(document, "the document")
        version = self.document.get("archdsl_ir")
        if version != VERSION:
            _fail("archdsl_ir", f"this archdsl reads version {VERSION}, not {version!r}")
        text = self.document.get("text", "")
        self.text = _string(text, "text")
        self.span = Span(Source("<ir>", ""), 0, 0)
        self.graphs: dict[str, Graph] = {}
        self.callables: dict[str, Callable] = {}
        self.open: list[str] = []
        self.settable: dict[str, int | float] = {}
        self.loose: dict[str, set[int]] = {}  # which values of a graph are parameters

    def program(self) -> Program:
        for key, value in _dict(self.document.get("settable", {}), "settable").items():
            self.settable[_string(key, "settable")] = _any_number(value, f"settable.{key}")
        graph = self.graph(_string(self.document.get("root"), "root"))
        count = len(graph.value_shapes)
        outputs, aux = (
            tuple(
                (_string(name, key), _number(value, f"{key}.{name}", count))
                for name, value in _dict(self.document.get(key, {}), key).items()
            )
            for key in ("outputs", "aux")
        )
        count = len(graph.input_shapes)
        if not outputs or (count != 1 and len(graph.input_names) != count):
            _fail("root", "a model has one input, or several with names, and at least one output")
        whole = frozenset(_number(n, "whole", count) for n in self.document.get("whole", ()))
        name = _string(self.document.get("model"), "model")
        settable, promise = tuple(self.settable.items()), self.promise(len(graph.input_shapes[0]))
        program = Program(name, graph, outputs, aux, self.text, settable, promise, whole)
        for key, total in (("params", program.params), ("macs", program.macs)):
            if self.document.get(key, total) != total:
                _fail(key, f"it says {self.document[key]}, the graphs add up to {total}")
        return program

    def promise(self, rank: int) -> Promise | None:
        if "where" not in self.document:
            return None
        try:
            found = from_data(self.document["where"], LETTERS.get(rank - 1, ()))
        except ValueError as error:
            _fail("where", str(error))
        return Promise(found, self.span)

    def graph(self, name: str) -> Graph:
        if name in self.graphs:
            return self.graphs[name]
        if name in self.open or len(self.open) >= DEEPEST:
            _fail(f"graphs.{name}", "it holds itself, or lies too deep")
        self.open.append(name)
        place = f"graphs.{name}"
        entry = _dict(_dict(self.document.get("graphs"), "graphs").get(name), place)
        values = [_shape(shape, f"{place}.inputs") for shape in _list(entry, "inputs", place)]
        inputs, items = tuple(values), list[Item]()
        bare = frozenset(_number(n, f"{place}.bare", len(inputs)) for n in entry.get("bare", ()))
        self.loose[name] = set(bare)
        for number, raw in enumerate(_list(entry, "items", place)):
            item = self.item(_dict(raw, place), values, f"{place}.items[{number}]")
            self.shared(item, items, f"{place}.items[{number}]")
            items.append(item)
            if isinstance(item, Param):
                self.loose[name].add(len(values))
            elif isinstance(item, Scope):
                self.loose[name].update(
                    len(values) + number
                    for number, value in enumerate(item.graph.outputs)
                    if value in item.graph.unbatched
                )
            values.extend(item.shapes)
        declared = tuple(_number(n, f"{place}.declared") for n in _list(entry, "declared", place))
        own = [n for n, item in enumerate(items) if not getattr(item, "shares", False)]
        if sorted(declared) != own:
            _fail(f"{place}.declared", "each item once, by its number")
        outputs = tuple(
            _number(n, f"{place}.outputs", len(values)) for n in _list(entry, "outputs", place)
        )
        block = entry.get("block")
        made = Graph(
            block=None if block is None else _string(block, f"{place}.block"),
            args=tuple(
                (key, self.argument(value, f"{place}.args.{key}"))
                for key, value in _dict(entry.get("args", {}), f"{place}.args").items()
            ),
            input_shapes=inputs,
            items=tuple(items),
            declared=declared,
            outputs=outputs,
            output_shapes=tuple(values[number] for number in outputs),
            inits=tuple(
                self.init(_dict(raw, place), f"{place}.init") for raw in entry.get("init", ())
            ),
            span=self.span,
            bare=bare,
            reads=tuple(
                _number(n, f"{place}.reads", len(inputs[0])) for n in entry.get("reads", ())
            ),
            fixed=tuple(
                (
                    _number(value, f"{place}.fixed", len(values)),
                    _number(number, f"{place}.fixed", len(values[value])),
                )
                for value, number in entry.get("fixed", ())
            ),
            input_names=tuple(
                _label(name, f"{place}.input_names") for name in entry.get("input_names", ())
            ),
            lets=tuple(
                (key, _any_number(value, f"{place}.lets.{key}"))
                for key, value in _dict(entry.get("lets", {}), f"{place}.lets").items()
            ),
        )
        self.open.pop()
        self.graphs[name] = made
        return made

    def shared(self, item: Item, before: list[Item], place: str) -> None:
        """An item has a name of its own, or runs the module of the first that has it."""
        if item.name is None:
            return
        first = next((other for other in before if other.name == item.name), None)
        shares = getattr(item, "shares", False)
        if (first is not None) != shares:
            _fail(place, f"a second {item.name!r}" if first else "there is nothing to share")
        if first is not None and (said := difference(first, item, item.name)):
            _fail(place, said)

    def item(self, entry: dict[str, Any], values: list[Shape], place: str) -> Item:
        for kind in ("param", "buffer"):
            if kind in entry:
                rule = self.rule(_dict(entry.get("init"), place), place)
                shape = _shape(entry.get("shape"), place)
                return Param(_label(entry[kind], place), shape, kind == "buffer", rule, self.span)
        labelled = "label" in entry
        name = entry.get("label" if labelled else "name")
        if name is not None:
            _label(name, place)
        inputs = tuple(
            _number(n, f"{place}.inputs", len(values)) for n in _list(entry, "inputs", place)
        )
        loose = [n in self.loose[self.open[-1]] for n in inputs]
        only = entry.get("training_only", False) is True
        shares = entry.get("shares", False) is True
        if "graph" in entry:
            graph = self.graph(_string(entry["graph"], place))
            given = tuple(
                values[n][is_loose and number not in graph.bare :]
                for number, (n, is_loose) in enumerate(zip(inputs, loose, strict=True))
            )
            if graph.input_shapes != given or name is None:
                _fail(place, "its graph takes other inputs, or it has no name")
            made: Item = Scope(name, labelled, graph, inputs, self.span, only, shares)
        else:
            op = _operator(entry, len(inputs), place)
            given = operand_shapes(op, [values[n] for n in inputs], loose)
            try:
                shape = op.shape(*given)
                op.weights(*given)
            except Blame as blame:
                _fail(place, blame.message)
            if name is None and (op.arity is not None or op.weights(*given)):
                _fail(place, "only a join has no name")
            free = self.free(_dict(entry.get("free", {}), place), op, place)
            made = Node(name, labelled, op, inputs, given, shape, self.span, only, free, shares)
            if "follows" in entry:
                follows = self.follows(_dict(entry["follows"], place), op, values, place)
                made = replace(made, follows=follows)
        wanted = entry.get("shape")
        if wanted != (found := " ".join(shape_text(s) for s in made.shapes)):
            _fail(place, f"its shape is {found}, not {wanted}")
        return made

    def follows(
        self, entry: dict[str, Any], op: Op, values: list[Shape], place: str
    ) -> tuple[tuple[str, Any], ...]:
        """The numbers must be those that the operator has."""

        def found(name: str) -> Expr | None:
            value, _, number = name.partition(".")
            if not (value.isdecimal() and number.isdecimal() and int(value) < len(values)):
                return None
            return side(int(value), int(number)) if int(number) < len(values[int(value)]) else None

        def read(data: Any) -> Any:
            if isinstance(data, list):
                return tuple(map(read, data))
            if isinstance(data, dict):
                try:
                    return number_from_data(data.get("is"), found)
                except ValueError as error:
                    _fail(f"{place}.follows", str(error))
            return _any_number(data, f"{place}.follows")

        made = tuple((field, read(data)) for field, data in entry.items())
        for field, value in made:
            if field not in op.follows:
                _fail(f"{place}.follows", f"{op.name} has no such argument {field!r}")
            if _at(value, values, self.loose[self.open[-1]]) != getattr(op, field):
                _fail(f"{place}.follows", f"{field} is another number")
        return made

    def free(self, entry: dict[str, Any], op: Op, place: str) -> tuple[tuple[str, str], ...]:
        for field, name in entry.items():
            if field not in op.free or self.settable.get(_string(name, place)) != getattr(
                op, field
            ):
                _fail(f"{place}.free", "an argument that is no parameter of the model")
        return tuple(entry.items())

    def argument(self, value: Any, place: str) -> Any:
        if isinstance(value, list):
            return tuple(self.argument(part, place) for part in value)
        if isinstance(value, dict):
            text = _string(value.get("callable"), place)
            return self.callables.setdefault(text, Callable(text.partition(" ")[0]))
        return value

    def init(self, entry: dict[str, Any], place: str) -> Init:
        kind, path = entry.get("op"), entry.get("layer")
        if not (kind is None or kind in TABLE) or not (path is None or isinstance(path, str)):
            _fail(place, "no operator, or no layer")
        param = _string(entry.get("param"), place)
        return Init(kind, path, param, self.rule(entry, place), self.span)

    def rule(self, entry: dict[str, Any], place: str) -> Rule:
        name = _string(entry.get("rule"), place)
        if name not in RULES:
            _fail(place, f"there is no rule {name!r}")
        known = {arg.name: arg for arg in RULES[name]}
        args: list[tuple[str, Any]] = []
        for key, value in _dict(entry.get("args", {}), place).items():
            if key not in known:
                _fail(place, f"{name} has no argument {key!r}")
            if isinstance(value, dict):
                text = _string(value.get("expr"), place)
                names = tuple(_string(n, place) for n in _list(value, "names", place))
                if not Attribute.NAMES.issuperset(names):
                    _fail(place, f"a layer has not all of {', '.join(names)}")
                args.append((key, Attribute(text, names)))
            else:
                args.append((key, _converted(known[key], value, place)))
        return Rule(name, tuple(args))


def _at(value: Any, values: list[Shape], loose: set[int]) -> Any:
    """What follows from the sides of these values."""
    if isinstance(value, tuple):
        return tuple(_at(part, values, loose) for part in value)
    axes = getattr(value, "axes", ())
    return At({(v, place): values[v][place + (v in loose)] for v, place in axes})(value)


def _operator(entry: dict[str, Any], inputs: int, place: str) -> Op:
    name = entry.get("op")
    if not isinstance(name, str) or name not in TABLE:
        _fail(place, f"there is no operator {name!r}")
    kind = TABLE[name]
    given = _dict(entry.get("args", {}), place)
    if unknown := [key for key in given if key not in kind.args]:
        _fail(place, f"{name} has no argument {unknown[0]!r}")
    if missing := [k for k, a in kind.args.items() if a.required and k not in given]:
        _fail(place, f"{name} needs {missing[0]!r}")
    as_other = kind.like in given and given[kind.like] == []  # a second input's size
    # a join may have a single branch left
    if inputs != kind.arity + as_other if kind.arity is not None else not inputs:
        _fail(place, f"{name} takes another number of inputs than {inputs}")
    return kind(
        **{
            k: LIKE if as_other and k == kind.like else _converted(kind.args[k], v, place)
            for k, v in given.items()
        }
    )


def _converted(arg: Arg, value: Any, place: str) -> Any:
    if value is None and arg.default is None:
        return None
    try:
        return arg.type.convert(_tuples(value))
    except (ValueError, TypeError, OverflowError) as error:
        return _fail(place, f"{arg.name} must be {error}")


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _label(value: Any, place: str) -> str:
    name = _string(value, place)
    if not LABEL.fullmatch(name) or name in RESERVED:
        _fail(place, f"{name!r} cannot name a part")
    return name


def _shape(value: Any, place: str) -> Shape:
    if value == "scalar":
        return ()
    sides = _string(value, place).split("x")
    if not all(side.isascii() and side.isdigit() and int(side) > 0 for side in sides):
        _fail(place, f"{value!r} is no shape")
    return tuple(map(int, sides))


def _dict(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        _fail(place, "missing, or no mapping of names")
    return value


def _list(entry: dict[str, Any], key: str, place: str) -> list[Any]:
    value = entry.get(key)
    if not isinstance(value, list):
        _fail(f"{place}.{key}", "missing, or no list")
    return value


def _string(value: Any, place: str) -> str:
    if not isinstance(value, str):
        _fail(place, "missing, or no text")
    return value


def _number(value: Any, place: str, below: int | None = None) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        _fail(place, "no number")
    if below is not None and value >= below:
        _fail(place, f"there is no value {value} yet")
    return value


def _any_number(value: Any, place: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        _fail(place, "no number")
    return value


def _fail(place: str, message: str) -> NoReturn:
    raise IRError(f"{place}: {message}")
