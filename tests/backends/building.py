"""Programs by hand, for tests that are about backends alone."""

from __future__ import annotations

from typing import Any

from archdsl.diagnostics.source import Source, Span
from archdsl.ir.graph import Graph, Init, Item, Node, Param, Program, Scope
from archdsl.ops import TABLE
from archdsl.ops.init import Rule
from archdsl.ops.table import Shape

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
        self, name: str, *values: int, label: str | None = None, aux: bool = False, late: bool = False, **args: Any
    ) -> int:
        made = op(name, **args)
        inputs = values or (self.last,)
        shapes = tuple(self.shapes[v] for v in inputs)
        key = None if made.arity is None else self._place(label)
        node = Node(key, label is not None, made, inputs, shapes, made.shape(*shapes), SPAN, aux)
        return self._add(node, late, not aux)

    def scope(
        self, graph: Graph, *values: int, label: str | None = None, aux: bool = False, late: bool = False
    ) -> int:
        inputs = values or (self.last,)
        scope = Scope(self._place(label), label is not None, graph, inputs, SPAN, aux)
        return self._add(scope, late, not aux)

    def param(self, name: str, shape: Shape, rule: str, buffer: bool = False, **args: Any) -> int:
        made = Param(name, shape, buffer, Rule(rule, tuple(args.items())), SPAN)
        return self._add(made, flow=False)

    def init(
        self, kind: str | None, rule: str, param: str = "weight", path: str | None = None, **args: Any
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
        self, name: str = "net", text: str = "", outputs: dict[str, int] | None = None, aux: dict[str, int] | None = None
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


def googlenet(classes: int = 1000, size: int = 224) -> Program:
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
    for kind in ("conv", "linear"):
        net.init(kind, "trunc_normal", std=0.01)
    return net.program("googlenet", "model googlenet {}", aux={"aux1": aux1, "aux2": aux2})
