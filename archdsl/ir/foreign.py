"""Words of other frameworks, and what to write for them here.

In: a word that means nothing here. Out: the names that the writer may have meant, or advice.
"""

from __future__ import annotations

from collections.abc import Iterable

from archdsl.diagnostics.model import Fix
from archdsl.diagnostics.source import Span
from archdsl.diagnostics.suggest import closest

#: what operators and arguments are called elsewhere
ALIASES = {
    "conv1d": "conv", "conv2d": "conv", "conv3d": "conv", "convolution": "conv",
    "conv2dtranspose": "deconv", "convtranspose": "deconv", "convtranspose2d": "deconv",
    "conv_transpose": "deconv", "conv_transpose2d": "deconv", "conv_bn": "convbn",
    "dense": "linear", "fc": "linear", "fully_connected": "linear",
    "batchnorm": "bn", "batch_norm": "bn", "batchnorm1d": "bn", "batchnorm2d": "bn",
    "batchnormalization": "bn", "batch_normalization": "bn", "norm": "bn",
    "layernorm": "ln", "layer_norm": "ln", "groupnorm": "gn", "group_norm": "gn",
    "max_pool": "maxpool", "maxpool2d": "maxpool", "max_pool2d": "maxpool",
    "maxpooling2d": "maxpool", "avg_pool": "avgpool", "avgpool2d": "avgpool",
    "avg_pool2d": "avgpool", "averagepooling2d": "avgpool", "global_avgpool": "gap",
    "globalavgpool": "gap", "globalaveragepooling2d": "gap", "global_average_pooling": "gap",
    "adaptive_avgpool": "gap", "adaptiveavgpool2d": "gap", "adaptive_avg_pool2d": "gap",
    "drop": "dropout", "dropout2d": "channel_dropout", "spatial_dropout": "channel_dropout",
    "swish": "silu", "cat": "concat", "concatenate": "concat", "multiply": "mul", "sum": "add",
    "upsampling": "upsample", "upsampling2d": "upsample", "interpolate": "upsample",
    "reflect_pad": "pad", "zeropad2d": "pad", "squeeze": "flatten",
    "transpose": "permute", "skip": "residual", "droppath": "stochastic_depth",
    "padding": "pad", "kernel_size": "kernel", "ceil_mode": "ceil", "out_channels": "out",
    "out_features": "out", "channels": "out", "filters": "out", "units": "out", "strides": "stride",
    "output_size": "out", "rate": "p", "num_groups": "groups", "epsilon": "eps",
}  # fmt: skip

#: those that may have meant something else
_LOOSE = frozenset(
    ["channels", "interpolate", "norm", "reflect_pad", "skip", "squeeze", "sum", "transpose"]
)

#: arguments that say what holds anyhow
NEEDLESS = frozenset(["inplace"])

_FLOWS = "leave it out: what comes in is never written (`conv 64 3x3`, `linear 10`)"
_RECIPE = "that belongs to training: in the recipe, `loss: cross_entropy` or `optimizer: adam`"
_RECURRENT = "there are no layers for sequences of words; `archdsl ops` lists the operators"
_STEP = "write it as a step of its own: `conv 64 3x3 -> relu`"
#: names that have no counterpart here, and what to do instead
ADVICE = {
    "in_channels": _FLOWS, "in_features": _FLOWS, "num_features": _FLOWS, "input_dim": _FLOWS,
    "in_planes": _FLOWS, "input_shape": "the model's first line states it: `input 3x224x224`",
    "normalized_shape": _FLOWS, "num_channels": _FLOWS, "input_size": _FLOWS, "in": _FLOWS,
    "inplace": "`relu` alone: the compiler works in place where it can",
    "activation": _STEP, "act": _STEP,
    "name": "a name is a label: `name: conv 64 3x3`", "range": "`repeat 3 as i { ... }` counts",
    "sequential": "steps follow each other: `a -> b`, or a line each; `{ ... }` groups them",
    "view": "`flatten` makes each sample a vector, `reshape [48, -1]` any other shape",
    "device": "where a model runs is said when it is loaded", "dtype": "every tensor is float32",
    "print": "`archdsl check --shapes` shows every shape",
    "while": "`repeat n { ... }` repeats a number of times",
    "def": "`block name(parameters) { ... }` stands outside of the model",
    "loss": _RECIPE, "crossentropy": _RECIPE, "cross_entropy": _RECIPE, "crossentropyloss": _RECIPE,
    "adam": _RECIPE, "sgd": _RECIPE,
    "lstm": _RECURRENT, "gru": _RECURRENT, "rnn": _RECURRENT, "embedding": _RECURRENT,
    "return": "the last step is the output; `output @a @b` names several",
}  # fmt: skip


def similar(name: str, candidates: Iterable[str]) -> tuple[str, ...]:
    """Names like this one, a translation from other frameworks first."""
    known = set(candidates)
    same = _translation(name, known)
    return (same,) if same else closest(name, sorted(known))


def fixes(name: str, span: Span, candidates: Iterable[str]) -> tuple[Fix, ...]:
    """The one word that the writer can only have meant, if there is one: safe to put in."""
    same = _translation(name, set(candidates))
    return (
        (Fix(f"write `{same}`", ((span, same),), safe=name.lower() not in _LOOSE),) if same else ()
    )


def _translation(name: str, known: set[str]) -> str:
    """The same in lower case, or what another framework's word for it is here; or nothing."""
    lower = name.lower()
    words = (lower, ALIASES.get(lower, ""))
    return next((word for word in words if word in known and word != name), "")
