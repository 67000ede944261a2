"""The emitted source: what it says, and that nothing in a spec can make it say anything else."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import archdsl
from archdsl.emit.code import lay
from archdsl.emit.python import emit
from archdsl.emit.tree import Apply, Body, ClassDef, Code, Lit, Parameter
from archdsl.ir.graph import Program
from archdsl.ir.labels import RESERVED
from archdsl.ops.init import Attribute
from archdsl.ops.table import operators
from archdsl.pipeline import open_spec
from archdsl.runtime.module import build
from tests.emit import building
from tests.emit.building import Builder

_NAMES = """
alexnet resnet googlenet vit unet two_outputs outputs_and_aux labels stages positions local_init
every_size affine names_taken odd_joins captured empty_parts
"""
MODELS = {name: getattr(building, name) for name in _NAMES.split()}


@pytest.fixture(scope="module")
def programs() -> dict[str, Program]:
    return {name: make() for name, make in MODELS.items()}


@pytest.mark.parametrize("name", MODELS)
def test_keys_shapes_and_outputs(name: str, programs: dict[str, Program]) -> None:
    program = programs[name]
    with torch.device("meta"):
        module = build(program)
        state = module.state_dict()
        assert list(state) == [key for key, _ in program.state()]
        assert {k: tuple(v.shape) for k, v in state.items()} == {
            key: weight.shape for key, weight in program.state()
        }
        x = torch.empty(2, *program.input_shape)
        result = module.eval()(x)
        trained = module.train()(x)
    if len(program.outputs) == 1:
        result = {"output": result}
    else:
        result = dict(zip(program.output_shapes, result, strict=False))
    assert {k: tuple(v.shape[1:]) for k, v in result.items()} == program.output_shapes
    if program.aux:
        for place, (_, value) in enumerate(program.aux, len(program.outputs)):
            assert tuple(trained[place].shape[1:]) == program.values[value]


def test_ruff_finds_nothing(programs: dict[str, Program], tmp_path: Path) -> None:
    for name, program in programs.items():
        (tmp_path / f"{name}.py").write_text(emit(program))
    for command in (["check", "--line-length=100"], ["format", "--diff"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", "--no-cache", str(tmp_path)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_what_torch_lacks_is_formatted_too(tmp_path: Path) -> None:
    for op in operators():
        if texts := op.defines():
            (tmp_path / f"{op.name}.py").write_text("\n\n\n".join(texts) + "\n")
    command = ["ruff", "format", "--diff", "--isolated", "--no-cache", str(tmp_path)]
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_source_stands_alone(programs: dict[str, Program], tmp_path: Path) -> None:
    """It imports nothing but torch and the standard library, and no torch is needed to write it."""
    for program in programs.values():
        for node in ast.walk(ast.parse(emit(program))):
            if isinstance(node, ast.ImportFrom):
                assert node.module in (
                    "torch",
                    "torch.nn",
                    "collections",
                    "collections.abc",
                    "typing",
                )
            elif isinstance(node, ast.Import):
                assert [alias.name for alias in node.names] in (["torch"], ["math"])
    code = "import sys; import archdsl.emit.python; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_reserved_names_are_torchs() -> None:
    names = set(dir(nn.Module())) | set(dir(nn.Sequential()))
    # Python's own differ from version to version, and no label can be one
    assert {n for n in names if not n.startswith("_")} <= RESERVED


# ---- sharing -----------------------------------------------------------------------------------


def test_a_chain_is_a_sequential(programs: dict[str, Program]) -> None:
    source = emit(programs["alexnet"])
    assert source.count("class ") == 1
    assert "self.features = nn.Sequential(\n" in source
    assert source.count("nn.ReLU(inplace=True)") == 7
    assert "x = torch.flatten(self.avgpool(self.features(x)), 1)" in source


def test_blocks_that_differ_in_numbers_share_a_class(programs: dict[str, Program]) -> None:
    source = emit(programs["resnet"])
    assert [line for line in source.splitlines() if line.startswith("class ")] == [
        "class Basic(nn.Module):",
        "class Stage(nn.Sequential):",
        "class Resnet18(nn.Module):",
    ]
    assert "Basic(in_channels, mid=mid, stride=stride, downsample=True)" in source
    assert "layers += [Basic(mid, mid=mid) for _ in range(repeats)]" in source
    assert "self.layer2 = Stage(64, mid=128, stride=2, repeats=1)" in source


def test_arguments_have_the_blocks_names(programs: dict[str, Program]) -> None:
    source = emit(programs["googlenet"])
    assert "Inception(192, c1=64, r3=96, c3=128, r5=16, c5=32, pool=32)" in source


def test_defaults_become_the_defaults_of_arguments() -> None:
    program = building.stages()
    source = emit(program)
    assert source.count("class Unit") == 1
    assert "stride: int = 1" in source
    # the pooling's kernel is no stride, though the numbers are the same
    assert "Unit(4, mid=8, kernel_size=2, stride=2)" in source
    assert "Unit(8, mid=16, kernel_size=1)" in source
    assert list(build(program).state_dict()) == [key for key, _ in program.state()]


def test_a_default_that_depends_on_another_argument() -> None:
    """A pool's stride is its kernel where none is given: the same number is a default in one
    instance and none in the other."""
    for strides in ((2, 2), (None, None), (2, None)):
        b = Builder((1, 12, 12), block="net")
        for i, (kernel, stride) in enumerate(zip((2, 3), strides, strict=True)):
            shape = b.shapes[b.last]
            inner = Builder(shape, block="unit", kernel=kernel)
            v = inner("maxpool", kernel=kernel, stride=stride)
            inner("add", v, v)
            b.scope(inner.graph(), label=f"u{i}")
        source = emit(b.program())
        assert source.count("class Unit") == 1
        x = torch.rand(1, 1, 12, 12)
        wanted = nn.functional.max_pool2d(x, 2, strides[0])
        wanted = 2 * nn.functional.max_pool2d(2 * wanted, 3, strides[1])
        assert torch.equal(build(b.program())(x), wanted)
        if strides == (None, None):
            assert "stride" not in source


def test_parts_without_names_are_an_nn_sequential() -> None:
    """With a forward of their own: the keys are numbers."""
    text = """
    block unit(out) {
      residual { conv out 3x3 pad=1 -> bn -> relu; conv out 3x3 pad=1 -> bn } shortcut {
        conv out 1x1
      }
      relu; dropout 0.5
    }
    model net() {
      input 3x8x8
      unit 4; unit 6; relu -> gap -> flatten
      concat { linear 2; linear 3 }
    }
    """
    program = open_spec(text).checked()
    source = emit(program)
    assert source.count("nn.Module") == 0 and "getattr" not in source
    assert "class Unit(nn.Sequential):" in source
    assert "x = self[4](self[3](y)) + self[5](x)\n" in source
    module = build(program).eval()
    assert list(module.state_dict()) == [key for key, _ in program.state()]
    x = torch.rand(2, 3, 8, 8)
    one, two = module[0], module[1]
    expected = x
    for unit in (one, two):
        y = unit[4](unit[3](unit[2](unit[1](unit[0](expected)))))
        expected = unit[6](y + unit[5](expected))
    expected = module[4](module[3](module[2](expected)))
    expected = torch.cat([module[5](expected), module[6](expected)], 1)
    assert torch.equal(module(x), expected)
    assert torch.equal(torch.export.export(module, (x,)).module()(x), expected)
    assert torch.equal(torch.jit.script(module)(x), expected)


def test_numbered_parts_that_are_alike_are_a_loop() -> None:
    source = archdsl.compile("densenet121")
    assert source.count("class Denseblock") == 1
    assert 'self.add_module(f"denselayer{i + 1}", DenseLayer(in_channels + 32 * i))' in source
    assert "        for layer in self:\n            x = torch.cat([x, layer(x)], dim=1)\n" in source
    assert '("denseblock3", Denseblock(256, repeats=24))' in source
    text = """
    block unit(k, pad=1) { conv k 3x3 pad=pad -> relu }
    model net() {
      input 3x8x8
      body: { SPLIT }
    }
    """
    turn = "residual {{ u{0}: unit 3 }};"
    for parts, loops in (
        (turn.format(0) + turn.format(1) + turn.format(2), True),
        (turn.format(7) + turn.format(8) + turn.format(9), True),
        (turn.format(0) + turn.format(1), False),  # too few
        (turn.format(1) + turn.format(2) + turn.format(4), False),  # a gap
        (turn.format(2) + turn.format(1) + turn.format(0), False),  # another order
        ("u0: unit 3 -> tap t;" + turn.format(1) + "residual { u2: unit 3 }; add @t", False),
        (turn.format(0) + turn.format(1) + "concat { identity; u2: unit 3 }", False),
    ):
        program = open_spec(text.replace("SPLIT", parts)).checked()
        assert ("for layer in self:" in emit(program)) == loops, parts
        module = build(program).eval()
        assert list(module.state_dict()) == [key for key, _ in program.state()]
        x = torch.rand(1, 3, 8, 8)
        if loops:
            expected = x
            for unit in module.body:
                expected = unit(expected) + expected
            assert torch.equal(module(x), expected)
            exported = torch.export.export(module, (x,)).module()
            assert torch.equal(exported(x), expected)


def test_only_the_needed_support_is_written() -> None:
    source = archdsl.compile("swin_t")
    assert "class WindowAttention" in source and "CosineWindowAttention" not in source
    assert "stochastic_depth(y, self.drop, training=self.training)" in source


def test_variants_of_a_block_have_names_of_their_own() -> None:
    source = emit(building.names_taken())
    classes = [node.name for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    assert len(set(classes)) == len(classes)
    assert not set(classes) & {"Tensor", "OrderedDict", "None", "F"}


# ---- forward -----------------------------------------------------------------------------------


def _forward(source: str, cls: str) -> str:
    body = source[source.index(f"class {cls}(") :]
    body = body[body.index("def forward") :]
    return body.split("\n\n")[0]


def test_the_forward_reads_well(programs: dict[str, Program]) -> None:
    assert _forward(emit(programs["resnet"]), "Basic") == (
        "def forward(self, x: Tensor) -> Tensor:\n"
        "        y = F.relu(self.bn1(self.conv1(x)), inplace=True)\n"
        "        y = self.bn2(self.conv2(y))\n"
        "        if self.downsample is not None:\n"
        "            x = self.downsample(x)\n"
        "        return F.relu(y + x, inplace=True)"
    )
    googlenet = _forward(emit(programs["googlenet"]), "Googlenet")
    assert "aux1 = self.aux1(inception4a) if self.training else None" in googlenet
    assert "x = self.inception4b(inception4a)" in googlenet
    assert "return GooglenetOutput(output=x, aux1=aux1, aux2=aux2)" in googlenet


def test_a_parameter_is_repeated_for_each_sample(programs: dict[str, Program]) -> None:
    source = emit(programs["vit"])
    assert "torch.cat([self.class_token.expand(x.shape[0], -1, -1), x], dim=1)" in source
    assert "x + self.pos_embedding" in source


def test_the_order_of_execution_is_kept() -> None:
    """Calls nest only where that does not change what runs first."""
    b = Builder((3, 8, 8), block="net")
    first = b("conv", out=4, kernel=1, label="first")
    second = b("conv", 0, out=4, kernel=1, label="second")
    b("add", second, first)
    order: list[str] = []
    module = build(b.program())
    for name, part in module.named_children():
        part.register_forward_hook(lambda *_, name=name: order.append(name))
    module(torch.rand(1, 3, 8, 8))
    assert order == ["first", "second"]


def test_brackets_of_sums_stay() -> None:
    b = Builder((3, 8, 8), block="net")
    parts = [b("conv", 0, out=3, kernel=1, label=f"c{i}") for i in range(3)]
    inner = b("add", parts[1], parts[2])
    b("add", parts[0], inner)
    b("mul", b.last, 0)
    text = _forward(emit(b.program()), "Net")
    assert "(" in text
    module = build(b.program())
    x = torch.rand(1, 3, 8, 8)
    c0, c1, c2 = (getattr(module, f"c{i}")(x) for i in range(3))
    assert torch.equal(module(x), (c0 + (c1 + c2)) * x)


# ---- in place ----------------------------------------------------------------------------------


def _inplace(b: Builder) -> int:
    return emit(b.program()).count("inplace=True")


def test_in_place_only_where_nobody_can_tell() -> None:
    def start(**label: str) -> tuple[Builder, int]:
        b = Builder((4, 8, 8), block="net")
        return b, b("conv", out=4, kernel=1, **label)

    b, _ = start()
    b("relu")
    assert _inplace(b) == 1
    b = Builder((4, 8, 8), block="net")  # the model's input is the caller's
    b("relu")
    assert _inplace(b) == 0
    b, v = start(label="c")  # two users
    b("relu")
    b("add", b.last, v)
    assert _inplace(b) == 0
    b, v = start(label="c")  # an output
    r = b("relu")
    assert emit(b.program(outputs={"before": v, "after": r})).count("inplace=True") == 0
    b, _ = start(label="c")  # a view
    b("flatten")
    b("relu")
    assert _inplace(b) == 0
    b, _ = start(label="c")  # what relu returns it reads in its backward
    b("relu")
    b("hardswish")
    assert _inplace(b) == 1
    b, _ = start(label="c")
    b("silu")
    b("silu")
    assert _inplace(b) == 1
    for tap, expected in ((False, 1), (True, 0)):  # the value of a block
        inner = Builder((4, 8, 8))
        v = inner("conv", out=4, kernel=1, label="c")
        w = inner("bn", v, label="n")
        b = Builder((4, 8, 8), block="net")
        graph = inner.graph(w, w) if tap else inner.graph(w)
        b.scope(graph, label="part")
        b("relu", 1)
        assert _inplace(b) == expected
    x = torch.rand(2, 4, 8, 8, requires_grad=True)
    for make in (start,):
        b, _ = make(label="c")
        b("relu6")
        b("silu")
        build(b.program())(x).sum().backward()


# ---- initialisation ----------------------------------------------------------------------------


def test_the_last_rule_wins_and_draws_once() -> None:
    b = Builder((3, 8, 8), block="net")
    b("conv", out=4, kernel=1, bias=False, label="a")
    b("conv", out=4, kernel=1, label="b")
    b("gap", out=1)
    b("flatten")
    b("linear", out=3, label="fc")
    b("linear", out=3, label="last")
    b.init("conv", "kaiming_normal")
    b.init("linear", "normal", std=0.5)
    b.init("conv", "zeros", param="bias")
    b.init("conv", "normal", std=2.0)
    b.init(None, "constant", path="last", val=3.0)
    program = b.program()
    source = emit(program)
    assert source.count("nn.init.") == 4
    assert "if m.bias is not None:" in source
    assert "if m is self.last:" in source
    torch.manual_seed(0)
    module = build(program)
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 1, bias=False), nn.Conv2d(4, 4, 1), nn.Linear(4, 3), nn.Linear(3, 3)]
    for layer in layers[:2]:
        nn.init.normal_(layer.weight, std=2.0)
    nn.init.zeros_(layers[1].bias)
    nn.init.normal_(layers[2].weight, std=0.5)
    nn.init.constant_(layers[3].weight, 3.0)
    wanted = [p for layer in layers for p in layer.parameters()]
    for one, other in zip(module.parameters(), wanted, strict=True):
        assert torch.equal(one, other)


def test_rules_over_a_layers_attributes() -> None:
    b = Builder((8,), block="net")
    b("linear", out=16, label="fc")
    bound = Attribute("1/sqrt(out_features)", ("out_features",))
    b.init("linear", "uniform", a=Attribute("-1/sqrt(out_features)", ("out_features",)), b=bound)
    source = emit(b.program())
    assert "b=1 / math.sqrt(m.out_features)" in source
    assert source.count("import math") == 1
    assert build(b.program()).fc.weight.abs().max() <= 0.25
    for text in ("__import__('os')", "out_features.x", "[i for i in (1,)]", "open(1)"):
        b.rules.clear()
        b.init("linear", "constant", val=Attribute(text, ("out_features",)))
        with pytest.raises(ValueError):
            emit(b.program())


def test_a_blocks_own_rules_run_when_it_ends() -> None:
    torch.manual_seed(3)
    module = build(building.local_init())
    torch.manual_seed(3)
    seen = []
    for _ in range(2):
        one, two = nn.Linear(8, 8), nn.Linear(8, 8)
        nn.init.xavier_uniform_(one.weight)
        nn.init.xavier_uniform_(two.weight)
        seen += [one, two]
    last = nn.Linear(8, 2)
    for layer in (*seen, last):
        nn.init.zeros_(layer.bias)
    wanted = [p for layer in (*seen, last) for p in layer.parameters()]
    for one_, other in zip(module.parameters(), wanted, strict=True):
        assert torch.equal(one_, other)


# ---- nothing in a spec becomes code ------------------------------------------------------------

NASTY = [
    '"""\nimport os\nos.abort()\n"""',
    '\\"""\nraise SystemExit\n"""',
    '""""',
    "a\\",
    "tail\\N{BULLET}\\x00 \\u12",
    'quote"',
    "nul\0 bell\a bidi\u202e nel\x85 para\u2029 surrogate\udc80\ttab\r\nline\rend",
    "'''",
    "\f\v\x1c",
]


