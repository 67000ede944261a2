"""The operator table: what an operator is.

One frozen class per operator is the whole operator: its fields are the signature in the language,
its docstring the manual, its methods the shape rule, the weights, the multiply-accumulates and the
torch lowering. Nobody else knows an operator's name. Shapes leave the batch out: `C`, `C×H×W`, ...

Rules blame a field, not a place: `raise Blame("groups", ...)`; the checker knows where the person
wrote that argument.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NoReturn, Self, dataclass_transform

from archdsl.ops.lowering import (
    LIKE as LIKE,
)
from archdsl.ops.lowering import (
    REQUIRED as REQUIRED,
)
from archdsl.ops.lowering import (
    TRAINING as TRAINING,
)
from archdsl.ops.lowering import (
    Call as Call,
)
from archdsl.ops.lowering import (
    Computed as Computed,
)
from archdsl.ops.lowering import (
    Input as Input,
)
from archdsl.ops.lowering import (
    Name as Name,
)
from archdsl.ops.lowering import (
    Sides as Sides,
)
from archdsl.ops.lowering import (
    X as X,
)
from archdsl.ops.lowering import (
    call as call,
)
from archdsl.ops.seen import NoField, Seen, as_field
from archdsl.ops.support import definitions
from archdsl.ops.types import Bool, Type
from archdsl.text import shape_text

Shape = tuple[int, ...]
TABLE: dict[str, type[Op]] = {}

Kind = Literal["value", "rank", "fit"]


class Blame(Exception):
    """An operator refuses its arguments or its input.

    `field`: the argument at fault, or None where the input is. `kind`: "value" an argument that is
    wrong in itself or for this input, "rank" an input of the wrong rank, "fit" a window larger than
    what it slides over. `help`: the remedy, or what finds it when somebody asks.
    """

    def __init__(
        self,
        field: str | None,
        message: str,
        *,
        kind: Kind = "value",
        help: str | Callable[[], str] = "",
    ) -> None:
        super().__init__(message)
        self.field, self.message, self.kind, self._help = field, message, kind, help

    @property
    def help(self) -> str:
        return self._help if isinstance(self._help, str) else self._help()


class Mismatch(Blame):
    """Two inputs of a join do not agree."""

    def __init__(self, one: Shape, other: Shape, help: str | Callable[[], str]) -> None:
        self.one, self.other = shape_text(one), shape_text(other)
        super().__init__(None, f"{self.one} and {self.other} do not agree", help=help)


@dataclass(frozen=True, slots=True)
class Arg:
    """One argument of an operator. `default` is REQUIRED where there is none."""

    name: str
    type: Type
    default: Any
    doc: str
    keyword: bool  # may only be given by name
    #: how a picture says a value that is not the default, such as `/{}`; empty: only a positional
    #: one is said, as it is
    told: str = ""

    @property
    def required(self) -> bool:
        return self.default is REQUIRED


@dataclass(frozen=True, slots=True)
class _Declared:
    type: Type
    default: Any
    doc: str
    keyword: bool
    told: str


def arg(
    type: Type, *, default: Any = REQUIRED, doc: str, keyword: bool = False, told: str = ""
) -> Any:
    """Declare an argument of an operator in its class body; the order there is the signature."""
    return _Declared(type, default, doc, keyword, told)


@dataclass(frozen=True, slots=True)
class Weight:
    """An entry of the state_dict that an operator adds: its key's last part, shape and dtype."""

    name: str
    shape: Shape
    buffer: bool = False
    dtype: str = "float32"

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Saved:
    """What lives on until an operator's backward pass: its inputs, its output, and `more` bytes of
    each sample (in float32), with `full` more where they are in half precision: what stays in
    full. `view`: its output is its input's own memory."""

    input: bool = False
    output: bool = False
    more: int = 0
    full: int = 0
    view: bool = False


#: the size and the step of what a value sees in each spatial dimension (`math.inf`: all of it);
#: empty: what is at its place; ALL: everything
Reach = tuple[tuple[float, float], ...] | None
ALL: Reach = None
INPUT, OUTPUT, VIEW = Saved(input=True), Saved(output=True), Saved(view=True)


