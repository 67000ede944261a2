"""Names that mean nothing here: E01xx."""

from __future__ import annotations

from archdsl.diagnostics.model import Diagnostic
from archdsl.text import did_you_mean


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
    title = "no value `{name}` before this place"
    label = "nothing has this name yet"


class AbsentValue(UnknownTap):
    title = "`{name}` may be none here, and is"
    label = "this call of the block gives none"
    help = "ask first: `if @{name} {{ ... }}`"


class UnknownLabel(UnknownTap):
    title = "no label `{name}` in this model"
    label = "nothing there is called so"


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


class UnknownInput(UnknownParameter):
    title = "the model has no input `{name}`"
    label = "its inputs are declared here"


class InputUnnamed(UnknownParameter):
    title = "the model has several inputs: say which, `--input {name}`"
    label = "its inputs are declared here"


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
