"""The operators' manual, from the table: for `archdsl ops` and the generated reference."""

from __future__ import annotations

import inspect
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

from archdsl.ops import TABLE
from archdsl.ops.table import Arg, Op


def signature(op: type[Op]) -> str:
    """`conv out kernel [stride=1] ... * [bias=true]`, as a call is written; what stands behind the
    `*` goes by name alone."""
    parts = [op.name]
    for argument, text in written(op):
        if argument.keyword and "*" not in parts:
            parts.append("*")
        parts.append(text)
    return " ".join(parts)


def written(op: type[Op]) -> list[tuple[Arg, str]]:
    """Its arguments in the order of the signature, with how each stands there."""
    return [(a, _written(a)) for a in sorted(op.args.values(), key=lambda a: a.keyword)]


def _written(argument: Arg) -> str:
    if not argument.required:
        return f"[{argument.name}={value(argument.default)}]"
    return f"{argument.name}=" if argument.keyword else argument.name


def index() -> str:
    """Every operator in a line, by family."""
    width = max(map(len, TABLE))
    lines = []
    for family, members in groupby(TABLE.values(), key=lambda op: op.family):
        lines.append(f"{family}:")
        lines += [f"  {op.name.ljust(width)}  {summary(op)}" for op in members]
    return "\n".join(lines)


def page(op: type[Op]) -> str:
    """One operator in full."""
    lines = [signature(op), "", inspect.getdoc(op) or "", ""]
    if op.args:
        lines.append("Arguments:")
        lines += [f"  {argument_line(a)}" for a in op.args.values()]
        lines.append("")
    lines += ["Example:", f"  {op.example}"]
    return "\n".join(lines)


def reference() -> str:
    """The operator reference in Markdown."""
    lines = []
    for family, members in groupby(TABLE.values(), key=lambda op: op.family):
        lines += [f"### {family.capitalize()}", ""]
        for op in members:
            lines += [f"#### `{op.name}`", "", inspect.getdoc(op) or "", ""]
            lines += ["```", signature(op), "```", ""]
            lines += [f"- {argument_line(a, code='`')}" for a in op.args.values()]
            lines += [""] * bool(op.args) + [f"Example: `{op.example}`", ""]
    return "\n".join(lines)


def summary(op: type[Op]) -> str:
    """The first sentence of the manual."""
    text = " ".join((inspect.getdoc(op) or "").split("\n\n")[0].split())
    return text.split(". ")[0].rstrip(".") + "."


def argument_line(argument: Arg, code: str = "") -> str:
    default = "required" if argument.required else f"default {value(argument.default)}"
    return f"{code}{argument.name}{code}: {argument.doc}; {argument.type.describe()} ({default})"


def value(default: Any) -> str:
    """A default as a person would write it."""
    if isinstance(default, bool):
        return "true" if default else "false"
    if isinstance(default, tuple):
        return "x".join(map(str, default)) or "none"
    return (
        "none"
        if default is None
        else f"{default:g}"
        if isinstance(default, float)
        else str(default)
    )


BEGIN, END = "<!-- operators: ", "<!-- end of operators -->"


def inserted(text: str) -> str:
    """A Markdown text with the reference between its two marks."""
    begin = text.index("\n", text.index(BEGIN)) + 1
    return text[:begin] + "\n" + reference() + "\n" + text[text.index(END) :]


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(inserted(path.read_text(encoding="utf-8")), encoding="utf-8")
