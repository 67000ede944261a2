"""The tree: what a text says, before anything is looked up. Every part knows its span."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, dataclass_transform

from archdsl.diagnostics.source import Span


@dataclass_transform()
class Tree:
    """Base of the tree's classes; fields are positional, in the order of their declaration.

    Not dataclasses, whose generated methods would cost every start of the program 15 ms. Equality
    is identity, so that later phases may key what they learn by the part itself.
    """

    fields: ClassVar[tuple[str, ...]] = ()
    span: Span

    def __init_subclass__(cls) -> None:
        cls.fields = (*cls.fields, *vars(cls).get("__annotations__", ()))

    def __init__(self, *values: Any) -> None:
        self.__dict__.update(zip(self.fields, values, strict=True))

    def __repr__(self) -> str:
        shown = ", ".join(f"{f}={getattr(self, f)!r}" for f in self.fields if "span" not in f)
        return f"{type(self).__name__}({shown})"


def same(a: object, b: object) -> bool:
    """Whether two trees say the same, wherever they stand."""
    if isinstance(a, Tree) and isinstance(b, Tree):
        return type(a) is type(b) and all(
            same(getattr(a, f), getattr(b, f)) for f in a.fields if "span" not in f
        )
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


def parts(tree: Tree) -> Iterator[Tree]:
    """Everything in a tree, itself first, in the text's order."""
    stack: list[object] = [tree]
    while stack:
        part = stack.pop()
        if isinstance(part, tuple):
            stack.extend(reversed(part))
        elif isinstance(part, Tree):
            yield part
            stack.extend(getattr(part, f) for f in reversed(part.fields))


# ---- expressions -----------------------------------------------------------------------------


class Expr(Tree):
    span: Span


class Literal(Expr):
    """A number, a size (a tuple of ints), a string, true, false or none."""

    value: Any


class Text(Expr):
    """A string with expressions in it: `"stage{i}"`."""

    parts: tuple[str | Expr, ...]


class AnySide(Expr):
    """`_` in a size, for any side: of an `assert` alone."""


class Name(Expr):
    """A variable, or `in`; as an argument also a bare word or the name of an operator or block."""

    name: str


class Attribute(Expr):
    """`in.h`, `here.h`; `of`: the word before the point."""

    of: str
    name: str


class ValueOf(Expr):
    """`@s` where a size is wanted, or a question is asked: `size=@s`, `rank(@s)`, `if @s`."""

    use: TapUse


class Side(Expr):
    """`@s.h`"""

    use: TapUse
    name: str


class List(Expr):
    items: tuple[Expr, ...]


class Collected(Expr):
    """`[item for a, b in items if condition]`"""

    item: Expr
    variables: tuple[str, ...]
    variable_spans: tuple[Span, ...]
    items: Expr
    condition: Expr | None


class Function(Expr):
    """`f(a, b)`: a function of the language, or a block or operator with some arguments fixed."""

    name: str
    name_span: Span
    args: tuple[Argument, ...]


class Index(Expr):
    base: Expr
    index: Expr


class Slice(Expr):
    base: Expr
    start: Expr | None
    end: Expr | None


class Unary(Expr):
    """`-` or `not`."""

    op: str
    operand: Expr


class Binary(Expr):
    op: str
    op_span: Span
    left: Expr
    right: Expr


class Ternary(Expr):
    then: Expr
    condition: Expr
    otherwise: Expr


# ---- steps -----------------------------------------------------------------------------------


class Label(Tree):
    """A label; text with expressions in it where it is computed."""

    span: Span
    parts: tuple[str | Expr, ...]


class TapUse(Tree):
    """`@name`: a tap, a label, or a path of them, as text with expressions in it where it is
    computed."""

    span: Span
    parts: tuple[str | Expr, ...]

    @property
    def name(self) -> str:
        """As it is written, without what it is computed to."""
        return self.span.text[1:]


class Argument(Tree):
    """`value`, `name=value`, or `/value`, whose name is "stride" and whose `name_span` is None."""

    span: Span
    name: str | None
    name_span: Span | None
    value: Expr


class Body(Tree):
    span: Span
    statements: tuple[Statement, ...]


class Step(Tree):
    span: Span


class Call(Step):
    name: str
    name_span: Span
    args: tuple[Argument, ...]
    taps: tuple[TapUse, ...]
    times: Expr | None
    body: Body | None
    until: Until | None


