"""Every diagnostic: one class a code. Messages are written here and nowhere else.

Codes: E00xx the text, E01xx names, E02xx shapes, E03xx values, E04xx structure and limits; W00xx
warnings, in `warnings.py`.
A code is never used again for something else.
"""

from __future__ import annotations

from typing import ClassVar

from archdsl.diagnostics.model import Diagnostic
from archdsl.text import did_you_mean

# ---- E00xx: the text -------------------------------------------------------------------------


class SyntaxProblem(Diagnostic):
    """The text does not follow the grammar at this place."""

    code = "E0001"
    slug = "syntax"
    title = "{what}"
    label = "{expected}"
    help = "{hint}"
    what: str
    expected: str = ""
    hint: str = ""


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


# ---- E01xx: names ----------------------------------------------------------------------------


class _Unknown(Diagnostic):
    """Base of the messages about a name that means nothing here."""

    name: str
    similar: tuple[str, ...] = ()
    hint: str = ""

    help = "{similar_help}"

    @property
    def similar_help(self) -> str:
        if self.hint or not self.similar:
            return self.hint
        if self.fixes:
            return self.fixes[0].title
        return did_you_mean([f"`{name}`" for name in self.similar])


class UnknownOperation(_Unknown):
    """A step names an operator (`archdsl ops` lists them), a block of this file or of a file that
    it uses, a block of the prelude, or a parameter that holds one of these."""

    code = "E0101"
    slug = "unknown-operation"
    title = "unknown operation `{name}`"
    label = "no operator or block has this name"


class UnknownName(_Unknown):
    """An expression uses a name that is no parameter, `let` or loop variable here."""

    code = "E0102"
    slug = "unknown-name"
    title = "unknown name `{name}`"
    label = "no parameter or variable has this name"


class UnknownArgument(_Unknown):
    """A call names an argument that the operator or block does not have."""

    code = "E0103"
    slug = "unknown-argument"
    title = "`{owner}` has no argument `{name}`"
    label = "{signature}"
    owner: str = ""
    signature: str = ""


class DuplicateName(Diagnostic):
    """Two things in one scope may not share a name: state_dict keys would clash, or the fields of
    what a model returns."""

    code = "E0104"
    slug = "duplicate-name"
    title = "the name `{name}` is taken"
    label = "a second {what} of this name"
    help = "{hint}"
    name: str
    what: str
    hint: str = ""


class UnknownTap(_Unknown):
    """`@name` needs a `tap name` that ran before, or a `param`, in the same block."""

    code = "E0105"
    slug = "unknown-tap"
    title = "no tap `{name}` before this place"
    label = "nothing has this name yet"


class UnknownFunction(_Unknown):
    """Expressions may call a few functions; nothing else."""

    code = "E0106"
    slug = "unknown-function"
    title = "unknown function `{name}`"
    label = "not a function of the language"


class UnknownModel(_Unknown):
    """The file holds no model of that name."""

    code = "E0107"
    slug = "unknown-model"
    title = "no model `{name}`"


class UnknownParameter(_Unknown):
    """A parameter given from outside (`-p name=value`) must be one of the model's."""

    code = "E0108"
    slug = "unknown-parameter"
    title = "`{owner}` has no parameter `{name}`"
    label = "its parameters are declared here"
    owner: str = ""


class BadLabel(Diagnostic):
    """A label becomes an attribute of a torch module and a part of a state_dict key."""

    code = "E0109"
    slug = "bad-label"
    title = "`{name}` cannot be a label"
    label = "{reason}"
    help = "use another name, of letters, digits, `_` and `-`"
    name: str
    reason: str


class UnknownRule(_Unknown):
    """An `init` or `param` line names a rule of torch.nn.init that the language does not have."""

    code = "E0110"
    slug = "unknown-rule"
    title = "unknown initialisation `{name}`"
    label = "no rule has this name"


class UnknownTarget(_Unknown):
    """An `init` line names neither an operator nor a layer of this block or model."""

    code = "E0111"
    slug = "unknown-target"
    title = "`{name}` is no operator and no layer here"
    label = "nothing to initialise"


# ---- E02xx: shapes ---------------------------------------------------------------------------


class _Refused(Diagnostic):
    """Base: an operator refuses its input, in its own words."""

    title = "{problem}"
    label = "the input here is {input}"
    help = "{hint}"
    problem: str
    input: str
    hint: str = ""


class WrongRank(_Refused):
    """The operator needs an input with another number of dimensions."""

    code = "E0201"
    slug = "wrong-rank"


class DoesNotFit(_Refused):
    """A window (a convolution's or pooling's kernel) is larger than what it slides over."""

    code = "E0202"
    slug = "does-not-fit"
    note = "{story}"
    story: str = ""


