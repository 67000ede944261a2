"""The catalogue's warnings, W00xx: they stop nothing. See `catalogue.py`."""

from __future__ import annotations

from archdsl.diagnostics.model import Diagnostic


class MissingNonlinearity(Diagnostic):
    """Linear layers in a row compute what a single one can: w2 (w1 x + b1) + b2 is w x + b. What
    makes a deep network more than one layer is the nonlinearity between its layers."""

    code = "W0001"
    slug = "missing-nonlinearity"
    severity = "warning"
    title = "nothing nonlinear between two `{layer}` layers"
    label = "with the layer before it, this computes what one `{layer}` from {first} to {last} can"
    help = "put an activation between them, such as `relu`"
    layer: str
    first: int
    last: int


class LostBias(Diagnostic):
    """Batch normalisation takes the mean of each channel away, and so whatever a bias before it
    added; it has a bias of its own. The layer's bias is learned, stored and of no effect. So it is
    with instance normalisation, and with `gn` where each group is one channel."""

    code = "W0002"
    slug = "lost-bias"
    severity = "warning"
    title = "the bias of this `{layer}` has no effect"
    label = "`{norm}` follows"
    help = "{advice}"
    layer: str
    norm: str
    advice: str


class UnusedBlock(Diagnostic):
    """No model or other block of the file calls this block. A file of blocks alone, for others to
    use, is never warned of."""

    code = "W0003"
    slug = "unused-block"
    severity = "warning"
    title = "block `{name}` is never used"
    help = "remove it, or call it: `{name}`"
    name: str


class UnusedParameter(Diagnostic):
    """The parameter of a block or model is never read: whatever value it is given changes nothing.
    That of a block which is passed on as a value may be there for the sake of the others, and is
    never warned of."""

    code = "W0004"
    slug = "unused-parameter"
    severity = "warning"
    title = "parameter `{name}` is never used"
    label = "nothing in `{owner}` reads it"
    help = "remove it; `_` in front of a name says that it is meant"
    name: str
    owner: str


class UnusedTap(Diagnostic):
    """A value has a name, by `tap`, `param` or `buffer`, and nothing reads it as `@name`. A skip
    connection, or the broadcast of a parameter, may have been forgotten."""

    code = "W0005"
    slug = "unused-tap"
    severity = "warning"
    title = "{what} `{name}` is never used"
    label = "no `@{name}` in this definition"
    help = "remove it, or use it: `{use} @{name}`"
    what: str
    name: str

    @property
    def use(self) -> str:
        return "concat" if self.what == "tap" else "mul"


class UnusedLabel(Diagnostic):
    """A label names a module, and so keys of the state_dict; here what it stands before holds no
    step at all."""

    code = "W0006"
    slug = "unused-label"
    severity = "warning"
    title = "the label `{name}` names nothing"
    label = "no step is in it"
    help = "remove it, or put a step into it"
    name: str


class UnusedVariable(Diagnostic):
    """A `let` or a loop gives a value a name that nothing reads."""

    code = "W0007"
    slug = "unused-variable"
    severity = "warning"
    title = "variable `{name}` is never used"
    label = "nothing below reads it"
    help = "remove it; `_` in front of a name says that it is meant"
    name: str


class SoftmaxOutput(Diagnostic):
    """A classifier is trained with the cross-entropy, and torch's `cross_entropy` takes scores: it
    computes their softmax itself. On top of a softmax in the network it still runs, but learns
    slowly or not at all. With another loss probabilities may be what is wanted: then say so."""

    code = "W0008"
    slug = "softmax-output"
    severity = "warning"
    title = "`{op}` is the last step of the model"
    label = "the loss `cross_entropy` computes it again"
    help = "leave it out; if probabilities are meant, write `# archdsl: ignore W0008` behind it"
    op: str


class ShrunkEarly(Diagnostic):
    """A window of several cells slides over a feature map of a single one: all that it sees beyond
    that cell is padding, and the weights for it learn nothing. The map has been shrunk too soon,
    or the input is smaller than the network was made for."""

    code = "W0009"
    slug = "shrunk-early"
    severity = "warning"
    title = "the feature map is down to {map} before this `{op}`"
    label = "of its {kernel} window all but one cell is padding"
    help = "a stride or pooling less before it, or a larger input; or write the kernel as `{map}`"
    map: str
    op: str
    kernel: str


class DominantLayer(Diagnostic):
    """Nine tenths or more of a large model's parameters are in one layer. That is mostly a `linear`
    on a large feature map, made flat: slow, and quick to learn by heart."""

    code = "W0010"
    slug = "dominant-layer"
    severity = "warning"
    title = "this `{op}` has {percent} % of all parameters"
    label = "{params:,} of {total:,}, on an input of {input}"
    help = "shrink what enters it: another pooling, or `gap` before `flatten`"
    op: str
    percent: int
    params: int
    total: int
    input: str


class MissingFlatten(Diagnostic):
    """`linear` works on the last dimension alone, as torch's does. Of a feature map C×H×W that is
    the width: every row of every channel goes through the layer by itself."""

    code = "W0011"
    slug = "missing-flatten"
    severity = "warning"
    title = "`{op}` works on the width of this feature map"
    label = "{input} becomes {output}"
    help = "put `flatten` before it"
    op: str
    input: str
    output: str