class Until(Tree):
    """`until layer4`: the model that is called ends with what this label gives."""

    span: Span
    path: str
    path_span: Span


class Group(Step):
    body: Body


class Shortcut(Tree):
    span: Span
    label: Label | None
    condition: Expr | None
    body: Body


class Residual(Step):
    condition: Expr | None
    body: Body
    shortcut: Shortcut | None


class Repeat(Step):
    count: Expr
    variable: str | None
    variable_span: Span | None
    body: Body


class For(Step):
    """`for a, b in items as i { }`; `index`: the name that counts the items, from 0."""

    variables: tuple[str, ...]
    variable_spans: tuple[Span, ...]
    items: Expr
    index: str | None
    index_span: Span | None
    body: Body


class If(Step):
    condition: Expr
    then: Body
    otherwise: Body | If | None


class Tap(Step):
    name: str
    parts: tuple[str | Expr, ...]


class Use(Step):
    """`@name` as a step: the tapped value replaces the flow."""

    tap: TapUse


class Aux(Step):
    source: TapUse | None
    step: Step


class Flow(Tree):
    """A step with its label."""

    span: Span
    label: Label | None
    step: Step


# ---- statements ------------------------------------------------------------------------------


class Statement(Tree):
    span: Span


class Chain(Statement):
    flows: tuple[Flow, ...]


class Input(Statement):
    """`name`: one of several has one. `whole`: its numbers are whole. `promise`: the condition
    behind `where`, over the sides that may come in."""

    name: str | None
    name_span: Span | None
    shape: Expr
    whole: bool
    promise: Expr | None


class Let(Statement):
    name: str
    name_span: Span
    value: Expr


class InitRule(Statement):
    target: tuple[str, ...]
    target_span: Span
    quoted: bool
    rule: str
    rule_span: Span
    args: tuple[Argument, ...]


class ParamDecl(Statement):
    """`param` or `buffer`."""

    buffer: bool
    name: str
    name_span: Span
    shape: Expr
    rule: str
    rule_span: Span
    args: tuple[Argument, ...]


class Declare(Statement):
    """The modules of these labels come here in the state_dict, wherever they run."""

    labels: tuple[Label, ...]


class Part(Statement):
    """`part name: step`: a module, which steps called `name` run."""

    label: Label
    step: Step


class Output(Statement):
    taps: tuple[TapUse, ...]


class Assert(Statement):
    """`claim`: a shape or a condition; `message`: what to say where it does not hold."""

    claim: Expr
    message: Expr | None


class Hole(Statement):
    """Where a syntax error stands: nothing behind it is known. `rest`: what is left of the
    statement."""

    rest: Statement | None


# ---- a file ----------------------------------------------------------------------------------


class Param(Tree):
    """A parameter of a block or model; `default` None: it must be given. `value`: it is what flows,
    `@skip`."""

    span: Span
    name: str
    name_span: Span
    default: Expr | None
    value: bool


class Definition(Tree):
    span: Span
    name: str
    name_span: Span


class Block(Definition):
    params: tuple[Param, ...]
    body: Body


class Model(Definition):
    params: tuple[Param, ...]
    body: Body


class Alias(Definition):
    """`model name = base arg=value ...`"""

    base: str
    base_span: Span
    args: tuple[Argument, ...]


class UseFile(Tree):
    span: Span
    path: str
    path_span: Span


class File(Tree):
    span: Span
    uses: tuple[UseFile, ...]
    definitions: tuple[Definition, ...]


# ---- walks ---


def names_in(expr: Expr) -> Iterator[Name | Attribute | Function]:
    """Every name, attribute of `in` and function that an expression uses."""
    stack: list[object] = [expr]
    while stack:
        part = stack.pop()
        if isinstance(part, Collected):
            own = part.variables
            inside = (part.item, *([part.condition] if part.condition else []))
            yield from (n for e in inside for n in names_in(e) if _name_of(n) not in own)
            stack.append(part.items)
            continue
        if isinstance(part, (Name, Attribute, Function)):
            yield part
        if isinstance(part, tuple):
            stack.extend(reversed(part))
        elif isinstance(part, (Expr, Argument)):
            stack.extend(getattr(part, f) for f in reversed(part.fields) if "span" not in f)


def _name_of(part: Name | Attribute | Function) -> str | None:
    return None if isinstance(part, Attribute) else part.name