class ResidualMismatch(Diagnostic):
    """`residual` adds what its body computes to its shortcut; both must have the same shape."""

    code = "E0203"
    slug = "residual-mismatch"
    title = "the two sides of this residual have different shapes"
    label = "the main path is {main}, the shortcut {side}"
    help = "{hint}"
    main: str
    side: str
    hint: str = ""


class JoinMismatch(Diagnostic):
    """The branches of a join must agree: in every dimension for `add` and `mul` (up to
    broadcasting), in all but one for `concat`."""

    code = "E0204"
    slug = "join-mismatch"
    title = "{problem}"
    label = "the branches are {shapes}"
    help = "{hint}"
    problem: str
    shapes: str
    hint: str = ""


class AssertionFailed(Diagnostic):
    """An `assert` states the shape that flows at its place."""

    code = "E0205"
    slug = "assertion-failed"
    title = "the shape here is {actual}, not {stated}"
    label = "stated as {stated}"
    help = "{hint}"
    actual: str
    stated: str
    hint: str = ""


class NoBatch(Diagnostic):
    """A parameter is the same for every sample, so it has no batch. Where it is broadcast against a
    value that has one (`add`, `mul`), it is repeated as torch does. Everywhere else (as a step, a
    branch of `concat`, a side of a residual, an output) it stands for a whole batch: its shape
    needs a leading 1, which is repeated for each sample."""

    code = "E0206"
    slug = "no-batch"
    title = "this parameter of {shape} has no place for the batch"
    label = "here each sample needs one of its own"
    help = "write a leading 1: `{wanted}`, which is repeated for each sample"
    shape: str
    wanted: str


# ---- E03xx: values ---------------------------------------------------------------------------


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
    title = "{problem}"
    label = "{signature}"
    help = "{hint}"
    problem: str
    signature: str = ""
    hint: str = ""


class BadExpression(Diagnostic):
    """An expression cannot be computed: a wrong type, a division by zero, a number beyond all
    sizes, an index outside its list."""

    code = "E0304"
    slug = "bad-expression"
    title = "{problem}"
    label = "{value}"
    help = "{hint}"
    problem: str
    value: str = ""
    hint: str = ""


# ---- E04xx: structure and limits -------------------------------------------------------------


class Recursion(Diagnostic):
    """Expansion must end, so a block may not call itself, directly or through others."""

    code = "E0401"
    slug = "recursion"
    title = "{what} `{name}` reaches itself"
    label = "through {path}"
    help = "{hint}"
    what: str
    name: str
    path: str
    hint: str = "write the repetition with `repeat`"


class OverLimit(Diagnostic):
    """Limits bound what a small text may expand to."""

    code = "E0402"
    slug = "over-limit"
    title = "{what}: more than {limit:,} {unit}"
    label = "the limit is passed here"
    help = "raise it with `--limit {name}=N` if this is meant"
    what: str
    limit: int
    unit: str
    name: str


class _OverBudget(Diagnostic):
    """Base of the messages about a model that needs more than it may."""

    title = "{need}, over the budget of {limit}"
    note = "the largest: {layers}"
    help = "{hint}make these smaller, or raise `{flag}`"
    flag: ClassVar[str]
    need: str
    limit: str
    layers: str
    hint: str = ""


class OverParams(_OverBudget):
    """The model has more parameters than `archdsl check --max-params 25M` allows: a gate for
    scripts. k, M, G and T stand for powers of 1000."""

    code = "E0406"
    slug = "over-params"
    flag = "--max-params"


class OverMacs(_OverBudget):
    """The model takes more multiply-accumulates for a sample than `archdsl check --max-macs 4G`
    allows."""

    code = "E0407"
    slug = "over-macs"
    flag = "--max-macs"


class OverMemory(_OverBudget):
    """To train the model takes more memory than `archdsl check --max-memory 8G --batch 64` allows:
    in float32, with SGD and momentum, the most that is held at once of weights, gradients,
    optimizer state, and what the layers keep for the backward pass. 8G and 8GB are 8 * 1000^3
    bytes, 8GiB are 8 * 1024^3."""

    code = "E0408"
    slug = "over-memory"
    flag = "--max-memory"


class Misplaced(Diagnostic):
    """A statement stands where it has no meaning."""

    code = "E0403"
    slug = "misplaced"
    title = "{problem}"
    help = "{hint}"
    problem: str
    hint: str = ""


class NoInput(Diagnostic):
    """A model states what enters it."""

    code = "E0404"
    slug = "no-input"
    title = "model `{name}` has no `input`"
    help = "begin it with its input's shape: `input 3x224x224`, or `input 4` for four features"
    name: str


class NoModel(Diagnostic):
    """The file defines no model, or several of which none is chosen."""

    code = "E0405"
    slug = "no-model"
    title = "{problem}"
    help = "{hint}"
    problem: str
    hint: str = ""
