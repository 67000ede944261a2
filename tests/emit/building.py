"""Programs by hand, for tests that are about backends alone."""

from __future__ import annotations

from typing import Any

from archdsl.diagnostics.source import Source, Span
from archdsl.ir.graph import Graph, Init, Item, Node, Param, Program, Scope
from archdsl.ops import TABLE
from archdsl.ops.init import Rule
from archdsl.ops.table import Call, Op, Shape

SPAN = Span(Source("test.arch", "text"), 0, 4)


def op(name: str, **values: Any) -> Any:
    """An operator, its arguments converted as the checker does."""
    cls = TABLE[name]
    return cls(**{k: None if v is None else cls.args[k].type.convert(v) for k, v in values.items()})


class Builder:
    """Builds a graph item by item; values are numbers, `self.last` the current one."""

    def __init__(self, *inputs: Shape, block: str | None = None, **args: Any) -> None:
        self.block, self.args, self.inputs = block, args, inputs
        self.shapes: list[Shape] = list(inputs)
        self.items: list[Item] = []
        self.last = 0
        self.params: set[int] = set()
        self.late: list[int] = []
        self.order: list[int] = []
        self.rules: list[Init] = []

    def _place(self, name: str | None) -> str:
        taken = sum(1 for i in self.items if not isinstance(i, Param) and i.name is not None)
        return str(taken) if name is None else name

    def _add(self, item: Item, late: bool = False, flow: bool = True) -> int:
        (self.late if late else self.order).append(len(self.items))
        self.items.append(item)
        first = len(self.shapes)
        self.shapes.extend(item.shapes)
        if flow:
            self.last = first
        return first

    def __call__(
        self,
        name: str,
        *values: int,
        label: str | None = None,
        aux: bool = False,
        late: bool = False,
        **args: Any,
    ) -> int:
        made = op(name, **args)
        inputs = values or (self.last,)
        shapes = self._seen(inputs)
        key = None if made.arity is None else self._place(label)
        node = Node(key, label is not None, made, inputs, shapes, made.shape(*shapes), SPAN, aux)
        return self._add(node, late, not aux)

    def _seen(self, inputs: tuple[int, ...]) -> tuple[Shape, ...]:
        """The shapes that an operator sees: a parameter's without its batch dimension."""
        rank = max((len(self.shapes[v]) for v in inputs if v not in self.params), default=-1)
        return tuple(
            self.shapes[v][1:]
            if v in self.params and len(self.shapes[v]) > rank
            else self.shapes[v]
            for v in inputs
        )

    def scope(
        self,
        graph: Graph,
        *values: int,
        label: str | None = None,
        aux: bool = False,
        late: bool = False,
    ) -> int:
        inputs = values or (self.last,)
        scope = Scope(self._place(label), label is not None, graph, inputs, SPAN, aux)
        return self._add(scope, late, not aux)

    def param(self, name: str, shape: Shape, rule: str, buffer: bool = False, **args: Any) -> int:
        made = Param(name, shape, buffer, Rule(rule, tuple(args.items())), SPAN)
        self.params.add(len(self.shapes))
        return self._add(made, flow=False)

    def init(
        self,
        kind: str | None,
        rule: str,
        param: str = "weight",
        path: str | None = None,
        **args: Any,
    ) -> None:
        self.rules.append(Init(kind, path, param, Rule(rule, tuple(args.items())), SPAN))

    def declare(self) -> None:
        """Here is where the text declares what ran earlier (`late=True`)."""
        self.order += self.late
        self.late = []

    def graph(self, *outputs: int) -> Graph:
        chosen = outputs or (self.last,)
        return Graph(
            self.block,
            tuple(self.args.items()),
            self.inputs,
            tuple(self.items),
            (*self.order, *self.late),
            chosen,
            tuple(self.shapes[v] for v in chosen),
            tuple(self.rules),
            SPAN,
        )

    def program(
        self,
        name: str = "net",
        text: str = "",
        outputs: dict[str, int] | None = None,
        aux: dict[str, int] | None = None,
    ) -> Program:
        named = outputs or {"output": self.last}
        return Program(
            name,
            self.graph(*named.values()),
            tuple(named.items()),
            tuple((aux or {}).items()),
            text,
        )


# ---- models ------------------------------------------------------------------------------------


