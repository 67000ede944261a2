"""What is wrong with the text itself: E00xx."""

from __future__ import annotations

from dataclasses import field

from archdsl.diagnostics.model import Diagnostic


class SyntaxProblem(Diagnostic):
    """The text does not follow the grammar at this place."""

    code = "E0001"
    slug = "syntax"
    label = "{expected}"
    help = "{hint}"
    expected: str = field(default="", kw_only=True)
    hint: str = field(default="", kw_only=True)


class NotAnExpression(SyntaxProblem):
    title = "`{text}` is not an expression"
    text: str


class SecondRepetition(SyntaxProblem):
    title = "a second repetition"
    help = "a step is repeated once: `x6` for `x2 x3`; or put it into `repeat`"


class LooseBrace(SyntaxProblem):
    title = "a `{brace}` without its partner in this string"
    help = '`{brace}{brace}` is a brace; one alone begins or ends an expression: `"stage{{i}}"`'
    brace: str


class TooManyInserted(SyntaxProblem):
    title = "more than {limit:,} expressions stand in strings and labels"
    help = "write what repeats with `repeat` or a `block`"
    limit: int


class UnexpectedCharacter(SyntaxProblem):
    title = "unexpected character `{text}`"
    text: str


class UnfinishedString(SyntaxProblem):
    title = "this string does not end on its line"


class NoSuchWord(SyntaxProblem):
    title = "`{text}` is no number, size or name"
    text: str


class EarlyEnd(SyntaxProblem):
    title = "the file ends too early"
    label = "here"


class EarlyLineEnd(SyntaxProblem):
    title = "the line ends too early"


class UnexpectedWord(SyntaxProblem):
    title = "unexpected `{text}`"
    text: str


class UnfinishedStatement(SyntaxProblem):
    title = "the statement before `}` is not finished"


class ClosesNothing(SyntaxProblem):
    title = "this `{bracket}` closes nothing"
    bracket: str


class NotClosed(SyntaxProblem):
    title = "this `{bracket}` is not closed"
    bracket: str


class MissingBrace(SyntaxProblem):
    title = "a `}` is missing"
    help = "close it with `}`"


class NotText(Diagnostic):
    """A spec is UTF-8 text; this file holds bytes that are not."""

    code = "E0002"
    slug = "not-text"
    title = "`{path}` is not a text file"
    note = "byte {at} is not UTF-8"
    help = "a spec is plain UTF-8 text; is this the right file?"
    path: str
    at: int


class CannotRead(Diagnostic):
    """The file is missing, is a folder, or may not be read."""

    code = "E0003"
    slug = "cannot-read"
    title = "cannot read `{path}`: {reason}"
    help = "{hint}"
    path: str
    reason: str
    hint: str = ""


class TooLong(Diagnostic):
    """Specs are small: ResNet-50 has 300 words and signs. A limit keeps a wrong or generated file
    from taking the machine's time."""

    code = "E0004"
    slug = "too-long"
    title = "the text is too long: {size}"
    help = "write what repeats with `repeat` or a `block`; or raise it: `--limit tokens={more}`"
    size: str
    limit: int

    @property
    def more(self) -> int:
        return 10 * self.limit


class TooDeep(Diagnostic):
    """Brackets, braces and operators nest only so far."""

    code = "E0005"
    slug = "too-deep"
    title = "nested too deep"
    label = "more than {limit} levels here"
    help = "give inner parts names, with `block` or `let`"
    limit: int


class TooMany(Diagnostic):
    """After a hundred errors the rest is left out: they mostly follow from a few causes."""

    code = "E0006"
    slug = "too-many"
    title = "there are more than {limit} errors"
    label = "from here on they are not shown"
    help = "mend the first ones and check again"
    limit: int