@pytest.mark.parametrize("text", NASTY)
def test_text_stays_in_the_docstring(text: str) -> None:
    b = Builder((3, 8, 8), block="net")
    b("relu", label="act")
    source = emit(b.program(text=text))
    tree = ast.parse(source)
    assert [type(node).__name__ for node in tree.body] == ["Expr", "ImportFrom", "ClassDef"]
    source.encode()
    assert all(c.isprintable() or c == "\n" for c in source)
    build(b.program(text=text))


LABELS = [
    "x); import os; print(os)  #",
    'a"b',
    "a'b\"c",
    "lambda",
    "__class_private",
    "ﬁ",
    "ĳ",
    "a b",
    "0",
    "none",
    "None",
    "self",
    "torch",
    "F",
    "print",
    "block1-0",
    "a\nb",
    "\udc80",
    "Net",
    "x",
]


@pytest.mark.parametrize("label", LABELS)
def test_labels_are_keys_and_nothing_else(label: str) -> None:
    def program(weightless: bool) -> Program:
        inner = Builder((3, 8, 8), block=label)
        v = inner("conv", out=3, kernel=1, label=label)
        inner.param("p", (3, 1, 1), "ones")
        inner("add", v, 0)
        b = Builder((3, 8, 8), block="net")
        b.args[label] = 1
        b.scope(inner.graph(), label=label)
        kept = b.last
        b("relu" if weightless else "bn", label=label + "2")
        b("add", b.last, kept)
        scale = b.param(label + "3", (3, 1, 1), "normal", std=1.0)
        b.param(label + "4", (3, 1, 1), "normal", buffer=True)
        b("mul", b.last, scale)
        return b.program(name=label, outputs={label: b.last, "other": kept})

    for weightless in (False, True):
        made = program(weightless)
        source = emit(made)
        source.encode()
        kinds = {type(node).__name__ for node in ast.parse(source).body}
        assert kinds <= {"Expr", "Import", "ImportFrom", "ClassDef"}
        module = build(made)
        assert list(module.state_dict()) == [key for key, _ in made.state()]
        module(torch.rand(1, 3, 8, 8))