def alexnet(classes: int = 1000) -> Program:
    """torchvision's, with the sizes of the paper's single tower."""
    features = Builder((3, 224, 224))
    features("conv", out=64, kernel=11, stride=4, pad=2)
    features("relu")
    features("maxpool", kernel=3, stride=2)
    features("conv", out=192, kernel=5, pad=2)
    features("relu")
    features("maxpool", kernel=3, stride=2)
    for out in (384, 256, 256):
        features("conv", out=out, kernel=3, pad=1)
        features("relu")
    features("maxpool", kernel=3, stride=2)
    net = Builder((3, 224, 224), block="alexnet", classes=classes)
    net.scope(features.graph(), label="features")
    net("gap", out=6, label="avgpool")
    net("flatten")
    classifier = Builder((9216,))
    for _ in range(2):
        classifier("dropout")
        classifier("linear", out=4096)
        classifier("relu")
    classifier("linear", out=classes)
    net.scope(classifier.graph(), label="classifier")
    return net.program("alexnet", "model alexnet {}")


def _basic(shape: Shape, mid: int, stride: int) -> Graph:
    b = Builder(shape, block="basic", mid=mid, stride=stride)
    b("conv", out=mid, kernel=3, stride=stride, pad=1, bias=False, label="conv1")
    b("bn", label="bn1")
    b("relu")
    b("conv", out=mid, kernel=3, pad=1, bias=False, label="conv2")
    y = b("bn", label="bn2")
    identity = 0
    if stride != 1 or shape[0] != mid:
        down = Builder(shape)
        down("conv", out=mid, kernel=1, stride=stride, bias=False)
        down("bn")
        identity = b.scope(down.graph(), 0, label="downsample")
    b("add", y, identity)
    b("relu")
    return b.graph()


def resnet(depths: tuple[int, ...] = (2, 2, 2, 2), classes: int = 1000, size: int = 224) -> Program:
    net = Builder((3, size, size), block="resnet18", classes=classes)
    net("conv", out=64, kernel=7, stride=2, pad=3, bias=False, label="conv1")
    net("bn", label="bn1")
    net("relu")
    net("maxpool", kernel=3, stride=2, pad=1)
    for stage, (mid, n) in enumerate(zip((64, 128, 256, 512), depths, strict=True)):
        shape = net.shapes[net.last]
        stride = 1 if stage == 0 else 2
        inner = Builder(shape, block="stage", mid=mid, n=n, stride=stride)
        inner.scope(_basic(shape, mid, stride))
        rest = _basic(inner.shapes[inner.last], mid, 1)
        for _ in range(n - 1):
            inner.scope(rest)
        net.scope(inner.graph(), label=f"layer{stage + 1}")
    net("gap", label="avgpool")
    net("flatten")
    net("linear", out=classes, label="fc")
    net.init("conv", "kaiming_normal", mode="fan_out", nonlinearity="relu")
    return net.program("resnet18", "model resnet18 {\n  ...\n}\n")


def _convbn(shape: Shape, out: int, kernel: int, pad: int = 0, stride: int = 1) -> Graph:
    b = Builder(shape, block="convbn", out=out, kernel=(kernel, kernel), stride=stride, pad=pad)
    b("conv", out=out, kernel=kernel, stride=stride, pad=pad, bias=False, label="conv")
    b("bn", eps=0.001, label="bn")
    b("relu")
    return b.graph()


def _inception(shape: Shape, c1: int, r3: int, c3: int, r5: int, c5: int, pool: int) -> Graph:
    b = Builder(shape, block="inception", c1=c1, r3=r3, c3=c3, r5=r5, c5=c5, pool=pool)
    one = b.scope(_convbn(shape, c1, 1), 0, label="branch1")
    parts = [one]
    for label, r, c in (("branch2", r3, c3), ("branch3", r5, c5)):
        branch = Builder(shape)
        branch.scope(_convbn(shape, r, 1))
        branch.scope(_convbn(branch.shapes[branch.last], c, 3, 1))
        parts.append(b.scope(branch.graph(), 0, label=label))
    branch = Builder(shape)
    branch("maxpool", kernel=3, stride=1, pad=1, ceil=True)
    branch.scope(_convbn(shape, pool, 1))
    parts.append(b.scope(branch.graph(), 0, label="branch4"))
    b("concat", *parts)
    return b.graph()


