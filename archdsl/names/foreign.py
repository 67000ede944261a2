"""Words of other frameworks, and what to write for them here.

In: a word that means nothing here. Out: the names that the writer may have meant, or advice.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from archdsl.diagnostics.model import Fix
from archdsl.diagnostics.source import Span
from archdsl.diagnostics.suggest import closest

#: what operators and arguments are called elsewhere: in lower case, without `_`, and without `2d`
#: but where that makes a difference
ALIASES = {
    "convolution": "conv", "convtranspose": "deconv", "upconv": "deconv",
    "transposedconv": "deconv", "transposeconv": "deconv", "conv2dtranspose": "deconv",
    "dense": "linear", "fc": "linear", "fullyconnected": "linear", "convbnrelu": "convbn",
    "batchnorm": "bn", "batchnormalization": "bn", "syncbatchnorm": "bn",
    "layernorm": "ln", "layernormalization": "ln", "groupnorm": "gn",
    "localresponsenorm": "lrn", "crossmaplrn": "lrn",
    "maxpooling": "maxpool", "averagepool": "avgpool", "averagepooling": "avgpool",
    "globalavgpool": "gap", "globalavgpooling": "gap", "globalaveragepool": "gap",
    "globalaveragepooling": "gap", "avgpoolglobal": "gap", "globalpool": "gap",
    "adaptiveavgpool": "gap", "globalmaxpool": "adaptive_maxpool",
    "globalmaxpooling": "adaptive_maxpool", "adaptivemaxpooling": "adaptive_maxpool",
    "gmp": "adaptive_maxpool", "gmaxpool": "adaptive_maxpool", "gavgpool": "gap",
    "pool": "maxpool", "avg": "avgpool", "mean2d": "gap",
    "instancenormalization": "instance_norm", "groupnormalization": "gn", "batchnormrelu": "bn",
    "lazylinear": "linear", "lazyconv": "conv", "lazybatchnorm": "bn", "gemm": "linear",
    "leaky": "leaky_relu", "hswish": "hardswish", "hsigmoid": "hardsigmoid",
    "unflatten": "reshape", "unsqueeze": "reshape", "reducemean": "mean",
    "seblock": "se", "semodule": "se", "selayer": "se", "cbr": "convbn", "convbnact": "convbn",
    "resblock": "basic", "residualblock": "basic", "basicblock": "basic", "upscale": "upsample",
    "drop": "dropout", "dropout1d": "channel_dropout", "dropout2d": "channel_dropout",
    "dropout3d": "channel_dropout", "spatialdropout": "channel_dropout",
    "swish": "silu", "lrelu": "leaky_relu", "cat": "concat", "concatenate": "concat",
    "multiply": "mul", "subtract": "sub", "divide": "div", "bmm": "matmul", "clip": "clamp",
    "l2norm": "normalize", "im2col": "unfold", "col2im": "fold", "gridsample": "grid_sample",
    "scaleddotproductattention": "sdpa",
    "upsampling": "upsample", "interpolate": "upsample",
    "upsamplingbilinear": "upsample", "upsamplingnearest": "upsample", "resize": "upsample",
    "zeropad": "pad", "zeropadding": "pad", "reflectionpad": "pad", "reflectpad": "pad",
    "replicationpad": "pad", "circularpad": "pad", "constantpad": "pad",
    "squeeze": "flatten", "transpose": "permute", "skip": "residual",
    "droppath": "stochastic_depth", "multiheadattention": "mha", "selfattention": "mha",
    "attention": "mha", "squeezeexcitation": "se", "squeezeexcite": "se",
    "depthtospace": "pixel_shuffle", "spacetodepth": "pixel_unshuffle",
    "no": "false", "off": "false", "yes": "true", "on": "true",
    "s": "stride", "p": "pad", "k": "kernel", "d": "dilation", "g": "groups",
    "padding": "pad", "kernelsize": "kernel", "ceilmode": "ceil", "outchannels": "out",
    "outfeatures": "out", "channels": "out", "filters": "out", "units": "out", "strides": "stride",
    "outputsize": "out", "rate": "p", "numgroups": "groups", "epsilon": "eps",
}  # fmt: skip

#: those that may have meant something else
_LOOSE = frozenset(
    [
        "d", "g", "k", "p", "s",
        "attention", "avg", "basicblock", "batchnormrelu", "cbr", "channels", "circularpad",
        "constantpad", "convbnact", "depthtospace", "globalpool", "interpolate",
        "pool", "reducemean", "reflectionpad", "reflectpad", "replicationpad", "resblock",
        "residualblock", "resize", "skip", "softmax2d", "spacetodepth", "squeeze",
        "syncbatchnorm", "transpose", "unflatten", "unsqueeze", "upsamplingbilinear",
    ]
)  # fmt: skip

#: arguments that say what holds anyhow
NEEDLESS = frozenset(["inplace"])

_FLOWS = "leave it out: what comes in is never written (`conv 64 3x3`, `linear 10`)"
_RECIPE = "that belongs to training: in the recipe, `loss: cross_entropy` or `optimizer: adam`"
_STEP = "write it as a step of its own: `conv 64 3x3 -> relu`"
_DEPTHWISE = "as many groups as channels: `conv 64 3x3 groups=64`"
_ENCODER = "`residual { ln -> mha 12 }` and `residual { ln -> mlp 3072 }`, as in vit_b_16"
_LET = "`let width = 3` names a value"
_USE = '`use "resnet50.arch"`, above the models, makes the blocks of another file known'
_JOIN = "branches stand in the braces of a join: `concat { a; b }`, `add { a; b }`"
_SUMS = "values meet in `add`, `mul`, `matmul` and others: `archdsl ops` lists the joins"
_CUT = "`clamp min=-1 max=1` cuts at both ends; `archdsl ops` lists the activations"
_NORM = "`ln`, `gn` and others normalise: `archdsl ops` lists them"
_NOISE = "what is random in training: `dropout`, `channel_dropout`, `stochastic_depth`"
_CROP = "`pad [-1, -1, -1, -1]` takes a cell from each side, `slice 1 9 dim=1` a part of one"
_ROUTE = "name the earlier value, `tap early`, and use it: `concat @early`, or `add @early`"
_HEAD = "a head is made of layers, such as `conv 255 1x1`; `archdsl train` knows classification"
_FINITE = "numbers are finite: `3e38` is nearly the largest; `maxpool` never takes its padding"
_SCALE = "`affine 2 1` scales and shifts; images are normalised by the recipe, in training"
_PARTS = "steps follow each other: `a -> b`, or a line each; `{ ... }` groups them"
#: names that have no counterpart here, and what to do instead
ADVICE = {
    "inchannels": _FLOWS, "infeatures": _FLOWS, "numfeatures": _FLOWS, "inputdim": _FLOWS,
    "inplanes": _FLOWS, "inputshape": "the model's first line states it: `input 3x224x224`",
    "normalizedshape": _FLOWS, "numchannels": _FLOWS, "inputsize": _FLOWS, "in": _FLOWS,
    "inplace": "`relu` alone: the compiler works in place where it can",
    "activation": _STEP, "act": _STEP,
    "name": "a name is a label: `name: conv 64 3x3`", "range": "`repeat 3 as i { ... }` counts",
    "sequential": _PARTS, "modulelist": _PARTS,
    "lambda": "a spec holds no code: a part with a name is a `block`",
    "dot": _SUMS, "bilinear": _SUMS, "average": _SUMS, "reciprocal": "`pow -1` is 1/x",
    "hardtanh": _CUT, "thresholdedrelu": _CUT, "threshold": _CUT,
    "rmsnorm": _NORM, "gaussiannoise": "`noise` gives random numbers: `add { identity; noise }`",
    "gaussiandropout": _NOISE,
    "alphadropout": _NOISE, "dropblock": _NOISE, "cropping": _CROP, "centercrop": _CROP,
    "crop": _CROP, "route": _ROUTE, "yolo": _HEAD, "region": _HEAD, "detect": _HEAD,
    "inf": _FINITE, "infinity": _FINITE, "nan": _FINITE, "rescaling": _SCALE, "rescale": _SCALE,
    "normalization": _SCALE, "amin": "`min [0]` is the smallest value over dimensions",
    "amax": "`max [0]` is the largest value over dimensions",
    "reducemax": "`max [0]` is the largest value over dimensions",
    "argmax": "the scores are the output; the loss and `archdsl predict` compare them",
    "constant": "`buffer one [1] constant 1` is a value, `add @one` uses it",
    "view": "`flatten` makes each sample a vector, `reshape [48, -1]` any other shape",
    "const": _LET, "var": _LET, "pass": "`identity` does nothing", "end": "a part ends with `}`",
    "break": "a loop runs to its end; `if c { ... }` leaves steps out",
    "import": _USE, "include": _USE, "branch": _JOIN, "branches": _JOIN, "parallel": _JOIN,
    "unless": "`if not c { ... }`", "optimizer": _RECIPE, "scheduler": _RECIPE, "epochs": _RECIPE,
    "lr": _RECIPE, "learningrate": _RECIPE, "batchsize": _RECIPE, "dataset": _RECIPE,
    "device": "where a model runs is said when it is loaded", "dtype": "every tensor is float32",
    "print": "`archdsl check --shapes` shows every shape",
    "while": "`repeat n { ... }` repeats a number of times",
    "def": "`block name(parameters) { ... }` stands outside of the model",
    "crossentropy": _RECIPE, "adam": _RECIPE, "adamw": _RECIPE, "sgd": _RECIPE,
    "depthwise": _DEPTHWISE, "depthwiseconv": _DEPTHWISE, "dwconv": _DEPTHWISE,
    "separableconv": f"{_DEPTHWISE}, then `conv 128 1x1`",
    "transformerencoder": _ENCODER, "transformerencoderlayer": _ENCODER, "encoderblock": _ENCODER,
    "rnn": "`lstm` and `gru` are the recurrent layers",
    "return": "the last step is the output; `output @a @b` names several",
}  # fmt: skip


def advice(name: str) -> str:
    """What to do instead of something that has no counterpart here, or nothing."""
    found = (ADVICE[word] for word in _spellings(name) if word in ADVICE)
    return next(found, _RECIPE if name.lower().endswith("loss") else "")


def similar(name: str, candidates: Iterable[str]) -> tuple[str, ...]:
    """Names like this one, a translation from other frameworks first."""
    known = set(candidates)
    same = _translation(name, known)
    return (same,) if same else closest(name, sorted(known))


def fixes(name: str, span: Span, candidates: Iterable[str]) -> tuple[Fix, ...]:
    """The one word that the writer can only have meant, if there is one: safe to put in."""
    same = _translation(name, set(candidates))
    if not same:
        return ()
    return (Fix(f"write `{same}`", ((span, same),), safe=_LOOSE.isdisjoint(_spellings(name))),)


def _translation(name: str, known: set[str]) -> str:
    """The same but for upper case, `_` and `2d`, or what another framework's word for it is here;
    or nothing."""
    spelled = {_plain(word): word for word in known}
    for word in _spellings(name):
        for same in (word, spelled.get(word, ""), ALIASES.get(word, "")):
            if same in known and same != name:
                return same
    return ""


def _spellings(name: str) -> tuple[str, ...]:
    plain = _plain(name)
    stem = plain[:-2] if plain[-2:] in ("1d", "2d", "3d") else plain
    return (name.lower(), plain, stem)


@lru_cache(20_000)
def _plain(name: str) -> str:
    return name.lower().replace("_", "")
