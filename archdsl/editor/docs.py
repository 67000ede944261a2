"""What there is to say about a name, in Markdown: for hover, completion and signature help."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from archdsl.checker.values import show
from archdsl.diagnostics.source import Source, Span
from archdsl.editor.analysis import Analysis, Flow, cost
from archdsl.ir import receptive_field
from archdsl.ir.graph import Scope
from archdsl.names.symbols import Occurrence, Symbol
from archdsl.names.units import Block, Target, Unit
from archdsl.ops import TABLE
from archdsl.ops.init import RULES
from archdsl.ops.manual import argument_line, signature, written
from archdsl.ops.table import Arg, Shape
from archdsl.syntax import tree as t
from archdsl.syntax.language import FUNCTIONS, SIDES
from archdsl.text import shape_text

MOST_CALLS = 6  # shapes of so many calls are told


@dataclass(frozen=True, slots=True)
class Signature:
    """How a call is written. `parts`: each argument's name, its text in `label`, and its manual."""

    label: str
    parts: tuple[tuple[str, str, str], ...]
    doc: str


def call_signature(target: Target) -> Signature:
    if not isinstance(target, Block):
        parts = tuple((a.name, text, _argument(a)) for a, text in written(target))
        return Signature(signature(target), parts, inspect.getdoc(target) or "")
    params = target.base.params if target.base is not None else ()
    values = {p.name: p.default.span.text for p in params if p.default is not None}
    for block in reversed(target.lineage):
        given = block.tree.args if isinstance(block.tree, t.Alias) else ()
        values |= {a.name: a.value.span.text for a in given if a.name is not None}
    texts = [f"[{p.name}={values[p.name]}]" if p.name in values else p.name for p in params]
    parts = tuple((p.name, text, "") for p, text in zip(params, texts, strict=True))
    return Signature(" ".join([target.name, *texts]), parts, comment_above(target))


def rule_signature(rule: str) -> Signature:
    parts = []
    for arg in RULES[rule]:
        parts.append((arg.name, arg.name if arg.required else f"[{arg.name}=]", _argument(arg)))
    label = " ".join([rule, *(text for _, text, _ in parts)])
    return Signature(label, tuple(parts), f"torch.nn.init.{rule}_")


def _argument(arg: Arg) -> str:
    return argument_line(arg, code="`")


def comment_above(block: Block) -> str:
    """The comment lines right above a definition."""
    source = block.tree.span.source
    number = source.position(block.tree.span.start)[0] - 1
    lines: list[str] = []
    while number > 0 and source.line(number).startswith("#"):
        lines.insert(0, source.line(number).lstrip("#").strip())
        number -= 1
    return "\n".join(lines)


def target_page(target: Target) -> str:
    """An operator's or block's manual."""
    shown = call_signature(target)
    lines = [_code(shown.label), shown.doc]
    if not isinstance(target, Block):
        lines.append("\n".join(f"- {doc}" for _, _, doc in shown.parts))
        lines.append(f"Example: `{target.example}`")
    else:
        lines.append(_defined(target.tree.span.source, target.tree.name_span.start))
    return _joined(lines)


def symbol_page(analysis: Analysis, word: Occurrence) -> str:
    """What a name is; the empty text where there is nothing to say."""
    unit, symbol = analysis.unit, word.symbol
    match symbol.kind:
        case "operator":
            return target_page(TABLE[symbol.name])
        case "block" | "model":
            target = _definition(unit, symbol)
            return target_page(target) if target is not None else ""
        case "argument":
            return _joined([_argument_of(symbol)])
        case "rule":
            shown = rule_signature(symbol.name)
            docs = "\n".join(f"- {doc}" for _, _, doc in shown.parts)
            return _joined([_code(shown.label), shown.doc, docs])
        case "function":
            return _joined([_code(FUNCTIONS[symbol.name].doc)])
        case "parameter":
            values = [show(v) for v in analysis.values(word)]
            shown_values = ", ".join(values[:12]) + (", ..." if len(values) > 12 else "")
            text = f"`{symbol.name}`: parameter of `{symbol.owner}`"
            return _joined([text, f"here: {shown_values}" if values else ""])
        case "word" if symbol.owner == "where":
            program = analysis.program(word.span)
            takes = f"`{program.name}` takes {program.sizes.describe()}" if program else ""
            return _joined([f"`{symbol.name}`: {SIDES[symbol.name]}", takes])
        case "variable" | "tap":
            return _joined([_code(_line_of(symbol))])
        case _:
            return ""


def _line_of(symbol: Symbol) -> str:
    if symbol.span is None:
        return ""
    source = symbol.span.source
    return source.line(source.position(symbol.span.start)[0]).strip()


def _definition(unit: Unit | None, symbol: Symbol) -> Block | None:
    target = unit.target(symbol.name) if unit is not None else None
    if isinstance(target, Block):
        return target
    return unit.find(symbol.name) if unit is not None else None


def _argument_of(symbol: Symbol) -> str:
    if symbol.owner in TABLE and symbol.name in TABLE[symbol.owner].args:
        return _argument(TABLE[symbol.owner].args[symbol.name])
    found = [a for a in RULES.get(symbol.owner, ()) if a.name == symbol.name]
    return _argument(found[0]) if found else ""


def flow_page(analysis: Analysis, word: Span) -> str:
    """Shapes, costs and the receptive field of what is computed at a place, a line for each
    different call."""
    flows, fields = analysis.computed(word), analysis.good.fields
    if not flows:
        return ""
    lines = ["| input | output | parameters | MACs | sees |", "|---|---|---:|---:|---|"]
    rows = list(dict.fromkeys(_row(flow, fields.get(id(flow.item), ())) for flow in flows))
    lines += rows[:MOST_CALLS]
    text = "\n".join(lines)
    if len(rows) > MOST_CALLS:
        text += f"\n\nand {len(rows) - MOST_CALLS} more"
    first = flows[0]
    named = isinstance(first.item, Scope) or bool(first.item.name)
    more = f" and {len(flows) - 1} more" if len(flows) > 1 else ""
    keys = f"\n\nin the state_dict: `{first.path}`{more}" if named and first.path else ""
    return text + keys


def _row(flow: Flow, seen: receptive_field.Field) -> str:
    params, macs = cost(flow)
    entering = " and ".join(map(shape_text, flow.inputs)) or "-"
    leaving = " and ".join(map(shape_text, flow.item.shapes))
    return f"| {entering} | {leaving} | {params:,} | {macs:,} | {receptive_field.show(seen)} |"


def hint(shapes: Iterable[Shape]) -> str:
    """The shapes behind a line."""
    first, *more = shapes
    return shape_text(first) + (" …" if more else "")


def all_shapes(shapes: Sequence[Shape]) -> str:
    return "\n".join(map(shape_text, shapes))


def _defined(source: Source, offset: int) -> str:
    line, _ = source.position(offset)
    return f"{source.name.rpartition('/')[2]}:{line}"


def _code(text: str) -> str:
    return f"```arch\n{text}\n```" if text else ""


def _joined(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part)