def _aux(shape: Shape, classes: int) -> Graph:
    b = Builder(shape, block="aux_head", classes=classes)
    b("gap", out=4)
    b.scope(_convbn(b.shapes[b.last], 128, 1), label="conv")
    b("flatten")
    b("linear", out=1024, label="fc1")
    b("relu")
    b("dropout", p=0.7)
    b("linear", out=classes, label="fc2")
    return b.graph()


def googlenet(classes: int = 1000, size: int = 224, init: bool = True) -> Program:
    net = Builder((3, size, size), block="googlenet", classes=classes)

    def conv(label: str, *args: int) -> None:
        net.scope(_convbn(net.shapes[net.last], *args), label=label)

    def module(label: str, *args: int) -> int:
        return net.scope(_inception(net.shapes[net.last], *args), label=label)

    conv("conv1", 64, 7, 3, 2)
    net("maxpool", kernel=3, stride=2, ceil=True)
    conv("conv2", 64, 1)
    conv("conv3", 192, 3, 1)
    net("maxpool", kernel=3, stride=2, ceil=True)
    module("inception3a", 64, 96, 128, 16, 32, 32)
    module("inception3b", 128, 128, 192, 32, 96, 64)
    net("maxpool", kernel=3, stride=2, ceil=True)
    v = module("inception4a", 192, 96, 208, 16, 48, 64)
    aux1 = net.scope(_aux(net.shapes[v], classes), v, label="aux1", aux=True, late=True)
    module("inception4b", 160, 112, 224, 24, 64, 64)
    module("inception4c", 128, 128, 256, 24, 64, 64)
    v = module("inception4d", 112, 144, 288, 32, 64, 64)
    aux2 = net.scope(_aux(net.shapes[v], classes), v, label="aux2", aux=True, late=True)
    module("inception4e", 256, 160, 320, 32, 128, 128)
    net("maxpool", kernel=2, stride=2, ceil=True)
    module("inception5a", 256, 160, 320, 32, 128, 128)
    module("inception5b", 384, 192, 384, 48, 128, 128)
    net.declare()
    net("gap", label="avgpool")
    net("flatten")
    net("dropout", p=0.2)
    net("linear", out=classes, label="fc")
    for kind in ("conv", "linear") if init else ():
        net.init(kind, "trunc_normal", std=0.01)
    return net.program("googlenet", "model googlenet {}", aux={"aux1": aux1, "aux2": aux2})


def vit(classes: int = 10, dim: int = 8) -> Program:
    """Patches, a class token, positions: parameters among the children, and in joins."""
    net = Builder((3, 16, 16), block="vit")
    net("conv", out=dim, kernel=4, stride=4, label="conv_proj")
    net("flatten", start_dim=2)
    tokens = net("permute", dims=(1, 0))
    class_token = net.param("class_token", (1, 1, dim), "zeros")
    net("concat", class_token, tokens)
    here = net.last
    position = net.param("pos_embedding", (1, 17, dim), "normal", std=0.02)
    net("add", here, position)
    net.param("scale", (1, dim), "constant", buffer=True, val=0.5)
    net("mul", net.last, len(net.shapes) - 1)
    net("ln", label="ln")
    net("select", index=0)
    net("linear", out=classes, label="head")
    return net.program("vit")


def unet() -> Program:
    """Groups that yield more than one value, and that take more than one."""
    down = Builder((3, 16, 16), block="down")
    keep = down("conv", out=8, kernel=3, pad=1, label="conv")
    down("maxpool", keep, kernel=2, stride=2)
    net = Builder((3, 16, 16), block="unet")
    skip = net.scope(down.graph(keep, down.last), label="down")
    low = net("conv", skip + 1, out=8, kernel=1, label="middle")
    up = Builder((8, 8, 8), (8, 16, 16), block="up")
    up("upsample", 0, scale=2)
    up("concat", up.last, 1)
    up("conv", out=4, kernel=3, pad=1, label="conv")
    net.scope(up.graph(), low, skip, label="up")
    return net.program("unet")


def two_outputs() -> Program:
    net = Builder((3, 16, 16), block="backbone")
    one = net("conv", out=8, kernel=3, stride=2, label="layer1")
    two = net("conv", out=16, kernel=3, stride=2, label="layer2")
    net("conv", out=16, kernel=1, label="layer3")
    return net.program("back-bone", outputs={"c2": one, "c3": two, "c-4": net.last})