def test_words_among_arguments_are_literals() -> None:
    b = Builder((3, 8, 8), block="net")
    b("conv", out=4, kernel=3, pad=1, padding_mode="reflect")
    node = b.items[0]
    bad = "zeros\"); __import__('os').abort(); (\""
    object.__setattr__(node.op, "padding_mode", bad)  # type: ignore[union-attr]
    source = emit(b.program())
    assert repr(bad) in source
    ast.parse(source)


@pytest.mark.parametrize(
    ("parameters", "given"),
    [("dim size", ["", "size="]), ("size dim", ["size=", "dim="])],
)
def test_nothing_without_a_name_follows_a_name(parameters: str, given: list[str]) -> None:
    """`dim` may be what comes in, and then first; or what a literal further back means."""
    cls = ClassDef("b", Body((), (), (), 1, (), (), ()))
    cls.parameters = [Parameter(name, "int", None, False, "") for name in parameters.split()]
    assert [name for name, _ in cls.arguments([Lit(1, ""), Lit(2, "")])] == given


def test_a_call_without_arguments_stays_on_its_line_however_deep() -> None:
    assert lay(Apply(Code("nn.Identity")), 30) == [" " * 120 + "nn.Identity()"]


def test_an_argument_that_is_a_tuple_too_is_no_number() -> None:
    """`end` is where a slice begins, for which torch takes a tuple, and what widths are part of."""
    text = """
    block mix(end) {
      concat {
        slice end=(in//4)
        { slice (in//4) (in//2); a: conv (in//4) 3x3 pad=1 }
        { slice (in//2) end; b: conv (end//3) 1x1 }
        { slice end; c: conv (end//3) 1x1 }
      }
    }
    model net() { input 8x4x4; mix 6; conv 16 1x1; mix 12 }
    """
    program = open_spec(text).checked()
    module = build(program)
    out = module(torch.rand(2, *program.input_shape))
    assert tuple(out.shape[1:]) == program.output_shapes["output"]


def test_a_group_whose_last_calls_are_all_its_outputs_returns_them_all() -> None:
    text = """
    model net() {
      input 4x5x5
      g: { tap t; sigmoid -> tap a; @t -> tanh -> tap b; @a }
      add @b
    }
    """
    module = build(open_spec(text).checked())
    x = torch.randn(2, 4, 5, 5)
    assert torch.allclose(module(x), x.sigmoid() + x.tanh())
