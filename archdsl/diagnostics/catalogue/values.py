"""Values and expressions: E03xx."""

from __future__ import annotations

from dataclasses import field

from archdsl.diagnostics.model import Diagnostic


class BadValue(Diagnostic):
    """An argument's value is not one that the operator takes (for this input)."""

    code = "E0301"
    slug = "bad-value"
    title = "{problem}"
    label = "{value}"
    note = "{fact}"
    help = "{hint}"
    problem: str
    value: str = ""
    hint: str = ""
    fact: str = ""


class MissingArgument(Diagnostic):
    """An argument without a default was not given."""

    code = "E0302"
    slug = "missing-argument"
    title = "`{owner}` needs {names}"
    label = "{signature}"
    help = "{hint}"
    owner: str
    names: str
    signature: str = ""
    hint: str = ""


class ExtraArgument(Diagnostic):
    """More arguments were given than there are, or one was given twice."""

    code = "E0303"
    slug = "extra-argument"
    label = "{signature}"
    help = "{hint}"
    signature: str = field(default="", kw_only=True)
    hint: str = field(default="", kw_only=True)


class GivenTwice(ExtraArgument):
    title = "`{argument}` is given twice"
    label = "the second time here"
    argument: str


class NameApart(ExtraArgument):
    title = "`{owner}` gets a name apart from its value"
    owner: str


class TooManyArguments(ExtraArgument):
    title = "`{owner}` takes {count} without a name"
    owner: str
    count: str


class BadExpression(Diagnostic):
    """An expression cannot be computed: a wrong type, a division by zero, a number beyond all
    sizes, an index outside its list."""

    code = "E0304"
    slug = "bad-expression"
    help = "{hint}"
    hint: str = field(default="", kw_only=True)


class NotAsMany(BadExpression):
    title = "{value} does not give {count} values"
    label = "in this list"
    value: str
    count: int


class NotACondition(BadExpression):
    title = "a condition must be true or false, not {value}"
    value: str


class NotACount(BadExpression):
    title = "a repeat count must be a whole number of at least 0, not {value}"
    value: str


class NotAList(BadExpression):
    title = "this must be a list, not {value}"
    value: str


class NotANumber(BadExpression):
    title = "this must be a number, not {value}"
    value: str


class NotAShape(BadExpression):
    title = "a shape is made of whole numbers of at least 1, not {value}"
    help = "such as `3x224x224`, or `4`"
    value: str


class NotAStep(BadExpression):
    title = "`{name}` is {value}, not a block or operator"
    name: str
    value: str


class NotAClaim(BadExpression):
    title = "`assert` states a shape or a condition, not {value}"
    help = "such as `assert 64x_x_`, or `assert in % 8 == 0`"
    value: str


class AnySideElsewhere(BadExpression):
    title = "`_` stands for any side in an `assert` alone"


class NoDimensions(BadExpression):
    title = "what enters here has no dimensions"


class NoSide(BadExpression):
    title = "`{of}` has no `{name}`"
    help = "`{of}.c`, `{of}.h`, `{of}.w`, or `{of}[0]`, `{of}[1]`, ..."
    name: str
    of: str


class NoSuchSide(BadExpression):
    title = "an input of {shape} has no `{name}`"
    help = "{known}"
    shape: str
    name: str
    known: str


class NotProvable(BadExpression):
    title = "a condition behind `where` is one that can be proven for all sizes"
    label = "made of whole numbers and sides, `+ - * // %`, `min`, `max`, comparisons, `and`, `or`"


class SideMissing(BadExpression):
    title = "{shape} has no {side}"
    shape: str
    side: str


class NoFlow(BadExpression):
    title = "nothing flows here"
    help = "sizes of values are known inside a block or model, behind its input"


class ValueNoNumber(BadExpression):
    title = "`@{name}` is a value, not a number"
    help = "a size of it is: `@{name}.c`, `@{name}.h`, `@{name}[0]`"
    name: str


class NoNamedArguments(BadExpression):
    title = "`{function}` takes no named arguments"
    function: str


class WrongCount(BadExpression):
    title = "`{function}` takes {wanted} arguments, not {count}"
    function: str
    wanted: str
    count: int


class NotCallable(BadExpression):
    title = "`{name}` is no function, block or operator"
    name: str


class NotIndexed(BadExpression):
    title = "{value} cannot be indexed by {index}"
    value: str
    index: str


class NoItem(BadExpression):
    title = "there is no item {index} in a list of {count}"
    index: int
    count: int


class NotSliced(BadExpression):
    title = "{value} cannot be sliced so"
    value: str


class DoesNotApply(BadExpression):
    title = "`{operator}` does not apply to {left} and {right}"
    help = "{hint}"
    operator: str
    left: str
    right: str


class NoValue(BadExpression):
    title = "`{text}` has no value for {arguments}"
    text: str
    arguments: str


class DivisionByZero(BadExpression):
    title = "division by zero"


class PowerTooLarge(BadExpression):
    title = "this power is too large"


class BeyondFloats(BadExpression):
    title = "this number is beyond float32 (the limit is 3.4e38)"


class BeyondSizes(BadExpression):
    title = "this number is beyond all sizes (the limit is 2^40, {limit:,})"
    limit: int


class TooMuchWork(BadExpression):
    title = "this takes too long (the limit is {limit:,} steps)"
    limit: int


class TooMuchFixed(BadExpression):
    title = "too much is fixed here (the limit is {limit} arguments)"
    limit: int


class ListTooLong(BadExpression):
    title = "this list is too long (the limit is {limit:,})"
    limit: int


class ListTooDeep(BadExpression):
    title = "lists nest too deep here (the limit is {limit})"
    limit: int


class TextTooLong(BadExpression):
    title = "this string is too long (the limit is {limit:,} characters)"
    limit: int


class NotOfAttributes(BadExpression):
    title = "too much for an expression over a layer's attributes"