def outputs_and_aux() -> Program:
    net = Builder((3, 16, 16), block="net")
    one = net("conv", out=8, kernel=3, label="a")
    side = net("gap", one, out=1, aux=True)
    side = net("flatten", side, aux=True)
    side = net("linear", side, out=4, label="side", aux=True, late=True)
    two = net("conv", one, out=8, kernel=3, label="b")
    return net.program("net", outputs={"count": one, "class": two}, aux={"side": side})


def hyphens() -> Program:
    """The same without keywords, which torch.export cannot write (as of torch 2.15)."""
    return labels("first", "last")


def labels(one: str = "lambda", other: str = "class") -> Program:
    """Computed names, keywords, positions among labels."""
    net = Builder((3, 16, 16), block="odd")
    stage = Builder((3, 16, 16))
    for i in range(2):
        block = Builder(stage.shapes[stage.last])
        v = block("conv", out=3, kernel=1, label=one)
        block("add", v, 0)
        stage.scope(block.graph(), label=f"block1-{i}")
    net.scope(stage.graph(), label="stage-1")
    net("conv", out=4, kernel=1)
    net("bn")
    net("relu")
    net("prelu")
    net("relu", label=other)
    return net.program("odd")


def stages() -> Program:
    """One block with and without a stride."""
    net = Builder((4, 16, 16), block="net")
    for out, stride in ((8, 2), (16, 1), (32, 2)):
        shape = net.shapes[net.last]
        unit = Builder(shape, block="unit", mid=out, stride=stride)
        unit("conv", out=out, kernel=3, pad=1, stride=stride, label="conv")
        unit("maxpool", kernel=stride)
        unit("conv", out=out, kernel=1, label="out")
        net.scope(unit.graph(), label=f"u{out}")
    return net.program("net")


def positions() -> Program:
    """A model that is nothing but a chain, and a block that is one and used twice."""
    net = Builder((3, 16, 16), block="chain")
    for out in (4, 8, 8):
        shape = net.shapes[net.last]
        block = Builder(shape, block="unit", out=out)
        block("conv", out=out, kernel=3, pad=1)
        block("bn")
        block("leaky_relu", negative_slope=0.1 if out == 4 else 0.2)
        net.scope(block.graph())
    net("gap")
    net("flatten")
    net("linear", out=2)
    return net.program("chain")


def local_init() -> Program:
    net = Builder((8,), block="net")
    for i in range(2):
        block = Builder((8,), block="mlp", i=i)
        block("linear", out=8)
        block("gelu")
        block("linear", out=8)
        block.init("linear", "xavier_uniform")
        net.scope(block.graph(), label=f"mlp{i}")
    net("linear", out=2, label="last")
    net.init("linear", "zeros", param="bias")
    return net.program("net")


def every_size() -> Program:
    """Literals of the forward that differ between instances."""
    net = Builder((4, 32, 32), block="net")
    for i, (kernel, dropout, out) in enumerate(((2, 0.1, 4), (4, 0.2, 1))):
        shape = net.shapes[net.last]
        block = Builder(shape, block="unit", kernel=kernel, p=dropout)
        v = block("maxpool", kernel=kernel)
        block("dropout", p=dropout)
        block("conv", out=4, kernel=(1, 1), label="kernel")
        block("add", v, block.last)
        block("upsample", size=out * 4)
        net.scope(block.graph(), label=f"u{i}")
    return net.program("net")


def affine() -> Program:
    """Parameters missing in some layers of a class; several classes with a rule."""
    net = Builder((3, 16), block="net")
    net("conv", out=4, kernel=3, bias=False, label="c1")
    net("bn", affine=False, label="n1")
    net("conv", out=4, kernel=3, label="c2")
    net("bn", label="n2")
    net("linear", out=4, label="fc")
    for kind in ("conv", "linear", "bn"):
        net.init(kind, "ones")
        net.init(kind, "zeros", param="bias")
    return net.program("net")