class ChannelsLast(Diagnostic):
    """Shapes have their channels first, as PyTorch has them: 3x32x32 is an image of three colours.
    TensorFlow and image files have them last; read as written, 32x32x3 has 32 channels and is three
    pixels wide."""

    code = "W0013"
    slug = "channels-last"
    severity = "warning"
    title = "the input {shape} has its channels last"
    help = "channels come first: `input {first}`"
    shape: str
    first: str


class BadIgnore(Diagnostic):
    """`# archdsl: ignore W0002`, at the end of a line, hides warnings that begin on this line:
    those of the codes or slugs that it names, or all where it names none."""

    code = "W0012"
    slug = "bad-ignore"
    severity = "warning"
    title = "`{name}` cannot be ignored"
    label = "{reason}"
    help = "name warnings by their codes: `# archdsl: ignore W0002`"
    name: str
    reason: str


class RepeatedNever(Diagnostic):
    """`x0` behind a step leaves it out. A count that is computed, `x(n-1)`, may well be 0 and is
    never warned of."""

    code = "W0014"
    slug = "repeated-never"
    severity = "warning"
    title = "`{name}` is repeated zero times"
    label = "the step is left out"
    help = "remove the step, or repeat it at least once"
    name: str


class UnusedValue(Diagnostic):
    """What a step computes goes nowhere: neither to another step nor to an output. It costs time
    and memory, its weights never learn, and mostly a tap or the end of a branch was forgotten."""

    code = "W0015"
    slug = "unused-value"
    severity = "warning"
    title = "the value of `{name}` is never used"
    label = "the flow goes on from somewhere else"
    help = "remove the step, or `tap` its value and use it"
    name: str


class NotDepthwise(Diagnostic):
    """`in` is the number of channels that enter the block. A convolution is depthwise where its
    groups are as many as the channels that enter *it*: behind a step that changed them, `groups=in`
    makes wider groups, which is hardly ever meant."""

    code = "W0016"
    slug = "not-depthwise"
    severity = "warning"
    title = "`groups=in` is {groups} here, and {channels} channels come in"
    label = "{each} channels a group"
    help = "`in` is what enters the block: write the width of the step before, such as `groups=out`"
    groups: int
    channels: int
    each: int


class OneBranch(Diagnostic):
    """A join of one branch gives the branch itself. Where the number of branches is computed, it is
    at least two mostly; a body in braces is a branch for each of its lines."""

    code = "W0017"
    slug = "one-branch"
    severity = "warning"
    title = "`{name}` has a single branch"
    label = "so it does nothing"
    help = "each line between the braces is a branch: `identity` stands for what comes in"
    name: str


class LabelledLoop(Diagnostic):
    """Between the braces of a join a `for` or `repeat` makes a branch of each round. With a label
    it is one part with a name, and so one branch, whose rounds run one after the other."""

    code = "W0018"
    slug = "labelled-loop"
    severity = "warning"
    title = "this `{word}` is one branch, because it has a label"
    label = "its rounds run one after the other"
    help = "without the label each round is a branch; braces around it say that it is meant"
    word: str


class OneValueNorm(Diagnostic):
    """In training batch normalisation takes mean and variance of each channel over the batch and
    the map. On maps of a single cell a batch of one sample has one value a channel, which torch
    refuses."""

    code = "W0019"
    slug = "one-value-norm"
    severity = "warning"
    title = "this `{name}` has one value a channel of each sample"
    label = "the map is {space}"
    help = "training needs batches of at least 2 samples; `gn` and `ln` need no batch"
    name: str
    space: str


class NothingPasses(Diagnostic):
    """The result of this step does not depend on what comes in: nothing before it can learn through
    it. A softmax of one value is always 1 (for two classes take `linear 2`, or `sigmoid`), and a
    layer normalisation of one value always 0; mostly another dimension is meant."""

    code = "W0020"
    slug = "nothing-passes"
    severity = "warning"
    title = "`{op}` gives the same whatever comes in"
    label = "{reason}"
    help = "nothing before it can learn through it: leave it out, or change what it works on"
    op: str
    reason: str


class IdleActivation(Diagnostic):
    """Behind a step that gives nothing negative, `relu` and its relatives change nothing, and the
    slope of `prelu` never learns. Blocks such as `convbn` end with an activation of their own."""

    code = "W0021"
    slug = "idle-activation"
    severity = "warning"
    title = "this `{op}` does nothing"
    label = "what comes from `{before}` is never negative"
    help = "leave one of the two out"
    op: str
    before: str


class SameTwice(Diagnostic):
    """The two sides of this join are one and the same value: a residual whose body is empty doubles
    what comes in, and a value minus itself is 0. Mostly a branch is missing its step."""

    code = "W0023"
    slug = "same-twice"
    severity = "warning"
    title = "both sides of this `{name}` are the same value"
    label = "it gives {result}"
    help = "write what a branch is to compute; `identity` and an empty body pass on what comes in"
    name: str
    result: str


class SinglePlace(Diagnostic):
    """Attention chooses among places by how well their queries and keys agree. Where there is a
    single place its weight is always 1: queries, keys and position biases have no effect and never
    learn. Mostly the patches are too large for the input, or the window is too small."""

    code = "W0022"
    slug = "single-place"
    severity = "warning"
    title = "`{op}` attends to a single place"
    label = "on an input of {input}"
    help = "smaller patches, a larger window or a larger input; or `linear`, which does the same"
    op: str
    input: str