# ---- the operator ----------------------------------------------------------------------------


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(arg,))
class Op:
    """Base of every operator.

    A subclass names itself (`class Conv(Op, name="conv", family="convolution")`), declares its
    arguments with `arg`, and overrides what it needs of the methods below. The docstring's first
    paragraph is the manual; `example` is a statement of the language that a test checks, applied
    to an input of shape `example_input`.
    """

    name: ClassVar[str] = ""
    family: ClassVar[str] = ""
    args: ClassVar[dict[str, Arg]] = {}
    example: ClassVar[str] = ""
    example_input: ClassVar[Shape] = (3, 32, 32)
    #: shapes that a join fits; equal numbers in them must be equal
    example_inputs: ClassVar[tuple[Shape, ...]] = ()
    #: takes whole numbers, from 0 up to below this argument
    below: ClassVar[str] = ""
    #: gives random numbers, in evaluation too
    random: ClassVar[bool] = False
    #: the number of inputs; None: two or more, the branches of a join
    arity: ClassVar[int | None] = 1
    #: a join whose inputs are repeated to fit each other, as torch broadcasts
    broadcasts: ClassVar[bool] = False
    #: a join of which it matters which branch is the first
    ordered: ClassVar[bool] = False
    #: the argument of a join that stands for its other branches: `add 1.0`
    instead: ClassVar[str] = ""
    #: what two inputs give that are one value, where nobody means that: `only 0`
    of_same: ClassVar[str] = ""
    #: the sign that a person writes for it, where there is one
    symbol: ClassVar[str] = ""
    #: torch's module and function take `inplace=True`
    inplace: ClassVar[bool] = False
    #: a new tensor that the operator's own backward does not read: the next may overwrite it
    fresh: ClassVar[bool] = False
    #: a pointwise nonlinearity (what a network needs between two linear layers)
    nonlinear: ClassVar[bool] = False
    #: a learned linear map, with its bias
    linear: ClassVar[bool] = False
    #: reads and gives a feature map, C×L, C×H×W or C×D×H×W
    maps: ClassVar[bool] = False
    #: gives the probabilities that the cross-entropy loss computes itself
    probabilities: ClassVar[bool] = False
    #: where the shape stays, each value is passed on in evaluation, at most scaled and shifted
    passes: ClassVar[bool] = False
    #: decides where the values lie in memory, and nothing else
    arranges: ClassVar[bool] = False
    #: in evaluation its output is its input
    idle: ClassVar[bool] = False
    #: the dimension of its weight that the output channels stand in; None: it has no such weight
    filters_at: ClassVar[int | None] = None
    #: the numbers in its module's constructor hold the input to its size, as the weights do
    binds: ClassVar[bool] = True
    #: takes each channel's mean over the batch away
    of_batch: ClassVar[bool] = False
    #: adds a learned number, its `bias`, to each channel
    shifts: ClassVar[bool] = False
    #: gives nothing below 0
    nonnegative: ClassVar[bool] = False
    #: leaves what is not below 0 as it is
    keeps_positive: ClassVar[bool] = False
    #: the layers inside of it, as (operator, torch class): `init` of that operator reaches them too
    holds: ClassVar[tuple[tuple[str, str], ...]] = ()
    #: arguments that torch gets as they are, whatever they are: numbers that choose nothing
    free: ClassVar[tuple[str, ...]] = ()
    #: takes an `int` input, whose numbers are whole
    whole: ClassVar[bool] = False
    #: the argument that may be `@value`: a second input, whose spatial size it takes
    like: ClassVar[str] = ""
    #: arguments that its function's call has as they are: they may be computed from sides there
    follows: ClassVar[tuple[str, ...]] = ()
    #: parameters that torch's class may lack, whatever this one does
    may_lack: ClassVar[frozenset[str]] = frozenset()
    #: what its backward pass reads; `saved` decides where that depends on arguments
    reads: ClassVar[Saved] = Saved()
    #: the precision that torch's autocast gives it on a GPU: "half", "full", or as its inputs are
    autocast: ClassVar[str] = ""
    #: the file of `archdsl.ops.support` that defines what the lowering calls and torch lacks
    support: ClassVar[str] = ""
    #: torch's classes and functions that it may be lifted from, by the names of `Seen`
    lifts: ClassVar[tuple[str, ...]] = ()
    #: lifts what no other operator does
    general: ClassVar[bool] = False
    #: how torch names an argument, where that differs: pairs of our name and its
    aliases: ClassVar[tuple[tuple[str, str], ...]] = ()
    #: the arguments that count dimensions, which torch counts with the batch
    counting: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, *, name: str = "", family: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        declared = {
            key: Arg(key, value.type, value.default, value.doc, value.keyword, value.told)
            for key, value in vars(cls).items()
            if isinstance(value, _Declared)
        }
        for key in declared:
            delattr(cls, key)
        cls.args = {**cls.args, **declared}
        if name:
            cls.name, cls.family = name, family
            TABLE[name] = cls

    def __init__(self, **values: Any) -> None:
        """Values as the types' `convert` returns them; arguments left out take their default."""
        for key, spec in self.args.items():
            object.__setattr__(self, key, values.pop(key, spec.default))
        if values:
            raise TypeError(f"{self.name} has no argument {', '.join(values)}")

    def __setattr__(self, key: str, value: Any) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, key) for key in self.args)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), self._values()))

    def __repr__(self) -> str:
        given = ", ".join(
            f"{k}={getattr(self, k)!r}"
            for k, a in self.args.items()
            if getattr(self, k) != a.default
        )
        return f"{type(self).__name__}({given})"

    def replace(self, **changes: Any) -> Self:
        return type(self)(**{**{k: getattr(self, k) for k in self.args}, **changes})

    def keywords(self, *names: str) -> dict[str, tuple[Any, Any]]:
        """These arguments (all, where none is named) for a `call` to torch, which names them alike
        and has the same defaults."""
        return {key: (getattr(self, key), self.args[key].default) for key in names or self.args}

    @classmethod
    def defines(cls) -> tuple[str, ...]:
        """Python that the lowering calls and torch lacks."""
        return definitions(cls.support)

    # -- rules: each gets the shapes of its inputs, in order

    def shape(self, *inputs: Shape) -> Shape:
        """The output's shape; raises `Blame` where the operator cannot take these inputs."""
        return inputs[0]

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        """The state_dict entries, in torch's order."""
        return ()

    def macs(self, *inputs: Shape) -> int:
        """Multiply-accumulates for one sample, as torch's FlopCounterMode counts them (/ 2)."""
        return 0

    def footprint(self, *inputs: Shape) -> Shape:
        """The size of the window that slides over the feature map, and sees nothing outside of it;
        empty where there is none."""
        return ()

    def centres(self, *inputs: Shape) -> bool:
        """Whether it takes the mean of each channel away, and with it a bias that came before."""
        return False

    def lost(self, *inputs: Shape) -> str:
        """Why the result is the same whatever comes in, in training at least; nothing where it is
        not."""
        return ""

    def places(self, *inputs: Shape) -> int:
        """Among how many places its attention chooses; 0: it has none."""
        return 0

    def saved(self, *inputs: Shape) -> Saved:
        """What training keeps for the backward pass."""
        return self.reads

    def reach(self, *inputs: Shape) -> Reach:
        """What a value of the output sees of the input's space."""
        return ()

    def rescales(self) -> float | None:
        """What is added to the variance where in evaluation it scales and shifts each channel by
        its running statistics; None: it does not."""
        return None

    def module(self, *inputs: Shape) -> Call:
        """The constructor of the torch module that computes this operator."""
        raise NotImplementedError(self.name)

    def direct(self, *inputs: Shape) -> tuple[Call, Call] | None:
        """The torch module that `module` wraps to take one tensor, and how a forward calls it: its
        target is the module, its first result is the output. None: `module` wraps nothing."""
        return None

    def function(self, *inputs: Shape) -> Call | None:
        """The same as a function of the inputs, for an operator without weights that is not named;
        None: use the module."""
        return None

    @classmethod
    def of(cls, seen: Seen) -> Lifted | None:
        """The operator that computes what a call of torch did; None where there is no such. The
        inverse of `module` and `function`: the arguments are read by torch's names for them."""
        try:
            return Lifted(cls(**cls._given(seen)))
        except NoField:
            return None

    @classmethod
    def _given(cls, seen: Seen) -> dict[str, Any]:
        values = {}
        for key, spec in cls.args.items():
            also = (theirs for ours, theirs in cls.aliases if ours == key)
            names = [n for n in (*also, key) if n in seen.args]
            value = seen.args[names[0]] if names else spec.default
            if value is None and not isinstance(spec.type, Bool):
                continue
            if key in cls.counting:
                value = _counted(value)
            values[key] = as_field(spec.type, value)
        return values

    def itself(self, *inputs: Shape) -> bool:
        """Whether the output is the very tensor that came in: a join of one branch."""
        made = self.function(*inputs)
        return made is not None and made.itself


@dataclass(frozen=True, slots=True)
class Lifted:
    """An operator that computes what a call of torch did, from which of the call's inputs.

    `origin`: it computes from the inputs of an earlier call, so many calls back along the first
    inputs: what several calls do together. `merged`: as many first dimensions of each input are
    one for it.
    """

    op: Op
    inputs: tuple[int, ...] | None = None  # None: all
    origin: int = 0
    merged: int = 1


def _counted(value: Any) -> Any:
    """torch's number (or numbers) of a dimension, without the batch. Raises `NoField`."""
    if isinstance(value, (tuple, list)):
        return tuple(map(_counted, value))
    if not isinstance(value, int) or value == 0:
        raise NoField
    return value - 1 if value > 0 else value


def operators() -> Iterator[type[Op]]:
    """Every operator, in the order of their declaration (families together)."""
    return iter(TABLE.values())