def names_taken() -> Program:
    """Blocks called like torch's, Python's and each other's classes."""
    net = Builder((3, 8, 8), block="tensor")
    for name in (
        "tensor",
        "none",
        "ordered_dict",
        "OrderedDict",
        "f",
        "F",
        "exception",
        "a_b",
        "aB",
    ):
        for extra in range(2):
            block = Builder((3, 8, 8), block=name)
            v = block("conv", out=3, kernel=1, label="torch")
            if extra:
                v = block("conv", out=3, kernel=1, label="more")
            block("add", v, 0)
            net.scope(block.graph(), label=f"{name}{extra}")
    return net.program("tensor")


def odd_joins() -> Program:
    """Values that are used in another order than computed, or not at all; the identity."""
    net = Builder((3, 8, 8), block="net")
    a = net("conv", out=3, kernel=1, label="a")
    b = net("conv", 0, out=3, kernel=1, label="b")
    c = net("identity", 0)
    d = net("conv", c, out=3, kernel=1)
    net("conv", a, out=7, kernel=1, label="unused")
    e = net("mul", b, a, c)
    f = net("add", d, e)
    g = net("sigmoid", f)
    parts = [net("conv", g, out=2, kernel=1, label=f"a_rather_long_label_{i}") for i in range(6)]
    net("concat", *parts)
    net("identity")
    return net.program("net")


def captured() -> Program:
    """A labelled group that reads two values and yields an input of its own."""
    net = Builder((3, 8, 8), block="net")
    a = net("conv", out=3, kernel=1, label="a")
    group = Builder((3, 8, 8), (3, 8, 8), (3, 8, 8))
    v = group("add", 0, 1)
    group("mul", v, 2)
    first = net.scope(group.graph(group.last, 1), 0, a, a, label="part")
    net("add", first, first + 1)
    side = Builder((3, 8, 8))
    value = side("conv", out=3, kernel=1, label="c")
    inner = Builder((3, 8, 8))
    inner("gap")
    inner("flatten")
    aux = side.scope(inner.graph(), value, label="head", aux=True)
    v = net.scope(side.graph(value, aux), label="side")
    net("relu", v)
    return net.program("net", aux={"head": v + 1})


def empty_parts() -> Program:
    """Groups that hold nothing, or nothing with a name."""
    net = Builder((3, 8, 8), block="net")
    net.scope(Builder((3, 8, 8)).graph(0), label="nothing")
    only = Builder((3, 8, 8), block="only")
    only("relu")
    only("add", only.last, 0)
    net.scope(only.graph(), label="first")
    net.scope(only.graph(), label="second")
    net("conv", out=4, kernel=1, label="conv")
    return net.program("net")


def small() -> Program:
    """Two residual blocks of one class and a head."""
    net = Builder((3, 16, 16), block="small")
    for i, out in enumerate((3, 8)):
        shape = net.shapes[net.last]
        block = Builder(shape, block="res", out=out)
        block("conv", out=out, kernel=3, pad=1, bias=False, label="conv")
        block("bn", label="bn")
        v = block("relu")
        skip = block("conv", 0, out=out, kernel=1, label="skip")
        block("add", v, skip)
        net.scope(block.graph(), label=f"block{i + 1}")
    net("gap")
    net("flatten")
    net("linear", out=4, label="head")
    return net.program("small", text="model small {}\n")


def aux_first() -> Program:
    """Runs a, b, aux, but declares a, aux, b."""
    net = Builder((4,), block="net")
    a = net("linear", out=4, label="a")
    b = net("linear", a, out=4, label="b")
    aux = net("linear", a, out=4, label="aux", aux=True)
    net.order = [0, 2, 1]
    net.last = b
    net.init("linear", "normal", std=0.1)
    return net.program("net", aux={"aux": aux})


SHIFT = """\
class Shift(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("by", torch.tensor(2.5), persistent=False)

    def forward(self, x):
        return x + self.by
"""


class Shift(Op):
    """Not in the table: an operator whose module has a buffer that it does not save."""

    name = "shift"

    @classmethod
    def defines(cls) -> tuple[str, ...]:
        return (SHIFT,)

    def module(self, *inputs: Shape) -> Call:
        return Call("Shift")


def with_hidden_buffer() -> Program:
    net = Builder((3,), block="net")
    net("linear", out=3, label="fc")
    node = Node("shift", True, Shift(), (1,), ((3,),), (3,), SPAN)
    net._add(node)
    return net.program("net")
