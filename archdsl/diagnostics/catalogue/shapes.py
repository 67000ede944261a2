"""Shapes that do not fit: E02xx. What an operator refuses it says in its own words (`Blame`)."""

from __future__ import annotations

from dataclasses import field

from archdsl.diagnostics.model import Diagnostic


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
    title = "the branches do not agree: {one} and {other}"
    label = "the branches are {shapes}"
    help = "{hint}"
    one: str
    other: str
    shapes: str
    hint: str = ""


class AssertionFailed(Diagnostic):
    """An `assert` states the shape that flows at its place, or a condition."""

    code = "E0205"
    slug = "assertion-failed"
    note = "{said}"
    help = "{hint}"
    said: str = field(default="", kw_only=True)
    hint: str = field(default="", kw_only=True)


class OtherShape(AssertionFailed):
    title = "the shape here is {actual}, not {stated}"
    label = "stated as {stated}"
    actual: str
    stated: str


class DoesNotHold(AssertionFailed):
    title = "`{text}` does not hold"
    label = "{values}"
    text: str
    values: str


class PromiseProblem(Diagnostic):
    """`where` behind an `input` says which sizes may come in. The network must take every one of
    them: this is proven for all sizes, or the smallest that it does not take is named, with the
    step that refuses it. The declared size must be one of them too."""

    code = "E0207"
    slug = "promise"
    help = "{hint}"
    hint: str = field(default="", kw_only=True)


class PromiseBroken(PromiseProblem):
    title = "`{model}` does not take every size that is promised here: not {size}"
    label = "{size} is one of these"
    note = "`{step}` refuses it"
    model: str
    size: str
    step: str


class NotProven(PromiseProblem):
    title = "it cannot be proven that these sizes are all taken"
    label = "the network takes {takes}"
    takes: str


class NotDeclaredSo(PromiseProblem):
    title = "the size that is given, {declared}, is none of those that may come in"
    label = "`where` does not hold for {declared}"
    declared: str


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


class UnfitRule(Diagnostic):
    """A rule of initialisation needs weights of some number of dimensions: `dirac` those of a
    convolution, `eye` and `sparse` a matrix."""

    code = "E0208"
    slug = "unfit-rule"
    title = "`{rule}` cannot fill a weight of {shape}"
    label = "{reason}"
    help = "`normal`, `uniform`, `constant`, `zeros` and `ones` fill any weight"
    rule: str
    shape: str
    reason: str
