"""Structure and limits: E04xx."""

from __future__ import annotations

from dataclasses import field
from typing import ClassVar

from archdsl.diagnostics.model import Diagnostic


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
    help = "{hint}"
    hint: str = field(default="", kw_only=True)


class TooManyParameters(Misplaced):
    title = "`{owner}` has more than {limit} parameters"
    help = "pass lists: `widths=[64, 128]`"
    owner: str
    limit: int


class SecondOfOne(Misplaced):
    title = "a second {what}"
    help = "a model has one"
    what: str


class OnlyInModel(Misplaced):
    title = "{what} belongs in a model's own body"
    what: str


class NothingToName(Misplaced):
    title = "there is nothing here to name"
    help = "`tap` has its own name"


class UnlabelledAux(Misplaced):
    title = "an aux output needs a label"
    help = "`aux1: aux head classes`"


class AuxInside(Misplaced):
    title = "an aux output belongs in the model's own body"
    help = "`tap` the value here, and write `name: aux @tap head` in the model"


class NeverLabelled(Misplaced):
    title = "`{name}` is declared, but nothing here has this label"
    help = "below: `{name}: ...`"
    name: str


class TakesNoBody(Misplaced):
    title = "`{called}` takes no `{{ ... }}`"
    help = "for a part of its own, write `label: {{ ... }}`"
    called: str


class TakesNoTaps(Misplaced):
    title = "`{called}` takes no {such}"
    help = "{advice}"
    called: str
    taken: str = field(default="", kw_only=True)
    named: str = field(default="", kw_only=True)
    sized: str = field(default="", kw_only=True)

    @property
    def such(self) -> str:
        return "more values" if self.taken else "such value"

    @property
    def advice(self) -> str:
        if self.taken:
            also = f", and `{self.named}=` gives one by name" if self.named else ""
            return f"it takes {self.taken}{also}"
        if self.sized:
            flows = f"a value flows into it: `@name -> {self.called}`"
            return f"a size of the value is a number: `{self.sized}`; {flows}"
        return f"it works on what flows: `@name -> {self.called}`"


class NotAValue(Misplaced):
    title = "`{name}` is a value: `{name}=@...`"
    label = "this is no value, nor `none`"
    name: str


class NamedPart(Misplaced):
    title = "`{name}` has its name already"
    label = "the module of a part is called after it"
    help = "`tap` what it gives, behind `->`"
    name: str


class PartTakesNothing(Misplaced):
    title = "`{name}` is a part: its arguments stand where it is declared"
    label = "it works on what flows"
    help = "what flows into it: `@value -> {name}`"
    name: str


class PartElsewhere(Misplaced):
    title = "the part `{name}` runs where it is declared, not inside a labelled group or a block"
    help = "run it outside, on a tapped value: `@value -> {name}`"
    name: str


class UnusedPart(Misplaced):
    title = "nothing runs the part `{name}`"
    help = "a step that is called so runs it: `@value -> {name}`"
    name: str


class OtherUse(Misplaced):
    title = "this cannot run the module of `{name}`"
    label = "{why}"
    help = "a module that is made for one size or number of channels takes no other"
    name: str
    why: str


class UnnamedInput(Misplaced):
    title = "of several inputs each has a name"
    help = "`input image 3x224x224` and `input depth 1x224x224`; `@depth` is the value"


class WholeNumbers(Misplaced):
    title = "`{called}` computes with fractions, and what flows here are whole numbers"
    help = "`embedding n dim` makes vectors of them"
    called: str


class WhereOfSeveral(Misplaced):
    title = "`where` is for a model with one input"
    help = "leave it out: what the operators need is checked as ever"


class OnlyInBlock(Misplaced):
    title = "a model gets no `@{name}`"
    help = "{hint}"
    name: str
    hint: str = field(default="", kw_only=True)


class NeedsBranches(Misplaced):
    title = "`{called}` joins branches"
    called: str


class NoBranches(Misplaced):
    title = "`{called}` has no branches"
    help = "each line between the braces is a branch"
    called: str


class UntilOfBlock(Misplaced):
    title = "`{called}` is a block, which has no `until`"
    help = "a model that is called as a step may end early: `backbone: resnet50 until layer4`"
    called: str


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
    help = "{hint}"
    hint: str = field(default="", kw_only=True)


class NoModelHere(NoModel):
    title = "`{file}` has no model"
    help = "begin one with `model name {{ input 3x224x224 ... }}`"
    file: str


class SeveralModels(NoModel):
    title = "there are several models here"
